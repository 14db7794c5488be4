//! Rules: how one operation divides the relevance of its output among its inputs.
//!
//! The definitions are those of zennit (Anders et al., arXiv 2106.13200), with the rules of Bach et al. (PLoS ONE
//! 2015), Montavon et al. (Pattern Recognition 65, 2017; LNCS 11700, 2019) and Lapuschkin et al. (2019).

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::text::fault;

/// What is added to every denominator, with its sign, unless a rule says otherwise.
pub const STABILISER: f32 = 1e-6;

/// How one operation divides relevance. `x` is its input, `W` and `b` its parameters; `+` and `-` mark parts of one
/// sign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// In proportion to `x W`, over the output with its bias (Bach et al. 2015). The number, at least 0, is added to
    /// the denominator with its sign.
    Epsilon(f32),
    /// In proportion to the positive `x W` only; the positive part of the bias takes its share.
    ZPlus,
    /// Positive contributions count `1 + gamma` times where the output is positive, negative ones where it is
    /// negative (the generalised rule of Andeol et al. 2021); gamma at least 0.
    Gamma(f32),
    /// `alpha` times the positive contributions less `beta` times the negative ones; `alpha - beta = 1`.
    AlphaBeta {
        /// Weight of positive contributions, at least 1.
        alpha: f32,
        /// Weight of negative contributions, at least 0.
        beta: f32,
    },
    /// For an input between the values that black and white become (Montavon et al. 2017).
    ZBox,
    /// As z-plus without any bias or stabiliser: in proportion to the positive `x W`, and nothing where there is none
    /// (Qiu et al., arXiv 2303.09171).
    ZPlusExact,
    /// As z-box between the smallest and the largest value of this image, over all channels, without a stabiliser (Qiu
    /// et al., arXiv 2303.09171).
    ImageBox,
    /// In equal parts over the window (Lapuschkin et al. 2019).
    Flat,
    /// In proportion to the squared weights (Montavon et al. 2017).
    WSquare,
    /// In proportion to what each input gives, weights left as they are (sums, means).
    Norm,
    /// Unchanged to the first input.
    Pass,
}

impl Rule {
    /// The epsilon rule with the common stabiliser.
    pub const EPSILON: Self = Self::Epsilon(STABILISER);
    /// Names that can be written, in the order of the rules.
    pub const NAMES: [&str; 11] = [
        "epsilon",
        "z-plus",
        "gamma",
        "alpha-beta",
        "z-box",
        "z-plus-exact",
        "image-box",
        "flat",
        "w-square",
        "norm",
        "pass",
    ];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epsilon(e) => write!(f, "epsilon({e})"),
            Self::ZPlus => f.write_str("z-plus"),
            Self::Gamma(gamma) => write!(f, "gamma({gamma})"),
            Self::AlphaBeta { alpha, beta } => write!(f, "alpha-beta({alpha},{beta})"),
            Self::ZBox => f.write_str("z-box"),
            Self::ZPlusExact => f.write_str("z-plus-exact"),
            Self::ImageBox => f.write_str("image-box"),
            Self::Flat => f.write_str("flat"),
            Self::WSquare => f.write_str("w-square"),
            Self::Norm => f.write_str("norm"),
            Self::Pass => f.write_str("pass"),
        }
    }
}

impl FromStr for Rule {
    type Err = Error;

    /// Reads `name` or `name(numbers)`, as `gamma(0.25)`.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || fault::relevance_rule(text, &Self::NAMES.join(", "));
        let (name, numbers) = match text.trim().split_once('(') {
            Some((name, rest)) => (name, rest.strip_suffix(')').ok_or_else(wrong)?),
            None => (text.trim(), ""),
        };
        let numbers = numbers
            .split(',')
            .filter(|part| !part.trim().is_empty())
            .map(|part| part.trim().parse::<f32>().ok())
            .map(|v| v.filter(|v| v.is_finite() && *v >= 0.0).ok_or_else(wrong))
            .collect::<Result<Vec<f32>>>()?;
        Ok(match (name.trim(), numbers.as_slice()) {
            ("epsilon", []) => Self::EPSILON,
            ("epsilon", [e]) => Self::Epsilon(*e),
            ("z-plus", []) => Self::ZPlus,
            ("gamma", []) => Self::Gamma(0.25),
            ("gamma", [gamma]) => Self::Gamma(*gamma),
            ("alpha-beta", []) => Self::AlphaBeta {
                alpha: 2.0,
                beta: 1.0,
            },
            ("alpha-beta", [alpha, beta]) if (alpha - beta - 1.0).abs() < 1e-6 => Self::AlphaBeta {
                alpha: *alpha,
                beta: *beta,
            },
            ("z-box", []) => Self::ZBox,
            ("z-plus-exact", []) => Self::ZPlusExact,
            ("image-box", []) => Self::ImageBox,
            ("flat", []) => Self::Flat,
            ("w-square", []) => Self::WSquare,
            ("norm", []) => Self::Norm,
            ("pass", []) => Self::Pass,
            _ => return Err(wrong()),
        })
    }
}
