//! DenseNet (Huang et al., CVPR 2017, arXiv 1608.06993) as torchvision writes it.
//!
//! `features` ends in BatchNorm; the ReLU before the pooling is a functional step, called
//! `features.relu5` here. A dense layer's input is the concatenation of all outputs before it; each
//! concatenation extends the one before, so that every tensor is stored once more and not once per
//! reader.

use super::{Net, NodeId, Op, Weights};
use crate::error::Result;
use crate::model::graph::Graph;
use crate::model::op::Pool;

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

pub(super) fn build(weights: &Weights) -> Result<(Graph, String)> {
    let mut net = Net::new(weights);
    let stem = net.tensor("features.conv0", "weight", 4)?;
    let (input_channels, kernel) = (stem.dim(1)?, stem.dim(2)?);
    let (x, width) = net.conv("features.conv0", 0, input_channels, 2, kernel / 2)?;
    let x = net.batch_norm("features.norm0", x)?;
    let x = net.relu("features.relu0", x);
    let mut x = net.max_pool("features.pool0", x, 3, 2, 1);

    let mut channels = width;
    let mut depths = Vec::new();
    let mut stages = Vec::new();
    let blocks = net.count(1, |b| {
        format!("features.denseblock{b}.denselayer1.conv1.weight")
    });
    for block in 1..=blocks {
        let path = format!("features.denseblock{block}");
        let depth = net.count(1, |l| format!("{path}.denselayer{l}.conv1.weight"));
        (x, channels) = dense_block(&mut net, &path, x, channels, depth)?;
        depths.push(depth);
        stages.push(path);
        let path = format!("features.transition{block}");
        if weights.has(&format!("{path}.conv.weight")) {
            x = net.batch_norm(&format!("{path}.norm"), x)?;
            x = net.relu(&format!("{path}.relu"), x);
            (x, channels) = net.conv(&format!("{path}.conv"), x, channels, 1, 0)?;
            let pool = Op::AvgPool {
                pool: Pool::square(2, 2, 0),
                count_border: true,
            };
            x = net.builder.push(&format!("{path}.pool"), pool, &[x]);
        }
    }
    let norm5 = net.batch_norm("features.norm5", x)?;
    net.builder.alias("features", norm5);
    let relu5 = net.relu("features.relu5", norm5);
    stages.push("features.relu5".to_owned());
    net.pooled_head("adaptive_avg_pool2d", "classifier", relu5)?;

    let name = match (depths.as_slice(), width) {
        ([6, 12, 24, 16], 64) => "densenet121".to_owned(),
        ([6, 12, 36, 24], 96) => "densenet161".to_owned(),
        ([6, 12, 32, 32], 64) => "densenet169".to_owned(),
        ([6, 12, 48, 32], 64) => "densenet201".to_owned(),
        _ => {
            let depths: Vec<String> = depths.iter().map(usize::to_string).collect();
            format!("densenet ({}, width {width})", depths.join("-"))
        }
    };
    Ok((net.builder.finish(stages, "features.relu5"), name))
}

fn dense_block(
    net: &mut Net<'_>,
    path: &str,
    input: NodeId,
    channels: usize,
    depth: usize,
) -> Result<(NodeId, usize)> {
    let (mut all, mut channels) = (input, channels);
    let mut newest: Option<NodeId> = None;
    for layer in 1..=depth {
        let path = format!("{path}.denselayer{layer}");
        let at = |leaf: &str| format!("{path}.{leaf}");
        if let Some(newest) = newest {
            all = net.builder.push(&at("concat"), Op::Concat, &[all, newest]);
        }
        let x = net.batch_norm(&at("norm1"), all)?;
        let x = net.relu(&at("relu1"), x);
        let (x, width) = net.conv(&at("conv1"), x, channels, 1, 0)?;
        let x = net.batch_norm(&at("norm2"), x)?;
        let x = net.relu(&at("relu2"), x);
        let (x, growth) = net.conv(&at("conv2"), x, width, 1, 1)?;
        newest = Some(x);
        channels += growth;
    }
    if let Some(newest) = newest {
        all = net
            .builder
            .push(&format!("{path}.concat"), Op::Concat, &[all, newest]);
    }
    Ok((all, channels))
}
