//! Which layers of an imported network are its stages, and which is the last.
//!
//! The names of well-known module trees are used where they are there. Otherwise a stage is what lies
//! between two halvings of the grid, and its layer is the last node of it through which everything
//! passes, preferably one that stands for a whole container.

use std::collections::BTreeMap;

use crate::model::Shape;
use crate::model::graph::{Graph, NodeId};
use crate::model::op::{Act, Op};

/// Finds `stages` and `last` of a finished graph.
pub(super) fn find(graph: &Graph, shapes: &[Shape]) -> (Vec<String>, String) {
    let search = Search::new(graph, shapes);
    let last = search.last();
    let mut stages = search.known(&last).unwrap_or_else(|| search.by_grid());
    if stages.is_empty() {
        stages.push(last.clone());
    }
    (stages, last)
}

struct Search<'a> {
    graph: &'a Graph,
    shapes: &'a [Shape],
    /// Whether a node has a grid that can be explained.
    spatial: Vec<bool>,
    /// Container names of a node.
    containers: BTreeMap<NodeId, Vec<&'a str>>,
    /// First node inside a container.
    begins: BTreeMap<&'a str, NodeId>,
}

impl<'a> Search<'a> {
    fn new(graph: &'a Graph, shapes: &'a [Shape]) -> Self {
        let mut spatial = vec![false; graph.nodes.len()];
        for id in graph.spatial(shapes) {
            spatial[id] = id > 0;
        }
        let mut containers: BTreeMap<NodeId, Vec<&str>> = BTreeMap::new();
        for (name, &id) in &graph.aliases {
            containers.entry(id).or_default().push(name);
        }
        let mut begins = BTreeMap::new();
        for (id, node) in graph.nodes.iter().enumerate() {
            let mut path = node.name.as_str();
            while let Some((container, _)) = path.rsplit_once('.') {
                begins.entry(container).or_insert(id);
                path = container;
            }
        }
        Self {
            graph,
            shapes,
            spatial,
            containers,
            begins,
        }
    }

    fn op(&self, id: NodeId) -> &Op {
        &self.graph.nodes[id].op
    }

    fn side(&self, id: NodeId) -> usize {
        self.shapes[id].grid().map_or(0, |[h, w]| h.max(w))
    }

    /// The shortest name of a node that does not also stand for what lies before `from`.
    fn name(&self, id: NodeId, from: NodeId) -> &'a str {
        self.containers
            .get(&id)
            .into_iter()
            .flatten()
            .copied()
            .filter(|c| self.begins.get(c).is_none_or(|&first| first > from))
            .chain([self.graph.nodes[id].name.as_str()])
            .min_by_key(|name| name.split('.').count())
            .unwrap_or_default()
    }

    /// Nodes that every path from the input to the output passes, in order.
    fn passes(&self) -> Vec<NodeId> {
        let mut farthest = 0;
        let mut readers = vec![0; self.graph.nodes.len()];
        for (id, node) in self.graph.nodes.iter().enumerate() {
            for &input in &node.inputs {
                readers[input] = readers[input].max(id);
            }
        }
        let mut passes = Vec::new();
        for (id, &reader) in readers.iter().enumerate() {
            // No edge from before jumps over this node.
            if farthest <= id {
                passes.push(id);
            }
            farthest = farthest.max(reader);
        }
        passes
    }

    /// The last map before the pooling, after its activation. In front of a classifier that is a
    /// convolution stands the last map of features.
    fn last_node(&self) -> NodeId {
        let mut id = self.graph.output();
        let mut pooled = false;
        loop {
            let skip = !self.spatial[id]
                || matches!(
                    self.op(id),
                    Op::AvgPool { .. }
                        | Op::MaxPool(_)
                        | Op::AdaptiveAvgPool(_)
                        | Op::GlobalMaxPool
                        | Op::Pad { .. }
                );
            if !(skip || pooled && self.is_class_map(id)) {
                return id;
            }
            pooled |= matches!(
                self.op(id),
                Op::AdaptiveAvgPool(_) | Op::GlobalMaxPool | Op::AvgPool { .. }
            );
            match self.graph.nodes[id].inputs.first() {
                Some(&input) if input > 0 => id = input,
                _ => return id,
            }
        }
    }

    /// Whether a node is the map of logits that is averaged, or its activation.
    fn is_class_map(&self, id: NodeId) -> bool {
        let head = matches!(self.op(id), Op::Conv2d(_) | Op::Act(_));
        head && self.linear_free() && Some(self.shapes[id].channels()) == self.graph.classes()
    }

    fn linear_free(&self) -> bool {
        !self
            .graph
            .nodes
            .iter()
            .any(|n| matches!(n.op, Op::Linear { .. }))
    }

    fn last(&self) -> String {
        let id = self.last_node();
        // Nothing but the input and the stages before it must lie in the container of the same name.
        let side = self.side(id);
        let before = (0..id).rev().find(|&i| {
            self.spatial[i]
                && 3 * side <= 2 * self.side(i)
                && self.passes().binary_search(&i).is_ok()
        });
        self.name(id, before.unwrap_or(0)).to_owned()
    }

    /// Stages of module trees that everyone knows by name.
    fn known(&self, last: &str) -> Option<Vec<String>> {
        let numbered = |prefix: &str, first: usize| -> Vec<String> {
            (first..)
                .map(|i| format!("{prefix}{i}"))
                .take_while(|name| self.graph.aliases.contains_key(name))
                .collect()
        };
        let dense = numbered("features.denseblock", 1);
        if dense.len() > 1 {
            return Some(dense.into_iter().chain([last.to_owned()]).collect());
        }
        let residual = numbered("layer", 1);
        (residual.len() > 1).then_some(residual)
    }

    fn by_grid(&self) -> Vec<String> {
        let end = self.last_node();
        // What comes before the first convolution is the picture still.
        let first = (0..end)
            .find(|&id| matches!(self.op(id), Op::Conv2d(_)))
            .unwrap_or(0);
        let passes: Vec<NodeId> = self
            .passes()
            .into_iter()
            .filter(|&id| self.spatial[id] && id >= first)
            .collect();
        let mut groups: Vec<Vec<NodeId>> = Vec::new();
        let mut start = 0;
        for id in passes.into_iter().filter(|&id| id > 0) {
            let side = self.side(id);
            if groups.is_empty() || 3 * side <= 2 * start {
                groups.push(Vec::new());
                start = side;
            }
            if let Some(group) = groups.last_mut() {
                group.push(id);
            }
        }
        let mut stages = Vec::new();
        let mut from = 0;
        for (i, group) in groups.iter().enumerate() {
            let features: Vec<NodeId> = group
                .iter()
                .copied()
                .filter(|&id| !self.is_pool(id) && id <= end)
                .collect();
            // Blocks that begin a next stage start in this grid, but lie deeper in the tree.
            let depth = |id: NodeId| self.name(id, from).split('.').count();
            let least = features.iter().map(|&id| depth(id)).min().unwrap_or(0);
            let best = features
                .iter()
                .copied()
                .filter(|&id| depth(id) <= least + 1)
                .max_by_key(|&id| (self.joins(id) || self.is_container(id, from), id));
            if let Some(best) = best {
                stages.push(self.name(best, from).to_owned());
                if i + 1 == groups.len() {
                    // What follows in the same grid: a last convolution, or the map of logits.
                    let logits = group
                        .iter()
                        .rev()
                        .find(|&&id| id > end && !self.is_pool(id));
                    for id in [Some(&end), logits].into_iter().flatten() {
                        let name = self.name(*id, from).to_owned();
                        if !stages.contains(&name) {
                            stages.push(name);
                        }
                    }
                }
                from = best;
            }
        }
        stages
    }

    fn is_pool(&self, id: NodeId) -> bool {
        matches!(
            self.op(id),
            Op::MaxPool(_) | Op::AvgPool { .. } | Op::AdaptiveAvgPool(_) | Op::Pad { .. }
        )
    }

    /// Whether a node is the last of a container.
    fn is_container(&self, id: NodeId, from: NodeId) -> bool {
        self.name(id, from) != self.graph.nodes[id].name
    }

    /// Whether a node ends something: a sum, a joint, an activation.
    fn joins(&self, id: NodeId) -> bool {
        match self.op(id) {
            Op::Add | Op::Mul | Op::Concat | Op::ChannelShuffle { .. } => true,
            Op::Act(act) => !matches!(act, Act::Sigmoid | Act::HardSigmoid),
            _ => false,
        }
    }
}
