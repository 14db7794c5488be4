//! The outline of a region on a picture.

use ::image::{Rgb, RgbImage};

/// A colour that neither X-rays nor colour maps have.
pub(super) const COLOUR: Rgb<u8> = Rgb([0, 229, 255]);

/// Draws the border of a region, one flag a pixel row by row, from outside: what is inside stays as it is.
pub fn outline(picture: &mut RgbImage, inside: &[bool]) {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    if inside.len() != width * height {
        return;
    }
    // Fine, but still seen where a large picture is drawn small.
    let reach = (width.max(height) / 320).max(1) as isize;
    let is_inside = |x: isize, y: isize| {
        let on = (0..width as isize).contains(&x) && (0..height as isize).contains(&y);
        on && inside[y as usize * width + x as usize]
    };
    for y in 0..height as isize {
        for x in 0..width as isize {
            if is_inside(x, y) {
                continue;
            }
            let mut near = (-reach..=reach).flat_map(|dy| (-reach..=reach).map(move |dx| (dx, dy)));
            let touches = near
                .any(|(dx, dy)| dx * dx + dy * dy <= reach * reach && is_inside(x + dx, y + dy));
            if touches {
                picture.put_pixel(x as u32, y as u32, COLOUR);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_lies_around_the_region() {
        let mut picture = RgbImage::new(7, 6);
        let inside: Vec<bool> = (0..42)
            .map(|i| (2..4).contains(&(i % 7)) && (2..4).contains(&(i / 7)))
            .collect();
        outline(&mut picture, &inside);
        let marked = |x, y| picture.get_pixel(x, y) == &COLOUR;
        assert!(!marked(2, 2) && !marked(3, 3));
        for (x, y) in [(1, 2), (4, 3), (2, 1), (3, 4)] {
            assert!(marked(x, y), "{x} {y}");
        }
        assert!(!marked(0, 2) && !marked(6, 5));
        let count = picture.pixels().filter(|p| **p == COLOUR).count();
        assert_eq!(count, 8);
    }
}
