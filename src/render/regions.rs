//! Regions on a picture: a fine bright line in a thin dark one, seen on grey and on heat.

use ::image::RgbImage;

use super::outline::COLOUR;
use crate::image::geometry::Affine;
use crate::regions::Region;

/// Under the line.
const HALO: [u8; 3] = [8, 10, 12];
/// Share of the halo's darkness that is seen.
const HALO_OPACITY: f32 = 0.75;

/// Draws the outlines of `regions` on a picture of any size or crop; `picture_from_source` takes a point of the source
/// image to a point of the picture. Lines grow with the picture: 1.5 pixels on a panel of 480.
pub fn draw_regions<'a>(
    picture: &mut RgbImage,
    regions: impl IntoIterator<Item = &'a Region>,
    picture_from_source: &Affine,
) {
    let long = picture.width().max(picture.height()) as f32;
    // On the border of two pixels a finer line would be half as bright.
    let width = (long / 320.0).max(1.5);
    let lines: Vec<Vec<[f32; 2]>> = regions
        .into_iter()
        .flat_map(|region| region.shape.outline())
        .map(|line| {
            line.into_iter()
                .map(|corner| picture_from_source.apply(corner).map(|v| v as f32))
                .collect()
        })
        .collect();
    for (reach, colour, opacity) in [
        (width / 2.0 + (width * 0.7).max(1.0), HALO, HALO_OPACITY),
        (width / 2.0, COLOUR.0, 1.0),
    ] {
        let mut ink = Ink::new(picture);
        for line in &lines {
            let next = line.iter().cycle().skip(1);
            for (a, b) in line.iter().zip(next) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regions::Shape;
    use ::image::Rgb;

    fn region(shape: Shape) -> Region {
        Region {
            shape,
            label: String::new(),
            origin: String::new(),
        }
    }

    #[test]
    fn lines_lie_on_the_edge_with_a_halo_around_them() {
        for grey in [0, 120, 255] {
            let paper = Rgb([grey; 3]);
            let mut picture = RgbImage::from_pixel(200, 100, paper);
            let drawn = region(Shape::Box {
                x: 80.0,
                y: 40.0,
                w: 160.0,
                h: 80.0,
            });
            // The picture is half as large as the source.
            draw_regions(
                &mut picture,
                [&drawn],
                &Affine::scale_to([200, 100], [400, 200]),
            );
            for (x, y) in [(40, 40), (119, 40), (80, 20), (80, 59)] {
                let [r, g, b] = picture.get_pixel(x, y).0;
                assert!(g > 120 && b > 120 && r < b, "{grey} {x} {y}: {r} {g} {b}");
            }
            for (x, y) in [(80, 40), (30, 40), (130, 40), (80, 70), (199, 99)] {
                assert_eq!(picture.get_pixel(x, y), &paper, "{grey} {x} {y}");
            }
            // Beside the line it is darker than the paper and the line.
            let beside = picture.get_pixel(38, 40).0;
            assert!(grey == 0 || beside[1] < grey, "{grey}: {beside:?}");
        }
    }

    #[test]
    fn slanted_lines_have_no_gaps_and_nothing_breaks_outside() {
        let mut picture = RgbImage::new(300, 300);
        let rings = vec![
            vec![[10.0, 15.0], [280.0, 40.0], [35.0, 290.0]],
            vec![[-900.0, 5.0], [1e7, 1e7], [4.0, -1e7]],
        ];
        draw_regions(
            &mut picture,
            [&region(Shape::Polygon(rings))],
            &Affine::IDENTITY,
        );
        for (a, b) in [
            ([10.0, 15.0], [280.0, 40.0]),
            ([280.0, 40.0], [35.0, 290.0]),
            ([35.0, 290.0], [10.0, 15.0]),
        ] {
            for i in 0..=200 {
                let t = f64::from(i) / 200.0;
                let at: [f64; 2] = [0, 1].map(|k| a[k] + t * (b[k] - a[k]));
                let [_, g, _] = picture.get_pixel(at[0] as u32, at[1] as u32).0;
                assert!(g > 60, "a gap at {at:?}: {g}");
            }
        }
    }
}
