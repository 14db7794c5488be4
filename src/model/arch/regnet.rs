//! RegNet X and Y (Radosavovic et al., CVPR 2020, arXiv 2003.13678) as torchvision writes them.

use super::head::classifier;
use super::net::{Net, children, dashed};
use super::{Built, Hint};
use crate::error::Result;
use crate::model::graph::NodeId;
use crate::model::op::{Act, Op};
use crate::model::weights::Weights;

/// Whether the tensors look like a RegNet.
pub(super) fn recognise(weights: &Weights) -> bool {
    weights.has("stem.0.weight") && weights.has("trunk_output.block1.block1-0.f.a.0.weight")
}

/// Published members: name without `regnet_`, depths, width of the last stage.
const MEMBERS: [(&str, &[usize], usize); 15] = [
    ("y_400mf", &[1, 3, 6, 6], 440),
    ("y_800mf", &[1, 3, 8, 2], 784),
    ("y_1_6gf", &[2, 6, 17, 2], 888),
    ("y_3_2gf", &[2, 5, 13, 1], 1512),
    ("y_8gf", &[2, 4, 10, 1], 2016),
    ("y_16gf", &[2, 4, 11, 1], 3024),
    ("y_32gf", &[2, 5, 12, 1], 3712),
    ("y_128gf", &[2, 7, 17, 1], 7392),
    ("x_400mf", &[1, 2, 7, 12], 400),
    ("x_800mf", &[1, 3, 7, 5], 672),
    ("x_1_6gf", &[2, 4, 10, 2], 912),
    ("x_3_2gf", &[2, 6, 15, 2], 1008),
    ("x_8gf", &[2, 5, 15, 1], 1920),
    ("x_16gf", &[2, 6, 13, 1], 2048),
    ("x_32gf", &[2, 7, 13, 1], 2520),
];

pub(super) fn build(weights: &Weights, _: &Hint) -> Result<Built> {
    let mut net = Net::new(weights);
    let mut x = net.unit("stem", 0, 2, Some(Act::Relu))?;
    let mut stages = vec!["stem".to_owned()];
    let mut depths = Vec::new();
    let gated = net.has("trunk_output.block1.block1-0.f.se.fc1");
    let count = net.count(1, |s| {
        format!("trunk_output.block{s}.block{s}-0.f.a.0.weight")
    });
    for stage in 1..=count {
        let path = format!("trunk_output.block{stage}");
        let depth = net.count(0, |b| format!("{path}.block{stage}-{b}.f.a.0.weight"));
        for block in 0..depth {
            let stride = if block == 0 { 2 } else { 1 };
            x = bottleneck(&mut net, &format!("{path}.block{stage}-{block}"), x, stride)?;
        }
        depths.push(depth);
        stages.push(path);
    }
    let width = net.channels_of(x);
    let last = stages.last().cloned().unwrap_or_default();
    x = net.pooled("avgpool", x);
    classifier(&mut net, "fc", x, Act::Relu, false)?;

    let kind = if gated { 'y' } else { 'x' };
    let name = MEMBERS
        .iter()
        .find(|(name, d, w)| name.starts_with(kind) && *d == depths && *w == width)
        .map_or_else(
            || format!("regnet_{kind} ({}, width {width})", dashed(&depths)),
            |(name, ..)| format!("regnet_{name}"),
        );
    Ok(net.finish(stages, &last, name))
}

/// 1x1, grouped 3x3, a squeeze-excite gate in the Y family, 1x1, and the input or its projection added.
fn bottleneck(net: &mut Net<'_>, path: &str, input: NodeId, stride: usize) -> Result<NodeId> {
    let at = |leaf: &str| format!("{path}.{leaf}");
    let shortcut = if children(net.weights, &at("proj")).is_empty() {
        input
    } else {
        net.unit(&at("proj"), input, stride, None)?
    };
    let mut x = net.unit(&at("f.a"), input, 1, Some(Act::Relu))?;
    x = net.unit(&at("f.b"), x, stride, Some(Act::Relu))?;
    if net.has(&at("f.se.fc1")) {
        x = net.squeeze_excite(&at("f.se"), x, Act::Relu, Act::Sigmoid)?;
    }
    x = net.unit(&at("f.c"), x, 1, None)?;
    x = net.push(&at("add"), Op::Add, &[shortcut, x]);
    Ok(net.relu(&at("activation"), x))
}
