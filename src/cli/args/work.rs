//! The verbs that make what ships, list what there is, and time it.

use std::path::PathBuf;

use clap::Args;

use super::parse::parse_device;
use crate::plan::DeviceChoice;

#[derive(Args)]
pub(in crate::cli) struct MethodsArgs {
    /// Prints JSON: [{id, label, family, ...}]
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Prints the tables of the README
    #[arg(long, conflicts_with = "json")]
    pub(in crate::cli) markdown: bool,
    /// Prints the sources as BibTeX
    #[arg(long, conflicts_with_all = ["json", "markdown"])]
    pub(in crate::cli) bibtex: bool,
}

#[derive(Args)]
pub(in crate::cli) struct TrainArgs {
    /// Data sets: folders with a manifest.csv, or CSV files
    #[arg(long, value_delimiter = ',', required = true, value_name = "DIR|CSV")]
    pub(in crate::cli) data: Vec<PathBuf>,
    /// Training recipe: plain
    #[arg(long, default_value = "plain", value_parser = ["plain"])]
    pub(in crate::cli) recipe: String,
    /// Folder for the network, its card and its numbers
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: PathBuf,
    /// Seed of everything that is drawn
    #[arg(long)]
    pub(in crate::cli) seed: Option<u64>,
    /// Passes over the data
    #[arg(long)]
    pub(in crate::cli) epochs: Option<usize>,
    /// Stops after this many minutes and keeps a checkpoint for --resume
    #[arg(long)]
    pub(in crate::cli) minutes: Option<f64>,
    /// Starts from the weights of a network in this folder and trains gently (fine-tuning)
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) from: Option<PathBuf>,
    /// Goes on from the checkpoint in the folder
    #[arg(long)]
    pub(in crate::cli) resume: bool,
    /// Trains nothing: measures the network in the folder again and rewrites its card
    #[arg(long, conflicts_with_all = ["resume", "epochs", "minutes", "seed"])]
    pub(in crate::cli) report: bool,
}

#[derive(Args)]
pub(in crate::cli) struct SamplesArgs {
    /// Folder for the sample cases
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: PathBuf,
    /// Instead of the sample cases, a data set of this many other synthetic people for training
    #[arg(long, value_name = "COUNT")]
    pub(in crate::cli) people: Option<usize>,
    /// Seed of those people
    #[arg(long, default_value_t = 1)]
    pub(in crate::cli) seed: u64,
}

#[derive(Args)]
pub(in crate::cli) struct BenchArgs {
    /// Network to time [default: the shipped demo]
    #[arg(long)]
    pub(in crate::cli) model: Option<PathBuf>,
    /// Where the arithmetic runs: auto, cpu, cuda, metal
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    pub(in crate::cli) device: DeviceChoice,
    /// Repetitions of each row; the median is printed
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(in crate::cli) reps: u16,
    /// Only these rows (by the ids of --json), separated by commas; also `operations` and `cancel`
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub(in crate::cli) only: Vec<String>,
    /// Opens the window (1600 x 900), drives it with a scripted pointer and times its frames instead
    #[arg(long, conflicts_with_all = ["reps", "only"])]
    pub(in crate::cli) window: bool,
    /// Prints JSON: {model, kernels, threads, rows: [{id, what, median_s, min_s, reps}], cancelled: [{id, what, median_s,
    /// worst_s, times}], operations, ...}; of the window {size, rows: [{id, what, frames, changes, own: {median_ms,
    /// p95_ms}, own_on_processor, work, interval, changes_per_s}]}
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
