//! The sentences of errors about ONNX files.

use crate::error::{Error, Kind};

/// Names come from the file: what would break the line or the terminal is written as an underscore.
fn error(kind: Kind, message: &str) -> Error {
    Error::new(kind, message.replace(char::is_control, "_"))
}

fn model(message: &str) -> Error {
    error(Kind::Model, message)
}

fn input(message: &str) -> Error {
    error(Kind::Input, message)
}

fn limits(message: &str) -> Error {
    error(Kind::Limits, message)
}

fn unsupported(message: &str) -> Error {
    error(Kind::Unsupported, message)
}

/// The bytes are no ONNX file.
pub fn not_onnx(name: &str, found: &str) -> Error {
    model(&format!(
        "'{name}' is not an ONNX file: found {found}; expected what torch.onnx.export writes"
    ))
}

/// The file ends before what its lengths promise.
pub fn onnx_short(name: &str, bytes: usize) -> Error {
    model(&format!(
        "'{name}' is cut short: a part of it claims more bytes than the {bytes} of the file leave; copy the file again"
    ))
}

/// More messages than any classifier has.
pub fn onnx_too_many(name: &str, what: &str, max: usize) -> Error {
    limits(&format!(
        "'{name}' has more than {max} {what}; expected a classifier of ordinary size"
    ))
}

/// Weights in a file of their own.
pub fn onnx_external(name: &str, tensor: &str) -> Error {
    unsupported(&format!(
        "'{name}' keeps tensor '{tensor}' in another file (external data); export it with the weights inside: torch.onnx.export(..., external_data=False)"
    ))
}

/// A tensor that makes no sense.
pub fn onnx_tensor(name: &str, tensor: &str, found: &str) -> Error {
    model(&format!(
        "'{name}': tensor '{tensor}' has {found}; expected sizes above 0 that its data fill"
    ))
}

/// A tensor whose data do not fill its shape.
pub fn onnx_tensor_data(name: &str, tensor: &str, dims: &[usize], found: usize) -> Error {
    model(&format!(
        "'{name}': tensor '{tensor}' of shape {dims:?} has data for {found} values; its shape and data disagree"
    ))
}

/// A tensor of a type that is not read.
pub fn onnx_type(name: &str, tensor: &str, kind: i32) -> Error {
    unsupported(&format!(
        "'{name}': tensor '{tensor}' has ONNX's element type {kind}; expected floating-point numbers or integers (not a quantised network)"
    ))
}

/// An operator that is not there.
pub fn onnx_operator(name: &str, op: &str, node: &str) -> Error {
    unsupported(&format!(
        "'{name}' needs the operator '{op}' at node '{node}', which Camlens does not have"
    ))
}

/// An operator that is there, used in a way that is not.
pub fn onnx_use(name: &str, op: &str, node: &str, why: &str) -> Error {
    unsupported(&format!("'{name}': operator '{op}' at node '{node}' {why}"))
}

/// A value that nothing gives, or that is given later than it is read.
pub fn onnx_dangling(name: &str, node: &str, value: &str) -> Error {
    model(&format!(
        "'{name}': node '{node}' reads '{value}', which no input, weight or earlier node gives (a cycle, or nodes out of order)"
    ))
}

/// No input that could be an image.
pub fn onnx_no_image(name: &str, found: &str) -> Error {
    input(&format!(
        "'{name}' has no image input: found {found}; expected one input of four axes, [batch, channels, rows, columns]"
    ))
}

/// An input of a size that is not accepted.
pub fn onnx_input_size(name: &str, sizes: &[i64]) -> Error {
    limits(&format!(
        "'{name}' takes an input of {sizes:?}; expected 1 to 64 channels and 1 to 4096 rows and columns"
    ))
}

/// A plane or vector larger than anything an image classifier needs.
pub fn onnx_too_large(name: &str, node: &str, dims: &[usize]) -> Error {
    limits(&format!(
        "'{name}': node '{node}' gives an array of {dims:?}, larger than an image classifier needs"
    ))
}

/// No output, or one that is a constant.
pub fn onnx_no_output(name: &str) -> Error {
    model(&format!(
        "'{name}' has no output that depends on its image; expected logits of shape [batch, classes]"
    ))
}

/// `--arch` with a file that says its structure itself.
pub fn onnx_arch(name: &str, arch: &str) -> Error {
    input(&format!(
        "'{name}' says its architecture itself; leave out '--arch {arch}'"
    ))
}

/// Shapes inside the file that do not go together.
pub fn onnx_inside(name: &str, error: &Error) -> Error {
    model(&format!("'{name}': {error}"))
}

/// An output that is no list of logits.
pub fn onnx_output_shape(name: &str, dims: &[usize]) -> Error {
    unsupported(&format!(
        "'{name}' gives an output of {dims:?}; expected logits [batch, classes] of a classifier"
    ))
}
