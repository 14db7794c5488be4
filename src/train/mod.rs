//! Training of the shipped models: `camlens train`.
//!
//! [`run`] reads tables of images ([`data`]), trains a narrow ResNet ([`network`], [`learn`]) and writes a folder:
//! `model.safetensors`, which the program's ordinary loader opens, `card.md` for people and `train.json` with
//! the same numbers. [`report`] measures a model again and rewrites its card.
//!
//! candle drives the gradients; the operations are ours ([`ops`]). Two of candle's habits cost a
//! third of the time on small machines, and only the environment changes them: `CANDLE_NUM_THREADS=1`
//! keeps its helper threads from spinning between additions, and `RAYON_NUM_THREADS=N` keeps it from asking
//! the system for the number of cores at every matrix product. The result is the same with and without.

pub mod augment;
pub mod boxes;
pub mod calibrate;
mod card;
pub mod checkpoint;
pub mod data;
pub mod equalise;
pub mod learn;
pub mod measure;
pub mod network;
mod opacity;
pub mod ops;
pub mod optimiser;
pub mod predict;
pub mod sample;
pub mod setup;
pub mod state;
mod unit;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::job::Job;
use crate::preprocess::{Filter, Fit, Recipe, Scale};
use crate::text::fault;
use checkpoint::CHECKPOINT;
use data::Dataset;
use learn::learn;
use measure::{Numbers, measure};
use network::{Network, shape_of};
use predict::Input;
use sample::{Stratum, strata};
use setup::{EpochRecord, Setup};
use state::{Metadata, State, from_bytes, to_bytes, write_atomic};

/// Classes in the order of the logits.
pub const LABELS: [&str; 2] = ["Normal", "Pneumonia"];

/// Side of the network's input.
const SIDE: usize = 224;

const MODEL: &str = "model.safetensors";
const CARD: &str = "card.md";
const RECORD: &str = "train.json";

/// How a model is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// Cross-entropy alone.
    #[default]
    Plain,
}

impl Method {
    /// Ids on the command line.
    pub const IDS: [&str; 1] = ["plain"];

    /// The method of that id.
    ///
    /// # Errors
    /// Where no method has it.
    pub fn by_id(id: &str) -> Result<Self> {
        match id {
            "plain" => Ok(Self::Plain),
            _ => Err(fault::unknown_training(id, &Self::IDS)),
        }
    }
}

/// What `camlens train` is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Folders with `manifest.csv`, or such tables themselves.
    pub data: Vec<PathBuf>,
    /// How it is trained.
    pub method: Method,
    /// Folder for the result.
    pub out: PathBuf,
    /// Start of every random sequence.
    pub seed: u64,
    /// Passes over the data.
    pub epochs: usize,
    /// Time after which training ends wherever it is.
    pub minutes: Option<f64>,
    /// Whether to go on from the folder's checkpoint.
    pub resume: bool,
    /// Folder of a network whose weights are the start; `None` starts from random ones.
    pub from: Option<PathBuf>,
}

impl Options {
    /// Passes when none are asked for: about half an hour on two cores.
    pub const EPOCHS: usize = 12;
    /// Seed when none is asked for.
    pub const SEED: u64 = 1;

    /// Everything that fixes the run besides the data.
    pub fn setup(&self) -> Setup {
        let start = self.from.is_some();
        Setup {
            widths: [16, 32, 64, 128],
            blocks: [2; 4],
            seed: self.seed,
            epochs: self.epochs,
            batch: 32,
            // A network that has learned is only moved gently.
            peak_rate: if start { 4e-4 } else { 2e-3 },
            weight_decay: 0.05,
            smoothing: 0.05,
            average: 0.99,
            sides: if start {
                vec![(0.0, SIDE)]
            } else {
                vec![(0.0, 128), (0.65, SIDE)]
            },
            opacities: if start { 0.4 } else { 0.3 },
            foreign_borders: start,
            input: Input {
                mean: 0.5,
                std: 0.25,
            },
        }
    }

    /// The command that repeats the run; folders by their names alone, for the card goes elsewhere.
    fn command(&self) -> String {
        let name = |path: &Path| {
            path.file_name()
                .map_or_else(String::new, |n| n.to_string_lossy().into_owned())
        };
        let data: Vec<String> = self.data.iter().map(|p| name(p)).collect();
        let from = self
            .from
            .as_ref()
            .map_or_else(String::new, |path| format!(" --from models/{}", name(path)));
        format!(
            "camlens train --data {} --recipe plain --out models/{} --seed {} --epochs {}{from}",
            data.join(","),
            name(&self.out),
            self.seed,
            self.epochs
        )
    }
}

/// How a model came about, kept in `train.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The command that repeats it.
    pub command: String,
    /// Everything that fixed it besides the data.
    pub setup: Setup,
    /// What each epoch drew.
    pub strata: Vec<Stratum>,
    /// What the epochs came to.
    pub history: Vec<EpochRecord>,
    /// Whether a time limit ended it early.
    pub unfinished: bool,
    /// How the network came about that it started from.
    #[serde(default)]
    pub before: Option<Box<RunRecord>>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How the model came about.
    pub run: RunRecord,
    /// What was measured.
    pub numbers: Numbers,
    /// Trainable values.
    pub parameters: usize,
    /// Size of the model file.
    pub bytes: usize,
}

/// Trains a model and writes its folder.
///
/// # Errors
/// Data that cannot be read, a checkpoint that does not fit, a loss that diverges, `Cancelled`
/// (after a checkpoint was written), a folder that cannot be written.
pub fn run(options: &Options, job: &Job) -> Result<Report> {
    let Method::Plain = options.method;
    let setup = options.setup();
    if setup.epochs == 0 {
        return Err(fault::no_epochs());
    }
    let data = Dataset::read(&options.data, SIDE, job)?;
    let drawn: usize = strata(&data, setup.opacities).iter().map(|s| s.drawn).sum();
    if drawn < setup.batch {
        return Err(fault::too_few_to_train(drawn, setup.batch));
    }
    let start = match &options.from {
        Some(folder) => Some(read_network(folder)?),
        None => None,
    };
    let learned = learn(
        &setup,
        start.as_ref().map(|(state, _)| state),
        &data,
        &options.out,
        options.resume,
        options.minutes,
        job,
    )?;
    let record = RunRecord {
        command: options.command(),
        strata: strata(&data, setup.opacities),
        setup,
        history: learned.history,
        unfinished: learned.unfinished,
        before: options
            .from
            .as_deref()
            .and_then(|from| read_record(from).ok())
            .map(Box::new),
    };
    let report = publish(&options.out, &learned.network, record, &data, job)?;
    if !learned.unfinished {
        let checkpoint = options.out.join(CHECKPOINT);
        std::fs::remove_file(&checkpoint).map_err(|e| fault::write(&checkpoint, &e))?;
    }
    Ok(report)
}

/// Measures a trained model again and rewrites its card, its numbers and the metadata that follow from them.
///
/// # Errors
/// As [`run`]; a folder without a model or without the record of its training.
pub fn report(data: &[PathBuf], folder: &Path, job: &Job) -> Result<Report> {
    let record = read_record(folder)?;
    let (state, _) = read_network(folder)?;
    let network = Network::new(&shape_of(&state)?, 0)?;
    network.load(&state)?;
    let data = Dataset::read(data, SIDE, job)?;
    publish(folder, &network, record, &data, job)
}

/// How the network in a folder came about.
fn read_record(folder: &Path) -> Result<RunRecord> {
    let path = folder.join(RECORD);
    let text = std::fs::read_to_string(&path).map_err(|e| fault::read(&path, &e))?;
    let broken = |e: serde_json::Error| fault::broken_training_file(&path, &e);
    let all: serde_json::Value = serde_json::from_str(&text).map_err(broken)?;
    serde_json::from_value(all.get("run").cloned().unwrap_or_default()).map_err(broken)
}

/// Weights and metadata of the network in a folder.
fn read_network(folder: &Path) -> Result<(State, Metadata)> {
    let path = folder.join(MODEL);
    let bytes = std::fs::read(&path).map_err(|e| fault::read(&path, &e))?;
    from_bytes(&bytes, &path)
}

/// The preprocessing that training used, for whoever opens the model.
fn recipe(name: &str, input: &Input) -> Recipe {
    Recipe {
        name: format!("camlens-{name}"),
        channels: 1,
        width: SIDE,
        height: SIDE,
        fit: Fit::Stretch,
        filter: Filter::Bilinear,
        scale: Scale::Unit,
        mean: vec![input.mean],
        std: vec![input.std],
    }
}

fn publish(
    folder: &Path,
    network: &Network,
    record: RunRecord,
    data: &Dataset,
    job: &Job,
) -> Result<Report> {
    let name = folder
        .file_name()
        .map_or_else(|| "model".to_owned(), |n| n.to_string_lossy().into_owned());
    let numbers = measure(network, &record.setup.input, data, job)?;
    let words = |e: serde_json::Error| fault::write(folder, &e);
    let recipe = serde_json::to_string(&recipe(&name, &record.setup.input)).map_err(words)?;
    let metadata: Metadata = [
        ("arch", "resnet18".to_owned()),
        ("labels", serde_json::to_string(&LABELS).map_err(words)?),
        ("activation", "softmax".to_owned()),
        ("recipe", recipe),
        ("temperature", numbers.temperature.to_string()),
        ("operating_point", numbers.operating_point.to_string()),
        ("card", card::short(&name, &numbers)),
    ]
    .into_iter()
    .map(|(key, value)| (format!("camlens.{key}"), value))
    .collect();
    let bytes = to_bytes(&network.state()?, &metadata)?;
    let parameters = network
        .parameters()
        .iter()
        .map(|p| p.var.elem_count())
        .sum();
    let report = Report {
        run: record,
        numbers,
        parameters,
        bytes: bytes.len(),
    };
    let text = card::write(&name, &report.run, &report.numbers, parameters, bytes.len());
    let json = serde_json::to_string_pretty(&report).map_err(words)?;
    write_atomic(&folder.join(MODEL), &bytes)?;
    write_atomic(&folder.join(CARD), text.as_bytes())?;
    write_atomic(&folder.join(RECORD), format!("{json}\n").as_bytes())?;
    Ok(report)
}
