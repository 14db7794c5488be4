//! Operators on constants only: the shape programs of exporters, and weights that are transposed first.

use std::rc::Rc;

use super::constant::{Budget, Const, Data, product, sliced, wrapped};

/// What an operator needs from its node.
pub(super) struct Call<'a> {
    /// Name of the operator.
    pub(super) op: &'a str,
    /// Its inputs; `None` for one that is left out.
    pub(super) inputs: &'a [Option<Const>],
    /// An attribute's integers, where it is there.
    pub(super) ints: &'a dyn Fn(&str) -> Option<Vec<i64>>,
    /// An attribute's tensor.
    pub(super) value: &'a dyn Fn() -> Option<Const>,
}

impl Call<'_> {
    fn input(&self, i: usize) -> Option<&Const> {
        self.inputs.get(i)?.as_ref()
    }

    fn int(&self, name: &str) -> Option<i64> {
        (self.ints)(name)?.first().copied()
    }

    /// Axes as an attribute or as the second input.
    fn axes(&self) -> Option<Vec<i64>> {
        (self.ints)("axes").or_else(|| Some(self.input(1)?.integers()))
    }
}

/// The result of an operator on constants; `None` where it is not one of these, does not fit its
/// inputs, or asks for more than the budget.
pub(super) fn fold(call: &Call<'_>, budget: &mut Budget) -> Option<Const> {
    let x = call.input(0);
    match call.op {
        "Identity" => x.cloned(),
        "Cast" => {
            let x = x?;
            budget.pay(x.len())?;
            let data = match call.int("to")? {
                1 | 10 | 11 | 16 => Data::F(x.floats()),
                9 => Data::I(x.floats().iter().map(|&v| i64::from(v != 0.0)).collect()),
                _ => Data::I(x.integers().into()),
            };
            Some(Const {
                dims: x.dims.clone(),
                data,
            })
        }
        "Shape" => Some(Const::ints(
            x?.dims
                .iter()
                .map(|&d| i64::try_from(d).ok())
                .collect::<Option<_>>()?,
        )),
        "Size" => Some(Const {
            dims: Vec::new(),
            data: Data::I([i64::try_from(x?.len()).ok()?].into()),
        }),
        "Reshape" => {
            let wanted = call.input(1)?.integers();
            let sizes = reshape_sizes(&x?.dims, &wanted, call.int("allowzero") == Some(1))?;
            x?.reshaped(sizes)
        }
        "Flatten" => {
            let dims = &x?.dims;
            let axis = call.int("axis").unwrap_or(1);
            let axis = if axis == i64::try_from(dims.len()).ok()? {
                dims.len()
            } else {
                wrapped(axis, dims.len())?
            };
            let (a, b) = dims.split_at_checked(axis)?;
            x?.reshaped(vec![product(a)?, product(b)?])
        }
        "Unsqueeze" => x?.reshaped(unsqueezed(&x?.dims, &call.axes()?)?),
        "Squeeze" => x?.reshaped(squeezed(&x?.dims, call.axes().as_deref())?),
        "Transpose" => {
            let rank = x?.dims.len();
            let perm: Vec<usize> = match (call.ints)("perm") {
                Some(perm) => perm
                    .iter()
                    .map(|&p| wrapped(p, rank))
                    .collect::<Option<_>>()?,
                None => (0..rank).rev().collect(),
            };
            transpose(x?, &perm, budget)
        }
        "Concat" => concat(call, budget),
        "Gather" => {
            let (x, at) = (x?, call.input(1)?);
            let axis = wrapped(call.int("axis").unwrap_or(0), x.dims.len())?;
            let len = *x.dims.get(axis)?;
            let picks = at
                .integers()
                .iter()
                .map(|&i| wrapped(i, len))
                .collect::<Option<Vec<_>>>()?;
            let mut picked = along(x, axis, &picks, budget)?;
            picked.dims.splice(axis..=axis, at.dims.iter().copied());
            Some(picked)
        }
        "Slice" => slice(call, budget),
        "ConstantOfShape" => {
            let dims: Vec<usize> = x?
                .integers()
                .iter()
                .map(|&d| usize::try_from(d).ok())
                .collect::<Option<_>>()?;
            let count = product(&dims)?;
            budget.pay(count)?;
            let data = match (call.value)().map(|v| v.data) {
                Some(Data::I(v)) => Data::I(vec![*v.first()?; count].into()),
                Some(Data::F(v)) => Data::F(vec![*v.first()?; count].into()),
                None => Data::F(vec![0.0; count].into()),
            };
            Some(Const { dims, data })
        }
        "Expand" => {
            let sizes: Vec<usize> = call
                .input(1)?
                .integers()
                .iter()
                .map(|&d| usize::try_from(d).ok())
                .collect::<Option<_>>()?;
            let dims = broadcast(&x?.dims, &sizes)?;
            let at = spread(&x?.dims, &dims, budget)?;
            x?.pick(dims, &at)
        }
        "Range" => {
            let (start, end, step) = (
                x?.integers(),
                call.input(1)?.integers(),
                call.input(2)?.integers(),
            );
            let (start, end, step) = (*start.first()?, *end.first()?, *step.first()?);
            if step == 0 || !matches!(x?.data, Data::I(_)) {
                return None;
            }
            let span = end.checked_sub(start)?.checked_add(step - step.signum())?;
            let count = span.checked_div(step)?.max(0);
            budget.pay(usize::try_from(count).ok()?)?;
            Some(Const::ints((0..count).map(|i| start + i * step).collect()))
        }
        "Where" => {
            let (yes, no) = (call.input(1)?, call.input(2)?);
            let dims = broadcast(&broadcast(&x?.dims, &yes.dims)?, &no.dims)?;
            let mask = x?
                .pick(dims.clone(), &spread(&x?.dims, &dims, budget)?)?
                .integers();
            let yes = yes.pick(dims.clone(), &spread(&yes.dims, &dims, budget)?)?;
            let no = no.pick(dims.clone(), &spread(&no.dims, &dims, budget)?)?;
            let data = match (&yes.data, &no.data) {
                (Data::I(a), Data::I(b)) => Data::I(choose(&mask, a, b)),
                (Data::F(a), Data::F(b)) => Data::F(choose(&mask, a, b)),
                _ => return None,
            };
            Some(Const { dims, data })
        }
        "Sqrt" | "Neg" | "Reciprocal" | "Floor" | "Ceil" | "Exp" | "Abs" => {
            let x = x?;
            budget.pay(x.len())?;
            let data = match (&x.data, call.op) {
                (Data::I(v), "Neg") => {
                    Data::I(v.iter().map(|v| v.checked_neg()).collect::<Option<_>>()?)
                }
                (Data::I(v), _) => Data::I(Rc::clone(v)),
                (Data::F(v), op) => Data::F(v.iter().map(|&v| unary(op, v)).collect()),
            };
            Some(Const {
                dims: x.dims.clone(),
                data,
            })
        }
        "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Pow" | "Min" | "Max" | "Equal" => {
            binary(call.op, x?, call.input(1)?, budget)
        }
        _ => None,
    }
}

fn choose<T: Copy>(mask: &[i64], yes: &[T], no: &[T]) -> Rc<[T]> {
    mask.iter()
        .zip(yes.iter().zip(no))
        .map(|(&m, (&a, &b))| if m != 0 { a } else { b })
        .collect()
}

fn unary(op: &str, v: f32) -> f32 {
    match op {
        "Sqrt" => v.sqrt(),
        "Neg" => -v,
        "Reciprocal" => 1.0 / v,
        "Floor" => v.floor(),
        "Ceil" => v.ceil(),
        "Exp" => v.exp(),
        _ => v.abs(),
    }
}

fn binary(op: &str, a: &Const, b: &Const, budget: &mut Budget) -> Option<Const> {
    let dims = broadcast(&a.dims, &b.dims)?;
    let left = a.pick(dims.clone(), &spread(&a.dims, &dims, budget)?)?;
    let right = b.pick(dims.clone(), &spread(&b.dims, &dims, budget)?)?;
    let data = match (&left.data, &right.data) {
        (Data::I(a), Data::I(b)) => Data::I(
            a.iter()
                .zip(b.iter())
                .map(|(&a, &b)| match op {
                    "Add" => a.checked_add(b),
                    "Sub" => a.checked_sub(b),
                    "Mul" => a.checked_mul(b),
                    "Div" => a.checked_div(b),
                    "Mod" => a.checked_rem_euclid(b),
                    "Min" => Some(a.min(b)),
                    "Max" => Some(a.max(b)),
                    "Equal" => Some(i64::from(a == b)),
                    _ => None,
                })
                .collect::<Option<_>>()?,
        ),
        _ => {
            let (a, b) = (left.floats(), right.floats());
            let pairs = a.iter().zip(b.iter());
            if op == "Equal" {
                return Some(Const {
                    dims,
                    data: Data::I(pairs.map(|(a, b)| i64::from(a == b)).collect()),
                });
            }
            Data::F(
                pairs
                    .map(|(&a, &b)| match op {
                        "Add" => Some(a + b),
                        "Sub" => Some(a - b),
                        "Mul" => Some(a * b),
                        "Div" => Some(a / b),
                        "Pow" => Some(a.powf(b)),
                        "Min" => Some(a.min(b)),
                        "Max" => Some(a.max(b)),
                        _ => None,
                    })
                    .collect::<Option<_>>()?,
            )
        }
    };
    Some(Const { dims, data })
}

/// The shape that two shapes have together.
fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], i: usize| {
        (i + dims.len())
            .checked_sub(rank)
            .and_then(|i| dims.get(i).copied())
            .unwrap_or(1)
    };
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// For every place of `dims` the index into an array of shape `from` that is repeated to it.
fn spread(from: &[usize], dims: &[usize], budget: &mut Budget) -> Option<Vec<usize>> {
    let count = product(dims)?;
    budget.pay(count)?;
    let mut strides = vec![0usize; dims.len()];
    let mut stride = 1usize;
    for (i, &size) in from.iter().enumerate().rev() {
        let at = (i + dims.len()).checked_sub(from.len())?;
        *strides.get_mut(at)? = if size == 1 { 0 } else { stride };
        stride = stride.checked_mul(size)?;
    }
    Some(
        (0..count)
            .map(|place| offset(place, dims, &strides))
            .collect(),
    )
}

/// The offset of a place (counted row by row through `dims`) under other strides.
fn offset(mut place: usize, dims: &[usize], strides: &[usize]) -> usize {
    let mut offset = 0;
    for (&size, &stride) in dims.iter().zip(strides).rev() {
        offset += (place % size) * stride;
        place /= size;
    }
    offset
}

fn transpose(x: &Const, perm: &[usize], budget: &mut Budget) -> Option<Const> {
    budget.pay(x.len())?;
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    if sorted.iter().copied().ne(0..x.dims.len()) {
        return None;
    }
    let mut strides = vec![1usize; x.dims.len()];
    let mut stride = 1usize;
    for (to, &size) in strides.iter_mut().zip(&x.dims).rev() {
        *to = stride;
        stride = stride.checked_mul(size)?;
    }
    let dims: Vec<usize> = perm
        .iter()
        .map(|&p| x.dims.get(p).copied())
        .collect::<Option<_>>()?;
    let strides: Vec<usize> = perm
        .iter()
        .map(|&p| strides.get(p).copied())
        .collect::<Option<_>>()?;
    let at: Vec<usize> = (0..x.len())
        .map(|place| offset(place, &dims, &strides))
        .collect();
    x.pick(dims, &at)
}

/// The entries `picks` along one axis.
fn along(x: &Const, axis: usize, picks: &[usize], budget: &mut Budget) -> Option<Const> {
    let len = *x.dims.get(axis)?;
    let outer = product(x.dims.get(..axis)?)?;
    let inner = product(x.dims.get(axis + 1..)?)?;
    budget.pay(outer.checked_mul(inner)?.checked_mul(picks.len())?)?;
    let mut at = Vec::new();
    for o in 0..outer {
        for &p in picks {
            at.extend((0..inner).map(|i| (o * len + p) * inner + i));
        }
    }
    let mut dims = x.dims.clone();
    *dims.get_mut(axis)? = picks.len();
    x.pick(dims, &at)
}

fn concat(call: &Call<'_>, budget: &mut Budget) -> Option<Const> {
    let parts: Vec<&Const> = call
        .inputs
        .iter()
        .map(Option::as_ref)
        .collect::<Option<_>>()?;
    let first = parts.first()?;
    let axis = wrapped(call.int("axis")?, first.dims.len())?;
    let mut dims = first.dims.clone();
    *dims.get_mut(axis)? = parts
        .iter()
        .map(|p| p.dims.get(axis).copied())
        .sum::<Option<usize>>()?;
    let outer = product(dims.get(..axis)?)?;
    let inner = product(dims.get(axis + 1..)?)?;
    let count = product(&dims)?;
    budget.pay(count)?;
    for part in &parts {
        let own = *part.dims.get(axis)?;
        let mut same = part.dims.clone();
        *same.get_mut(axis)? = *dims.get(axis)?;
        if same != dims || part.len() != outer.checked_mul(own)?.checked_mul(inner)? {
            return None;
        }
    }
    let all_ints = parts.iter().all(|p| matches!(p.data, Data::I(_)));
    let widths: Vec<usize> = parts
        .iter()
        .map(|p| p.len().checked_div(outer))
        .collect::<Option<_>>()?;
    let data = if all_ints {
        let parts: Vec<Vec<i64>> = parts.iter().map(|p| p.integers()).collect();
        Data::I(woven(&parts, &widths, outer)?.into())
    } else {
        let parts: Vec<Vec<f32>> = parts.iter().map(|p| p.floats().to_vec()).collect();
        Data::F(woven(&parts, &widths, outer)?.into())
    };
    Some(Const { dims, data })
}

fn woven<T: Copy>(parts: &[Vec<T>], widths: &[usize], outer: usize) -> Option<Vec<T>> {
    let mut all = Vec::new();
    for o in 0..outer {
        for (part, &width) in parts.iter().zip(widths) {
            all.extend_from_slice(part.get(o * width..(o + 1) * width)?);
        }
    }
    Some(all)
}

fn slice(call: &Call<'_>, budget: &mut Budget) -> Option<Const> {
    let mut x = call.input(0)?.clone();
    for [axis, start, end, step] in slice_ranges(call.inputs, call.ints, x.dims.len())? {
        let axis = usize::try_from(axis).ok()?;
        let picks = sliced(start, end, step, *x.dims.get(axis)?)?;
        x = along(&x, axis, &picks, budget)?;
    }
    Some(x)
}

/// `[axis, start, end, step]` for every axis that a Slice cuts, from inputs (opset 10 on) or attributes.
pub(super) fn slice_ranges(
    inputs: &[Option<Const>],
    ints: &dyn Fn(&str) -> Option<Vec<i64>>,
    rank: usize,
) -> Option<Vec<[i64; 4]>> {
    let list = |i: usize, name: &str| {
        inputs
            .get(i)
            .and_then(Option::as_ref)
            .map(Const::integers)
            .or_else(|| ints(name))
    };
    let starts = list(1, "starts")?;
    let ends = list(2, "ends")?;
    let axes = list(3, "axes").unwrap_or_else(|| (0i64..).take(starts.len()).collect());
    let steps = list(4, "steps").unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return None;
    }
    starts
        .iter()
        .zip(ends)
        .zip(axes.iter().zip(steps))
        .map(|((&start, end), (&axis, step))| {
            Some([i64::try_from(wrapped(axis, rank)?).ok()?, start, end, step])
        })
        .collect()
}

/// Sizes that a Reshape asks for: 0 keeps a size (unless `allow_zero`), -1 takes what is left.
pub(super) fn reshape_sizes(
    dims: &[usize],
    wanted: &[i64],
    allow_zero: bool,
) -> Option<Vec<usize>> {
    let total = product(dims)?;
    let mut sizes = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (i, &size) in wanted.iter().enumerate() {
        sizes.push(match size {
            0 if !allow_zero => *dims.get(i)?,
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            size => usize::try_from(size).ok()?,
        });
    }
    if let Some(open) = open {
        *sizes.get_mut(open)? = total.checked_div(product(&sizes)?)?;
    }
    (product(&sizes)? == total).then_some(sizes)
}

/// Sizes with axes of size 1 put in.
pub(super) fn unsqueezed(dims: &[usize], axes: &[i64]) -> Option<Vec<usize>> {
    let rank = dims.len().checked_add(axes.len())?;
    let mut new = vec![false; rank];
    for &axis in axes {
        *new.get_mut(wrapped(axis, rank)?)? = true;
    }
    let mut old = dims.iter();
    new.into_iter()
        .map(|new| if new { Some(1) } else { old.next().copied() })
        .collect()
}

/// Sizes with axes of size 1 taken out; all of them where none is named.
pub(super) fn squeezed(dims: &[usize], axes: Option<&[i64]>) -> Option<Vec<usize>> {
    let Some(axes) = axes else {
        return Some(dims.iter().copied().filter(|&d| d != 1).collect());
    };
    let axes: Vec<usize> = axes
        .iter()
        .map(|&a| wrapped(a, dims.len()))
        .collect::<Option<_>>()?;
    if axes.iter().any(|&a| dims.get(a) != Some(&1)) {
        return None;
    }
    Some(
        dims.iter()
            .enumerate()
            .filter(|(i, _)| !axes.contains(i))
            .map(|(_, &d)| d)
            .collect(),
    )
}
