//! What a user says about a network, in place of what its files say or what would be guessed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How probabilities follow from logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// One of several classes.
    Softmax,
    /// Each finding by itself.
    Sigmoid,
}

impl Activation {
    /// Both, in the order of menus.
    pub const ALL: [Self; 2] = [Self::Softmax, Self::Sigmoid];

    /// The name on the command line and in manifests.
    pub fn id(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Sigmoid => "sigmoid",
        }
    }
}

/// Preprocessing that a user names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preprocess {
    /// One of the recipes in the program: `imagenet`, `imagenet-crop`, `torchxrayvision`.
    Named(String),
    /// A JSON file: a recipe of this program, a `preprocessor_config.json`, or timm's `config.json`.
    File(PathBuf),
}

/// Facts that a user gives; what is absent is read or guessed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct GivenFacts {
    /// One label a logit; an empty one is a class that was never trained.
    pub labels: Option<Vec<String>>,
    /// How an image becomes an input.
    pub preprocess: Option<Preprocess>,
    /// How probabilities follow from logits.
    pub activation: Option<Activation>,
}
