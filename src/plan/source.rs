//! Where things come from and run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Which network is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelSource {
    /// The one in the program.
    Demo,
    /// A file, or a folder that holds `model.safetensors`.
    Path(PathBuf),
}

/// Which image is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageSource {
    /// A sample case in the program, by its name.
    Sample(String),
    /// An image file, or a ready model input (`.npy`, `.safetensors`).
    Path(PathBuf),
}

/// Where the arithmetic runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceChoice {
    /// A GPU where this build and this machine have one, the CPU otherwise.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The first NVIDIA GPU; needs a build with the `cuda` feature.
    Cuda,
    /// The GPU of a Mac; needs a build with the `metal` feature.
    Metal,
}
