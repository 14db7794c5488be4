//! MobileNetV2 (Sandler et al., CVPR 2018, arXiv 1801.04381) as torchvision writes it.

use super::head::classifier;
use super::net::Net;
use super::{Built, Hint};
use crate::error::Result;
use crate::model::graph::NodeId;
use crate::model::op::{Act, Op};
use crate::model::weights::Weights;

/// Places in `features` of the blocks that halve the grid; widths and depths are read off the tensors.
const HALVING: [usize; 4] = [2, 4, 7, 14];

/// Whether the tensors look like a MobileNetV2.
pub(super) fn recognise(weights: &Weights) -> bool {
    weights.has("features.0.0.weight")
        && weights.has("features.1.conv.0.0.weight")
        && weights.has("features.1.conv.1.weight")
}

pub(super) fn build(weights: &Weights, _: &Hint) -> Result<Built> {
    let mut net = Net::new(weights);
    let mut x = net.unit("features.0", 0, 2, Some(Act::RELU6))?;
    let width = net.channels_of(x);
    let blocks = net.count(1, |b| format!("features.{b}.conv.0.0.weight"));
    let mut stages = Vec::new();
    for block in 1..=blocks {
        let path = format!("features.{block}");
        let stride = if HALVING.contains(&block) { 2 } else { 1 };
        x = inverted_residual(&mut net, &path, x, stride)?;
        if HALVING.contains(&(block + 1)) || block == blocks {
            stages.push(path);
        }
    }
    let last = format!("features.{}", blocks + 1);
    x = net.unit(&last, x, 1, Some(Act::RELU6))?;
    stages.push(last.clone());
    x = net.pooled("adaptive_avg_pool2d", x);
    classifier(&mut net, "classifier", x, Act::Relu, true)?;

    let name = match (blocks, width) {
        (17, 32) => "mobilenet_v2".to_owned(),
        _ => format!("mobilenet_v2 ({blocks} blocks, width {width})"),
    };
    Ok(net.finish(stages, &last, name))
}

/// Expansion 1x1 (not in the first block), depthwise 3x3, linear projection 1x1, and the input added
/// where the shapes allow it.
fn inverted_residual(
    net: &mut Net<'_>,
    path: &str,
    input: NodeId,
    stride: usize,
) -> Result<NodeId> {
    let at = |leaf: &str| format!("{path}.conv.{leaf}");
    let mut x = input;
    let mut projection = 1;
    if net.has(&at("1.0")) {
        x = net.unit(&at("0"), x, 1, Some(Act::RELU6))?;
        x = net.unit(&at("1"), x, stride, Some(Act::RELU6))?;
        projection = 2;
    } else {
        x = net.unit(&at("0"), x, stride, Some(Act::RELU6))?;
    }
    x = net.conv(&at(&projection.to_string()), x, 1)?;
    x = net.batch_norm(&at(&(projection + 1).to_string()), x)?;
    if stride == 1 && net.channels_of(x) == net.channels_of(input) {
        x = net.push(&format!("{path}.add"), Op::Add, &[x, input]);
    }
    Ok(x)
}
