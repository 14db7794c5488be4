//! DenseNet (Huang et al., CVPR 2017, arXiv 1608.06993) as torchvision writes it.
//!
//! `features` ends in BatchNorm; the ReLU before the pooling is a functional step, called
//! `features.relu5` here. A dense layer's input is the concatenation of all outputs before it; each
//! concatenation extends the one before, so that every tensor is stored once more and not once per
//! reader.
//!
//! timm has the same tensors under the same names, but its `norm` modules hold their ReLU: there
//! `features.norm5` is what torchvision calls `relu5`. Tensors cannot tell the two apart; `--arch
//! timm/densenet121` does.

use super::head::classifier;
use super::net::{Net, dashed};
use super::{Built, Hint};
use crate::error::Result;
use crate::model::graph::NodeId;
use crate::model::op::{Act, Op, Pool};
use crate::model::weights::Weights;

/// Whether the tensors look like a DenseNet.
pub(super) fn recognise(weights: &Weights) -> bool {
    [
        "features.conv0.weight",
        "features.norm0.running_mean",
        "features.denseblock1.denselayer1.conv1.weight",
    ]
    .iter()
    .all(|key| weights.has(key))
}

pub(super) fn build(weights: &Weights, hint: &Hint) -> Result<Built> {
    let mut net = Net::new(weights);
    let timm = hint.timm;
    let mut x = net.conv("features.conv0", 0, 2)?;
    let width = net.channels_of(x);
    x = norm_relu(&mut net, "features.norm0", "features.relu0", x, timm)?;
    x = net.max_pool("features.pool0", x, Pool::square(3, 2, 1));

    let mut depths = Vec::new();
    let mut stages = Vec::new();
    let blocks = net.count(1, |b| {
        format!("features.denseblock{b}.denselayer1.conv1.weight")
    });
    for block in 1..=blocks {
        let path = format!("features.denseblock{block}");
        let depth = net.count(1, |l| format!("{path}.denselayer{l}.conv1.weight"));
        x = dense_block(&mut net, &path, x, depth, timm)?;
        depths.push(depth);
        stages.push(path);
        let path = format!("features.transition{block}");
        if net.has(&format!("{path}.conv")) {
            let at = |leaf: &str| format!("{path}.{leaf}");
            x = norm_relu(&mut net, &at("norm"), &at("relu"), x, timm)?;
            x = net.conv(&at("conv"), x, 1)?;
            let pool = Op::AvgPool {
                pool: Pool::square(2, 2, 0),
                count_border: true,
            };
            x = net.push(&at("pool"), pool, &[x]);
        }
    }
    x = norm_relu(&mut net, "features.norm5", "features.relu5", x, timm)?;
    if timm {
        net.alias("features.relu5", x);
    } else {
        // `features` itself ends before the functional ReLU.
        net.alias("features", x - 1);
    }
    stages.push("features.relu5".to_owned());
    let pool = if timm {
        "global_pool.pool"
    } else {
        "adaptive_avg_pool2d"
    };
    x = net.pooled(pool, x);
    if timm {
        for name in ["global_pool", "global_pool.flatten", "head_drop"] {
            net.alias(name, x);
        }
    }
    classifier(&mut net, "classifier", x, Act::Relu, false)?;

    let name = match (depths.as_slice(), width) {
        ([6, 12, 24, 16], 64) => "densenet121".to_owned(),
        ([6, 12, 36, 24], 96) => "densenet161".to_owned(),
        ([6, 12, 32, 32], 64) => "densenet169".to_owned(),
        ([6, 12, 48, 32], 64) => "densenet201".to_owned(),
        _ => format!("densenet ({}, width {width})", dashed(&depths)),
    };
    Ok(net.finish(stages, "features.relu5", name))
}

/// BatchNorm and ReLU: two modules in torchvision, one module `norm` of two steps in timm.
fn norm_relu(net: &mut Net<'_>, norm: &str, relu: &str, x: NodeId, timm: bool) -> Result<NodeId> {
    if timm {
        let op = net.batch_norm_op(norm)?;
        let x = net.push(&format!("{norm}.bn"), op, &[x]);
        return Ok(net.relu(&format!("{norm}.act"), x));
    }
    let x = net.batch_norm(norm, x)?;
    Ok(net.relu(relu, x))
}

fn dense_block(
    net: &mut Net<'_>,
    path: &str,
    input: NodeId,
    depth: usize,
    timm: bool,
) -> Result<NodeId> {
    let mut all = input;
    let mut newest: Option<NodeId> = None;
    for layer in 1..=depth {
        let path = format!("{path}.denselayer{layer}");
        let at = |leaf: &str| format!("{path}.{leaf}");
        if let Some(newest) = newest {
            all = net.push(&at("concat"), Op::Concat, &[all, newest]);
        }
        let x = norm_relu(net, &at("norm1"), &at("relu1"), all, timm)?;
        let x = net.conv(&at("conv1"), x, 1)?;
        let x = norm_relu(net, &at("norm2"), &at("relu2"), x, timm)?;
        newest = Some(net.conv(&at("conv2"), x, 1)?);
    }
    if let Some(newest) = newest {
        all = net.push(&format!("{path}.concat"), Op::Concat, &[all, newest]);
    }
    Ok(all)
}
