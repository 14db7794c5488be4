//! A network as a graph: nodes in topological order, an operation and its inputs each.
//!
//! Architecture files only *describe* graphs through a [`Builder`]. A node is not its address: the
//! module tree maps PyTorch's module paths to nodes. A container such as `layer4` is an alias of its
//! last node; a module that runs several times (a block's `relu`) has its plain name for the last
//! call and `#1`, `#2`, … for the earlier ones; functional steps get clear names (`layer1.0.add`).

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::error::Result;
use crate::text::fault;

/// Index of a node in [`Graph::nodes`].
pub type NodeId = usize;

/// Two-dimensional convolution, `[rows, columns]` in every pair.
#[derive(Clone, Debug)]
pub struct Conv2d {
    /// `[out, in / groups, kernel rows, kernel columns]`.
    pub weight: Tensor,
    /// `[out]`.
    pub bias: Option<Tensor>,
    /// Step between windows.
    pub stride: [usize; 2],
    /// Zeros added on both sides.
    pub padding: [usize; 2],
    /// Distance between taps of the kernel.
    pub dilation: [usize; 2],
    /// Number of independent groups of channels.
    pub groups: usize,
}

impl Conv2d {
    /// `[out, in / groups, kernel rows, kernel columns]`.
    pub fn weight_dims(&self) -> Result<[usize; 4]> {
        let (o, i, kh, kw) = self.weight.dims4()?;
        Ok([o, i, kh, kw])
    }
}

/// Batch normalisation in evaluation mode: `y = scale * x + shift` per channel, with
/// `scale = gamma / sqrt(var + eps)` and `shift = beta - mean * scale`.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    /// `[channels]`.
    pub scale: Tensor,
    /// `[channels]`.
    pub shift: Tensor,
}

/// Window of a pooling operation, `[rows, columns]` in every pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Size of the window.
    pub kernel: [usize; 2],
    /// Step between windows.
    pub stride: [usize; 2],
    /// Border on both sides: minus infinity for a maximum, zeros that count for an average.
    pub padding: [usize; 2],
}

impl Pool {
    /// A square window.
    pub fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self {
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [padding; 2],
        }
    }

    /// Rows or columns of the output along `axis` for `size` at the input; 0 when the window does not fit.
    pub fn out(&self, axis: usize, size: usize) -> usize {
        window_out(
            size,
            self.kernel[axis],
            self.stride[axis],
            self.padding[axis],
            1,
        )
    }
}

/// Output size of a sliding window; 0 when it does not fit once.
pub(crate) fn window_out(
    size: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
) -> usize {
    let span = dilation * (kernel.max(1) - 1) + 1;
    let padded = size + 2 * padding;
    if padded < span || stride == 0 {
        0
    } else {
        (padded - span) / stride + 1
    }
}

/// What a node does.
#[derive(Clone, Debug)]
pub enum Op {
    /// The model's input, `[N, C, H, W]`.
    Input,
    /// Convolution.
    Conv2d(Conv2d),
    /// Batch normalisation, evaluation mode.
    BatchNorm(BatchNorm),
    /// Rectifier, `max(x, 0)`; its derivative at 0 is 0.
    Relu,
    /// Maximum over windows; the gradient goes to the first maximum in row-major order.
    MaxPool(Pool),
    /// Mean over windows; a zero border counts.
    AvgPool(Pool),
    /// Mean over a grid of `[rows, columns]` windows, bounds as PyTorch rounds them.
    AdaptiveAvgPool([usize; 2]),
    /// `[N, C, H, W]` to `[N, C * H * W]`.
    Flatten,
    /// `y = x W^T + b`, weight `[out, in]`.
    Linear {
        /// `[out, in]`.
        weight: Tensor,
        /// `[out]`.
        bias: Option<Tensor>,
    },
    /// Sum of two nodes of the same shape.
    Add,
    /// Concatenation along the channels.
    Concat,
    /// Passes its input on (dropout in evaluation mode).
    Identity,
}

impl Op {
    /// The name that `camlens layers` prints, as PyTorch's module classes are called.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Input => "Input",
            Self::Conv2d(_) => "Conv2d",
            Self::BatchNorm(_) => "BatchNorm2d",
            Self::Relu => "ReLU",
            Self::MaxPool(_) => "MaxPool2d",
            Self::AvgPool(_) => "AvgPool2d",
            Self::AdaptiveAvgPool(_) => "AdaptiveAvgPool2d",
            Self::Flatten => "Flatten",
            Self::Linear { .. } => "Linear",
            Self::Add => "Add",
            Self::Concat => "Concat",
            Self::Identity => "Identity",
        }
    }
}

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

/// Shape of a node's output without the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Channels, rows, columns.
    Map([usize; 3]),
    /// Features.
    Flat(usize),
}

impl Shape {
    /// Dimensions with a batch of one.
    pub fn dims(&self) -> Vec<usize> {
        match *self {
            Self::Map([c, h, w]) => vec![1, c, h, w],
            Self::Flat(n) => vec![1, n],
        }
    }
}

/// A network.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Nodes in topological order; the first is the input, the last gives the logits.
    pub nodes: Vec<Node>,
    /// Containers and other second names of nodes.
    pub aliases: BTreeMap<String, NodeId>,
    /// One layer for each stage of the network, from input to output, by name.
    pub stages: Vec<String>,
    /// The layer that is explained unless another is asked for.
    pub last: String,
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

    /// Channels that the first operation expects, when one says so.
    pub fn input_channels(&self) -> Option<usize> {
        self.nodes.iter().find_map(|node| match &node.op {
            Op::Conv2d(conv) if node.inputs == [0] => {
                conv.weight.dim(1).ok().map(|i| i * conv.groups)
            }
            _ => None,
        })
    }

    /// Number of logits, when the last node is linear.
    pub fn classes(&self) -> Option<usize> {
        match &self.nodes.last()?.op {
            Op::Linear { weight, .. } => weight.dim(0).ok(),
            _ => None,
        }
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
        (0..self.nodes.len())
            .filter(|&id| {
                matches!(shapes[id], Shape::Map(_))
                    && !matches!(
                        self.nodes[id].op,
                        Op::AdaptiveAvgPool([1, 1]) | Op::Identity
                    )
            })
            .collect()
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
                Op::MaxPool(pool) | Op::AvgPool(pool) => window(pool.kernel, pool.stride, [1, 1]),
                Op::AdaptiveAvgPool(_) | Op::Flatten | Op::Linear { .. } => None,
                _ => before.flatten(),
            });
        }
        fields
            .into_iter()
            .map(|field| field.map(|axes| axes.map(|(size, _)| size)))
            .collect()
    }
}

fn output_shape(node: &Node, inputs: &[Shape], input: [usize; 3]) -> Result<Shape> {
    let name = &node.name;
    let misfit = |found: String, expected: String| Err(fault::shape(name, &found, &expected));
    let grid = |c: usize, h: usize, w: usize, from: [usize; 3]| {
        if h == 0 || w == 0 {
            return Err(fault::grid_vanished(name, from));
        }
        Ok(Shape::Map([c, h, w]))
    };
    match (&node.op, inputs) {
        (Op::Input, _) => Ok(Shape::Map(input)),
        (Op::Conv2d(conv), [Shape::Map([c, h, w])]) => {
            let [o, i, kh, kw] = conv.weight_dims()?;
            if i * conv.groups != *c {
                return misfit(
                    format!("{c} channels"),
                    format!("{} channels, as its weight says", i * conv.groups),
                );
            }
            let size = |axis: usize, n: usize, k: usize| {
                window_out(
                    n,
                    k,
                    conv.stride[axis],
                    conv.padding[axis],
                    conv.dilation[axis],
                )
            };
            grid(o, size(0, *h, kh), size(1, *w, kw), [*c, *h, *w])
        }
        (Op::BatchNorm(bn), [Shape::Map([c, h, w])]) => {
            let channels = bn.scale.elem_count();
            if channels != *c {
                return misfit(format!("{c} channels"), format!("{channels} channels"));
            }
            Ok(Shape::Map([*c, *h, *w]))
        }
        (Op::MaxPool(pool) | Op::AvgPool(pool), [Shape::Map([c, h, w])]) => {
            grid(*c, pool.out(0, *h), pool.out(1, *w), [*c, *h, *w])
        }
        (Op::AdaptiveAvgPool([oh, ow]), [Shape::Map([c, _, _])]) => Ok(Shape::Map([*c, *oh, *ow])),
        (Op::Flatten, [Shape::Map([c, h, w])]) => Ok(Shape::Flat(c * h * w)),
        (Op::Linear { weight, .. }, [Shape::Flat(n)]) => {
            let (out, features) = weight.dims2()?;
            if features != *n {
                return misfit(format!("{n} features"), format!("{features} features"));
            }
            Ok(Shape::Flat(out))
        }
        (Op::Add, [a, b]) => {
            if a != b {
                return misfit(
                    format!("{:?} + {:?}", a.dims(), b.dims()),
                    "two equal shapes".into(),
                );
            }
            Ok(*a)
        }
        (Op::Concat, [Shape::Map([c1, h1, w1]), Shape::Map([c2, h2, w2])]) => {
            if (h1, w1) != (h2, w2) {
                return misfit(format!("{h1} x {w1} and {h2} x {w2}"), "equal grids".into());
            }
            Ok(Shape::Map([c1 + c2, *h1, *w1]))
        }
        (Op::Relu | Op::Identity, [shape]) => Ok(*shape),
        (op, shapes) => misfit(
            shapes
                .iter()
                .map(|s| format!("{:?}", s.dims()))
                .collect::<Vec<_>>()
                .join(", "),
            format!("what a {} takes", op.label()),
        ),
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
        }
    }
}
