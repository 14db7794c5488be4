//! Tensor names: prefixes of frameworks and old spellings.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::Tensor;

use super::Weights;
use crate::error::Result;
use crate::text::fault;

/// Prefixes that training frameworks, and classes around a torchvision network, put before every name.
const PREFIXES: [&str; 23] = [
    "module.",
    "model.",
    "backbone.",
    "net.",
    "network.",
    "_orig_mod.",
    "densenet121.",
    "densenet161.",
    "densenet169.",
    "densenet201.",
    "resnet18.",
    "resnet34.",
    "resnet50.",
    "resnet101.",
    "resnet152.",
    "vgg11.",
    "vgg13.",
    "vgg16.",
    "vgg19.",
    "mobilenet_v2.",
    "efficientnet_b0.",
    "base_model.",
    "state_dict.",
];

/// Removes known prefixes from the names that have them, as long as most names do.
///
/// # Errors
/// Two names that become one.
pub(super) fn strip_prefixes(
    file: &str,
    mut tensors: BTreeMap<String, Tensor>,
) -> Result<(BTreeMap<String, Tensor>, String)> {
    let mut stripped = String::new();
    while let Some(prefix) = PREFIXES.iter().find(|prefix| {
        2 * tensors.keys().filter(|k| k.starts_with(**prefix)).count() > tensors.len()
    }) {
        let mut renamed = BTreeMap::new();
        for (key, tensor) in tensors {
            let key = key.strip_prefix(prefix).map_or(key.clone(), str::to_owned);
            if renamed.insert(key.clone(), tensor).is_some() {
                return Err(fault::name_twice(file, &key, prefix));
            }
        }
        tensors = renamed;
        stripped.push_str(prefix);
    }
    Ok((tensors, stripped))
}

/// Old torchvision files write `denselayer1.norm.1.weight` for `denselayer1.norm1.weight`.
pub(super) fn modern_densenet_names(
    tensors: BTreeMap<String, Tensor>,
) -> (BTreeMap<String, Tensor>, bool) {
    let mut changed = false;
    let tensors = tensors
        .into_iter()
        .map(|(key, tensor)| {
            let mut new = key.clone();
            if key.contains("denselayer") {
                for part in ["norm", "relu", "conv"] {
                    for number in ["1", "2"] {
                        new = new
                            .replace(&format!(".{part}.{number}."), &format!(".{part}{number}."));
                    }
                }
            }
            changed |= new != key;
            (new, tensor)
        })
        .collect();
    (tensors, changed)
}

/// Names grouped by their first part, for the message about an unknown architecture.
pub(crate) fn outline(weights: &Weights) -> String {
    let groups: BTreeSet<&str> = weights
        .keys()
        .map(|key| key.split('.').next().unwrap_or(key))
        .collect();
    let shown: Vec<&str> = groups.iter().take(8).copied().collect();
    let more = groups.len().saturating_sub(shown.len());
    let mut words = format!(
        "{} tensors under {}",
        weights.keys().count(),
        shown.join(", ")
    );
    if more > 0 {
        words.push_str(&format!(" and {more} more"));
    }
    words
}
