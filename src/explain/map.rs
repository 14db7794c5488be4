//! The result of an explanation method.

use std::sync::Arc;

use super::relevance::Conserved;
use crate::image::geometry::Affine;
use crate::text::measure;

/// A map at its layer's own grid, before any sign, normalisation or resize. Immutable.
#[derive(Clone, Debug)]
pub struct RawMap {
    /// Catalogue id of the method.
    pub method: String,
    /// Resolved name of the layer, as PyTorch names it.
    pub layer: String,
    /// Class index that is explained; `None` for methods that do not look at a class.
    pub target: Option<usize>,
    /// Columns of the grid.
    pub width: usize,
    /// Rows of the grid.
    pub height: usize,
    /// Values, row by row, `height * width` of them, in the method's own units.
    pub values: Arc<[f32]>,
    /// Size of the model's input, `[width, height]`; the grid covers it exactly.
    pub model_size: [usize; 2],
    /// Takes a point of the model's input to a point of the source image.
    pub source_from_model: Affine,
    /// Size of the source image, `[width, height]`.
    pub source_size: [usize; 2],
    /// Standard deviation of a Gaussian blur that belongs to the method, in pixels of the model's input: applied where
    /// the map is shown, before any blur that is asked for. 0 is none.
    pub blur_px: f32,
    /// What the reader should know: a guess, an empty map, a limit of the method.
    pub notices: Vec<String>,
    /// For methods that hand relevance down: how much of it stood at the input, the stages and the logits, in this
    /// order. Empty for all others.
    pub conservation: Vec<Conserved>,
}

impl RawMap {
    /// Smallest and largest value.
    pub fn range(&self) -> (f32, f32) {
        self.values
            .iter()
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), &v| {
                (lo.min(v), hi.max(v))
            })
    }

    /// The conservation of relevance in a sentence; `None` for methods that hand none down.
    pub fn conserved_words(&self) -> Option<String> {
        let (input, output) = (self.conservation.first()?, self.conservation.last()?);
        Some(match input.share {
            Some(share) => measure::conserved(share),
            None => measure::conserved_sums(output.sum, input.sum),
        })
    }

    /// Takes a point of the grid (in cells) to a point of the source image (in pixels).
    pub fn source_from_grid(&self) -> Affine {
        self.source_from_model.then_from(&Affine::scale_to(
            self.model_size,
            [self.width, self.height],
        ))
    }
}

/// Values at a layer's grid, as a method leaves them.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Row by row.
    pub values: Vec<f32>,
}

impl Grid {
    /// A grid of zeros.
    pub(super) fn zeros(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            values: vec![0.0; width * height],
        }
    }

    /// Values on the grid of the layer that was read.
    pub(super) fn of(values: Vec<f32>, evidence: &super::Evidence<'_>) -> Self {
        Self {
            width: evidence.width,
            height: evidence.height,
            values,
        }
    }
}
