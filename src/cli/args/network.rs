//! Which network, and the verbs about one.

use std::path::{Path, PathBuf};

use clap::Args;

use super::parse::{parse_activation, parse_device};
use super::picture::ImageArgs;
use crate::error::Result;
use crate::plan::{Activation, DeviceChoice, GivenFacts, ModelSource, Preprocess};
use crate::text::fault;

#[derive(Args)]
pub(in crate::cli) struct ModelArgs {
    /// Network: a .safetensors file or a folder with model.safetensors
    #[arg(long, required_unless_present = "demo")]
    pub(in crate::cli) model: Option<PathBuf>,
    /// The shipped demo network (and, where an image is needed and none is given, a sample case)
    #[arg(long)]
    pub(in crate::cli) demo: bool,
    /// Labels of the outputs: a file with one a line, or a list; an empty one is a class that was never trained
    #[arg(long, value_name = "FILE|A,B,C")]
    pub(in crate::cli) labels: Option<String>,
    /// Preprocessing: imagenet, imagenet-crop, torchxrayvision, or a JSON file (a recipe,
    /// preprocessor_config.json, timm's config.json)
    #[arg(long, value_name = "NAME|FILE.json")]
    pub(in crate::cli) preprocess: Option<String>,
    /// How probabilities follow from logits: softmax, sigmoid
    #[arg(long, value_parser = parse_activation)]
    pub(in crate::cli) activation: Option<Activation>,
    /// Architecture, where the one recognised from the tensors is wrong
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) arch: Option<String>,
    /// Where the arithmetic runs: auto, cpu, cuda, metal
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    pub(in crate::cli) device: DeviceChoice,
}

impl ModelArgs {
    pub(in crate::cli) fn source(&self) -> ModelSource {
        match &self.model {
            Some(path) => ModelSource::Path(path.clone()),
            None => ModelSource::Demo,
        }
    }

    /// What the user says about the network.
    pub(in crate::cli) fn given(&self) -> Result<GivenFacts> {
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
fn label_lines(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_end();
    text.lines().map(|line| line.trim().to_owned()).collect()
}

#[derive(Args)]
pub(in crate::cli) struct PredictArgs {
    #[command(flatten)]
    pub(in crate::cli) model: ModelArgs,
    #[command(flatten)]
    pub(in crate::cli) image: ImageArgs,
    /// Prints JSON: {logits, findings: [{index, label, logit, probability, score where known}], notices}
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Args)]
pub(in crate::cli) struct LayersArgs {
    #[command(flatten)]
    pub(in crate::cli) model: ModelArgs,
    /// Prints JSON: [{name, op, shape, resolution, receptive_field, explainable, alias_of}]
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Args)]
pub(in crate::cli) struct FactsArgs {
    #[command(flatten)]
    pub(in crate::cli) model: ModelArgs,
    /// Writes what is no guess into config.json and preprocessor_config.json beside the network
    #[arg(long)]
    pub(in crate::cli) save: bool,
    /// Prints JSON: {arch, labels, activation, recipe, ...}, each {value, from: read|given|guessed}
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
