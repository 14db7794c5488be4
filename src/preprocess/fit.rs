//! Fitting a source rectangle into the model's, with the exact affine back.

use std::borrow::Cow;

use super::recipe::Fit;
use crate::error::Result;
use crate::image::geometry::Affine;
use crate::image::{Filter, resize_plane_with};

/// One rectangle of whole pixels: offset and size, `[x, y]` and `[width, height]`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rect {
    offset: [usize; 2],
    size: [usize; 2],
}

/// What [`place`] decides: cut `cut` out of the source, resize it to `resized`, then copy the part
/// at `window_offset` (crops) or paste it at `paste_offset` (padding) into `model`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    cut: Rect,
    resized: [usize; 2],
    window_offset: [usize; 2],
    paste_offset: [usize; 2],
    model: [usize; 2],
    /// Takes a point of the model's input to a point of the source image.
    pub(super) source_from_model: Affine,
}

/// Decides which part of a `source` (`[width, height]`) goes where in `model`. All cuts are at whole
/// pixels, as the Python libraries make them, so the affine is exact.
pub(super) fn place(fit: Fit, source: [usize; 2], model: [usize; 2]) -> Placed {
    let whole = Rect {
        offset: [0, 0],
        size: source,
    };
    let (cut, resized, window_offset, paste_offset) = match fit {
        Fit::Stretch => (whole, model, [0, 0], [0, 0]),
        Fit::SquareCrop => {
            let side = source[0].min(source[1]);
            let cut = Rect {
                // As XRayCenterCrop computes it: both halves are rounded down.
                offset: source.map(|length| length / 2 - side / 2),
                size: [side, side],
            };
            (cut, model, [0, 0], [0, 0])
        }
        Fit::CenterCrop { resize } | Fit::CropDown { resize } => {
            let shorter = source[0].min(source[1]).max(1);
            // torchvision truncates the longer side.
            let resized = source.map(|length| (length * resize / shorter).max(1));
            let window_offset = [0, 1].map(|axis| {
                let spare = resized[axis].saturating_sub(model[axis]);
                if fit == (Fit::CropDown { resize }) {
                    return spare / 2;
                }
                // Python's round(): halves go to the even neighbour.
                (spare as f64 / 2.0).round_ties_even() as usize
            });
            (whole, resized, window_offset, [0, 0])
        }
        Fit::StretchCrop {
            width,
            height,
            left,
            top,
        } => (whole, [width, height], [left, top], [0, 0]),
        Fit::Pad => {
            let shrink =
                (model[0] as f64 / source[0] as f64).min(model[1] as f64 / source[1] as f64);
            let resized = [0, 1].map(|axis| {
                ((source[axis] as f64 * shrink).round() as usize).clamp(1, model[axis])
            });
            let paste_offset = [0, 1].map(|axis| (model[axis] - resized[axis]) / 2);
            (whole, resized, [0, 0], paste_offset)
        }
    };
    let resized_from_model = Affine {
        scale: [1.0, 1.0],
        offset: [0, 1].map(|axis| window_offset[axis] as f64 - paste_offset[axis] as f64),
    };
    let source_from_resized = Affine {
        offset: cut.offset.map(|length| length as f64),
        ..Affine::scale_to(cut.size, resized)
    };
    Placed {
        cut,
        resized,
        window_offset,
        paste_offset,
        model,
        source_from_model: source_from_resized.then_from(&resized_from_model),
    }
}

impl Placed {
    /// Takes one plane of the source through the placement; padding is 0, the stored black.
    pub(super) fn sample(
        &self,
        plane: &[f32],
        source: [usize; 2],
        filter: Filter,
        max_value: f32,
    ) -> Result<Vec<f32>> {
        let cut = if self.cut.size == source {
            Cow::Borrowed(plane)
        } else {
            Cow::Owned(copy_part(plane, source, self.cut.offset, self.cut.size))
        };
        let mut resized = resize_plane_with(&cut, self.cut.size, self.resized, filter)?;
        if matches!(filter, Filter::Bicubic | Filter::Lanczos) && self.resized != self.cut.size {
            // Pillow's pictures end at black and white: what these filters overshoot is cut off.
            let (lo, hi) = cut
                .iter()
                .fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), &v| {
                    (lo.min(v), hi.max(v))
                });
            let (lo, hi) = (lo.min(0.0), hi.max(max_value));
            for v in &mut resized {
                *v = v.clamp(lo, hi);
            }
        }
        if self.resized == self.model {
            return Ok(resized);
        }
        // Crop or pad; at most one of the two offsets is not zero on an axis.
        let size = [0, 1].map(|axis| self.resized[axis].min(self.model[axis]));
        let part = copy_part(&resized, self.resized, self.window_offset, size);
        if size == self.model {
            return Ok(part);
        }
        let mut padded = vec![0.0; self.model[0] * self.model[1]];
        let rows = padded
            .chunks_exact_mut(self.model[0])
            .skip(self.paste_offset[1]);
        for (target, row) in rows.zip(part.chunks_exact(size[0])) {
            if let Some(target) =
                target.get_mut(self.paste_offset[0]..self.paste_offset[0] + size[0])
            {
                target.copy_from_slice(row);
            }
        }
        Ok(padded)
    }
}

fn copy_part(plane: &[f32], from: [usize; 2], offset: [usize; 2], size: [usize; 2]) -> Vec<f32> {
    let mut part = Vec::with_capacity(size[0] * size[1]);
    for row in plane
        .chunks_exact(from[0].max(1))
        .skip(offset[1])
        .take(size[1])
    {
        part.extend_from_slice(row.get(offset[0]..offset[0] + size[0]).unwrap_or_default());
    }
    part
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const FITS: [Fit; 4] = [
        Fit::Stretch,
        Fit::CenterCrop { resize: 256 },
        Fit::SquareCrop,
        Fit::Pad,
    ];

    #[test]
    fn every_fit_fills_the_model_exactly() {
        for fit in FITS {
            for source in [[500, 333], [333, 500], [224, 224], [225, 1000], [40, 33]] {
                let placed = place(fit, source, [224, 224]);
                let plane = vec![1.0; source[0] * source[1]];
                let out = placed
                    .sample(&plane, source, Filter::Bilinear, 1.0)
                    .unwrap();
                assert_eq!(out.len(), 224 * 224, "{fit:?} {source:?}");
                if fit != Fit::Pad {
                    assert!(
                        out.iter().all(|&v| (v - 1.0).abs() < 1e-5),
                        "{fit:?} {source:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn torchvision_crop_offsets() {
        // Resize(256) of 500 x 375 gives 341 x 256; round((341 - 224) / 2) is 58, not 59.
        let placed = place(Fit::CenterCrop { resize: 256 }, [500, 375], [224, 224]);
        assert_eq!(placed.resized, [341, 256]);
        assert_eq!(placed.window_offset, [58, 16]);
    }

    #[test]
    fn hugging_face_rounds_crops_down() {
        // 341 - 224 = 117: 58 both ways; 343 - 224 = 119: 60 in torchvision, 59 here.
        let torch = place(Fit::CenterCrop { resize: 256 }, [343, 256], [224, 224]);
        let face = place(Fit::CropDown { resize: 256 }, [343, 256], [224, 224]);
        assert_eq!((torch.window_offset[0], face.window_offset[0]), (60, 59));
        assert_eq!(face.source_from_model.apply([0.0, 0.0]), [59.0, 16.0]);
    }

    #[test]
    fn stretch_and_crop_is_exact() {
        let fit = Fit::StretchCrop {
            width: 100,
            height: 50,
            left: 10,
            top: 5,
        };
        let placed = place(fit, [200, 200], [80, 40]);
        assert_eq!(placed.source_from_model.apply([0.0, 0.0]), [20.0, 20.0]);
        assert_eq!(placed.source_from_model.apply([80.0, 40.0]), [180.0, 180.0]);
    }

    #[test]
    fn bicubic_ends_at_black_and_white() {
        let placed = place(Fit::Stretch, [8, 1], [24, 1]);
        let plane = [0.0, 0.0, 0.0, 255.0, 255.0, 0.0, 0.0, 0.0];
        let out = placed
            .sample(&plane, [8, 1], Filter::Bicubic, 255.0)
            .unwrap();
        assert!(out.iter().all(|v| (0.0..=255.0).contains(v)), "{out:?}");
    }

    #[test]
    fn padding_is_black_and_maps_outside_the_source() {
        let placed = place(Fit::Pad, [400, 200], [100, 100]);
        let out = placed
            .sample(&vec![9.0; 400 * 200], [400, 200], Filter::Bilinear, 9.0)
            .unwrap();
        assert_eq!(out.first(), Some(&0.0));
        assert_eq!(out.get(50 * 100 + 50), Some(&9.0));
        assert_eq!(placed.source_from_model.apply([0.0, 25.0]), [0.0, 0.0]);
        assert!(placed.source_from_model.apply([0.0, 0.0])[1] < 0.0);
    }
}
