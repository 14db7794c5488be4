//! What is to be done, as plain data: checked, comparable, hashable, written into every manifest.
//!
//! The command line's arguments and the window's sliders both end up here; nothing below this
//! module knows where a value came from.

mod facts;
mod settings;
mod source;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use facts::{Activation, GivenFacts, Preprocess};
pub use settings::{Colormap, Normalise, OpacityMode, Post, Sign, View};
pub use source::{DeviceChoice, ImageSource, ModelSource};

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
    /// Catalogue ids of methods.
    pub methods: Vec<String>,
    /// Layer names, or `last`, `stages`, `all`.
    pub layers: Vec<String>,
    /// Parameters by method.
    pub params: BTreeMap<String, Values>,
    /// From raw maps to presentable ones.
    pub post: Post,
    /// How they are shown.
    pub view: View,
}

/// Which map is meant: a method at a layer for a class, with parameters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MapKey {
    /// Catalogue id of the method.
    pub method: String,
    /// Layer name or alias.
    pub layer: String,
    /// Class index.
    pub target: usize,
    /// Parameters that differ from their defaults.
    pub params: Values,
}
