//! Which nodes of a graph are computed together.
//!
//! A convolution, its BatchNorm, a residual sum and an activation are one step where kernels like that: BatchNorm
//! is multiplied into the weights, and what stands between is never written to memory. Nodes inside a step still
//! can be asked for: they are computed again from the step's input, unfused, when somebody does.

use super::graph::{Graph, NodeId};
use super::kernels::Purpose;
use super::op::{Act, Op};

/// Nodes that are computed together, and what the last of them is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The node whose output the step gives.
    pub(super) node: NodeId,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One node.
    Single,
    /// A convolution (or a linear layer over channels) and what follows it.
    Chain(ChainNodes),
    /// BatchNorm and a clamp behind it (in front of a convolution, as in DenseNet); the step's node is the clamp.
    NormAct {
        /// The BatchNorm.
        norm: NodeId,
    },
}

/// The nodes of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChainNodes {
    pub(super) conv: NodeId,
    pub(super) norm: Option<NodeId>,
    /// The sum, and its other part.
    pub(super) add: Option<(NodeId, NodeId)>,
    pub(super) act: Option<NodeId>,
}

/// A concatenation that extends another one: all of them share one block of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Growing {
    /// Whether the block begins here.
    pub(super) begins: bool,
}

/// The steps of a graph in order, those left out that its output does not depend on.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    /// For each node, whether it is a concatenation of a growing block.
    pub(super) growing: Vec<Option<Growing>>,
    /// For each node the last step that reads it.
    pub(super) last_reader: Vec<usize>,
}

impl Program {
    /// Every node that the output depends on by itself.
    pub(super) fn unfused(graph: &Graph) -> Self {
        let steps = (0..graph.nodes.len())
            .map(|node| Step {
                node,
                kind: Kind::Single,
            })
            .collect();
        Self::with(graph, steps, vec![None; graph.nodes.len()])
    }

    /// Chains where there are any.
    pub(super) fn fused(graph: &Graph, purpose: Purpose) -> Self {
        let readers = readers(graph);
        let only_reader = |node: NodeId| match readers[node].as_slice() {
            [one] => Some(*one),
            _ => None,
        };
        let mut inside = vec![false; graph.nodes.len()];
        let mut chains: Vec<Option<ChainNodes>> = vec![None; graph.nodes.len()];
        for (id, node) in graph.nodes.iter().enumerate() {
            let is_conv = match &node.op {
                Op::Conv2d(_) => true,
                // Over features the weights are read once and as they are.
                Op::Linear { .. } => graph.is_map(id),
                _ => false,
            };
            if !is_conv || inside[id] {
                continue;
            }
            let mut chain = ChainNodes {
                conv: id,
                norm: None,
                add: None,
                act: None,
            };
            let mut end = id;
            if let Some(next) = only_reader(end)
                && matches!(graph.nodes[next].op, Op::BatchNorm(_))
            {
                chain.norm = Some(next);
                end = next;
            }
            if let Some(next) = only_reader(end)
                && matches!(graph.nodes[next].op, Op::Add)
                && let [a, b] = graph.nodes[next].inputs[..]
                && a != b
            {
                // The part that comes last takes the sum; the other one stands by then.
                let other = if a == end { b } else { a };
                if other < end {
                    chain.add = Some((next, other));
                    end = next;
                }
            }
            if let Some(next) = only_reader(end)
                && let Op::Act(act) = graph.nodes[next].op
                && (is_clamp(act) || purpose == Purpose::Scores && is_simple(act))
            {
                chain.act = Some(next);
                end = next;
            }
            let nodes = [
                Some(id),
                chain.norm,
                chain.add.map(|(sum, _)| sum),
                chain.act,
            ];
            for node in nodes.into_iter().flatten() {
                inside[node] = true;
            }
            chains[end] = Some(chain);
        }
        // What is left of BatchNorm and clamp pairs.
        let mut pairs: Vec<Option<NodeId>> = vec![None; graph.nodes.len()];
        for (id, node) in graph.nodes.iter().enumerate() {
            if matches!(node.op, Op::BatchNorm(_))
                && !inside[id]
                && graph.is_map(id)
                && let Some(next) = only_reader(id)
                && matches!(graph.nodes[next].op, Op::Act(act) if is_clamp(act))
            {
                (inside[id], inside[next]) = (true, true);
                pairs[next] = Some(id);
            }
        }
        let steps = (0..graph.nodes.len())
            .filter_map(|node| match chains[node] {
                Some(chain) => Some(Step {
                    node,
                    kind: Kind::Chain(chain),
                }),
                None if pairs[node].is_some() => pairs[node].map(|norm| Step {
                    node,
                    kind: Kind::NormAct { norm },
                }),
                None if inside[node] => None,
                None => Some(Step {
                    node,
                    kind: Kind::Single,
                }),
            })
            .collect();
        Self::with(graph, steps, growing(graph))
    }

    fn with(graph: &Graph, mut steps: Vec<Step>, growing: Vec<Option<Growing>>) -> Self {
        // A second head is computed from the trace when somebody asks for it.
        let live = graph.live();
        steps.retain(|step| live[step.node]);
        let mut last_reader = vec![0; graph.nodes.len()];
        for (at, step) in steps.iter().enumerate() {
            for node in step.reads(graph) {
                last_reader[node] = at;
            }
        }
        Self {
            steps,
            growing,
            last_reader,
        }
    }
}

impl Step {
    /// Nodes that the step computes, in order; its own is the last.
    pub(super) fn nodes(&self) -> Vec<NodeId> {
        match self.kind {
            Kind::Single => vec![self.node],
            Kind::NormAct { norm } => vec![norm, self.node],
            Kind::Chain(chain) => chain.nodes().collect(),
        }
    }

    /// Nodes whose outputs the step reads.
    pub(super) fn reads(&self, graph: &Graph) -> Vec<NodeId> {
        match self.kind {
            Kind::Single => graph.nodes[self.node].inputs.clone(),
            Kind::NormAct { norm } => graph.nodes[norm].inputs.clone(),
            Kind::Chain(chain) => {
                let mut reads = graph.nodes[chain.conv].inputs.clone();
                reads.extend(chain.add.map(|(_, other)| other));
                reads
            }
        }
    }
}

impl ChainNodes {
    /// Its nodes in order.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        [
            Some(self.conv),
            self.norm,
            self.add.map(|(sum, _)| sum),
            self.act,
        ]
        .into_iter()
        .flatten()
    }
}

fn is_clamp(act: Act) -> bool {
    matches!(act, Act::Relu | Act::Clamp { .. })
}

/// Activations that the kernels have; the others are candle's and come as steps of their own.
fn is_simple(act: Act) -> bool {
    !matches!(act, Act::Elu(_) | Act::Tanh | Act::GeluTanh | Act::Mish)
}

/// For every node the nodes that read it; a node that reads it twice stands twice.
pub(super) fn readers(graph: &Graph) -> Vec<Vec<NodeId>> {
    let mut readers = vec![Vec::new(); graph.nodes.len()];
    for (id, node) in graph.nodes.iter().enumerate() {
        for &input in &node.inputs {
            readers[input].push(id);
        }
    }
    readers
}

/// Concatenations whose first part is another one.
fn growing(graph: &Graph) -> Vec<Option<Growing>> {
    let is_concat = |node: NodeId| matches!(graph.nodes[node].op, Op::Concat);
    let mut growing: Vec<Option<Growing>> = vec![None; graph.nodes.len()];
    let mut extended = vec![false; graph.nodes.len()];
    for (id, node) in graph.nodes.iter().enumerate() {
        let (true, Some(&first)) = (is_concat(id), node.inputs.first()) else {
            continue;
        };
        // A block can grow one way only: the first concatenation that extends another one has it.
        if is_concat(first) && !extended[first] {
            extended[first] = true;
            growing[id] = Some(Growing { begins: false });
            if growing[first].is_none() {
                growing[first] = Some(Growing { begins: true });
            }
        }
    }
    growing
}
