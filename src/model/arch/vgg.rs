//! VGG (Simonyan and Zisserman, ICLR 2015, arXiv 1409.1556) as torchvision writes it.
//!
//! `features` is one list of modules; only convolutions and BatchNorms have tensors, so ReLUs and
//! max-pools are read off the gaps between their indices.

use super::head::classifier;
use super::net::{Net, children};
use super::{Built, Hint};
use crate::error::Result;
use crate::model::op::{Act, Op, Pool};
use crate::model::weights::Weights;
use crate::text::fault;

/// Indices of the convolutions in `features`.
fn convolutions(weights: &Weights) -> Vec<usize> {
    children(weights, "features")
        .into_iter()
        .filter(|i| {
            weights
                .dims(&format!("features.{i}.weight"))
                .is_some_and(|d| d.len() == 4)
        })
        .collect()
}

/// Whether the tensors look like a VGG: a list of 3x3 convolutions and a linear classifier.
pub(super) fn recognise(weights: &Weights) -> bool {
    let convolutions = convolutions(weights);
    let linear = |key: &str| weights.dims(key).is_some_and(|d| d.len() == 2);
    convolutions.first() == Some(&0)
        && convolutions.iter().all(|i| {
            weights
                .dims(&format!("features.{i}.weight"))
                .is_some_and(|d| d.ends_with(&[3, 3]))
        })
        && (linear("classifier.weight")
            || children(weights, "classifier")
                .iter()
                .any(|i| linear(&format!("classifier.{i}.weight"))))
}

pub(super) fn build(weights: &Weights, _: &Hint) -> Result<Built> {
    let mut net = Net::new(weights);
    let convolutions = convolutions(weights);
    let with_bn = weights.has("features.1.running_mean");
    let mut x = 0;
    let mut stages = Vec::new();
    let mut last = String::new();
    for (n, &index) in convolutions.iter().enumerate() {
        x = net.conv(&format!("features.{index}"), x, 1)?;
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
                x = net.max_pool(&format!("features.{next}"), x, Pool::square(2, 2, 0));
            }
            Some(&following) => {
                return Err(fault::shape(
                    &format!("features.{following}"),
                    &format!("the module {} before it", following - 1),
                    "a ReLU and at most one max-pool between convolutions",
                ));
            }
            None => {
                let pool = format!("features.{next}");
                x = net.max_pool(&pool, x, Pool::square(2, 2, 0));
                stages.push(relu.clone());
                stages.push(pool);
                last = relu;
            }
        }
    }
    net.alias("features", x);

    // The grid before the classifier follows from how many features its first layer takes.
    let linears = children(weights, "classifier");
    let first = linears
        .iter()
        .map(|i| net.dims(&format!("classifier.{i}")))
        .find(|d| d.len() == 2)
        .unwrap_or_else(|| net.dims("classifier"));
    let features = first.get(1).copied().unwrap_or(0);
    let side = (features / net.channels_of(x).max(1)).isqrt().max(1);
    x = net.push("avgpool", Op::AdaptiveAvgPool([side; 2]), &[x]);
    x = net.push("flatten", Op::Flatten, &[x]);
    classifier(&mut net, "classifier", x, Act::Relu, true)?;

    let depth = convolutions.len() + linears.len().max(1);
    let suffix = if with_bn { "_bn" } else { "" };
    let width = net.dims("features.0").first().copied().unwrap_or(0);
    let name = match (depth, width, linears.as_slice()) {
        (11 | 13 | 16 | 19, 64, [0, 3, 6]) => format!("vgg{depth}{suffix}"),
        _ => format!("vgg{depth}{suffix} (width {width})"),
    };
    Ok(net.finish(stages, &last, name))
}
