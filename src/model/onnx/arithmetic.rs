//! Norms, matrix products and arithmetic between results and constants.

use candle_core::Tensor;

use super::constant::Const;
use super::translate::{Step, Translator, Value};
use super::view::View;
use crate::error::Result;
use crate::model::Shape;
use crate::model::op::{BatchNorm, LayerNorm, Op};
use crate::text::fault;

impl Translator<'_> {
    fn vector(&self, values: &[f32]) -> Result<Tensor> {
        Ok(Tensor::from_slice(values, values.len(), self.device)?)
    }

    pub(super) fn batch_norm(&mut self, step: &Step<'_>) -> Result<Value> {
        let (id, view) = self.node_input(step, 0)?;
        let channels = self.shape(id).channels();
        if view != View::plain(self.shape(id)) {
            return Err(self.refuse(step, "reads an array whose channels are not second"));
        }
        self.pay(step, 2 * channels)?;
        let mut parts = Vec::with_capacity(4);
        for i in 1..5 {
            // Checks that the numbers are finite, too.
            let part = self.weight(step, i)?;
            if part.elem_count() != channels {
                return Err(self.refuse(
                    step,
                    &format!(
                        "has {} numbers in '{}' for {channels} channels",
                        part.elem_count(),
                        step.input_name(i)
                    ),
                ));
            }
            parts.push(part.flatten_all()?.to_vec1::<f32>()?);
        }
        let eps = step.float("epsilon", 1e-5);
        let [gamma, beta, mean, var] = parts.as_slice() else {
            return Err(self.refuse(step, "lacks an input"));
        };
        let mut scale = Vec::with_capacity(channels);
        let mut shift = Vec::with_capacity(channels);
        for (((&g, &b), &m), &v) in gamma.iter().zip(beta).zip(mean).zip(var) {
            if v + eps <= 0.0 {
                return Err(fault::negative_variance(self.file, step.input_name(4), v));
            }
            let s = f64::from(g) / (f64::from(v) + f64::from(eps)).sqrt();
            scale.push(s as f32);
            shift.push((f64::from(b) - f64::from(m) * s) as f32);
        }
        let bn = BatchNorm {
            scale: self.vector(&scale)?,
            shift: self.vector(&shift)?,
        };
        let id = self.push(step, Op::BatchNorm(bn), &[id])?;
        Ok(Value::Node { id, view })
    }

    pub(super) fn layer_norm(&mut self, step: &Step<'_>) -> Result<Value> {
        let (id, view) = self.node_input(step, 0)?;
        let axis = super::constant::wrapped(step.int("axis", -1), view.rank());
        if axis != view.rank().checked_sub(1) {
            return Err(self.refuse(step, "normalises more than the channels"));
        }
        let weight = self.weight(step, 1)?.flatten_all()?;
        let bias = if step.has(2) {
            self.weight(step, 2)?.flatten_all()?
        } else {
            weight.zeros_like()?
        };
        self.push_norm(step, (id, view), weight, bias, step.float("epsilon", 1e-5))
    }

    /// A LayerNorm that was written out; weight and bias follow as arithmetic.
    pub(super) fn normalise(&mut self, step: &Step<'_>, axes: &[i64], eps: f32) -> Result<Value> {
        let (id, view) = self.node_input(step, 0)?;
        let channels = self.shape(id).channels();
        let axis = match axes {
            [axis] => super::constant::wrapped(*axis, view.rank()),
            _ => None,
        };
        if axis.is_none() || axis != view.channel_axis(channels) {
            return Err(self.refuse(step, "normalises something else than the channels"));
        }
        self.pay(step, 2 * channels)?;
        let weight = self.vector(&vec![1.0; channels])?;
        let bias = self.vector(&vec![0.0; channels])?;
        let id = self.push(
            step,
            Op::LayerNorm(LayerNorm {
                weight,
                bias,
                eps: f64::from(eps),
            }),
            &[id],
        )?;
        Ok(Value::Node { id, view })
    }

    fn push_norm(
        &mut self,
        step: &Step<'_>,
        (id, view): (usize, View),
        weight: Tensor,
        bias: Tensor,
        eps: f32,
    ) -> Result<Value> {
        let channels = self.shape(id).channels();
        let flat = matches!(self.shape(id), Shape::Flat(_));
        if !(flat || view.is_channels_last(self.shape(id))) {
            return Err(self.refuse(step, "normalises something else than the channels"));
        }
        if weight.dims() != [channels] || bias.dims() != [channels] {
            return Err(self.refuse(
                step,
                &format!("has other weights than {channels} channels need"),
            ));
        }
        let id = self.push(
            step,
            Op::LayerNorm(LayerNorm {
                weight,
                bias,
                eps: f64::from(eps),
            }),
            &[id],
        )?;
        Ok(Value::Node { id, view })
    }

    pub(super) fn gemm(&mut self, step: &Step<'_>) -> Result<Value> {
        let (alpha, beta) = (step.float("alpha", 1.0), step.float("beta", 1.0));
        if step.int("transA", 0) != 0 {
            return Err(self.refuse(step, "transposes its first input"));
        }
        let mut weight = if step.int("transB", 0) != 0 {
            self.weight(step, 1)?
        } else {
            self.transposed_weight(step, 1)?
        };
        if alpha != 1.0 {
            self.pay(step, weight.elem_count())?;
            weight = (weight * f64::from(alpha))?;
        }
        let bias = match (step.has(2), step.constant(2)) {
            (false, _) => None,
            (true, Some(c)) => {
                let out = weight.dim(0)?;
                self.pay(step, out)?;
                let values = c.floats();
                let list: Vec<f32> = match c.dims.as_slice() {
                    [] | [1] | [1, 1] => vec![values.first().copied().unwrap_or(0.0) * beta; out],
                    [n] | [1, n] if *n == out => values.iter().map(|v| v * beta).collect(),
                    _ => return Err(self.refuse(step, "adds a matrix that is no bias")),
                };
                self.finite(step, &list)?;
                Some(self.vector(&list)?)
            }
            (true, None) => return Err(self.refuse(step, "adds a result of the network")),
        };
        self.linear(step, weight, bias)
    }

    pub(super) fn mat_mul(&mut self, step: &Step<'_>) -> Result<Value> {
        if step.constant(1).is_none() {
            return Err(self.refuse(
                step,
                "multiplies two results of the network (attention); load a vision transformer from its state dict (safetensors)",
            ));
        }
        let weight = self.transposed_weight(step, 1)?;
        self.linear(step, weight, None)
    }

    /// A linear layer over the last axis.
    fn linear(&mut self, step: &Step<'_>, weight: Tensor, bias: Option<Tensor>) -> Result<Value> {
        let (id, view) = self.node_input(step, 0)?;
        let shape = self.shape(id);
        let flat = matches!(shape, Shape::Flat(_));
        if weight.rank() != 2 || !(flat || view.is_channels_last(shape)) {
            return Err(self.refuse(step, "multiplies something else than the channels"));
        }
        let out = weight.dim(0)?;
        let id = self.push(step, Op::linear(weight, bias), &[id])?;
        let view = view.with_channels(view.rank().saturating_sub(1), out);
        Ok(Value::Node { id, view })
    }

    fn finite(&self, step: &Step<'_>, values: &[f32]) -> Result<()> {
        let bad = values.iter().filter(|v| !v.is_finite()).count();
        if bad > 0 {
            return Err(fault::not_finite(self.file, step.name(), bad, values.len()));
        }
        Ok(())
    }

    /// A constant as one number for each channel.
    fn per_channel(
        &mut self,
        step: &Step<'_>,
        value: &Const,
        id: usize,
        view: &View,
    ) -> Result<Vec<f32>> {
        let channels = self.shape(id).channels();
        self.pay(step, 2 * channels)?;
        if let Some(number) = value.scalar().filter(|_| value.dims.len() <= view.rank()) {
            return Ok(vec![number; channels]);
        }
        let axis = view.channel_axis(channels);
        let fits = value.len() == channels
            && value.dims.len() <= view.rank()
            && value
                .dims
                .iter()
                .rev()
                .zip((0..view.rank()).rev())
                .all(|(&size, at)| size == 1 || Some(at) == axis);
        if !fits {
            return Err(self.refuse(
                step,
                &format!("combines an array of {:?} with a constant of {:?}; expected one number, or one for each channel", view.sizes(), value.dims),
            ));
        }
        Ok(value.floats().to_vec())
    }

    /// Sums, differences, products and quotients.
    pub(super) fn arithmetic(&mut self, step: &Step<'_>) -> Result<Value> {
        let op = step.node.op_type.as_str();
        if op == "Neg" {
            let (id, view) = self.node_input(step, 0)?;
            let channels = self.shape(id).channels();
            self.pay(step, 2 * channels)?;
            let id = self.affine(step, id, &vec![-1.0; channels], &vec![0.0; channels])?;
            return Ok(Value::Node { id, view });
        }
        match (step.constant(0).cloned(), step.constant(1).cloned()) {
            (None, None) if step.has(0) && step.has(1) => self.between_results(step),
            (None, Some(value)) => {
                let (id, view) = self.node_input(step, 0)?;
                self.with_constant(step, op, (id, view), &value, step.input_name(0))
            }
            (Some(value), None) => {
                let (id, view) = self.node_input(step, 1)?;
                // c - x and c / x are not x - c and x / c.
                let op = match op {
                    "Sub" => "SubFrom",
                    "Div" => return Err(self.refuse(step, "divides by a result of the network")),
                    other => other,
                };
                self.with_constant(step, op, (id, view), &value, step.input_name(1))
            }
            _ => Err(self.refuse(step, "lacks an input")),
        }
    }

    fn with_constant(
        &mut self,
        step: &Step<'_>,
        op: &str,
        (id, view): (usize, View),
        value: &Const,
        name: &str,
    ) -> Result<Value> {
        let values = self.per_channel(step, value, id, &view)?;
        self.finite(step, &values)?;
        let ones = vec![1.0; values.len()];
        let zeros = vec![0.0; values.len()];
        let sole = self.readers(name).count() == 1;
        let (scale, shift) = match op {
            "Add" => (ones, values),
            "Sub" => (ones, values.iter().map(|v| -v).collect()),
            "SubFrom" => (vec![-1.0; values.len()], values),
            "Mul" => (values, zeros),
            _ => (values.iter().map(|v| 1.0 / v).collect(), zeros),
        };
        self.finite(step, &scale)?;
        if sole && self.merge(step, id, &scale, &shift)? {
            return Ok(Value::Node { id, view });
        }
        let id = self.affine(step, id, &scale, &shift)?;
        Ok(Value::Node { id, view })
    }

    /// Takes `scale * x + shift` into the draft that gives x, where that is the same layer written out:
    /// a linear layer's bias, a LayerNorm's weight and bias, the two halves of an affine map.
    fn merge(&mut self, step: &Step<'_>, id: usize, scale: &[f32], shift: &[f32]) -> Result<bool> {
        let (scale_t, shift_t) = (self.vector(scale)?, self.vector(shift)?);
        let keeps_scale = scale.iter().all(|&s| s == 1.0);
        let Some(draft) = self.drafts.get_mut(id) else {
            return Ok(false);
        };
        let same_call = draft.place == step.place;
        match &mut draft.op {
            Op::Linear {
                bias: bias @ None, ..
            } if keeps_scale => *bias = Some(shift_t),
            Op::LayerNorm(norm) => {
                norm.bias = ((&norm.bias * &scale_t)? + shift_t)?;
                norm.weight = (&norm.weight * scale_t)?;
            }
            Op::BatchNorm(bn) if same_call => {
                bn.shift = ((&bn.shift * &scale_t)? + shift_t)?;
                bn.scale = (&bn.scale * scale_t)?;
            }
            op @ Op::Scale(_) if same_call => {
                let Op::Scale(old) = &*op else {
                    return Ok(false);
                };
                let scale = (old * scale_t)?;
                *op = Op::BatchNorm(BatchNorm {
                    scale,
                    shift: shift_t,
                });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// `scale * x + shift` per channel as a draft; none where it changes nothing.
    pub(super) fn affine(
        &mut self,
        step: &Step<'_>,
        id: usize,
        scale: &[f32],
        shift: &[f32],
    ) -> Result<usize> {
        let only_scale = shift.iter().all(|&s| s == 0.0);
        if only_scale && scale.iter().all(|&s| s == 1.0) {
            return Ok(id);
        }
        let scale = self.vector(scale)?;
        let op = if only_scale {
            Op::Scale(scale)
        } else {
            Op::BatchNorm(BatchNorm {
                scale,
                shift: self.vector(shift)?,
            })
        };
        self.push(step, op, &[id])
    }

    /// Arithmetic between two results of the network.
    fn between_results(&mut self, step: &Step<'_>) -> Result<Value> {
        let (mut a, mut view) = self.node_input(step, 0)?;
        let (mut b, mut other) = self.node_input(step, 1)?;
        let alike = |t: &Self, a: usize, va: &View, b: usize, vb: &View| {
            let (sa, sb) = (t.shape(a), t.shape(b));
            let kind =
                |v: &View, s: Shape| (v.rank(), *v == View::plain(s), matches!(s, Shape::Map(_)));
            kind(va, sa) == kind(vb, sb)
                && (*va == View::plain(sa)
                    || (va == vb && sa == sb)
                    || (va.is_channels_last(sa) && vb.is_channels_last(sb)))
        };
        if !alike(self, a, &view, b, &other) {
            return Err(self.refuse(
                step,
                &format!(
                    "combines arrays of {:?} and {:?} that lie differently in memory",
                    view.sizes(),
                    other.sizes()
                ),
            ));
        }
        let op = match step.node.op_type.as_str() {
            "Add" => Op::Add,
            "Mul" => Op::Mul,
            "Sub" => {
                let channels = self.shape(b).channels();
                self.pay(step, 2 * channels)?;
                b = self.affine(step, b, &vec![-1.0; channels], &vec![0.0; channels])?;
                Op::Add
            }
            _ => return Err(self.refuse(step, "divides by a result of the network")),
        };
        let size = |t: &Self, id: usize| t.shape(id).dims().iter().product::<usize>();
        // The one that is repeated stands second.
        if matches!(op, Op::Mul) && size(self, a) < size(self, b) {
            std::mem::swap(&mut a, &mut b);
            std::mem::swap(&mut view, &mut other);
        }
        let id = self.push(step, op, &[a, b])?;
        Ok(Value::Node { id, view })
    }
}
