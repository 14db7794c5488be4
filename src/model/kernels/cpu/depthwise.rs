//! Depthwise convolution over channels-last planes: channels are the lanes, weights are shared by neighbouring
//! pixels.

use rayon::prelude::*;

use super::conv::{After, Source, Strides, Windows};
use super::pack::Aligned;
use super::simd::{Isa, Shared, Simd, dispatch, load, store};
use super::tile::Finish;

/// Output pixels that are summed side by side.
const SIDE_BY_SIDE: usize = 6;

/// Weights as one row of channels for each tap.
pub(super) struct Taps {
    pub(super) kernel: [usize; 2],
    pub(super) channels: usize,
    data: Aligned,
}

impl Taps {
    /// `weight(channel, ky, kx)` reads one number.
    pub(super) fn new(
        channels: usize,
        kernel: [usize; 2],
        weight: impl Fn(usize, usize, usize) -> f32,
    ) -> Self {
        let mut data = Aligned::zeros(kernel[0] * kernel[1] * channels);
        let rows = data.as_mut_slice().chunks_exact_mut(channels.max(1));
        for (tap, row) in rows.take(kernel[0] * kernel[1]).enumerate() {
            for (channel, v) in row.iter_mut().enumerate() {
                *v = weight(channel, tap / kernel[1], tap % kernel[1]);
            }
        }
        Self {
            kernel,
            channels,
            data,
        }
    }
}

/// Convolves each channel with its own kernel.
///
/// # Panics
/// Where the slices are shorter than the geometry says.
pub(super) fn convolve(
    isa: Isa,
    x: Source<'_>,
    windows: &Windows,
    weights: &Taps,
    after: &After<'_>,
    y: &mut [f32],
    y_strides: Strides,
) {
    let Windows {
        images, size, out, ..
    } = *windows;
    if images * out[0] * out[1] * weights.channels == 0 {
        return;
    }
    assert!(x.data.len() >= x.strides.end(images, size, weights.channels));
    assert!(y.len() >= y_strides.end(images, out, weights.channels));
    if let Some(added) = &after.added {
        assert!(added.data.len() >= added.strides.end(images, out, weights.channels));
    }
    assert!(after.fits(weights.channels));
    let target = Shared(y.as_mut_ptr());
    (0..images * out[0]).into_par_iter().for_each(|row| {
        let (image, oy) = (row / out[0], row % out[0]);
        dispatch!(isa, one_row(
            x: &Source<'_> = &x,
            windows: &Windows = windows,
            weights: &Taps = weights,
            after: &After<'_> = after,
            y: *mut f32 = target.get(),
            y_strides: Strides = y_strides,
            image: usize = image,
            oy: usize = oy,
        ));
    });
}

/// Taps `low..high` of a window that begins at `start` and lie inside `size`.
fn inside(start: isize, taps: usize, dilation: usize, size: usize) -> (usize, usize) {
    let d = dilation as isize;
    let low = (-start).max(0).div_euclid(d) + isize::from((-start).max(0).rem_euclid(d) != 0);
    let room = size as isize - start;
    let high = if room <= 0 { 0 } else { (room - 1) / d + 1 };
    let high = (high as usize).min(taps);
    ((low as usize).min(high), high)
}

/// # Safety
/// As [`Simd`]; extents were checked by [`convolve`], and no other task writes row `oy` of this image.
#[inline(always)]
unsafe fn one_row<S: Simd>(
    x: &Source<'_>,
    windows: &Windows,
    weights: &Taps,
    after: &After<'_>,
    y: *mut f32,
    y_strides: Strides,
    image: usize,
    oy: usize,
) {
    let [kh, kw] = weights.kernel;
    let [dy, dx] = windows.dilation;
    let top = windows.origin[0] + (oy * windows.stride[0]) as isize;
    let (ky0, ky1) = inside(top, kh, dy, windows.size[0]);
    let columns = windows.out[1];
    // Output columns whose windows lie inside the input.
    let is_inner = |ox: usize| {
        let left = windows.origin[1] + (ox * windows.stride[1]) as isize;
        left >= 0 && left as usize + (kw - 1) * dx < windows.size[1]
    };
    let mut channel = 0;
    while channel < weights.channels {
        let n = weights.channels - channel;
        let mut ox = 0;
        while ox < columns {
            let left = windows.origin[1] + (ox * windows.stride[1]) as isize;
            let together =
                is_inner(ox) && ox + SIDE_BY_SIDE <= columns && is_inner(ox + SIDE_BY_SIDE - 1);
            let (count, (kx0, kx1)) = if together {
                (SIDE_BY_SIDE, (0, kw))
            } else {
                (1, inside(left, kw, dx, windows.size[1]))
            };
            let at = Place {
                x: x.data.as_ptr(),
                row: x.strides.row as isize,
                pixel: x.strides.pixel as isize,
                start: (image * x.strides.image + channel) as isize
                    + top * x.strides.row as isize
                    + left * x.strides.pixel as isize,
                w: weights.data.as_slice().as_ptr(),
                channel,
                channels: weights.channels,
                n,
                taps: [ky0, ky1, kx0, kx1],
                columns: kw,
                dilation: [dy as isize, dx as isize],
                step: (windows.stride[1] * x.strides.pixel) as isize,
            };
            let to = y_strides.at(image, oy, ox) + channel;
            let added = after.added.map_or(std::ptr::null(), |added| {
                added
                    .data
                    .as_ptr()
                    .wrapping_add(added.strides.at(image, oy, ox) + channel)
            });
            let added_step = after.added.map_or(0, |added| added.strides.pixel);
            // SAFETY: taps were clipped to the input, the rest was checked by `convolve`.
            unsafe {
                let number = |all: Option<&[f32]>, none: f32| match all {
                    Some(all) => load::<S>(all.as_ptr().add(channel), n),
                    None => S::splat(none),
                };
                let (scale, bias) = (number(after.scale, 1.0), number(after.bias, 0.0));
                if together {
                    let mut sums = [S::splat(0.0); SIDE_BY_SIDE];
                    at.sum::<S, SIDE_BY_SIDE>(&mut sums);
                    let out = y.add(to);
                    for (i, sum) in sums.into_iter().enumerate() {
                        let added = if added.is_null() {
                            added
                        } else {
                            added.add(i * added_step)
                        };
                        let v = S::fma(sum, scale, bias);
                        finish::<S>(v, added, after.finish, out.add(i * y_strides.pixel), n);
                    }
                } else {
                    let mut sums = [S::splat(0.0); 1];
                    at.sum::<S, 1>(&mut sums);
                    let v = S::fma(sums[0], scale, bias);
                    finish::<S>(v, added, after.finish, y.add(to), n);
                }
            }
            ox += count;
        }
        channel += S::LANES;
    }
}

/// Where one group of lanes reads.
struct Place {
    x: *const f32,
    row: isize,
    pixel: isize,
    /// First number of the first window; may lie before the plane where taps are clipped.
    start: isize,
    w: *const f32,
    channel: usize,
    channels: usize,
    n: usize,
    taps: [usize; 4],
    columns: usize,
    dilation: [isize; 2],
    step: isize,
}

impl Place {
    /// # Safety
    /// As [`Simd`]; the taps of all `P` windows lie inside the plane.
    #[inline(always)]
    unsafe fn sum<S: Simd, const P: usize>(&self, sums: &mut [S::V; P]) {
        let [ky0, ky1, kx0, kx1] = self.taps;
        for ky in ky0..ky1 {
            for kx in kx0..kx1 {
                let from = self.start
                    + ky as isize * self.dilation[0] * self.row
                    + kx as isize * self.dilation[1] * self.pixel;
                let tap = (ky * self.columns + kx) * self.channels + self.channel;
                // SAFETY: the caller's.
                unsafe {
                    let w = load::<S>(self.w.add(tap), self.n);
                    for (p, sum) in sums.iter_mut().enumerate() {
                        let x = self.x.offset(from + p as isize * self.step);
                        *sum = S::fma(load::<S>(x, self.n), w, *sum);
                    }
                }
            }
        }
    }
}

/// # Safety
/// As [`Simd`], for `n` numbers or a whole vector; `added` may be null.
#[inline(always)]
unsafe fn finish<S: Simd>(v: S::V, added: *const f32, finish: Finish, to: *mut f32, n: usize) {
    // SAFETY: the caller's.
    unsafe {
        store::<S>(to, n, finish.of::<S>(v, added, n));
    }
}
