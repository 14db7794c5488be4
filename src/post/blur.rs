//! Gaussian blur with its width in pixels of the source image.

use std::borrow::Cow;

use super::Field;

/// Blurs a field by a Gaussian of standard deviation `sigma_px`, in pixels of the *source* image, so
/// that one setting means the same on every map, layer and model.
///
/// Separable, cut at three sigma and normalised, borders reflected (`d c b a | a b c d | d c b a`, as
/// SciPy's `reflect`). A sigma of 0, or one that is no number, changes nothing.
pub fn blur(field: &Field, sigma_px: f32) -> Field {
    let sigma_px = if sigma_px.is_finite() {
        sigma_px.max(0.0)
    } else {
        0.0
    };
    if field.empty || (sigma_px == 0.0 && field.own_blur == [0.0; 2]) {
        return field.clone();
    }
    // One Gaussian after the other is one whose variance is the sum.
    let scale = field.source_from_field.scale;
    let sigma =
        [0, 1].map(|a| (f64::from(sigma_px) / scale[a].abs()).hypot(f64::from(field.own_blur[a])));
    let along_x = kernel(sigma[0], field.width);
    let along_y = kernel(sigma[1], field.height);
    let mut values = Cow::Borrowed(field.values.as_slice());
    if along_x.len() > 1 {
        values = Cow::Owned(blur_rows(&values, field.width, &along_x));
    }
    if along_y.len() > 1 {
        values = Cow::Owned(blur_columns(&values, field.width, field.height, &along_y));
    }
    Field {
        values: values.into_owned(),
        own_blur: [0.0; 2],
        ..field.clone()
    }
}

/// One side of a symmetric kernel, the middle first: `[w0, w1, ...]` with `w0 + 2 (w1 + ...) = 1`.
fn kernel(sigma: f64, length: usize) -> Vec<f32> {
    // Under a twentieth of a cell the first neighbour's weight is nil.
    if sigma.is_nan() || sigma <= 0.05 {
        return vec![1.0];
    }
    // A blur wider than the picture is flat already; the bound keeps absurd settings fast.
    let radius = ((3.0 * sigma).ceil() as usize).min(2 * length);
    let weights: Vec<f64> = (0..=radius)
        .map(|i| (-0.5 * (i as f64 / sigma).powi(2)).exp())
        .collect();
    let sum = 2.0 * weights.iter().sum::<f64>() - 1.0;
    weights.iter().map(|w| (w / sum) as f32).collect()
}

/// Index of the cell that a reflected border shows at `at`.
fn reflect(at: isize, length: usize) -> usize {
    let period = 2 * length as isize;
    let folded = at.rem_euclid(period);
    if folded < length as isize {
        folded as usize
    } else {
        (period - 1 - folded) as usize
    }
}

fn blur_rows(values: &[f32], width: usize, half_kernel: &[f32]) -> Vec<f32> {
    let radius = half_kernel.len() - 1;
    let mut padded = vec![0.0; width + 2 * radius];
    let mut out = vec![0.0; values.len()];
    for (row, target) in values.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        for (i, cell) in padded.iter_mut().enumerate() {
            *cell = row[reflect(i as isize - radius as isize, width)];
        }
        weigh(target, half_kernel, |offset| {
            (
                &padded[radius - offset..radius - offset + width],
                &padded[radius + offset..radius + offset + width],
            )
        });
    }
    out
}

fn blur_columns(values: &[f32], width: usize, height: usize, half_kernel: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    let row = |y: isize| {
        let y = reflect(y, height);
        &values[y * width..(y + 1) * width]
    };
    for (y, target) in out.chunks_exact_mut(width).enumerate() {
        let y = y as isize;
        weigh(target, half_kernel, |offset| {
            (row(y - offset as isize), row(y + offset as isize))
        });
    }
    out
}

/// Adds all pairs of taps to `target`; `pair(offset)` are the rows at `-offset` and `+offset`. Whole
/// rows at a time, four pairs at once: contiguous, few stores, so the compiler vectorises it.
fn weigh<'a>(
    target: &mut [f32],
    half_kernel: &[f32],
    pair: impl Fn(usize) -> (&'a [f32], &'a [f32]),
) {
    let Some((&middle, sides)) = half_kernel.split_first() else {
        return;
    };
    for (out, &v) in target.iter_mut().zip(pair(0).0) {
        *out = middle * v;
    }
    let length = target.len();
    let groups = sides.chunks_exact(4);
    let rest = groups.remainder();
    let rest_from = 1 + sides.len() - rest.len();
    for (group, weights) in groups.enumerate() {
        let offset = 1 + 4 * group;
        let [(a0, b0), (a1, b1), (a2, b2), (a3, b3)] = [0, 1, 2, 3]
            .map(|i| pair(offset + i))
            .map(|(a, b)| (&a[..length], &b[..length]));
        let &[w0, w1, w2, w3] = weights else { continue };
        for (i, out) in target.iter_mut().enumerate() {
            *out += w0 * (a0[i] + b0[i])
                + w1 * (a1[i] + b1[i])
                + w2 * (a2[i] + b2[i])
                + w3 * (a3[i] + b3[i]);
        }
    }
    for (i, &weight) in rest.iter().enumerate() {
        let (a, b) = pair(rest_from + i);
        for ((out, &a), &b) in target.iter_mut().zip(a).zip(b) {
            *out += weight * (a + b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::geometry::Affine;

    fn field(width: usize, height: usize, values: Vec<f32>, scale: [f64; 2]) -> Field {
        Field {
            width,
            height,
            values,
            source_from_field: Affine {
                scale,
                offset: [0.0, 0.0],
            },
            source_size: [width, height],
            own_blur: [0.0; 2],
            raw_min: 0.0,
            raw_max: 1.0,
            empty: false,
            notice: None,
        }
    }

    #[test]
    fn agrees_with_scipy() {
        // scipy.ndimage.gaussian_filter1d([0, 0, 1, 0, 4], 1.0, mode="reflect", truncate=3.0)
        let out = blur(&field(5, 1, vec![0.0, 0.0, 1.0, 0.0, 4.0], [1.0, 1.0]), 1.0);
        let expected = [
            0.058_438_63,
            0.259_768_42,
            0.632_804_8,
            1.426_203_5,
            2.622_784_7,
        ];
        for (a, b) in out.values.iter().zip(expected) {
            assert!((a - b).abs() < 1e-5, "{:?}", out.values);
        }
    }

    #[test]
    fn mass_is_kept_and_constants_stay() {
        for sigma in [0.3, 2.0, 40.0, 5000.0] {
            let flat = blur(&field(20, 9, vec![2.5; 180], [1.0, 1.0]), sigma);
            assert!(flat.values.iter().all(|v| (v - 2.5).abs() < 1e-4));
            let mut values = vec![0.0; 180];
            values[33] = 6.0;
            let dot = blur(&field(20, 9, values, [1.0, 1.0]), sigma);
            let mass: f32 = dot.values.iter().sum();
            assert!((mass - 6.0).abs() < 1e-3, "sigma {sigma}: {mass}");
        }
    }

    #[test]
    fn width_is_in_source_pixels_on_each_axis() {
        // One cell is 4 source pixels wide and 1 high: sigma 4 px is 1 cell along x, 4 along y.
        let mut values = vec![0.0; 41 * 41];
        values[20 * 41 + 20] = 1.0;
        let out = blur(&field(41, 41, values, [4.0, 1.0]), 4.0);
        let variance = |along_x: bool| -> f32 {
            out.values
                .iter()
                .enumerate()
                .map(|(i, v)| {
                    let at = if along_x { i % 41 } else { i / 41 } as f32 - 20.0;
                    v * at * at
                })
                .sum()
        };
        assert!((variance(true) - 1.0).abs() < 0.06, "{}", variance(true));
        assert!((variance(false) - 16.0).abs() < 0.8, "{}", variance(false));
    }

    #[test]
    fn no_blur_changes_nothing() {
        let plain = field(3, 1, vec![1.0, 2.0, 3.0], [1.0, 1.0]);
        for sigma in [0.0, -1.0, f32::NAN, 1e-3] {
            assert_eq!(blur(&plain, sigma), plain);
        }
    }
}
