//! The indicators of CAM fostering: how concentrated and how decisive a map is.
//!
//! Schöttl, "A light-weight method to foster the (Grad)CAM interpretability and explainability of classification
//! networks", arXiv 2009.12546 (2020), trains networks towards maps with a small entropy `ce` and reports `ca` and `cd`
//! beside it. Here they describe any finished map. They say nothing about whether it is right: a small bright spot in
//! the wrong place scores best.

use serde::Serialize;

use crate::explain::RawMap;
use crate::text::measure;

/// What is said of the positive part `M^+ = max(M, 0)` of a map, as a distribution `p = M^+ / sum M^+` over its cells.
///
/// All three do not depend on the map's unit. Where they are not defined (no positive value, a value that is no finite
/// number, a single cell) they are `None` and `reason` says why; they are never NaN.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Indicators {
    /// Entropy `-sum p ln p` in nats, from 0 (all in one cell) to [`Indicators::ce_max`] (the same everywhere).
    /// Smaller is more concentrated.
    pub ce: Option<f64>,
    /// The largest entropy that the grid allows, `ln(h w)`.
    pub ce_max: f64,
    /// Extent `sqrt(l1 l2)` in square cells of the grid, l1 and l2 the eigenvalues of the covariance of the cells'
    /// coordinates under p: 0 for a cell, a row or a column; `sqrt((h^2 - 1) (w^2 - 1)) / 12` for an even map.
    /// Smaller is more concentrated.
    pub ca: Option<f64>,
    /// Squared coefficient of variation `var(M^+) / mean(M^+)^2`, from 0 (even) to `h w - 1` (all in one cell). Larger
    /// is more decisive. The constant that the paper adds to the denominator is left out: a mean of 0 has no result.
    pub cd: Option<f64>,
    /// `[rows, columns]` of the grid: numbers of different grids do not compare.
    pub grid: [usize; 2],
    /// Why there are no numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

impl Indicators {
    /// Of a map.
    pub fn of(map: &RawMap) -> Self {
        Self::of_values(&map.values, [map.height, map.width])
    }

    /// Of `rows * columns` values, row by row.
    pub fn of_values(values: &[f32], grid: [usize; 2]) -> Self {
        let [rows, columns] = grid;
        let cells = rows.saturating_mul(columns);
        let without = |reason| Self {
            ce: None,
            ce_max: (cells.max(1) as f64).ln(),
            ca: None,
            cd: None,
            grid,
            reason: Some(reason),
        };
        if values.len() != cells || values.iter().any(|v| !v.is_finite()) {
            return without(measure::NOT_FINITE);
        }
        if cells < 2 {
            return without(measure::ONE_CELL);
        }
        let positive = |v: &f32| f64::from(v.max(0.0));
        let sum: f64 = values.iter().map(positive).sum();
        if sum <= 0.0 {
            return without(measure::NO_POSITIVE);
        }
        let (mut ce, mut squares, mut x, mut y) = (0.0, 0.0, 0.0, 0.0);
        let p = || values.iter().map(|v| positive(v) / sum).enumerate();
        let at = |i: usize| ((i % columns) as f64, (i / columns) as f64);
        let even = 1.0 / cells as f64;
        for (i, p) in p() {
            // The limit of p ln p at 0 is 0; the constants of the paper's code only keep its gradient finite there.
            if p > 0.0 {
                ce -= p * p.ln();
            }
            squares += (p - even) * (p - even);
            let (column, row) = at(i);
            x += p * column;
            y += p * row;
        }
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (i, p) in p() {
            let (column, row) = at(i);
            xx += p * (column - x) * (column - x);
            xy += p * (column - x) * (row - y);
            yy += p * (row - y) * (row - y);
        }
        Self {
            // Rounding must not leave the range.
            ce: Some(ce.clamp(0.0, (cells as f64).ln())),
            ce_max: (cells as f64).ln(),
            // The product of the eigenvalues is the determinant.
            ca: Some((xx * yy - xy * xy).max(0.0).sqrt()),
            // The mean of p is 1 / (h w), so that var / mean^2 is h w times the sum of squares.
            cd: Some(squares * cells as f64),
            grid,
            reason: None,
        }
    }

    /// The extent `ca` of an even map on this grid.
    pub fn even_extent(&self) -> f64 {
        let [h, w] = self.grid.map(|side| side as f64);
        ((h * h - 1.0) * (w * w - 1.0)).max(0.0).sqrt() / 12.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f32], grid: [usize; 2]) -> (f64, f64, f64) {
        let i = Indicators::of_values(values, grid);
        assert_eq!(i.reason, None);
        (i.ce.unwrap(), i.ca.unwrap(), i.cd.unwrap())
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{a} and {b}");
    }

    #[test]
    fn an_even_map() {
        let (ce, ca, cd) = of(&[0.25; 35], [5, 7]);
        close(ce, 35f64.ln());
        // Variances of 0..7 and 0..5: 4 and 2.
        close(ca, 8f64.sqrt());
        close(cd, 0.0);
        let even = Indicators::of_values(&[0.25; 35], [5, 7]);
        close(even.even_extent(), ca);
        assert_eq!((even.ce_max, even.grid), (35f64.ln(), [5, 7]));
    }

    #[test]
    fn all_in_one_cell() {
        let mut values = [0.0; 36];
        values[15] = 3.5;
        values[3] = -100.0;
        let (ce, ca, cd) = of(&values, [6, 6]);
        close(ce, 0.0);
        close(ca, 0.0);
        close(cd, 35.0);
    }

    #[test]
    fn four_cells_by_hand() {
        // p = 1/8, 3/8, 0, 4/8 on a grid of two by two.
        let (ce, ca, cd) = of(&[1.0, 3.0, -2.0, 4.0], [2, 2]);
        let p = [0.125f64, 0.375, 0.5];
        close(ce, -p.iter().map(|p| p * p.ln()).sum::<f64>());
        // Columns: mean 7/8, variance 7/64. Rows: mean 1/2, variance 1/4. Together: 1/2 - 7/16 = 1/16.
        close(ca, (7.0 / 64.0 * 0.25 - 1.0 / 256.0f64).sqrt());
        // Values 1, 3, 0, 4: mean 2, variance 2.5.
        close(cd, 0.625);
        // A diagonal line has no area.
        let (_, ca, _) = of(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0], [3, 3]);
        close(ca, 0.0);
    }

    #[test]
    fn the_unit_does_not_matter() {
        let values: Vec<f32> = (0..63).map(|i| ((i * 37) % 23) as f32 - 6.0).collect();
        let plain = of(&values, [9, 7]);
        // Powers of two: the values themselves are exact. Gradients of small probabilities are as small as that.
        for factor in [2f32.powi(-90), 2f32.powi(60)] {
            let scaled: Vec<f32> = values.iter().map(|v| v * factor).collect();
            let (ce, ca, cd) = of(&scaled, [9, 7]);
            close(ce, plain.0);
            close(ca, plain.1);
            close(cd, plain.2);
        }
        let (ce, ..) = plain;
        assert!(ce > 0.0 && ce < 63f64.ln());
    }

    #[test]
    fn where_there_is_nothing_to_say_a_reason_is_given() {
        for (values, grid, reason) in [
            (vec![0.0; 9], [3, 3], measure::NO_POSITIVE),
            (vec![-1.0; 9], [3, 3], measure::NO_POSITIVE),
            (vec![1.0, f32::NAN], [1, 2], measure::NOT_FINITE),
            (vec![1.0, f32::INFINITY], [1, 2], measure::NOT_FINITE),
            (vec![1.0; 5], [2, 2], measure::NOT_FINITE),
            (vec![1.0], [1, 1], measure::ONE_CELL),
            (vec![], [0, 0], measure::ONE_CELL),
        ] {
            let i = Indicators::of_values(&values, grid);
            assert_eq!(
                (i.ce, i.ca, i.cd, i.reason),
                (None, None, None, Some(reason))
            );
            assert!(i.ce_max.is_finite());
        }
        // The largest numbers do not overflow.
        let (ce, ..) = of(&[f32::MAX; 16], [4, 4]);
        close(ce, 16f64.ln());
        let (_, _, cd) = of(&[f32::MAX, 0.0, 0.0, 0.0], [2, 2]);
        close(cd, 3.0);
    }
}
