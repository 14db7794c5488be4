//! Operators that move or choose values: reshapes, transposes, concatenations, slices.

use super::constant::{sliced, wrapped};
use super::fold::{reshape_sizes, slice_ranges, squeezed, unsqueezed};
use super::translate::{Step, Translator, Value};
use super::view::View;
use crate::error::Result;
use crate::model::Shape;
use crate::model::op::Op;

impl Translator<'_> {
    /// Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Expand.
    pub(super) fn layout(&mut self, step: &Step<'_>) -> Result<Value> {
        let (id, view) = self.node_input(step, 0)?;
        let sizes = view.sizes();
        let list = |name: &str| {
            step.constant(1)
                .map(|c| c.integers())
                .or_else(|| step.ints(name))
        };
        let new = match step.node.op_type.as_str() {
            "Transpose" => {
                let perm: Option<Vec<usize>> = match step.ints("perm") {
                    Some(perm) => perm.iter().map(|&p| wrapped(p, view.rank())).collect(),
                    None => Some((0..view.rank()).rev().collect()),
                };
                perm.and_then(|perm| view.transpose(&perm))
            }
            "Expand" => return self.expand(step, id, view),
            kind => {
                let sizes = match kind {
                    "Reshape" => list("shape")
                        .and_then(|s| reshape_sizes(&sizes, &s, step.int("allowzero", 0) != 0)),
                    "Flatten" => flattened(&sizes, step.int("axis", 1)),
                    "Squeeze" => squeezed(&sizes, list("axes").as_deref()),
                    _ => list("axes").and_then(|axes| unsqueezed(&sizes, &axes)),
                };
                sizes.and_then(|sizes| view.reshape(&sizes))
            }
        };
        let Some(new) = new else {
            return Err(self.refuse(
                step,
                &format!("rearranges an array of {sizes:?} in a way that Camlens does not follow"),
            ));
        };
        self.settle(step, id, new)
    }

    /// Turns a view into nodes where it has become something that a node stands for.
    pub(super) fn settle(&mut self, step: &Step<'_>, id: usize, view: View) -> Result<Value> {
        let shape = self.shape(id);
        let op = match shape {
            Shape::Map(map) => {
                if view.is_flattened(shape) {
                    Some(Op::Flatten)
                } else {
                    view.shuffled_groups(map)
                        .map(|groups| Op::ChannelShuffle { groups })
                }
            }
            _ if view == View::plain(Shape::Map([shape.channels(), 1, 1])) => Some(Op::Unflatten),
            _ => None,
        };
        match op {
            Some(op) => self.push_map(step, op, id),
            None => Ok(Value::Node { id, view }),
        }
    }

    /// Repeating a gate before a product changes nothing: the product repeats it by itself.
    fn expand(&mut self, step: &Step<'_>, id: usize, view: View) -> Result<Value> {
        let sizes: Option<Vec<usize>> = step.constant(1).and_then(|c| {
            c.integers()
                .iter()
                .map(|&d| usize::try_from(d).ok())
                .collect()
        });
        let same = sizes.as_ref().is_some_and(|s| {
            s.len() <= view.rank()
                && s.iter()
                    .rev()
                    .zip(view.sizes().iter().rev())
                    .all(|(a, b)| a == b || *a == 1)
        });
        let output = step.node.output.first().map_or("", String::as_str);
        let for_products = sizes.is_some_and(|s| s.len() == view.rank())
            && self.readers(output).all(|op| op == "Mul");
        if same || for_products {
            return Ok(Value::Node { id, view });
        }
        Err(self.refuse(step, "repeats values other than those of a gate"))
    }

    pub(super) fn concat(&mut self, step: &Step<'_>) -> Result<Value> {
        let mut ids = Vec::with_capacity(step.inputs.len());
        let mut channels = 0usize;
        if (0..step.inputs.len()).any(|i| step.constant(i).is_some()) {
            return Err(self.refuse(
                step,
                "joins a constant to a result of the network (a class token); load a vision transformer from its state dict (safetensors)",
            ));
        }
        let (first, view) = self.node_input(step, 0)?;
        let axis = wrapped(step.int("axis", 1), view.rank());
        let Some(axis) =
            axis.filter(|&a| view.channel_axis(self.shape(first).channels()) == Some(a))
        else {
            return Err(self.refuse(step, "joins along another axis than the channels"));
        };
        for i in 0..step.inputs.len() {
            let (id, own) = self.node_input(step, i)?;
            let shape = self.shape(id);
            if own != view.with_channels(axis, shape.channels())
                || matches!(shape, Shape::Map(_)) != matches!(self.shape(first), Shape::Map(_))
            {
                return Err(self.refuse(
                    step,
                    &format!("joins arrays of {:?} and {:?}", view.sizes(), own.sizes()),
                ));
            }
            channels = channels.saturating_add(shape.channels());
            ids.push(id);
        }
        if ids.len() == 1 {
            return Ok(Value::Node { id: first, view });
        }
        let id = self.push(step, Op::Concat, &ids)?;
        Ok(Value::Node {
            id,
            view: view.with_channels(axis, channels),
        })
    }

    /// `len` channels from `start` on.
    fn channels(
        &mut self,
        step: &Step<'_>,
        (id, view): (usize, &View),
        axis: usize,
        start: usize,
        len: usize,
    ) -> Result<Value> {
        let channels = self.shape(id).channels();
        if view.channel_axis(channels) != Some(axis) {
            return Err(self.refuse(step, "cuts another axis than the channels"));
        }
        if start == 0 && len == channels {
            return Ok(Value::Node {
                id,
                view: view.clone(),
            });
        }
        let new = self.push(step, Op::Slice { start, len }, &[id])?;
        Ok(Value::Node {
            id: new,
            view: view.with_channels(axis, len),
        })
    }

    pub(super) fn split(&mut self, step: &Step<'_>) -> Result<Vec<Option<Value>>> {
        let (id, view) = self.node_input(step, 0)?;
        let axis = wrapped(step.int("axis", 0), view.rank()).unwrap_or(0);
        let total = view.sizes().get(axis).copied().unwrap_or(0);
        let parts = step.node.output.len();
        let sizes: Option<Vec<usize>> = match step
            .constant(1)
            .map(|c| c.integers())
            .or_else(|| step.ints("split"))
        {
            Some(sizes) => sizes.iter().map(|&s| usize::try_from(s).ok()).collect(),
            None => {
                // Equal parts; the last may be smaller.
                let each = total.div_ceil(parts.max(1));
                Some(
                    (0..parts)
                        .map(|i| each.min(total.saturating_sub(i * each)))
                        .collect(),
                )
            }
        };
        let sizes = sizes.filter(|s| {
            s.len() == parts && s.iter().try_fold(0usize, |n, &s| n.checked_add(s)) == Some(total)
        });
        let Some(sizes) = sizes else {
            return Err(self.refuse(
                step,
                &format!("does not split {total} entries into {parts} parts"),
            ));
        };
        let mut start = 0;
        let mut outputs = Vec::with_capacity(parts);
        for (name, &len) in step.node.output.iter().zip(&sizes) {
            let read = self.readers(name).next().is_some();
            outputs.push(if read {
                Some(self.channels(step, (id, &view), axis, start, len)?)
            } else {
                None
            });
            start += len;
        }
        Ok(outputs)
    }

    pub(super) fn slice(&mut self, step: &Step<'_>) -> Result<Value> {
        let (id, view) = self.node_input(step, 0)?;
        let constants: Vec<_> = (0..step.inputs.len())
            .map(|i| step.constant(i).cloned())
            .collect();
        let Some(ranges) = slice_ranges(&constants, &|name| step.ints(name), view.rank()) else {
            return Err(self.refuse(step, "has bounds that are not constants"));
        };
        let mut value = Value::Node { id, view };
        for [axis, start, end, stride] in ranges {
            let Value::Node { id, view } = value else {
                break;
            };
            let axis = usize::try_from(axis).unwrap_or(0);
            let len = view.sizes().get(axis).copied().unwrap_or(0);
            let picks = sliced(start, end, stride, len).unwrap_or_default();
            value = self.pick(step, (id, &view), axis, &picks)?;
        }
        Ok(value)
    }

    pub(super) fn gather(&mut self, step: &Step<'_>) -> Result<Value> {
        let (id, view) = self.node_input(step, 0)?;
        let (Some(at), Some(axis)) = (step.constant(1), wrapped(step.int("axis", 0), view.rank()))
        else {
            return Err(self.refuse(step, "chooses by something else than constants"));
        };
        let len = view.sizes().get(axis).copied().unwrap_or(0);
        let picks: Option<Vec<usize>> = at.integers().iter().map(|&i| wrapped(i, len)).collect();
        let value = self.pick(step, (id, &view), axis, &picks.unwrap_or_default())?;
        let Value::Node { id, view } = value else {
            return Err(self.refuse(step, "chooses nothing"));
        };
        // The axis takes the shape of the table of indices; a single number takes it out.
        let mut sizes = view.sizes();
        sizes.splice(axis..=axis, at.dims.iter().copied());
        match view.reshape(&sizes) {
            Some(view) => self.settle(step, id, view),
            None => Err(self.refuse(step, "chooses by a table")),
        }
    }

    /// Entries along one axis that follow each other.
    fn pick(
        &mut self,
        step: &Step<'_>,
        (id, view): (usize, &View),
        axis: usize,
        picks: &[usize],
    ) -> Result<Value> {
        let size = view.sizes().get(axis).copied().unwrap_or(0);
        let Some(&start) = picks.first() else {
            return Err(self.refuse(step, "chooses nothing"));
        };
        if !picks.iter().copied().eq(start..start + picks.len()) {
            return Err(self.refuse(step, "chooses entries that do not follow each other"));
        }
        if picks.len() == size {
            return Ok(Value::Node {
                id,
                view: view.clone(),
            });
        }
        self.channels(step, (id, view), axis, start, picks.len())
    }
}

/// Sizes that ONNX's Flatten gives.
fn flattened(sizes: &[usize], axis: i64) -> Option<Vec<usize>> {
    let axis = if usize::try_from(axis) == Ok(sizes.len()) {
        sizes.len()
    } else {
        wrapped(axis, sizes.len())?
    };
    let (a, b) = sizes.split_at_checked(axis)?;
    Some(vec![
        super::constant::product(a)?,
        super::constant::product(b)?,
    ])
}
