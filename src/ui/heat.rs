//! One panel's heat: from the raw map to a texture, each step redone only when what it reads changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use egui::{Color32, ColorImage, Context, Rect, TextureHandle, TextureId, TextureOptions, pos2};

use super::state::Look;
use crate::evaluate::fostering::Indicators;
use crate::explain::RawMap;
use crate::plan::{Contours, Sign, View};
use crate::post::{
    Chosen, Contour, Difference, Field, ScaleRange, choose, contours, difference, hidden_sign,
};
use crate::render::{ENTRIES, HeatLut};

/// Share of the field under which what is drawn is easily overlooked: 15 by 15 pixels of 224 by 224.
const HARDLY: f32 = 0.0045;
/// Share of the overlay's opacity up to which a cell is not seen.
const FAINT: f32 = 0.25;

/// What the field was chosen by.
#[derive(Clone, Copy, PartialEq)]
struct FieldKey {
    sign: Sign,
    denoise: f32,
}

/// What the texture was made from.
#[derive(Clone, Copy, PartialEq)]
struct ColourKey {
    version: u64,
    range: ScaleRange,
    sign: Sign,
    view: View,
    cut: f32,
}

/// The caches of a panel.
#[derive(Default)]
pub(crate) struct Heat {
    /// Held, so that its address names it.
    map: Option<Arc<RawMap>>,
    /// How concentrated the map is, once somebody asks.
    indicators: Option<Indicators>,
    /// What must be said about the sign that is not shown.
    hidden_sign: Option<String>,
    chosen: Option<(FieldKey, Chosen)>,
    blurred: Option<(f32, Field)>,
    /// Largest magnitude of the blurred field.
    largest: f32,
    /// Changes whenever the blurred field does.
    version: u64,
    coloured: Coloured,
    lines: Option<(LinesKey, Vec<Contour>)>,
}

/// What lines of equal value were made from.
#[derive(Clone, Copy, PartialEq)]
struct LinesKey {
    version: u64,
    range: ScaleRange,
    sign: Sign,
    contours: Contours,
}

/// A field's colours as a texture.
#[derive(Default)]
struct Coloured {
    key: Option<ColourKey>,
    /// Share of the field's cells that are drawn so that they are seen.
    drawn: f32,
    /// What holds all that is not transparent, in shares of the texture's sides; `None` where all is.
    part: Option<Rect>,
    /// What the texture is to show, once the graphics library can be handed it.
    image: Option<ColorImage>,
    texture: Option<TextureHandle>,
}

/// Heat that is to be painted.
#[derive(Clone, Copy)]
pub(crate) struct Painted {
    /// The whole field.
    pub(crate) texture: TextureId,
    /// What has to be painted of it, in shares of its sides: without a graphics card transparent pixels cost as
    /// much as others.
    pub(crate) part: Rect,
}

/// The smallest rectangle around all cells that are not transparent, in shares of the picture's sides.
fn painted(image: &ColorImage) -> Option<Rect> {
    let [width, height] = image.size;
    let seen = |pixel: &Color32| *pixel != Color32::TRANSPARENT;
    let mut found: Option<[usize; 4]> = None;
    for (y, row) in image.pixels.chunks_exact(width.max(1)).enumerate() {
        let Some(first) = row.iter().position(seen) else {
            continue;
        };
        let last = row.iter().rposition(seen).unwrap_or(first);
        let [left, top, right, _] = found.unwrap_or([first, y, last, y]);
        found = Some([left.min(first), top, right.max(last), y]);
    }
    // Between the centres of two cells the one fades into the other.
    let [left, top, right, bottom] = found?;
    let share = |cell: usize, side: usize| cell as f32 / side as f32;
    Some(Rect::from_min_max(
        pos2(
            share(left.saturating_sub(1), width),
            share(top.saturating_sub(1), height),
        ),
        pos2(
            share((right + 2).min(width), width),
            share((bottom + 2).min(height), height),
        ),
    ))
}

impl ColourKey {
    /// `None` where nothing is to be drawn.
    fn of(field: &Field, version: u64, range: ScaleRange, look: &Look) -> Option<Self> {
        (!field.empty && !range.is_flat()).then_some(Self {
            version,
            range,
            sign: look.post.sign,
            view: look.view,
            cut: look.post.cut,
        })
    }
}

impl Coloured {
    /// Brings the image up to date.
    fn colour(&mut self, field: &Field, key: ColourKey) {
        if self.key == Some(key) {
            return;
        }
        let size = [field.width, field.height];
        let lut = HeatLut::new(key.range, key.sign, &key.view, key.cut);
        // Premultiplied once for each colour of the scale, not for each cell.
        let mut colours = [Color32::TRANSPARENT; ENTRIES];
        for (colour, &[r, g, b, a]) in colours.iter_mut().zip(lut.entries()) {
            *colour = Color32::from_rgba_unmultiplied(r, g, b, a);
        }
        // One thing at a time is twice as fast: the numbers in whole vectors, then the look-ups.
        let mut entries = vec![0_u16; field.values.len()];
        lut.entries_of(&field.values, &mut entries);
        let colour = |entry: &u16| colours[usize::from(*entry) % ENTRIES];
        let image = ColorImage::new(size, entries.iter().map(colour).collect());
        let faint = (255.0 * FAINT * key.view.opacity) as u8;
        // In 32 bits, which fit a vector better than an address.
        let visible = |pixel: &Color32| u32::from(pixel.a() > faint);
        let visible: u32 = image.pixels.iter().map(visible).sum();
        self.part = painted(&image);
        self.drawn = visible as f32 / (field.values.len().max(1)) as f32;
        self.image = Some(image);
        self.key = Some(key);
    }

    /// The image as a texture.
    fn texture(&mut self, ctx: &Context, field: &Field, key: ColourKey) -> Option<Painted> {
        self.colour(field, key);
        if let Some(image) = self.image.take() {
            match &mut self.texture {
                // The same memory again where the size allows: much cheaper than a new texture.
                Some(texture) if texture.size() == image.size => {
                    texture.set_partial([0, 0], image, TextureOptions::LINEAR);
                }
                slot => *slot = Some(ctx.load_texture("heat", image, TextureOptions::LINEAR)),
            }
        }
        Some(Painted {
            texture: self.texture.as_ref()?.id(),
            part: self.part?,
        })
    }
}

/// A number that no field had before.
fn next_version() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// Two fields' difference, kept as long as both stand.
#[derive(Default)]
pub(crate) struct DuelHeat {
    of: Option<[(u64, ScaleRange); 2]>,
    pub(crate) found: Option<Difference>,
    version: u64,
    coloured: Coloured,
}

impl DuelHeat {
    /// Brings the difference of two panels' fields up to date.
    pub(crate) fn update(&mut self, a: (&Heat, ScaleRange), b: (&Heat, ScaleRange)) {
        let of = [(a.0.version, a.1), (b.0.version, b.1)];
        if self.of != Some(of) {
            self.found = (a.0.field().zip(b.0.field()))
                .and_then(|(first, second)| difference((first, a.1), (second, b.1)));
            self.of = Some(of);
            self.version = next_version();
        }
    }

    /// As [`Heat::texture`].
    pub(crate) fn texture(
        &mut self,
        ctx: &Context,
        range: ScaleRange,
        look: &Look,
    ) -> Option<Painted> {
        let field = &self.found.as_ref()?.field;
        let key = ColourKey::of(field, self.version, range, look)?;
        self.coloured.texture(ctx, field, key)
    }

    /// The difference at a point of the source image.
    pub(crate) fn value_at(&self, source: [f64; 2]) -> Option<f32> {
        value_at(&self.found.as_ref()?.field, source)
    }
}

fn value_at(field: &Field, source: [f64; 2]) -> Option<f32> {
    let [x, y] = field.field_from_source().apply(source);
    if x < 0.0 || y < 0.0 || x >= field.width as f64 || y >= field.height as f64 {
        return None;
    }
    field
        .values
        .get(y as usize * field.width + x as usize)
        .copied()
}

impl Heat {
    /// Whether [`Heat::update`] would do nothing.
    pub(crate) fn is_of(&self, map: &Arc<RawMap>, look: &Look) -> bool {
        let key = FieldKey {
            sign: look.post.sign,
            denoise: look.post.denoise,
        };
        self.map.as_ref().is_some_and(|m| Arc::ptr_eq(m, map))
            && self.chosen.as_ref().is_some_and(|(of, _)| *of == key)
            && (self.blurred.as_ref()).is_some_and(|(sigma, _)| *sigma == look.post.blur_px)
    }

    /// Brings the field up to date with a map and settings. `target` is what notices call the class.
    pub(crate) fn update(&mut self, map: &Arc<RawMap>, look: &Look, target: &str) {
        if !self.map.as_ref().is_some_and(|m| Arc::ptr_eq(m, map)) {
            self.forget();
            self.map = Some(Arc::clone(map));
        }
        let key = FieldKey {
            sign: look.post.sign,
            denoise: look.post.denoise,
        };
        if self.chosen.as_ref().is_none_or(|(k, _)| *k != key) {
            let chosen = choose(map, key.sign, key.denoise, target);
            self.hidden_sign = hidden_sign(map, key.sign);
            self.chosen = Some((key, chosen));
            self.blurred = None;
        }
        let sigma = look.post.blur_px;
        if let Some((_, chosen)) = &self.chosen
            && self.blurred.as_ref().is_none_or(|(s, _)| *s != sigma)
        {
            let blurred = chosen.field(sigma);
            self.largest = blurred.largest();
            self.blurred = Some((sigma, blurred));
            self.version = next_version();
        }
    }

    /// Drops everything: what a waiting panel must not show.
    pub(crate) fn forget(&mut self) {
        let texture = self.coloured.texture.take();
        *self = Self {
            coloured: Coloured {
                texture,
                ..Coloured::default()
            },
            ..Self::default()
        };
    }

    /// The processed field, once there is one.
    pub(crate) fn field(&self) -> Option<&Field> {
        self.blurred.as_ref().map(|(_, field)| field)
    }

    /// The largest magnitude of the field, once there is one.
    pub(crate) fn largest(&self) -> Option<f32> {
        self.blurred.as_ref().map(|_| self.largest)
    }

    /// The raw map, once there is one.
    pub(crate) fn map(&self) -> Option<&Arc<RawMap>> {
        self.map.as_ref()
    }

    /// How concentrated the map is.
    pub(crate) fn indicators(&mut self) -> Option<&Indicators> {
        let map = self.map.as_ref()?;
        Some(self.indicators.get_or_insert_with(|| Indicators::of(map)))
    }

    /// That a part of the map is hidden because of its sign, where that must be said.
    pub(crate) fn hidden_sign(&self) -> Option<&str> {
        self.hidden_sign.as_deref()
    }

    fn colour_key(&self, range: ScaleRange, look: &Look) -> Option<ColourKey> {
        ColourKey::of(self.field()?, self.version, range, look)
    }

    /// Whether [`Heat::colour`] would do nothing.
    pub(crate) fn is_coloured(&self, range: ScaleRange, look: &Look) -> bool {
        let key = self.colour_key(range, look);
        key.is_none() || key == self.coloured.key
    }

    /// Makes the field's colours, without a graphics library, so that several panels' are made side by side.
    pub(crate) fn colour(&mut self, range: ScaleRange, look: &Look) {
        if let Some(key) = self.colour_key(range, look)
            && let Some((_, field)) = &self.blurred
        {
            self.coloured.colour(field, key);
        }
    }

    /// The coloured field as a texture of the field's size; `None` where nothing is to be drawn.
    pub(crate) fn texture(
        &mut self,
        ctx: &Context,
        range: ScaleRange,
        look: &Look,
    ) -> Option<Painted> {
        let key = self.colour_key(range, look)?;
        let (_, field) = self.blurred.as_ref()?;
        self.coloured.texture(ctx, field, key)
    }

    /// Lines of equal value.
    pub(crate) fn contours(&mut self, range: ScaleRange, look: &Look) -> &[Contour] {
        let key = LinesKey {
            version: self.version,
            range,
            sign: look.post.sign,
            contours: look.view.contours,
        };
        if self.lines.as_ref().is_none_or(|(of, _)| *of != key) {
            let field = self.blurred.as_ref().map(|(_, field)| field);
            let lines = field.map(|field| contours(field, range, key.sign, key.contours));
            self.lines = Some((key, lines.unwrap_or_default()));
        }
        self.lines.as_ref().map_or(&[], |(_, lines)| lines)
    }

    /// Whether the eye finds nearly nothing although the map is not empty: a few pixels far above all others set the
    /// scale.
    pub(crate) fn hardly_drawn(&self) -> bool {
        self.coloured
            .key
            .is_some_and(|key| key.view.opacity > 0.0 && self.coloured.drawn < HARDLY)
            && self.field().is_some_and(|field| !field.empty)
    }

    /// The field's value at a point of the source image, in the raw map's units.
    pub(crate) fn value_at(&self, source: [f64; 2]) -> Option<f32> {
        value_at(self.field()?, source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_painted_holds_all_that_is_seen() {
        let blank = ColorImage::filled([10, 8], Color32::TRANSPARENT);
        assert!(painted(&blank).is_none());
        let mut dots = blank;
        dots[(3, 2)] = Color32::RED;
        dots[(6, 5)] = Color32::from_rgba_unmultiplied(255, 0, 0, 4);
        let part = painted(&dots).unwrap();
        assert_eq!(part, Rect::from_min_max(pos2(0.2, 0.125), pos2(0.8, 0.875)));
        dots[(0, 0)] = Color32::RED;
        dots[(9, 7)] = Color32::RED;
        let part = painted(&dots).unwrap();
        assert_eq!(part, Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0)));
    }
}
