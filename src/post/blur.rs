//! Gaussian blur with its width in pixels of the source image.
//!
//! Enlarging and blurring are both linear and both work along rows and columns by themselves, so together they are one
//! matrix for each axis, from the map's own few cells to the blurred field. A map of 7 x 7 cells costs the same at every
//! width of the blur; where the map is as fine as the field the matrix is the Gaussian itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::Field;
use crate::explain::resize::{Align, Tap, taps};
use crate::model::kernels::cpu::vectorised;

/// Blurs a field by a Gaussian of standard deviation `sigma_px`, in pixels of the *source* image, so
/// that one setting means the same on every map, layer and model.
///
/// Separable, cut at three sigma and normalised, borders reflected (`d c b a | a b c d | d c b a`, as
/// SciPy's `reflect`). A sigma of 0, or one that is no number, changes nothing.
pub fn blur(field: &Field, sigma_px: f32) -> Field {
    blurred(field, sigma_px).unwrap_or_else(|| Field {
        own_blur: [0.0; 2],
        ..field.clone()
    })
}

/// The same; `None` where nothing is to be blurred. Where the field has cells its values are not read.
pub(super) fn blurred(field: &Field, sigma_px: f32) -> Option<Field> {
    let sigma_px = if sigma_px.is_finite() {
        sigma_px.max(0.0)
    } else {
        0.0
    };
    if field.empty || (sigma_px == 0.0 && field.own_blur == [0.0; 2]) {
        return None;
    }
    // One Gaussian after the other is one whose variance is the sum.
    let scale = field.source_from_field.scale;
    let sigma =
        [0, 1].map(|a| (f64::from(sigma_px) / scale[a].abs()).hypot(f64::from(field.own_blur[a])));
    let size = [field.width, field.height];
    let kernels = [0, 1].map(|a| kernel(sigma[a], size[a]));
    if kernels.iter().all(|kernel| kernel.len() == 1) {
        return None;
    }
    let (values, cells) = match &field.cells {
        Some(cells) => (cells.values.as_slice(), [cells.width, cells.height]),
        None => (field.values.as_slice(), size),
    };
    let [along_x, along_y] = [0, 1].map(|a| Weights::of(sigma[a], &kernels[a], cells[a], size[a]));
    let wide = along_x.apply(&transpose(values, cells[0]), cells[1]);
    Some(Field {
        width: size[0],
        height: size[1],
        values: along_y.apply(&transpose(&wide, cells[1]), size[0]),
        source_from_field: field.source_from_field,
        source_size: field.source_size,
        // What is blurred is enlarged: its cells are those of the field.
        cells: None,
        own_blur: [0.0; 2],
        raw_min: field.raw_min,
        raw_max: field.raw_max,
        empty: field.empty,
        notice: field.notice.clone(),
    })
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

/// What each cell of a blurred axis takes from the cells of the map.
struct Weights {
    /// For each cell of the field: the first cell of the map that counts, and the weights from there on.
    bands: Vec<(usize, Vec<f32>)>,
}

/// A Gaussian's standard deviation by its bits, cells, and cells of the field.
type Axis = (u64, usize, usize);

/// The matrices that were used last: panels and frames mostly ask for the same ones, and making one costs as much as a
/// blur by it.
static RECENT: Mutex<VecDeque<(Axis, Arc<Weights>)>> = Mutex::new(VecDeque::new());
/// How many are kept, of at most a megabyte each.
const KEPT: usize = 12;

impl Weights {
    /// As [`Weights::new`], which is asked where the same matrix is not at hand.
    fn of(sigma: f64, half_kernel: &[f32], cells: usize, length: usize) -> Arc<Self> {
        let axis = (sigma.to_bits(), cells, length);
        let recent = || RECENT.lock().unwrap_or_else(PoisonError::into_inner);
        let found = |(of, weights): &(Axis, Arc<Self>)| (*of == axis).then(|| Arc::clone(weights));
        if let Some(weights) = recent().iter().find_map(found) {
            return weights;
        }
        let weights = Arc::new(Self::new(half_kernel, cells, length));
        let mut recent = recent();
        recent.truncate(KEPT - 1);
        recent.push_front((axis, Arc::clone(&weights)));
        weights
    }

    /// Of `cells` that are enlarged to `length` and blurred there.
    fn new(half_kernel: &[f32], cells: usize, length: usize) -> Self {
        let taps = taps(cells, length, Align::Centres);
        let radius = half_kernel.len() - 1;
        let both_sides = half_kernel.iter().skip(1).rev().chain(half_kernel);
        let kernel: Vec<f32> = both_sides.copied().collect();
        // With what the borders reflect, so that every cell's neighbours lie in a row.
        let reflected = |at: usize| taps[reflect(at as isize - radius as isize, length)];
        let taps: Vec<Tap> = (0..length + 2 * radius).map(reflected).collect();
        let mut sums = vec![0.0_f32; cells];
        let band = |at: usize| {
            let (mut first, mut last) = (cells, 0);
            for (weight, tap) in kernel.iter().zip(&taps[at..]) {
                sums[tap.first] += weight * (1.0 - tap.share);
                sums[tap.second] += weight * tap.share;
                first = first.min(tap.first);
                last = last.max(tap.second);
            }
            let weights = sums.get(first..=last).unwrap_or_default().to_vec();
            sums.fill(0.0);
            (first, weights)
        };
        Self {
            bands: (0..length).map(band).collect(),
        }
    }

    /// Weighs whole rows of `width` values: one row of the result for each cell of the field.
    fn apply(&self, rows: &[f32], width: usize) -> Vec<f32> {
        let mut out = vec![0.0; self.bands.len() * width];
        if width == 0 {
            return out;
        }
        let work = || {
            for ((first, weights), target) in self.bands.iter().zip(out.chunks_exact_mut(width)) {
                let rows = rows.get(first * width..).unwrap_or_default();
                weigh(target, weights, rows);
            }
        };
        vectorised(work);
        out
    }
}

/// Adds rows, each by its weight, to `target`. Four at once: contiguous, few stores, so the compiler vectorises it.
#[inline(always)]
fn weigh(target: &mut [f32], weights: &[f32], rows: &[f32]) {
    let width = target.len();
    let fours = weights.chunks_exact(4);
    let rest = fours.remainder();
    let done = width * (weights.len() - rest.len());
    for (weights, rows) in fours.zip(rows.chunks_exact(4 * width)) {
        let &[w0, w1, w2, w3] = weights else { continue };
        let (a, b) = rows.split_at(2 * width);
        let ((r0, r1), (r2, r3)) = (a.split_at(width), b.split_at(width));
        let rows = r0.iter().zip(r1).zip(r2).zip(r3);
        for (out, (((a, b), c), d)) in target.iter_mut().zip(rows) {
            *out += (w0 * a + w1 * b) + (w2 * c + w3 * d);
        }
    }
    let rows = rows.get(done..).unwrap_or_default();
    for (weight, row) in rest.iter().zip(rows.chunks_exact(width)) {
        for (out, v) in target.iter_mut().zip(row) {
            *out += weight * v;
        }
    }
}

/// Columns as rows.
fn transpose(values: &[f32], width: usize) -> Vec<f32> {
    let height = values.len() / width.max(1);
    let mut out = vec![0.0; values.len()];
    // Squares of 16 x 16, so that both sides stay in the cache's nearest lines.
    for top in (0..height).step_by(16) {
        for left in (0..width).step_by(16) {
            for y in top..height.min(top + 16) {
                for x in left..width.min(left + 16) {
                    out[x * height + y] = values[y * width + x];
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::Cells;
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
            cells: None,
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

    #[test]
    fn from_the_maps_own_cells_as_after_enlarging() {
        let number = |i: usize| ((i * 7919 + 13) % 101) as f32 / 101.0;
        for (cells, size) in [([7, 5], [61, 40]), ([1, 3], [9, 9]), ([40, 40], [40, 40])] {
            let map: Vec<f32> = (0..cells[0] * cells[1]).map(number).collect();
            let values = crate::explain::resize::up(&map, cells, size);
            let plain = field(size[0], size[1], values, [1.3, 0.7]);
            let with_cells = Field {
                cells: Some(Arc::new(Cells {
                    width: cells[0],
                    height: cells[1],
                    values: map,
                })),
                ..plain.clone()
            };
            for sigma in [0.2, 1.0, 6.0, 300.0] {
                let (long, short) = (blur(&plain, sigma), blur(&with_cells, sigma));
                for (a, b) in long.values.iter().zip(&short.values) {
                    assert!((a - b).abs() < 2e-6, "{cells:?}, sigma {sigma}: {a} {b}");
                }
            }
        }
    }
}
