//! The X-ray as textures: a pyramid, since textures have no mipmaps everywhere and a picture that is
//! shrunk by skipping pixels shows lines that are not there.
//!
//! Memory beside the opened picture is bounded by its pixels: levels below the source take a third of its values
//! (4/3 bytes a pixel and channel), textures at most 16/3 bytes a pixel, and that only where the source itself is on
//! screen: a level has a texture while it is on screen.

use std::sync::Arc;

use egui::{Color32, ColorImage, Context, TextureFilter, TextureHandle, TextureId, TextureOptions};
use poll_promise::Promise;

use crate::image::Image;
use crate::image::display::{Display, render_planes};
use crate::session::Picture;

/// The pyramid ends at a level whose long side is no longer than this.
const SMALLEST: usize = 256;

/// Side of the squares by which a level is rendered.
const TILE: usize = 256;

/// Stored values, so that grey levels can be chosen live: only what is on screen is rendered again.
type Levels = Vec<Arc<Image>>;

/// The open X-ray for the screen.
#[derive(Default)]
pub(crate) struct Base {
    picture: Option<Arc<Picture>>,
    levels: Option<Promise<Levels>>,
    textures: Vec<Option<Shown>>,
    display: Option<Display>,
}

/// A level as a texture.
struct Shown {
    /// The grey levels that it was last asked for in, and their number.
    display: Display,
    version: u64,
    options: TextureOptions,
    /// The frame of the window in which it was last on screen.
    seen: u64,
    texture: TextureHandle,
    /// Which version each square was rendered in, row by row; 0 for none.
    tiles: Vec<u64>,
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
        self.texture_of(ctx, pixels, native, [[0.0; 2], [1.0; 2]])
    }

    /// The same where only a part of the picture is seen: its upper left and lower right corner, in shares of the
    /// picture's sides. What lies outside may be in grey levels of before.
    pub(crate) fn texture_of(
        &mut self,
        ctx: &Context,
        pixels: [f32; 2],
        native: bool,
        seen: [[f64; 2]; 2],
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
        slot.take_if(|shown| shown.options != options);
        let shown = slot.get_or_insert_with(|| Shown::new(ctx, level, image, &display, options));
        shown.seen = now;
        shown.update(image, &display, seen);
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

/// Squares along a side.
fn tiles(side: usize) -> usize {
    side.div_ceil(TILE)
}

impl Shown {
    fn new(
        ctx: &Context,
        level: usize,
        image: &Image,
        display: &Display,
        options: TextureOptions,
    ) -> Self {
        let blank = ColorImage::filled(image.size(), Color32::BLACK);
        let name = format!("x-ray {level}");
        Self {
            display: display.clone(),
            version: 1,
            options,
            seen: 0,
            texture: ctx.load_texture(name, blank, options),
            tiles: vec![0; tiles(image.width) * tiles(image.height)],
        }
    }

    /// Renders what is seen of the picture and does not stand in these grey levels yet.
    fn update(&mut self, image: &Image, display: &Display, seen: [[f64; 2]; 2]) {
        if self.display != *display {
            self.display = display.clone();
            self.version += 1;
        }
        let size = image.size();
        let across = tiles(size[0]);
        let squares = |axis: usize| {
            let [from, to] = seen.map(|corner| corner[axis].clamp(0.0, 1.0) * size[axis] as f64);
            // A cell more on each side: what lies between two pixels is drawn from both.
            let first = (from.min(to) as usize).saturating_sub(1) / TILE;
            let end = tiles((from.max(to).ceil() as usize + 1).min(size[axis]));
            first..end
        };
        let (columns, rows) = (squares(0), squares(1));
        let version = self.version;
        let mut stale: Option<[[usize; 2]; 2]> = None;
        for row in rows {
            for column in columns.clone() {
                let Some(tile) = self.tiles.get_mut(row * across + column) else {
                    continue;
                };
                if std::mem::replace(tile, version) != version {
                    let [[left, top], [right, bottom]] =
                        stale.unwrap_or([[column, row], [column, row]]);
                    stale = Some([
                        [left.min(column), top.min(row)],
                        [right.max(column), bottom.max(row)],
                    ]);
                }
            }
        }
        let Some([first, last]) = stale else {
            return;
        };
        // One rectangle, since every upload has its price; what it holds beside the squares is right as well.
        let from = first.map(|tile| tile * TILE);
        let to = [0, 1].map(|axis| ((last[axis] + 1) * TILE).min(size[axis]));
        let pixels = colours(image, display, from, to);
        if pixels.size == size {
            self.texture.set(pixels, self.options);
        } else {
            self.texture.set_partial(from, pixels, self.options);
        }
    }
}

/// The pixels of a part of a picture, from its upper left to its lower right corner.
fn colours(image: &Image, display: &Display, from: [usize; 2], to: [usize; 2]) -> ColorImage {
    let size = [0, 1].map(|axis| to[axis].saturating_sub(from[axis]));
    let part = (size != image.size()).then(|| image.part(from, size));
    let image = part.as_ref().unwrap_or(image);
    let planes = render_planes(image, display);
    let pixels = match planes.as_slice() {
        [red, green, blue] => (red.iter().zip(green).zip(blue))
            .map(|((r, g), b)| Color32::from_rgb(*r, *g, *b))
            .collect(),
        [grey, ..] => grey.iter().map(|v| Color32::from_gray(*v)).collect(),
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
            let pixels = colours(&level, &display, [0, 0], level.size()).pixels;
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
                let mut output = ctx.run_ui(egui::RawInput::default(), |ui| {
                    let size = [wide, wide * 0.75];
                    base.texture(ui.ctx(), size, native).unwrap();
                    let [levels, textures] = base.bytes();
                    assert!(third(levels) < 0.01, "{levels}");
                    assert!(textures <= 4 * pixels * 4 / 3, "{textures}");
                });
                // There is no card to hand them to.
                output.textures_delta.clear();
            }
            let [_, textures] = base.bytes();
            assert!(textures <= bound, "{wide}: {textures} of {bound}");
        }
    }

    #[test]
    fn only_what_is_seen_is_rendered_again() {
        let values: Vec<f32> = (0..700 * 600).map(|i| (i % 251) as f32).collect();
        let image = Image::from_values("grey", [700, 600], 1, values, 255.0).unwrap();
        let (ctx, mut display) = (Context::default(), Display::at_first(&image));
        let mut shown = Shown::new(&ctx, 0, &image, &display, TextureOptions::LINEAR);
        // The upper left corner: one square.
        let corner = [[0.0, 0.0], [0.2, 0.2]];
        shown.update(&image, &display, corner);
        assert_eq!(shown.tiles, [1, 0, 0, 0, 0, 0, 0, 0, 0]);
        display.invert = true;
        shown.update(&image, &display, corner);
        assert_eq!(shown.tiles, [2, 0, 0, 0, 0, 0, 0, 0, 0]);
        shown.update(&image, &display, [[0.5, 0.2], [1.0, 0.6]]);
        assert_eq!(shown.tiles, [2, 2, 2, 0, 2, 2, 0, 0, 0]);
        shown.update(&image, &display, [[0.0; 2], [1.0; 2]]);
        assert_eq!(shown.tiles, [2; 9]);
    }

    #[test]
    fn a_part_has_the_colours_of_the_whole() {
        for channels in [1, 3] {
            let values = (0..channels * 40 * 30).map(|i| (i % 200) as f32).collect();
            let image = Image::from_values("part", [40, 30], channels, values, 255.0).unwrap();
            let display = Display::at_first(&image);
            let whole = colours(&image, &display, [0, 0], [40, 30]);
            let part = colours(&image, &display, [7, 11], [40, 20]);
            assert_eq!(part.size, [33, 9]);
            for y in 0..9 {
                for x in 0..33 {
                    assert_eq!(part[(x, y)], whole[(x + 7, y + 11)]);
                }
            }
        }
    }
}
