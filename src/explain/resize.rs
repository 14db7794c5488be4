//! Bilinear enlargement, and the normalisation that goes with it.

use rayon::prelude::*;

/// Where the cells of an enlarged grid lie on the smaller one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Centres of cells stand for places, edges are clamped: torch's `align_corners=False`, OpenCV's
    /// `INTER_LINEAR`.
    Centres,
    /// The outermost centres coincide: torch's `align_corners=True` (`UpsamplingBilinear2d`).
    Corners,
}

/// For each target cell: the two source cells that it lies between and the share of the second.
#[derive(Clone, Copy)]
pub(crate) struct Tap {
    pub(crate) first: usize,
    pub(crate) second: usize,
    pub(crate) share: f32,
}

/// A way from one grid to another, made once for many planes.
pub struct Resize {
    columns: Vec<Tap>,
    rows: Vec<Tap>,
    from_width: usize,
}

/// One tap for each of the `to` cells of an axis that has `from`.
pub(crate) fn taps(from: usize, to: usize, align: Align) -> Vec<Tap> {
    (0..to)
        .map(|cell| {
            let at = match align {
                Align::Centres => ((cell as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0),
                Align::Corners if to > 1 => cell as f64 * (from - 1) as f64 / (to - 1) as f64,
                Align::Corners => 0.0,
            };
            let first = (at as usize).min(from.saturating_sub(1));
            Tap {
                first,
                second: (first + 1).min(from.saturating_sub(1)),
                share: (at - first as f64) as f32,
            }
        })
        .collect()
}

impl Resize {
    /// From a grid to another, both `[width, height]`. Nothing is averaged where the target is coarser.
    pub fn new(from: [usize; 2], to: [usize; 2], align: Align) -> Self {
        Self {
            columns: taps(from[0], to[0], align),
            rows: taps(from[1], to[1], align),
            from_width: from[0],
        }
    }

    /// One plane, row by row.
    pub fn run(&self, plane: &[f32]) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.columns.len() * self.rows.len());
        self.run_into(plane, &mut out);
        out
    }

    /// One plane behind what is in `out` already.
    pub fn run_into(&self, plane: &[f32], out: &mut Vec<f32>) {
        let width = self.columns.len();
        // Along x first: the map's own rows are few.
        let mut wide = Vec::with_capacity(width * plane.len() / self.from_width.max(1));
        for row in plane.chunks_exact(self.from_width.max(1)) {
            wide.extend(self.columns.iter().map(|tap| {
                let (a, b) = (row[tap.first], row[tap.second]);
                a + (b - a) * tap.share
            }));
        }
        for tap in &self.rows {
            let first = &wide[tap.first * width..(tap.first + 1) * width];
            let second = &wide[tap.second * width..(tap.second + 1) * width];
            let pairs = first.iter().zip(second);
            out.extend(pairs.map(|(&a, &b)| a + (b - a) * tap.share));
        }
    }

    /// Many planes that lie one behind the other, side by side.
    pub fn run_all(&self, planes: &[f32], cells: usize) -> Vec<Vec<f32>> {
        planes
            .par_chunks_exact(cells.max(1))
            .map(|plane| self.run(plane))
            .collect()
    }
}

/// One plane brought from `[width, height]` to another grid with half-pixel centres.
pub fn up(values: &[f32], from: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    if from == to {
        return values.to_vec();
    }
    Resize::new(from, to, Align::Centres).run(values)
}

/// Subtracts the smallest value and divides by `eps` and the largest that is left; a constant plane becomes 0.
pub fn min_max(values: &mut [f32], eps: f32) {
    let (lo, hi) = range(values);
    let span = hi - lo + eps;
    for v in values {
        *v = if span > 0.0 { (*v - lo) / span } else { 0.0 };
    }
}

/// Smallest and largest value.
pub fn range(values: &[f32]) -> (f32, f32) {
    values
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), &v| {
            (lo.min(v), hi.max(v))
        })
}

/// pytorch-grad-cam's way from one layer's raw map to the input's grid: ReLU, min-max with 1e-7, enlargement.
pub fn normalised(values: &[f32], from: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    let mut map: Vec<f32> = values.iter().map(|v| v.max(0.0)).collect();
    min_max(&mut map, 1e-7);
    up(&map, from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_torch() {
        // torch.nn.functional.interpolate(tensor([[0., 1.], [2., 4.]]), size=4, mode="bilinear")
        let out = up(&[0.0, 1.0, 2.0, 4.0], [2, 2], [4, 4]);
        let expected = [
            0.0, 0.25, 0.75, 1.0, //
            0.5, 0.8125, 1.4375, 1.75, //
            1.5, 1.9375, 2.8125, 3.25, //
            2.0, 2.5, 3.5, 4.0,
        ];
        for (a, b) in out.iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{out:?}");
        }
        // The same with align_corners=True.
        let out = Resize::new([2, 2], [3, 3], Align::Corners).run(&[0.0, 1.0, 2.0, 4.0]);
        assert_eq!(out, [0.0, 0.5, 1.0, 1.0, 1.75, 2.5, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn one_cell_fills_the_grid() {
        assert_eq!(up(&[3.0], [1, 1], [3, 2]), [3.0; 6]);
        let out = Resize::new([1, 1], [2, 2], Align::Corners).run(&[3.0]);
        assert_eq!(out, [3.0; 4]);
    }

    #[test]
    fn a_constant_plane_becomes_zero() {
        let mut plane = [2.0; 4];
        min_max(&mut plane, 0.0);
        assert_eq!(plane, [0.0; 4]);
    }
}
