//! ResNet (He et al., CVPR 2016, arXiv 1512.03385) as torchvision writes it: version 1.5, the stride
//! of a bottleneck on its 3x3 convolution. Wide (Zagoruyko and Komodakis, arXiv 1605.07146) and grouped
//! (ResNeXt, Xie et al., arXiv 1611.05431) variants differ in shapes only.
//!
//! timm gives the same tensors other module names (`act1`, `global_pool`), which stand beside
//! torchvision's, and has the variants of He et al., arXiv 1812.01187: a stem of three 3x3 convolutions and
//! shortcuts that average before they project, and squeeze-excite gates (Hu et al., arXiv 1709.01507).

use super::head::classifier;
use super::net::{Net, dashed};
use super::{Built, Hint};
use crate::error::Result;
use crate::model::graph::NodeId;
use crate::model::op::{Act, Op, Pool};
use crate::model::weights::Weights;

/// Whether the tensors look like a ResNet without an attention branch.
pub(super) fn recognise(weights: &Weights) -> bool {
    has_trunk(weights) && !super::abn::has_branch(weights)
}

/// Whether the tensors have a ResNet's stem and first stage.
pub(super) fn has_trunk(weights: &Weights) -> bool {
    [
        "bn1.running_mean",
        "layer1.0.conv1.weight",
        "layer1.0.bn1.running_mean",
    ]
    .iter()
    .all(|key| weights.has(key))
        && (weights.has("conv1.weight") || weights.has("conv1.0.weight"))
}

pub(super) fn build(weights: &Weights, _: &Hint) -> Result<Built> {
    let mut net = Net::new(weights);
    let mut x = stem(&mut net, Stem::ImageNet)?;
    let input_channels = net.channels_of(0);
    let width = net.channels_of(x);

    let mut depths = Vec::new();
    let mut stages = Vec::new();
    for number in 1..=stage_count(&net) {
        let path = format!("layer{number}");
        let depth;
        (x, depth) = stage(&mut net, &path, x, stride_of(number))?;
        depths.push(depth);
        stages.push(path);
    }
    x = head(&mut net, x)?;
    let classes = net.channels_of(x);

    let last = stages.last().cloned().unwrap_or_default();
    let name = name(&net, &depths, width);
    let mut built = net.finish(stages, &last, name);
    if input_channels == 1 && classes == 18 && weights.has("layer1.0.conv3.weight") {
        // TorchXRayVision's ResNets were trained at this size (Cohen et al., MIDL 2022, arXiv 2111.00595).
        built.side = Some(512);
    }
    Ok(built)
}

/// How a ResNet begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stem {
    /// Stride 2, and a max-pool of stride 2.
    ImageNet,
    /// Stride 1 and no pool, for pictures of 32 x 32.
    Cifar,
}

/// The layers before the first stage.
pub(super) fn stem(net: &mut Net<'_>, kind: Stem) -> Result<NodeId> {
    let stride = match kind {
        Stem::ImageNet => 2,
        Stem::Cifar => 1,
    };
    let mut x = 0;
    if has_deep_stem(net) {
        x = net.conv("conv1.0", x, stride)?;
        x = net.batch_norm("conv1.1", x)?;
        x = net.relu("conv1.2", x);
        x = net.conv("conv1.3", x, 1)?;
        x = net.batch_norm("conv1.4", x)?;
        x = net.relu("conv1.5", x);
        x = net.conv("conv1.6", x, 1)?;
    } else {
        x = net.conv("conv1", x, stride)?;
    }
    x = net.batch_norm("bn1", x)?;
    x = net.relu("relu", x);
    net.alias("act1", x);
    Ok(match kind {
        Stem::ImageNet => net.max_pool("maxpool", x, Pool::square(3, 2, 1)),
        Stem::Cifar => x,
    })
}

fn has_deep_stem(net: &Net<'_>) -> bool {
    net.has("conv1.0")
}

/// Stages whose first blocks have tensors.
pub(super) fn stage_count(net: &Net<'_>) -> usize {
    net.count(1, |l| format!("layer{l}.0.conv1.weight"))
}

/// The stride of a stage, counted from 1.
pub(super) fn stride_of(stage: usize) -> usize {
    if stage > 1 { 2 } else { 1 }
}

/// The blocks under `path`, the first with `stride`: their output, and how many they are.
///
/// # Errors
/// A missing tensor, that of the first block where there is none.
pub(super) fn stage(
    net: &mut Net<'_>,
    path: &str,
    x: NodeId,
    stride: usize,
) -> Result<(NodeId, usize)> {
    let depth = net.count(0, |b| format!("{path}.{b}.conv1.weight"));
    let mut x = residual_block(net, &format!("{path}.0"), x, stride)?;
    for block in 1..depth {
        x = residual_block(net, &format!("{path}.{block}"), x, 1)?;
    }
    Ok((x, depth))
}

/// Pooling and classifier.
pub(super) fn head(net: &mut Net<'_>, x: NodeId) -> Result<NodeId> {
    let mut x = net.push("avgpool", Op::AdaptiveAvgPool([1, 1]), &[x]);
    net.alias("global_pool.pool", x);
    x = net.push("flatten", Op::Flatten, &[x]);
    net.alias("global_pool", x);
    net.alias("global_pool.flatten", x);
    classifier(net, "fc", x, Act::Relu, false)
}

/// The name of a ResNet of these blocks a stage, with `width` channels in its stem.
pub(super) fn name(net: &Net<'_>, depths: &[usize], width: usize) -> String {
    let bottleneck = net.has("layer1.0.conv3");
    let mut name = member(depths, bottleneck, width, net.dims("layer1.0.conv2"));
    if !name.contains(' ') {
        if has_deep_stem(net) {
            // timm's `t` differs from `d` in the widths of the stem.
            name.push(if net.dims("conv1.0").first() == Some(&24) {
                't'
            } else {
                'd'
            });
        }
        if net.has("layer1.0.se.fc1") {
            name.insert_str(0, "se");
        }
    }
    name
}

/// Basic (two 3x3) or bottleneck (1x1, 3x3, 1x1), told apart by the third convolution.
fn residual_block(net: &mut Net<'_>, path: &str, input: NodeId, stride: usize) -> Result<NodeId> {
    let at = |leaf: &str| format!("{path}.{leaf}");
    let bottleneck = net.has(&at("conv3"));
    let relu = at("relu");

    let (first, middle) = if bottleneck { (1, stride) } else { (stride, 1) };
    let mut x = net.conv(&at("conv1"), input, first)?;
    x = net.batch_norm(&at("bn1"), x)?;
    x = net.relu(&relu, x);
    net.alias(&at("act1"), x);
    x = net.conv(&at("conv2"), x, middle)?;
    x = net.batch_norm(&at("bn2"), x)?;
    if bottleneck {
        x = net.relu(&relu, x);
        net.alias(&at("act2"), x);
        x = net.conv(&at("conv3"), x, 1)?;
        x = net.batch_norm(&at("bn3"), x)?;
    }
    if net.has(&at("se.fc1")) {
        let steps = ["pool", "fc1", "act", "fc2", "gate"];
        x = net.gate(&at("se"), x, steps, [Act::Relu, Act::Sigmoid])?;
    }
    let shortcut = shortcut(net, &at("downsample"), input, stride)?;
    let sum = net.push(&at("add"), Op::Add, &[x, shortcut]);
    let out = net.relu(&relu, sum);
    net.alias(&at(if bottleneck { "act3" } else { "act2" }), out);
    Ok(out)
}

/// The input, or its projection: `0` convolution and `1` BatchNorm, or an average before them.
fn shortcut(net: &mut Net<'_>, path: &str, input: NodeId, stride: usize) -> Result<NodeId> {
    let at = |leaf: &str| format!("{path}.{leaf}");
    if net.has(&at("0")) {
        let y = net.conv(&at("0"), input, stride)?;
        net.batch_norm(&at("1"), y)
    } else if net.has(&at("1")) {
        let op = if stride == 1 {
            Op::Identity
        } else {
            Op::AvgPool {
                pool: Pool::square(2, stride, 0).with_ceil(),
                count_border: false,
            }
        };
        let y = net.push(&at("0"), op, &[input]);
        let y = net.conv(&at("1"), y, 1)?;
        net.batch_norm(&at("2"), y)
    } else {
        Ok(input)
    }
}

/// torchvision's name where the shapes are those of a published member, a description otherwise.
fn member(depths: &[usize], bottleneck: bool, width: usize, conv2: &[usize]) -> String {
    let depth = match (depths, bottleneck) {
        ([2, 2, 2, 2], false) => "18",
        ([3, 4, 6, 3], false) => "34",
        ([2, 2, 2, 2], true) => "26",
        ([3, 4, 6, 3], true) => "50",
        ([3, 4, 23, 3], true) => "101",
        ([3, 8, 36, 3], true) => "152",
        _ => "",
    };
    if depth.is_empty() {
        let kind = if bottleneck { "bottleneck" } else { "basic" };
        return format!("resnet ({kind} {}, width {width})", dashed(depths));
    }
    match (bottleneck, width, conv2) {
        (true, 64, [128, 128, ..]) => format!("wide_resnet{depth}_2"),
        (true, 64, [o, i, ..]) if o != i => {
            let groups = o / i.max(&1);
            format!("resnext{depth}_{groups}x{i}d")
        }
        (_, 64, _) => format!("resnet{depth}"),
        _ => format!("resnet{depth} (width {width})"),
    }
}
