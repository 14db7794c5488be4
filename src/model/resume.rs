//! A forward pass that goes on from a node with other values there, for many of them at once.
//!
//! Only what depends on the node runs again. Everything else keeps the value that the trace has of it, the same
//! for every image of the batch.

use candle_core::Tensor;

use super::forward::{Blocks, Engine, Trace, give_back, run_step, stored};
use super::graph::{Graph, NodeId};
use super::kernels::Purpose;
use super::program::{Kind, Step};
use crate::error::Result;
use crate::job::Job;
use crate::text::fault;

/// Where a resumed pass began.
pub(super) struct Resumed {
    /// The node whose output was put in.
    at: NodeId,
    /// Whether a node's output depends on it.
    pub(super) depends: Vec<bool>,
    /// Images of the batch.
    pub(super) batch: usize,
}

impl Trace {
    /// Goes on from `node` with `value`, `[N, ...]`, in the place of its output, for a batch of N. All readers of the
    /// node see it; other nodes keep their values. A reverse walk through the result goes from the output down to
    /// `node`, no further.
    ///
    /// # Errors
    /// A value of another rank than the node's, a trace of another batch than 1 or N, cancellation, a device that
    /// fails.
    pub fn resume(&self, node: NodeId, value: &Tensor, job: &Job) -> Result<Self> {
        self.resume_for(Purpose::Trace, node, value, job)
    }

    /// As [`Trace::resume`], for some of many samples whose mean is looked at: sums may be taken by shortcuts.
    ///
    /// # Errors
    /// As [`Trace::resume`].
    pub fn resume_samples(&self, node: NodeId, value: &Tensor, job: &Job) -> Result<Self> {
        self.resume_for(Purpose::Sample, node, value, job)
    }

    fn resume_for(
        &self,
        purpose: Purpose,
        node: NodeId,
        value: &Tensor,
        job: &Job,
    ) -> Result<Self> {
        let resumed = self.begin(node, value)?;
        let keeps = |(old, depends): (&Option<Tensor>, &bool)| match depends {
            true => None,
            false => old.clone(),
        };
        let mut values: Vec<Option<Tensor>> = self
            .values
            .iter()
            .zip(&resumed.depends)
            .map(keeps)
            .collect();
        values[node] = Some(value.clone());
        self.go_on(purpose, &resumed, &mut values, job)?;
        Ok(Self {
            engine: self.engine.clone(),
            values,
            resumed: Some(resumed),
        })
    }

    /// The logits, `[N, classes]`, when a pass goes on as with [`Trace::resume`]; what nobody reads any more is given
    /// back at once.
    ///
    /// # Errors
    /// As [`Trace::resume`].
    pub fn resume_scores(&self, node: NodeId, value: &Tensor, job: &Job) -> Result<Tensor> {
        let resumed = self.begin(node, value)?;
        let mut values = vec![None; self.values.len()];
        values[node] = Some(value.clone());
        self.go_on(Purpose::Scores, &resumed, &mut values, job)?;
        stored(&self.engine, &values, self.engine.graph.output())
    }

    fn begin(&self, node: NodeId, value: &Tensor) -> Result<Resumed> {
        let graph = &self.engine.graph;
        let batch = value.dims().first().copied().unwrap_or(0);
        let is_map = graph.is_map(node);
        if batch == 0 || (value.rank() == 4) != is_map {
            let expected = if is_map {
                "[N, C, H, W]"
            } else {
                "[N, features]"
            };
            let found = format!("{:?}", value.dims());
            return Err(fault::shape(&graph.nodes[node].name, &found, expected));
        }
        Ok(Resumed {
            at: node,
            depends: dependents(graph, node),
            batch,
        })
    }

    /// Runs every step that depends on the node.
    fn go_on(
        &self,
        purpose: Purpose,
        resumed: &Resumed,
        values: &mut [Option<Tensor>],
        job: &Job,
    ) -> Result<()> {
        let Engine { graph, kernels, .. } = &self.engine;
        let program = self.engine.program(purpose);
        let mut blocks = Blocks::default();
        for (at, step) in program.steps.iter().enumerate() {
            if step.node <= resumed.at || !resumed.depends[step.node] {
                continue;
            }
            job.check()?;
            let read = |values: &[Option<Tensor>], node: NodeId| match resumed.depends[node] {
                true => stored(&self.engine, values, node),
                false => widen(&self.output(node)?, resumed.batch),
            };
            let mut nodes = step.nodes().into_iter();
            if nodes.any(|node| node == resumed.at) {
                // The rest of the step, node by node.
                for node in nodes {
                    let inputs = &graph.nodes[node].inputs;
                    let inputs = inputs
                        .iter()
                        .map(|&input| read(values, input))
                        .collect::<Result<Vec<_>>>()?;
                    let inputs: Vec<&Tensor> = inputs.iter().collect();
                    values[node] = Some(kernels.apply(&graph.nodes[node].op, &inputs)?);
                }
            } else {
                let read = |node: NodeId| read(values, node);
                let value = run_step(&self.engine, purpose, step, &read, &mut blocks)?;
                values[step.node] = Some(value);
            }
            if purpose == Purpose::Scores {
                give_back(program, graph, at, step, values);
            }
        }
        Ok(())
    }

    /// Whether a node's output was computed for every image of the batch.
    pub(super) fn depends(&self, node: NodeId) -> bool {
        self.resumed
            .as_ref()
            .is_none_or(|resumed| resumed.depends[node])
    }

    /// Whether a reverse walk goes through a step: everywhere, or from the output to where the pass was resumed.
    pub(super) fn goes_through(&self, step: &Step) -> bool {
        let Some(resumed) = &self.resumed else {
            return true;
        };
        let begins_inside =
            !matches!(step.kind, Kind::Single) && step.nodes().contains(&resumed.at);
        resumed.depends[step.node] && !begins_inside
    }
}

/// For every node whether its output depends on that of `node`.
fn dependents(graph: &Graph, node: NodeId) -> Vec<bool> {
    let mut depends = vec![false; graph.nodes.len()];
    for (id, other) in graph.nodes.iter().enumerate() {
        depends[id] = id == node || (id > node && other.inputs.iter().any(|&input| depends[input]));
    }
    depends
}

/// One image's value, `[1, ...]`, for every image of a batch.
///
/// # Errors
/// A value of another batch than 1 or `batch`.
pub(super) fn widen(value: &Tensor, batch: usize) -> Result<Tensor> {
    let mut dims = value.dims().to_vec();
    match dims.first_mut() {
        Some(n) if *n == batch => return Ok(value.clone()),
        Some(n) if *n == 1 => *n = batch,
        _ => {
            let found = format!("a batch of {}", dims.first().copied().unwrap_or(0));
            return Err(fault::shape(
                "a resumed pass",
                &found,
                &format!("1 or {batch}"),
            ));
        }
    }
    Ok(match dims.as_slice() {
        // The channels of a pixel stay side by side, as the CPU's kernels like them.
        &[n, c, h, w] => value
            .permute((0, 2, 3, 1))?
            .broadcast_as((n, h, w, c))?
            .contiguous()?
            .permute((0, 3, 1, 2))?,
        _ => value.broadcast_as(dims)?.contiguous()?,
    })
}
