//! The sample cases in the program.

use std::sync::LazyLock;

use crate::error::Result;
use crate::synth;
use crate::text::fault;

/// A sample case: a synthetic X-ray with, where it shows a finding, the mask of that finding.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Name on the command line.
    pub name: String,
    /// Title for people.
    pub title: String,
    /// What is in it.
    pub description: String,
    /// File name.
    pub file: String,
    /// The PNG file.
    pub bytes: &'static [u8],
    /// The mask's PNG file.
    pub mask: Option<&'static [u8]>,
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../assets/samples/", $name)) as &[u8])),*]
    };
}

const INDEX: &str = include_str!("../../assets/samples/samples.json");
const FILES: &[(&str, &[u8])] = files![
    "adult-bilateral.mask.png",
    "adult-bilateral.png",
    "adult-normal.png",
    "child-normal.png",
    "child-right-upper.mask.png",
    "child-right-upper.png",
    "man-left-middle.mask.png",
    "man-left-middle.png",
    "man-normal.png",
    "man-right-middle.mask.png",
    "man-right-middle.png",
];

/// Every sample, in the order of menus.
pub static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    let bytes = |name: &str| FILES.iter().find(|(n, _)| *n == name).map(|(_, b)| *b);
    // The list is part of the program; a test makes sure that it can be read.
    let cases =
        serde_json::from_str::<synth::Samples>(INDEX).map_or_else(|_| Vec::new(), |s| s.cases);
    cases
        .into_iter()
        .filter_map(|case| {
            Some(Sample {
                bytes: bytes(&case.file)?,
                mask: case.mask.as_deref().and_then(bytes),
                name: case.name,
                title: case.title,
                description: case.contains,
                file: case.file,
            })
        })
        .collect()
});

/// The sample that is open at first start: the first one that has a mask.
pub fn first() -> Option<&'static Sample> {
    SAMPLES
        .iter()
        .find(|s| s.mask.is_some())
        .or(SAMPLES.first())
}

/// The sample of a name.
///
/// # Errors
/// Lists the names.
pub fn find(name: &str) -> Result<&'static Sample> {
    SAMPLES.iter().find(|s| s.name == name).ok_or_else(|| {
        let names: Vec<&str> = SAMPLES.iter().map(|s| s.name.as_str()).collect();
        fault::no_such_sample(name, &names.join(", "))
    })
}
