//! Localisation: does the heat fall where a radiologist drew?

use crate::image::geometry::Affine;

/// A box in pixels of the source image.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Region {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
}

/// Share of the positive energy of a map inside the union of boxes (energy pointing game, Wang et
/// al., Score-CAM, CVPRW 2020; also called relevance mass accuracy), 0..=1.
///
/// `values` lie on a grid of `width` columns; `source_from_grid` takes its cells to source pixels. A
/// cell counts as inside when its centre is. `None` when the map has no positive value.
pub fn energy_inside(
    values: &[f32],
    width: usize,
    source_from_grid: &Affine,
    regions: &[Region],
) -> Option<f64> {
    let (mut inside, mut all) = (0.0, 0.0);
    for (i, &v) in values.iter().enumerate() {
        if v.is_nan() || v <= 0.0 || width == 0 {
            continue;
        }
        let centre = [(i % width) as f64 + 0.5, (i / width) as f64 + 0.5];
        let [x, y] = source_from_grid.apply(centre);
        let hit = regions
            .iter()
            .any(|r| (r.x..r.x + r.w).contains(&x) && (r.y..r.y + r.h).contains(&y));
        all += f64::from(v);
        if hit {
            inside += f64::from(v);
        }
    }
    (all > 0.0).then_some(inside / all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_counts_positive_cells_by_their_centres() {
        let map = [1.0, 3.0, -5.0, 0.0];
        let source_from_grid = Affine::scale_to([20, 20], [2, 2]);
        let right = Region {
            x: 10.0,
            y: 0.0,
            w: 10.0,
            h: 10.0,
        };
        assert_eq!(
            energy_inside(&map, 2, &source_from_grid, &[right]),
            Some(0.75)
        );
        assert_eq!(
            energy_inside(&map, 2, &source_from_grid, &[right, right]),
            Some(0.75)
        );
        assert_eq!(energy_inside(&map, 2, &source_from_grid, &[]), Some(0.0));
        assert_eq!(
            energy_inside(&[0.0; 4], 2, &source_from_grid, &[right]),
            None
        );
    }
}
