//! Regions on a picture: a fine bright line in a thin dark one, seen on grey and on heat.

use ::image::RgbImage;

use super::ink::draw_lines;
use crate::image::geometry::Affine;
use crate::regions::Region;

/// A colour that neither X-rays nor colour maps have.
const COLOUR: [u8; 3] = [0, 229, 255];

/// The outlines of `regions`, each a line that ends where it begins; `picture_from_source` takes a point of the source
/// image to a point of the picture.
pub fn outlines<'a>(
    regions: impl IntoIterator<Item = &'a Region>,
    picture_from_source: &Affine,
) -> Vec<Vec<[f64; 2]>> {
    let lines = regions
        .into_iter()
        .flat_map(|region| region.shape.outline());
    lines
        .map(|mut line| {
            line.extend(line.first().copied());
            let corners = line.into_iter();
            corners.map(|at| picture_from_source.apply(at)).collect()
        })
        .collect()
}

/// Draws the outlines of `regions` on a picture of any size or crop; `picture_from_source` takes a point of the source
/// image to a point of the picture.
pub fn draw_regions<'a>(
    picture: &mut RgbImage,
    regions: impl IntoIterator<Item = &'a Region>,
    picture_from_source: &Affine,
) {
    let lines = outlines(regions, picture_from_source);
    draw_outlines(picture, &lines, &Affine::IDENTITY);
}

/// Draws [`outlines`] on a picture of another size than the one that they were made for. Their width is one of the picture
/// that they come to lie on, and grows with it: 1.5 pixels on a panel of up to 480.
pub(super) fn draw_outlines(
    picture: &mut RgbImage,
    lines: &[Vec<[f64; 2]>],
    picture_from_lines: &Affine,
) {
    if lines.is_empty() {
        return;
    }
    let long = picture.width().max(picture.height()) as f32;
    // On the border of two pixels a finer line would be half as bright.
    let width = (long / 320.0).max(1.5);
    let lines = lines.iter().map(Vec::as_slice);
    draw_lines(picture, lines, picture_from_lines, width, COLOUR);
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

    /// A figure's panel: the line is as bright on a small one as on a large one, although the picture has shrunk.
    #[test]
    fn a_line_is_bright_on_a_panel_of_any_size() {
        let square = Region {
            shape: Shape::Box {
                x: 600.0,
                y: 600.0,
                w: 800.0,
                h: 800.0,
            },
            label: String::new(),
            origin: String::new(),
        };
        let lines = outlines([&square], &Affine::IDENTITY);
        for side in [100usize, 150, 192, 480, 960] {
            let mut panel = RgbImage::from_pixel(side as u32, side as u32, Rgb([140; 3]));
            let from_lines = Affine::scale_to([side; 2], [2048; 2]);
            draw_outlines(&mut panel, &lines, &from_lines);
            let row = |x: usize| panel.get_pixel(x as u32, side as u32 / 2).0;
            let edge = side * 600 / 2048;
            let near = || edge.saturating_sub(4)..edge + 4;
            let brightest = near().map(row).max_by_key(|p| p[1]).unwrap();
            let darkest = near().map(|x| row(x)[1]).min().unwrap();
            assert!(
                brightest[1] > 180 && brightest[0] < 60,
                "{side}: {brightest:?}"
            );
            assert!(darkest < 100, "{side}: {darkest}");
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
