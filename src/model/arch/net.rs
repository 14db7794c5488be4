//! What architecture files write with: a graph under construction that takes its tensors from a file.
//!
//! Channels are followed from node to node, so that groups, widths and re-headed classifiers are read
//! off the tensors and nothing has to be repeated.

use candle_core::Tensor;

use super::super::graph::{Builder, Graph, NodeId};
use super::super::op::{Act, BatchNorm, Border, Conv2d, LayerNorm, Op, Pool, even};
use super::super::weights::Weights;
use super::{BN_EPS, Built};
use crate::error::Result;
use crate::text::fault;

/// Describes a graph while taking its tensors from a file.
pub(super) struct Net<'a> {
    /// The file.
    pub weights: &'a Weights,
    /// What every BatchNorm adds to the variance.
    pub eps: f64,
    /// Where strided convolutions pad as TensorFlow does ('SAME'): the side of the square plane that the
    /// next one reads. The border depends on it: just enough for `ceil(side / stride)` windows, the smaller
    /// half before the picture.
    pub same: Option<usize>,
    builder: Builder,
    /// Channels of every node's output; 0 for the input until a convolution has read it.
    channels: Vec<usize>,
    notices: Vec<String>,
}

impl<'a> Net<'a> {
    pub(super) fn new(weights: &'a Weights) -> Self {
        Self {
            weights,
            eps: BN_EPS,
            same: None,
            builder: Builder::new(),
            channels: vec![0],
            notices: Vec::new(),
        }
    }

    /// Adds a node under a module path.
    pub(super) fn push(&mut self, path: &str, op: Op, inputs: &[NodeId]) -> NodeId {
        let first = inputs.first().map_or(0, |&i| self.channels_of(i));
        let channels = match &op {
            Op::Conv2d(conv) => conv.weight.dims().first().copied().unwrap_or(0),
            Op::Linear { weight, .. } => weight.dims().first().copied().unwrap_or(0),
            Op::Concat => inputs.iter().map(|&i| self.channels_of(i)).sum(),
            Op::Slice { len, .. } => *len,
            Op::Attention { .. } => first / 3,
            _ => first,
        };
        self.channels.push(channels);
        self.builder.push(path, op, inputs)
    }

    /// Channels of a node's output.
    pub(super) fn channels_of(&self, x: NodeId) -> usize {
        self.channels.get(x).copied().unwrap_or(0)
    }

    /// Whether the file has `path.weight`.
    pub(super) fn has(&self, path: &str) -> bool {
        self.weights.has(&format!("{path}.weight"))
    }

    /// Shape of `path.weight`; empty where there is none.
    pub(super) fn dims(&self, path: &str) -> &[usize] {
        self.weights
            .dims(&format!("{path}.weight"))
            .unwrap_or_default()
    }

    /// Gives a node a second name.
    pub(super) fn alias(&mut self, path: &str, x: NodeId) {
        self.builder.alias(path, x);
    }

    /// Says something about what was guessed or left out.
    pub(super) fn notice(&mut self, words: String) {
        if !self.notices.contains(&words) {
            self.notices.push(words);
        }
    }

    /// A convolution whose border keeps the size but for the stride: half the kernel on each side.
    pub(super) fn conv(&mut self, path: &str, x: NodeId, stride: usize) -> Result<NodeId> {
        let (kh, kw) = self.kernel(path)?;
        let mut border = [kh, kw].map(|k| [k.saturating_sub(1) / 2; 2]);
        if stride > 1
            && let Some(side) = self.same
        {
            let out = side.div_ceil(stride);
            border = [kh, kw].map(|k| {
                let total = (out.saturating_sub(1) * stride + k).saturating_sub(side);
                [total / 2, total - total / 2]
            });
            self.same = Some(out);
        }
        self.conv_with(path, x, [stride; 2], border)
    }

    /// A convolution without a border.
    pub(super) fn conv_valid(&mut self, path: &str, x: NodeId, stride: usize) -> Result<NodeId> {
        self.conv_with(path, x, [stride; 2], even([0, 0]))
    }

    fn kernel(&self, path: &str) -> Result<(usize, usize)> {
        let (_, _, kh, kw) = self.tensor(path, "weight", 4)?.dims4()?;
        Ok((kh, kw))
    }

    /// A convolution under `path`; groups follow from the channels of `x`.
    pub(super) fn conv_with(
        &mut self,
        path: &str,
        x: NodeId,
        stride: [usize; 2],
        border: Border,
    ) -> Result<NodeId> {
        let weight = self.tensor(path, "weight", 4)?;
        let (out, per_group) = (weight.dim(0)?, weight.dim(1)?);
        if self.channels_of(x) == 0
            && let Some(unknown) = self.channels.get_mut(x)
        {
            *unknown = per_group;
        }
        let channels = self.channels_of(x);
        let groups = channels / per_group.max(1);
        if groups == 0 || !out.is_multiple_of(groups) || per_group * groups != channels {
            return Err(fault::shape(
                path,
                &format!("a weight for {per_group} channels a group"),
                &format!("{channels} channels"),
            ));
        }
        let bias = self.optional(path, "bias")?;
        let mut conv = Conv2d::new(weight, bias, stride, border);
        conv.groups = groups;
        Ok(self.push(path, Op::Conv2d(conv), &[x]))
    }

    /// BatchNorm under `path`, in evaluation mode.
    pub(super) fn batch_norm(&mut self, path: &str, x: NodeId) -> Result<NodeId> {
        let op = self.batch_norm_op(path)?;
        Ok(self.push(path, op, &[x]))
    }

    /// BatchNorm with the tensors under `path`, for a node of another name.
    pub(super) fn batch_norm_op(&self, path: &str) -> Result<Op> {
        let mean = self.tensor(path, "running_mean", 1)?;
        let var = self.tensor(path, "running_var", 1)?;
        let channels = mean.elem_count();
        let lowest = var.min(0)?.to_scalar::<f32>()?;
        if f64::from(lowest) + self.eps <= 0.0 {
            return Err(fault::negative_variance(&self.weights.name, path, lowest));
        }
        let ones = || Tensor::ones(channels, mean.dtype(), mean.device());
        let gamma = match self.optional(path, "weight")? {
            Some(gamma) => gamma,
            None => ones()?,
        };
        let beta = match self.optional(path, "bias")? {
            Some(beta) => beta,
            None => (ones()? * 0.0)?,
        };
        for (tensor, leaf) in [(&var, "running_var"), (&gamma, "weight"), (&beta, "bias")] {
            if tensor.dims() != [channels] {
                return Err(fault::shape(
                    &format!("{path}.{leaf}"),
                    &format!("{:?}", tensor.dims()),
                    &format!("[{channels}]"),
                ));
            }
        }
        let scale = (gamma / (var + self.eps)?.sqrt()?)?;
        let shift = (beta - (mean * &scale)?)?;
        Ok(Op::BatchNorm(BatchNorm { scale, shift }))
    }

    /// LayerNorm over the channels of every place.
    pub(super) fn layer_norm(&mut self, path: &str, x: NodeId, eps: f64) -> Result<NodeId> {
        let weight = self.tensor(path, "weight", 1)?;
        let bias = self.tensor(path, "bias", 1)?;
        if weight.dims() != bias.dims() {
            return Err(fault::shape(
                &format!("{path}.bias"),
                &format!("{:?}", bias.dims()),
                &format!("{:?}", weight.dims()),
            ));
        }
        Ok(self.push(path, Op::LayerNorm(LayerNorm { weight, bias, eps }), &[x]))
    }

    pub(super) fn act(&mut self, path: &str, act: Act, x: NodeId) -> NodeId {
        self.push(path, Op::Act(act), &[x])
    }

    pub(super) fn relu(&mut self, path: &str, x: NodeId) -> NodeId {
        self.act(path, Act::Relu, x)
    }

    pub(super) fn max_pool(&mut self, path: &str, x: NodeId, pool: Pool) -> NodeId {
        self.push(path, Op::MaxPool(pool), &[x])
    }

    /// torchvision's `Conv2dNormActivation`: `path.0`, `path.1` and, with an activation, `path.2`.
    pub(super) fn unit(
        &mut self,
        path: &str,
        x: NodeId,
        stride: usize,
        act: Option<Act>,
    ) -> Result<NodeId> {
        let x = self.conv(&format!("{path}.0"), x, stride)?;
        let x = self.batch_norm(&format!("{path}.1"), x)?;
        Ok(match act {
            Some(act) => self.act(&format!("{path}.2"), act, x),
            None => x,
        })
    }

    /// torchvision's `SqueezeExcitation` (Hu et al., CVPR 2018, arXiv 1709.01507): a gate per channel from
    /// the mean of the whole plane, multiplied onto the input.
    pub(super) fn squeeze_excite(
        &mut self,
        path: &str,
        x: NodeId,
        act: Act,
        gate: Act,
    ) -> Result<NodeId> {
        self.gate(
            path,
            x,
            ["avgpool", "fc1", "activation", "fc2", "scale_activation"],
            [act, gate],
        )
    }

    /// A squeeze-excite gate with the names of its five steps.
    pub(super) fn gate(
        &mut self,
        path: &str,
        x: NodeId,
        steps: [&str; 5],
        [act, gate]: [Act; 2],
    ) -> Result<NodeId> {
        let at = |leaf: &str| format!("{path}.{leaf}");
        let [pool, squeeze, act_name, excite, gate_name] = steps;
        let y = self.push(&at(pool), Op::AdaptiveAvgPool([1, 1]), &[x]);
        let y = self.conv_valid(&at(squeeze), y, 1)?;
        let y = self.act(&at(act_name), act, y);
        let y = self.conv_valid(&at(excite), y, 1)?;
        let y = self.act(&at(gate_name), gate, y);
        Ok(self.push(&at("mul"), Op::Mul, &[x, y]))
    }

    pub(super) fn linear(&mut self, path: &str, x: NodeId) -> Result<NodeId> {
        let op = Op::linear(
            self.tensor(path, "weight", 2)?,
            self.optional(path, "bias")?,
        );
        Ok(self.push(path, op, &[x]))
    }

    /// Global average pooling under `pool`, flattened.
    pub(super) fn pooled(&mut self, pool: &str, x: NodeId) -> NodeId {
        let x = self.push(pool, Op::AdaptiveAvgPool([1, 1]), &[x]);
        self.push("flatten", Op::Flatten, &[x])
    }

    /// `path.leaf`, which must have `rank` dimensions.
    pub(super) fn tensor(&self, path: &str, leaf: &str, rank: usize) -> Result<Tensor> {
        let key = if path.is_empty() {
            leaf.to_owned()
        } else {
            format!("{path}.{leaf}")
        };
        let tensor = self.weights.get(&key)?;
        if tensor.rank() != rank || tensor.elem_count() == 0 {
            return Err(fault::shape(
                &key,
                &format!("{:?}", tensor.dims()),
                &format!("{rank} dimensions, none of them 0"),
            ));
        }
        Ok(tensor)
    }

    pub(super) fn optional(&self, path: &str, leaf: &str) -> Result<Option<Tensor>> {
        if !self.weights.has(&format!("{path}.{leaf}")) {
            return Ok(None);
        }
        self.tensor(path, leaf, 1).map(Some)
    }

    /// Number of children `child(first)`, `child(first + 1)`, … that have a tensor of that name.
    pub(super) fn count(&self, first: usize, child: impl Fn(usize) -> String) -> usize {
        (first..)
            .take_while(|&i| self.weights.has(&child(i)))
            .count()
    }

    /// Indices of the numbered children of `path` that have tensors of their own or below, in order.
    pub(super) fn children(&self, path: &str) -> Vec<usize> {
        children(self.weights, path)
    }

    /// Closes the graph.
    pub(super) fn finish(self, stages: Vec<String>, last: &str, name: String) -> Built {
        let graph: Graph = self.builder.finish(stages, last);
        Built {
            graph,
            name,
            side: None,
            notices: self.notices,
        }
    }
}

/// Largest index of a numbered module that is believed; longer lists do not exist.
const MAX_INDEX: usize = 4096;

/// Indices of the numbered children of `path` that have tensors, in order.
pub(super) fn children(weights: &Weights, path: &str) -> Vec<usize> {
    let mut indices: Vec<usize> = weights
        .keys()
        .filter_map(|key| key.strip_prefix(path)?.strip_prefix('.'))
        .filter_map(|rest| rest.split('.').next()?.parse().ok())
        .filter(|index| *index <= MAX_INDEX)
        .collect();
    indices.sort_unstable();
    indices.dedup();
    indices
}

/// `[1, 2, 3]` as `1-2-3`, for the names of unpublished variants.
pub(super) fn dashed(numbers: &[usize]) -> String {
    let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
    numbers.join("-")
}
