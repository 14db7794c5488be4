//! The sentences of errors about what is known of a network: labels, preprocessing, configuration files.

use std::path::Path;

use super::{input, unsupported};
use crate::error::{Error, Kind};

/// A JSON file that cannot be read as one.
pub fn bad_json(path: &Path, why: &str) -> Error {
    input(format!(
        "'{}' is not sound JSON: {why}; expected one JSON object",
        path.display()
    ))
}

/// A value of a configuration file that is not what it should be.
pub fn config_value(path: &Path, key: &str, found: &str, expected: &str) -> Error {
    input(format!(
        "'{}': '{key}' is {found}; expected {expected}",
        path.display()
    ))
}

/// A value that is sound, but that this version cannot follow.
pub fn config_unsupported(path: &Path, key: &str, found: &str, expected: &str) -> Error {
    unsupported(format!(
        "'{}': '{key}' is {found}, which this version cannot follow; expected {expected}",
        path.display()
    ))
}

/// Preprocessing that does not hold together.
pub fn config_recipe(path: &Path, why: &str) -> Error {
    input(format!("'{}': {why}", path.display()))
}

/// As many labels as classes are needed.
pub fn label_count(found: usize, expected: usize) -> Error {
    input(format!(
        "{found} labels were given; this network has {expected} outputs, expected one label for each"
    ))
}

/// Labels that are not one line of text each.
pub fn bad_label(index: usize, why: &str) -> Error {
    input(format!("label {index} {why}"))
}

/// A list of operating points that does not fit the network.
pub fn op_threshs(name: &str, why: &str) -> Error {
    Error::new(
        Kind::Model,
        format!(
            "'{name}': 'op_threshs' {why}; expected one probability between 0 and 1, or NaN, a class"
        ),
    )
}

/// A class that exists but was never trained.
pub fn untrained_class(wanted: &str) -> Error {
    input(format!(
        "class '{wanted}' was not trained in this network, its output means nothing; choose another one"
    ))
}

/// The network in the program has no files to save facts in.
pub fn save_facts_of_demo() -> Error {
    unsupported(
        "the network in the program has no folder to save facts in; open a network's file"
            .to_owned(),
    )
}

/// Nothing was read or given that could be saved.
pub fn nothing_to_save() -> Error {
    input(
        "there is nothing to save: every fact is a guess; give --labels, --preprocess or --activation"
            .to_owned(),
    )
}
