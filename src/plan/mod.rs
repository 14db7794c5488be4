//! What is to be done, as plain data: checked, comparable, hashable, written into every manifest.
//!
//! The command line's arguments and the window's sliders both end up here; nothing below this
//! module knows where a value came from.

mod facts;
mod settings;
mod source;
mod target;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use facts::{Activation, GivenFacts, Preprocess};
pub use settings::{Colormap, Contours, Normalise, OpacityMode, Post, Sign, View};
pub use source::{DeviceChoice, ImageSource, ModelSource};
pub use target::{Against, Factor, Score, Target};

/// Values of one method's parameters by id; what is absent has its default.
pub type Values = BTreeMap<String, String>;

/// One explanation job: a network, an image, a target, methods and layers, and how maps are shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The network.
    pub model: ModelSource,
    /// Architecture, where the user overrides what the tensors say.
    pub arch: Option<String>,
    /// What the user says about the network.
    #[serde(default)]
    pub given: GivenFacts,
    /// The image.
    pub image: ImageSource,
    /// Where the arithmetic runs.
    pub device: DeviceChoice,
    /// Class index or label; `None` for the highest logit.
    pub class: Option<String>,
    /// Class to set it against, index or label.
    #[serde(default)]
    pub against: Option<String>,
    /// Factor of the class that it is set against.
    #[serde(default = "one")]
    pub against_factor: f32,
    /// Which number of a class is explained.
    #[serde(default)]
    pub score: Score,
    /// Whether the score's sign is turned (counterfactual; the complement of a single output).
    #[serde(default)]
    pub negated: bool,
    /// Catalogue ids of methods.
    pub methods: Vec<String>,
    /// Layer names, or `last`, `stages`, `all`.
    pub layers: Vec<String>,
    /// Parameters by method.
    pub params: BTreeMap<String, Values>,
    /// The sign that every map is shown with; `None` for the one that is usual for its method. It stands above
    /// `post.sign`.
    #[serde(default)]
    pub sign: Option<Sign>,
    /// From raw maps to presentable ones.
    pub post: Post,
    /// How they are shown.
    pub view: View,
    /// A file of regions that maps are measured against.
    #[serde(default)]
    pub regions: Option<PathBuf>,
}

impl Plan {
    /// The steps to a presentable map of a method whose usual sign is `usual`.
    pub fn post_for(&self, usual: Sign) -> Post {
        Post {
            sign: self.sign.unwrap_or(usual),
            ..self.post
        }
    }
}

fn one() -> f32 {
    1.0
}

/// Which map is meant: a method at a layer for a class, with parameters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MapKey {
    /// Catalogue id of the method.
    pub method: String,
    /// Layer name or alias.
    pub layer: String,
    /// What is explained.
    pub target: Target,
    /// Parameters that differ from their defaults.
    pub params: Values,
}
