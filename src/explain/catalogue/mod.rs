//! One row for each method: what menus, tooltips, `camlens methods` and the manifests are made from.

mod attention;
mod gradient_cams;
mod other_cams;
mod perturbation;
mod pixels;
mod relevance;

use serde::Serialize;

use super::channels::Channels;
use super::evidence::Evidence;
use super::relevance::Composite;
use super::settings::Settings;
use super::study::Study;
use super::task::{Drawn, Steps};
use crate::error::Result;
use crate::model::graph::ATTENTION;
use crate::plan::{Sign, Values};
use crate::text::{fault, method as words};

/// What a method reads of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// A layer's activations only.
    Activations,
    /// Activations and the gradient of the target.
    Gradients,
    /// Activations and the weights of the classifier.
    HeadWeights,
    /// Activations, and outputs of the network for changed inputs or layers.
    ActivationsAndOutputs,
    /// Outputs of the network for changed inputs; the network may be a black box.
    Outputs,
}

impl Reads {
    /// Whether gradients are read.
    pub fn gradients(self) -> bool {
        matches!(self, Self::Gradients)
    }
}

/// Where a method makes its map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// At any layer; the last one unless another is asked for.
    Layer,
    /// At any layer; the input unless another is asked for.
    Pixels,
    /// Of the input as a whole; no layer is chosen.
    Image,
    /// In the network's attention branch; no layer is chosen.
    Branch,
}

impl Place {
    /// Whether a map can be asked for at one layer or another.
    pub fn has_layers(self) -> bool {
        matches!(self, Self::Layer | Self::Pixels)
    }
}

/// Passes through the network that one map takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Passes {
    /// Forward passes.
    pub forward: usize,
    /// Reverse walks.
    pub backward: usize,
}

/// What the number of passes depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout<'a> {
    /// Channels K of the layer.
    pub channels: usize,
    /// `[rows, columns]` of the network's input.
    pub input: [usize; 2],
    /// Channels of the stages up to the layer.
    pub stages: &'a [usize],
    /// Channels of the network's last layer.
    pub last: usize,
}

/// What a method costs.
#[derive(Clone, Copy, Serialize)]
pub struct Cost {
    /// As a formula, F a forward pass, B a reverse walk, K the layer's channels: "1 F + K F".
    pub formula: &'static str,
    /// Whether all methods of this kind at all layers share one forward pass and one reverse walk.
    pub shared: bool,
    /// Passes as a function of the layer and the parameters.
    #[serde(skip)]
    pub(super) passes: fn(&Layout<'_>, &Settings) -> Passes,
}

/// The values that a parameter can take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Domain {
    /// One of several words; the first is the default.
    Choice(&'static [&'static str]),
    /// A number.
    Number {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
        /// The value unless another is given.
        default: f64,
        /// Whether only whole numbers make sense.
        whole: bool,
    },
    /// Rules of relevance propagation by layer, as [`Composite`] reads them.
    Rules {
        /// The rules unless others are given.
        default: &'static str,
    },
}

/// A parameter of a method.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Param {
    /// Name on the command line, `--set METHOD.PARAM=VALUE`.
    pub id: &'static str,
    /// What it changes.
    pub help: &'static str,
    /// The values that it can take.
    pub domain: Domain,
}

impl Param {
    /// The value unless another is given, as text.
    pub fn default_text(&self) -> String {
        match self.domain {
            Domain::Choice(words) => words.first().copied().unwrap_or_default().to_owned(),
            Domain::Number { default, .. } => default.to_string(),
            Domain::Rules { default } => default.to_owned(),
        }
    }

    fn accepts(&self, value: &str) -> bool {
        match self.domain {
            Domain::Choice(words) => words.contains(&value),
            Domain::Number {
                min, max, whole, ..
            } => value.parse::<f64>().is_ok_and(|v| {
                v.is_finite() && (min..=max).contains(&v) && (!whole || v.fract() == 0.0)
            }),
            Domain::Rules { .. } => value.parse::<Composite>().is_ok(),
        }
    }

    /// Why a value cannot be taken, in words; `None` where it can.
    pub fn fault(&self, value: &str) -> Option<String> {
        match self.domain {
            Domain::Rules { .. } => value.parse::<Composite>().err().map(|e| e.to_string()),
            _ => (!self.accepts(value)).then(|| self.expected()),
        }
    }

    /// The values that it can take, in words.
    pub fn expected(&self) -> String {
        match self.domain {
            Domain::Choice(words) => words.join(", "),
            Domain::Number {
                min, max, whole, ..
            } => {
                let kind = if whole { "a whole number, " } else { "" };
                format!("{kind}{min} to {max}")
            }
            Domain::Rules { .. } => words::RULES.to_owned(),
        }
    }
}

/// A published source.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Citation {
    /// Authors, title, venue and year in one line.
    pub text: &'static str,
    /// BibTeX entry.
    pub bibtex: &'static str,
}

/// An explanation method.
#[derive(Clone, Copy, Serialize)]
pub struct Method {
    /// Name on the command line and in manifests.
    pub id: &'static str,
    /// Name for people.
    pub label: &'static str,
    /// Family for menus.
    pub family: &'static str,
    /// Whether the map depends on the class that is asked about.
    pub class_discriminative: bool,
    /// What it reads.
    pub reads: Reads,
    /// Where it makes its map.
    pub place: Place,
    /// What it costs.
    pub cost: Cost,
    /// Parameters.
    pub params: &'static [Param],
    /// What the map shows, in a sentence or two.
    pub shows: &'static str,
    /// Where it is known to mislead.
    pub weakness: &'static str,
    /// What is our own reconstruction, where sources are silent or disagree.
    pub reconstruction: Option<&'static str>,
    /// Formula in the paper's symbols.
    pub formula: &'static str,
    /// Where it comes from.
    pub citation: Citation,
    /// How the computation is done.
    #[serde(skip)]
    pub(super) compute: Compute,
}

/// Weighted channels out of one layer's activations and gradients.
pub(super) type ChannelsOf = fn(&Evidence<'_>, &Settings) -> Result<Channels>;

/// How a method is computed.
#[derive(Clone, Copy)]
pub(super) enum Compute {
    /// From one layer's activations and gradients: weighted channels, at once.
    Channels(ChannelsOf),
    /// At once, with whatever the study gives.
    Map(fn(&mut Study<'_>, &Settings) -> Result<Drawn>),
    /// Over many passes, step by step.
    Steps(fn(&mut Study<'_>, &Settings) -> Result<Box<dyn Steps>>),
}

impl std::fmt::Debug for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

impl Method {
    /// Checks parameters given by the user.
    ///
    /// # Errors
    /// Names the unknown parameter or the range of a known one.
    pub fn check(&self, values: &Values) -> Result<()> {
        for (id, value) in values {
            let Some(param) = self.params.iter().find(|p| p.id == id) else {
                let known: Vec<&str> = self.params.iter().map(|p| p.id).collect();
                let known = if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                };
                return Err(fault::no_such_param(self.id, id, &known));
            };
            if !param.accepts(value) {
                return Err(fault::param_value(self.id, id, value, &param.expected()));
            }
        }
        Ok(())
    }

    /// Checked parameters with every default filled in.
    ///
    /// # Errors
    /// As [`Method::check`].
    pub fn settings(&self, values: &Values) -> Result<Settings> {
        self.check(values)?;
        Ok(Settings::new(self.resolved(values)))
    }

    /// Passes that a map takes; parameters that are out of range count as their defaults.
    pub fn passes(&self, layout: &Layout<'_>, values: &Values) -> Passes {
        let settings = self
            .settings(values)
            .unwrap_or_else(|_| Settings::new(self.resolved(&Values::new())));
        let passes = (self.cost.passes)(layout, &settings);
        // Six changed inputs, each as dear as the plain map.
        let times = if settings.is(AUG_SMOOTH.id, YES) {
            6
        } else {
            1
        };
        Passes {
            forward: passes.forward * times,
            backward: passes.backward * times,
        }
    }

    /// Whether the map is there as soon as the shared forward pass and reverse walk are.
    pub fn is_instant(&self, values: &Values) -> bool {
        let is_set = |id: &str| values.get(id).is_some_and(|v| v == YES);
        self.cost.shared && !is_set(AUG_SMOOTH.id)
    }

    /// Whether one layer's activations and gradients are all that is read.
    pub fn reads_one_layer(&self, values: &Values) -> bool {
        let fused = values.get(FUSION.id).is_some_and(|v| v != NONE);
        matches!(self.compute, Compute::Channels(_)) && !fused
    }

    /// The layer of the map where `layer` was asked for.
    pub fn layer_of<'a>(&self, layer: &'a str) -> &'a str {
        match self.place {
            Place::Image => INPUT,
            Place::Branch => ATTENTION,
            Place::Layer | Place::Pixels => layer,
        }
    }

    /// Whether the map is relevance handed down through the network: its values have both signs, and their sums can be
    /// followed from layer to layer.
    pub fn is_relevance(&self) -> bool {
        self.family == relevance::LRP
    }

    /// The sign that the map is shown with unless another is asked for: relevance with both (Bach et al. 2015), all
    /// others with what speaks for the target.
    pub fn usual_sign(&self) -> Sign {
        if self.is_relevance() {
            Sign::Signed
        } else {
            Sign::Positive
        }
    }

    /// All parameters with the values that hold.
    pub fn resolved(&self, values: &Values) -> Values {
        self.params
            .iter()
            .map(|p| {
                let value = values
                    .get(p.id)
                    .cloned()
                    .unwrap_or_else(|| p.default_text());
                (p.id.to_owned(), value)
            })
            .collect()
    }
}

/// Name of the input among layers.
pub const INPUT: &str = "input";

/// Tables of rows in the order of menus.
const TABLES: &[&[Method]] = &[
    gradient_cams::ROWS,
    other_cams::ROWS,
    perturbation::ROWS,
    pixels::ROWS,
    relevance::ROWS,
    attention::ROWS,
];

/// Every method, in the order of menus.
pub fn all() -> impl Iterator<Item = &'static Method> + Clone {
    TABLES.iter().copied().flatten()
}

/// The method of an id.
///
/// # Errors
/// Lists the ids that are known.
pub fn find(id: &str) -> Result<&'static Method> {
    all().find(|m| m.id == id).ok_or_else(|| {
        let known: Vec<&str> = all().map(|m| m.id).collect();
        fault::no_such_method(id, &known.join(", "))
    })
}

/// The one forward pass and reverse walk that serve all layers and all methods.
const ONE_PASS: Cost = Cost {
    formula: "1 F + 1 B, shared by all such maps",
    shared: true,
    passes: |_, _| Passes {
        forward: 1,
        backward: 1,
    },
};

/// The one forward pass that serves all layers.
const ONE_FORWARD: Cost = Cost {
    formula: "1 F, shared by all such maps",
    shared: true,
    passes: |_, _| Passes {
        forward: 1,
        backward: 0,
    },
};

pub(super) const NO: &str = "no";
pub(super) const NONE: &str = "none";
pub(super) const YES: &str = "yes";

/// Mean over six changed inputs (pytorch-grad-cam's `aug_smooth`).
pub(super) const AUG_SMOOTH: Param = Param {
    id: "aug-smooth",
    help: "Mean of six complete maps: plain and mirrored input, each times 0.9, 1.0 and 1.1. Mirroring swaps left and right of the chest",
    domain: Domain::Choice(&[NO, YES]),
};

/// First principal component instead of the sum (pytorch-grad-cam's `eigen_smooth`).
pub(super) const EIGEN_SMOOTH: Param = Param {
    id: "eigen-smooth",
    help: "Projects the weighted channels on their first principal component instead of adding them up; removes noise, and with it what is not shared by many channels",
    domain: Domain::Choice(&[NO, YES]),
};

/// One map out of the stages up to the layer.
pub(super) const FUSION: Param = Param {
    id: "fusion",
    help: "Joins the maps of the network's stages up to this layer, each normalised and enlarged to the input: mean (pytorch-grad-cam's several target layers), max, product, tanh-max (maximum after tanh(2 M / max M) of the first three stages, as we remember LayerCAM's paper), or torchcam (its fuse_cams: the maximum on the largest stage's grid, with LayerCAM after tanh(2 M) at every stage)",
    domain: Domain::Choice(&[NONE, "mean", "max", "tanh-max", "torchcam", "product"]),
};

/// Seed of everything that is drawn.
pub(super) const SEED: Param = Param {
    id: "seed",
    help: "Seed of the random numbers: the same seed gives the same map",
    domain: Domain::Number {
        min: 0.0,
        max: 4_294_967_295.0,
        default: 0.0,
        whole: true,
    },
};

/// A number of passes.
const fn passes(forward: usize, backward: usize) -> Passes {
    Passes { forward, backward }
}
