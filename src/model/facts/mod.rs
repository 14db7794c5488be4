//! What the tensors cannot tell: labels, activation, preprocessing. Each fact carries where it came
//! from, and a guess is shown as a guess.
//!
//! What the user gives comes before `config.json` and `preprocessor_config.json`, these before the file's
//! own metadata, and a guess last.

mod document;
mod preprocessing;
mod save;
mod sources;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Result;
pub use crate::plan::Activation;
use crate::plan::Preprocess;
use crate::preprocess::Recipe;
use crate::text::{fault, notice};
pub use document::Document;
pub use save::{config_json, preprocessor_json};
pub use sources::{CONFIG, PREPROCESSOR, Sources};

/// The findings of TorchXRayVision's networks, in their order (`torchxrayvision.datasets.default_pathologies`).
pub const XRV_FINDINGS: [&str; 18] = [
    "Atelectasis",
    "Consolidation",
    "Infiltration",
    "Pneumothorax",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Effusion",
    "Pneumonia",
    "Pleural_Thickening",
    "Cardiomegaly",
    "Nodule",
    "Mass",
    "Hernia",
    "Lung Lesion",
    "Fracture",
    "Lung Opacity",
    "Enlarged Cardiomediastinum",
];

/// Where a fact came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provenance {
    /// Read from the network's own files.
    Read,
    /// Given by the user.
    Given,
    /// Concluded from shapes and custom.
    Guessed,
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub from: Provenance,
}

/// Everything about a network that its tensors do not say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The architecture's name.
    pub arch: Fact<String>,
    /// One label a logit; empty when nobody named them. An empty text is a class that was never trained.
    pub labels: Fact<Vec<String>>,
    /// How probabilities follow from logits.
    pub activation: Fact<Activation>,
    /// How an image becomes an input; `None` when there is no sensible guess.
    pub recipe: Option<Fact<Recipe>>,
    /// TorchXRayVision's operating points: the probability of each class that its score puts at a half;
    /// `None` for a class that was never trained.
    pub op_threshs: Option<Fact<Vec<Option<f32>>>>,
    /// What logits are divided by before the activation, where the network was calibrated.
    pub temperature: Option<f32>,
    /// Probability from which the last label counts as found, where one was chosen.
    pub operating_point: Option<f32>,
    /// A few lines from the network's card.
    pub card: Option<String>,
}

impl Facts {
    /// Gathers what is known about a network of this architecture, with what does not go together in words.
    /// `name` is its file's, for messages.
    ///
    /// # Errors
    /// Values that are not what they should be, by name; labels or preprocessing given by the user that do not fit.
    pub fn gather(
        name: &str,
        arch: String,
        channels: usize,
        classes: usize,
        sources: &Sources,
    ) -> Result<(Self, Vec<String>)> {
        let mut notices = Vec::new();
        let get = |key: &str| sources.metadata.get(&format!("camlens.{key}"));
        let given = &sources.given;
        for (key, is) in [("num_labels", classes), ("num_channels", channels)] {
            if let Some(says) = sources.count(key).filter(|says| *says != is) {
                notices.push(notice::config_contradicts(CONFIG, key, says, is));
            }
        }
        // Both of TorchXRayVision's families have one channel and these 18 outputs.
        let is_xrv = channels == 1
            && classes == XRV_FINDINGS.len()
            && ["densenet", "resnet"]
                .iter()
                .any(|family| arch.starts_with(family));
        let labels = labels(sources, classes, is_xrv, &mut notices)?;

        let in_metadata = match get("activation").map(String::as_str) {
            Some("softmax") => Some(Activation::Softmax),
            Some("sigmoid") => Some(Activation::Sigmoid),
            _ => None,
        };
        let activation = match given.activation {
            Some(value) => Fact::given(value),
            // Many findings on one grey channel is how multi-label chest models are made.
            None => fact(sources.config_activation()?.or(in_metadata), || {
                if classes == 1 || (channels == 1 && classes > 5) {
                    Activation::Sigmoid
                } else {
                    Activation::Softmax
                }
            }),
        };
        let size = match sources.image_size()?.or(sources.size) {
            Some(size) => size,
            // Its ResNet was trained at 512, its DenseNets at 224.
            None if is_xrv && arch.starts_with("resnet") => [512, 512],
            None => [224, 224],
        };
        let number = |key: &str| {
            get(key)
                .and_then(|text| text.parse::<f32>().ok())
                .filter(|v| v.is_finite() && *v > 0.0)
        };
        let facts = Self {
            recipe: recipe(sources, channels, size)?,
            op_threshs: sources.op_threshs(name, classes)?.map(Fact::read),
            arch: Fact::read(arch),
            labels,
            activation,
            temperature: number("temperature"),
            operating_point: number("operating_point"),
            card: get("card").cloned(),
        };
        let untrained = (0..classes)
            .filter(|class| !facts.is_trained(*class))
            .count();
        if untrained > 0 {
            notices.push(notice::untrained_classes(untrained, classes));
        }
        Ok((facts, notices))
    }

    /// Whether a class was trained: its label is not empty and its operating point is a number, where there
    /// are such.
    pub fn is_trained(&self, class: usize) -> bool {
        let named = self
            .labels
            .value
            .get(class)
            .is_none_or(|label| !label.is_empty());
        let point = self.op_threshs.as_ref().and_then(|f| f.value.get(class));
        named && point != Some(&None)
    }

    /// TorchXRayVision's display score of a probability: its operating point lies at a half, 0 and 1 stay
    /// (`torchxrayvision.models.op_norm`). `None` without an operating point.
    pub fn score(&self, class: usize, probability: f32) -> Option<f32> {
        let t = (*self.op_threshs.as_ref()?.value.get(class)?)?;
        Some(if probability < t {
            probability / (2.0 * t)
        } else {
            1.0 - (1.0 - probability) / (2.0 * (1.0 - t))
        })
    }

    /// The label of a class, or its number where nobody named it.
    pub fn label(&self, class: usize) -> String {
        match self.labels.value.get(class) {
            _ if !self.is_trained(class) => crate::text::untrained_class(class),
            Some(label) => label.clone(),
            None => crate::text::class_number(class),
        }
    }

    /// Probability from which a class is called, where the network says so: one of TorchXRayVision's
    /// operating points, or its own, which belongs to the last label.
    pub fn threshold(&self, class: usize) -> Option<f32> {
        if let Some(points) = &self.op_threshs {
            return points.value.get(class).copied().flatten();
        }
        let is_last = class + 1 == self.labels.value.len();
        self.operating_point.filter(|_| is_last)
    }

    /// Whether the network calls a class, given the probabilities of all: from its threshold on, from a half
    /// where it names none. Of many exclusive classes the most probable is what it says, even under a half.
    pub fn calls(&self, class: usize, probabilities: &[f32]) -> bool {
        let Some(&p) = probabilities.get(class) else {
            return false;
        };
        let is_top = probabilities.iter().all(|other| *other <= p);
        let exclusive = self.activation.value == Activation::Softmax && probabilities.len() > 2;
        (exclusive && is_top) || p >= self.threshold(class).unwrap_or(0.5)
    }

    /// What was guessed, in words.
    pub fn guesses(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.labels.from == Provenance::Guessed {
            words.push(if self.labels.value.is_empty() {
                notice::no_labels()
            } else {
                notice::guessed_xrv_labels()
            });
        }
        if self.activation.from == Provenance::Guessed {
            words.push(notice::guessed_activation(self.activation.value.id()));
        }
        if let Some(recipe) = &self.recipe
            && recipe.from == Provenance::Guessed
        {
            words.push(notice::guessed_recipe(&recipe.value.name));
        }
        words
    }

    /// Probabilities of logits, calibrated where the network has a temperature.
    pub fn probabilities(&self, logits: &[f32]) -> Vec<f32> {
        self.probabilities_at(logits, self.temperature.unwrap_or(1.0))
    }

    /// Probabilities of logits that are divided by the temperature `t` first; 1 leaves them as they are.
    pub fn probabilities_at(&self, logits: &[f32], t: f32) -> Vec<f32> {
        match self.activation.value {
            Activation::Sigmoid => logits
                .iter()
                .map(|z| 1.0 / (1.0 + (-z / t).exp()))
                .collect(),
            Activation::Softmax => {
                let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let exp: Vec<f32> = logits.iter().map(|z| ((z - max) / t).exp()).collect();
                let sum: f32 = exp.iter().sum();
                exp.into_iter().map(|e| e / sum).collect()
            }
        }
    }
}

fn fact<T>(read: Option<T>, guess: impl FnOnce() -> T) -> Fact<T> {
    match read {
        Some(value) => Fact::read(value),
        None => Fact {
            value: guess(),
            from: Provenance::Guessed,
        },
    }
}

fn labels(
    sources: &Sources,
    classes: usize,
    is_xrv: bool,
    notices: &mut Vec<String>,
) -> Result<Fact<Vec<String>>> {
    if let Some(labels) = &sources.given.labels {
        check_labels(labels, classes)?;
        return Ok(Fact::given(labels.clone()));
    }
    if let Some(labels) = sources.config_labels()? {
        if labels.len() == classes {
            return Ok(Fact::read(labels));
        }
        notices.push(notice::labels_not_used(CONFIG, labels.len(), classes));
    }
    let in_metadata = sources
        .metadata
        .get("camlens.labels")
        .and_then(|text| serde_json::from_str::<Vec<String>>(text).ok())
        .filter(|labels| labels.len() == classes && labels.iter().all(|l| document::is_label(l)));
    Ok(fact(in_metadata, || {
        if is_xrv {
            XRV_FINDINGS.map(str::to_owned).to_vec()
        } else {
            Vec::new()
        }
    }))
}

/// Whether labels that a user gives fit a network with so many classes.
///
/// # Errors
/// Too few or too many, a label of several lines, no label that is not empty.
pub fn check_labels(labels: &[String], classes: usize) -> Result<()> {
    if labels.len() != classes {
        return Err(fault::label_count(labels.len(), classes));
    }
    if let Some(bad) = labels.iter().position(|label| !document::is_label(label)) {
        return Err(fault::bad_label(bad, "is not one short line of text"));
    }
    if labels.iter().all(String::is_empty) {
        return Err(fault::bad_label(
            0,
            "and all others are empty; at least one class must have a name",
        ));
    }
    Ok(())
}

fn recipe(sources: &Sources, channels: usize, size: [usize; 2]) -> Result<Option<Fact<Recipe>>> {
    if let Some(wanted) = &sources.given.preprocess {
        // A recipe by name keeps the size that the network's own files state.
        let own = sources.given_size(channels).unwrap_or(size);
        let recipe = match wanted {
            Preprocess::Named(name) => Recipe::by_name(name, channels, own)?,
            Preprocess::File(path) => recipe_file(path, channels)?,
        };
        return Ok(Some(Fact::given(recipe)));
    }
    if !matches!(channels, 1 | 3) {
        return Ok(None);
    }
    Ok(Some(match read_recipe(sources, channels)? {
        Some(recipe) => Fact::read(recipe),
        None => Fact {
            value: if channels == 3 {
                Recipe::imagenet(3, size)
            } else {
                Recipe::torchxrayvision(size)
            },
            from: Provenance::Guessed,
        },
    }))
}

/// The recipe that the network's files state.
fn read_recipe(sources: &Sources, channels: usize) -> Result<Option<Recipe>> {
    if let Some(doc) = &sources.preprocessor {
        if let Some(own) = save::own_recipe(doc, channels) {
            return Ok(Some(own));
        }
        return preprocessing::preprocessor(doc, channels).map(Some);
    }
    if let Some(config) = &sources.config
        && let Some(cfg) = config.object("pretrained_cfg")?
    {
        return preprocessing::timm(&cfg, channels).map(Some);
    }
    let text = sources.metadata.get("camlens.recipe");
    Ok(text
        .and_then(|text| serde_json::from_str::<Recipe>(text).ok())
        .filter(|recipe| recipe.channels == channels && recipe.check().is_ok()))
}

impl Sources {
    /// `[width, height]` of the recipe that the network's files state.
    fn given_size(&self, channels: usize) -> Option<[usize; 2]> {
        let recipe = read_recipe(self, channels).ok().flatten()?;
        Some([recipe.width, recipe.height])
    }
}

/// Reads a recipe from a JSON file of any of the three kinds.
fn recipe_file(path: &Path, channels: usize) -> Result<Recipe> {
    let doc = Document::open(path)?
        .ok_or_else(|| fault::read(path, &std::io::Error::from(std::io::ErrorKind::NotFound)))?;
    preprocessing::any(&doc, channels)
}

impl<T> Fact<T> {
    /// A fact from the network's files.
    pub fn read(value: T) -> Self {
        Self {
            value,
            from: Provenance::Read,
        }
    }

    /// A fact from the user.
    pub fn given(value: T) -> Self {
        Self {
            value,
            from: Provenance::Given,
        }
    }
}

impl Provenance {
    /// The word on the command line and in manifests.
    pub fn id(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Given => "given",
            Self::Guessed => "guessed",
        }
    }
}
