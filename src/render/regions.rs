//! Regions on a picture: a fine bright line in a thin dark one, seen on grey and on heat.

use ::image::RgbImage;

use super::ink::draw_lines;
use super::outline::COLOUR;
use crate::image::geometry::Affine;
use crate::regions::Region;

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
    let lines: Vec<Vec<[f64; 2]>> = regions
        .into_iter()
        .flat_map(|region| region.shape.outline())
        .map(|mut line| {
            line.extend(line.first().copied());
            line
        })
        .collect();
    let lines = lines.iter().map(Vec::as_slice);
    draw_lines(picture, lines, picture_from_source, width, COLOUR.0);
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
