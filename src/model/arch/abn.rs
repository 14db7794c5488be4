//! Attention Branch Network (Fukui et al., CVPR 2019, arXiv 1812.10025) on a ResNet, as the authors' code has it.
//!
//! Behind the last stage but one, with features F, the attention branch runs a copy of the last stage at stride 1,
//! brings it down to one plane a class, T, and gives two things: a map M in 0..=1 and logits of its own. The
//! perception branch is the rest of the ResNet, on F M + F; its logits are the prediction. The branch is called after
//! the stage that it copies: `att_layer4` in the ImageNet layout, `att_layer3` in the CIFAR layout, whose stem keeps
//! 32 x 32. The authors' pools have fixed kernels, which at their input sizes are global means.

use super::net::Net;
use super::resnet::{self, Stem};
use super::{Built, Hint};
use crate::error::Result;
use crate::model::graph::{ATTENTION, AttentionBranch, NodeId};
use crate::model::op::{Act, Op};
use crate::model::weights::Weights;
use crate::text::{fault, notice};

/// Most stages that are looked for.
const MAX_STAGES: usize = 16;

/// Side of the pictures that the CIFAR layout was made for.
const CIFAR_SIDE: usize = 32;

/// Whether a ResNet's tensors have an attention branch beside them, whole or not.
pub(super) fn has_branch(weights: &Weights) -> bool {
    weights.has("att_conv.weight") || copied_stage(weights).is_some()
}

/// Whether the tensors look like an Attention Branch Network.
pub(super) fn recognise(weights: &Weights) -> bool {
    resnet::has_trunk(weights) && has_branch(weights)
}

/// The stage that the attention branch copies, by the names of its tensors.
fn copied_stage(weights: &Weights) -> Option<usize> {
    (1..=MAX_STAGES).find(|stage| weights.has(&format!("att_layer{stage}.0.conv1.weight")))
}

pub(super) fn build(weights: &Weights, _: &Hint) -> Result<Built> {
    let mut net = Net::new(weights);
    // A stride has no tensor: the authors' ImageNet networks begin with 7 x 7, those for CIFAR with 3 x 3.
    let kind = match net.dims("conv1") {
        [.., 3, 3] => Stem::Cifar,
        _ => Stem::ImageNet,
    };
    let mut x = resnet::stem(&mut net, kind)?;
    let width = net.channels_of(x);

    let stage_count = resnet::stage_count(&net);
    let last = copied_stage(weights).unwrap_or(stage_count);
    if last < stage_count {
        return Err(fault::shape(
            &format!("att_layer{last}"),
            &format!("a branch beside stage {last} of {stage_count}"),
            &format!("a copy of the last stage, 'att_layer{stage_count}'"),
        ));
    }
    let mut depths = Vec::new();
    let mut stages = Vec::new();
    let mut branch = None;
    for number in 1..=last {
        if number == last {
            let (features, made) = attention(&mut net, last, x)?;
            (x, branch) = (features, Some(made));
        }
        let path = format!("layer{number}");
        let depth;
        (x, depth) = resnet::stage(&mut net, &path, x, resnet::stride_of(number))?;
        depths.push(depth);
        stages.push(path);
    }
    x = resnet::head(&mut net, x)?;
    let classes = net.channels_of(x);
    if let Some(branch) = &branch {
        let own = net.channels_of(branch.logits);
        if own != classes {
            return Err(fault::shape(
                "att_conv2.weight",
                &format!("{own} classes"),
                &format!("{classes}, as many as 'fc' has"),
            ));
        }
    }

    if kind == Stem::Cifar {
        net.notice(notice::cifar_stem());
    }
    let name = with_branch(&resnet::name(&net, &depths, width));
    let last = stages.last().cloned().unwrap_or_default();
    let mut built = net.finish(stages, &last, name);
    built.graph.attention = branch;
    built.side = (kind == Stem::Cifar).then_some(CIFAR_SIDE);
    Ok(built)
}

/// The attention branch on features `x`, beside stage `last`, and what it makes of them: F M + F.
fn attention(net: &mut Net<'_>, last: usize, x: NodeId) -> Result<(NodeId, AttentionBranch)> {
    let (mut t, _) = resnet::stage(net, &format!("att_layer{last}"), x, 1)?;
    t = net.batch_norm("bn_att", t)?;
    t = net.conv("att_conv", t, 1)?;
    t = net.batch_norm("bn_att2", t)?;
    t = net.relu("relu", t);

    let mut logits = net.conv("att_conv2", t, 1)?;
    logits = net.push("att_gap", Op::AdaptiveAvgPool([1, 1]), &[logits]);
    logits = net.push("att_flatten", Op::Flatten, &[logits]);

    let mut map = net.conv("att_conv3", t, 1)?;
    let planes = net.channels_of(map);
    if planes != 1 {
        return Err(fault::shape(
            "att_conv3.weight",
            &format!("{planes} planes"),
            "one, the attention map",
        ));
    }
    map = net.batch_norm("bn_att3", map)?;
    map = net.act("sigmoid", Act::Sigmoid, map);
    net.alias(ATTENTION, map);

    let weighted = net.push("perception.mul", Op::Mul, &[x, map]);
    let sum = net.push("perception.add", Op::Add, &[weighted, x]);
    Ok((sum, AttentionBranch { map, logits }))
}

/// A ResNet's name, with the branch among what is said in brackets.
fn with_branch(name: &str) -> String {
    match name.strip_suffix(')') {
        Some(described) => format!("{described}, attention branch)"),
        None => format!("{name} (attention branch)"),
    }
}
