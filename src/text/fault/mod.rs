//! The sentences of errors: the file, what was found, what was expected, what to do.
//!
//! Each function returns a finished [`Error`]. Paths come last or in front, in quotes, as the user
//! gave them.

mod device;
mod dicom;
mod facts;
mod model;
mod model_file;
mod onnx;
mod regions;
mod relevance;

use std::fmt::Display;
use std::path::Path;

use crate::error::{Error, Kind};
pub use device::*;
pub use dicom::*;
pub use facts::*;
pub use model::*;
pub use model_file::*;
pub use onnx::*;
pub use regions::*;
pub use relevance::*;

fn input(message: String) -> Error {
    Error::new(Kind::Input, message)
}

fn limits(message: String) -> Error {
    Error::new(Kind::Limits, message)
}

fn io(message: String) -> Error {
    Error::new(Kind::Io, message)
}

fn unsupported(message: String) -> Error {
    Error::new(Kind::Unsupported, message)
}

// ---- general -----------------------------------------------------------------------------------

/// The user asked to stop.
pub fn cancelled() -> Error {
    Error::new(Kind::Cancelled, "stopped at your request")
}

/// Reading `path` failed.
pub fn read(path: &Path, error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => io(format!("'{}': no such file", path.display())),
        std::io::ErrorKind::PermissionDenied => io(format!(
            "'{}': no permission to read this file",
            path.display()
        )),
        _ => io(format!("'{}' cannot be read: {error}", path.display())),
    }
}

/// Writing `path` failed.
pub fn write(path: &Path, error: &dyn Display) -> Error {
    io(format!(
        "'{}' cannot be written: {error}; nothing was changed there",
        path.display()
    ))
}

/// A folder was given where a file was expected.
pub fn is_folder(path: &Path, expected: &str) -> Error {
    input(format!(
        "'{}' is a folder; expected {expected}",
        path.display()
    ))
}

// ---- images ------------------------------------------------------------------------------------

/// The file is no image that can be read.
pub fn not_an_image(path: &Path, found: &str) -> Error {
    input(format!(
        "'{}' is not an image: found {found}; expected PNG, JPEG, TIFF, BMP, WebP or DICOM",
        path.display()
    ))
}

/// An image file that starts well and breaks off or is damaged.
pub fn broken_image(path: &Path, format: &str, why: &dyn Display) -> Error {
    input(format!(
        "'{}' is a damaged {format} file: {why}; get the file again from its source",
        path.display()
    ))
}

/// The image's size is outside what is accepted.
pub fn image_size(path: &Path, width: u32, height: u32, min: u32, max: u32) -> Error {
    limits(format!(
        "'{}' is {width} x {height} pixels; expected at least {min} x {min} and at most {max} x {max}",
        path.display()
    ))
}

// ---- image files and recipes -------------------------------------------------------------------

/// A device, pipe or socket was given where a file was expected.
pub fn not_a_regular_file(path: &Path, expected: &str) -> Error {
    input(format!(
        "'{}' is a device or pipe; expected {expected}",
        path.display()
    ))
}

/// The file has no bytes.
pub fn empty_file(path: &Path) -> Error {
    input(format!(
        "'{}' is empty (0 bytes); expected PNG, JPEG, TIFF, BMP, WebP or DICOM",
        path.display()
    ))
}

/// The file is larger than what is read into memory.
pub fn file_too_large(path: &Path, found: u64, max: u64) -> Error {
    limits(format!(
        "'{}' has {} MiB; expected at most {} MiB",
        path.display(),
        found >> 20,
        max >> 20
    ))
}

/// The image has more pixels than are accepted.
pub fn image_pixels(path: &Path, width: u32, height: u32, max: u64) -> Error {
    limits(format!(
        "'{}' is {width} x {height} pixels, {} megapixels in all; expected at most {}",
        path.display(),
        u64::from(width) * u64::from(height) / 1_000_000,
        max / 1_000_000
    ))
}

/// A well-formed image of a kind that is not read.
pub fn image_kind(path: &Path, format: &str, why: &dyn Display) -> Error {
    unsupported(format!(
        "'{}' is a {format} of a kind that is not read ({why}); save it as 8-bit or 16-bit grey or RGB",
        path.display()
    ))
}

/// An image of floating-point numbers, some of which are none.
pub fn image_not_finite(path: &Path, count: usize) -> Error {
    input(format!(
        "'{}' holds {count} value(s) that are not finite numbers; expected numbers everywhere",
        path.display()
    ))
}

/// Values that do not fit the shape they are given with.
pub fn image_values_shape(name: &str, shape: &[usize], found: usize) -> Error {
    input(format!(
        "image '{name}': {found} values do not make [channels, height, width] = {shape:?} with 1 or 3 channels"
    ))
}

/// No recipe has this name.
pub fn unknown_recipe(name: &str, known: &[&str]) -> Error {
    input(format!(
        "no preprocessing recipe is called '{name}'; choose {}",
        known.join(", ")
    ))
}

/// A preprocessing recipe does not hold together.
pub fn recipe(name: &str, why: &str) -> Error {
    input(format!("preprocessing recipe '{name}': {why}"))
}

/// The recipe gives another number of channels than the model takes.
pub fn recipe_channels(found: usize, expected: usize) -> Error {
    input(format!(
        "the input has {found} channel(s), the model's preprocessing has {expected}"
    ))
}

/// A ready model input has another shape than one image.
pub fn ready_input_shape(shape: &[usize]) -> Error {
    input(format!(
        "a ready model input has the shape {shape:?}; expected [1, C, H, W], as many values as that says"
    ))
}

/// A model input with NaN or infinity.
pub fn ready_input_not_finite(count: usize) -> Error {
    input(format!(
        "the model's input has {count} value(s) that are not finite numbers"
    ))
}

/// A resize between sizes that make no sense.
pub fn resize(from: [usize; 2], to: [usize; 2]) -> Error {
    limits(format!(
        "cannot resize {} x {} pixels to {} x {}",
        from[0], from[1], to[0], to[1]
    ))
}

// ---- training ----------------------------------------------------------------------------------

/// A model or checkpoint of a training run cannot be read.
pub fn broken_training_file(path: &Path, why: &dyn Display) -> Error {
    Error::new(
        Kind::Model,
        format!(
            "'{}' is not a whole safetensors file: {why}; start the training again without --resume",
            path.display()
        ),
    )
}

/// A model or checkpoint of a training run lacks an array or has it in another shape.
pub fn training_array(name: &str, expected: &[usize], found: Option<&[usize]>) -> Error {
    let found = found.map_or_else(|| "no such array".to_owned(), |s| format!("shape {s:?}"));
    Error::new(
        Kind::Model,
        format!(
            "array '{name}' of the trained network: found {found}, expected shape {expected:?}"
        ),
    )
}

// ---- what is asked for -------------------------------------------------------------------------

/// A row of timings that does not exist.
pub fn no_such_row(row: &str, known: &str) -> Error {
    input(format!("no row '{row}'; there are {known}"))
}

/// A class that does not exist.
pub fn no_such_class(class: &str, classes: usize) -> Error {
    input(format!(
        "class '{class}' does not exist; the network has {classes} classes, 0 to {}",
        classes.saturating_sub(1)
    ))
}

/// A contrast without a class.
pub fn contrast_needs_class() -> Error {
    input("a contrast needs a class to start from; give --class beside --against".to_owned())
}

/// A contrast of a class with itself.
pub fn contrast_with_itself(label: &str) -> Error {
    input(format!(
        "'{label}' cannot be set against itself; name another class"
    ))
}

/// A layer that does not exist.
pub fn no_such_layer(layer: &str, near: &str) -> Error {
    input(format!(
        "layer '{layer}' does not exist in this network; {near}; 'camlens layers' lists them"
    ))
}

/// The attention map of a network that has none.
pub fn no_attention_branch(name: &str) -> Error {
    unsupported(format!(
        "'{name}' has no attention branch: expected an Attention Branch Network, with tensors 'att_conv', 'att_conv2', 'att_conv3'"
    ))
}

/// A layer without a grid.
pub fn layer_without_grid(layer: &str, op: &str) -> Error {
    input(format!(
        "layer '{layer}' ({op}) has no grid to show; choose a layer before the pooling"
    ))
}

/// A method that does not exist.
pub fn no_such_method(method: &str, known: &str) -> Error {
    input(format!("method '{method}' does not exist; known: {known}"))
}

/// A parameter that a method does not have.
pub fn no_such_param(method: &str, param: &str, known: &str) -> Error {
    input(format!(
        "method '{method}' has no parameter '{param}'; it has: {known}"
    ))
}

/// A parameter's value outside its range.
pub fn param_value(method: &str, param: &str, value: &str, expected: &str) -> Error {
    input(format!("{method}.{param}={value}: expected {expected}"))
}

/// CAM on a network or layer for which it is not defined.
pub fn cam_needs_gap(layer: &str, near: &str) -> Error {
    unsupported(format!(
        "cam is not defined at '{layer}': it needs the layer that goes through global average pooling into one linear layer; {near}"
    ))
}

/// A method whose memory grows with the square of a layer's cells.
pub fn grid_too_fine(method: &str, layer: &str, grid: [usize; 2], most: usize) -> Error {
    unsupported(format!(
        "{method} is not offered at '{layer}': its grid of {} x {} cells is larger than {most} cells; choose a deeper layer",
        grid[0], grid[1]
    ))
}

/// Gradients did not reach a layer.
pub fn no_gradient(layer: &str) -> Error {
    Error::new(
        Kind::Numeric,
        format!("no gradient reaches layer '{layer}' from the target"),
    )
}

/// A table of training images cannot be used.
pub fn training_manifest(path: &Path, why: &dyn Display) -> Error {
    input(format!(
        "'{}' is no table of training images: {why}; expected a CSV with the columns file, label, patient_id and split_by_patient",
        path.display()
    ))
}

/// One patient's images stand in more than one split.
pub fn patient_in_two_splits(patient: &str) -> Error {
    input(format!(
        "patient '{patient}' stands in more than one split; split by patient, so that what is tested was never seen"
    ))
}

/// No training images of one class.
pub fn nothing_to_train_on(positive: bool) -> Error {
    let class = if positive { "PNEUMONIA" } else { "NORMAL" };
    input(format!(
        "the tables name no training image labelled {class} (split_by_patient 'train' in a folder whose name starts with 'train')"
    ))
}

// ---- figures and export ------------------------------------------------------------------------

/// A font that is part of the program does not parse.
pub fn embedded_font(error: &dyn Display) -> Error {
    Error::new(
        Kind::Unsupported,
        format!("a font built into the program cannot be used: {error}"),
    )
}

/// A figure's scale is outside what is accepted.
pub fn figure_scale(scale: f32) -> Error {
    limits(format!(
        "a figure cannot be drawn at {scale} times its size; expected 0.25 to 8"
    ))
}

/// A figure is too large to draw.
pub fn figure_size(width: u32, height: u32) -> Error {
    limits(format!(
        "the figure would have {width} x {height} pixels; show fewer panels or a smaller scale"
    ))
}

/// Writing `path` failed, in words for the usual reasons.
pub fn write_io(path: &Path, error: &std::io::Error) -> Error {
    use std::io::ErrorKind;
    let why: &dyn Display = match error.kind() {
        ErrorKind::PermissionDenied => &"no permission to write there",
        ErrorKind::NotADirectory => &"a part of this path is a file, not a folder",
        ErrorKind::IsADirectory => &"a folder has this name",
        ErrorKind::NotFound => &"the folder does not exist",
        ErrorKind::StorageFull => &"the disk is full",
        ErrorKind::ReadOnlyFilesystem => &"the disk is read-only",
        _ => error,
    };
    write(path, why)
}

/// A name inside an export folder that would leave it.
pub fn bundle_name(name: &str) -> Error {
    input(format!(
        "'{name}' is no name for an exported file: it must be relative and stay inside its folder"
    ))
}

/// A picture cannot be encoded.
pub fn encode(format: &str, error: &dyn Display) -> Error {
    Error::new(Kind::Io, format!("the {format} cannot be encoded: {error}"))
}

/// A NumPy file is not what is read.
pub fn npy(path: &Path, why: &dyn Display) -> Error {
    input(format!(
        "'{}' is not a NumPy array that can be read: {why}; expected float32 or float64 in C order, at most 4 dimensions",
        path.display()
    ))
}

/// An array whose values do not fill its shape.
pub fn array_shape(shape: &[usize], found: usize) -> Error {
    input(format!(
        "{found} values do not fill an array of shape {shape:?}"
    ))
}

/// Nothing to resume.
pub fn no_checkpoint(path: &Path, error: &std::io::Error) -> Error {
    input(format!(
        "'{}' cannot be read, so there is no training to resume: {error}; leave out --resume",
        path.display()
    ))
}

/// The checkpoint was written by a run with other options.
pub fn other_training(path: &Path) -> Error {
    input(format!(
        "'{}' belongs to a training with another seed, number of epochs or set-up; give the same options or leave out --resume",
        path.display()
    ))
}

/// The loss is no number any more.
pub fn training_diverged(step: usize) -> Error {
    Error::new(
        Kind::Numeric,
        format!("training diverged: the loss at step {step} is not a finite number"),
    )
}

// ---- session -----------------------------------------------------------------------------------

/// The worker thread cannot be started.
pub fn no_thread(error: &dyn Display) -> Error {
    io(format!("the worker thread cannot be started: {error}"))
}

/// The worker met a fault of the program.
pub fn worker_panicked() -> Error {
    Error::new(
        Kind::Numeric,
        "the computation broke off through a fault of the program; your files are untouched, please report it",
    )
}

/// A sample that does not exist.
pub fn no_such_sample(name: &str, known: &str) -> Error {
    input(format!("sample '{name}' does not exist; there are {known}"))
}

/// A ready input's file without the tensor that is expected.
pub fn ready_input_file(path: &Path, found: &str) -> Error {
    input(format!(
        "'{}' is no ready model input: found {found}; expected a tensor 'input' of shape [1, C, H, W]",
        path.display()
    ))
}

/// This build has no window.
pub fn no_window() -> Error {
    unsupported(
        "this build has no window; 'camlens explain --demo --out DIR' works, and 'camlens help' lists the rest"
            .to_owned(),
    )
}

/// No way of training has that id.
pub fn unknown_training(id: &str, known: &[&str]) -> Error {
    unsupported(format!(
        "there is no training recipe '{id}' in this version; known: {}",
        known.join(", ")
    ))
}

/// Zero epochs.
pub fn no_epochs() -> Error {
    input("training needs at least one epoch".to_owned())
}

/// Fewer images than one step takes.
pub fn too_few_to_train(found: usize, batch: usize) -> Error {
    input(format!(
        "found {found} images to train on; one step takes {batch}"
    ))
}

/// A mask that does not lie on its image.
pub fn mask_size(name: &str, found: [usize; 2], expected: [usize; 2]) -> Error {
    input(format!(
        "{name}: the mask has {} x {} pixels, expected the image's {} x {}",
        found[0], found[1], expected[0], expected[1]
    ))
}

/// A row of a figure that does not read as a method with parameters.
pub fn figure_row(found: &str) -> Error {
    input(format!(
        "'{found}' is no row of a figure: expected METHOD or METHOD:PARAM=VALUE, several values with ';' between, as fg-cam:denoise=yes;keep=0.2"
    ))
}
