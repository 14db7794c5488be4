//! EfficientNet (Tan and Le, ICML 2019, arXiv 1905.11946) and EfficientNetV2 (ICML 2021, arXiv
//! 2104.00298) as torchvision writes them.

use super::head::classifier;
use super::net::{Net, children, dashed};
use super::{Built, Hint};
use crate::error::Result;
use crate::model::graph::NodeId;
use crate::model::op::{Act, Op};
use crate::model::weights::Weights;

/// A published member: depths of its stages, widths of stem and last convolution, side of its inputs.
pub(super) struct Member {
    pub name: &'static str,
    pub depths: &'static [usize],
    pub width: usize,
    pub head: usize,
    pub side: usize,
}

/// Members of both generations.
pub(super) const MEMBERS: [Member; 11] = [
    member("b0", &[1, 2, 2, 3, 3, 4, 1], 32, 1280, 224),
    member("b1", &[2, 3, 3, 4, 4, 5, 2], 32, 1280, 240),
    member("b2", &[2, 3, 3, 4, 4, 5, 2], 32, 1408, 288),
    member("b3", &[2, 3, 3, 5, 5, 6, 2], 40, 1536, 300),
    member("b4", &[2, 4, 4, 6, 6, 8, 2], 48, 1792, 380),
    member("b5", &[3, 5, 5, 7, 7, 9, 3], 48, 2048, 456),
    member("b6", &[3, 6, 6, 8, 8, 11, 3], 56, 2304, 528),
    member("b7", &[4, 7, 7, 10, 10, 13, 4], 64, 2560, 600),
    member("v2_s", &[2, 4, 4, 6, 9, 15], 24, 1280, 384),
    member("v2_m", &[3, 5, 5, 7, 14, 18, 5], 24, 1280, 480),
    member("v2_l", &[4, 7, 7, 10, 19, 25, 7], 32, 1280, 480),
];

const fn member(
    name: &'static str,
    depths: &'static [usize],
    width: usize,
    head: usize,
    side: usize,
) -> Member {
    Member {
        name,
        depths,
        width,
        head,
        side,
    }
}

/// The published member of these depths and widths.
pub(super) fn published(depths: &[usize], width: usize, head: usize) -> Option<&'static Member> {
    MEMBERS
        .iter()
        .find(|m| m.depths == depths && m.width == width && m.head == head)
}

/// Step of the first block of stage `stage`, 0 for the first: the tables of both papers agree.
pub(super) fn stride(stage: usize) -> usize {
    [1, 2, 2, 2, 1, 2, 1].get(stage).copied().unwrap_or(1)
}

/// Whether the tensors look like an EfficientNet in torchvision's spelling.
pub(super) fn recognise(weights: &Weights) -> bool {
    weights.has("features.0.0.weight")
        && weights.has("features.1.0.block.0.0.weight")
        && weights.has("features.1.0.block.0.1.running_mean")
}

pub(super) fn build(weights: &Weights, _: &Hint) -> Result<Built> {
    let mut net = Net::new(weights);
    let stages = net.count(1, |s| format!("features.{s}.0.block.0.0.weight"));
    let depths: Vec<usize> = (1..=stages)
        .map(|s| net.count(0, |b| format!("features.{s}.{b}.block.0.0.weight")))
        .collect();
    let head = format!("features.{}", stages + 1);
    let width = |path: &str| net.dims(path).first().copied().unwrap_or(0);
    let (stem_width, head_width) = (width("features.0.0"), width(&format!("{head}.0")));
    let known = published(&depths, stem_width, head_width);
    // The second generation fuses expansion and depthwise convolution in its first stages.
    let fused = net.dims("features.1.0.block.0.0").get(1) != Some(&1);
    if fused || depths.first().is_some_and(|depth| *depth >= 3) {
        net.eps = 1e-3;
    }

    let mut x = net.unit("features.0", 0, 2, Some(Act::Silu))?;
    let mut names = vec!["features.0".to_owned()];
    for (stage, &depth) in depths.iter().enumerate() {
        let path = format!("features.{}", stage + 1);
        for block in 0..depth {
            let step = if block == 0 { stride(stage) } else { 1 };
            x = mbconv(&mut net, &format!("{path}.{block}"), x, step)?;
        }
        names.push(path);
    }
    x = net.unit(&head, x, 1, Some(Act::Silu))?;
    names.push(head.clone());
    net.alias("features", x);
    x = net.pooled("avgpool", x);
    classifier(&mut net, "classifier", x, Act::Silu, true)?;

    let name = match known {
        Some(member) => format!("efficientnet_{}", member.name),
        None => format!("efficientnet ({}, width {stem_width})", dashed(&depths)),
    };
    let mut built = net.finish(names, &head, name);
    built.side = known.map(|member| member.side);
    Ok(built)
}

/// Expansion, depthwise convolution, squeeze-excite and linear projection, or the fused block without the
/// middle two; the input is added where the shapes allow it.
fn mbconv(net: &mut Net<'_>, path: &str, input: NodeId, stride: usize) -> Result<NodeId> {
    let parts = children(net.weights, &format!("{path}.block"));
    let mut x = input;
    let mut step = stride;
    for (n, &part) in parts.iter().enumerate() {
        let at = format!("{path}.block.{part}");
        if net.has(&format!("{at}.fc1")) {
            x = net.squeeze_excite(&at, x, Act::Silu, Act::Sigmoid)?;
            continue;
        }
        // The first convolution larger than 1x1 strides. A fused block may be that convolution alone.
        let spatial = net.dims(&format!("{at}.0")).get(2).is_some_and(|k| *k > 1);
        let act = (n + 1 < parts.len() || parts.len() == 1).then_some(Act::Silu);
        x = net.unit(&at, x, if spatial { step } else { 1 }, act)?;
        if spatial {
            step = 1;
        }
    }
    if stride == 1 && net.channels_of(x) == net.channels_of(input) {
        net.alias(&format!("{path}.stochastic_depth"), x);
        x = net.push(&format!("{path}.add"), Op::Add, &[x, input]);
    }
    Ok(x)
}
