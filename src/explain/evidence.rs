//! What a pass through the network leaves for the methods to read.

use candle_core::Tensor;

use crate::error::Result;
use crate::job::Job;
use crate::model::backward::Taps;
use crate::model::forward::Trace;
use crate::model::graph::NodeId;
use crate::model::kernels::values;
use crate::model::op::{Act, Op};
use crate::model::{Model, Shape};
use crate::text::fault;

/// Activations and gradients of one layer for one target, read out once for all methods.
pub struct Evidence<'a> {
    /// The network.
    pub model: &'a Model,
    /// Class whose raw logit is explained.
    pub target: usize,
    /// The layer's node.
    pub node: NodeId,
    /// Name under which the layer was asked for.
    pub layer: &'a str,
    /// Channels of the layer.
    pub channels: usize,
    /// Rows of the grid.
    pub height: usize,
    /// Columns of the grid.
    pub width: usize,
    /// Activations A, `[K, h, w]`.
    pub activations: Vec<f32>,
    gradients: Option<Vec<f32>>,
}

impl<'a> Evidence<'a> {
    /// Reads a layer out of a trace and the taps of a reverse walk.
    ///
    /// # Errors
    /// The layer has no grid.
    pub fn read(
        model: &'a Model,
        trace: &Trace,
        taps: &mut Taps,
        target: usize,
        layer: &'a str,
        job: &Job,
    ) -> Result<Self> {
        job.check()?;
        let node = model.layer(layer)?;
        let output = trace.output(node)?;
        let (_, channels, rows, columns) = output.dims4()?;
        let ([height, width], skip) = match model.shape(node)? {
            // Tokens lie in one row; the class token stands for no place.
            Shape::Tokens { skip, grid, .. } => (grid, skip),
            _ => ([rows, columns], 0),
        };
        let places = |tensor: &Tensor| first_image(tensor, skip, height * width);
        Ok(Self {
            model,
            target,
            node,
            layer,
            channels,
            height,
            width,
            activations: places(&output)?,
            gradients: taps.at(trace, node, job)?.map(|g| places(&g)).transpose()?,
        })
    }

    /// Gradients G = dy_c / dA, `[K, h, w]`.
    ///
    /// # Errors
    /// Nothing reached this layer, because the target does not depend on it.
    pub fn gradients(&self) -> Result<&[f32]> {
        self.gradients
            .as_deref()
            .ok_or_else(|| fault::no_gradient(self.layer))
    }

    /// Cells of the grid.
    pub fn cells(&self) -> usize {
        self.height * self.width
    }

    /// Activation and gradient of every channel, in order.
    ///
    /// # Errors
    /// As [`Evidence::gradients`].
    pub fn pairs(&self) -> Result<impl Iterator<Item = (&[f32], &[f32])>> {
        let cells = self.cells().max(1);
        Ok(self
            .activations
            .chunks_exact(cells)
            .zip(self.gradients()?.chunks_exact(cells)))
    }

    /// Row of the target in the linear layer that this layer reaches through global average pooling
    /// and nothing else than operations `between` allows.
    ///
    /// # Errors
    /// The network has another head, or the layer is not the one before it.
    pub fn head_weights(&self) -> Result<Vec<f32>> {
        let nodes = &self.model.graph.nodes;
        let pool = nodes
            .iter()
            .position(|n| matches!(n.op, Op::AdaptiveAvgPool([1, 1])));
        let head = pool.and_then(|pool| {
            let flat = nodes
                .iter()
                .position(|n| matches!(n.op, Op::Flatten) && n.inputs == [pool])?;
            let linear = nodes.iter().find(|n| n.inputs == [flat])?;
            match (&linear.op, nodes.last()) {
                (Op::Linear { weight, .. }, Some(last)) if last.name == linear.name => {
                    Some((nodes.get(pool)?.inputs.first().copied()?, weight))
                }
                _ => None,
            }
        });
        let Some((before, weight)) = head else {
            return Err(fault::cam_needs_gap(
                self.layer,
                "this network has another head",
            ));
        };
        // The authors' demonstration reads DenseNet's `features`, which stands before the last ReLU.
        let is_relu_of_it =
            matches!(nodes[before].op, Op::Act(Act::Relu)) && nodes[before].inputs == [self.node];
        if before != self.node && !is_relu_of_it {
            let hint = format!("here that is '{}'", nodes[before].name);
            return Err(fault::cam_needs_gap(self.layer, &hint));
        }
        Ok(weight.get(self.target)?.to_vec1()?)
    }
}

/// The channels of the first image, without the first `skip` of its places where it is a row of tokens.
fn first_image(tensor: &Tensor, skip: usize, places: usize) -> Result<Vec<f32>> {
    let image = tensor.narrow(0, 0, 1)?;
    let image = if skip > 0 {
        image.narrow(3, skip, places)?
    } else {
        image
    };
    values(&image)
}
