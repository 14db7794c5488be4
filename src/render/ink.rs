//! Lines on a picture: fine and bright in a thin dark one, so that they are seen on grey and on heat.

use ::image::RgbImage;

use crate::image::geometry::Affine;

/// Under the line.
const HALO: [u8; 3] = [8, 10, 12];
/// Share of the halo's darkness that is seen.
const HALO_OPACITY: f32 = 0.75;

/// Draws lines whose corners are points of the source image; `picture_from_source` takes them to the picture. `width` is
/// in pixels of the picture.
pub(super) fn draw_lines<'a>(
    picture: &mut RgbImage,
    lines: impl IntoIterator<Item = &'a [[f64; 2]]>,
    picture_from_source: &Affine,
    width: f32,
    colour: [u8; 3],
) {
    let lines: Vec<Vec<[f32; 2]>> = lines
        .into_iter()
        .map(|line| {
            let corners = line.iter().map(|at| picture_from_source.apply(*at));
            corners.map(|at| at.map(|v| v as f32)).collect()
        })
        .collect();
    for (reach, colour, opacity) in [
        (width / 2.0 + (width * 0.7).max(1.0), HALO, HALO_OPACITY),
        (width / 2.0, colour, 1.0),
    ] {
        let mut ink = Ink::new(picture);
        for line in &lines {
            for (a, b) in line.iter().zip(line.iter().skip(1)) {
                ink.segment(*a, *b, reach);
            }
        }
        ink.blend(picture, colour, opacity);
    }
}

/// How much of each pixel is under a line. All of a stroke is gathered before it is blended: where two lines meet it is
/// not darker.
struct Ink {
    size: [usize; 2],
    cover: Vec<u8>,
}

impl Ink {
    fn new(picture: &RgbImage) -> Self {
        let size = [picture.width() as usize, picture.height() as usize];
        Self {
            size,
            cover: vec![0; size[0] * size[1]],
        }
    }

    /// A line with round ends; its edge is one pixel soft.
    fn segment(&mut self, a: [f32; 2], b: [f32; 2], reach: f32) {
        let soft = reach + 0.5;
        let range = |axis: usize| {
            let lo = (a[axis].min(b[axis]) - soft).floor().max(0.0) as usize;
            let hi = (a[axis].max(b[axis]) + soft).ceil().max(0.0) as usize;
            lo..hi.min(self.size[axis])
        };
        let along = [b[0] - a[0], b[1] - a[1]];
        let length2 = along[0] * along[0] + along[1] * along[1];
        let columns = range(0);
        for y in range(1) {
            // Of a slanted line only the columns near to where it crosses the row.
            let (mut from, mut to) = (columns.start, columns.end);
            if along[1].abs() > along[0].abs() * 0.02 && length2 > 64.0 {
                let slope = along[0] / along[1];
                let at = a[0] + (y as f32 + 0.5 - a[1]) * slope;
                let room = soft * (1.0 + slope * slope).sqrt() + slope.abs() + 1.0;
                from = from.max((at - room).max(0.0) as usize);
                to = to.min((at + room).max(0.0) as usize + 1);
            }
            for x in from..to {
                let p = [x as f32 + 0.5 - a[0], y as f32 + 0.5 - a[1]];
                let t = if length2 > 0.0 {
                    ((p[0] * along[0] + p[1] * along[1]) / length2).clamp(0.0, 1.0)
                } else {
                    0.0
                };
                let (dx, dy) = (p[0] - t * along[0], p[1] - t * along[1]);
                let cover = (soft - (dx * dx + dy * dy).sqrt()).clamp(0.0, 1.0);
                if let Some(pixel) = self.cover.get_mut(y * self.size[0] + x) {
                    *pixel = (*pixel).max((255.0 * cover + 0.5) as u8);
                }
            }
        }
    }

    fn blend(&self, picture: &mut RgbImage, colour: [u8; 3], opacity: f32) {
        for (pixel, cover) in picture.pixels_mut().zip(&self.cover) {
            if *cover > 0 {
                pixel.0 = super::draw::mix(pixel.0, colour, opacity * f32::from(*cover) / 255.0);
            }
        }
    }
}
