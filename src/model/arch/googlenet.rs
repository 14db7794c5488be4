//! GoogLeNet (Szegedy et al., CVPR 2015, arXiv 1409.4842) as torchvision writes it, with BatchNorm and 3x3
//! convolutions in the third branch. The auxiliary classifiers serve training only and are left out.

use super::head::classifier;
use super::net::{Net, children};
use super::{Built, Hint};
use crate::error::Result;
use crate::model::graph::NodeId;
use crate::model::op::{Act, Op, Pool};
use crate::model::weights::Weights;

/// Whether the tensors look like a GoogLeNet.
pub(super) fn recognise(weights: &Weights) -> bool {
    weights.has("conv1.conv.weight")
        && weights.has("inception3a.branch1.conv.weight")
        && weights.has("inception3a.branch2.0.conv.weight")
}

/// The inception modules, and the max-pool (kernel) that follows some of them.
const MODULES: [(&str, Option<(&str, usize)>); 9] = [
    ("inception3a", None),
    ("inception3b", Some(("maxpool3", 3))),
    ("inception4a", None),
    ("inception4b", None),
    ("inception4c", None),
    ("inception4d", None),
    ("inception4e", Some(("maxpool4", 2))),
    ("inception5a", None),
    ("inception5b", None),
];

pub(super) fn build(weights: &Weights, _: &Hint) -> Result<Built> {
    let mut net = Net::new(weights);
    net.eps = 1e-3;
    let pool = |kernel, stride| Pool::square(kernel, stride, 0).with_ceil();
    let mut x = basic(&mut net, "conv1", 0, 2)?;
    let width = net.channels_of(x);
    x = net.max_pool("maxpool1", x, pool(3, 2));
    x = basic(&mut net, "conv2", x, 1)?;
    x = basic(&mut net, "conv3", x, 1)?;
    let mut stages = vec!["conv1".to_owned(), "conv3".to_owned()];
    x = net.max_pool("maxpool2", x, pool(3, 2));
    let mut last = "conv3";
    for (index, (module, pooled)) in MODULES.into_iter().enumerate() {
        if !net.has(&format!("{module}.branch1.conv")) {
            break;
        }
        x = inception(&mut net, module, x)?;
        last = module;
        let more = MODULES
            .get(index + 1)
            .is_some_and(|(next, _)| net.has(&format!("{next}.branch1.conv")));
        if let Some((name, kernel)) = pooled
            && more
        {
            stages.push(module.to_owned());
            x = net.max_pool(name, x, pool(kernel, 2));
        }
    }
    stages.push(last.to_owned());
    stages.dedup();
    x = net.push("avgpool", Op::AdaptiveAvgPool([1, 1]), &[x]);
    x = net.push("flatten", Op::Flatten, &[x]);
    net.alias("dropout", x);
    classifier(&mut net, "fc", x, Act::Relu, false)?;
    let name = match (last, width) {
        ("inception5b", 64) => "googlenet".to_owned(),
        _ => format!("googlenet (to {last}, width {width})"),
    };
    Ok(net.finish(stages, last, name))
}

/// torchvision's `BasicConv2d`: convolution, BatchNorm, functional ReLU.
pub(super) fn basic(net: &mut Net<'_>, path: &str, x: NodeId, stride: usize) -> Result<NodeId> {
    let x = net.conv(&format!("{path}.conv"), x, stride)?;
    norm_relu(net, path, x)
}

/// The same without a border.
pub(super) fn basic_valid(
    net: &mut Net<'_>,
    path: &str,
    x: NodeId,
    stride: usize,
) -> Result<NodeId> {
    let x = net.conv_valid(&format!("{path}.conv"), x, stride)?;
    norm_relu(net, path, x)
}

fn norm_relu(net: &mut Net<'_>, path: &str, x: NodeId) -> Result<NodeId> {
    let x = net.batch_norm(&format!("{path}.bn"), x)?;
    Ok(net.relu(&format!("{path}.relu"), x))
}

/// Four branches side by side: 1x1; 1x1 and 3x3, twice; a max-pool and 1x1.
fn inception(net: &mut Net<'_>, path: &str, x: NodeId) -> Result<NodeId> {
    let at = |leaf: &str| format!("{path}.{leaf}");
    let mut branches = vec![basic(net, &at("branch1"), x, 1)?];
    for branch in ["branch2", "branch3"] {
        let mut y = x;
        for part in children(net.weights, &at(branch)) {
            y = basic(net, &at(&format!("{branch}.{part}")), y, 1)?;
        }
        branches.push(y);
    }
    let y = net.max_pool(&at("branch4.0"), x, Pool::square(3, 1, 1).with_ceil());
    branches.push(basic(net, &at("branch4.1"), y, 1)?);
    Ok(net.push(&at("concat"), Op::Concat, &branches))
}
