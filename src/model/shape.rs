//! Shapes of nodes' outputs, checked before anything runs.

use candle_core::Tensor;

use super::graph::Node;
use super::op::Op;
use crate::error::Result;
use crate::text::fault;

/// Shape of a node's output without the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Channels, rows, columns.
    Map([usize; 3]),
    /// Tokens of a transformer, held as `[N, channels, 1, skip + rows * columns]`.
    Tokens {
        /// Features of a token.
        channels: usize,
        /// Tokens before the first place of the grid (the class token).
        skip: usize,
        /// Rows and columns that the other tokens stand for.
        grid: [usize; 2],
    },
    /// Features.
    Flat(usize),
}

impl Shape {
    /// Dimensions as PyTorch prints them, with a batch of one; tokens are `[1, T, C]` there.
    pub fn dims(&self) -> Vec<usize> {
        match *self {
            Self::Map([c, h, w]) => vec![1, c, h, w],
            Self::Tokens {
                channels,
                skip,
                grid: [h, w],
            } => vec![1, skip + h * w, channels],
            Self::Flat(n) => vec![1, n],
        }
    }

    /// Rows and columns of the grid; `None` where there is none.
    pub fn grid(&self) -> Option<[usize; 2]> {
        match *self {
            Self::Map([_, h, w]) => Some([h, w]),
            Self::Tokens { grid, .. } => Some(grid),
            Self::Flat(_) => None,
        }
    }

    /// Channels, or features.
    pub fn channels(&self) -> usize {
        match *self {
            Self::Map([c, _, _]) | Self::Tokens { channels: c, .. } | Self::Flat(c) => c,
        }
    }

    /// The same places with another number of channels.
    fn with_channels(self, c: usize) -> Self {
        match self {
            Self::Map([_, h, w]) => Self::Map([c, h, w]),
            Self::Tokens { skip, grid, .. } => Self::Tokens {
                channels: c,
                skip,
                grid,
            },
            Self::Flat(_) => Self::Flat(c),
        }
    }
}

/// Shape of a node's output from those of its inputs; `input` is `[C, H, W]` of the network's input.
///
/// # Errors
/// Names the node whose tensors and inputs do not fit each other.
pub(super) fn output_shape(node: &Node, inputs: &[Shape], input: [usize; 3]) -> Result<Shape> {
    let name = &node.name;
    let misfit = |found: String, expected: String| Err(fault::shape(name, &found, &expected));
    let grid = |c: usize, h: usize, w: usize, from: [usize; 3]| {
        if h == 0 || w == 0 {
            return Err(fault::grid_vanished(name, from));
        }
        Ok(Shape::Map([c, h, w]))
    };
    let per_channel = |tensor: &Tensor, shape: &Shape| {
        let channels = tensor.elem_count();
        if channels != shape.channels() {
            return misfit(
                format!("{} channels", shape.channels()),
                format!("{channels} channels"),
            );
        }
        Ok(*shape)
    };
    match (&node.op, inputs) {
        (Op::Input, _) => Ok(Shape::Map(input)),
        (Op::Conv2d(conv), [Shape::Map([c, h, w])]) => {
            let [o, i, kh, kw] = conv.weight_dims()?;
            if i * conv.groups != *c {
                return misfit(
                    format!("{c} channels"),
                    format!("{} channels, as its weight says", i * conv.groups),
                );
            }
            let [oh, ow] = conv.out([*h, *w], [kh, kw]);
            grid(o, oh, ow, [*c, *h, *w])
        }
        (Op::BatchNorm(bn), [shape]) => per_channel(&bn.scale, shape),
        (Op::Scale(scale), [shape]) => per_channel(scale, shape),
        (Op::LayerNorm(norm), [shape]) => per_channel(&norm.weight, shape),
        (Op::MaxPool(pool) | Op::AvgPool { pool, .. }, [Shape::Map([c, h, w])]) => {
            grid(*c, pool.out(0, *h), pool.out(1, *w), [*c, *h, *w])
        }
        (Op::AdaptiveAvgPool([oh, ow]), [Shape::Map([c, _, _])]) => Ok(Shape::Map([*c, *oh, *ow])),
        (Op::GlobalMaxPool, [Shape::Map([c, _, _])]) => Ok(Shape::Map([*c, 1, 1])),
        (Op::Flatten, [Shape::Map([c, h, w])]) => Ok(Shape::Flat(c * h * w)),
        (Op::Flatten, [Shape::Flat(n)]) => Ok(Shape::Flat(*n)),
        (Op::Unflatten, [Shape::Flat(n)]) => Ok(Shape::Map([*n, 1, 1])),
        (Op::Linear { weight, .. }, [shape]) => {
            let (out, features) = weight.dims2()?;
            if features != shape.channels() {
                return misfit(
                    format!("{} features", shape.channels()),
                    format!("{features} features"),
                );
            }
            Ok(shape.with_channels(out))
        }
        (Op::Add, [a, b]) => {
            if a != b {
                return misfit(
                    format!("{:?} + {:?}", a.dims(), b.dims()),
                    "two equal shapes".into(),
                );
            }
            Ok(*a)
        }
        (Op::Mul, [a, b]) => {
            let repeats = match (a, b) {
                (Shape::Map([c, h, w]), Shape::Map([gc, gh, gw])) => {
                    (gc == c || *gc == 1) && ([gh, gw] == [h, w] || [*gh, *gw] == [1, 1])
                }
                (a, b) => a == b,
            };
            if !repeats {
                return misfit(
                    format!("{:?} * {:?}", a.dims(), b.dims()),
                    "equal shapes, or a second one that can be repeated".into(),
                );
            }
            Ok(*a)
        }
        (Op::Concat, [first, rest @ ..]) if !rest.is_empty() => {
            let mut channels = first.channels();
            for shape in rest {
                if shape.with_channels(0) != first.with_channels(0) {
                    return misfit(
                        format!("{:?} and {:?}", first.dims(), shape.dims()),
                        "equal grids".into(),
                    );
                }
                channels += shape.channels();
            }
            Ok(first.with_channels(channels))
        }
        (Op::Slice { start, len }, [shape]) => {
            if *len == 0 || start + len > shape.channels() {
                return misfit(
                    format!("{} channels", shape.channels()),
                    format!("channels {start} to {}", start + len),
                );
            }
            Ok(shape.with_channels(*len))
        }
        (Op::ChannelShuffle { groups }, [shape @ Shape::Map([c, _, _])]) => {
            if *groups == 0 || !c.is_multiple_of(*groups) {
                return misfit(format!("{c} channels"), format!("a multiple of {groups}"));
            }
            Ok(*shape)
        }
        (Op::Pad { border, .. }, [Shape::Map([c, h, w])]) => Ok(Shape::Map([
            *c,
            h + border[0][0] + border[0][1],
            w + border[1][0] + border[1][1],
        ])),
        (
            Op::Tokens {
                class_token,
                position,
            },
            [Shape::Map([c, h, w])],
        ) => {
            let skip = usize::from(class_token.is_some());
            let tokens = skip + h * w;
            if let Some(position) = position
                && position.dims() != [tokens, *c]
            {
                return misfit(
                    format!("{h} x {w} places of {c} channels, {tokens} tokens"),
                    format!("{:?} positions", position.dims()),
                );
            }
            Ok(Shape::Tokens {
                channels: *c,
                skip,
                grid: [*h, *w],
            })
        }
        (Op::Attention { heads }, [shape @ Shape::Tokens { channels, .. }]) => {
            if *heads == 0 || !channels.is_multiple_of(3 * heads) {
                return misfit(
                    format!("{channels} channels"),
                    format!("three times a multiple of {heads} heads"),
                );
            }
            Ok(shape.with_channels(channels / 3))
        }
        (
            Op::SelectToken(token),
            [
                Shape::Tokens {
                    channels,
                    skip,
                    grid: [h, w],
                },
            ],
        ) => {
            if *token >= skip + h * w {
                return misfit(format!("{} tokens", skip + h * w), format!("token {token}"));
            }
            Ok(Shape::Flat(*channels))
        }
        (Op::Act(_) | Op::Identity, [shape]) => Ok(*shape),
        (op, shapes) => misfit(
            shapes
                .iter()
                .map(|s| format!("{:?}", s.dims()))
                .collect::<Vec<_>>()
                .join(", "),
            format!("what a {} takes", op.label()),
        ),
    }
}
