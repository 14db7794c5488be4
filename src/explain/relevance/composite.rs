//! Composites: which rule each layer follows.

use std::fmt;
use std::str::FromStr;

use super::rule::Rule;
use crate::error::{Error, Result};
use crate::text::fault;

/// Rules by kind of layer and by name. A name comes before `first`, and `first` before the kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Composite {
    /// Convolutions.
    pub conv: Rule,
    /// Linear layers.
    pub linear: Rule,
    /// The first convolution or linear layer of the network; `None`: as its kind.
    pub first: Option<Rule>,
    /// Layers by name; `*` stands for any letters. The last that fits counts.
    pub named: Vec<(String, Rule)>,
    /// Sums and pools.
    pub mixing: Mixing,
    /// BatchNorms.
    pub norms: Norms,
    /// 1x1 convolutions with a stride.
    pub strided: Strided,
}

/// What a 1x1 convolution with a stride (a ResNet's shortcut) divides relevance among. It reads one cell of each window
/// of its stride and skips the others, which leaves a lattice of dots on all finer maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strided {
    /// The cells that it reads, as it is.
    Strict,
    /// All cells of the window, as if it read their mean: no dots, and at most a cell of the coarser grid aside. Ours.
    Window,
}

impl Strided {
    const WORDS: [(&str, Self); 2] = [("strict", Self::Strict), ("window", Self::Window)];
}

/// How sums and pools, which have no weights, divide relevance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mixing {
    /// In proportion to what each input gives, over the stabilised sum; a maximum's to its winner (zennit).
    Norm,
    /// In proportion to the positive part of what each input gives, without a stabiliser; nothing where there is none
    /// (Qiu et al., arXiv 2303.09171; for sums our extension).
    Positive,
}

/// What becomes of a BatchNorm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norms {
    /// As [`Norms::Folded`]; where every BatchNorm stands behind a convolution, the network that is explained has zennit's
    /// leftover factor `1 / sqrt(1 + 1e-5)` behind each, so that all but tied rectifiers and maxima fall as in zennit.
    Zennit,
    /// It goes into the convolution before it, or with its ReLU becomes a threshold of the one behind it.
    Folded,
    /// It goes into the convolution before it; elsewhere it hands relevance on.
    FoldedBehind,
    /// It hands relevance on, and the convolution keeps its weights.
    Passed,
}

impl Mixing {
    const WORDS: [(&str, Self); 2] = [("norm", Self::Norm), ("positive", Self::Positive)];
}

impl Norms {
    const WORDS: [(&str, Self); 4] = [
        ("zennit", Self::Zennit),
        ("folded", Self::Folded),
        ("folded-behind", Self::FoldedBehind),
        ("passed", Self::Passed),
    ];
}

/// The value of a word.
fn value_of<T: Copy>(words: &[(&str, T)], word: &str) -> Result<T> {
    let found = words.iter().find(|(known, _)| *known == word.trim());
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
        fault::relevance_rule(word, &known.join(", "))
    })
}

/// The word of a value.
fn word_of<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> &'static str {
    let found = words.iter().find(|(_, known)| known == value);
    found.map_or("", |(word, _)| word)
}

impl Composite {
    /// Names of the composites that have one.
    pub const NAMES: [&str; 5] = [
        "epsilon",
        "epsilon-plus",
        "epsilon-plus-flat",
        "epsilon-gamma-box",
        "epsilon-alpha2-beta1",
    ];

    fn of(conv: Rule, first: Option<Rule>) -> Self {
        Self {
            conv,
            linear: Rule::EPSILON,
            first,
            named: Vec::new(),
            mixing: Mixing::Norm,
            norms: Norms::Zennit,
            strided: Strided::Strict,
        }
    }

    /// The walk of FG-CAM (Qiu et al., arXiv 2303.09171): shares of positive contributions, the image between its own
    /// extremes. `folded` puts BatchNorm into the convolution before it; the authors' code hands relevance past it.
    pub fn fine_grained(folded: bool) -> Self {
        Self {
            conv: Rule::ZPlusExact,
            linear: Rule::ZPlusExact,
            first: Some(Rule::ImageBox),
            named: Vec::new(),
            mixing: Mixing::Positive,
            norms: if folded {
                Norms::FoldedBehind
            } else {
                Norms::Passed
            },
            strided: Strided::Strict,
        }
    }

    /// A composite by name, with zennit's parameters (epsilon and stabiliser 1e-6, gamma 0.25).
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "epsilon" => Self::of(Rule::EPSILON, None),
            "epsilon-plus" => Self::of(Rule::ZPlus, None),
            "epsilon-plus-flat" => Self::of(Rule::ZPlus, Some(Rule::Flat)),
            "epsilon-gamma-box" => Self::of(Rule::Gamma(0.25), Some(Rule::ZBox)),
            "epsilon-alpha2-beta1" => Self::of(
                Rule::AlphaBeta {
                    alpha: 2.0,
                    beta: 1.0,
                },
                None,
            ),
            _ => return None,
        })
    }

    /// The rule of a layer with weights.
    pub(super) fn rule(&self, name: &str, is_conv: bool, is_first: bool) -> Rule {
        let named = self.named.iter().rev().find(|(p, _)| fits(p, name));
        match (named, self.first) {
            (Some((_, rule)), _) => *rule,
            (None, Some(rule)) if is_first => rule,
            _ if is_conv => self.conv,
            _ => self.linear,
        }
    }
}

/// Whether a name fits a pattern in which `*` stands for any letters.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(name) = name.strip_prefix(start) else {
        return false;
    };
    (0..=name.len())
        .filter_map(|at| name.get(at..))
        .any(|tail| fits(rest, tail))
}

impl fmt::Display for Composite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conv={},linear={}", self.conv, self.linear)?;
        if let Some(first) = self.first {
            write!(f, ",first={first}")?;
        }
        if self.mixing != Mixing::Norm {
            write!(f, ",mixing={}", word_of(&Mixing::WORDS, &self.mixing))?;
        }
        if self.norms != Norms::Zennit {
            write!(f, ",batch-norm={}", word_of(&Norms::WORDS, &self.norms))?;
        }
        if self.strided != Strided::Strict {
            write!(f, ",strided={}", word_of(&Strided::WORDS, &self.strided))?;
        }
        for (pattern, rule) in &self.named {
            write!(f, ",{pattern}={rule}")?;
        }
        Ok(())
    }
}

impl FromStr for Composite {
    type Err = Error;

    /// Reads a name, or `conv=gamma(0.25),linear=epsilon,first=z-box,features.0=flat`. Rules that are not said are epsilon;
    /// `mixing` is `norm` or `positive`, `batch-norm` is `zennit`, `folded`, `folded-behind` or `passed`, `strided` is `strict` or
    /// `window`.
    fn from_str(text: &str) -> Result<Self> {
        if let Some(known) = Self::by_name(text.trim()) {
            return Ok(known);
        }
        let mut composite = Self::of(Rule::EPSILON, None);
        for part in parts(text) {
            let (key, rule) = part
                .split_once('=')
                .ok_or_else(|| fault::relevance_composite(part, &Self::NAMES.join(", ")))?;
            match key.trim() {
                "mixing" => {
                    composite.mixing = value_of(&Mixing::WORDS, rule)?;
                    continue;
                }
                "strided" => {
                    composite.strided = value_of(&Strided::WORDS, rule)?;
                    continue;
                }
                "batch-norm" => {
                    composite.norms = value_of(&Norms::WORDS, rule)?;
                    continue;
                }
                _ => {}
            }
            let rule: Rule = rule.parse()?;
            match key.trim() {
                "" => return Err(fault::relevance_composite(part, &Self::NAMES.join(", "))),
                "conv" => composite.conv = rule,
                "linear" => composite.linear = rule,
                "first" => composite.first = Some(rule),
                name => composite.named.push((name.to_owned(), rule)),
            }
        }
        Ok(composite)
    }
}

/// Parts between commas that stand outside brackets.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0i32;
    text.split(move |c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    })
}
