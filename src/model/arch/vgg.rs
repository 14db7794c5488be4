//! VGG (Simonyan and Zisserman, ICLR 2015, arXiv 1409.1556) as torchvision writes it.
//!
//! `features` is one list of modules; only convolutions and BatchNorms have tensors, so ReLUs and
//! max-pools are read off the gaps between their indices.

use super::{Act, Net, Op, Weights};
use crate::error::Result;
use crate::model::graph::Graph;
use crate::text::fault;

/// Indices of the convolutions in `features`.
fn convolutions(weights: &Weights) -> Vec<usize> {
    let mut indices: Vec<usize> = weights
        .keys()
        .filter_map(|key| key.strip_prefix("features.")?.strip_suffix(".weight"))
        .filter_map(|index| index.parse().ok())
        .filter(|i| {
            weights
                .dims(&format!("features.{i}.weight"))
                .is_some_and(|d| d.len() == 4)
        })
        .collect();
    indices.sort_unstable();
    indices
}

/// Whether the tensors look like a VGG: a list of 3x3 convolutions and a classifier that starts linear.
pub(super) fn recognise(weights: &Weights) -> bool {
    let convolutions = convolutions(weights);
    convolutions.first() == Some(&0)
        && convolutions.iter().all(|i| {
            weights
                .dims(&format!("features.{i}.weight"))
                .is_some_and(|d| d.ends_with(&[3, 3]))
        })
        && weights
            .dims("classifier.0.weight")
            .is_some_and(|d| d.len() == 2)
}

pub(super) fn build(weights: &Weights) -> Result<(Graph, String)> {
    let mut net = Net::new(weights);
    let convolutions = convolutions(weights);
    let with_bn = weights.has("features.1.running_mean");
    let mut channels = net.tensor("features.0", "weight", 4)?.dim(1)?;
    let mut x = 0;
    let mut stages = Vec::new();
    let mut last = String::new();
    for (n, &index) in convolutions.iter().enumerate() {
        (x, channels) = net.conv(&format!("features.{index}"), x, channels, 1, 1)?;
        let mut next = index + 1;
        if weights.has(&format!("features.{next}.running_mean")) {
            x = net.batch_norm(&format!("features.{next}"), x)?;
            next += 1;
        }
        let relu = format!("features.{next}");
        x = net.relu(&relu, x);
        next += 1;
        match convolutions.get(n + 1) {
            Some(&following) if following == next => {}
            Some(&following) if following == next + 1 => {
                stages.push(relu);
                x = net.max_pool(&format!("features.{next}"), x, 2, 2, 0);
            }
            Some(&following) => {
                return Err(fault::shape(
                    &format!("features.{following}"),
                    &format!("a gap of {} modules before it", following - next),
                    "at most one max-pool between ReLU and convolution",
                ));
            }
            None => {
                let pool = format!("features.{next}");
                x = net.max_pool(&pool, x, 2, 2, 0);
                stages.push(relu.clone());
                stages.push(pool);
                last = relu;
            }
        }
    }
    net.builder.alias("features", x);

    // The grid before the classifier follows from how many features its first layer takes.
    let features = net.tensor("classifier.0", "weight", 2)?.dim(1)?;
    let side = (features / channels.max(1)).isqrt().max(1);
    x = net
        .builder
        .push("avgpool", Op::AdaptiveAvgPool([side; 2]), &[x]);
    x = net.builder.push("flatten", Op::Flatten, &[x]);
    let linears: Vec<usize> = (0..64)
        .filter(|i| weights.has(&format!("classifier.{i}.weight")))
        .collect();
    for (n, &index) in linears.iter().enumerate() {
        x = net.linear(&format!("classifier.{index}"), x)?;
        if let Some(&following) = linears.get(n + 1) {
            // Linear, ReLU, Dropout, Linear: the first gap is a ReLU, a second one dropout.
            for gap in index + 1..following {
                let op = if gap == index + 1 {
                    Op::Act(Act::Relu)
                } else {
                    Op::Identity
                };
                x = net.builder.push(&format!("classifier.{gap}"), op, &[x]);
            }
        }
    }
    let depth = convolutions.len() + linears.len();
    let suffix = if with_bn { "_bn" } else { "" };
    let width = weights
        .dims("features.0.weight")
        .and_then(|d| d.first().copied());
    let name = match (depth, width) {
        (11 | 13 | 16 | 19, Some(64)) => format!("vgg{depth}{suffix}"),
        (depth, width) => format!("vgg{depth}{suffix} (width {})", width.unwrap_or(0)),
    };
    Ok((net.builder.finish(stages, &last), name))
}
