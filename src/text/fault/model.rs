//! The sentences of errors about networks: their files, their tensors, their structure.

use std::path::Path;

use super::{input, limits, unsupported};
use crate::error::{Error, Kind};

fn model(message: String) -> Error {
    Error::new(Kind::Model, message)
}

/// A network's file larger than what is read.
pub fn model_too_large(path: &Path, bytes: u64, max: u64) -> Error {
    limits(format!(
        "'{}' has {bytes} bytes; expected at most {max}",
        path.display()
    ))
}

/// The header claims more than the file holds.
pub fn header_length(name: &str, claimed: u64, bytes: usize) -> Error {
    model(format!(
        "'{name}' is not a sound safetensors file: its header claims {claimed} bytes, the whole file has {bytes}"
    ))
}

/// The header is not what safetensors writes.
pub fn header_not_json(name: &str, why: &str) -> Error {
    model(format!(
        "'{name}' is not a sound safetensors file: its header is no safetensors JSON ({why})"
    ))
}

/// Offsets that overlap, leave gaps or do not fit the shape.
pub fn bad_offsets(name: &str, tensor: &str) -> Error {
    model(format!(
        "'{name}' is not a sound safetensors file: the data of tensor '{tensor}' overlaps its neighbour, leaves a gap or does not fit its shape"
    ))
}

/// The data end before or after what the header promises.
pub fn truncated_model(name: &str, bytes: &[u8]) -> Error {
    model(format!(
        "'{name}' is cut short or has bytes to spare: {} bytes do not match what its header promises; copy the file again",
        bytes.len()
    ))
}

/// Any other fault of a safetensors file.
pub fn bad_safetensors(name: &str, found: &str) -> Error {
    model(format!(
        "'{name}' is not a sound safetensors file: found {found}"
    ))
}

/// No tensor of numbers in the file.
pub fn no_tensors(name: &str) -> Error {
    model(format!(
        "'{name}' holds no tensors of floating-point numbers; expected the weights of a network"
    ))
}

/// Weights that are not finite.
pub fn not_finite(name: &str, tensor: &str, count: usize, of: usize) -> Error {
    model(format!(
        "'{name}': tensor '{tensor}' holds {count} values of {of} that are NaN or infinite; the training diverged or the file is damaged"
    ))
}

/// A variance below zero.
pub fn negative_variance(name: &str, layer: &str, value: f32) -> Error {
    model(format!(
        "'{name}': '{layer}.running_var' goes down to {value}; a variance cannot be negative"
    ))
}

/// Two names that become one.
pub fn name_twice(name: &str, tensor: &str, prefix: &str) -> Error {
    model(format!(
        "'{name}': with and without the prefix '{prefix}' there are two tensors '{tensor}'"
    ))
}

/// A tensor that the architecture needs.
pub fn missing_tensor(name: &str, tensor: &str) -> Error {
    model(format!(
        "'{name}' lacks the tensor '{tensor}', which its architecture needs"
    ))
}

/// Shapes that do not go together.
pub fn shape(at: &str, found: &str, expected: &str) -> Error {
    model(format!(
        "shapes do not fit at '{at}': found {found}; expected {expected}"
    ))
}

/// The image is too small for the network.
pub fn grid_vanished(at: &str, from: [usize; 3]) -> Error {
    model(format!(
        "the input is too small for this network: at '{at}' nothing is left of a grid of {} x {}",
        from[1], from[2]
    ))
}

/// The architecture is not known. `export` are the lines of PyTorch that write it as ONNX.
pub fn unknown_arch(name: &str, seen: &str, supported: &str, export: &str) -> Error {
    unsupported(format!(
        "'{name}': the architecture is not known; seen: {seen}; known from their tensors: {supported}; export any other network as ONNX in Python: {export}"
    ))
}

/// A tensor inside a network that is known, at a place that it does not have.
pub fn tensor_without_place(name: &str, arch: &str, tensor: &str, export: &str) -> Error {
    unsupported(format!(
        "'{name}' looks like a {arch}, which has no place for the tensor '{tensor}'; export it as ONNX in Python: {export}"
    ))
}

/// `--arch` names nothing that is known.
pub fn unknown_arch_name(wanted: &str, supported: &str) -> Error {
    input(format!(
        "architecture '{wanted}' is not known; supported: {supported}"
    ))
}

/// `--arch` contradicts the tensors.
pub fn other_arch(name: &str, wanted: &str, found: &str) -> Error {
    model(format!(
        "'{name}': asked for {wanted}, but the tensors are those of a {found}"
    ))
}

/// The input has other channels than the network.
pub fn input_channels(found: usize, expected: usize) -> Error {
    input(format!(
        "the input has {found} channel(s); this network takes {expected}"
    ))
}

/// No recipe leads from an image to this network's input.
pub fn no_recipe(channels: usize) -> Error {
    unsupported(format!(
        "this network takes {channels} input channels, and no preprocessing for that is known; give a ready input (.npy or .safetensors)"
    ))
}

/// A network whose output is not a number.
pub fn logits_not_finite(name: &str) -> Error {
    Error::new(
        Kind::Numeric,
        format!(
            "'{name}' gives logits that are NaN or infinite for this image; check its preprocessing"
        ),
    )
}
