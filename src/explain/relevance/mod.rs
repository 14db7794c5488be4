//! Layer-wise relevance propagation (Bach et al., PLoS ONE 2015): the score of a class is handed down from layer to
//! layer until it lies on the pixels.
//!
//! A [`Composite`] says which [`Rule`] each layer follows, a [`Plan`] brings a network into canonical form and keeps the
//! modified weights, and [`Plan::walk`] hands a [`Seed`] down through a pass that has been traced. Names and nodes stay those
//! of the network, so [`Relevance`] can be asked at every layer. Values and defaults are zennit's (Anders et al., arXiv
//! 2106.13200), its leftover factor behind every folded BatchNorm included ([`Norms::Zennit`]).

mod composite;
mod elementwise;
mod layer;
mod plan;
mod rule;
mod seed;

use candle_core::Tensor;
use serde::Serialize;

pub use composite::{Composite, Mixing, Norms, Strided};
pub use plan::{Plan, Plans};
pub use rule::{Rule, STABILISER};
pub use seed::Seed;

use crate::error::Result;
use crate::job::Job;
use crate::model::Model;
use crate::model::forward::Trace;
use crate::model::graph::{Graph, Node, NodeId};
use crate::model::kernels::{Kernels, values};
use crate::model::op::{Act, Op};
use crate::text::{fault, window};
use elementwise::{exact_quotient, none, pair, per_channel, product, quotient, sum, total, zip};
use plan::{Action, Weighted};

/// What a walk left at every node.
pub struct Relevance {
    /// In the shape of each node's output; `None` where nothing arrived.
    values: Vec<Option<Tensor>>,
    /// The sum at the logits.
    pub start: f64,
    /// Whether parts of both signs stand at the logits (class against class): their sum is a remainder.
    mixed: bool,
}

/// How much of the relevance at the logits has come through to a layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Conserved {
    /// The layer.
    pub layer: String,
    /// Sum of its relevance.
    pub sum: f64,
    /// The sum over that at the logits, 1 where all came through; `None` where the logits' sum is 0 or parts of both
    /// signs stand there (class against class): a share of what is left of a difference means nothing.
    pub share: Option<f64>,
}

impl Plan {
    /// Hands `seed` down through a traced pass, to the input.
    ///
    /// # Errors
    /// A class that does not exist, a trace of another network, relevance beyond the range of numbers, cancellation.
    pub fn walk(&self, model: &Model, trace: &Trace, seed: Seed, job: &Job) -> Result<Relevance> {
        let start = seed.relevance(&trace.output(model.graph.output())?)?;
        self.walk_from(model, trace, model.graph.output(), start, job)
    }

    /// As [`Plan::walk`] from any node down, with any relevance at its output, in the output's shape.
    ///
    /// # Errors
    /// As [`Plan::walk`].
    pub fn walk_from(
        &self,
        model: &Model,
        trace: &Trace,
        from: NodeId,
        start: Tensor,
        job: &Job,
    ) -> Result<Relevance> {
        let graph = &*model.graph;
        let seeds = values(&start)?;
        let mut relevance = Relevance {
            values: vec![None; graph.nodes.len()],
            start: total(&start)?,
            mixed: seeds.iter().any(|r| *r > 0.0) && seeds.iter().any(|r| *r < 0.0),
        };
        if let Some(slot) = relevance.values.get_mut(from) {
            *slot = Some(start);
        }
        let steps = graph.nodes.len();
        for (id, node) in graph.nodes.iter().enumerate().rev() {
            job.check()?;
            job.progress(window::BACKWARD, steps - id, steps);
            let (Some(r), Some(action)) = (relevance.at(id).cloned(), self.actions.get(id)) else {
                continue;
            };
            let step = Step {
                kernels: model.kernels(),
                graph,
                trace,
                node,
                id,
            };
            for (input, share) in step.shares(action, &r)? {
                relevance.add(input, share)?;
            }
        }
        relevance.check(graph)?;
        Ok(relevance)
    }
}

/// A node at its turn in the walk.
struct Step<'a> {
    kernels: &'a dyn Kernels,
    graph: &'a Graph,
    trace: &'a Trace,
    node: &'a Node,
    id: NodeId,
}

impl Step<'_> {
    /// What goes to which node.
    fn shares(&self, action: &Action, r: &Tensor) -> Result<Vec<(NodeId, Tensor)>> {
        let Some(&input) = self.node.inputs.first() else {
            return Ok(Vec::new());
        };
        let op = &self.node.op;
        let x = || self.trace.output(input);
        Ok(match action {
            Action::End => Vec::new(),
            Action::Pass => vec![(input, r.clone())],
            Action::Gradient => {
                let inputs = self.inputs()?;
                let inputs: Vec<&Tensor> = inputs.iter().collect();
                // None of these gradients reads the output.
                let shares = self.kernels.grad(op, &inputs, r, r)?;
                self.node.inputs.iter().copied().zip(shares).collect()
            }
            Action::Norm => {
                let (x, z) = (x()?, self.trace.output(self.id)?);
                let s = quotient(r, &z, STABILISER)?;
                vec![(input, layer::times(self.kernels, op, &s, &x)?)]
            }
            Action::Sum => self.sum_shares(r)?,
            Action::PositivePool => {
                let x = zip([&x()?], |[x]| x.max(0.0))?;
                let z = self.kernels.apply(op, &[&x])?;
                let s = exact_quotient(r, &z)?;
                vec![(input, layer::times(self.kernels, op, &s, &x)?)]
            }
            Action::PositiveSum => {
                let parts = self.inputs()?;
                let [a, b] = parts.as_slice() else {
                    return Err(fault::shape(&self.node.name, "other inputs", "two"));
                };
                let share = |[a, b, r]: [f32; 3]| {
                    let (a, both) = (a.max(0.0), a.max(0.0) + b.max(0.0));
                    if both == 0.0 { 0.0 } else { a * (r / both) }
                };
                let shares = [zip([a, b, r], share)?, zip([b, a, r], share)?];
                self.node.inputs.iter().copied().zip(shares).collect()
            }
            Action::Attention => {
                let (x, z) = (x()?, self.trace.output(self.id)?);
                let s = quotient(r, &z, STABILISER)?;
                let g = product(&x, &layer::vjp(self.kernels, op, &s, &x)?)?;
                // Queries and keys make the weights, which are constants; values are the last third.
                let channels = x.dim(1)?;
                let keep: Vec<f32> = (0..channels)
                    .map(|c| if c >= channels / 3 * 2 { 1.0 } else { 0.0 })
                    .collect();
                vec![(input, per_channel(&g, &keep, &keep, |g, keep, _| g * keep)?)]
            }
            Action::Weights(weighted) => vec![self.weighted(weighted, input, r)?],
        })
    }

    fn inputs(&self) -> Result<Vec<Tensor>> {
        let inputs = self.node.inputs.iter();
        inputs.map(|&input| self.trace.output(input)).collect()
    }

    /// Shares of a sum of two.
    fn sum_shares(&self, r: &Tensor) -> Result<Vec<(NodeId, Tensor)>> {
        let &[a, b] = self.node.inputs.as_slice() else {
            return Err(fault::shape(&self.node.name, "other inputs", "two"));
        };
        if let Some(shares) = self.sum_shares_from_end([a, b], r)? {
            return Ok(shares);
        }
        let [x, y] = [self.trace.output(a)?, self.trace.output(b)?];
        let divided = pair([&x, &y, r], |[x, y, r]| {
            let s = r / elementwise::stabilised(x + y, STABILISER);
            ([x * s, y * s], false)
        })?;
        Ok(divided.map_or_else(Vec::new, |[x, y]| vec![(a, x), (b, y)]))
    }

    /// The same where one part stands inside a fused step, and would have to be convolved again: it is what the sum has
    /// more than the other part. Where a rectifier closed the sum is not known, and no relevance may stand.
    fn sum_shares_from_end(
        &self,
        [a, b]: [NodeId; 2],
        r: &Tensor,
    ) -> Result<Option<Vec<(NodeId, Tensor)>>> {
        let (inside, other) = match [a, b].map(|part| self.trace.keeps(part)) {
            [false, true] => (a, b),
            [true, false] => (b, a),
            _ => return Ok(None),
        };
        let Some((end, is_rectified)) = self.kept_end(self.id) else {
            return Ok(None);
        };
        let (end, known) = (self.trace.output(end)?, self.trace.output(other)?);
        let divided = pair([&end, &known, r], |[z, known, r]| {
            let s = r / elementwise::stabilised(z, STABILISER);
            let is_lost = is_rectified && z == 0.0 && r != 0.0;
            ([(z - known) * s, known * s], is_lost)
        })?;
        Ok(divided.map(|[x, known]| vec![(inside, x), (other, known)]))
    }

    /// The node that tells a node's output without computing it, and whether a rectifier has taken its negative part:
    /// itself, or the rectifier that alone reads it.
    fn kept_end(&self, id: NodeId) -> Option<(NodeId, bool)> {
        if self.trace.keeps(id) {
            return Some((id, false));
        }
        let next = self.reader(id)?;
        let is_relu = matches!(self.graph.nodes.get(next)?.op, Op::Act(Act::Relu));
        (is_relu && self.trace.keeps(next)).then_some((next, true))
    }

    /// The node that reads one inside a fused step; nobody else reads it.
    fn reader(&self, id: NodeId) -> Option<NodeId> {
        (id + 1..self.graph.nodes.len()).find(|&next| {
            let node = self.graph.nodes.get(next);
            node.is_some_and(|node| node.inputs.contains(&id))
        })
    }

    /// The output of a layer with its bias, as far as relevance r stands there, from what is kept: the rectifier behind
    /// it, or the sum less its other part, exactly as the sum has divided relevance. Behind a closed rectifier r must be 0.
    fn output_under(&self, node: NodeId, r: &Tensor) -> Result<Tensor> {
        if self.trace.keeps(node) {
            return self.trace.output(node);
        }
        let sum = self.reader(node).and_then(|next| {
            let sum = self.graph.nodes.get(next)?;
            let other = sum.inputs.iter().copied().find(|&part| part != node)?;
            let is_known = matches!(sum.op, Op::Add) && self.trace.keeps(other);
            is_known.then_some((next, other))
        });
        let (at, other) = sum.map_or((node, None), |(next, other)| (next, Some(other)));
        if let Some((end, is_rectified)) = self.kept_end(at) {
            let y = self.trace.output(end)?;
            if !is_rectified || none(&y, r, |y, r| y == 0.0 && r != 0.0)? {
                return match other {
                    Some(other) => zip([&y, &self.trace.output(other)?], |[y, other]| y - other),
                    None => Ok(y),
                };
            }
        }
        self.trace.output(node)
    }

    fn weighted(&self, at: &Weighted, input: NodeId, r: &Tensor) -> Result<(NodeId, Tensor)> {
        let z = || match at.spread {
            true => self
                .kernels
                .apply(&at.layer.whole, &[&self.trace.output(input)?]),
            false => self.output_under(at.end, r),
        };
        let share = match &at.threshold {
            None => {
                let x = self.trace.output(input)?;
                at.layer.divide(self.kernels, &x, z, r)?
            }
            Some(threshold) => {
                let x = self.trace.output(threshold.from)?;
                let t = threshold.input(&x)?;
                let r = at.layer.divide(self.kernels, &t, z, r)?;
                threshold.inside(&r, &x)?
            }
        };
        Ok((input, share))
    }
}

impl Relevance {
    fn add(&mut self, node: NodeId, share: Tensor) -> Result<()> {
        if let Some(slot) = self.values.get_mut(node) {
            *slot = Some(match slot.take() {
                Some(before) => sum(&before, &share)?,
                None => share,
            });
        }
        Ok(())
    }

    /// Relevance at a node, `[1, C, H, W]` or `[1, features]`; `None` where nothing arrived (gates).
    pub fn at(&self, node: NodeId) -> Option<&Tensor> {
        self.values.get(node)?.as_ref()
    }

    /// Relevance at a node with a grid, summed over channels: rows, columns and values in row-major order. `None` where
    /// nothing arrived.
    ///
    /// # Errors
    /// A node without a grid.
    pub fn channel_sum(&self, node: NodeId) -> Result<Option<(usize, usize, Vec<f32>)>> {
        let Some(r) = self.at(node) else {
            return Ok(None);
        };
        let (_, _, h, w) = r.dims4()?;
        let mut sums = vec![0f64; h * w];
        for plane in values(&r.narrow(0, 0, 1)?)?.chunks_exact((h * w).max(1)) {
            for (sum, v) in sums.iter_mut().zip(plane) {
                *sum += f64::from(*v);
            }
        }
        Ok(Some((h, w, sums.into_iter().map(|v| v as f32).collect())))
    }

    /// The sum of relevance at a node; 0 where nothing arrived.
    ///
    /// # Errors
    /// Fails when the device does.
    pub fn sum(&self, node: NodeId) -> Result<f64> {
        self.at(node).map_or(Ok(0.0), total)
    }

    /// How much came through, from the input over the stages to the logits. Only what all paths run through is told:
    /// a layer inside a block holds its path's part.
    ///
    /// # Errors
    /// Fails when the device does.
    pub fn conserved(&self, graph: &Graph) -> Result<Vec<Conserved>> {
        let stages = graph
            .stages
            .iter()
            .filter_map(|name| Some((name.as_str(), graph.find(name)?)));
        let ends = |id: NodeId| graph.nodes.get(id).map(|node| (node.name.as_str(), id));
        let layers = ends(0)
            .into_iter()
            .chain(stages)
            .chain(ends(graph.output()));
        layers
            .map(|(layer, id)| {
                let sum = self.sum(id)?;
                let share = (!self.mixed && self.start.abs() > 1e-6).then(|| sum / self.start);
                Ok(Conserved {
                    layer: layer.to_owned(),
                    sum,
                    share,
                })
            })
            .collect()
    }

    /// Names the first layer, from the logits, where relevance is no finite number.
    fn check(&self, graph: &Graph) -> Result<()> {
        if self.sum(0)?.is_finite() {
            return Ok(());
        }
        for (id, node) in graph.nodes.iter().enumerate().rev() {
            if !self.sum(id)?.is_finite() {
                return Err(fault::relevance_not_finite(&node.name));
            }
        }
        Ok(())
    }
}
