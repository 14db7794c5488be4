//! Every resize of the program, antialiased when shrinking.
//!
//! The library's resizer is called for one type of pixel at a time: its untyped entry point brings the code of
//! every type and filter into this crate, minutes of compilation for nothing.

use ::image::RgbImage;
use fast_image_resize::images::TypedImage;
use fast_image_resize::pixels::{F32, U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::text::fault;

/// How values between pixels are found; the names are Pillow's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// The nearest pixel; nothing is averaged.
    Nearest,
    /// Average of the pixels under each target pixel.
    Box,
    /// Triangle.
    #[default]
    Bilinear,
    /// Hamming window.
    Hamming,
    /// Cubic with a = -0.5; may overshoot.
    Bicubic,
    /// Windowed sinc of three lobes; may overshoot.
    Lanczos,
}

impl Filter {
    /// Pillow's number for it, as `resample` in a `preprocessor_config.json`.
    pub fn pillow(self) -> u64 {
        match self {
            Self::Nearest => 0,
            Self::Lanczos => 1,
            Self::Bilinear => 2,
            Self::Bicubic => 3,
            Self::Box => 4,
            Self::Hamming => 5,
        }
    }

    /// The filter of Pillow's number.
    pub fn from_pillow(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|filter| filter.pillow() == code)
    }

    /// The filter of the name that torchvision and timm use.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|filter| filter.name() == name)
    }

    /// The name that torchvision and timm use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Box => "box",
            Self::Bilinear => "bilinear",
            Self::Hamming => "hamming",
            Self::Bicubic => "bicubic",
            Self::Lanczos => "lanczos",
        }
    }

    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Nearest,
        Self::Box,
        Self::Bilinear,
        Self::Hamming,
        Self::Bicubic,
        Self::Lanczos,
    ];
}

/// Resizes one plane from `from` to `to`, both `[width, height]`.
///
/// Bilinear convolution whose support grows with the shrink factor: what Pillow's `BILINEAR` and
/// torch's `antialias=True` do. Where the sizes agree, values pass unchanged bit for bit.
///
/// # Errors
/// Where a side is 0 or `plane` does not have `from[0] * from[1]` values.
pub fn resize_plane(plane: &[f32], from: [usize; 2], to: [usize; 2]) -> Result<Vec<f32>> {
    resize_plane_with(plane, from, to, Filter::Bilinear)
}

/// As [`resize_plane`] with any of Pillow's filters. What a filter overshoots is kept.
///
/// # Errors
/// As [`resize_plane`].
pub fn resize_plane_with(
    plane: &[f32],
    from: [usize; 2],
    to: [usize; 2],
    filter: Filter,
) -> Result<Vec<f32>> {
    let wrong = || fault::resize(from, to);
    if Some(plane.len()) != from[0].checked_mul(from[1]) || plane.is_empty() || to.contains(&0) {
        return Err(wrong());
    }
    if from == to {
        return Ok(plane.to_vec());
    }
    let kernel = match filter {
        Filter::Nearest => return Ok(nearest(plane, from, to)),
        Filter::Box => FilterType::Box,
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Hamming => FilterType::Hamming,
        Filter::Bicubic => FilterType::CatmullRom,
        Filter::Lanczos => FilterType::Lanczos3,
    };
    let pixels = plane.iter().map(|&v| F32::new(v)).collect();
    let out = convolve(pixels, from, to, kernel)?;
    Ok(out.pixels().iter().map(|pixel| pixel.0).collect())
}

/// The pixel under the centre of each target pixel, as Pillow chooses it.
fn nearest(plane: &[f32], from: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    let place = |i: usize, axis: usize| {
        let at = (i as f64 + 0.5) * from[axis] as f64 / to[axis] as f64;
        (at as usize).min(from[axis] - 1)
    };
    let mut out = Vec::with_capacity(to[0] * to[1]);
    for y in 0..to[1] {
        let row = place(y, 1) * from[0];
        out.extend((0..to[0]).filter_map(|x| plane.get(row + place(x, 0)).copied()));
    }
    out
}

/// As [`resize_plane`] for 8-bit grey levels, rounded as Pillow rounds them.
///
/// # Errors
/// As [`resize_plane`].
pub fn resize_grey(plane: &[u8], from: [usize; 2], to: [usize; 2]) -> Result<Vec<u8>> {
    let pixels = plane.iter().map(|&v| U8::new(v)).collect();
    let out = convolve(pixels, from, to, FilterType::Bilinear)?;
    Ok(out.pixels().iter().map(|pixel| pixel.0).collect())
}

/// Resizes a picture for the eye; bicubic, which keeps it crisper than [`resize_plane`].
///
/// # Errors
/// Where a side is 0.
pub fn resize_rgb(picture: &RgbImage, width: u32, height: u32) -> Result<RgbImage> {
    let from = [picture.width() as usize, picture.height() as usize];
    let to = [width as usize, height as usize];
    let pixels = picture.pixels().map(|p| U8x3::new(p.0)).collect();
    let out = convolve(pixels, from, to, FilterType::CatmullRom)?;
    let bytes = out.pixels().iter().flat_map(|pixel| pixel.0).collect();
    RgbImage::from_raw(width, height, bytes).ok_or_else(|| fault::resize(from, to))
}

fn convolve<P: PixelTrait>(
    pixels: Vec<P>,
    from: [usize; 2],
    to: [usize; 2],
    filter: FilterType,
) -> Result<TypedImage<'static, P>> {
    let wrong = || fault::resize(from, to);
    let side = |length: usize| u32::try_from(length).map_err(|_| wrong());
    let source =
        TypedImage::from_pixels(side(from[0])?, side(from[1])?, pixels).map_err(|_| wrong())?;
    let mut target = TypedImage::<P>::new(side(to[0])?, side(to[1])?);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    Resizer::new()
        .resize_typed(&source, &mut target, &options)
        .map_err(|_| wrong())?;
    Ok(target)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn same_size_is_untouched() {
        let plane = [0.1, f32::MIN_POSITIVE, 3.0, -7.5, 65535.0, 1e-30];
        assert_eq!(resize_plane(&plane, [3, 2], [3, 2]).unwrap(), plane);
    }

    #[test]
    fn halving_is_antialiased_as_in_pillow() {
        // Image.fromarray(f32).resize((2, 1), BILINEAR): triangle of support 2 about each centre.
        let out = resize_plane(&[0.0, 0.0, 8.0, 8.0], [4, 1], [2, 1]).unwrap();
        assert!((out[0] - 8.0 / 7.0).abs() < 1e-5, "{out:?}");
        assert!((out[1] - 48.0 / 7.0).abs() < 1e-5, "{out:?}");
    }

    #[test]
    fn every_filter_agrees_with_pillow() {
        // Image.fromarray(a).resize((3, 4), filter) of Pillow 11 for a = (arange(35) * 37 % 101) as [5, 7] f32.
        let plane: Vec<f32> = (0..35).map(|i| (i * 37 % 101) as f32).collect();
        #[rustfmt::skip]
        let expected: [(Filter, [f32; 12]); 6] = [
            (Filter::Nearest, [37.0, 10.0, 84.0, 94.0, 67.0, 40.0, 6.0, 80.0, 53.0, 63.0, 36.0, 9.0]),
            (Filter::Box, [18.5, 43.6667, 52.0, 53.5, 45.0, 61.75, 38.0, 46.3333, 71.5, 44.5, 69.6667, 27.5]),
            (Filter::Bilinear, [40.5536, 40.5882, 51.2321, 57.756, 47.1814, 54.006, 40.0893, 51.299, 61.5893, 52.4821, 57.3971, 41.5179]),
            (Filter::Hamming, [31.6435, 35.6499, 54.3172, 61.4114, 44.7207, 55.5529, 36.9453, 52.7271, 64.2532, 51.7936, 59.3974, 34.1787]),
            (Filter::Bicubic, [38.9474, 40.9636, 50.0382, 60.7737, 45.7885, 53.7378, 37.8494, 51.0357, 63.7567, 52.8228, 60.3868, 38.341]),
            (Filter::Lanczos, [39.7996, 41.732, 47.9809, 62.9955, 46.7558, 52.2714, 36.2668, 50.9181, 65.0776, 54.2416, 59.7698, 36.6421]),
        ];
        for (filter, expected) in expected {
            let out = resize_plane_with(&plane, [7, 5], [3, 4], filter).unwrap();
            for (a, b) in out.iter().zip(expected) {
                assert!((a - b).abs() < 2e-3, "{filter:?}: {out:?}");
            }
            assert_eq!(Filter::by_name(filter.name()), Some(filter));
            assert_eq!(Filter::from_pillow(filter.pillow()), Some(filter));
        }
    }

    #[test]
    fn sizes_are_checked() {
        assert!(resize_plane(&[0.0; 4], [3, 2], [2, 2]).is_err());
        assert!(resize_plane(&[0.0; 4], [2, 2], [0, 2]).is_err());
        assert!(resize_plane(&[], [0, 0], [2, 2]).is_err());
    }
}
