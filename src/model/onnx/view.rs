//! How an ONNX value looks at the output of a graph node.
//!
//! ONNX reshapes and transposes; the graph's nodes are always `[N, C, H, W]` or `[N, features]`. A view
//! writes every axis of the ONNX value as a product of pieces of the node's axes, so reshapes,
//! transposes, squeezes and unsqueezes are bookkeeping only: the two permutations around a LayerNorm
//! cancel, and a channel shuffle shows as channels whose two pieces have changed places. The batch is
//! an axis of size 1 and has no pieces.

use crate::model::Shape;

/// An axis of the node's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    /// Channels or features.
    C,
    /// Rows.
    H,
    /// Columns.
    W,
}

/// A piece of an axis: `size` steps of `stride`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    axis: Axis,
    stride: usize,
    size: usize,
}

/// The axes of an ONNX value, each a product of pieces, the slowest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    dims: Vec<Vec<Piece>>,
}

fn whole(axis: Axis, size: usize) -> Vec<Piece> {
    if size == 1 {
        Vec::new()
    } else {
        vec![Piece {
            axis,
            stride: 1,
            size,
        }]
    }
}

fn size(pieces: &[Piece]) -> usize {
    pieces.iter().map(|p| p.size).product()
}

/// Joins neighbours that are one piece.
fn join(pieces: &[Piece]) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::with_capacity(pieces.len());
    for &piece in pieces {
        match joined.last_mut() {
            Some(last) if last.axis == piece.axis && last.stride == piece.stride * piece.size => {
                last.stride = piece.stride;
                last.size *= piece.size;
            }
            _ => joined.push(piece),
        }
    }
    joined
}

impl View {
    /// The node's output as it is.
    pub(super) fn plain(shape: Shape) -> Self {
        let dims = match shape {
            Shape::Map([c, h, w]) => vec![
                Vec::new(),
                whole(Axis::C, c),
                whole(Axis::H, h),
                whole(Axis::W, w),
            ],
            other => vec![Vec::new(), whole(Axis::C, other.channels())],
        };
        Self { dims }
    }

    /// A map with its channels last, `[1, H, W, C]`.
    pub(super) fn channels_last([c, h, w]: [usize; 3]) -> Self {
        Self {
            dims: vec![
                Vec::new(),
                whole(Axis::H, h),
                whole(Axis::W, w),
                whole(Axis::C, c),
            ],
        }
    }

    /// Sizes of the axes.
    pub(super) fn sizes(&self) -> Vec<usize> {
        self.dims.iter().map(|d| size(d)).collect()
    }

    /// Number of axes.
    pub(super) fn rank(&self) -> usize {
        self.dims.len()
    }

    /// The same values in another shape; `None` where an axis cannot be cut that way.
    pub(super) fn reshape(&self, sizes: &[usize]) -> Option<Self> {
        let mut left: Vec<Piece> = self.dims.iter().flatten().rev().copied().collect();
        let mut dims = Vec::with_capacity(sizes.len());
        for &wanted in sizes {
            let mut pieces = Vec::new();
            let mut have = 1usize;
            while have < wanted {
                let piece = left.pop()?;
                let missing = wanted / have;
                if !wanted.is_multiple_of(have) {
                    return None;
                }
                if missing.is_multiple_of(piece.size) {
                    have *= piece.size;
                    pieces.push(piece);
                } else if piece.size.is_multiple_of(missing) {
                    let inner = piece.size / missing;
                    pieces.push(Piece {
                        stride: piece.stride * inner,
                        size: missing,
                        ..piece
                    });
                    left.push(Piece {
                        size: inner,
                        ..piece
                    });
                    have = wanted;
                } else {
                    return None;
                }
            }
            dims.push(join(&pieces));
        }
        left.is_empty().then_some(Self { dims })
    }

    /// Axes in another order; `None` where `perm` is no order of them.
    pub(super) fn transpose(&self, perm: &[usize]) -> Option<Self> {
        let mut seen = vec![false; self.rank()];
        let mut dims = Vec::with_capacity(perm.len());
        for &axis in perm {
            if std::mem::replace(seen.get_mut(axis)?, true) {
                return None;
            }
            dims.push(self.dims.get(axis)?.clone());
        }
        (dims.len() == self.rank()).then_some(Self { dims })
    }

    /// The axis that is exactly the channels, in order.
    pub(super) fn channel_axis(&self, channels: usize) -> Option<usize> {
        let whole = whole(Axis::C, channels);
        if whole.is_empty() {
            // One channel leaves no trace: it is where the usual layouts have it.
            return self.dims.get(1).is_some_and(Vec::is_empty).then_some(1);
        }
        self.dims.iter().position(|d| *d == whole)
    }

    /// Whether the last axis is the channels and the others are rows and columns in order.
    pub(super) fn is_channels_last(&self, shape: Shape) -> bool {
        let Some((last, rest)) = self.dims.split_last() else {
            return false;
        };
        let [h, w] = shape.grid().unwrap_or([1, 1]);
        let places = [whole(Axis::H, h), whole(Axis::W, w)].concat();
        *last == whole(Axis::C, shape.channels())
            && join(&rest.concat()) == join(&places)
            && !(shape.channels() == 1 && self.rank() == 4 && *self == Self::plain(shape))
    }

    /// The view with other channels in the axis that holds them all.
    pub(super) fn with_channels(&self, axis: usize, channels: usize) -> Self {
        let mut view = self.clone();
        if let Some(dim) = view.dims.get_mut(axis) {
            *dim = whole(Axis::C, channels);
        }
        view
    }

    /// Number of groups when the view is a map whose channels are shuffled.
    pub(super) fn shuffled_groups(&self, [c, h, w]: [usize; 3]) -> Option<usize> {
        let [batch, channels, rows, columns] = self.dims.as_slice() else {
            return None;
        };
        let straight =
            batch.is_empty() && *rows == whole(Axis::H, h) && *columns == whole(Axis::W, w);
        match channels.as_slice() {
            [inner, outer]
                if straight
                    && inner.axis == Axis::C
                    && outer.axis == Axis::C
                    && inner.stride == 1
                    && outer.stride == inner.size
                    && inner.size * outer.size == c =>
            {
                Some(outer.size)
            }
            _ => None,
        }
    }

    /// Whether the view is `[1, everything]` in the node's own order.
    pub(super) fn is_flattened(&self, shape: Shape) -> bool {
        let everything: Vec<Piece> = Self::plain(shape).dims.concat();
        matches!(self.dims.as_slice(), [batch, rest] if batch.is_empty() && *rest == join(&everything))
    }

    /// Whether the axes at `axes` hold all rows and columns and nothing else.
    pub(super) fn covers_places(&self, axes: &[usize], shape: Shape) -> bool {
        let [h, w] = shape.grid().unwrap_or([1, 1]);
        let mut places: Vec<Piece> = Vec::new();
        for &axis in axes {
            match self.dims.get(axis) {
                Some(dim) => places.extend(dim),
                None => return false,
            }
        }
        size(&places) == h * w && places.iter().all(|p| p.axis != Axis::C)
    }

    /// What is left when the places have become one cell: `axes` are kept with size 1 or taken out.
    pub(super) fn without(&self, axes: &[usize], keep: bool) -> Self {
        let mut dims = Vec::new();
        for (i, dim) in self.dims.iter().enumerate() {
            if !axes.contains(&i) {
                dims.push(dim.clone());
            } else if keep {
                dims.push(Vec::new());
            }
        }
        Self { dims }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // tests fail loudly
    use super::*;

    #[test]
    fn permutations_around_a_layer_norm_cancel() {
        let shape = Shape::Map([6, 4, 5]);
        let view = View::plain(shape);
        let last = view.transpose(&[0, 2, 3, 1]).unwrap();
        assert!(last.is_channels_last(shape) && last == View::channels_last([6, 4, 5]));
        let tokens = last.reshape(&[1, 20, 6]).unwrap();
        assert!(tokens.is_channels_last(shape));
        assert_eq!(last.transpose(&[0, 3, 1, 2]).unwrap(), view);
    }

    #[test]
    fn a_shuffle_shows_as_pieces_that_changed_places() {
        let shape = [6, 4, 5];
        let view = View::plain(Shape::Map(shape));
        let shuffled = view
            .reshape(&[1, 2, 3, 4, 5])
            .unwrap()
            .transpose(&[0, 2, 1, 3, 4])
            .unwrap()
            .reshape(&[1, 6, 4, 5])
            .unwrap();
        assert_eq!(shuffled.shuffled_groups(shape), Some(2));
        assert_eq!(view.shuffled_groups(shape), None);
        assert!(view.reshape(&[1, 4, 30]).is_none(), "across an axis");
    }

    #[test]
    fn flattening_and_single_cells() {
        let shape = Shape::Map([6, 4, 5]);
        assert!(
            View::plain(shape)
                .reshape(&[1, 120])
                .unwrap()
                .is_flattened(shape)
        );
        let cell = Shape::Map([6, 1, 1]);
        let flat = View::plain(cell).reshape(&[1, 6]).unwrap();
        assert!(flat.is_flattened(cell));
        assert_eq!(flat.reshape(&[1, 6, 1, 1]).unwrap(), View::plain(cell));
    }
}
