//! EfficientNet as timm writes it, and its TensorFlow ports (`tf_efficientnet_b0` and others), which pad as
//! TensorFlow does and add 1e-3 to variances. Tensors cannot tell a port from timm's own; a name can
//! (`--arch tf_efficientnet_b0`, or the configuration beside the file).

use super::efficientnet::{published, stride};
use super::head::classifier;
use super::net::{Net, children, dashed};
use super::{Built, Hint};
use crate::error::Result;
use crate::model::graph::NodeId;
use crate::model::op::{Act, Op};
use crate::model::weights::Weights;
use crate::text::notice;

/// Whether the tensors look like an EfficientNet in timm's spelling. Its MobileNets have no gate in the
/// first stage.
pub(super) fn recognise(weights: &Weights) -> bool {
    weights.has("conv_stem.weight")
        && weights.has("bn1.running_mean")
        && weights.has("conv_head.weight")
        && weights.has("bn2.running_mean")
        && (weights.has("blocks.0.0.se.conv_reduce.weight")
            || (weights.has("blocks.0.0.conv.weight")
                && weights.has("blocks.3.0.se.conv_reduce.weight")))
}

pub(super) fn build(weights: &Weights, hint: &Hint) -> Result<Built> {
    let mut net = Net::new(weights);
    let depths: Vec<usize> = children(weights, "blocks")
        .into_iter()
        .map(|s| children(weights, &format!("blocks.{s}")).len())
        .collect();
    let width = |path: &str| net.dims(path).first().copied().unwrap_or(0);
    let stem_width = width("conv_stem");
    let known = published(&depths, stem_width, width("conv_head"));
    let port = hint.name.starts_with("tf_");
    if port {
        net.eps = 1e-3;
        // TensorFlow's border depends on the size of the input.
        let side = known.map_or(224, |member| timm_side(member.name, member.side));
        net.same = Some(side);
        net.notice(notice::same_padding(side));
    }

    let mut x = net.conv("conv_stem", 0, 2)?;
    x = norm(&mut net, "bn1", x, true)?;
    let mut stages = vec!["bn1".to_owned()];
    for (stage, &depth) in depths.iter().enumerate() {
        for block in 0..depth {
            let step = if block == 0 { stride(stage) } else { 1 };
            x = mbconv(&mut net, &format!("blocks.{stage}.{block}"), x, step)?;
        }
        if stage.is_multiple_of(2) {
            stages.push(format!("blocks.{stage}"));
        }
    }
    x = net.conv("conv_head", x, 1)?;
    x = norm(&mut net, "bn2", x, true)?;
    stages.push("bn2".to_owned());
    x = net.pooled("global_pool.pool", x);
    net.alias("global_pool", x);
    net.alias("global_pool.flatten", x);
    classifier(&mut net, "classifier", x, Act::Silu, false)?;

    let prefix = if port {
        "tf_efficientnet"
    } else {
        "efficientnet"
    };
    let name = match known {
        // timm writes `efficientnetv2_s`.
        Some(member) if member.name.starts_with('v') => format!("{prefix}{}", member.name),
        Some(member) => format!("{prefix}_{}", member.name),
        None => format!("{prefix} ({}, width {stem_width})", dashed(&depths)),
    };
    let mut built = net.finish(stages, "bn2", name);
    built.side = known.map(|member| timm_side(member.name, member.side));
    Ok(built)
}

/// timm's inputs are torchvision's but for B2, and V2's training sizes.
fn timm_side(member: &str, side: usize) -> usize {
    match member {
        "b2" => 260,
        "v2_s" => 300,
        "v2_m" | "v2_l" => 384,
        _ => side,
    }
}

/// timm's `BatchNormAct2d`: one module whose steps are the BatchNorm and its activation.
fn norm(net: &mut Net<'_>, path: &str, x: NodeId, act: bool) -> Result<NodeId> {
    if !act {
        return net.batch_norm(path, x);
    }
    let op = net.batch_norm_op(path)?;
    let x = net.push(&format!("{path}.bn"), op, &[x]);
    Ok(net.act(&format!("{path}.act"), Act::Silu, x))
}

/// One of timm's blocks, told apart by its convolutions: `conv` (plain), `conv_exp` and `conv_pwl` (fused),
/// `conv_dw` and `conv_pw` (no expansion), `conv_pw`, `conv_dw` and `conv_pwl`.
fn mbconv(net: &mut Net<'_>, path: &str, input: NodeId, stride: usize) -> Result<NodeId> {
    let at = |leaf: &str| format!("{path}.{leaf}");
    let convolutions: &[(&str, bool)] = if net.has(&at("conv")) {
        &[("conv", true)]
    } else if net.has(&at("conv_exp")) {
        &[("conv_exp", true), ("conv_pwl", false)]
    } else if net.has(&at("conv_pwl")) {
        &[("conv_pw", false), ("conv_dw", true), ("conv_pwl", false)]
    } else {
        &[("conv_dw", true), ("conv_pw", false)]
    };
    let mut x = input;
    for (n, (leaf, spatial)) in convolutions.iter().enumerate() {
        let last = n + 1 == convolutions.len();
        if last && net.has(&at("se.conv_reduce")) {
            let steps = ["pool", "conv_reduce", "act1", "conv_expand", "gate"];
            x = net.gate(&at("se"), x, steps, [Act::Silu, Act::Sigmoid])?;
        }
        x = net.conv(&at(leaf), x, if *spatial { stride } else { 1 })?;
        x = norm(
            net,
            &at(&format!("bn{}", n + 1)),
            x,
            !last || convolutions.len() == 1,
        )?;
    }
    if stride == 1 && net.channels_of(x) == net.channels_of(input) {
        x = net.push(&at("add"), Op::Add, &[x, input]);
    }
    Ok(x)
}
