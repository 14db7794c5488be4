//! Bilinear enlargement with half-pixel centres and clamped edges.

use crate::explain::resize::up;
use crate::preprocess::resize_plane;

/// Brings `values` from the grid `from` to the grid `to`, both `[width, height]`. Where the target
/// is coarser, cells are averaged (antialiased) instead of skipped.
pub(super) fn bilinear(values: &[f32], from: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    if to[0] < from[0] || to[1] < from[1] {
        // Sizes were checked by the caller; were they wrong, a field of zeros shows nothing false.
        return resize_plane(values, from, to).unwrap_or_else(|_| vec![0.0; to[0] * to[1]]);
    }
    up(values, from, to)
}
