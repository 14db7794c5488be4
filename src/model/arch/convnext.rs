//! ConvNeXt (Liu et al., CVPR 2022, arXiv 2201.03545) as torchvision and as timm write it.
//!
//! Linear layers and LayerNorms act on the channels of every place, so the permutations around them in
//! PyTorch need no step here.

use super::head::classifier;
use super::net::{Net, children, dashed};
use super::{Built, Hint};
use crate::error::Result;
use crate::model::graph::NodeId;
use crate::model::op::{Act, Op};
use crate::model::weights::Weights;

/// What LayerNorm adds to the variance.
const EPS: f64 = 1e-6;

/// Whether the tensors look like a ConvNeXt in torchvision's spelling.
pub(super) fn recognise(weights: &Weights) -> bool {
    weights.has("features.0.0.weight") && weights.has("features.1.0.layer_scale")
}

/// Whether the tensors look like a ConvNeXt in timm's spelling. Version 2 (`grn`) is another network.
pub(super) fn recognise_timm(weights: &Weights) -> bool {
    weights.has("stem.0.weight")
        && weights.has("stages.0.blocks.0.conv_dw.weight")
        && weights.has("stages.0.blocks.0.mlp.fc1.weight")
        && !weights.has("stages.0.blocks.0.mlp.grn.weight")
}

pub(super) fn build(weights: &Weights, _: &Hint) -> Result<Built> {
    let mut net = Net::new(weights);
    let mut x = patches(&mut net, "features.0.0", 0)?;
    let width = net.channels_of(x);
    x = net.layer_norm("features.0.1", x, EPS)?;
    let mut stages = vec!["features.0".to_owned()];
    let mut depths = Vec::new();
    for index in children(weights, "features").into_iter().skip(1) {
        let path = format!("features.{index}");
        if weights.has(&format!("{path}.0.layer_scale")) {
            let depth = net.count(0, |b| format!("{path}.{b}.layer_scale"));
            for block in 0..depth {
                let steps = Steps {
                    depthwise: "block.0",
                    norm: "block.2",
                    mlp: ["block.3", "block.4", "block.5"],
                    scale: "layer_scale",
                };
                let at = format!("{path}.{block}");
                x = block_of(&mut net, &at, x, &steps)?;
            }
            depths.push(depth);
        } else {
            x = net.layer_norm(&format!("{path}.0"), x, EPS)?;
            x = patches(&mut net, &format!("{path}.1"), x)?;
        }
        stages.push(path);
    }
    let last = stages.last().cloned().unwrap_or_default();
    x = net.push("avgpool", Op::AdaptiveAvgPool([1, 1]), &[x]);
    x = net.layer_norm("classifier.0", x, EPS)?;
    x = net.push("classifier.1", Op::Flatten, &[x]);
    net.linear("classifier.2", x)?;
    let name = member(&depths, width);
    Ok(net.finish(stages, &last, name))
}

pub(super) fn build_timm(weights: &Weights, hint: &Hint) -> Result<Built> {
    let mut net = Net::new(weights);
    let mut x = patches(&mut net, "stem.0", 0)?;
    let width = net.channels_of(x);
    x = net.layer_norm("stem.1", x, EPS)?;
    let mut stages = vec!["stem".to_owned()];
    let mut depths = Vec::new();
    for stage in children(weights, "stages") {
        let path = format!("stages.{stage}");
        if net.has(&format!("{path}.downsample.1")) {
            x = net.layer_norm(&format!("{path}.downsample.0"), x, EPS)?;
            x = patches(&mut net, &format!("{path}.downsample.1"), x)?;
        }
        let depth = net.count(0, |b| format!("{path}.blocks.{b}.conv_dw.weight"));
        for block in 0..depth {
            let steps = Steps {
                depthwise: "conv_dw",
                norm: "norm",
                mlp: ["mlp.fc1", "mlp.act", "mlp.fc2"],
                scale: "gamma",
            };
            x = block_of(&mut net, &format!("{path}.blocks.{block}"), x, &steps)?;
        }
        depths.push(depth);
        stages.push(path);
    }
    let last = stages.last().cloned().unwrap_or_default();
    x = net.push("head.global_pool.pool", Op::AdaptiveAvgPool([1, 1]), &[x]);
    net.alias("head.global_pool", x);
    // The last LayerNorm of transformers adds less than its others.
    let eps = if hint.transformers { 1e-12 } else { EPS };
    x = net.layer_norm("head.norm", x, eps)?;
    x = net.push("head.flatten", Op::Flatten, &[x]);
    classifier(&mut net, "head.fc", x, Act::Gelu, false)?;
    let name = member(&depths, width);
    Ok(net.finish(stages, &last, name))
}

/// A convolution whose windows do not overlap: its kernel is its stride.
fn patches(net: &mut Net<'_>, path: &str, x: NodeId) -> Result<NodeId> {
    let stride = net.dims(path).get(2).copied().unwrap_or(1);
    net.conv_valid(path, x, stride)
}

/// Names of a block's steps.
struct Steps {
    depthwise: &'static str,
    norm: &'static str,
    mlp: [&'static str; 3],
    scale: &'static str,
}

/// Depthwise convolution, LayerNorm, two linear layers with a GELU between them, a factor per channel,
/// and the input added.
fn block_of(net: &mut Net<'_>, path: &str, input: NodeId, steps: &Steps) -> Result<NodeId> {
    let at = |leaf: &str| format!("{path}.{leaf}");
    let mut x = net.conv(&at(steps.depthwise), input, 1)?;
    if steps.norm == "block.2" {
        net.alias(&at("block.1"), x);
    }
    x = net.layer_norm(&at(steps.norm), x, EPS)?;
    x = pointwise(net, &at(steps.mlp[0]), x)?;
    x = net.act(&at(steps.mlp[1]), Act::Gelu, x);
    x = pointwise(net, &at(steps.mlp[2]), x)?;
    if steps.norm == "block.2" {
        net.alias(&at("block.6"), x);
    }
    let scale = at(steps.scale);
    if net.weights.has(&scale) {
        let scale_values = net.weights.get(&scale)?.flatten_all()?;
        x = net.push(&scale, Op::Scale(scale_values), &[x]);
        if steps.norm == "block.2" {
            net.alias(&at("stochastic_depth"), x);
        }
    }
    Ok(net.push(&at("add"), Op::Add, &[x, input]))
}

/// A linear layer over channels, which timm may also write as a 1x1 convolution.
fn pointwise(net: &mut Net<'_>, path: &str, x: NodeId) -> Result<NodeId> {
    if net.dims(path).len() == 4 {
        net.conv_valid(path, x, 1)
    } else {
        net.linear(path, x)
    }
}

fn member(depths: &[usize], width: usize) -> String {
    match (depths, width) {
        ([3, 3, 9, 3], 96) => "convnext_tiny".to_owned(),
        ([3, 3, 27, 3], 96) => "convnext_small".to_owned(),
        ([3, 3, 27, 3], 128) => "convnext_base".to_owned(),
        ([3, 3, 27, 3], 192) => "convnext_large".to_owned(),
        _ => format!("convnext ({}, width {width})", dashed(depths)),
    }
}
