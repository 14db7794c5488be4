//! ShuffleNetV2 (Ma et al., ECCV 2018, arXiv 1807.11164) as torchvision writes it.

use super::head::classifier;
use super::net::{Net, dashed};
use super::{Built, Hint};
use crate::error::Result;
use crate::model::graph::NodeId;
use crate::model::op::{Act, Op, Pool};
use crate::model::weights::Weights;

/// Whether the tensors look like a ShuffleNetV2.
pub(super) fn recognise(weights: &Weights) -> bool {
    weights.has("conv1.0.weight")
        && weights.has("stage2.0.branch1.0.weight")
        && weights.has("stage2.0.branch2.0.weight")
}

pub(super) fn build(weights: &Weights, _: &Hint) -> Result<Built> {
    let mut net = Net::new(weights);
    let mut x = net.unit("conv1", 0, 2, Some(Act::Relu))?;
    x = net.max_pool("maxpool", x, Pool::square(3, 2, 1));
    let mut stages = vec!["conv1".to_owned()];
    let mut depths = Vec::new();
    let mut widths = Vec::new();
    let count = net.count(2, |s| format!("stage{s}.0.branch2.0.weight"));
    for stage in 2..2 + count {
        let path = format!("stage{stage}");
        let depth = net.count(0, |b| format!("{path}.{b}.branch2.0.weight"));
        for block in 0..depth {
            x = unit(&mut net, &format!("{path}.{block}"), x)?;
        }
        depths.push(depth);
        widths.push(net.channels_of(x));
        stages.push(path);
    }
    x = net.unit("conv5", x, 1, Some(Act::Relu))?;
    stages.push("conv5".to_owned());
    x = net.pooled("mean", x);
    classifier(&mut net, "fc", x, Act::Relu, false)?;

    let name = match (depths.as_slice(), widths.first()) {
        ([4, 8, 4], Some(48)) => "shufflenet_v2_x0_5".to_owned(),
        ([4, 8, 4], Some(116)) => "shufflenet_v2_x1_0".to_owned(),
        ([4, 8, 4], Some(176)) => "shufflenet_v2_x1_5".to_owned(),
        ([4, 8, 4], Some(244)) => "shufflenet_v2_x2_0".to_owned(),
        (depths, _) => format!(
            "shufflenet_v2 ({}, widths {})",
            dashed(depths),
            dashed(&widths)
        ),
    };
    Ok(net.finish(stages, "conv5", name))
}

/// One half of the channels passes by, the other half is convolved; where the grid is halved both branches
/// read everything. Then the channels of both are shuffled.
fn unit(net: &mut Net<'_>, path: &str, input: NodeId) -> Result<NodeId> {
    let at = |leaf: &str| format!("{path}.{leaf}");
    let (left, right, stride) = if net.has(&at("branch1.0")) {
        let x = net.conv(&at("branch1.0"), input, 2)?;
        let x = net.batch_norm(&at("branch1.1"), x)?;
        let x = net.conv(&at("branch1.2"), x, 1)?;
        let x = net.batch_norm(&at("branch1.3"), x)?;
        (net.relu(&at("branch1.4"), x), input, 2)
    } else {
        let len = net.channels_of(input) / 2;
        let half = |start| Op::Slice { start, len };
        let left = net.push(&at("chunk1"), half(0), &[input]);
        let right = net.push(&at("chunk2"), half(len), &[input]);
        (left, right, 1)
    };
    let mut x = net.conv(&at("branch2.0"), right, 1)?;
    x = net.batch_norm(&at("branch2.1"), x)?;
    x = net.relu(&at("branch2.2"), x);
    x = net.conv(&at("branch2.3"), x, stride)?;
    x = net.batch_norm(&at("branch2.4"), x)?;
    x = net.conv(&at("branch2.5"), x, 1)?;
    x = net.batch_norm(&at("branch2.6"), x)?;
    x = net.relu(&at("branch2.7"), x);
    let x = net.push(&at("concat"), Op::Concat, &[left, x]);
    Ok(net.push(&at("shuffle"), Op::ChannelShuffle { groups: 2 }, &[x]))
}
