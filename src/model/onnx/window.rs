//! Convolutions, pools and borders.

use super::translate::{Step, Translator, Value};
use super::view::View;
use crate::error::Result;
use crate::model::Shape;
use crate::model::op::{Border, Conv2d, Op, Pool};

/// Largest window, step, dilation or border.
const MAX_STEP: i64 = 4096;

/// Geometry of a sliding window.
struct Window {
    stride: [usize; 2],
    padding: Border,
    dilation: [usize; 2],
}

/// `[top, left, bottom, right]` as a border.
fn border([top, left, bottom, right]: [usize; 4]) -> Border {
    [[top, bottom], [left, right]]
}

/// Widths from a list that must have `N` entries, none of them outside `lo..=MAX_STEP`.
fn steps<const N: usize>(list: &[i64], lo: i64) -> Option<[usize; N]> {
    let checked: Option<Vec<usize>> = list
        .iter()
        .map(|v| {
            usize::try_from(*v)
                .ok()
                .filter(|_| (lo..=MAX_STEP).contains(v))
        })
        .collect();
    checked?.try_into().ok()
}

impl Translator<'_> {
    /// Strides, dilations and borders of a node over a plane of `size`.
    fn window(&self, step: &Step<'_>, kernel: [usize; 2], size: [usize; 2]) -> Result<Window> {
        let wrong = || {
            self.refuse(
                step,
                "is not a window over two axes with steps of 1 to 4096",
            )
        };
        let list = |name: &str, default: i64| match step.ints(name) {
            Some(list) => steps::<2>(&list, 1).ok_or_else(wrong),
            None => Ok([usize::try_from(default).unwrap_or(1); 2]),
        };
        let stride = list("strides", 1)?;
        let dilation = list("dilations", 1)?;
        let auto = step.text("auto_pad");
        let padding = match auto.as_str() {
            "" | "NOTSET" => match step.ints("pads") {
                Some(list) => border(steps::<4>(&list, 0).ok_or_else(wrong)?),
                None => [[0; 2]; 2],
            },
            "VALID" => [[0; 2]; 2],
            // As much as makes ceil(size / stride) windows; the odd cell goes after or before.
            "SAME_UPPER" | "SAME_LOWER" => [0, 1].map(|a| {
                let windows = size[a].div_ceil(stride[a]);
                let span = dilation[a] * (kernel[a] - 1) + 1;
                let all = ((windows - 1) * stride[a] + span).saturating_sub(size[a]);
                let half = all / 2;
                if auto == "SAME_UPPER" {
                    [half, all - half]
                } else {
                    [all - half, half]
                }
            }),
            _ => return Err(self.refuse(step, &format!("has the padding '{auto}'"))),
        };
        Ok(Window {
            stride,
            padding,
            dilation,
        })
    }

    pub(super) fn conv(&mut self, step: &Step<'_>) -> Result<Value> {
        let weight = self.weight(step, 1)?;
        let &[out, per_group, kh, kw] = weight.dims() else {
            return Err(self.refuse(
                step,
                &format!(
                    "has weights of {} axes; expected a convolution over rows and columns",
                    weight.rank()
                ),
            ));
        };
        let (id, [channels, h, w]) = self.map_input(step, 0)?;
        let groups = usize::try_from(step.int("group", 1)).unwrap_or(0);
        if groups == 0
            || !out.is_multiple_of(groups)
            || per_group.checked_mul(groups) != Some(channels)
        {
            return Err(self.refuse(
                step,
                &format!(
                    "has weights {:?} in {groups} groups for {channels} channels",
                    weight.dims()
                ),
            ));
        }
        let bias = if step.has(2) {
            Some(self.weight(step, 2)?)
        } else {
            None
        };
        if bias.as_ref().is_some_and(|b| b.dims() != [out]) {
            return Err(self.refuse(step, "has a bias of another size than its channels"));
        }
        let window = self.window(step, [kh, kw], [h, w])?;
        let mut conv = Conv2d::new(weight, bias, window.stride, window.padding);
        conv.dilation = window.dilation;
        conv.groups = groups;
        self.push_map(step, Op::Conv2d(conv), id)
    }

    /// Adds a node whose output is a map as it is.
    pub(super) fn push_map(&mut self, step: &Step<'_>, op: Op, id: usize) -> Result<Value> {
        let id = self.push(step, op, &[id])?;
        Ok(Value::Node {
            id,
            view: View::plain(self.shape(id)),
        })
    }

    fn pool(&self, step: &Step<'_>, size: [usize; 2]) -> Result<Pool> {
        let kernel = step.ints("kernel_shape").and_then(|k| steps::<2>(&k, 1));
        let Some(kernel) = kernel else {
            return Err(self.refuse(step, "is not a window over two axes"));
        };
        let window = self.window(step, kernel, size)?;
        // A border as wide as the window would make windows of nothing but border.
        if [0, 1].iter().any(|&a| {
            window.padding[a]
                .iter()
                .any(|&p| p >= kernel[a] * window.dilation[a])
        }) {
            return Err(self.refuse(step, "has a border as wide as its window"));
        }
        Ok(Pool {
            kernel,
            stride: window.stride,
            padding: window.padding,
            dilation: window.dilation,
            ceil: step.int("ceil_mode", 0) != 0,
        })
    }

    pub(super) fn max_pool(&mut self, step: &Step<'_>) -> Result<Value> {
        let (id, [_, h, w]) = self.map_input(step, 0)?;
        let pool = self.pool(step, [h, w])?;
        self.push_map(step, Op::MaxPool(pool), id)
    }

    pub(super) fn avg_pool(&mut self, step: &Step<'_>) -> Result<Value> {
        let (id, [_, h, w]) = self.map_input(step, 0)?;
        let pool = self.pool(step, [h, w])?;
        if pool.dilation != [1, 1] {
            return Err(self.refuse(step, "is dilated"));
        }
        let bare = pool.padding == [[0; 2]; 2];
        let op = if bare && pool.kernel == [h, w] {
            // One window over everything: global pooling, so that CAM finds it.
            Op::AdaptiveAvgPool([1, 1])
        } else if bare && pool.kernel == [1, 1] && pool.stride == [1, 1] {
            // What is left of an adaptive pool whose grid is the map's own.
            Op::AdaptiveAvgPool([h, w])
        } else {
            Op::AvgPool {
                pool,
                count_border: step.int("count_include_pad", 0) != 0,
            }
        };
        self.push_map(step, op, id)
    }

    pub(super) fn pool_all(&mut self, step: &Step<'_>, op: Op) -> Result<Value> {
        let (id, _) = self.map_input(step, 0)?;
        self.push_map(step, op, id)
    }

    /// A mean or maximum over all places.
    pub(super) fn reduce(&mut self, step: &Step<'_>, op: Op) -> Result<Value> {
        let (id, view) = self.node_input(step, 0)?;
        let axes = match step.constant(1) {
            Some(axes) => axes.integers(),
            None => step.ints("axes").unwrap_or_default(),
        };
        let axes: Option<Vec<usize>> = axes
            .iter()
            .map(|&a| super::constant::wrapped(a, view.rank()))
            .collect();
        let axes = axes.unwrap_or_default();
        let shape = self.shape(id);
        if axes.is_empty() || !matches!(shape, Shape::Map(_)) || !view.covers_places(&axes, shape) {
            return Err(self.refuse(step, "reduces other axes than rows and columns"));
        }
        let view = view.without(&axes, step.int("keepdims", 1) != 0);
        let id = self.push(step, op, &[id])?;
        self.settle(step, id, view)
    }

    pub(super) fn pad(&mut self, step: &Step<'_>) -> Result<Value> {
        let mode = step.text("mode");
        if !matches!(mode.as_str(), "" | "constant") {
            return Err(self.refuse(
                step,
                &format!("has the mode '{mode}'; expected a constant border"),
            ));
        }
        let widths = match step.constant(1) {
            Some(widths) => widths.integers(),
            None => step.ints("pads").unwrap_or_default(),
        };
        let value = match (step.has(2), step.constant(2)) {
            (false, _) => Some(step.float("value", 0.0)),
            (true, value) => value.and_then(|v| v.scalar()),
        };
        let (Some([0, 0, top, left, 0, 0, bottom, right]), Some(value), false) = (
            steps::<8>(&widths, 0),
            value.filter(|v| v.is_finite()),
            step.has(3),
        ) else {
            return Err(self.refuse(
                step,
                "adds something else than a constant border of rows and columns",
            ));
        };
        if [top, left, bottom, right] == [0; 4] {
            let (id, view) = self.node_input(step, 0)?;
            return Ok(Value::Node { id, view });
        }
        let (id, _) = self.map_input(step, 0)?;
        let border = border([top, left, bottom, right]);
        self.push_map(step, Op::Pad { border, value }, id)
    }
}
