//! What a node of a network does: operations with their weights and geometry, as plain values.

use candle_core::Tensor;

use super::kernels::Prepared;
use crate::error::Result;
use crate::text::fault;

/// Widths added around a plane: `[[before, after] of the rows, [before, after] of the columns]`.
pub type Border = [[usize; 2]; 2];

/// The same border on both sides of an axis, as PyTorch's `padding=(rows, columns)`.
pub fn even(padding: [usize; 2]) -> Border {
    padding.map(|p| [p; 2])
}

/// Two-dimensional convolution, `[rows, columns]` in every pair.
#[derive(Clone, Debug)]
pub struct Conv2d {
    /// `[out, in / groups, kernel rows, kernel columns]`.
    pub weight: Tensor,
    /// `[out]`.
    pub bias: Option<Tensor>,
    /// Step between windows.
    pub stride: [usize; 2],
    /// Zeros around the input.
    pub padding: Border,
    /// Distance between taps of the kernel.
    pub dilation: [usize; 2],
    /// Number of independent groups of channels.
    pub groups: usize,
    /// What kernels made of the weights once, shared by all copies.
    pub prepared: Prepared,
}

impl Conv2d {
    /// A convolution without dilation, in one group.
    pub fn new(weight: Tensor, bias: Option<Tensor>, stride: [usize; 2], padding: Border) -> Self {
        Self {
            weight,
            bias,
            stride,
            padding,
            dilation: [1, 1],
            groups: 1,
            prepared: Prepared::default(),
        }
    }

    /// `[out, in / groups, kernel rows, kernel columns]`.
    pub fn weight_dims(&self) -> Result<[usize; 4]> {
        let (o, i, kh, kw) = self.weight.dims4()?;
        Ok([o, i, kh, kw])
    }

    /// Rows and columns of the output for an input of `size`; 0 where the window does not fit.
    pub fn out(&self, size: [usize; 2], kernel: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|a| {
            window_out(
                size[a],
                kernel[a],
                self.stride[a],
                self.padding[a],
                self.dilation[a],
            )
        })
    }
}

/// Batch normalisation in evaluation mode: `y = scale * x + shift` per channel, with
/// `scale = gamma / sqrt(var + eps)` and `shift = beta - mean * scale`.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    /// `[channels]`.
    pub scale: Tensor,
    /// `[channels]`.
    pub shift: Tensor,
}

/// Normalisation over the channels of every place, with a weight and a bias per channel.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    /// `[channels]`.
    pub weight: Tensor,
    /// `[channels]`.
    pub bias: Tensor,
    /// Added to the variance.
    pub eps: f64,
}

/// Window of a pooling operation, `[rows, columns]` in every pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Size of the window.
    pub kernel: [usize; 2],
    /// Step between windows.
    pub stride: [usize; 2],
    /// Border: minus infinity for a maximum, zeros for an average.
    pub padding: Border,
    /// Distance between the cells of a window; only maxima are ever dilated.
    pub dilation: [usize; 2],
    /// PyTorch's `ceil_mode`: a last window may hang over the edge, as long as it starts inside.
    pub ceil: bool,
}

impl Pool {
    /// A square window.
    pub fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self {
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: even([padding; 2]),
            dilation: [1, 1],
            ceil: false,
        }
    }

    /// The same window with `ceil_mode`.
    pub fn with_ceil(self) -> Self {
        Self { ceil: true, ..self }
    }

    /// Rows or columns of the output along `axis` for `size` at the input; 0 when the window does not fit.
    pub fn out(&self, axis: usize, size: usize) -> usize {
        let (stride, padding) = (self.stride[axis], self.padding[axis]);
        let whole = window_out(
            size,
            self.kernel[axis],
            stride,
            padding,
            self.dilation[axis],
        );
        if !self.ceil || stride == 0 {
            return whole;
        }
        let span = self.dilation[axis] * (self.kernel[axis].max(1) - 1) + 1;
        let padded = size + padding[0] + padding[1];
        let more = (padded.saturating_sub(span)).div_ceil(stride) + 1;
        // A window that would start beyond the input and its first border does not count.
        if (more - 1) * stride >= size + padding[0] {
            more - 1
        } else {
            more
        }
    }
}

/// Output size of a sliding window; 0 when it does not fit once.
pub(crate) fn window_out(
    size: usize,
    kernel: usize,
    stride: usize,
    padding: [usize; 2],
    dilation: usize,
) -> usize {
    let span = dilation * (kernel.max(1) - 1) + 1;
    let padded = size + padding[0] + padding[1];
    if padded < span || stride == 0 {
        0
    } else {
        (padded - span) / stride + 1
    }
}

/// An elementwise nonlinearity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// `max(x, 0)`; its derivative at 0 is 0.
    Relu,
    /// `min(max(x, lo), hi)` (ReLU6, Hardtanh); the derivative at both ends is 0.
    Clamp {
        /// Lower end.
        lo: f32,
        /// Upper end.
        hi: f32,
    },
    /// `x` where positive, `slope * x` elsewhere.
    LeakyRelu(f32),
    /// `x` where positive, `alpha (e^x - 1)` elsewhere.
    Elu(f32),
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `min(max(x + 3, 0), 6) / 6`.
    HardSigmoid,
    /// `x * HardSigmoid(x)`.
    Hardswish,
    /// `x * Sigmoid(x)` (Swish).
    Silu,
    /// `x * Phi(x)` with the exact error function.
    Gelu,
    /// GELU with the tanh approximation.
    GeluTanh,
    /// `x * tanh(ln(1 + e^x))`.
    Mish,
}

impl Act {
    /// ReLU6.
    pub const RELU6: Self = Self::Clamp { lo: 0.0, hi: 6.0 };

    /// Whether the derivative is constant between switches.
    pub fn is_piecewise_linear(self) -> bool {
        matches!(
            self,
            Self::Relu | Self::Clamp { .. } | Self::LeakyRelu(_) | Self::HardSigmoid
        )
    }

    /// PyTorch's class name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Relu => "ReLU",
            Self::Clamp { lo: 0.0, hi: 6.0 } => "ReLU6",
            Self::Clamp { .. } => "Hardtanh",
            Self::LeakyRelu(_) => "LeakyReLU",
            Self::Elu(_) => "ELU",
            Self::Sigmoid => "Sigmoid",
            Self::Tanh => "Tanh",
            Self::HardSigmoid => "Hardsigmoid",
            Self::Hardswish => "Hardswish",
            Self::Silu => "SiLU",
            Self::Gelu | Self::GeluTanh => "GELU",
            Self::Mish => "Mish",
        }
    }
}

/// What a node does.
#[derive(Clone, Debug)]
pub enum Op {
    /// The model's input, `[N, C, H, W]`.
    Input,
    /// Convolution.
    Conv2d(Conv2d),
    /// Batch normalisation, evaluation mode; also any other affine map per channel.
    BatchNorm(BatchNorm),
    /// Multiplication by a number per channel, `[channels]` (ConvNeXt's layer scale).
    Scale(Tensor),
    /// Normalisation over channels.
    LayerNorm(LayerNorm),
    /// Elementwise nonlinearity.
    Act(Act),
    /// Maximum over windows; the gradient goes to the first maximum in row-major order.
    MaxPool(Pool),
    /// Mean over windows.
    AvgPool {
        /// The windows.
        pool: Pool,
        /// Whether the zeros of the border count in the mean (PyTorch's `count_include_pad`).
        count_border: bool,
    },
    /// Mean over a grid of `[rows, columns]` windows, bounds as PyTorch rounds them.
    AdaptiveAvgPool([usize; 2]),
    /// Maximum over the whole plane, `[N, C, H, W]` to `[N, C, 1, 1]`; the gradient goes to the first maximum.
    GlobalMaxPool,
    /// `[N, C, H, W]` to `[N, C * H * W]`.
    Flatten,
    /// `[N, C]` to `[N, C, 1, 1]` (a gate that linear layers make).
    Unflatten,
    /// `y = x W^T + b` over features, or over the channels of every place of a map.
    Linear {
        /// `[out, in]`.
        weight: Tensor,
        /// `[out]`.
        bias: Option<Tensor>,
        /// What kernels made of the weights once.
        prepared: Prepared,
    },
    /// Sum of two nodes of the same shape.
    Add,
    /// Product of two nodes; the second may have one row and column (squeeze-excite) or one channel
    /// (an attention map), and is then repeated.
    Mul,
    /// Concatenation along the channels, two inputs or more.
    Concat,
    /// `len` channels from `start` on.
    Slice {
        /// First channel.
        start: usize,
        /// Number of channels.
        len: usize,
    },
    /// Channel `g * n + i` of `groups` groups of `n` goes to `i * groups + g` (ShuffleNet).
    ChannelShuffle {
        /// Number of groups.
        groups: usize,
    },
    /// A border of a constant.
    Pad {
        /// Its widths.
        border: Border,
        /// Its value.
        value: f32,
    },
    /// A map `[N, C, h, w]` becomes tokens `[N, C, 1, T]` in row-major order: an optional class token
    /// first, then the places; a position is added to every token.
    Tokens {
        /// `[C]`.
        class_token: Option<Tensor>,
        /// `[T, C]`.
        position: Option<Tensor>,
    },
    /// Multi-head self-attention over tokens whose channels are queries, keys and values, `[N, 3 C, 1, T]`
    /// to `[N, C, 1, T]`.
    Attention {
        /// Number of heads.
        heads: usize,
    },
    /// One token's channels, `[N, C, 1, T]` to `[N, C]`.
    SelectToken(usize),
    /// Passes its input on (dropout in evaluation mode).
    Identity,
}

impl Op {
    /// A linear layer.
    pub fn linear(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self::Linear {
            weight,
            bias,
            prepared: Prepared::default(),
        }
    }

    /// The 1x1 convolution that a linear layer over channels is.
    ///
    /// # Errors
    /// Fails for any other operation.
    pub fn pointwise(&self) -> Result<Conv2d> {
        let Self::Linear {
            weight,
            bias,
            prepared,
        } = self
        else {
            return Err(fault::shape(self.label(), "no linear layer", "one"));
        };
        let (o, i) = weight.dims2()?;
        let weight = weight.reshape((o, i, 1, 1))?;
        let mut conv = Conv2d::new(weight, bias.clone(), [1, 1], [[0; 2]; 2]);
        conv.prepared = prepared.clone();
        Ok(conv)
    }

    /// The name that `camlens layers` prints, as PyTorch's module classes are called.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Input => "Input",
            Self::Conv2d(_) => "Conv2d",
            Self::BatchNorm(_) => "BatchNorm2d",
            Self::Scale(_) => "LayerScale",
            Self::LayerNorm(_) => "LayerNorm",
            Self::Act(act) => act.label(),
            Self::MaxPool(_) => "MaxPool2d",
            Self::AvgPool { .. } => "AvgPool2d",
            Self::AdaptiveAvgPool(_) => "AdaptiveAvgPool2d",
            Self::GlobalMaxPool => "AdaptiveMaxPool2d",
            Self::Flatten => "Flatten",
            Self::Unflatten => "Unflatten",
            Self::Linear { .. } => "Linear",
            Self::Add => "Add",
            Self::Mul => "Mul",
            Self::Concat => "Concat",
            Self::Slice { .. } => "Slice",
            Self::ChannelShuffle { .. } => "ChannelShuffle",
            Self::Pad { .. } => "Pad",
            Self::Tokens { .. } => "Tokens",
            Self::Attention { .. } => "MultiheadAttention",
            Self::SelectToken(_) => "SelectToken",
            Self::Identity => "Identity",
        }
    }
}
