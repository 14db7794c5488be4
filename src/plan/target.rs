//! What scalar of the network's output is explained.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

/// Which number is taken of a class.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// The raw output, before softmax or sigmoid.
    #[default]
    Logit,
    /// What softmax or sigmoid make of it, calibrated where the network has a temperature.
    Probability,
}

impl Score {
    /// All of them, in the order of menus.
    pub const ALL: [Self; 2] = [Self::Logit, Self::Probability];

    /// The name on the command line and in manifests.
    pub fn id(self) -> &'static str {
        match self {
            Self::Logit => "logit",
            Self::Probability => "probability",
        }
    }
}

/// A finite factor that can be a part of a cache's key.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Factor(pub f32);

impl PartialEq for Factor {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Factor {}

impl PartialOrd for Factor {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Factor {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Hash for Factor {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// The class that a contrast speaks against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Against {
    /// Class index d.
    pub class: usize,
    /// Factor a in `score_c - a * score_d`.
    pub factor: Factor,
}

/// The scalar that is explained: a class's score, perhaps against another class's, perhaps with its sign turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// Class index c.
    pub class: usize,
    /// Which number of the class.
    #[serde(default)]
    pub score: Score,
    /// Another class to set it against.
    #[serde(default)]
    pub against: Option<Against>,
    /// Whether the sign is turned: what speaks for the absence of the class (the counterfactual map of
    /// Grad-CAM's paper; with one output, the complement of the finding).
    #[serde(default)]
    pub negated: bool,
}

impl From<usize> for Target {
    /// The raw logit of a class.
    fn from(class: usize) -> Self {
        Self {
            class,
            score: Score::Logit,
            against: None,
            negated: false,
        }
    }
}

impl Target {
    /// The formula in words, with names for the classes: `logit(Pneumonia) - 0.6 logit(Normal)`.
    pub fn formula(&self, name: impl Fn(usize) -> String) -> String {
        let score = self.score.id();
        let mut text = format!("{score}({})", name(self.class));
        if let Some(against) = self.against {
            let factor = match against.factor.0 {
                1.0 => String::new(),
                a => format!("{a} "),
            };
            text = format!("{text} - {factor}{score}({})", name(against.class));
        }
        match (self.negated, self.against) {
            (false, _) => text,
            (true, None) => format!("-{text}"),
            (true, Some(_)) => format!("-({text})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_reads_as_its_formula() {
        let name = |class: usize| ["Normal", "Pneumonia"][class].to_owned();
        let mut target = Target::from(1);
        assert_eq!(target.formula(name), "logit(Pneumonia)");
        target.against = Some(Against {
            class: 0,
            factor: Factor(0.6),
        });
        assert_eq!(target.formula(name), "logit(Pneumonia) - 0.6 logit(Normal)");
        target.negated = true;
        target.score = Score::Probability;
        assert_eq!(
            target.formula(name),
            "-(probability(Pneumonia) - 0.6 probability(Normal))"
        );
    }
}
