//! Activations and norms that exporters write out as several operators, found before anything is
//! translated.
//!
//! A match stands at the last node of its pattern and names the value that goes in; the nodes between are
//! then read by nobody and fall away.

use std::collections::BTreeMap;

use super::constant::Const;
use super::proto::{AttributeProto, GraphProto, NodeProto};
use crate::model::op::Act;

/// What a group of nodes is together.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fused {
    /// An activation.
    Act(Act),
    /// `(x - mean) / sqrt(var + eps)` over the axes that were reduced.
    Normalise {
        /// The reduced axes, as they are written.
        axes: Vec<i64>,
        /// Added to the variance.
        eps: f32,
    },
}

/// Patterns by the number of their last node: what they are and the value that goes in.
pub(super) type Matches = BTreeMap<usize, (Fused, String)>;

/// An attribute by name.
pub(super) fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|a| a.name == name)
}

/// Finds all patterns of a graph.
pub(super) fn find(file: &str, graph: &GraphProto) -> Matches {
    let search = Search::new(file, graph);
    graph
        .node
        .iter()
        .enumerate()
        .filter_map(|(i, node)| Some((i, search.at(node)?)))
        .collect()
}

struct Search<'a> {
    producers: BTreeMap<&'a str, &'a NodeProto>,
    scalars: BTreeMap<&'a str, f32>,
    lists: BTreeMap<&'a str, Vec<i64>>,
}

fn near(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-3 * b.abs()
}

impl<'a> Search<'a> {
    fn new(file: &str, graph: &'a GraphProto) -> Self {
        let mut search = Self {
            producers: BTreeMap::new(),
            scalars: BTreeMap::new(),
            lists: BTreeMap::new(),
        };
        let small = |t: &super::proto::TensorProto| {
            t.dims.iter().all(|&d| (0..=8).contains(&d)) && t.dims.len() <= 4
        };
        for tensor in graph.initializer.iter().filter(|t| small(t)) {
            if let Ok(value) = Const::decode(file, tensor) {
                search.constant(&tensor.name, &value);
            }
        }
        for node in &graph.node {
            for output in &node.output {
                search.producers.insert(output, node);
            }
            if node.op_type == "Constant"
                && let [output] = node.output.as_slice()
                && let Some(tensor) = attribute(node, "value").and_then(|a| a.t.as_ref())
                && small(tensor)
                && let Ok(value) = Const::decode(file, tensor)
            {
                search.constant(output, &value);
            }
        }
        search
    }

    fn constant(&mut self, name: &'a str, value: &Const) {
        if let Some(scalar) = value.scalar() {
            self.scalars.insert(name, scalar);
        }
        if value.len() <= 4 {
            self.lists.insert(name, value.integers());
        }
    }

    fn scalar(&self, name: &str) -> Option<f32> {
        self.scalars.get(name).copied()
    }

    /// The node that gives `name`, if it is of this kind.
    fn made_by(&self, name: &str, op: &str) -> Option<&'a NodeProto> {
        self.producers
            .get(name)
            .copied()
            .filter(|node| node.op_type == op)
    }

    /// The only input of the node that gives `name`.
    fn through(&self, name: &str, op: &str) -> Option<&'a str> {
        Some(self.made_by(name, op)?.input.first()?.as_str())
    }

    fn pair(&self, name: &str, op: &str) -> Option<[&'a str; 2]> {
        two(self.made_by(name, op)?)
    }

    /// A node with a constant number: the number and the other input, for operators that commute.
    fn with_scalar(&self, name: &str, op: &str) -> Option<(f32, &'a str)> {
        let [a, b] = self.pair(name, op)?;
        match (self.scalar(a), self.scalar(b)) {
            (None, Some(s)) => Some((s, a)),
            (Some(s), None) => Some((s, b)),
            _ => None,
        }
    }

    /// `factor * x`, one multiplication or division by a number deep.
    fn scaled(&self, name: &'a str) -> (f32, &'a str) {
        if let Some((s, x)) = self.with_scalar(name, "Mul") {
            return (s, x);
        }
        if let Some([x, by]) = self.pair(name, "Div")
            && let Some(s) = self.scalar(by)
        {
            return (1.0 / s, x);
        }
        (1.0, name)
    }

    fn at(&self, node: &'a NodeProto) -> Option<(Fused, String)> {
        let act = |act: Act, x: &str| Some((Fused::Act(act), x.to_owned()));
        let out = node.output.first()?;
        match node.op_type.as_str() {
            "Mul" => {
                let [a, b] = two(node)?;
                self.gate(a, b)
                    .or_else(|| self.gate(b, a))
                    .or_else(|| self.gelu(a, b))
                    .map(|(kind, x)| (Fused::Act(kind), x.to_owned()))
                    .or_else(|| act(Act::Hardswish, self.hard_swish_div(out)?))
                    .or_else(|| act(Act::HardSigmoid, self.hard_sigmoid(out)?))
            }
            "Div" => self
                .hard_swish_div(out)
                .and_then(|x| act(Act::Hardswish, x))
                .or_else(|| act(Act::HardSigmoid, self.hard_sigmoid(out)?))
                .or_else(|| self.normalise(out)),
            _ => None,
        }
    }

    /// `x * gate(x)`.
    fn gate(&self, x: &'a str, gate: &'a str) -> Option<(Act, &'a str)> {
        if self.through(gate, "Sigmoid") == Some(x) {
            return Some((Act::Silu, x));
        }
        if self.hard_sigmoid(gate) == Some(x) {
            return Some((Act::Hardswish, x));
        }
        let softplus = self.through(gate, "Tanh")?;
        (self.through(softplus, "Softplus") == Some(x)).then_some((Act::Mish, x))
    }

    /// `min(max(x + 3, 0), 6)`.
    fn clipped(&self, name: &str) -> Option<&'a str> {
        let clip = self.made_by(name, "Clip")?;
        let bound = |i: usize, key: &str| match clip.input.get(i) {
            Some(value) => self.scalar(value),
            None => attribute(clip, key).map(|a| a.f),
        };
        let (lo, hi) = (bound(1, "min")?, bound(2, "max")?);
        let (three, x) = self.with_scalar(clip.input.first()?, "Add")?;
        (lo == 0.0 && hi == 6.0 && three == 3.0).then_some(x)
    }

    fn hard_sigmoid(&self, name: &'a str) -> Option<&'a str> {
        if let Some(node) = self.made_by(name, "HardSigmoid") {
            let alpha = attribute(node, "alpha").map_or(0.2, |a| a.f);
            let beta = attribute(node, "beta").map_or(0.5, |a| a.f);
            return (near(alpha, 1.0 / 6.0) && beta == 0.5).then_some(node.input.first()?);
        }
        let (scale, inner) = self.scaled(name);
        near(scale, 1.0 / 6.0).then(|| self.clipped(inner))?
    }

    /// `x * clipped(x) / 6`.
    fn hard_swish_div(&self, name: &'a str) -> Option<&'a str> {
        let (scale, product) = self.scaled(name);
        let [a, b] = self.pair(product, "Mul")?;
        let x = if self.clipped(b) == Some(a) {
            a
        } else if self.clipped(a) == Some(b) {
            b
        } else {
            return None;
        };
        near(scale, 1.0 / 6.0).then_some(x)
    }

    /// A product of `x`, 0.5 and `1 + erf(x / sqrt 2)` (or the tanh that comes near it), in any order.
    fn gelu(&self, a: &'a str, b: &'a str) -> Option<(Act, &'a str)> {
        let (outer, [a, b]) = match (self.scalar(a), self.scalar(b)) {
            (Some(s), None) => (s, self.pair(b, "Mul")?),
            (None, Some(s)) => (s, self.pair(a, "Mul")?),
            _ => (1.0, [a, b]),
        };
        let ((fa, a), (fb, b)) = (self.scaled(a), self.scaled(b));
        if !near(outer * fa * fb, 0.5) {
            return None;
        }
        self.gelu_gate(a, b).or_else(|| self.gelu_gate(b, a))
    }

    fn gelu_gate(&self, x: &'a str, gate: &'a str) -> Option<(Act, &'a str)> {
        let (one, inner) = self.with_scalar(gate, "Add")?;
        if one != 1.0 {
            return None;
        }
        if let Some(z) = self.through(inner, "Erf") {
            let (scale, of) = self.scaled(z);
            return (near(scale, std::f32::consts::FRAC_1_SQRT_2) && of == x)
                .then_some((Act::Gelu, x));
        }
        let (scale, sum) = self.scaled(self.through(inner, "Tanh")?);
        let [p, q] = self.pair(sum, "Add")?;
        let cubic = if p == x { q } else { p };
        let (c, power) = self.scaled(cubic);
        let [base, three] = self.pair(power, "Pow")?;
        let fits = (p == x || q == x)
            && base == x
            && self.scalar(three) == Some(3.0)
            && near(c, 0.044_715)
            && near(scale, 0.797_884_6);
        fits.then_some((Act::GeluTanh, x))
    }

    /// `(x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps)`.
    fn normalise(&self, name: &'a str) -> Option<(Fused, String)> {
        let [centred, deviation] = self.pair(name, "Div")?;
        let [x, mean] = self.pair(centred, "Sub")?;
        let (eps, variance) = self.with_scalar(self.through(deviation, "Sqrt")?, "Add")?;
        let (of, axes) = self.mean(mean)?;
        let (square, same) = self.mean(variance)?;
        let squared = self
            .pair(square, "Pow")
            .filter(|p| self.scalar(p[1]) == Some(2.0))
            .map(|p| p[0]);
        let squared = squared.or_else(|| {
            self.pair(square, "Mul")
                .filter(|p| p[0] == p[1])
                .map(|p| p[0])
        })?;
        // Some exporters write the difference once for the numerator and once for the variance.
        let again = self.pair(squared, "Sub");
        let same_difference = squared == centred
            || again.is_some_and(|[p, q]| p == x && self.mean(q) == Some((x, axes.clone())));
        (of == x && same == axes && same_difference)
            .then(|| (Fused::Normalise { axes, eps }, x.to_owned()))
    }

    /// A mean that keeps its axes: what it is of, and the axes.
    fn mean(&self, name: &str) -> Option<(&'a str, Vec<i64>)> {
        let node = self.made_by(name, "ReduceMean")?;
        let keep = attribute(node, "keepdims").is_none_or(|a| a.i != 0);
        let axes = match node.input.get(1) {
            Some(axes) => self.lists.get(axes.as_str())?.clone(),
            None => attribute(node, "axes")?.ints.clone(),
        };
        keep.then_some((node.input.first()?.as_str(), axes))
    }
}

/// Both inputs of a node with two.
fn two(node: &NodeProto) -> Option<[&str; 2]> {
    match node.input.as_slice() {
        [a, b] => Some([a, b]),
        _ => None,
    }
}
