//! Where things come from and run.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

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
    /// An image file, or a ready model input (`.npy`, `.safetensors`). Of several frames the first is meant.
    Path(PathBuf),
    /// One frame of a file that may have several.
    Frame {
        /// The image file.
        path: PathBuf,
        /// The frame, counted from 1 as DICOM and readers do.
        frame: NonZeroUsize,
    },
}

impl ImageSource {
    /// Frame `frame` (from 1) of a file. The first is the file itself, so that one picture has one name.
    pub fn frame_of(path: PathBuf, frame: NonZeroUsize) -> Self {
        match frame {
            NonZeroUsize::MIN => Self::Path(path),
            frame => Self::Frame { path, frame },
        }
    }

    /// The file; `None` for a sample.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Sample(_) => None,
            Self::Path(path) | Self::Frame { path, .. } => Some(path),
        }
    }

    /// The frame, from 1.
    pub fn frame(&self) -> NonZeroUsize {
        match self {
            Self::Sample(_) | Self::Path(_) => NonZeroUsize::MIN,
            Self::Frame { frame, .. } => *frame,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_written_and_read_back() {
        let second = NonZeroUsize::new(2).unwrap();
        let source = ImageSource::frame_of("a.dcm".into(), second);
        let json = serde_json::to_string(&source).unwrap();
        assert_eq!(json, r#"{"frame":{"path":"a.dcm","frame":2}}"#);
        assert_eq!(serde_json::from_str::<ImageSource>(&json).unwrap(), source);
        let first = ImageSource::frame_of("a.dcm".into(), NonZeroUsize::MIN);
        assert_eq!(first, ImageSource::Path("a.dcm".into()));
        // There is no frame 0, whoever wrote the plan.
        let none = json.replace('2', "0");
        assert!(serde_json::from_str::<ImageSource>(&none).is_err());
    }
}
