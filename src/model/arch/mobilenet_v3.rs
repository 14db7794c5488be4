//! MobileNetV3 (Howard et al., ICCV 2019, arXiv 1905.02244) as torchvision writes it.
//!
//! Which blocks use Hardswish and which halve the grid is the published table's; kernels, widths and
//! squeeze-excite gates are read off the tensors.

use super::head::classifier;
use super::net::{Net, children};
use super::{Built, Hint};
use crate::error::Result;
use crate::model::graph::NodeId;
use crate::model::op::{Act, Op};
use crate::model::weights::Weights;

/// torchvision's BatchNorm of this family.
const EPS: f64 = 1e-3;

/// What the tensors of a variant do not say.
struct Variant {
    name: &'static str,
    /// Number of blocks.
    blocks: usize,
    /// Places in `features` of the blocks that halve the grid.
    halving: &'static [usize],
    /// First block with Hardswish; the ones before it have ReLU.
    hardswish_from: usize,
    /// Stages before the last block.
    stages: &'static [usize],
}

const LARGE: Variant = Variant {
    name: "mobilenet_v3_large",
    blocks: 15,
    halving: &[2, 4, 7, 13],
    hardswish_from: 7,
    stages: &[0, 3, 6, 12],
};

const SMALL: Variant = Variant {
    name: "mobilenet_v3_small",
    blocks: 11,
    halving: &[1, 2, 4, 9],
    hardswish_from: 4,
    stages: &[0, 1, 3, 8],
};

/// Whether the tensors look like a MobileNetV3.
pub(super) fn recognise(weights: &Weights) -> bool {
    weights.has("features.0.0.weight")
        && weights.has("features.1.block.0.0.weight")
        && weights.has("features.4.block.2.fc1.weight")
}

pub(super) fn build(weights: &Weights, _: &Hint) -> Result<Built> {
    let mut net = Net::new(weights);
    net.eps = EPS;
    // The small variant squeezes in its first block already.
    let variant = if net.has("features.1.block.1.fc1") {
        SMALL
    } else {
        LARGE
    };
    let mut x = net.unit("features.0", 0, 2, Some(Act::Hardswish))?;
    let width = net.channels_of(x);
    let blocks = net.count(1, |b| format!("features.{b}.block.0.0.weight"));
    for block in 1..=blocks {
        let stride = if variant.halving.contains(&block) {
            2
        } else {
            1
        };
        let act = if block >= variant.hardswish_from {
            Act::Hardswish
        } else {
            Act::Relu
        };
        x = inverted_residual(&mut net, &format!("features.{block}"), x, stride, act)?;
    }
    let last = format!("features.{}", blocks + 1);
    x = net.unit(&last, x, 1, Some(Act::Hardswish))?;
    let stages = variant
        .stages
        .iter()
        .copied()
        .filter(|stage| *stage < blocks)
        .chain([blocks, blocks + 1])
        .map(|stage| format!("features.{stage}"))
        .collect();
    x = net.pooled("avgpool", x);
    classifier(&mut net, "classifier", x, Act::Hardswish, true)?;

    let name = match (blocks == variant.blocks, width) {
        (true, 16) => variant.name.to_owned(),
        _ => format!("{} ({blocks} blocks, width {width})", variant.name),
    };
    Ok(net.finish(stages, &last, name))
}

fn inverted_residual(
    net: &mut Net<'_>,
    path: &str,
    input: NodeId,
    stride: usize,
    act: Act,
) -> Result<NodeId> {
    let parts = children(net.weights, &format!("{path}.block"));
    let mut x = input;
    for (n, &part) in parts.iter().enumerate() {
        let at = format!("{path}.block.{part}");
        if net.has(&format!("{at}.fc1")) {
            x = net.squeeze_excite(&at, x, Act::Relu, Act::HardSigmoid)?;
            continue;
        }
        // The depthwise convolution is the one with one channel a group; the last one projects.
        let depthwise = net.dims(&format!("{at}.0")).get(1) == Some(&1) && net.channels_of(x) > 1;
        let act = (n + 1 < parts.len()).then_some(act);
        x = net.unit(&at, x, if depthwise { stride } else { 1 }, act)?;
    }
    if stride == 1 && net.channels_of(x) == net.channels_of(input) {
        x = net.push(&format!("{path}.add"), Op::Add, &[x, input]);
    }
    Ok(x)
}
