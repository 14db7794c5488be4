//! The X-ray as textures: a pyramid, since textures have no mipmaps everywhere and a picture that is
//! shrunk by skipping pixels shows lines that are not there.
//!
//! Memory beside the opened picture is bounded by its pixels: levels below the source take a third of its values
//! (4/3 bytes a pixel and channel), textures at most 16/3 bytes a pixel, and that only where the source itself is on
//! screen: a level has a texture while it is on screen.

use std::sync::Arc;

use egui::{Color32, ColorImage, Context, TextureFilter, TextureHandle, TextureId, TextureOptions};
use poll_promise::Promise;
use rayon::prelude::*;

use crate::image::Image;
use crate::image::display::{Display, render_planes};
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
    options: TextureOptions,
    /// The frame of the window in which it was last on screen.
    seen: u64,
    texture: TextureHandle,
}

/// Frames of the window after which a texture that is not on screen is let go.
const KEPT: u64 = 2;

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
        let first = || self.picture.as_ref()?.first_display().cloned();
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

    /// The texture for a picture whose rows and columns are drawn `pixels` long, in physical pixels; where single pixels
    /// of the source are seen they are `native` squares or smooth. `None` while the pyramid is being built.
    pub(crate) fn texture(
        &mut self,
        ctx: &Context,
        pixels: [f32; 2],
        native: bool,
    ) -> Option<TextureId> {
        let levels = self.levels.as_ref()?.ready()?;
        let is_enough = |level: &Arc<Image>| {
            level.width as f32 >= pixels[0] && level.height as f32 >= pixels[1]
        };
        let level = levels.iter().rposition(is_enough).unwrap_or(0);
        let image = levels.get(level)?;
        // A ready input's picture has colours, whose levels are those that are stored.
        let display = self.display().unwrap_or_else(|| Display::at_first(image));
        let options = TextureOptions {
            magnification: if native {
                TextureFilter::Nearest
            } else {
                TextureFilter::Linear
            },
            ..TextureOptions::LINEAR
        };
        let now = ctx.cumulative_frame_nr();
        self.textures.resize_with(levels.len(), || None);
        // Going back to a level costs one rendering.
        self.textures.iter_mut().for_each(|slot| {
            slot.take_if(|shown| shown.seen + KEPT < now);
        });
        let slot = self.textures.get_mut(level)?;
        match slot {
            Some(shown) if shown.options != options => *slot = None,
            Some(shown) if shown.display != display => {
                shown.texture.set(colours(image, &display), options);
                shown.display = display.clone();
            }
            _ => {}
        }
        let shown = slot.get_or_insert_with(|| Shown {
            texture: ctx.load_texture(format!("x-ray {level}"), colours(image, &display), options),
            display,
            options,
            seen: now,
        });
        shown.seen = now;
        Some(shown.texture.id())
    }

    /// Bytes that are held beside the opened picture: levels below the source, and textures.
    #[cfg(test)]
    fn bytes(&self) -> [usize; 2] {
        let levels = self.levels.as_ref().and_then(|levels| levels.ready());
        let source = self.picture.as_ref().and_then(|p| p.for_screen().ok());
        let own = levels
            .into_iter()
            .flatten()
            .filter(|level| source.as_ref().is_none_or(|s| s.size() != level.size()));
        let textures = self.textures.iter().flatten();
        [
            own.map(|level| 4 * level.values.len()).sum(),
            textures
                .map(|t| 4 * t.texture.size().iter().product::<usize>())
                .sum(),
        ]
    }
}

fn colours(image: &Image, display: &Display) -> ColorImage {
    let planes = render_planes(image, display);
    let pixels = match planes.as_slice() {
        [red, green, blue] => red
            .par_iter()
            .zip(green)
            .zip(blue)
            .map(|((r, g), b)| Color32::from_rgb(*r, *g, *b))
            .collect(),
        [grey, ..] => grey.par_iter().map(|v| Color32::from_gray(*v)).collect(),
        [] => Vec::new(),
    };
    ColorImage::new(image.size(), pixels)
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

    #[test]
    fn memory_is_bounded_by_the_pixels() {
        let [w, h] = [1600, 1200];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep.png");
        let deep = ::image::ImageBuffer::<::image::Luma<u16>, Vec<u16>>::from_fn(
            w as u32,
            h as u32,
            |x, y| ::image::Luma([(x * 37 + y * 11) as u16]),
        );
        deep.save(&path).unwrap();
        let source = crate::plan::ImageSource::Path(path);
        let picture = Arc::new(Picture::open(&source).unwrap());
        let (ctx, mut base) = (Context::default(), Base::default());
        base.show(&ctx, &picture);
        while !base.is_ready() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let pixels = w * h;
        let third = |bytes: usize| bytes as f64 / pixels as f64 - 4.0 / 3.0;
        // Fitted into a panel of 300 x 225, then pixel by pixel, then closer, then whole again.
        let steps = [
            (300.0, false, 4 * 400 * 300),
            (1600.0, false, 4 * pixels * 4 / 3),
            (1600.0, false, 4 * pixels),
            (6400.0, true, 4 * pixels),
            (300.0, true, 4 * pixels * 4 / 3),
            (300.0, true, 4 * 400 * 300),
        ];
        for (wide, native, bound) in steps {
            for _ in 0..=KEPT {
                let _ = ctx.run_ui(egui::RawInput::default(), |ui| {
                    let size = [wide, wide * 0.75];
                    base.texture(ui.ctx(), size, native).unwrap();
                    let [levels, textures] = base.bytes();
                    assert!(third(levels) < 0.01, "{levels}");
                    assert!(textures <= 4 * pixels * 4 / 3, "{textures}");
                });
            }
            let [_, textures] = base.bytes();
            assert!(textures <= bound, "{wide}: {textures} of {bound}");
        }
    }
}
