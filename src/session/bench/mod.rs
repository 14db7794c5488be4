//! The program's own timings: what `camlens bench` prints.
//!
//! Numbers are medians of repeated runs in one process, after one run that packs the weights. A peer is to be
//! timed beside it, alternating, on the same machine; a single figure says little.

mod cancel;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use candle_core::Tensor;
use serde::Serialize;

use super::Analysis;
use crate::error::Result;
use crate::explain::catalogue;
use crate::job::Job;
use crate::model::{Model, device};
use crate::plan::{DeviceChoice, MapKey, ModelSource};
use crate::preprocess::ModelInput;
use crate::text::{bench as words, fault};
pub use cancel::Cancelled;

/// Images of the batched pass.
const BATCH: usize = 8;
/// Channels of the last layer that Score-CAM masks with.
const MASKS: usize = 64;
/// The grid that our comparisons time peers with.
const GRID: [&str; 6] = [
    "grad-cam",
    "grad-cam++",
    "xgrad-cam",
    "hires-cam",
    "layer-cam",
    "eigen-cam",
];
/// Starts of the program.
const STARTS: usize = 3;
/// Rows of timings, the largest operations of a pass, and how soon work ends when it is cancelled: what
/// [`Setup::only`] knows.
pub const IDS: [&str; 19] = [
    "load",
    "forward",
    "trace",
    "backward_last",
    "backward_first_stage",
    "backward_input",
    "grid",
    "score_cam",
    "ablation_cam",
    "lrp",
    "lrp_open",
    "fg_cam",
    "ig50",
    "batch8",
    "mask",
    "first",
    "cold_start",
    "operations",
    "cancel",
];

/// What is to be timed.
pub struct Setup {
    /// The network.
    pub model: ModelSource,
    /// Where the arithmetic runs.
    pub device: DeviceChoice,
    /// Repetitions of each row.
    pub reps: usize,
    /// Which of [`IDS`] are wanted; empty: all.
    pub only: Vec<String>,
}

impl Setup {
    fn wants(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == id)
    }
}

/// One row: seconds.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Short name, the same in every version.
    pub id: &'static str,
    /// What was run.
    pub what: String,
    /// Median.
    pub median_s: f64,
    /// Fastest.
    pub min_s: f64,
    /// Repetitions.
    pub reps: usize,
}

/// Share of one kind of operation in a traced forward pass.
#[derive(Clone, Debug, Serialize)]
pub struct Share {
    /// What was run together, by PyTorch's names.
    pub op: String,
    /// How many of them.
    pub count: usize,
    /// Seconds in all.
    pub seconds: f64,
    /// Share of the pass.
    pub share: f64,
}

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The program's version.
    pub version: &'static str,
    /// File name of the network, and its architecture.
    pub model: String,
    /// See `model`.
    pub architecture: String,
    /// Device and kernels.
    pub device: String,
    /// See `device`.
    pub kernels: &'static str,
    /// Threads of the kernels.
    pub threads: usize,
    /// `[C, H, W]` of the input.
    pub input: [usize; 3],
    /// Timings.
    pub rows: Vec<Row>,
    /// How soon work ends that is cancelled.
    pub cancelled: Vec<Cancelled>,
    /// What the forward pass spends its time on.
    pub operations: Vec<Share>,
    /// Largest resident memory of this process in MiB, where the system tells; the batched pass included.
    pub peak_memory_mib: Option<f64>,
}

/// Times everything.
///
/// # Errors
/// A row that does not exist, and as opening and running the network.
pub fn run(setup: &Setup, job: &Job) -> Result<Report> {
    if let Some(unknown) = setup.only.iter().find(|id| !IDS.contains(&id.as_str())) {
        return Err(fault::no_such_row(unknown, &IDS.join(", ")));
    }
    let reps = setup.reps.max(1);
    let (device, said) = device::open(setup.device)?;
    if let Some(words) = said {
        job.notice(words);
    }
    let open = || Model::open(&setup.model, None, &device);
    let mut rows = Vec::new();
    let mut row = |id, what: String, reps, f: &mut dyn FnMut() -> Result<()>| -> Result<()> {
        job.check()?;
        if !setup.wants(id) {
            return Ok(());
        }
        job.progress(&what, rows.len(), words::ROWS);
        rows.push(time(id, what, reps, f)?);
        Ok(())
    };
    row("load", words::LOAD.to_owned(), reps.min(5), &mut || {
        open().map(|_| ())
    })?;
    let model = Arc::new(open()?);
    let input = Arc::new(input_of(&model)?);
    let quiet = Job::default();

    let first = Instant::now();
    model.forward(&input, &quiet)?;
    let first = first.elapsed().as_secs_f64();

    row("forward", words::FORWARD.to_owned(), reps, &mut || {
        model.logits(&input, &quiet).map(|_| ())
    })?;
    row("trace", words::TRACE.to_owned(), reps, &mut || {
        model.forward(&input, &quiet).map(|_| ())
    })?;
    for (id, layer) in layers_of(&model) {
        let node = model.layer(&layer)?;
        row(id, words::to_layer(&layer), reps, &mut || {
            let trace = model.forward(&input, &quiet)?;
            let mut taps = model.gradients(&trace, 0)?;
            taps.at(&trace, node, &quiet)?;
            // A GPU is only asked so far; the time is that of the answer.
            Ok(device.synchronize()?)
        })?;
    }
    let stages = model.layers_named("stages")?;
    row(
        "grid",
        words::grid(GRID.len(), stages.len()),
        reps,
        &mut || {
            let mut analysis = Analysis::run(Arc::clone(&model), Arc::clone(&input), &quiet)?;
            analysis.only_layers(&stages)?;
            for method in GRID {
                for layer in &stages {
                    analysis.map(&map_key(method, layer, &[]), &quiet)?;
                }
            }
            Ok(())
        },
    )?;
    // Methods of many passes, from the forward pass of the image on.
    let last = model.graph.last.as_str();
    let masks = MASKS.to_string();
    for (id, method, layer, params, reps) in [
        (
            "score_cam",
            "score-cam",
            last,
            &[("channels", masks.as_str())][..],
            reps.min(3),
        ),
        ("ablation_cam", "ablation-cam", last, &[][..], reps.min(5)),
        (
            "lrp",
            "lrp-epsilon-plus",
            catalogue::INPUT,
            &[][..],
            reps.min(7),
        ),
        ("fg_cam", "fg-cam", catalogue::INPUT, &[][..], reps.min(7)),
        (
            "ig50",
            "integrated-gradients",
            catalogue::INPUT,
            &[][..],
            reps.min(3),
        ),
    ] {
        let key = map_key(method, layer, params);
        row(id, words::map(method, layer, params), reps, &mut || {
            let mut analysis = Analysis::run(Arc::clone(&model), Arc::clone(&input), &quiet)?;
            analysis.map(&key, &quiet).map(|_| ())
        })?;
    }
    let batch = batch_of(&model, &input)?;
    row("batch8", words::batch(BATCH), reps.min(8), &mut || {
        model.scores(&batch, &quiet).map(|_| ())
    })?;
    // What a map costs once an image stands open; the network that relevance explains has a pass of its own in it.
    if setup.wants("lrp_open") {
        job.check()?;
        let key = map_key("lrp-epsilon-plus", catalogue::INPUT, &[]);
        let what = words::open_image(&words::map(&key.method, &key.layer, &[]));
        let mut seconds = Vec::new();
        for i in 0..=reps.min(7) {
            let mut analysis = Analysis::run(Arc::clone(&model), Arc::clone(&input), &quiet)?;
            let start = Instant::now();
            analysis.map(&key, &quiet)?;
            // The first packs weights.
            if i > 0 {
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
        rows.push(row_of("lrp_open", what, seconds));
    }
    let channels = model.shape(model.layer(last)?)?.channels();
    if let Some(score) = rows.iter().find(|row| row.id == "score_cam").cloned()
        && setup.wants("mask")
    {
        let masks = MASKS.min(channels).max(1) as f64;
        rows.push(Row {
            id: "mask",
            what: words::MASK.to_owned(),
            median_s: score.median_s / masks,
            min_s: score.min_s / masks,
            reps: score.reps,
        });
    }
    if setup.wants("first") {
        rows.push(Row {
            id: "first",
            what: words::FIRST.to_owned(),
            median_s: first,
            min_s: first,
            reps: 1,
        });
    }
    if setup.wants("cold_start")
        && let Some(start) = cold_start(setup)?
    {
        rows.push(start);
    }
    let operations = match setup.wants("operations") {
        true => operations(&model, &input, reps)?,
        false => Vec::new(),
    };
    let cancelled = match setup.wants("cancel") {
        true => cancel::all(&model, &input, job)?,
        false => Vec::new(),
    };
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        model: model.name.clone(),
        architecture: model.facts.arch.value.clone(),
        device: device::name(&device).to_owned(),
        kernels: model.kernels().name(),
        threads: rayon::current_num_threads(),
        input: model.input_shape(),
        operations,
        rows,
        cancelled,
        peak_memory_mib: peak_memory_mib(),
    })
}

fn map_key(method: &str, layer: &str, params: &[(&str, &str)]) -> MapKey {
    let params = params
        .iter()
        .map(|(id, value)| ((*id).to_owned(), (*value).to_owned()));
    MapKey {
        method: method.to_owned(),
        layer: layer.to_owned(),
        target: 0.into(),
        params: params.collect(),
    }
}

fn time(
    id: &'static str,
    what: String,
    reps: usize,
    f: &mut dyn FnMut() -> Result<()>,
) -> Result<Row> {
    f()?;
    let mut seconds = Vec::with_capacity(reps);
    for _ in 0..reps {
        let start = Instant::now();
        f()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(row_of(id, what, seconds))
}

fn row_of(id: &'static str, what: String, mut seconds: Vec<f64>) -> Row {
    seconds.sort_by(f64::total_cmp);
    let reps = seconds.len();
    Row {
        id,
        what,
        median_s: seconds.get(reps / 2).copied().unwrap_or_default(),
        min_s: seconds.first().copied().unwrap_or_default(),
        reps,
    }
}

/// An input with a few soft shapes, of the network's size.
fn input_of(model: &Model) -> Result<ModelInput> {
    let [c, h, w] = model.input_shape();
    let values = (0..c * h * w)
        .map(|i| {
            let (channel, y, x) = (i / (h * w), i / w % h, i % w);
            let phase = (x * 7 + y * 13 + channel * 29) as f32 * 0.01;
            phase.sin() + (x as f32 / w as f32 - 0.5)
        })
        .collect();
    ModelInput::from_ready(&[1, c, h, w], values)
}

fn batch_of(model: &Model, input: &ModelInput) -> Result<Tensor> {
    let one = Tensor::from_slice(
        &input.values,
        (1, input.channels, input.height, input.width),
        model.device(),
    )?;
    Ok(one.repeat((BATCH, 1, 1, 1))?)
}

/// The layers to which a gradient is taken: the last one, the first stage, the input.
fn layers_of(model: &Model) -> Vec<(&'static str, String)> {
    let mut layers = vec![("backward_last", model.graph.last.clone())];
    if let Some(first) = model.graph.stages.first() {
        layers.push(("backward_first_stage", first.clone()));
    }
    layers.push(("backward_input", "input".to_owned()));
    layers
}

fn operations(model: &Model, input: &ModelInput, reps: usize) -> Result<Vec<Share>> {
    let mut sums: BTreeMap<String, (usize, f64)> = BTreeMap::new();
    for _ in 0..reps {
        for (op, seconds) in model.profile(input)? {
            let entry = sums.entry(op).or_default();
            entry.0 += 1;
            entry.1 += seconds;
        }
    }
    let total: f64 = sums.values().map(|(_, seconds)| seconds).sum();
    let mut shares: Vec<Share> = sums
        .into_iter()
        .map(|(op, (count, seconds))| Share {
            op,
            count: count / reps,
            seconds: seconds / reps as f64,
            share: seconds / total.max(f64::MIN_POSITIVE),
        })
        .collect();
    shares.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    Ok(shares)
}

/// From the start of a new process to its first heatmap on disk.
fn cold_start(setup: &Setup) -> Result<Option<Row>> {
    let Ok(program) = std::env::current_exe() else {
        return Ok(None);
    };
    let folder = tempfile::tempdir().map_err(|e| fault::write(&std::env::temp_dir(), &e))?;
    let mut seconds = Vec::with_capacity(STARTS);
    for i in 0..STARTS {
        let out: PathBuf = folder.path().join(i.to_string());
        let mut command = Command::new(&program);
        command.args(["explain", "--demo", "--out"]).arg(&out);
        if let ModelSource::Path(path) = &setup.model {
            command.arg("--model").arg(path);
        }
        let start = Instant::now();
        let done = command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status();
        if !done.is_ok_and(|status| status.success()) {
            return Ok(None);
        }
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(Some(Row {
        id: "cold_start",
        what: words::COLD.to_owned(),
        median_s: seconds[STARTS / 2],
        min_s: seconds[0],
        reps: STARTS,
    }))
}

/// The most memory that this process has had, in MiB.
fn peak_memory_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}
