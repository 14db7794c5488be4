//! From a raw map to a presentable field, in the open: sign, denoise, enlarge, blur, scale.
//!
//! Pure functions of [`RawMap`]. The order is fixed and is what figures state:
//!
//! 1. cells that are not finite become 0, counted and reported
//! 2. sign: positive, negative (turned) or both
//! 3. denoise on the map's own grid
//! 4. bilinear enlargement to a working grid (half-pixel centres, clamped edges, as PyTorch's
//!    `interpolate(mode="bilinear", align_corners=False)`)
//! 5. Gaussian blur, its sigma in pixels of the source image, on top of the one that belongs to the method
//! 6. [`scale_range`]: which values the ends of the colour scale stand for
//!
//! Values keep the map's raw units throughout; nothing is divided by its own maximum. [`choose`]
//! is steps 1 to 3 and [`Chosen::field`] steps 4 and 5, so that a window can keep the first and move only the second.

mod blur;
mod contours;
mod difference;
mod enlarge;
mod scale;
mod select;

pub use blur::blur;
pub use contours::{Contour, contours};
pub use difference::{Difference, difference};
pub use scale::{ScaleRange, scale_of, scale_range};
pub use select::hidden_sign;

use std::sync::Arc;

use crate::explain::RawMap;
use crate::image::geometry::Affine;
use crate::plan::{Post, Sign};

/// Shortest long side of the working grid, in cells.
const MIN_LONG_SIDE: usize = 224;
/// Longest long side of the working grid, in cells.
const MAX_LONG_SIDE: usize = 512;

/// The chosen part of a map on its own grid: after sign and denoising, before it is enlarged.
#[derive(Clone, Debug, PartialEq)]
pub struct Cells {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Row by row, in the raw map's units.
    pub values: Vec<f32>,
}

/// A processed map on its working grid, in the raw map's units.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Row by row. With [`Sign::Positive`] and [`Sign::Negative`] all are 0 or more; negative
    /// evidence counts upwards.
    pub values: Vec<f32>,
    /// Takes a point of the field (in cells) to a point of the source image (in pixels).
    pub source_from_field: Affine,
    /// Size of the source image, `[width, height]`.
    pub source_size: [usize; 2],
    /// What the values were enlarged from, where that is coarser: a blur goes on from there.
    pub cells: Option<Arc<Cells>>,
    /// Standard deviation of the method's own blur along columns and rows, in cells; what [`blur`] adds comes on top.
    pub own_blur: [f32; 2],
    /// Smallest finite value of the raw map.
    pub raw_min: f32,
    /// Largest finite value of the raw map.
    pub raw_max: f32,
    /// Whether the map holds no evidence of the chosen sign. Empty fields are never coloured.
    pub empty: bool,
    /// What the reader must know: no evidence, hardly any, a constant map, cells that are no number.
    pub notice: Option<String>,
}

impl Field {
    /// Largest magnitude, 0 for an empty field.
    pub fn largest(&self) -> f32 {
        // Lanes of their own, or each comparison would wait for the one before.
        let mut most = [0.0_f32; 16];
        let chunks = self.values.chunks_exact(most.len());
        let rest = chunks.remainder();
        for chunk in chunks {
            for (most, v) in most.iter_mut().zip(chunk) {
                *most = most.max(v.abs());
            }
        }
        let all = most.iter().chain(rest);
        all.fold(0.0, |most, v| most.max(v.abs()))
    }

    /// Takes a point of the source image to a point of the field.
    pub fn field_from_source(&self) -> Affine {
        self.source_from_field.inverse()
    }
}

/// Steps 1 to 5 for a map whose target has no better name than "the target".
pub fn process(map: &RawMap, post: &Post) -> Field {
    process_named(map, post, "the target")
}

/// Steps 1 to 5. `target` is what notices call the explained class ("Pneumonia").
pub fn process_named(map: &RawMap, post: &Post, target: &str) -> Field {
    choose(map, post.sign, post.denoise, target).field(post.blur_px)
}

/// What of a map is shown, still in the map's own cells.
#[derive(Clone, Debug)]
pub struct Chosen {
    cells: Arc<Cells>,
    /// All that the field will be, without its values.
    frame: Field,
}

/// Steps 1 to 3: the part that does not depend on the blur. `denoise` is the share of the map's largest magnitude (of the
/// chosen sign) under which cells become 0; `target` as in [`process_named`].
pub fn choose(map: &RawMap, sign: Sign, denoise: f32, target: &str) -> Chosen {
    let chosen = select::select(map, sign, denoise, target);
    let size = working_size(map.model_size, [map.width, map.height]);
    let coarser = map.width <= size[0] && map.height <= size[1] && [map.width, map.height] != size;
    let cells = Arc::new(Cells {
        width: map.width,
        height: map.height,
        values: chosen.values,
    });
    let frame = Field {
        width: size[0],
        height: size[1],
        values: Vec::new(),
        source_from_field: map
            .source_from_model
            .then_from(&Affine::scale_to(map.model_size, size)),
        source_size: map.source_size,
        cells: (coarser && !chosen.empty).then(|| Arc::clone(&cells)),
        own_blur: [0, 1].map(|a| map.blur_px * size[a] as f32 / map.model_size[a].max(1) as f32),
        raw_min: chosen.raw_min,
        raw_max: chosen.raw_max,
        empty: chosen.empty,
        notice: chosen.notice,
    };
    Chosen { cells, frame }
}

impl Chosen {
    /// Steps 4 and 5: enlarged and blurred by `blur_px` source pixels and the method's own blur.
    pub fn field(&self, blur_px: f32) -> Field {
        // Where the map is coarser the blur is taken from its cells, and nothing is enlarged first.
        let at_once = self.frame.cells.as_ref();
        at_once
            .and_then(|_| blur::blurred(&self.frame, blur_px))
            .unwrap_or_else(|| blur(&self.enlarged(), blur_px))
    }

    /// Step 4.
    fn enlarged(&self) -> Field {
        let size = [self.frame.width, self.frame.height];
        let from = [self.cells.width, self.cells.height];
        let values = if self.frame.empty {
            vec![0.0; size[0] * size[1]]
        } else {
            enlarge::bilinear(&self.cells.values, from, size)
        };
        Field {
            values,
            ..self.frame.clone()
        }
    }
}

/// Steps 1 to 4, without any blur. Arguments as in [`choose`].
pub fn upsample(map: &RawMap, sign: Sign, denoise: f32, target: &str) -> Field {
    choose(map, sign, denoise, target).enlarged()
}

/// Size of the working grid: the model's input (or the map's own grid where that is finer) with
/// its long side brought into 224..=512, aspect kept.
fn working_size(model: [usize; 2], grid: [usize; 2]) -> [usize; 2] {
    let full = [model[0].max(grid[0]).max(1), model[1].max(grid[1]).max(1)];
    let long = full[0].max(full[1]);
    let wanted = long.clamp(MIN_LONG_SIDE, MAX_LONG_SIDE);
    full.map(|side| {
        // Rounded to the nearest cell; a very thin input keeps at least one.
        ((side * wanted + long / 2) / long).max(1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn working_grid_follows_the_model_within_bounds() {
        assert_eq!(working_size([224, 224], [7, 7]), [224, 224]);
        assert_eq!(working_size([256, 192], [8, 6]), [256, 192]);
        assert_eq!(working_size([1024, 512], [32, 16]), [512, 256]);
        assert_eq!(working_size([32, 16], [4, 2]), [224, 112]);
        assert_eq!(working_size([299, 299], [299, 299]), [299, 299]);
    }
}
