//! AlexNet as torchvision writes it (Krizhevsky, "One weird trick", arXiv 1404.5997).

use super::head::classifier;
use super::net::{Net, children};
use super::{Built, Hint};
use crate::error::Result;
use crate::model::op::{Act, Op, Pool};
use crate::model::weights::Weights;

/// Index of a convolution in `features`, its stride, its border, and whether a max-pool follows its ReLU.
const CONVOLUTIONS: [(usize, usize, usize, bool); 5] = [
    (0, 4, 2, true),
    (3, 1, 2, true),
    (6, 1, 1, false),
    (8, 1, 1, false),
    (10, 1, 1, true),
];

/// Whether the tensors look like an AlexNet: its five convolutions at their places, the first 11x11.
pub(super) fn recognise(weights: &Weights) -> bool {
    let places: Vec<usize> = CONVOLUTIONS.iter().map(|c| c.0).collect();
    children(weights, "features") == places
        && weights
            .dims("features.0.weight")
            .is_some_and(|d| d.ends_with(&[11, 11]))
}

pub(super) fn build(weights: &Weights, _: &Hint) -> Result<Built> {
    let mut net = Net::new(weights);
    let mut x = 0;
    let mut stages = Vec::new();
    for (index, stride, border, pooled) in CONVOLUTIONS {
        let path = format!("features.{index}");
        x = net.conv_with(&path, x, [stride; 2], [[border; 2]; 2])?;
        let relu = format!("features.{}", index + 1);
        x = net.relu(&relu, x);
        stages.push(relu);
        if pooled {
            let path = format!("features.{}", index + 2);
            x = net.max_pool(&path, x, Pool::square(3, 2, 0));
        }
    }
    stages.push("features.12".to_owned());
    let width = net.dims("features.0").first().copied().unwrap_or(0);
    let channels = net.channels_of(x);

    // The grid before the classifier follows from how many features its first layer takes.
    let first = children(weights, "classifier")
        .iter()
        .map(|i| net.dims(&format!("classifier.{i}")))
        .find(|d| d.len() == 2)
        .unwrap_or_else(|| net.dims("classifier"));
    let features = first.get(1).copied().unwrap_or(0);
    let side = (features / channels.max(1)).isqrt().max(1);
    x = net.push("avgpool", Op::AdaptiveAvgPool([side; 2]), &[x]);
    x = net.push("flatten", Op::Flatten, &[x]);
    classifier(&mut net, "classifier", x, Act::Relu, true)?;

    let name = match width {
        64 => "alexnet".to_owned(),
        width => format!("alexnet (width {width})"),
    };
    Ok(net.finish(stages, "features.11", name))
}
