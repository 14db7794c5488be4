//! MNASNet (Tan et al., CVPR 2019, arXiv 1807.11626) as torchvision writes it.

use super::head::classifier;
use super::net::Net;
use super::{Built, Hint};
use crate::error::Result;
use crate::model::graph::NodeId;
use crate::model::op::{Act, Op};
use crate::model::weights::Weights;

/// Place in `layers` of the first stack of blocks, and the strides of the stacks.
const STACKS: (usize, [usize; 6]) = (8, [2, 2, 2, 1, 2, 1]);

/// Whether the tensors look like a MNASNet.
pub(super) fn recognise(weights: &Weights) -> bool {
    weights.has("layers.0.weight")
        && weights.has("layers.3.weight")
        && weights.has("layers.8.0.layers.0.weight")
}

pub(super) fn build(weights: &Weights, _: &Hint) -> Result<Built> {
    let mut net = Net::new(weights);
    let at = |index: usize| format!("layers.{index}");
    let mut x = net.conv(&at(0), 0, 2)?;
    let width = net.channels_of(x);
    x = net.batch_norm(&at(1), x)?;
    x = net.relu(&at(2), x);
    x = net.conv(&at(3), x, 1)?;
    x = net.batch_norm(&at(4), x)?;
    x = net.relu(&at(5), x);
    x = net.conv(&at(6), x, 1)?;
    x = net.batch_norm(&at(7), x)?;
    let first_width = net.channels_of(x);

    let (first, strides) = STACKS;
    let stacks = net.count(first, |s| format!("layers.{s}.0.layers.0.weight"));
    let stride_of = |stack: usize| strides.get(stack).copied().unwrap_or(1);
    let mut stages = vec![at(7)];
    for stack in 0..stacks {
        let path = at(first + stack);
        let depth = net.count(0, |b| format!("{path}.{b}.layers.0.weight"));
        for block in 0..depth {
            let stride = if block == 0 { stride_of(stack) } else { 1 };
            x = inverted_residual(&mut net, &format!("{path}.{block}"), x, stride)?;
        }
        if stride_of(stack + 1) == 2 || stack + 1 == stacks {
            stages.push(path);
        }
    }
    let end = first + stacks;
    x = net.conv(&at(end), x, 1)?;
    x = net.batch_norm(&at(end + 1), x)?;
    x = net.relu(&at(end + 2), x);
    let last = at(end + 2);
    stages.push(last.clone());
    net.alias("layers", x);
    x = net.pooled("mean", x);
    classifier(&mut net, "classifier", x, Act::Relu, true)?;

    let name = match (stacks, width, first_width) {
        (6, 16, 8) => "mnasnet0_5".to_owned(),
        (6, 24, 16) => "mnasnet0_75".to_owned(),
        (6, 32, 16) => "mnasnet1_0".to_owned(),
        (6, 40, 24) => "mnasnet1_3".to_owned(),
        _ => format!("mnasnet ({stacks} stacks, width {width})"),
    };
    Ok(net.finish(stages, &last, name))
}

/// Expansion 1x1, depthwise convolution, linear projection, and the input added where shapes allow it.
fn inverted_residual(
    net: &mut Net<'_>,
    path: &str,
    input: NodeId,
    stride: usize,
) -> Result<NodeId> {
    let at = |index: usize| format!("{path}.layers.{index}");
    let mut x = net.conv(&at(0), input, 1)?;
    x = net.batch_norm(&at(1), x)?;
    x = net.relu(&at(2), x);
    x = net.conv(&at(3), x, stride)?;
    x = net.batch_norm(&at(4), x)?;
    x = net.relu(&at(5), x);
    x = net.conv(&at(6), x, 1)?;
    x = net.batch_norm(&at(7), x)?;
    if stride == 1 && net.channels_of(x) == net.channels_of(input) {
        x = net.push(&format!("{path}.add"), Op::Add, &[x, input]);
    }
    Ok(x)
}
