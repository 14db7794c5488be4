//! Inception v3 (Szegedy et al., CVPR 2016, arXiv 1512.00567) as torchvision writes it. The auxiliary
//! classifier serves training only and is left out; `transform_input` belongs to preprocessing.

use super::googlenet::{basic, basic_valid};
use super::head::classifier;
use super::net::Net;
use super::{Built, Hint};
use crate::error::Result;
use crate::model::graph::NodeId;
use crate::model::op::{Act, Op, Pool};
use crate::model::weights::Weights;

/// Side of its inputs.
const SIDE: usize = 299;

/// Whether the tensors look like an Inception v3.
pub(super) fn recognise(weights: &Weights) -> bool {
    weights.has("Conv2d_1a_3x3.conv.weight") && weights.has("Mixed_5b.branch1x1.conv.weight")
}

pub(super) fn build(weights: &Weights, _: &Hint) -> Result<Built> {
    let mut net = Net::new(weights);
    net.eps = 1e-3;
    let mut x = basic_valid(&mut net, "Conv2d_1a_3x3", 0, 2)?;
    let width = net.channels_of(x);
    x = basic_valid(&mut net, "Conv2d_2a_3x3", x, 1)?;
    x = basic(&mut net, "Conv2d_2b_3x3", x, 1)?;
    x = net.max_pool("maxpool1", x, Pool::square(3, 2, 0));
    x = basic(&mut net, "Conv2d_3b_1x1", x, 1)?;
    x = basic_valid(&mut net, "Conv2d_4a_3x3", x, 1)?;
    x = net.max_pool("maxpool2", x, Pool::square(3, 2, 0));
    let mut stages = vec!["Conv2d_2b_3x3".to_owned(), "Conv2d_4a_3x3".to_owned()];
    for module in ["Mixed_5b", "Mixed_5c", "Mixed_5d"] {
        x = module_a(&mut net, module, x)?;
    }
    stages.push("Mixed_5d".to_owned());
    x = module_b(&mut net, "Mixed_6a", x)?;
    for module in ["Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"] {
        x = module_c(&mut net, module, x)?;
    }
    stages.push("Mixed_6e".to_owned());
    x = module_d(&mut net, "Mixed_7a", x)?;
    for module in ["Mixed_7b", "Mixed_7c"] {
        x = module_e(&mut net, module, x)?;
    }
    stages.push("Mixed_7c".to_owned());
    x = net.push("avgpool", Op::AdaptiveAvgPool([1, 1]), &[x]);
    net.alias("dropout", x);
    x = net.push("flatten", Op::Flatten, &[x]);
    classifier(&mut net, "fc", x, Act::Relu, false)?;
    let name = match width {
        32 => "inception_v3".to_owned(),
        width => format!("inception_v3 (width {width})"),
    };
    let mut built = net.finish(stages, "Mixed_7c", name);
    built.side = Some(SIDE);
    Ok(built)
}

/// A chain of convolutions that keep the size.
fn chain(net: &mut Net<'_>, path: &str, leaves: &[&str], x: NodeId) -> Result<NodeId> {
    leaves
        .iter()
        .try_fold(x, |x, leaf| basic(net, &format!("{path}.{leaf}"), x, 1))
}

/// The mean of 3x3 cells (zeros of the border counted) and a 1x1 convolution.
fn pooled(net: &mut Net<'_>, path: &str, x: NodeId) -> Result<NodeId> {
    let mean = Op::AvgPool {
        pool: Pool::square(3, 1, 1),
        count_border: true,
    };
    let y = net.push(&format!("{path}.avg_pool2d"), mean, &[x]);
    chain(net, path, &["branch_pool"], y)
}

fn concat(net: &mut Net<'_>, path: &str, branches: &[NodeId]) -> NodeId {
    net.push(&format!("{path}.concat"), Op::Concat, branches)
}

/// The maximum of 3x3 cells with stride 2.
fn halved(net: &mut Net<'_>, path: &str, x: NodeId) -> NodeId {
    net.max_pool(&format!("{path}.max_pool2d"), x, Pool::square(3, 2, 0))
}

fn module_a(net: &mut Net<'_>, path: &str, x: NodeId) -> Result<NodeId> {
    let branches = [
        chain(net, path, &["branch1x1"], x)?,
        chain(net, path, &["branch5x5_1", "branch5x5_2"], x)?,
        chain(
            net,
            path,
            &["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"],
            x,
        )?,
        pooled(net, path, x)?,
    ];
    Ok(concat(net, path, &branches))
}

fn module_b(net: &mut Net<'_>, path: &str, x: NodeId) -> Result<NodeId> {
    let left = basic_valid(net, &format!("{path}.branch3x3"), x, 2)?;
    let middle = chain(net, path, &["branch3x3dbl_1", "branch3x3dbl_2"], x)?;
    let middle = basic_valid(net, &format!("{path}.branch3x3dbl_3"), middle, 2)?;
    let right = halved(net, path, x);
    Ok(concat(net, path, &[left, middle, right]))
}

fn module_c(net: &mut Net<'_>, path: &str, x: NodeId) -> Result<NodeId> {
    let branches = [
        chain(net, path, &["branch1x1"], x)?,
        chain(net, path, &["branch7x7_1", "branch7x7_2", "branch7x7_3"], x)?,
        chain(
            net,
            path,
            &[
                "branch7x7dbl_1",
                "branch7x7dbl_2",
                "branch7x7dbl_3",
                "branch7x7dbl_4",
                "branch7x7dbl_5",
            ],
            x,
        )?,
        pooled(net, path, x)?,
    ];
    Ok(concat(net, path, &branches))
}

fn module_d(net: &mut Net<'_>, path: &str, x: NodeId) -> Result<NodeId> {
    let left = chain(net, path, &["branch3x3_1"], x)?;
    let left = basic_valid(net, &format!("{path}.branch3x3_2"), left, 2)?;
    let middle = ["branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3"];
    let middle = chain(net, path, &middle, x)?;
    let middle = basic_valid(net, &format!("{path}.branch7x7x3_4"), middle, 2)?;
    let right = halved(net, path, x);
    Ok(concat(net, path, &[left, middle, right]))
}

/// Two of its branches end in a 1x3 and a 3x1 convolution side by side.
fn module_e(net: &mut Net<'_>, path: &str, x: NodeId) -> Result<NodeId> {
    let first = chain(net, path, &["branch1x1"], x)?;
    let mut fork = |stem: &[&str], ends: [&str; 2], name: &str| -> Result<NodeId> {
        let y = chain(net, path, stem, x)?;
        let a = chain(net, path, &[ends[0]], y)?;
        let b = chain(net, path, &[ends[1]], y)?;
        Ok(concat(net, &format!("{path}.{name}"), &[a, b]))
    };
    let second = fork(
        &["branch3x3_1"],
        ["branch3x3_2a", "branch3x3_2b"],
        "branch3x3",
    )?;
    let third = fork(
        &["branch3x3dbl_1", "branch3x3dbl_2"],
        ["branch3x3dbl_3a", "branch3x3dbl_3b"],
        "branch3x3dbl",
    )?;
    let last = pooled(net, path, x)?;
    Ok(concat(net, path, &[first, second, third, last]))
}
