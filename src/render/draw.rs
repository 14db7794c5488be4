//! The inks and the few strokes that figures need.

use ::image::{Rgb, RgbImage};

/// Colours of the paper and what is on it.
pub(super) struct Look {
    pub(super) paper: [u8; 3],
    pub(super) ink: [u8; 3],
    pub(super) muted: [u8; 3],
    pub(super) rule: [u8; 3],
    pub(super) blank: [u8; 3],
    pub(super) hatch: [u8; 3],
    pub(super) notice_paper: [u8; 3],
    pub(super) notice_edge: [u8; 3],
    pub(super) notice_ink: [u8; 3],
    pub(super) warning: [u8; 3],
}

/// Dark on white.
pub(super) const PRINT: Look = Look {
    paper: [255, 255, 255],
    ink: [23, 27, 33],
    muted: [94, 102, 114],
    rule: [218, 222, 228],
    blank: [247, 248, 250],
    hatch: [196, 202, 211],
    notice_paper: [255, 247, 230],
    notice_edge: [214, 137, 16],
    notice_ink: [112, 66, 0],
    warning: [160, 28, 28],
};

/// `share` of `above` over `below`.
pub(super) fn mix(below: [u8; 3], above: [u8; 3], share: f32) -> [u8; 3] {
    let share = share.clamp(0.0, 1.0);
    std::array::from_fn(|i| {
        let (a, b) = (f32::from(below[i]), f32::from(above[i]));
        (a + (b - a) * share + 0.5) as u8
    })
}

/// A rectangle of pixels: left, top, width, height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) width: f32,
    pub(super) height: f32,
}

impl Area {
    /// Whole pixels inside `canvas`: left, top, right, bottom.
    fn pixels(&self, canvas: &RgbImage) -> (u32, u32, u32, u32) {
        let clip = |v: f32, max: u32| (v.round().max(0.0) as u32).min(max);
        (
            clip(self.x, canvas.width()),
            clip(self.y, canvas.height()),
            clip(self.x + self.width, canvas.width()),
            clip(self.y + self.height, canvas.height()),
        )
    }
}

/// Fills an area with what `colour` gives for each pixel, counted from the area's corner.
pub(super) fn fill_with(
    canvas: &mut RgbImage,
    area: Area,
    mut colour: impl FnMut(u32, u32) -> [u8; 3],
) {
    let (left, top, right, bottom) = area.pixels(canvas);
    for y in top..bottom {
        for x in left..right {
            canvas.put_pixel(x, y, Rgb(colour(x - left, y - top)));
        }
    }
}

/// Fills an area with one colour.
pub(super) fn fill(canvas: &mut RgbImage, area: Area, colour: [u8; 3]) {
    fill_with(canvas, area, |_, _| colour);
}

/// Copies `picture` to `x`, `y`; what lies outside the canvas is dropped.
pub(super) fn paste(canvas: &mut RgbImage, picture: &RgbImage, x: f32, y: f32) {
    ::image::imageops::replace(canvas, picture, x.round() as i64, y.round() as i64);
}

/// A dashed outline along the inside of an area, light and dark in turn so that it shows on any
/// background.
pub(super) fn dashed_outline(canvas: &mut RgbImage, area: Area, thickness: u32, dash: u32) {
    const LIGHT: [u8; 3] = [255, 255, 255];
    const DARK: [u8; 3] = [40, 44, 52];
    let (left, top, right, bottom) = area.pixels(canvas);
    for y in top..bottom {
        for x in left..right {
            let from_side = (x - left).min(right - 1 - x);
            let from_end = (y - top).min(bottom - 1 - y);
            if from_side >= thickness && from_end >= thickness {
                continue;
            }
            let along = if from_end < thickness {
                x - left
            } else {
                y - top
            };
            let colour = if (along / dash.max(1)).is_multiple_of(2) {
                LIGHT
            } else {
                DARK
            };
            canvas.put_pixel(x, y, Rgb(colour));
        }
    }
}
