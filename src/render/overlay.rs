//! The heat over the X-ray, at the X-ray's own resolution.

use ::image::RgbImage;
use rayon::prelude::*;

use super::heat::HeatLut;
use super::ink::draw_lines;
use crate::image::geometry::Affine;
use crate::plan::{Sign, View};
use crate::post::{Field, ScaleRange, contours};

/// What is laid over a base picture.
#[derive(Clone, Copy, Debug)]
pub struct Heat<'a> {
    /// The processed map.
    pub field: &'a Field,
    /// Its colour scale.
    pub range: ScaleRange,
    /// Which sign it shows.
    pub sign: Sign,
    /// Colours and opacity.
    pub view: View,
    /// Share of the scale under which nothing is drawn.
    pub cut: f32,
}

/// Lays `heat` over `base`, which has the source image's size. The field is sampled bilinearly
/// through its affine and coloured afterwards; outside the part that the model saw nothing is drawn.
pub fn overlay(base: &RgbImage, heat: &Heat<'_>) -> RgbImage {
    overlay_at(base, &Affine::IDENTITY, heat)
}

/// As [`overlay`] for a base picture of any other size or crop, `source_from_base` takes a point of it
/// to a point of the source image.
pub fn overlay_at(base: &RgbImage, source_from_base: &Affine, heat: &Heat<'_>) -> RgbImage {
    let mut out = base.clone();
    let field = heat.field;
    if field.empty || heat.range.is_flat() || base.width() == 0 {
        return out;
    }
    let lut = HeatLut::new(heat.range, heat.sign, &heat.view, heat.cut);
    let field_from_base = field.field_from_source().then_from(source_from_base);
    // The columns of the field are the same for every row of the picture.
    let columns: Vec<Option<Tap>> = (0..base.width())
        .map(|x| {
            Tap::at(
                field_from_base.apply([f64::from(x) + 0.5, 0.0])[0],
                field.width,
            )
        })
        .collect();
    let row_bytes = 3 * base.width() as usize;
    out.par_chunks_exact_mut(row_bytes)
        .enumerate()
        .for_each(|(y, row)| {
            let at = field_from_base.apply([0.0, y as f64 + 0.5])[1];
            let Some(tap) = Tap::at(at, field.height) else {
                return;
            };
            let line = |row: usize| {
                field
                    .values
                    .get(row * field.width..(row + 1) * field.width)
                    .unwrap_or_default()
            };
            let (above, below) = (line(tap.first), line(tap.second));
            for (pixel, column) in row.chunks_exact_mut(3).zip(&columns) {
                let Some(column) = column else { continue };
                let value = tap.mix(column.of(above), column.of(below));
                blend(pixel, lut.rgba(value));
            }
        });
    let lines = contours(field, heat.range, heat.sign, heat.view.contours);
    if !lines.is_empty() {
        let long = out.width().max(out.height()) as f32;
        let lines = lines.iter().map(|contour| contour.line.as_slice());
        let width = (long / 480.0).max(1.0);
        let base_from_source = source_from_base.inverse();
        draw_lines(&mut out, lines, &base_from_source, width, CONTOUR);
    }
    out
}

/// Lines of equal value: neither a level of grey that stands out nor a colour of a map.
const CONTOUR: [u8; 3] = [240, 244, 248];

/// Two neighbouring cells and the share of the second.
#[derive(Clone, Copy)]
struct Tap {
    first: usize,
    second: usize,
    share: f32,
}

impl Tap {
    /// The cells about the coordinate `at` (edges at whole numbers); `None` outside `0..=length`.
    fn at(at: f64, length: usize) -> Option<Self> {
        if !(0.0..=length as f64).contains(&at) || length == 0 {
            return None;
        }
        let centre = (at - 0.5).clamp(0.0, (length - 1) as f64);
        let first = centre as usize;
        Some(Self {
            first,
            second: (first + 1).min(length - 1),
            share: (centre - first as f64) as f32,
        })
    }

    fn mix(&self, a: f32, b: f32) -> f32 {
        a + (b - a) * self.share
    }

    fn of(&self, line: &[f32]) -> f32 {
        let cell = |at: usize| line.get(at).copied().unwrap_or(0.0);
        self.mix(cell(self.first), cell(self.second))
    }
}

/// Blends a colour over an RGB pixel, both in sRGB's own levels, as the window does.
fn blend(pixel: &mut [u8], [r, g, b, alpha]: [u8; 4]) {
    let alpha = u32::from(alpha);
    for (below, above) in pixel.iter_mut().zip([r, g, b]) {
        let mixed = u32::from(above) * alpha + u32::from(*below) * (255 - alpha);
        *below = ((mixed + 127) / 255) as u8;
    }
}

/// The rectangle of the source image that the model saw, `[left, top, right, bottom]` in source
/// pixels; `None` when it saw the whole picture.
pub fn crop_in_source(field: &Field) -> Option<[f64; 4]> {
    let [left, top] = field.source_from_field.apply([0.0, 0.0]);
    let [right, bottom] = field
        .source_from_field
        .apply([field.width as f64, field.height as f64]);
    let [width, height] = field.source_size.map(|side| side as f64);
    // Half a pixel is lost to rounding at most.
    let whole = left <= 0.5 && top <= 0.5 && right >= width - 0.5 && bottom >= height - 0.5;
    (!whole).then(|| {
        [
            left.max(0.0),
            top.max(0.0),
            right.min(width),
            bottom.min(height),
        ]
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn blending_is_exact_at_the_ends() {
        let mut pixel = [10, 200, 77];
        blend(&mut pixel, [1, 2, 3, 0]);
        assert_eq!(pixel, [10, 200, 77]);
        blend(&mut pixel, [1, 2, 3, 255]);
        assert_eq!(pixel, [1, 2, 3]);
    }

    #[test]
    fn taps_end_at_the_field() {
        assert!(Tap::at(-0.01, 4).is_none());
        assert!(Tap::at(4.01, 4).is_none());
        let left = Tap::at(0.1, 4).unwrap();
        assert_eq!((left.first, left.share), (0, 0.0));
        let right = Tap::at(4.0, 4).unwrap();
        assert_eq!((right.first, right.second), (3, 3));
    }
}
