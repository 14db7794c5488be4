//! The X-ray as textures: a pyramid, since textures have no mipmaps everywhere and a picture that is
//! shrunk by skipping pixels shows lines that are not there.

use std::sync::Arc;

use egui::{ColorImage, Context, TextureHandle, TextureId, TextureOptions};
use poll_promise::Promise;

use crate::image::resize_rgb;
use crate::session::Picture;

/// The pyramid ends at a level whose long side is no longer than this.
const SMALLEST: usize = 256;

type Levels = Vec<Arc<ColorImage>>;

/// The open X-ray for the screen.
#[derive(Default)]
pub(crate) struct Base {
    picture: Option<Arc<Picture>>,
    levels: Option<Promise<Levels>>,
    textures: Vec<Option<TextureHandle>>,
}

impl Base {
    /// Takes another picture; its pyramid is built on a thread.
    pub(crate) fn show(&mut self, ctx: &Context, picture: &Arc<Picture>) {
        if self
            .picture
            .as_ref()
            .is_some_and(|p| Arc::ptr_eq(p, picture))
        {
            return;
        }
        let max_side = ctx.input(|i| i.max_texture_side).min(8192);
        let (display, ctx) = (Arc::clone(&picture.display), ctx.clone());
        self.picture = Some(Arc::clone(picture));
        self.textures.clear();
        self.levels = Some(Promise::spawn_thread("camlens-pyramid", move || {
            let levels = pyramid(&display, max_side);
            ctx.request_repaint();
            levels
        }));
    }

    /// Whether the picture can be painted.
    pub(crate) fn is_ready(&self) -> bool {
        self.levels
            .as_ref()
            .is_some_and(|levels| levels.ready().is_some())
    }

    /// The texture for a picture that is drawn `pixels_wide` physical pixels wide; `None` while the
    /// pyramid is being built.
    pub(crate) fn texture(&mut self, ctx: &Context, pixels_wide: f32) -> Option<TextureId> {
        let levels = self.levels.as_ref()?.ready()?;
        let level = levels
            .iter()
            .rposition(|level| level.size[0] as f32 >= pixels_wide)
            .unwrap_or(0);
        let image = levels.get(level)?;
        if self.textures.len() < levels.len() {
            self.textures.resize(levels.len(), None);
        }
        let slot = self.textures.get_mut(level)?;
        let handle = slot.get_or_insert_with(|| {
            ctx.load_texture(
                format!("x-ray {level}"),
                Arc::clone(image),
                TextureOptions::LINEAR,
            )
        });
        Some(handle.id())
    }
}

/// Largest level first.
fn pyramid(picture: &::image::RgbImage, max_side: usize) -> Levels {
    let mut picture = picture.clone();
    let mut levels = Levels::new();
    loop {
        let (w, h) = picture.dimensions();
        let long = w.max(h) as usize;
        if long <= max_side {
            let size = [w as usize, h as usize];
            levels.push(Arc::new(ColorImage::from_rgb(size, picture.as_raw())));
        }
        if long <= SMALLEST {
            return levels;
        }
        let Ok(smaller) = resize_rgb(&picture, w.div_ceil(2), h.div_ceil(2)) else {
            return levels;
        };
        picture = smaller;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::{Rgb, RgbImage};

    #[test]
    fn levels_halve_and_keep_grey_levels() {
        let picture = RgbImage::from_pixel(1501, 901, Rgb([90, 90, 90]));
        let levels = pyramid(&picture, 1024);
        let sizes: Vec<[usize; 2]> = levels.iter().map(|l| l.size).collect();
        assert_eq!(sizes, [[751, 451], [376, 226], [188, 113]]);
        for level in levels {
            assert!(level.pixels.iter().all(|p| p.r() == 90 && p.a() == 255));
        }
    }
}
