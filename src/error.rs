//! The one error type.
//!
//! An [`Error`] is a [`Kind`], which callers may branch on, and one finished sentence, which people
//! read. Sentences name the file, what was found, what was expected and what to do; they are worded
//! in [`crate::text::fault`], never at the place of failure, so that a second language can be added.

use std::fmt;

/// What sort of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A file, option or value that was given is not what it should be.
    Input,
    /// Something is larger or smaller than the program accepts.
    Limits,
    /// The network's file or its structure does not hold together.
    Model,
    /// Well-formed, but not something this version can do.
    Unsupported,
    /// The device that the arithmetic runs on cannot be had or failed; the CPU would do.
    Device,
    /// A computation gave no usable number.
    Numeric,
    /// Reading or writing failed.
    Io,
    /// The user asked to stop.
    Cancelled,
}

/// A fault, in words that a user can act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: String,
}

/// Result with the program's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Creates an error. `message` is one sentence without a trailing full stop.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// What sort of fault it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the device is to blame, so that the CPU can be offered.
    pub fn is_of_device(&self) -> bool {
        self.kind == Kind::Device
    }

    /// Whether this is the user's own wish to stop rather than a fault.
    pub fn is_cancelled(&self) -> bool {
        self.kind == Kind::Cancelled
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Tensor operations are checked by shape inference before they run, so an error here is a fault
/// of the arithmetic or of the device, not of the user's files.
impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        crate::text::fault::tensor(&error)
    }
}
