//! What the tensors cannot tell: labels, activation, preprocessing. Each fact carries where it came
//! from, and a guess is shown as a guess.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::preprocess::Recipe;
use crate::text::notice;

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

/// How probabilities follow from logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// One of several classes.
    Softmax,
    /// Each finding by itself.
    Sigmoid,
}

/// Everything about a network that its tensors do not say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The architecture's name.
    pub arch: Fact<String>,
    /// One label a logit; empty when nobody named them.
    pub labels: Fact<Vec<String>>,
    /// How probabilities follow from logits.
    pub activation: Fact<Activation>,
    /// How an image becomes an input; `None` when there is no sensible guess.
    pub recipe: Option<Fact<Recipe>>,
    /// What logits are divided by before the activation, where the network was calibrated.
    pub temperature: Option<f32>,
    /// Probability from which the last label counts as found, where one was chosen.
    pub operating_point: Option<f32>,
    /// A few lines from the network's card.
    pub card: Option<String>,
}

impl Facts {
    /// Reads facts from the `__metadata__` of a safetensors file (keys `camlens.*`) and guesses the rest.
    pub(super) fn gather(
        arch: String,
        channels: usize,
        classes: usize,
        metadata: &BTreeMap<String, String>,
    ) -> Self {
        let get = |key: &str| metadata.get(&format!("camlens.{key}"));
        let labels = get("labels")
            .and_then(|text| serde_json::from_str::<Vec<String>>(text).ok())
            .filter(|labels| labels.len() == classes);
        let activation = match get("activation").map(String::as_str) {
            Some("softmax") => Some(Activation::Softmax),
            Some("sigmoid") => Some(Activation::Sigmoid),
            _ => None,
        };
        let recipe = get("recipe").and_then(|text| serde_json::from_str::<Recipe>(text).ok());
        let number = |key: &str| {
            get(key)
                .and_then(|text| text.parse::<f32>().ok())
                .filter(|v| v.is_finite() && *v > 0.0)
        };
        // Many findings on one grey channel is how multi-label chest models are made.
        let multi_label = classes == 1 || (channels == 1 && classes > 5);
        Self {
            arch: Fact {
                value: arch,
                from: Provenance::Read,
            },
            labels: fact(labels, Vec::new),
            activation: fact(activation, || {
                if multi_label {
                    Activation::Sigmoid
                } else {
                    Activation::Softmax
                }
            }),
            recipe: match recipe {
                Some(recipe) => Some(Fact {
                    value: recipe,
                    from: Provenance::Read,
                }),
                None => guessed_recipe(channels).map(|value| Fact {
                    value,
                    from: Provenance::Guessed,
                }),
            },
            temperature: number("temperature"),
            operating_point: number("operating_point"),
            card: get("card").cloned(),
        }
    }

    /// The label of a class, or its number where nobody named it.
    pub fn label(&self, class: usize) -> String {
        self.labels
            .value
            .get(class)
            .cloned()
            .unwrap_or_else(|| crate::text::class_number(class))
    }

    /// Probability from which a class is called, where the network says so: its operating point
    /// belongs to the last label.
    pub fn threshold(&self, class: usize) -> Option<f32> {
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

    /// Lets a guessed recipe make square inputs of `side`, the size that the architecture was made for.
    pub(super) fn guess_side(&mut self, side: usize) {
        if let Some(recipe) = &mut self.recipe
            && recipe.from == Provenance::Guessed
        {
            recipe.value.width = side;
            recipe.value.height = side;
        }
    }

    /// What was guessed, in words.
    pub fn guesses(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.labels.from == Provenance::Guessed {
            words.push(notice::no_labels());
        }
        if self.activation.from == Provenance::Guessed {
            words.push(notice::guessed_activation(match self.activation.value {
                Activation::Softmax => "softmax",
                Activation::Sigmoid => "sigmoid",
            }));
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
        let t = self.temperature.unwrap_or(1.0);
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
        Some(value) => Fact {
            value,
            from: Provenance::Read,
        },
        None => Fact {
            value: guess(),
            from: Provenance::Guessed,
        },
    }
}

/// ImageNet for three channels, TorchXRayVision for one.
fn guessed_recipe(channels: usize) -> Option<Recipe> {
    match channels {
        3 => Some(Recipe::imagenet(3, [224, 224])),
        1 => Some(Recipe::torchxrayvision([224, 224])),
        _ => None,
    }
}
