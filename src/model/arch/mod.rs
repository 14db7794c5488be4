//! Architectures: each file reads one family's structure off the tensors and describes it as a graph.
//!
//! Depths, widths, input channels, groups and class counts come from the tensors' names and shapes;
//! what they cannot tell (strides, padding, pooling, eps) is the family's definition in torchvision.

mod densenet;
mod resnet;
mod vgg;

use candle_core::Tensor;

use super::graph::{Builder, Graph, NodeId};
use super::op::{Act, BatchNorm, Conv2d, Op, Pool, even};
use super::weights::{Weights, outline};
use crate::error::Result;
use crate::text::fault;

/// What torchvision's BatchNorm adds to the variance.
pub(crate) const BN_EPS: f64 = 1e-5;

/// A family of networks.
struct Family {
    /// First part of its members' names.
    name: &'static str,
    /// Names of the published members, for messages.
    members: &'static str,
    /// Whether the tensors look like it.
    recognise: fn(&Weights) -> bool,
    /// Builds the graph and gives the member's name.
    build: fn(&Weights) -> Result<(Graph, String)>,
}

const FAMILIES: [Family; 3] = [
    Family {
        name: "resnet",
        members: "resnet18, 34, 50, 101, 152 (also wide_resnet and resnext)",
        recognise: resnet::recognise,
        build: resnet::build,
    },
    Family {
        name: "densenet",
        members: "densenet121, 161, 169, 201",
        recognise: densenet::recognise,
        build: densenet::build,
    },
    Family {
        name: "vgg",
        members: "vgg11, 13, 16, 19 (with and without BatchNorm)",
        recognise: vgg::recognise,
        build: vgg::build,
    },
];

/// Recognises the architecture and builds its graph; `wanted` overrides the recognition.
///
/// # Errors
/// Lists what was seen and what is supported; names missing tensors.
pub fn build(weights: &Weights, wanted: Option<&str>) -> Result<(Graph, String)> {
    let supported = || FAMILIES.map(|f| f.members).join("; ");
    let family = match wanted {
        Some(name) => FAMILIES
            .iter()
            .find(|f| name.to_lowercase().starts_with(f.name))
            .ok_or_else(|| fault::unknown_arch_name(name, &supported()))?,
        None => FAMILIES
            .iter()
            .find(|f| (f.recognise)(weights))
            .ok_or_else(|| fault::unknown_arch(&weights.name, &outline(weights), &supported()))?,
    };
    let (graph, name) = (family.build)(weights)?;
    match wanted {
        Some(wanted) if wanted.to_lowercase() != name && wanted.to_lowercase() != family.name => {
            Err(fault::other_arch(&weights.name, wanted, &name))
        }
        _ => Ok((graph, name)),
    }
}

/// Describes a graph while taking its tensors from a file.
struct Net<'a> {
    weights: &'a Weights,
    builder: Builder,
}

impl<'a> Net<'a> {
    fn new(weights: &'a Weights) -> Self {
        Self {
            weights,
            builder: Builder::new(),
        }
    }

    /// A convolution under `path`; groups follow from the channels it is given.
    fn conv(
        &mut self,
        path: &str,
        x: NodeId,
        channels: usize,
        stride: usize,
        padding: usize,
    ) -> Result<(NodeId, usize)> {
        let weight = self.tensor(path, "weight", 4)?;
        let (out, per_group) = (weight.dim(0)?, weight.dim(1)?);
        let groups = if per_group > 0 && channels.is_multiple_of(per_group) {
            channels / per_group
        } else {
            1
        };
        if groups == 0 || !out.is_multiple_of(groups) || per_group * groups != channels {
            return Err(fault::shape(
                path,
                &format!("a weight for {per_group} channels a group"),
                &format!("{channels} channels"),
            ));
        }
        let bias = self.optional(path, "bias")?;
        let mut conv = Conv2d::new(weight, bias, [stride; 2], even([padding; 2]));
        conv.groups = groups;
        Ok((self.builder.push(path, Op::Conv2d(conv), &[x]), out))
    }

    /// BatchNorm under `path`, in evaluation mode.
    fn batch_norm(&mut self, path: &str, x: NodeId) -> Result<NodeId> {
        let mean = self.tensor(path, "running_mean", 1)?;
        let var = self.tensor(path, "running_var", 1)?;
        let channels = mean.elem_count();
        let lowest = var.min(0)?.to_scalar::<f32>()?;
        if f64::from(lowest) + BN_EPS <= 0.0 {
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
        let scale = (gamma / (var + BN_EPS)?.sqrt()?)?;
        let shift = (beta - (mean * &scale)?)?;
        Ok(self
            .builder
            .push(path, Op::BatchNorm(BatchNorm { scale, shift }), &[x]))
    }

    fn relu(&mut self, path: &str, x: NodeId) -> NodeId {
        self.builder.push(path, Op::Act(Act::Relu), &[x])
    }

    fn max_pool(&mut self, path: &str, x: NodeId, k: usize, s: usize, p: usize) -> NodeId {
        self.builder
            .push(path, Op::MaxPool(Pool::square(k, s, p)), &[x])
    }

    fn linear(&mut self, path: &str, x: NodeId) -> Result<NodeId> {
        let op = Op::linear(
            self.tensor(path, "weight", 2)?,
            self.optional(path, "bias")?,
        );
        Ok(self.builder.push(path, op, &[x]))
    }

    /// Global average pooling, flatten and one linear layer.
    fn pooled_head(&mut self, pool: &str, linear: &str, x: NodeId) -> Result<()> {
        let x = self.builder.push(pool, Op::AdaptiveAvgPool([1, 1]), &[x]);
        let x = self.builder.push("flatten", Op::Flatten, &[x]);
        self.linear(linear, x)?;
        Ok(())
    }

    /// `path.leaf`, which must have `rank` dimensions.
    fn tensor(&self, path: &str, leaf: &str, rank: usize) -> Result<Tensor> {
        let key = format!("{path}.{leaf}");
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

    fn optional(&self, path: &str, leaf: &str) -> Result<Option<Tensor>> {
        let key = format!("{path}.{leaf}");
        if !self.weights.has(&key) {
            return Ok(None);
        }
        self.tensor(path, leaf, 1).map(Some)
    }

    /// Number of children `prefix0`, `prefix1`, … (or from `first`) that have a tensor `child`.
    fn count(&self, first: usize, child: impl Fn(usize) -> String) -> usize {
        (first..)
            .take_while(|&i| self.weights.has(&child(i)))
            .count()
    }
}
