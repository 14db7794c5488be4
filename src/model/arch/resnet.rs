//! ResNet (He et al., CVPR 2016, arXiv 1512.03385) as torchvision writes it: version 1.5, the stride
//! of a bottleneck on its 3x3 convolution. Wide and grouped (ResNeXt) variants differ in shapes only.

use super::{Net, NodeId, Op, Weights};
use crate::error::Result;
use crate::model::graph::Graph;

/// Whether the tensors look like a ResNet.
pub(super) fn recognise(weights: &Weights) -> bool {
    [
        "conv1.weight",
        "bn1.running_mean",
        "layer1.0.conv1.weight",
        "layer1.0.bn1.running_mean",
    ]
    .iter()
    .all(|key| weights.has(key))
        && !weights.has("att_conv.weight")
}

pub(super) fn build(weights: &Weights) -> Result<(Graph, String)> {
    let mut net = Net::new(weights);
    let stem = net.tensor("conv1", "weight", 4)?;
    let (channels, kernel) = (stem.dim(1)?, stem.dim(2)?);
    let (x, width) = net.conv("conv1", 0, channels, 2, kernel / 2)?;
    let x = net.batch_norm("bn1", x)?;
    let x = net.relu("relu", x);
    let mut x = net.max_pool("maxpool", x, 3, 2, 1);

    let mut channels = width;
    let mut depths = Vec::new();
    let mut stages = Vec::new();
    let bottleneck = weights.has("layer1.0.conv3.weight");
    let stage_count = net.count(1, |l| format!("layer{l}.0.conv1.weight"));
    for stage in 1..=stage_count {
        let depth = net.count(0, |b| format!("layer{stage}.{b}.conv1.weight"));
        for block in 0..depth {
            let stride = if stage > 1 && block == 0 { 2 } else { 1 };
            let path = format!("layer{stage}.{block}");
            (x, channels) = residual_block(&mut net, &path, x, channels, stride)?;
        }
        depths.push(depth);
        stages.push(format!("layer{stage}"));
    }
    net.pooled_head("avgpool", "fc", x)?;

    let last = stages.last().cloned().unwrap_or_default();
    let groups_width = weights.dims("layer1.0.conv2.weight").map(<[usize]>::to_vec);
    let name = member(&depths, bottleneck, width, groups_width.as_deref());
    Ok((net.builder.finish(stages, &last), name))
}

/// Basic (two 3x3) or bottleneck (1x1, 3x3, 1x1), told apart by the third convolution.
fn residual_block(
    net: &mut Net<'_>,
    path: &str,
    input: NodeId,
    channels: usize,
    stride: usize,
) -> Result<(NodeId, usize)> {
    let bottleneck = net.weights.has(&format!("{path}.conv3.weight"));
    let at = |leaf: &str| format!("{path}.{leaf}");
    let relu = at("relu");

    let (first, middle) = if bottleneck { (1, stride) } else { (stride, 1) };
    let (x, width) = net.conv(
        &at("conv1"),
        input,
        channels,
        first,
        usize::from(!bottleneck),
    )?;
    let x = net.batch_norm(&at("bn1"), x)?;
    let x = net.relu(&relu, x);
    let (x, width) = net.conv(&at("conv2"), x, width, middle, 1)?;
    let mut x = net.batch_norm(&at("bn2"), x)?;
    let mut out = width;
    if bottleneck {
        x = net.relu(&relu, x);
        (x, out) = net.conv(&at("conv3"), x, width, 1, 0)?;
        x = net.batch_norm(&at("bn3"), x)?;
    }
    let shortcut = if net.weights.has(&at("downsample.0.weight")) {
        let (y, _) = net.conv(&at("downsample.0"), input, channels, stride, 0)?;
        net.batch_norm(&at("downsample.1"), y)?
    } else {
        input
    };
    let sum = net.builder.push(&at("add"), Op::Add, &[x, shortcut]);
    Ok((net.relu(&relu, sum), out))
}

/// torchvision's name where the shapes are those of a published member, a description otherwise.
fn member(depths: &[usize], bottleneck: bool, width: usize, conv2: Option<&[usize]>) -> String {
    let depth = match (depths, bottleneck) {
        ([2, 2, 2, 2], false) => "18",
        ([3, 4, 6, 3], false) => "34",
        ([3, 4, 6, 3], true) => "50",
        ([3, 4, 23, 3], true) => "101",
        ([3, 8, 36, 3], true) => "152",
        _ => "",
    };
    if depth.is_empty() {
        let kind = if bottleneck { "bottleneck" } else { "basic" };
        let depths: Vec<String> = depths.iter().map(usize::to_string).collect();
        return format!("resnet ({kind} {}, width {width})", depths.join("-"));
    }
    match (bottleneck, width, conv2) {
        (true, 64, Some([128, 128, ..])) => format!("wide_resnet{depth}_2"),
        (true, 64, Some([o, i, ..])) if o != i => {
            let groups = o / i.max(&1);
            format!("resnext{depth}_{groups}x{i}d")
        }
        (_, 64, _) => format!("resnet{depth}"),
        _ => format!("resnet{depth} (width {width})"),
    }
}
