//! Grey levels of whole pictures.

use ::image::{GrayImage, Rgb, RgbImage};
use rayon::prelude::*;

use super::{Display, Image};

/// Levels of all values that the image can have, where they are whole numbers of at most 16 bits.
fn table(image: &Image, display: &Display) -> Option<Vec<u8>> {
    let whole = image.origin.bits <= 16 && image.max_value <= 65_535.0;
    whole.then(|| {
        let values = 0..image.max_value as usize + 1;
        let level = |v: usize| display.level(&image.presentation, v as f32);
        match values.len() <= FEW_VALUES {
            true => values.map(level).collect(),
            false => (values.into_par_iter().with_min_len(1024))
                .map(level)
                .collect(),
        }
    })
}

/// Pixels that one task takes.
const CHUNK: usize = 1 << 16;
/// Up to so many pixels are looked up on the spot: the window does it in a frame, and must not wait for threads that the
/// network keeps busy.
const FEW_PIXELS: usize = 1 << 20;
/// The same for entries of the table.
const FEW_VALUES: usize = 1 << 14;

fn plane_levels(image: &Image, plane: &[f32], display: &Display, table: Option<&[u8]>) -> Vec<u8> {
    if let (Some(table), true) = (table, plane.len() <= FEW_PIXELS) {
        let level = |v: &f32| table.get(*v as usize).copied().unwrap_or(u8::MAX);
        return plane.iter().map(level).collect();
    }
    let mut levels = vec![0; plane.len()];
    let chunks = levels.par_chunks_mut(CHUNK).zip(plane.par_chunks(CHUNK));
    match table {
        Some(table) => chunks.for_each(|(levels, values)| {
            for (level, &v) in levels.iter_mut().zip(values) {
                *level = table.get(v as usize).copied().unwrap_or(u8::MAX);
            }
        }),
        None => chunks.for_each(|(levels, values)| {
            for (level, &v) in levels.iter_mut().zip(values) {
                *level = display.level(&image.presentation, v);
            }
        }),
    }
    levels
}

/// The picture as 8-bit grey, of its stored size. Colour is shown by its luma.
pub fn render_grey(image: &Image, display: &Display) -> GrayImage {
    let table = table(image, display);
    let levels = if image.channels == 3 {
        plane_levels(image, &image.grey(), display, table.as_deref())
    } else {
        plane_levels(image, image.plane(0), display, table.as_deref())
    };
    GrayImage::from_raw(image.width as u32, image.height as u32, levels).unwrap_or_default()
}

/// The picture's channels as 8-bit levels, each row by row, of its stored size.
pub fn render_planes(image: &Image, display: &Display) -> Vec<Vec<u8>> {
    let table = table(image, display);
    (0..image.channels)
        .map(|channel| plane_levels(image, image.plane(channel), display, table.as_deref()))
        .collect()
}

/// The picture as 8-bit red, green and blue, of its stored size; grey pictures have three equal channels.
pub fn render(image: &Image, display: &Display) -> RgbImage {
    let planes = render_planes(image, display);
    let mut picture = RgbImage::new(image.width as u32, image.height as u32);
    let pixels: &mut [u8] = picture.as_mut();
    match planes.as_slice() {
        [red, green, blue] => pixels
            .par_chunks_mut(3 * CHUNK)
            .zip(red.par_chunks(CHUNK))
            .zip(green.par_chunks(CHUNK))
            .zip(blue.par_chunks(CHUNK))
            .for_each(|(((pixels, red), green), blue)| {
                for (((pixel, r), g), b) in pixels.chunks_exact_mut(3).zip(red).zip(green).zip(blue)
                {
                    pixel.copy_from_slice(&Rgb([*r, *g, *b]).0);
                }
            }),
        [grey, ..] => pixels
            .par_chunks_mut(3 * CHUNK)
            .zip(grey.par_chunks(CHUNK))
            .for_each(|(pixels, grey)| {
                for (pixel, level) in pixels.chunks_exact_mut(3).zip(grey) {
                    pixel.fill(*level);
                }
            }),
        [] => {}
    }
    picture
}
