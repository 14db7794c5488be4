//! The X-ray as textures: a pyramid, since textures have no mipmaps everywhere and a picture that is
//! shrunk by skipping pixels shows lines that are not there.

use std::sync::Arc;

use egui::{ColorImage, Context, TextureHandle, TextureId, TextureOptions};
use poll_promise::Promise;

use crate::image::Image;
use crate::image::display::{Display, render};
use crate::session::Picture;

/// The pyramid ends at a level whose long side is no longer than this.
const SMALLEST: usize = 256;

/// Stored values, so that grey levels can be chosen live: only the level on screen is rendered again.
type Levels = Vec<Arc<Image>>;

/// The open X-ray for the screen.
#[derive(Default)]
pub(crate) struct Base {
    picture: Option<Arc<Picture>>,
    levels: Option<Promise<Levels>>,
    textures: Vec<Option<Shown>>,
    display: Option<Display>,
}

/// A level in the grey levels that it was last asked for in.
struct Shown {
    display: Display,
    texture: TextureHandle,
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
        let (source, ctx) = (Arc::clone(picture), ctx.clone());
        // Grey levels that were chosen hold for all frames of a file.
        let same_file = |old: Arc<Picture>| old.is_of_same_file(picture);
        if !self.picture.take().is_some_and(same_file) {
            self.display = None;
        }
        self.picture = Some(Arc::clone(picture));
        self.textures.clear();
        self.levels = Some(Promise::spawn_thread("camlens-pyramid", move || {
            let levels = source
                .for_screen()
                .map_or_else(|_| Levels::new(), |image| pyramid(image, max_side));
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

    /// The grey levels in use; `None` while there is no picture.
    pub(crate) fn display(&self) -> Option<Display> {
        let first = || Some(Display::at_first(self.picture.as_ref()?.image()?));
        self.display.clone().or_else(first)
    }

    /// Chooses grey levels; `None` are those of the file.
    pub(crate) fn set_display(&mut self, display: Option<Display>) {
        self.display = display;
    }

    /// Whether grey levels were chosen.
    pub(crate) fn has_own_display(&self) -> bool {
        self.display.is_some()
    }

    /// The texture for a picture that is drawn `pixels_wide` physical pixels wide; `None` while the
    /// pyramid is being built.
    pub(crate) fn texture(&mut self, ctx: &Context, pixels_wide: f32) -> Option<TextureId> {
        let levels = self.levels.as_ref()?.ready()?;
        let level = levels
            .iter()
            .rposition(|level| level.width as f32 >= pixels_wide)
            .unwrap_or(0);
        let image = levels.get(level)?;
        let display = match &self.display {
            Some(display) => display.clone(),
            None => Display::at_first(self.picture.as_ref()?.image().unwrap_or(image)),
        };
        if self.textures.len() < levels.len() {
            self.textures.resize_with(levels.len(), || None);
        }
        let slot = self.textures.get_mut(level)?;
        match slot {
            Some(shown) if shown.display == display => {}
            Some(shown) => {
                let pixels = colours(image, &display);
                shown.texture.set(pixels, TextureOptions::LINEAR);
                shown.display = display;
            }
            None => {
                let name = format!("x-ray {level}");
                let pixels = colours(image, &display);
                let texture = ctx.load_texture(name, pixels, TextureOptions::LINEAR);
                *slot = Some(Shown { display, texture });
            }
        }
        slot.as_ref().map(|shown| shown.texture.id())
    }
}

fn colours(image: &Image, display: &Display) -> ColorImage {
    ColorImage::from_rgb(image.size(), render(image, display).as_raw())
}

/// Largest level first.
fn pyramid(image: Arc<Image>, max_side: usize) -> Levels {
    let mut image = image;
    let mut levels = Levels::new();
    loop {
        let long = image.width.max(image.height);
        if long <= max_side {
            levels.push(Arc::clone(&image));
        }
        if long <= SMALLEST {
            return levels;
        }
        let Ok(smaller) = image.smaller([image.width.div_ceil(2), image.height.div_ceil(2)]) else {
            return levels;
        };
        image = Arc::new(smaller);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_halve_and_keep_grey_levels() {
        let values = vec![90.0; 1501 * 901];
        let image = Image::from_values("grey", [1501, 901], 1, values, 255.0).unwrap();
        let display = Display::at_first(&image);
        let levels = pyramid(Arc::new(image), 1024);
        let sizes: Vec<[usize; 2]> = levels.iter().map(|l| l.size()).collect();
        assert_eq!(sizes, [[751, 451], [376, 226], [188, 113]]);
        for level in levels {
            let pixels = colours(&level, &display).pixels;
            assert!(pixels.iter().all(|p| p.r() == 90 && p.a() == 255));
        }
    }
}
