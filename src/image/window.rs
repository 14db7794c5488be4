//! Grey levels for the eye. Nothing here touches what a model sees.

use ::image::{Rgb, RgbImage};

use super::Image;

/// Stored values that are shown as black and as white.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DisplayWindow {
    /// Shown as black, in stored units.
    pub lo: f32,
    /// Shown as white, in stored units.
    pub hi: f32,
}

impl DisplayWindow {
    /// 8-bit files were windowed by whoever made them: all of 0..=255. Deeper ones rarely fill their
    /// range: smallest to largest value of the data.
    pub fn default_for(image: &Image) -> Self {
        if image.origin.bits == 8 {
            return Self { lo: 0.0, hi: 255.0 };
        }
        let (lo, hi) = image
            .values
            .iter()
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), &v| {
                (lo.min(v), hi.max(v))
            });
        if lo < hi {
            Self { lo, hi }
        } else {
            // One value everywhere: show it against the type's full range.
            Self {
                lo: 0.0,
                hi: image.max_value,
            }
        }
    }

    /// The 8-bit level of a stored value, rounded to the nearest and clamped.
    pub fn level(&self, value: f32) -> u8 {
        let span = self.hi - self.lo;
        // A window of no width is a step.
        let share = if span > 0.0 {
            (value - self.lo) / span
        } else if value >= self.hi {
            1.0
        } else {
            0.0
        };
        // `as` saturates; NaN becomes 0.
        (share * 255.0 + 0.5) as u8
    }
}

/// The base picture under a heatmap: 8-bit, the source's own size; grey images have three equal
/// channels.
pub fn to_u8(image: &Image, window: DisplayWindow) -> RgbImage {
    let mut picture = RgbImage::new(image.width as u32, image.height as u32);
    let red = image.plane(0);
    if image.channels == 3 {
        for (((pixel, &r), &g), &b) in picture
            .pixels_mut()
            .zip(red)
            .zip(image.plane(1))
            .zip(image.plane(2))
        {
            *pixel = Rgb([window.level(r), window.level(g), window.level(b)]);
        }
    } else {
        for (pixel, &v) in picture.pixels_mut().zip(red) {
            *pixel = Rgb([window.level(v); 3]);
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bit_passes_unchanged() {
        let window = DisplayWindow { lo: 0.0, hi: 255.0 };
        for level in 0..=255_u8 {
            assert_eq!(window.level(f32::from(level)), level);
        }
    }

    #[test]
    fn values_outside_the_window_are_black_and_white() {
        let window = DisplayWindow {
            lo: 100.0,
            hi: 200.0,
        };
        assert_eq!(window.level(-5.0), 0);
        assert_eq!(window.level(150.0), 128);
        assert_eq!(window.level(9000.0), 255);
        let step = DisplayWindow { lo: 7.0, hi: 7.0 };
        assert_eq!((step.level(6.9), step.level(7.0)), (0, 255));
    }
}
