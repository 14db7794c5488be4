//! The sentences of errors about relevance propagation.

use super::input;
use crate::error::{Error, Kind};

/// Words that are no rule.
pub fn relevance_rule(found: &str, names: &str) -> Error {
    input(format!(
        "'{found}' is no relevance rule: expected one of {names}, with parameters of at least 0 in brackets, as gamma(0.25) or alpha-beta(2,1), where alpha - beta = 1"
    ))
}

/// Words that are no composite.
pub fn relevance_composite(found: &str, names: &str) -> Error {
    input(format!(
        "'{found}' is no set of relevance rules: expected one of {names}, or layer=rule parts with commas between, as conv=gamma(0.25),first=z-box"
    ))
}

/// The z-box rule where the input has no known range.
pub fn relevance_box(layer: &str) -> Error {
    input(format!(
        "the z-box rule at '{layer}' needs the values of black and white: expected a layer that reads the image and preprocessing that is known"
    ))
}

/// Names in a composite that no layer has.
pub fn relevance_no_layer(pattern: &str) -> Error {
    input(format!(
        "no convolution or linear layer is called '{pattern}': `camlens layers` lists them"
    ))
}

/// Relevance that left the range of numbers.
pub fn relevance_not_finite(layer: &str) -> Error {
    Error::new(
        Kind::Numeric,
        format!(
            "relevance at '{layer}' is no finite number: a sum before it all but cancels; expected rules that damp it, as conv=z-plus"
        ),
    )
}

/// FG-CAM at a layer behind the one that its components come from.
pub fn fg_cam_behind(layer: &str, stage: &str) -> Error {
    input(format!(
        "FG-CAM goes from '{stage}' down to the input: expected a layer up to there, found '{layer}'"
    ))
}

/// FG-CAM of a network without convolutions at its end.
pub fn fg_cam_of_transformer() -> Error {
    input("FG-CAM is defined for convolutional networks: this one has attention layers".to_owned())
}

/// A base method of FG-CAM that gives no channels.
pub fn fg_cam_base(method: &str) -> Error {
    input(format!(
        "FG-CAM needs a value of each channel at each place, which '{method}' does not give"
    ))
}
