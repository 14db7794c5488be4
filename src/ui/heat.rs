//! One panel's heat: from the raw map to a texture, each step redone only when what it reads changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use egui::{Color32, ColorImage, Context, TextureHandle, TextureId, TextureOptions};

use super::state::Look;
use crate::evaluate::fostering::Indicators;
use crate::explain::RawMap;
use crate::plan::{Contours, Sign, View};
use crate::post::{
    Contour, Difference, Field, ScaleRange, blur, contours, difference, hidden_sign, upsample,
};
use crate::render::HeatLut;

/// Share of the field under which what is drawn is easily overlooked: 15 by 15 pixels of 224 by 224.
const HARDLY: f32 = 0.0045;
/// Share of the overlay's opacity up to which a cell is not seen.
const FAINT: f32 = 0.25;

/// What the enlarged field was made from.
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
    enlarged: Option<(FieldKey, Field)>,
    blurred: Option<(f32, Field)>,
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
    texture: Option<TextureHandle>,
}

impl Coloured {
    fn texture(
        &mut self,
        ctx: &Context,
        field: &Field,
        version: u64,
        range: ScaleRange,
        look: &Look,
    ) -> Option<TextureId> {
        if field.empty || range.is_flat() {
            return None;
        }
        let key = ColourKey {
            version,
            range,
            sign: look.post.sign,
            view: look.view,
            cut: look.post.cut,
        };
        if self.key != Some(key) {
            let size = [field.width, field.height];
            let lut = HeatLut::new(range, key.sign, &key.view, key.cut);
            // Premultiplied once for each colour of the scale, not for each cell.
            let colours: Vec<Color32> = (lut.entries().iter())
                .map(|&[r, g, b, a]| Color32::from_rgba_unmultiplied(r, g, b, a))
                .collect();
            let colour = |v: &f32| colours.get(lut.entry(*v)).copied().unwrap_or_default();
            let image = ColorImage::new(size, field.values.iter().map(colour).collect());
            let faint = (255.0 * FAINT * key.view.opacity) as u8;
            let visible = image
                .pixels
                .iter()
                .filter(|pixel| pixel.a() > faint)
                .count();
            self.drawn = visible as f32 / (field.values.len().max(1)) as f32;
            match &mut self.texture {
                // The same memory again where the size allows: much cheaper than a new texture.
                Some(texture) if texture.size() == size => {
                    texture.set_partial([0, 0], image, TextureOptions::LINEAR);
                }
                slot => *slot = Some(ctx.load_texture("heat", image, TextureOptions::LINEAR)),
            }
            self.key = Some(key);
        }
        self.texture.as_ref().map(TextureHandle::id)
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
    ) -> Option<TextureId> {
        let field = &self.found.as_ref()?.field;
        self.coloured.texture(ctx, field, self.version, range, look)
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
        if self.enlarged.as_ref().is_none_or(|(k, _)| *k != key) {
            let field = upsample(map, key.sign, key.denoise, target);
            self.hidden_sign = hidden_sign(map, key.sign);
            self.enlarged = Some((key, field));
            self.blurred = None;
        }
        let sigma = look.post.blur_px;
        if let Some((_, enlarged)) = &self.enlarged
            && self.blurred.as_ref().is_none_or(|(s, _)| *s != sigma)
        {
            self.blurred = Some((sigma, blur(enlarged, sigma)));
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

    /// The coloured field as a texture of the field's size; `None` where nothing is to be drawn.
    pub(crate) fn texture(
        &mut self,
        ctx: &Context,
        range: ScaleRange,
        look: &Look,
    ) -> Option<TextureId> {
        let (_, field) = self.blurred.as_ref()?;
        self.coloured.texture(ctx, field, self.version, range, look)
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
