//! One reverse walk through the graph.
//!
//! [`backward`] visits the nodes once from the output to the input. At each node a [`Rule`] says what
//! the node hands to its inputs, and where several nodes read the same output their shares are
//! added. The walk keeps what arrived at *every* node, so that all layers and all methods are served by
//! one walk. The ordinary gradient is the first rule; others (guided, relevance) are values of the
//! same kind.

use candle_core::Tensor;

use super::forward::Trace;
use super::forward::pointwise;
use super::graph::{Graph, Node, NodeId};
use super::kernels::{Kernels, plain};
use super::op::Op;
use crate::error::Result;
use crate::job::Job;
use crate::text::{fault, window};

/// What the walk left at every node: for the gradient rule, d seed / d output of the node.
pub struct Taps {
    values: Vec<Option<Tensor>>,
}

impl Taps {
    /// What arrived at a node, in the shape of its output; `None` where nothing did.
    pub fn at(&self, node: NodeId) -> Option<&Tensor> {
        self.values.get(node).and_then(Option::as_ref)
    }
}

/// What one operation hands back to its inputs.
pub trait Rule: Send + Sync {
    /// `given` is what arrived at the node's output; the result has one tensor for each input, in
    /// the input's shape.
    fn hand_back(
        &self,
        node: &Node,
        inputs: &[&Tensor],
        output: &Tensor,
        given: &Tensor,
        kernels: &dyn Kernels,
    ) -> Result<Vec<Tensor>>;
}

/// The ordinary gradient (vector-Jacobian product). `relu'(0) = 0`, and the gradient of a maximum
/// goes to the first maximum, as in PyTorch.
pub struct Gradient;

impl Rule for Gradient {
    fn hand_back(
        &self,
        node: &Node,
        inputs: &[&Tensor],
        output: &Tensor,
        given: &Tensor,
        kernels: &dyn Kernels,
    ) -> Result<Vec<Tensor>> {
        let dims4 = |x: &Tensor| -> Result<[usize; 4]> {
            let (n, c, h, w) = x.dims4()?;
            Ok([n, c, h, w])
        };
        Ok(match (&node.op, inputs) {
            (Op::Conv2d(conv), [x]) => vec![kernels.conv2d_input_grad(given, conv, dims4(x)?)?],
            (Op::MaxPool(pool), [x]) => vec![kernels.max_pool2d_grad(x, given, pool)?],
            (Op::AvgPool { pool, count_border }, [x]) => {
                vec![kernels.avg_pool2d_grad(given, pool, *count_border, dims4(x)?)?]
            }
            (Op::Linear { weight, .. }, [x]) if x.rank() == 2 => vec![given.matmul(weight)?],
            (Op::Linear { weight, .. }, [x]) => {
                vec![kernels.conv2d_input_grad(given, &pointwise(weight, None)?, dims4(x)?)?]
            }
            _ => plain::grad(&node.op, inputs, output, given)?,
        })
    }
}

/// Walks the graph once in reverse from `seed`, which stands at the output node, and keeps what
/// arrives at every node.
///
/// # Errors
/// Fails when the job is cancelled or the device fails.
pub fn backward(
    graph: &Graph,
    kernels: &dyn Kernels,
    trace: &Trace,
    seed: Tensor,
    rule: &dyn Rule,
    job: &Job,
) -> Result<Taps> {
    let mut values: Vec<Option<Tensor>> = vec![None; graph.nodes.len()];
    if let Some(last) = values.last_mut() {
        *last = Some(seed);
    }
    for (id, node) in graph.nodes.iter().enumerate().rev() {
        job.check()?;
        job.progress(
            window::BACKWARD,
            graph.nodes.len() - 1 - id,
            graph.nodes.len(),
        );
        let Some(given) = values[id].clone() else {
            continue;
        };
        let inputs: Vec<&Tensor> = node.inputs.iter().map(|&i| trace.output(i)).collect();
        let shares = rule.hand_back(node, &inputs, trace.output(id), &given, kernels)?;
        for (&input, share) in node.inputs.iter().zip(shares) {
            values[input] = Some(match values[input].take() {
                Some(sum) => (sum + share)?,
                None => share,
            });
        }
    }
    Ok(Taps { values })
}

/// A seed that reads one logit: 1 at `class`, 0 elsewhere, in the shape of the output.
///
/// # Errors
/// Fails when the class does not exist.
pub fn one_hot(logits: &Tensor, class: usize) -> Result<Tensor> {
    let (n, classes) = logits.dims2()?;
    if class >= classes {
        return Err(fault::no_such_class(&class.to_string(), classes));
    }
    let mut seed = vec![0f32; n * classes];
    for row in seed.chunks_exact_mut(classes) {
        row[class] = 1.0;
    }
    Ok(Tensor::from_vec(seed, (n, classes), logits.device())?)
}
