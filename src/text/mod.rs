//! Every string that a user reads, in one place, so that a second language can be added later.
//!
//! * [`bench`]: the program's own timings
//! * [`device`]: where the arithmetic runs
//! * [`dicom`]: what a DICOM file is and what is wrong inside one
//! * [`fact`]: what is known about a network
//! * [`fault`]: the sentences of errors
//! * [`inspect`]: what a file is
//! * [`measure`]: numbers that are shown with a map
//! * [`notice`]: what is said beside a result that stands
//! * [`figure`]: words on exported figures
//! * [`region`]: regions in the window, and what the network is fed
//! * [`window`]: labels of the window
//!
//! Command-line help stands with its options in `cli/args.rs`; method names, descriptions and citations
//! stand in the catalogue (`explain/catalogue.rs`).

pub mod bench;
pub mod command;
pub mod compare;
pub mod device;
pub mod dicom;
pub mod fact;
pub mod fault;
pub mod figure;
pub mod files;
pub mod grey;
pub mod inspect;
pub mod measure;
pub mod method;
pub mod notice;
pub mod palette;
pub mod region;
pub mod session;
pub mod window;

/// Title of the program.
pub const APP: &str = "Camlens";

/// The sentence that the title bar, the first screen and every export carry.
pub const RESEARCH_ONLY: &str = "Research use only, not for diagnosis";

/// A class that nobody named.
pub fn class_number(class: usize) -> String {
    format!("Class {class}")
}

/// A class that exists in the tensors but was never trained.
pub fn untrained_class(class: usize) -> String {
    format!("Class {class} (not trained)")
}
