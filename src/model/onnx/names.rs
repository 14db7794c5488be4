//! Module paths of ONNX nodes.
//!
//! PyTorch's two exporters keep the module that an operation came from: the older one in the node's
//! name (`/layer1/layer1.0/conv1/Conv`, where a second call of `relu` is `relu_1`), the newer one in
//! the metadata `pkg.torch.onnx.name_scopes`. Other exporters leave at best the weight's name. A
//! module that is one node has its own path; a step that a module's `forward` writes out has the
//! module's path and a name after what it does (`layer1.0.add`).

use std::collections::{BTreeMap, BTreeSet};

use super::proto::{GraphProto, NodeProto};
use crate::model::op::{Act, Op};

const SCOPES: &str = "pkg.torch.onnx.name_scopes";
const CLASSES: &str = "pkg.torch.onnx.class_hierarchy";

/// Where a node stands in the module tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Module path; empty for the network itself.
    module: String,
    /// Tells the calls of one module apart.
    call: String,
    /// Whether the path is known to be a module with a single operation.
    leaf: bool,
}

/// Finds the places of a graph's nodes.
pub(super) struct Places {
    /// Scopes of the older exporter as they are written, and all that contain them.
    scopes: BTreeSet<String>,
    /// Modules that own a weight.
    owners: BTreeSet<String>,
}

impl Places {
    /// Reads the scopes of all nodes.
    pub(super) fn new(graph: &GraphProto) -> Self {
        let mut scopes = BTreeSet::new();
        for node in &graph.node {
            let mut scope = node.name.as_str();
            while let Some((outer, _)) = scope.rsplit_once('/') {
                scopes.insert(outer.to_owned());
                scope = outer;
            }
        }
        let owners = graph
            .initializer
            .iter()
            .filter_map(|t| Some(t.name.rsplit_once('.')?.0.to_owned()))
            .collect();
        Self { scopes, owners }
    }

    /// The place of a node; `index` is its number, for nodes that have no name at all.
    pub(super) fn of(&self, node: &NodeProto, index: usize) -> Place {
        self.by_metadata(node)
            .or_else(|| self.by_name(node))
            .or_else(|| self.by_weight(node))
            .unwrap_or_else(|| {
                // Names that count up say nothing: the step is named after what it does.
                let counted = node
                    .name
                    .strip_prefix("node_")
                    .is_some_and(|n| n.starts_with(&node.op_type));
                if node.name.is_empty() || counted {
                    return Place {
                        module: String::new(),
                        call: format!("#{index}"),
                        leaf: false,
                    };
                }
                let name = node.name.replace('/', ".");
                let module = name.trim_matches('.').to_owned();
                Place {
                    call: module.clone(),
                    module,
                    leaf: true,
                }
            })
    }

    /// `['', 'layer1', 'layer1.0', 'layer1.0.conv1', 'conv2d_1']`: the last is the call, the one before
    /// it the module.
    fn by_metadata(&self, node: &NodeProto) -> Option<Place> {
        let list = |key: &str| {
            let entry = node.metadata_props.iter().find(|p| p.key == key)?;
            Some(quoted(&entry.value))
        };
        let scopes = list(SCOPES)?;
        let [.., module, call] = scopes.as_slice() else {
            return None;
        };
        let class = list(CLASSES)
            .and_then(|c| c.iter().rev().nth(1).cloned())
            .unwrap_or_default();
        // A convolution that took a BatchNorm in carries the BatchNorm's place.
        if node.op_type == "Conv"
            && class.contains("batchnorm")
            && let Some(own) = self.by_weight(node)
        {
            return Some(own);
        }
        Some(Place {
            module: module.clone(),
            call: format!("{module}/{call}"),
            leaf: class.starts_with("torch.nn.modules.") && !class.contains(".container."),
        })
    }

    fn by_name(&self, node: &NodeProto) -> Option<Place> {
        let (scope, _) = node
            .name
            .strip_prefix('/')?
            .rsplit_once('/')
            .unwrap_or(("", ""));
        let mut path: Vec<String> = Vec::new();
        let mut raw = String::new();
        for part in scope.split('/').filter(|p| !p.is_empty()) {
            let part_once = self.first_call(&raw, part, &path);
            raw = format!("{raw}/{part}");
            // The children of a Sequential repeat its name: `layer1`, `layer1.0`.
            match path.last_mut() {
                Some(last)
                    if part_once
                        .strip_prefix(last.as_str())
                        .is_some_and(|r| r.starts_with('.')) =>
                {
                    *last = part_once;
                }
                _ => path.push(part_once),
            }
        }
        Some(Place {
            module: path.join("."),
            call: raw,
            leaf: false,
        })
    }

    /// `relu` for `relu_1`, where that is a second call of `relu` and no module of its own.
    fn first_call(&self, outer: &str, part: &str, path: &[String]) -> String {
        let Some((base, number)) = part.rsplit_once('_') else {
            return part.to_owned();
        };
        let own = path
            .iter()
            .map(String::as_str)
            .chain([part])
            .collect::<Vec<_>>()
            .join(".");
        let again = number.bytes().all(|b| b.is_ascii_digit())
            && self.scopes.contains(&format!("{outer}/{base}"))
            && !self.owners.contains(&own);
        if again {
            base.to_owned()
        } else {
            part.to_owned()
        }
    }

    fn by_weight(&self, node: &NodeProto) -> Option<Place> {
        let weight = node.input.iter().skip(1).find(|name| {
            name.rsplit_once('.')
                .is_some_and(|(module, _)| self.owners.contains(module))
        })?;
        let module = weight.rsplit_once('.')?.0.to_owned();
        Some(Place {
            call: module.clone(),
            module,
            leaf: true,
        })
    }
}

/// The strings in single quotes of a Python list.
fn quoted(list: &str) -> Vec<String> {
    list.split('\'')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Paths for the graph's nodes, given their places and operations in order.
pub(super) fn paths(nodes: &[(Place, &Op)]) -> Vec<String> {
    // Nodes of one call, and modules that contain others.
    let mut calls: BTreeMap<&str, usize> = BTreeMap::new();
    let mut containers: BTreeSet<&str> = BTreeSet::from([""]);
    let mut per_module: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (place, _) in nodes {
        *calls.entry(&place.call).or_default() += 1;
        per_module
            .entry(&place.module)
            .or_default()
            .insert(&place.call);
        let mut path = place.module.as_str();
        while let Some((outer, _)) = path.rsplit_once('.') {
            containers.insert(outer);
            path = outer;
        }
    }
    let mut paths: Vec<String> = nodes
        .iter()
        .map(|(place, op)| {
            let module = place.module.as_str();
            let alone = calls.get(place.call.as_str()) == Some(&1);
            let called_once = per_module.get(module).is_some_and(|c| c.len() == 1);
            // The newer exporter's calls are operations: several of them in one module of the user's own
            // are steps of its forward, and only PyTorch's own modules are known to be called again.
            let by_call = place.call.starts_with('/') || place.leaf || called_once;
            if !containers.contains(module) && alone && by_call {
                module.to_owned()
            } else if module.is_empty() {
                functional(op).to_owned()
            } else {
                format!("{module}.{}", functional(op))
            }
        })
        .collect();
    for path in &mut paths {
        if path.contains(char::is_control) {
            *path = path.replace(char::is_control, "_");
        }
    }
    // The functional ReLU at the end of torchvision's DenseNet.
    for i in 1..paths.len() {
        if paths[i] == "relu" && paths[i - 1] == "features.norm5" {
            paths[i] = "features.relu5".to_owned();
        }
    }
    paths
}

/// The name of a step that no module stands for.
fn functional(op: &Op) -> &'static str {
    match op {
        Op::Input => "input",
        Op::Conv2d(_) => "conv",
        Op::BatchNorm(_) => "affine",
        Op::Scale(_) => "scale",
        Op::LayerNorm(_) => "layer_norm",
        Op::Act(act) => match act {
            Act::Relu => "relu",
            Act::Clamp { lo: 0.0, hi: 6.0 } => "relu6",
            Act::Clamp { .. } => "clamp",
            Act::LeakyRelu(_) => "leaky_relu",
            Act::Elu(_) => "elu",
            Act::Sigmoid => "sigmoid",
            Act::Tanh => "tanh",
            Act::HardSigmoid => "hardsigmoid",
            Act::Hardswish => "hardswish",
            Act::Silu => "silu",
            Act::Gelu | Act::GeluTanh => "gelu",
            Act::Mish => "mish",
        },
        Op::MaxPool(_) => "max_pool2d",
        Op::AvgPool { .. } => "avg_pool2d",
        Op::AdaptiveAvgPool(_) => "adaptive_avg_pool2d",
        Op::GlobalMaxPool => "adaptive_max_pool2d",
        Op::Flatten => "flatten",
        Op::Unflatten => "view",
        Op::Linear { .. } => "linear",
        Op::Add => "add",
        Op::Mul => "mul",
        Op::Concat => "concat",
        Op::Slice { .. } => "slice",
        Op::ChannelShuffle { .. } => "channel_shuffle",
        Op::Pad { .. } => "pad",
        _ => "step",
    }
}
