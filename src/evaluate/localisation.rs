//! Localisation: does the heat fall where a radiologist drew?
//!
//! With the working grid's values `a` (the evidence that is shown; of a map with both signs what speaks for the target),
//! `a⁺ = max(a, 0)`, the set `s` of source pixels inside the regions, and every source pixel taking the value of the cell
//! that its centre lies in:
//!
//! * energy inside: `Σ_s a⁺ / Σ a⁺`. Energy-based pointing game (Wang et al., Score-CAM, CVPRW 2020), the relevance mass
//!   accuracy of Arras et al. (CLEVR-XAI, Information Fusion 2022). An even map has the regions' share of the area.
//! * pointing game (Zhang et al., IJCV 2018): a hit where any pixel of the largest value lies in `s`, without the tolerance
//!   of 15 pixels of the original. CheXlocalize's hit rate (Saporta et al., Nature Machine Intelligence 2022) asks only for
//!   the first of them.
//! * IoU at the cut: `|p ∩ s| / |p ∪ s|` with `p` the pixels whose value is drawn, `a⁺ > 0` and at or above the cut of the
//!   colour scale. CheXlocalize takes thresholds of the map stretched to 0..1; with the scale from 0 to a map's own maximum
//!   and a map that has a cell at 0 that is the same.
//! * Dice at the cut: `2 |p ∩ s| / (|p| + |s|)`.
//!
//! IoU and pointing disagree by design (an IoU of 0.08 may be a hit, one of 0.68 a miss): both are given. Where nothing is
//! drawn as a region, or the map has no positive value, there is no number.

use serde::{Deserialize, Serialize};

use crate::image::geometry::Affine;
use crate::plan::Sign;
use crate::post::{Field, ScaleRange};
use crate::regions::Shape;

/// Share of the positive energy of a map inside the union of shapes, 0..=1, where cells count by their centres.
///
/// `values` lie on a grid of `width` columns; `source_from_grid` takes its cells to source pixels. `None` when the map has
/// no positive value. For networks in training; what is shown is measured by [`Cover::measure`].
pub fn energy_inside(
    values: &[f32],
    width: usize,
    source_from_grid: &Affine,
    shapes: &[Shape],
) -> Option<f64> {
    let (mut inside, mut all) = (0.0, 0.0);
    for (i, &v) in values.iter().enumerate() {
        if v.is_nan() || v <= 0.0 || width == 0 {
            continue;
        }
        let centre = [(i % width) as f64 + 0.5, (i / width) as f64 + 0.5];
        let at = source_from_grid.apply(centre);
        all += f64::from(v);
        if shapes.iter().any(|shape| shape.contains(at)) {
            inside += f64::from(v);
        }
    }
    (all > 0.0).then_some(inside / all)
}

/// How well a map and the regions of a picture agree.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Localisation {
    /// Share of the positive energy inside, 0..=1. Energy in a border that the recipe added counts as outside.
    pub energy_inside: Option<f64>,
    /// Whether a largest value lies inside.
    pub pointing_hit: Option<bool>,
    /// Intersection over union of what is drawn above the cut and the regions, 0..=1.
    pub iou_at_cut: Option<f64>,
    /// Dice coefficient of the same.
    pub dice_at_cut: Option<f64>,
    /// Share of the picture's pixels inside the regions, 0..=1: what an even map would score.
    pub area_share: f64,
}

/// How the regions of a picture lie on a working grid: pixels by cell, counted once.
#[derive(Clone, Debug, PartialEq)]
pub struct Cover {
    grid: [usize; 2],
    /// Pixels inside the regions, by cell.
    inside: Vec<u32>,
    /// Pixel centres in each column and row of the grid: all there would be without the picture's edge, and those on it.
    columns: Vec<[u32; 2]>,
    rows: Vec<[u32; 2]>,
    /// Pixels inside the regions, in the grid or not.
    pixels_inside: u64,
    /// Pixels of the picture.
    pixels: u64,
}

impl Cover {
    /// Counts the pixels of `mask` (of `source`, `[width, height]`) in the cells of a grid.
    pub fn of(
        mask: &[bool],
        source: [usize; 2],
        grid: [usize; 2],
        source_from_grid: &Affine,
    ) -> Self {
        // The first pixel whose centre lies behind a cell's lower edge. Cells and pixels are counted by the same edges: where
        // a centre lies on one, rounding must not give it to one cell here and to its neighbour there.
        let edge = |axis: usize, cell: usize| {
            let mut at = [0.0; 2];
            at[axis] = cell as f64;
            (source_from_grid.apply(at)[axis] - 0.5).ceil()
        };
        let place = |axis: usize| -> Vec<Option<usize>> {
            let mut places = vec![None; source[axis]];
            for cell in 0..grid[axis] {
                let pixel = |edge: f64| edge.clamp(0.0, source[axis] as f64) as usize;
                let (from, to) = (pixel(edge(axis, cell)), pixel(edge(axis, cell + 1)));
                for place in places.iter_mut().take(to).skip(from) {
                    *place = Some(cell);
                }
            }
            places
        };
        let (columns, rows) = (place(0), place(1));
        let mut inside = vec![0_u32; grid[0] * grid[1]];
        let mut pixels_inside = 0;
        for (row, line) in rows.iter().zip(mask.chunks_exact(source[0].max(1))) {
            for (column, _) in columns.iter().zip(line).filter(|(_, set)| **set) {
                pixels_inside += 1;
                if let (Some(row), Some(column)) = (row, column)
                    && let Some(cell) = inside.get_mut(row * grid[0] + column)
                {
                    *cell += 1;
                }
            }
        }
        let counts = |axis: usize, places: &[Option<usize>]| -> Vec<[u32; 2]> {
            let mut on = vec![0; grid[axis]];
            for place in places.iter().flatten() {
                on[*place] += 1;
            }
            let all = |cell: usize| (edge(axis, cell + 1) - edge(axis, cell)).max(0.0) as u32;
            on.into_iter()
                .enumerate()
                .map(|(cell, on)| [all(cell), on])
                .collect()
        };
        Self {
            grid,
            inside,
            columns: counts(0, &columns),
            rows: counts(1, &rows),
            pixels_inside,
            pixels: (source[0] * source[1]) as u64,
        }
    }

    /// As [`Cover::of`] for the grid of a field.
    pub fn of_field(mask: &[bool], field: &Field) -> Self {
        let grid = [field.width, field.height];
        Self::of(mask, field.source_size, grid, &field.source_from_field)
    }

    /// Measures values on the grid, which are shown on the scale `range` with `sign` and drawn from `cut` on.
    pub fn measure(&self, values: &[f32], range: ScaleRange, sign: Sign, cut: f32) -> Localisation {
        let area_share = self.pixels_inside as f64 / self.pixels.max(1) as f64;
        let nothing = Localisation {
            energy_inside: None,
            pointing_hit: None,
            iou_at_cut: None,
            dice_at_cut: None,
            area_share,
        };
        if self.pixels_inside == 0 {
            return nothing;
        }
        // Of a scale with both signs the upper half is what speaks for.
        let strength = |v: f32| match sign {
            Sign::Signed => 2.0 * range.share(v) - 1.0,
            Sign::Positive | Sign::Negative => range.share(v),
        };
        let (mut energy, mut energy_inside) = (0.0, 0.0);
        let (mut largest, mut hit) = (0.0_f32, false);
        let (mut drawn, mut both) = (0_u64, 0_u64);
        let lines = values.chunks_exact(self.grid[0].max(1));
        let counted = self.inside.chunks_exact(self.grid[0].max(1));
        for ((line, counted), rows) in lines.zip(counted).zip(&self.rows) {
            for ((&v, &inside), columns) in line.iter().zip(counted).zip(&self.columns) {
                let all = u64::from(columns[0]) * u64::from(rows[0]);
                if v.is_nan() || v <= 0.0 || all == 0 {
                    continue;
                }
                energy += f64::from(v) * all as f64;
                energy_inside += f64::from(v) * f64::from(inside);
                if v > largest {
                    (largest, hit) = (v, inside > 0);
                } else if v == largest {
                    hit |= inside > 0;
                }
                if !range.is_flat() && strength(v) >= cut {
                    drawn += u64::from(columns[1]) * u64::from(rows[1]);
                    both += u64::from(inside);
                }
            }
        }
        if energy <= 0.0 {
            return nothing;
        }
        let either = drawn + self.pixels_inside - both;
        let scaled = !range.is_flat();
        Localisation {
            energy_inside: Some(energy_inside / energy),
            pointing_hit: Some(hit),
            iou_at_cut: scaled.then(|| both as f64 / either as f64),
            dice_at_cut: scaled.then(|| 2.0 * both as f64 / (drawn + self.pixels_inside) as f64),
            area_share,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const UNIT: ScaleRange = ScaleRange { lo: 0.0, hi: 1.0 };

    fn square(x: f64, y: f64, w: f64, h: f64) -> Shape {
        Shape::Box { x, y, w, h }
    }

    fn mask(shape: &Shape, size: [usize; 2]) -> Vec<bool> {
        (0..size[0] * size[1])
            .map(|i| shape.contains([(i % size[0]) as f64 + 0.5, (i / size[0]) as f64 + 0.5]))
            .collect()
    }

    #[test]
    fn energy_counts_positive_cells_by_their_centres() {
        let map = [1.0, 3.0, -5.0, 0.0];
        let source_from_grid = Affine::scale_to([20, 20], [2, 2]);
        let right = square(10.0, 0.0, 10.0, 10.0);
        let energy =
            |map: &[f32], shapes: &[Shape]| energy_inside(map, 2, &source_from_grid, shapes);
        assert_eq!(energy(&map, std::slice::from_ref(&right)), Some(0.75));
        assert_eq!(energy(&map, &[right.clone(), right.clone()]), Some(0.75));
        assert_eq!(energy(&map, &[]), Some(0.0));
        assert_eq!(energy(&[0.0; 4], &[right]), None);
    }

    #[test]
    fn numbers_are_those_of_counting_pixel_by_pixel() {
        let cases: [([usize; 2], [usize; 2], Affine); 4] = [
            ([40, 30], [8, 6], Affine::scale_to([40, 30], [8, 6])),
            // A picture smaller than the grid.
            ([5, 7], [16, 16], Affine::scale_to([5, 7], [16, 16])),
            // A crop: the grid lies on the middle of the picture.
            (
                [60, 33],
                [11, 11],
                Affine {
                    scale: [3.0, 3.0],
                    offset: [13.5, 0.0],
                },
            ),
            // A border: the grid reaches over the picture.
            (
                [33, 20],
                [12, 12],
                Affine {
                    scale: [2.75, 2.75],
                    offset: [0.0, -6.5],
                },
            ),
        ];
        for (size, grid, affine) in cases {
            let shape = square(
                size[0] as f64 * 0.3,
                size[1] as f64 * 0.2,
                size[0] as f64 * 0.45,
                5.3,
            );
            let mask = mask(&shape, size);
            let values: Vec<f32> = (0..grid[0] * grid[1])
                .map(|i| ((i * 37 % 101) as f32 / 101.0) - 0.2)
                .collect();
            let cover = Cover::of(&mask, size, grid, &affine);
            let cut = 0.4;
            let measured = cover.measure(&values, UNIT, Sign::Positive, cut);
            // Once more over the pixels, and over those that a border adds around them.
            let at = |x: f64, y: f64| {
                let [u, v] = affine.inverse().apply([x, y]);
                let on = u >= 0.0 && v >= 0.0 && u < grid[0] as f64 && v < grid[1] as f64;
                on.then(|| values[v as usize * grid[0] + u as usize])
            };
            let (mut all, mut inside, mut top, mut hit) = (0.0, 0.0, 0.0, false);
            let (mut both, mut either) = (0, 0);
            for y in -40..80 {
                for x in -40..120 {
                    let value = at(x as f64 + 0.5, y as f64 + 0.5).unwrap_or(0.0).max(0.0);
                    let on = x >= 0 && y >= 0 && x < size[0] as i32 && y < size[1] as i32;
                    let set = on && mask[y as usize * size[0] + x as usize];
                    all += f64::from(value);
                    inside += if set { f64::from(value) } else { 0.0 };
                    if value > top {
                        (top, hit) = (value, set);
                    } else if value == top {
                        hit |= set;
                    }
                    let drawn = on && value >= cut;
                    both += u32::from(drawn && set);
                    either += u32::from(drawn || set);
                }
            }
            assert!(
                (measured.energy_inside.unwrap() - inside / all).abs() < 1e-9,
                "{size:?}"
            );
            assert_eq!(measured.pointing_hit, Some(hit), "{size:?}");
            let iou = f64::from(both) / f64::from(either);
            assert!(
                (measured.iou_at_cut.unwrap() - iou).abs() < 1e-12,
                "{size:?}"
            );
            let dice = 2.0 * iou / (1.0 + iou);
            assert!(
                (measured.dice_at_cut.unwrap() - dice).abs() < 1e-12,
                "{size:?}"
            );
            let area = mask.iter().filter(|set| **set).count() as f64 / mask.len() as f64;
            assert_eq!(measured.area_share, area);
        }
    }

    #[test]
    fn a_map_that_is_the_region_scores_full() {
        let (size, affine) = ([32, 32], Affine::IDENTITY);
        let mask = mask(&square(4.0, 6.0, 10.0, 8.0), size);
        let values: Vec<f32> = mask.iter().map(|set| f32::from(u8::from(*set))).collect();
        let cover = Cover::of(&mask, size, size, &affine);
        let perfect = cover.measure(&values, UNIT, Sign::Positive, 0.5);
        assert_eq!(perfect.energy_inside, Some(1.0));
        assert_eq!(
            (perfect.pointing_hit, perfect.iou_at_cut),
            (Some(true), Some(1.0))
        );
        // An even map scores the area.
        let even = cover.measure(&[0.3; 1024], UNIT, Sign::Positive, 0.2);
        assert!((even.energy_inside.unwrap() - even.area_share).abs() < 1e-9);
        assert!((even.iou_at_cut.unwrap() - even.area_share).abs() < 1e-12);
        // Of a map with both signs what speaks for counts: the other half does nothing.
        let turned: Vec<f32> = values.iter().map(|v| v * 2.0 - 1.0).collect();
        let range = ScaleRange { lo: -1.0, hi: 1.0 };
        let signed = cover.measure(&turned, range, Sign::Signed, 0.5);
        assert_eq!(signed.iou_at_cut, Some(1.0));
        assert_eq!(signed.energy_inside, Some(1.0));
    }

    #[test]
    fn nothing_to_measure_gives_no_number() {
        let size = [8, 8];
        let none = Cover::of(&[false; 64], size, size, &Affine::IDENTITY);
        let measured = none.measure(&[1.0; 64], UNIT, Sign::Positive, 0.2);
        assert_eq!((measured.energy_inside, measured.area_share), (None, 0.0));
        let all = Cover::of(&[true; 64], size, size, &Affine::IDENTITY);
        let empty = all.measure(&[-1.0; 64], ScaleRange::default(), Sign::Positive, 0.2);
        assert_eq!(
            (empty.pointing_hit, empty.iou_at_cut, empty.area_share),
            (None, None, 1.0)
        );
    }
}
