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
        for (pattern, rule) in &self.named {
            write!(f, ",{pattern}={rule}")?;
        }
        Ok(())
    }
}

impl FromStr for Composite {
    type Err = Error;

    /// Reads a name, or `conv=gamma(0.25),linear=epsilon,first=z-box,features.0=flat`. What is not said is epsilon.
    fn from_str(text: &str) -> Result<Self> {
        if let Some(known) = Self::by_name(text.trim()) {
            return Ok(known);
        }
        let mut composite = Self::of(Rule::EPSILON, None);
        for part in parts(text) {
            let (key, rule) = part
                .split_once('=')
                .ok_or_else(|| fault::relevance_composite(part, &Self::NAMES.join(", ")))?;
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
