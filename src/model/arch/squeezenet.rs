//! SqueezeNet (Iandola et al., arXiv 1602.07360) as torchvision writes it: versions 1.0 and 1.1.
//!
//! Max-pools of 3x3 with `ceil_mode` stand in the gaps between the fire modules' indices. The classifier is a
//! 1x1 convolution with a ReLU before the mean over the plane.

use super::net::{Net, children};
use super::{Built, Hint};
use crate::error::Result;
use crate::model::graph::NodeId;
use crate::model::op::{Op, Pool};
use crate::model::weights::Weights;
use crate::text::fault;

/// Whether the tensors look like a SqueezeNet.
pub(super) fn recognise(weights: &Weights) -> bool {
    weights.has("features.0.weight")
        && weights.has("features.3.squeeze.weight")
        && weights.has("features.3.expand3x3.weight")
}

pub(super) fn build(weights: &Weights, _: &Hint) -> Result<Built> {
    let mut net = Net::new(weights);
    let mut x = net.conv_valid("features.0", 0, 2)?;
    let (kernel, width) = match net.dims("features.0") {
        &[o, _, k, _] => (k, o),
        _ => (0, 0),
    };
    x = net.relu("features.1", x);
    let mut before = "features.1".to_owned();
    let mut stages = Vec::new();
    let mut next = 2;
    let fires: Vec<usize> = children(weights, "features")
        .into_iter()
        .filter(|index| *index > 0)
        .collect();
    for &index in &fires {
        let path = format!("features.{index}");
        if index == next + 1 {
            stages.push(before);
            x = net.max_pool(&format!("features.{next}"), x, pool());
        } else if index != next {
            return Err(fault::shape(
                &path,
                &format!("a gap of {} modules before it", index.abs_diff(next)),
                "at most one max-pool between fire modules",
            ));
        }
        x = fire(&mut net, &path, x)?;
        before = path;
        next = index + 1;
    }
    let last = before;
    net.alias("features", x);
    stages.push(last.clone());

    x = net.push("classifier.0", Op::Identity, &[x]);
    x = net.conv_valid("classifier.1", x, 1)?;
    x = net.relu("classifier.2", x);
    stages.push("classifier.2".to_owned());
    x = net.push("classifier.3", Op::AdaptiveAvgPool([1, 1]), &[x]);
    net.push("flatten", Op::Flatten, &[x]);

    let name = match (kernel, width, fires.as_slice()) {
        (7, 96, [3, 4, 5, 7, 8, 9, 10, 12]) => "squeezenet1_0".to_owned(),
        (3, 64, [3, 4, 6, 7, 9, 10, 11, 12]) => "squeezenet1_1".to_owned(),
        _ => format!("squeezenet ({} fires, width {width})", fires.len()),
    };
    Ok(net.finish(stages, &last, name))
}

fn pool() -> Pool {
    Pool::square(3, 2, 0).with_ceil()
}

/// A squeezing 1x1 convolution, then a 1x1 and a 3x3 side by side, a ReLU behind each.
fn fire(net: &mut Net<'_>, path: &str, x: NodeId) -> Result<NodeId> {
    let mut step = |leaf: &str, x: NodeId| -> Result<NodeId> {
        let y = net.conv(&format!("{path}.{leaf}"), x, 1)?;
        Ok(net.relu(&format!("{path}.{leaf}_activation"), y))
    };
    let squeezed = step("squeeze", x)?;
    let one = step("expand1x1", squeezed)?;
    let three = step("expand3x3", squeezed)?;
    Ok(net.push(&format!("{path}.concat"), Op::Concat, &[one, three]))
}
