//! What a pass through the network leaves for the methods to read.

use candle_core::Tensor;

use crate::error::Result;
use crate::model::graph::NodeId;
use crate::model::kernels::values;
use crate::model::op::{Act, Op};
use crate::model::{Model, Shape};
use crate::text::fault;

/// Activations and gradients of one layer for one target, read out once.
pub struct Evidence<'a> {
    /// The network.
    pub model: &'a Model,
    /// Gradient of what is explained at the logits; 1 at the class where that is a raw logit.
    pub seed: Vec<f32>,
    /// The layer's node.
    pub node: NodeId,
    /// Name under which the layer was asked for.
    pub layer: String,
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
    /// Reads a layer's output and the gradient there, `[1, K, h, w]` each or tokens in one row.
    ///
    /// # Errors
    /// The layer has no grid.
    pub(super) fn read(
        model: &'a Model,
        node: NodeId,
        layer: &str,
        seed: Vec<f32>,
        output: &Tensor,
        gradient: Option<&Tensor>,
    ) -> Result<Self> {
        let places = Places::of(model, node, output)?;
        let [height, width] = places.grid;
        Ok(Self {
            model,
            seed,
            node,
            layer: layer.to_owned(),
            channels: output.dim(1)?,
            height,
            width,
            activations: places.read(output, 0)?,
            gradients: gradient.map(|g| places.read(g, 0)).transpose()?,
        })
    }

    /// Gradients G = dy_c / dA, `[K, h, w]`.
    ///
    /// # Errors
    /// Nothing reached this layer, because the target does not depend on it.
    pub fn gradients(&self) -> Result<&[f32]> {
        self.gradients
            .as_deref()
            .ok_or_else(|| fault::no_gradient(&self.layer))
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

    /// Weights of the target in the linear layer that this layer reaches through global average pooling
    /// and nothing else than operations `between` allows.
    ///
    /// # Errors
    /// The network has another head, or the layer is not the one before it.
    pub fn head_weights(&self) -> Result<Vec<f32>> {
        let nodes = &self.model.graph.nodes;
        // From the logits back: an attention branch or a gate has a pooling of its own.
        let only_input = |id: NodeId| match nodes.get(id)?.inputs.as_slice() {
            &[one] => Some(one),
            _ => None,
        };
        let head = || {
            let output = self.model.graph.output();
            let flat = only_input(output)?;
            let pool = only_input(flat)?;
            match (&nodes[output].op, &nodes[flat].op, &nodes[pool].op) {
                (Op::Linear { weight, .. }, Op::Flatten, Op::AdaptiveAvgPool([1, 1])) => {
                    Some((only_input(pool)?, weight))
                }
                _ => None,
            }
        };
        let Some((before, weight)) = head() else {
            return Err(fault::cam_needs_gap(
                &self.layer,
                "this network has another head",
            ));
        };
        // The authors' demonstration reads DenseNet's `features`, which stands before the last ReLU.
        let is_relu_of_it =
            matches!(nodes[before].op, Op::Act(Act::Relu)) && nodes[before].inputs == [self.node];
        if before != self.node && !is_relu_of_it {
            let hint = format!("here that is '{}'", nodes[before].name);
            return Err(fault::cam_needs_gap(&self.layer, &hint));
        }
        // For a raw logit the seed picks one row; a contrast subtracts another one from it.
        let seed = Tensor::from_slice(&self.seed, (1, self.seed.len()), weight.device())?;
        Ok(seed.matmul(weight)?.flatten_all()?.to_vec1()?)
    }
}

/// Where the places of a layer's grid lie in its output.
pub(super) struct Places {
    /// Rows and columns.
    pub(super) grid: [usize; 2],
    /// Tokens before the first place.
    skip: usize,
}

impl Places {
    /// The places of a node's output.
    ///
    /// # Errors
    /// The node has no grid.
    pub(super) fn of(model: &Model, node: NodeId, output: &Tensor) -> Result<Self> {
        let (_, _, rows, columns) = output.dims4()?;
        Ok(match model.shape(node)? {
            // Tokens lie in one row; the class token stands for no place.
            Shape::Tokens { skip, grid, .. } => Self { grid, skip },
            _ => Self {
                grid: [rows, columns],
                skip: 0,
            },
        })
    }

    /// Values of one image of a batch, `[K, h, w]`.
    ///
    /// # Errors
    /// The device fails.
    pub(super) fn read(&self, batch: &Tensor, image: usize) -> Result<Vec<f32>> {
        let image = batch.narrow(0, image, 1)?;
        let image = if self.skip > 0 {
            image.narrow(3, self.skip, self.grid[0] * self.grid[1])?
        } else {
            image
        };
        values(&image)
    }
}
