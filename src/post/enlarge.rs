//! Bilinear enlargement with half-pixel centres and clamped edges.

use crate::preprocess::resize_plane;

/// For each target cell: the two source cells that it lies between and the share of the second.
struct Taps {
    first: usize,
    second: usize,
    share: f32,
}

fn taps(from: usize, to: usize) -> Vec<Taps> {
    let step = from as f64 / to as f64;
    (0..to)
        .map(|cell| {
            let at = ((cell as f64 + 0.5) * step - 0.5).max(0.0);
            let first = (at as usize).min(from - 1);
            Taps {
                first,
                second: (first + 1).min(from - 1),
                share: (at - first as f64) as f32,
            }
        })
        .collect()
}

/// Brings `values` from the grid `from` to the grid `to`, both `[width, height]`. Where the target
/// is coarser, cells are averaged (antialiased) instead of skipped.
pub(super) fn bilinear(values: &[f32], from: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    if from == to {
        return values.to_vec();
    }
    if to[0] < from[0] || to[1] < from[1] {
        // Sizes were checked by the caller; were they wrong, a field of zeros shows nothing false.
        return resize_plane(values, from, to).unwrap_or_else(|_| vec![0.0; to[0] * to[1]]);
    }
    let columns = taps(from[0], to[0]);
    let rows = taps(from[1], to[1]);
    // Along x first: the map's own rows are few.
    let mut wide = Vec::with_capacity(to[0] * from[1]);
    for row in values.chunks_exact(from[0]) {
        wide.extend(columns.iter().map(|tap| {
            let (a, b) = (row[tap.first], row[tap.second]);
            a + (b - a) * tap.share
        }));
    }
    let mut out = Vec::with_capacity(to[0] * to[1]);
    for tap in &rows {
        let first = &wide[tap.first * to[0]..(tap.first + 1) * to[0]];
        let second = &wide[tap.second * to[0]..(tap.second + 1) * to[0]];
        out.extend(
            first
                .iter()
                .zip(second)
                .map(|(&a, &b)| a + (b - a) * tap.share),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_torch() {
        // torch.nn.functional.interpolate(tensor([[0., 1.], [2., 4.]]), size=4, mode="bilinear")
        let out = bilinear(&[0.0, 1.0, 2.0, 4.0], [2, 2], [4, 4]);
        let expected = [
            0.0, 0.25, 0.75, 1.0, //
            0.5, 0.8125, 1.4375, 1.75, //
            1.5, 1.9375, 2.8125, 3.25, //
            2.0, 2.5, 3.5, 4.0,
        ];
        for (a, b) in out.iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{out:?}");
        }
    }

    #[test]
    fn one_cell_fills_the_field() {
        assert_eq!(bilinear(&[3.0], [1, 1], [3, 2]), [3.0; 6]);
    }
}
