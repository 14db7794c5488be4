//! Explanation methods: what is read from a pass through the network, and how it is combined.
//!
//! A method is a row of the [`catalogue`]; [`explain`] runs it on the [`Evidence`] of one layer.

mod cam;
pub mod catalogue;
mod evidence;
mod map;
pub mod relevance;

pub use evidence::Evidence;
pub use map::RawMap;

use crate::error::Result;
use crate::plan::Values;
use crate::preprocess::ModelInput;
use catalogue::Method;

/// Makes the raw map of a method at a layer.
///
/// # Errors
/// A parameter out of range, a method that is not defined at this layer.
pub fn explain(
    method: &Method,
    values: &Values,
    evidence: &Evidence<'_>,
    input: &ModelInput,
) -> Result<RawMap> {
    method.check(values)?;
    let grid = (method.compute)(evidence, values)?;
    Ok(RawMap {
        method: method.id.to_owned(),
        layer: evidence.layer.to_owned(),
        target: method.class_discriminative.then_some(evidence.target),
        width: grid.width,
        height: grid.height,
        values: grid.values.into(),
        model_size: [input.width, input.height],
        source_from_model: input.source_from_model,
        source_size: input.source_size,
        notices: Vec::new(),
    })
}
