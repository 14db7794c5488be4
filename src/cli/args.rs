//! Arguments, and how they become a plan.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::error::Result;
use crate::plan::{
    Activation, Colormap, DeviceChoice, GivenFacts, ImageSource, ModelSource, Normalise, Plan,
    Post, Preprocess, Score, Sign, Values, View,
};
use crate::session::comparison::Comparison;
use crate::session::view::Wanted;
use crate::text::fault;

/// Shows where a chest X-ray classifier looked. Without a command it opens the window.
///
/// Research use only, not for diagnosis.
#[derive(Parser)]
#[command(name = "camlens", version, args_conflicts_with_subcommands = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) window: WindowArgs,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Logits and probabilities of an image
    Predict(PredictArgs),
    /// Name, operation, shape and receptive field of every layer
    Layers(LayersArgs),
    /// What is known about a network and where it comes from; sets and saves labels and preprocessing
    Facts(FactsArgs),
    /// The catalogue of explanation methods
    Methods(MethodsArgs),
    /// Maps of methods at layers, as arrays, overlays and a manifest
    Explain(ExplainArgs),
    /// One picture: methods in rows, layers in columns
    Figure(FigureArgs),
    /// The picture as a viewer shows it, as PNG
    View(ViewArgs),
    /// What a file is, without identity, and what a network's preprocessing makes of it; lists folders
    Inspect(InspectArgs),
    /// Trains a network for the program
    Train(TrainArgs),
    /// Makes the synthetic sample cases again
    Samples(SamplesArgs),
    /// The program's own timings
    Bench(BenchArgs),
}

#[derive(Args)]
pub(super) struct WindowArgs {
    /// Image to open: DICOM, PNG, JPEG, TIFF, BMP, WebP, or a ready input (.npy, .safetensors); or a session (.camlens)
    pub(super) image: Option<PathBuf>,
    /// Network: a .safetensors file or a folder with model.safetensors [default: the shipped demo]
    #[arg(long)]
    pub(super) model: Option<PathBuf>,
    /// Writes a picture of the window to FILE once the first maps stand, and leaves
    #[arg(long, value_name = "FILE")]
    pub(super) screenshot: Option<PathBuf>,
    /// Size of the window in points
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    pub(super) size: Option<[f32; 2]>,
    /// Where the arithmetic runs: auto, cpu, cuda, metal
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    pub(super) device: DeviceChoice,
}

#[derive(Args)]
pub(super) struct ModelArgs {
    /// Network: a .safetensors file or a folder with model.safetensors
    #[arg(long, required_unless_present = "demo")]
    pub(super) model: Option<PathBuf>,
    /// The shipped demo network (and, where an image is needed and none is given, a sample case)
    #[arg(long)]
    pub(super) demo: bool,
    /// Labels of the outputs: a file with one a line, or a list; an empty one is a class that was never trained
    #[arg(long, value_name = "FILE|A,B,C")]
    pub(super) labels: Option<String>,
    /// Preprocessing: imagenet, imagenet-crop, torchxrayvision, or a JSON file (a recipe,
    /// preprocessor_config.json, timm's config.json)
    #[arg(long, value_name = "NAME|FILE.json")]
    pub(super) preprocess: Option<String>,
    /// How probabilities follow from logits: softmax, sigmoid
    #[arg(long, value_parser = parse_activation)]
    pub(super) activation: Option<Activation>,
    /// Architecture, where the one recognised from the tensors is wrong
    #[arg(long, value_name = "NAME")]
    pub(super) arch: Option<String>,
    /// Where the arithmetic runs: auto, cpu, cuda, metal
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    pub(super) device: DeviceChoice,
}

impl ModelArgs {
    pub(super) fn source(&self) -> ModelSource {
        match &self.model {
            Some(path) => ModelSource::Path(path.clone()),
            None => ModelSource::Demo,
        }
    }

    /// What the user says about the network.
    pub(super) fn given(&self) -> Result<GivenFacts> {
        Ok(GivenFacts {
            labels: self.labels.as_deref().map(read_labels).transpose()?,
            preprocess: self.preprocess.as_ref().map(|text| {
                let is_file = text.to_lowercase().ends_with(".json") || text.contains(['/', '\\']);
                if is_file {
                    Preprocess::File(text.into())
                } else {
                    Preprocess::Named(text.clone())
                }
            }),
            activation: self.activation,
        })
    }
}

/// Largest file of labels, in bytes.
const MAX_LABELS: u64 = 1 << 20;

/// Labels from a file with one a line, or from the list itself.
fn read_labels(text: &str) -> Result<Vec<String>> {
    let path = Path::new(text);
    let is_file = path.is_file();
    if !is_file && text.contains(',') {
        return Ok(text
            .split(',')
            .map(|label| label.trim().to_owned())
            .collect());
    }
    if !is_file && !text.contains(['/', '\\', '.']) {
        // One label of a network with one output.
        return Ok(vec![text.trim().to_owned()]);
    }
    let bytes = std::fs::metadata(path)
        .map_err(|e| fault::read(path, &e))?
        .len();
    if bytes > MAX_LABELS {
        return Err(fault::file_too_large(path, bytes, MAX_LABELS));
    }
    let text = std::fs::read_to_string(path).map_err(|e| fault::read(path, &e))?;
    Ok(label_lines(&text))
}

/// One label a line; empty lines count, except those at the end.
pub(crate) fn label_lines(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_end();
    text.lines().map(|line| line.trim().to_owned()).collect()
}

#[derive(Args)]
pub(super) struct ImageArgs {
    /// Image: DICOM, PNG, JPEG, TIFF, BMP, WebP, or a ready input (.npy, .safetensors with a tensor 'input')
    #[arg(long, required_unless_present = "demo")]
    pub(super) image: Option<PathBuf>,
}

impl ImageArgs {
    pub(super) fn source(&self) -> ImageSource {
        match &self.image {
            Some(path) => ImageSource::Path(path.clone()),
            None => ImageSource::Sample(
                crate::session::samples::first().map_or_else(String::new, |s| s.name.clone()),
            ),
        }
    }
}

#[derive(Args)]
pub(super) struct PredictArgs {
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) image: ImageArgs,
    /// Prints JSON: {logits, findings: [{index, label, logit, probability, score where known}], notices}
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args)]
pub(super) struct LayersArgs {
    #[command(flatten)]
    pub(super) model: ModelArgs,
    /// Prints JSON: [{name, op, shape, resolution, receptive_field, explainable, alias_of}]
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args)]
pub(super) struct FactsArgs {
    #[command(flatten)]
    pub(super) model: ModelArgs,
    /// Writes what is no guess into config.json and preprocessor_config.json beside the network
    #[arg(long)]
    pub(super) save: bool,
    /// Prints JSON: {arch, labels, activation, recipe, ...}, each {value, from: read|given|guessed}
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args)]
pub(super) struct MethodsArgs {
    /// Prints JSON: [{id, label, family, ...}]
    #[arg(long)]
    pub(super) json: bool,
    /// Prints the tables of the README
    #[arg(long, conflicts_with = "json")]
    pub(super) markdown: bool,
    /// Prints the sources as BibTeX
    #[arg(long, conflicts_with_all = ["json", "markdown"])]
    pub(super) bibtex: bool,
}

#[derive(Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) image: ImageArgs,
    /// Methods, by id
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "grad-cam",
        value_name = "ID[,ID]"
    )]
    pub(super) method: Vec<String>,
    /// Layers, by name, or last, stages, all; usual is last, and the input for methods that look at pixels
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "usual",
        value_name = "NAME[,NAME]"
    )]
    pub(super) layer: Vec<String>,
    /// Class to explain [default: the highest logit]
    #[arg(long, value_name = "INDEX|LABEL")]
    pub(super) class: Option<String>,
    /// Explains the class against another one: score_c - A score_d
    #[arg(long, value_name = "INDEX|LABEL", requires = "class")]
    pub(super) against: Option<String>,
    /// Factor A of --against
    #[arg(long, default_value_t = 1.0, value_name = "A", value_parser = parse_factor, requires = "against")]
    pub(super) against_factor: f32,
    /// Which number of a class is explained: logit, probability
    #[arg(long, default_value = "logit", value_parser = parse_score)]
    pub(super) score: Score,
    /// Turns the sign of the score before anything is computed: what speaks for the absence of the class
    #[arg(long)]
    pub(super) negate: bool,
    /// A method's parameter; may be given several times
    #[arg(long, value_name = "ID.PARAM=VALUE", value_parser = parse_set)]
    pub(super) set: Vec<(String, String, String)>,
    /// Evidence to show: positive, negative, signed; unless given, relevance with both signs and all other maps
    /// with what is positive
    #[arg(long, value_parser = parse_sign)]
    pub(super) sign: Option<Sign>,
    /// Denoising threshold: cells under this share of the largest become 0, 0 to 1
    #[arg(long, default_value_t = 0.0, value_parser = parse_share)]
    pub(super) threshold: f32,
    /// Gaussian blur, standard deviation in pixels of the image
    #[arg(long, default_value_t = 0.0, value_name = "SIGMA_PX", value_parser = parse_sigma)]
    pub(super) blur: f32,
    /// Share of the colour scale under which nothing is drawn, 0 to 1
    #[arg(long, default_value_t = Post::default().cut, value_parser = parse_share)]
    pub(super) cut: f32,
    /// Ends of the colour scale: map, shared, or LO..HI
    #[arg(long, default_value = "map", value_parser = parse_normalise, allow_hyphen_values = true)]
    pub(super) normalise: Normalise,
    /// Opacity of the overlay, 0 to 1
    #[arg(long, default_value_t = View::default().opacity, value_parser = parse_share)]
    pub(super) opacity: f32,
    /// Colour map: inferno, magma, viridis, cividis, diverging, jet (legacy)
    #[arg(long, default_value = "inferno", value_parser = parse_colormap)]
    pub(super) colormap: Colormap,
    /// Regions to measure maps against and to draw: NIH or RSNA boxes (CSV), COCO or CheXlocalize JSON, YOLO text, or a
    /// mask (PNG)
    #[arg(long, value_name = "FILE")]
    pub(super) regions: Option<PathBuf>,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
}

impl ExplainArgs {
    /// The plan that these arguments say.
    ///
    /// # Errors
    /// A file of labels that cannot be read.
    pub(super) fn plan(&self) -> Result<Plan> {
        let mut params: BTreeMap<String, Values> = BTreeMap::new();
        for (method, param, value) in &self.set {
            params
                .entry(method.clone())
                .or_default()
                .insert(param.clone(), value.clone());
        }
        Ok(Plan {
            model: self.model.source(),
            given: self.model.given()?,
            arch: self.model.arch.clone(),
            image: self.image.source(),
            device: self.model.device,
            class: self.class.clone(),
            against: self.against.clone(),
            against_factor: self.against_factor,
            score: self.score,
            negated: self.negate,
            methods: self.method.clone(),
            layers: self.layer.clone(),
            params,
            sign: self.sign,
            post: Post {
                sign: self.sign.unwrap_or_default(),
                denoise: self.threshold,
                blur_px: self.blur,
                normalise: self.normalise,
                cut: self.cut,
            },
            view: View {
                opacity: self.opacity,
                colormap: self.colormap,
                ..View::default()
            },
            regions: self.regions.clone(),
        })
    }
}

#[derive(Args)]
pub(super) struct FigureArgs {
    #[command(flatten)]
    pub(super) model: ModelArgs,
    /// Image: DICOM, PNG, JPEG, TIFF, BMP, WebP, or a ready input [default: a sample case]
    #[arg(long, conflicts_with = "sample")]
    pub(super) image: Option<PathBuf>,
    /// Sample case, by name; the outline of its finding is drawn
    #[arg(long, value_name = "NAME")]
    pub(super) sample: Option<String>,
    /// Picture of the image's size, bright where the finding is; its outline is drawn
    #[arg(long, value_name = "FILE")]
    pub(super) mask: Option<PathBuf>,
    /// Rows: methods, by id, with parameters behind a colon
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "grad-cam,layer-cam,fg-cam,fg-cam:denoise=yes,lrp-epsilon-plus,grad-cam-lrp",
        value_name = "ID[:PARAM=VALUE[;PARAM=VALUE]]"
    )]
    pub(super) row: Vec<String>,
    /// Columns: layers, by name, or last, stages, all
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "stages",
        value_name = "NAME[,NAME]"
    )]
    pub(super) layer: Vec<String>,
    /// Class to explain [default: the highest logit]
    #[arg(long, value_name = "INDEX|LABEL")]
    pub(super) class: Option<String>,
    /// Evidence to show: positive, negative, signed [default: as is usual for each method]
    #[arg(long, value_parser = parse_sign)]
    pub(super) sign: Option<Sign>,
    /// Gaussian blur, standard deviation in pixels of the image
    #[arg(long, default_value_t = 0.0, value_name = "SIGMA_PX", value_parser = parse_sigma)]
    pub(super) blur: f32,
    /// Share of the colour scale under which nothing is drawn, 0 to 1
    #[arg(long, default_value_t = Post::default().cut, value_parser = parse_share)]
    pub(super) cut: f32,
    /// Size: 1 gives panels 480 pixels wide
    #[arg(long, default_value_t = 0.5)]
    pub(super) scale: f32,
    /// The PNG file
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
}

impl FigureArgs {
    /// The figure that these arguments say.
    ///
    /// # Errors
    /// A row that does not read, a file of labels that cannot be read.
    pub(super) fn comparison(&self) -> Result<Comparison> {
        let first =
            || crate::session::samples::first().map_or_else(String::new, |s| s.name.clone());
        let image = match (&self.image, &self.sample) {
            (Some(path), _) => ImageSource::Path(path.clone()),
            (None, Some(name)) => ImageSource::Sample(name.clone()),
            (None, None) => ImageSource::Sample(first()),
        };
        Ok(Comparison {
            plan: Plan {
                model: self.model.source(),
                given: self.model.given()?,
                arch: self.model.arch.clone(),
                image,
                device: self.model.device,
                class: self.class.clone(),
                against: None,
                against_factor: 1.0,
                score: Score::default(),
                negated: false,
                methods: Vec::new(),
                layers: self.layer.clone(),
                params: BTreeMap::new(),
                sign: self.sign,
                post: Post {
                    sign: self.sign.unwrap_or_default(),
                    blur_px: self.blur,
                    cut: self.cut,
                    ..Post::default()
                },
                view: View::default(),
                regions: None,
            },
            rows: self
                .row
                .iter()
                .map(|row| parse_row(row))
                .collect::<Result<_>>()?,
            mask: self.mask.clone(),
            scale: self.scale,
        })
    }
}

/// A method with its parameters.
fn parse_row(text: &str) -> Result<(String, Values)> {
    let (id, rest) = text.split_once(':').unwrap_or((text, ""));
    let mut values = Values::new();
    for part in rest.split(';').filter(|part| !part.trim().is_empty()) {
        let (param, value) = part
            .split_once('=')
            .ok_or_else(|| fault::figure_row(text))?;
        values.insert(param.trim().to_owned(), value.trim().to_owned());
    }
    Ok((id.trim().to_owned(), values))
}

#[derive(Args)]
pub(super) struct ViewArgs {
    /// Image: DICOM, PNG, JPEG, TIFF, BMP, WebP
    #[arg(long)]
    pub(super) image: PathBuf,
    /// Center and width in the file's units (after rescale), or a preset: file, file2, file3, ... (windows and tables
    /// of the file), full (smallest to largest value), percentile (1 to 99), and for CT soft, lung, bone
    /// [default: the file's first window, else its table, else full]
    #[arg(long, value_name = "C,W|PRESET", value_parser = parse_window, allow_hyphen_values = true)]
    pub(super) window: Option<Wanted>,
    /// Turns the grey levels, after the window
    #[arg(long)]
    pub(super) invert: bool,
    /// Frame of a file that has several, from 1
    #[arg(long, default_value_t = 1, value_parser = parse_frame)]
    pub(super) frame: usize,
    /// Regions to outline: NIH or RSNA CSV, COCO or CheXlocalize JSON, YOLO text, mask PNG
    #[arg(long, value_name = "FILE")]
    pub(super) regions: Option<PathBuf>,
    /// The PNG file: 8-bit, the stored rows and columns; grey, or colour where the file is or regions are drawn
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
}

#[derive(Args)]
pub(super) struct InspectArgs {
    /// Image, or a folder or DICOMDIR to list
    #[arg(long)]
    pub(super) image: PathBuf,
    /// Network whose preprocessing is tried [default: the shipped demo's and the two standard recipes]
    #[arg(long)]
    pub(super) model: Option<PathBuf>,
    /// Frame of a file that has several, from 1
    #[arg(long, default_value_t = 1, value_parser = parse_frame)]
    pub(super) frame: usize,
    /// Prints JSON: {name, format, sha256, width, height, bits, range, dicom, recipes: [...], notices}; of a folder
    /// {entries: [{name, format, size, dicom, problem}], notices}
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args)]
pub(super) struct TrainArgs {
    /// Data sets: folders with a manifest.csv, or CSV files
    #[arg(long, value_delimiter = ',', required = true, value_name = "DIR|CSV")]
    pub(super) data: Vec<PathBuf>,
    /// Training recipe: plain
    #[arg(long, default_value = "plain", value_parser = ["plain"])]
    pub(super) recipe: String,
    /// Folder for the network, its card and its numbers
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Seed of everything that is drawn
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Passes over the data
    #[arg(long)]
    pub(super) epochs: Option<usize>,
    /// Stops after this many minutes and keeps a checkpoint for --resume
    #[arg(long)]
    pub(super) minutes: Option<f64>,
    /// Starts from the weights of a network in this folder and trains gently (fine-tuning)
    #[arg(long, value_name = "DIR")]
    pub(super) from: Option<PathBuf>,
    /// Goes on from the checkpoint in the folder
    #[arg(long)]
    pub(super) resume: bool,
    /// Trains nothing: measures the network in the folder again and rewrites its card
    #[arg(long, conflicts_with_all = ["resume", "epochs", "minutes", "seed"])]
    pub(super) report: bool,
}

#[derive(Args)]
pub(super) struct SamplesArgs {
    /// Folder for the sample cases
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Instead of the sample cases, a data set of this many other synthetic people for training
    #[arg(long, value_name = "COUNT")]
    pub(super) people: Option<usize>,
    /// Seed of those people
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
}

#[derive(Args)]
pub(super) struct BenchArgs {
    /// Network to time [default: the shipped demo]
    #[arg(long)]
    pub(super) model: Option<PathBuf>,
    /// Where the arithmetic runs: auto, cpu, cuda, metal
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    pub(super) device: DeviceChoice,
    /// Repetitions of each row; the median is printed
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) reps: u16,
    /// Prints JSON: {model, kernels, threads, rows: [{id, what, median_s, min_s, reps}], operations, ...}
    #[arg(long)]
    pub(super) json: bool,
}

fn parse_activation(text: &str) -> Result<Activation, String> {
    Activation::ALL
        .into_iter()
        .find(|activation| activation.id() == text)
        .ok_or_else(|| "expected softmax or sigmoid".to_owned())
}

fn parse_share(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(v) if (0.0..=1.0).contains(&v) => Ok(v),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

fn parse_sigma(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(v) if v.is_finite() && (0.0..=1000.0).contains(&v) => Ok(v),
        _ => Err("expected pixels, 0 to 1000".to_owned()),
    }
}

/// `CENTER,WIDTH`, or the name of a preset.
fn parse_window(text: &str) -> Result<Wanted, String> {
    let Some((center, width)) = text.split_once(',') else {
        return Ok(Wanted::Preset(text.to_owned()));
    };
    match (center.trim().parse::<f64>(), width.trim().parse::<f64>()) {
        (Ok(c), Ok(w)) if c.is_finite() && w.is_finite() && w >= 1.0 => Ok(Wanted::Window(c, w)),
        _ => Err("expected CENTER,WIDTH, two numbers, the width at least 1".to_owned()),
    }
}

fn parse_frame(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(v) if v > 0 => Ok(v),
        _ => Err("expected a frame's number, from 1".to_owned()),
    }
}

fn parse_factor(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(v) if v.is_finite() && (-100.0..=100.0).contains(&v) => Ok(v),
        _ => Err("expected a number from -100 to 100".to_owned()),
    }
}

fn parse_score(text: &str) -> Result<Score, String> {
    Score::ALL
        .into_iter()
        .find(|score| score.id() == text)
        .ok_or_else(|| "expected logit or probability".to_owned())
}

fn parse_sign(text: &str) -> Result<Sign, String> {
    match text {
        "positive" => Ok(Sign::Positive),
        "negative" => Ok(Sign::Negative),
        "signed" => Ok(Sign::Signed),
        _ => Err("expected positive, negative or signed".to_owned()),
    }
}

fn parse_normalise(text: &str) -> Result<Normalise, String> {
    let fixed = || {
        let (lo, hi) = text.split_once("..")?;
        let (lo, hi) = (lo.parse::<f32>().ok()?, hi.parse::<f32>().ok()?);
        (lo.is_finite() && hi.is_finite() && lo < hi).then_some(Normalise::Fixed { lo, hi })
    };
    match text {
        "map" => Ok(Normalise::Map),
        "shared" => Ok(Normalise::Shared),
        _ => fixed().ok_or_else(|| "expected map, shared, or LO..HI with LO below HI".to_owned()),
    }
}

fn parse_colormap(text: &str) -> Result<Colormap, String> {
    Colormap::ALL
        .into_iter()
        .find(|c| c.id() == text)
        .ok_or_else(|| {
            format!(
                "expected one of {}",
                Colormap::ALL.map(Colormap::id).join(", ")
            )
        })
}

fn parse_device(text: &str) -> Result<DeviceChoice, String> {
    match text {
        "auto" => Ok(DeviceChoice::Auto),
        "cpu" => Ok(DeviceChoice::Cpu),
        "cuda" => Ok(DeviceChoice::Cuda),
        "metal" => Ok(DeviceChoice::Metal),
        _ => Err("expected auto, cpu, cuda or metal".to_owned()),
    }
}

fn parse_size(text: &str) -> Result<[f32; 2], String> {
    let size = || {
        let (w, h) = text.split_once('x')?;
        let size = [w.parse::<f32>().ok()?, h.parse::<f32>().ok()?];
        size.iter()
            .all(|v| (320.0..=8192.0).contains(v))
            .then_some(size)
    };
    size().ok_or_else(|| "expected WIDTHxHEIGHT, for example 1280x800".to_owned())
}

/// `METHOD.PARAM=VALUE`; method ids have no full stop.
fn parse_set(text: &str) -> Result<(String, String, String), String> {
    let parts = || {
        let (name, value) = text.split_once('=')?;
        let (method, param) = name.split_once('.')?;
        let filled = !method.is_empty() && !param.is_empty() && !value.is_empty();
        filled.then(|| (method.to_owned(), param.to_owned(), value.to_owned()))
    };
    parts().ok_or_else(|| "expected METHOD.PARAM=VALUE".to_owned())
}
