//! Arguments, by verb, and how they become a plan.

mod maps;
mod network;
mod parse;
mod picture;
mod work;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::plan::DeviceChoice;
use parse::{parse_device, parse_size};
use picture::FrameArgs;

pub(super) use maps::{ExplainArgs, FigureArgs};
pub(super) use network::{FactsArgs, LayersArgs, ModelArgs, PredictArgs};
pub(super) use picture::{InspectArgs, ViewArgs};
pub(super) use work::{BenchArgs, MethodsArgs, SamplesArgs, TrainArgs};

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
    #[command(flatten)]
    pub(super) frame: FrameArgs,
    /// Network: a .safetensors file or a folder with model.safetensors [default: the shipped demo]
    #[arg(long)]
    pub(super) model: Option<PathBuf>,
    /// Writes a picture of the window to FILE once the first maps stand, and leaves
    #[arg(long, value_name = "FILE")]
    pub(super) screenshot: Option<PathBuf>,
    /// Size of the window in points
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    pub(super) size: Option<[f32; 2]>,
    /// Light colours, whatever was chosen before
    #[arg(long)]
    pub(super) light: bool,
    /// Keeps names and places of the window's controls in FILE as JSON, for scripts that drive it: [{role, name,
    /// rect: [left, top, right, bottom], focused}], places in points
    #[arg(long, value_name = "FILE")]
    pub(super) controls: Option<PathBuf>,
    /// Where the arithmetic runs: auto, cpu, cuda, metal
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    pub(super) device: DeviceChoice,
}
