//! One forward pass whose every intermediate result is kept.

use candle_core::{DType, Tensor};

use super::graph::{Graph, NodeId};
use super::kernels::{Kernels, plain};
use super::op::{Conv2d, Op};
use crate::error::Result;
use crate::job::Job;
use crate::text::window;

/// The output of every node for one input.
pub struct Trace {
    /// One tensor a node, in the graph's order, `[N, C, H, W]` or `[N, features]`.
    pub outputs: Vec<Tensor>,
}

impl Trace {
    /// Output of a node.
    pub fn output(&self, node: NodeId) -> &Tensor {
        &self.outputs[node]
    }

    /// The logits of the first image.
    ///
    /// # Errors
    /// Fails when the device does.
    pub fn logits(&self) -> Result<Vec<f32>> {
        match self.outputs.last() {
            Some(last) => Ok(last.get(0)?.flatten_all()?.to_vec1()?),
            None => Ok(Vec::new()),
        }
    }
}

/// Runs the network on `input`, `[N, C, H, W]`, and keeps everything.
///
/// # Errors
/// Fails when the job is cancelled or the device fails. Shapes are checked beforehand by
/// [`Graph::shapes`].
pub fn forward(graph: &Graph, kernels: &dyn Kernels, input: &Tensor, job: &Job) -> Result<Trace> {
    let dtype = kernels.forward_dtype();
    let input = input.to_dtype(dtype)?;
    let mut outputs: Vec<Tensor> = Vec::with_capacity(graph.nodes.len());
    // Results in the kernels' own precision live until their last reader has run.
    let mut wide: Vec<Option<Tensor>> = Vec::with_capacity(graph.nodes.len());
    let last_reader = last_readers(graph);
    for (id, node) in graph.nodes.iter().enumerate() {
        job.check()?;
        job.progress(window::FORWARD, id, graph.nodes.len());
        let inputs: Vec<&Tensor> = node
            .inputs
            .iter()
            .map(|&i| wide[i].as_ref().unwrap_or(&outputs[i]))
            .collect();
        let output = apply(&node.op, &inputs, &input, kernels)?;
        outputs.push(output.to_dtype(DType::F32)?);
        wide.push(Some(output));
        for &i in &node.inputs {
            if last_reader[i] == id {
                wide[i] = None;
            }
        }
    }
    Ok(Trace { outputs })
}

/// For every node the last one that reads it.
fn last_readers(graph: &Graph) -> Vec<NodeId> {
    let mut last: Vec<NodeId> = (0..graph.nodes.len()).collect();
    for (id, node) in graph.nodes.iter().enumerate() {
        for &input in &node.inputs {
            last[input] = id;
        }
    }
    last
}

/// Applies one operation. `input` is what [`Op::Input`] gives.
pub(crate) fn apply(
    op: &Op,
    inputs: &[&Tensor],
    input: &Tensor,
    kernels: &dyn Kernels,
) -> Result<Tensor> {
    match (op, inputs) {
        (Op::Input, _) => Ok(input.clone()),
        (Op::Conv2d(conv), [x]) => kernels.conv2d(x, conv),
        (Op::MaxPool(pool), [x]) => kernels.max_pool2d(x, pool),
        (Op::AvgPool { pool, count_border }, [x]) => kernels.avg_pool2d(x, pool, *count_border),
        (Op::Linear { weight, bias, .. }, [x]) => linear(x, weight, bias.as_ref(), kernels),
        _ => plain::apply(op, inputs),
    }
}

/// A linear layer over features, or over the channels of every place.
fn linear(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    kernels: &dyn Kernels,
) -> Result<Tensor> {
    if x.rank() == 2 {
        return kernels.linear(x, weight, bias);
    }
    kernels.conv2d(x, &pointwise(weight, bias)?)
}

/// The 1x1 convolution that a linear layer over channels is.
pub(super) fn pointwise(weight: &Tensor, bias: Option<&Tensor>) -> Result<Conv2d> {
    let (o, i) = weight.dims2()?;
    Ok(Conv2d::new(
        weight.reshape((o, i, 1, 1))?,
        bias.cloned(),
        [1, 1],
        [[0; 2]; 2],
    ))
}
