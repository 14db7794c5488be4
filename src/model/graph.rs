//! A network as a graph: nodes in topological order, an operation and its inputs each.
//!
//! Architecture files only *describe* graphs through a [`Builder`]. A node is not its address: the
//! module tree maps PyTorch's module paths to nodes. A container such as `layer4` is an alias of its
//! last node; a module that runs several times (a block's `relu`) has its plain name for the last
//! call and `#1`, `#2`, … for the earlier ones; functional steps get clear names (`layer1.0.add`).

use std::collections::BTreeMap;

use super::op::Op;
use super::shape::{Shape, output_shape};
use crate::error::Result;
use crate::text::fault;

/// Index of a node in [`Graph::nodes`].
pub type NodeId = usize;

/// One step of the network.
#[derive(Clone, Debug)]
pub struct Node {
    /// Unique name, as PyTorch names the module.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// Where its inputs come from; all smaller than its own index.
    pub inputs: Vec<NodeId>,
}

/// Name of the layer that holds the map of an attention branch.
pub const ATTENTION: &str = "attention";

/// The branch of an Attention Branch Network (Fukui et al., CVPR 2019): a map that the features are weighted with,
/// and a classifier of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionBranch {
    /// The map behind its sigmoid, `[1, h, w]` with values 0..=1.
    pub map: NodeId,
    /// The branch's own logits, `[classes]`. The network's output does not depend on them.
    pub logits: NodeId,
}

/// A network.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Nodes in topological order; the first is the input, the last gives the logits (with an attention branch, those
    /// of the perception branch).
    pub nodes: Vec<Node>,
    /// Containers and other second names of nodes.
    pub aliases: BTreeMap<String, NodeId>,
    /// One layer for each stage of the network, from input to output, by name.
    pub stages: Vec<String>,
    /// The layer that is explained unless another is asked for.
    pub last: String,
    /// The attention branch, where the network has one.
    pub attention: Option<AttentionBranch>,
}

impl Graph {
    /// The node of a name or alias.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.aliases
            .get(name)
            .copied()
            .or_else(|| self.nodes.iter().position(|node| node.name == name))
    }

    /// Index of the node that gives the logits.
    pub fn output(&self) -> NodeId {
        self.nodes.len() - 1
    }

    /// For every node whether the output depends on it. Passes leave the others out, and they are computed when
    /// somebody asks for them.
    pub fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.nodes.len()];
        if let Some(output) = live.last_mut() {
            *output = true;
        }
        for (id, node) in self.nodes.iter().enumerate().rev() {
            if live[id] {
                for &input in &node.inputs {
                    live[input] = true;
                }
            }
        }
        live
    }

    /// Channels that the first operation expects, when one says so.
    pub fn input_channels(&self) -> Option<usize> {
        // Operations that leave channels as they are may stand before the first convolution.
        let mut same = vec![false; self.nodes.len()];
        for (id, node) in self.nodes.iter().enumerate() {
            let reads_input = node.inputs.iter().any(|&i| same[i]);
            match &node.op {
                Op::Conv2d(conv) if reads_input => {
                    return conv.weight.dim(1).ok().map(|i| i * conv.groups);
                }
                Op::BatchNorm(bn) if reads_input => return Some(bn.scale.elem_count()),
                Op::Input => same[id] = true,
                Op::Act(_)
                | Op::Pad { .. }
                | Op::Identity
                | Op::MaxPool(_)
                | Op::AvgPool { .. } => {
                    same[id] = reads_input;
                }
                _ => {}
            }
        }
        None
    }

    /// Number of logits, when the last operations say so.
    pub fn classes(&self) -> Option<usize> {
        let mut channels: Vec<Option<usize>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let of = |input: &NodeId| channels.get(*input).copied().flatten();
            channels.push(match &node.op {
                Op::Linear { weight, .. } => weight.dim(0).ok(),
                Op::Conv2d(conv) => conv.weight.dim(0).ok(),
                Op::BatchNorm(bn) => Some(bn.scale.elem_count()),
                Op::Input => None,
                Op::Slice { len, .. } => Some(*len),
                // Several heads side by side.
                Op::Concat => node
                    .inputs
                    .iter()
                    .try_fold(0usize, |sum, input| sum.checked_add(of(input)?)),
                _ => node.inputs.first().and_then(of),
            });
        }
        channels.last().copied().flatten()
    }

    /// Whether a node's output has places (and not features only), by its operations alone.
    pub(super) fn is_map(&self, node: NodeId) -> bool {
        let mut node = node;
        loop {
            match &self.nodes[node].op {
                Op::Flatten | Op::SelectToken(_) => return false,
                Op::Input | Op::Conv2d(_) | Op::Tokens { .. } | Op::Unflatten => return true,
                _ => match self.nodes[node].inputs.first() {
                    Some(&input) => node = input,
                    None => return true,
                },
            }
        }
    }

    /// Channels of a node's output, by its operations alone.
    ///
    /// # Errors
    /// Fails where no operation says so, which [`Graph::shapes`] has excluded.
    pub(super) fn channels(&self, node: NodeId) -> Result<usize> {
        let Node { name, op, inputs } = &self.nodes[node];
        Ok(match op {
            Op::Conv2d(conv) => conv.weight.dim(0)?,
            Op::Linear { weight, .. } => weight.dim(0)?,
            Op::Slice { len, .. } => *len,
            Op::Concat => {
                let mut sum = 0;
                for &input in inputs {
                    sum += self.channels(input)?;
                }
                sum
            }
            Op::Attention { .. } => self.channels(inputs[0])? / 3,
            _ => match inputs.first() {
                Some(&input) => self.channels(input)?,
                None => self
                    .input_channels()
                    .ok_or_else(|| fault::shape(name, "unknown channels", "a number"))?,
            },
        })
    }

    /// Shape of every node's output for an input of `[C, H, W]`.
    ///
    /// # Errors
    /// Names the node whose tensors and input do not fit each other.
    pub fn shapes(&self, input: [usize; 3]) -> Result<Vec<Shape>> {
        let mut shapes: Vec<Shape> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let inputs: Vec<Shape> = node.inputs.iter().map(|&i| shapes[i]).collect();
            shapes.push(output_shape(node, &inputs, input)?);
        }
        Ok(shapes)
    }

    /// The nodes that have a grid and can be explained, in order from the input.
    pub fn spatial(&self, shapes: &[Shape]) -> Vec<NodeId> {
        let live = self.live();
        (0..self.nodes.len())
            .filter(|&id| {
                // A single cell (after global pooling, inside squeeze-excite) shows no place.
                let one_cell = id > 0 && shapes[id].grid() == Some([1, 1]);
                let pooled = one_cell && self.after_global_pool(id, shapes);
                let has_grid = shapes[id].grid().is_some() && !pooled;
                live[id] && has_grid && !matches!(self.nodes[id].op, Op::Identity)
            })
            .collect()
    }

    /// Whether a one-cell output comes from pooling a larger plane at once, directly or through
    /// operations that keep one cell.
    fn after_global_pool(&self, id: NodeId, shapes: &[Shape]) -> bool {
        let mut id = id;
        loop {
            let node = &self.nodes[id];
            match (&node.op, node.inputs.first()) {
                (Op::AdaptiveAvgPool(_) | Op::GlobalMaxPool | Op::Unflatten, _) => return true,
                (_, Some(&input)) if shapes[input].grid() == Some([1, 1]) => id = input,
                _ => return false,
            }
        }
    }

    /// The last node that every path from the input goes through with affine operations only: 0 where there is none
    /// behind the input. A line in the input is a line there.
    pub fn affine_stem(&self) -> NodeId {
        let is_affine = |op: &Op| {
            let pools = matches!(op, Op::AvgPool { .. } | Op::Identity);
            pools || matches!(op, Op::Conv2d(_) | Op::BatchNorm(_) | Op::Scale(_))
        };
        let mut end = 0;
        let reads = |id: NodeId, input: NodeId| self.nodes[id].inputs == [input];
        while end + 1 < self.nodes.len()
            && reads(end + 1, end)
            && is_affine(&self.nodes[end + 1].op)
        {
            end += 1;
        }
        // The first node that is read from behind, past the others, is where the paths part.
        let behind = self.nodes.iter().skip(end + 1);
        let parting = behind.flat_map(|node| node.inputs.iter().copied()).min();
        parting.map_or(end, |node| node.min(end))
    }

    /// Whether what follows a node bends only where it switches (rectifiers, maxima) or not at all, so that its
    /// gradient is constant between switches.
    pub fn is_piecewise_linear_after(&self, node: NodeId) -> bool {
        let mut depends = vec![false; self.nodes.len()];
        depends[node] = true;
        for id in node + 1..self.nodes.len() {
            let inputs = &self.nodes[id].inputs;
            let from_it = inputs.iter().filter(|&&i| depends[i]).count();
            depends[id] = from_it > 0;
            let bends = match &self.nodes[id].op {
                Op::Act(act) => !act.is_piecewise_linear(),
                Op::LayerNorm(_) | Op::Attention { .. } => true,
                Op::Mul => from_it > 1,
                _ => false,
            };
            if depends[id] && bends {
                return false;
            }
        }
        true
    }

    /// Receptive field of every node in input pixels, `[rows, columns]`; `None` once an operation
    /// has looked at the whole image.
    pub fn receptive_fields(&self) -> Vec<Option<[usize; 2]>> {
        // (field, distance between neighbouring cells) for each axis
        let mut fields: Vec<Option<[(usize, usize); 2]>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let before = node.inputs.iter().map(|&i| fields[i]).reduce(|a, b| {
                let (a, b) = (a?, b?);
                Some([0, 1].map(|axis| (a[axis].0.max(b[axis].0), a[axis].1.max(b[axis].1))))
            });
            let window = |k: [usize; 2], s: [usize; 2], d: [usize; 2]| {
                before.flatten().map(|field| {
                    [0, 1].map(|axis| {
                        let (size, jump) = field[axis];
                        (size + d[axis] * (k[axis] - 1) * jump, jump * s[axis])
                    })
                })
            };
            fields.push(match &node.op {
                Op::Input => Some([(1, 1); 2]),
                Op::Conv2d(conv) => match conv.weight.dims() {
                    &[_, _, kh, kw] => window([kh, kw], conv.stride, conv.dilation),
                    _ => None,
                },
                Op::MaxPool(pool) | Op::AvgPool { pool, .. } => {
                    window(pool.kernel, pool.stride, pool.dilation)
                }
                Op::AdaptiveAvgPool(_)
                | Op::GlobalMaxPool
                | Op::Flatten
                | Op::Attention { .. }
                | Op::SelectToken(_) => None,
                // A gate that has looked at the whole image scales what it multiplies: the
                // squeezed branch is left out of the field, as in the literature. An attention map has a field.
                Op::Mul => before
                    .flatten()
                    .or_else(|| node.inputs.first().and_then(|&i| fields[i])),
                _ => before.flatten(),
            });
        }
        fields
            .into_iter()
            .map(|field| field.map(|axes| axes.map(|(size, _)| size)))
            .collect()
    }
}

/// Writes a graph down node by node.
#[derive(Default)]
pub struct Builder {
    nodes: Vec<Node>,
    aliases: BTreeMap<String, NodeId>,
}

impl Builder {
    /// A graph that has only its input yet, under the name `input`.
    pub fn new() -> Self {
        let mut builder = Self::default();
        builder.push("input", Op::Input, &[]);
        builder
    }

    /// Adds a node under a module path and returns its index.
    pub fn push(&mut self, path: &str, op: Op, inputs: &[NodeId]) -> NodeId {
        self.nodes.push(Node {
            name: path.to_owned(),
            op,
            inputs: inputs.to_vec(),
        });
        self.nodes.len() - 1
    }

    /// Gives a node a second name; it wins over the name of a container.
    pub fn alias(&mut self, name: &str, node: NodeId) {
        self.aliases.insert(name.to_owned(), node);
    }

    /// The name that `node` will have in the finished graph.
    fn name(&self, node: NodeId) -> String {
        let path = &self.nodes[node].name;
        let calls: Vec<NodeId> = (0..self.nodes.len())
            .filter(|&i| &self.nodes[i].name == path)
            .collect();
        match calls.iter().position(|&i| i == node) {
            Some(call) if call + 1 < calls.len() => format!("{path}#{}", call + 1),
            _ => path.clone(),
        }
    }

    /// Names repeated calls and containers and closes the graph. `stages` and `last` are paths or
    /// container names.
    pub fn finish(mut self, stages: Vec<String>, last: &str) -> Graph {
        let mut aliases = BTreeMap::new();
        for (id, node) in self.nodes.iter().enumerate() {
            let mut path = node.name.as_str();
            while let Some((container, _)) = path.rsplit_once('.') {
                // Later nodes overwrite earlier ones, so that the last one stays.
                aliases.insert(container.to_owned(), id);
                path = container;
            }
        }
        aliases.append(&mut self.aliases);
        let names: Vec<String> = (0..self.nodes.len()).map(|id| self.name(id)).collect();
        for (node, name) in self.nodes.iter_mut().zip(names) {
            node.name = name;
        }
        Graph {
            nodes: self.nodes,
            aliases,
            stages,
            last: last.to_owned(),
            attention: None,
        }
    }
}
