//! Text in figures: Inter in three weights, measured before it is drawn so that nothing overflows.

use ::image::RgbImage;
use ab_glyph::{Font as _, FontRef, GlyphId, PxScale, ScaleFont as _, point};

use super::draw::mix;
use crate::error::Result;
use crate::text::fault;

/// Weight of a face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Medium,
    SemiBold,
}

/// How a line of text looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) weight: Weight,
    /// Size of the em square, in pixels of the figure.
    pub(super) em_px: f32,
    pub(super) colour: [u8; 3],
}

impl Style {
    /// Distance from one baseline to the next, in pixels.
    pub(super) fn line_px(&self) -> f32 {
        (self.em_px * 1.42).round()
    }

    /// Distance from the top of a line to its baseline, in pixels.
    pub(super) fn rise_px(&self) -> f32 {
        (self.em_px * 1.06).round()
    }
}

/// The three faces, embedded.
pub(super) struct Fonts {
    regular: FontRef<'static>,
    medium: FontRef<'static>,
    semi_bold: FontRef<'static>,
}

impl Fonts {
    pub(super) fn load() -> Result<Self> {
        let parse = |bytes: &'static [u8]| {
            FontRef::try_from_slice(bytes).map_err(|error| fault::embedded_font(&error))
        };
        Ok(Self {
            regular: parse(include_bytes!("../../assets/fonts/Inter-Regular.otf"))?,
            medium: parse(include_bytes!("../../assets/fonts/Inter-Medium.otf"))?,
            semi_bold: parse(include_bytes!("../../assets/fonts/Inter-SemiBold.otf"))?,
        })
    }

    fn face(&self, weight: Weight) -> &FontRef<'static> {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Medium => &self.medium,
            Weight::SemiBold => &self.semi_bold,
        }
    }

    /// `ab_glyph` scales by ascent plus descent; type is measured by the em.
    fn scale(&self, style: &Style) -> PxScale {
        let face = self.face(style.weight);
        let em = face.units_per_em().unwrap_or(1000.0);
        PxScale::from(style.em_px * face.height_unscaled() / em)
    }

    /// Each glyph of `text` with the x of its origin, and the width of the whole, in pixels.
    fn set(&self, text: &str, style: &Style) -> (Vec<(GlyphId, f32)>, f32) {
        let face = self.face(style.weight).as_scaled(self.scale(style));
        let mut x = 0.0;
        let mut last = None;
        let mut glyphs = Vec::new();
        for c in text.chars() {
            let glyph = face.glyph_id(if c.is_control() { ' ' } else { c });
            if let Some(last) = last {
                x += face.kern(last, glyph);
            }
            glyphs.push((glyph, x));
            x += face.h_advance(glyph);
            last = Some(glyph);
        }
        (glyphs, x)
    }

    /// Width of one line, in pixels.
    pub(super) fn width(&self, text: &str, style: &Style) -> f32 {
        self.set(text, style).1
    }

    /// Draws one line with its left end at `x` and its baseline at `baseline`, in pixels.
    pub(super) fn draw(
        &self,
        canvas: &mut RgbImage,
        text: &str,
        style: &Style,
        x: f32,
        baseline: f32,
    ) {
        let face = self.face(style.weight);
        let scale = self.scale(style);
        for (glyph, offset) in self.set(text, style).0 {
            let placed = glyph.with_scale_and_position(scale, point(x + offset, baseline));
            let Some(outline) = face.outline_glyph(placed) else {
                continue;
            };
            let bounds = outline.px_bounds();
            outline.draw(|column, row, coverage| {
                let at = (
                    bounds.min.x as i64 + i64::from(column),
                    bounds.min.y as i64 + i64::from(row),
                );
                if let (Ok(x), Ok(y)) = (u32::try_from(at.0), u32::try_from(at.1))
                    && let Some(pixel) = canvas.get_pixel_mut_checked(x, y)
                {
                    pixel.0 = mix(pixel.0, style.colour, coverage);
                }
            });
        }
    }

    /// The text, cut with an ellipsis where it is wider than `max_px`.
    pub(super) fn elide(&self, text: &str, style: &Style, max_px: f32) -> String {
        if self.width(text, style) <= max_px {
            return text.to_owned();
        }
        let mut kept: Vec<char> = text.chars().collect();
        while kept.pop().is_some() {
            let shorter: String = kept.iter().collect();
            let shorter = format!("{}\u{2026}", shorter.trim_end());
            if self.width(&shorter, style) <= max_px {
                return shorter;
            }
        }
        String::new()
    }

    /// The text in at most `max_lines` lines of at most `max_px`; what does not fit ends in an
    /// ellipsis. Words that are wider than a line are broken.
    pub(super) fn wrap(
        &self,
        text: &str,
        style: &Style,
        max_px: f32,
        max_lines: usize,
    ) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut line = String::new();
        for word in text.split_whitespace() {
            let longer = if line.is_empty() {
                word.to_owned()
            } else {
                format!("{line} {word}")
            };
            if self.width(&longer, style) <= max_px {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for c in word.chars() {
                line.push(c);
                if self.width(&line, style) > max_px && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, c.to_string()));
                }
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        if lines.len() > max_lines {
            let rest = lines.split_off(max_lines.saturating_sub(1)).join(" ");
            lines.push(self.elide(&rest, style, max_px));
        }
        lines
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const STYLE: Style = Style {
        weight: Weight::Regular,
        em_px: 13.0,
        colour: [0, 0, 0],
    };

    #[test]
    fn text_never_gets_wider_than_its_column() {
        let fonts = Fonts::load().unwrap();
        let long =
            "Pneumothorax_and_a_very_long_file_name_without_any_spaces_in_it.jpeg and more words";
        for max_px in [20.0, 90.0, 200.0] {
            for max_lines in [1, 2, 9] {
                let lines = fonts.wrap(long, &STYLE, max_px, max_lines);
                assert!(lines.len() <= max_lines);
                for line in &lines {
                    assert!(fonts.width(line, &STYLE) <= max_px, "{line}");
                }
            }
        }
        let whole = fonts.wrap(long, &STYLE, 90.0, 99).concat().replace(' ', "");
        assert_eq!(whole, long.replace(' ', ""));
    }

    #[test]
    fn elided_text_ends_in_an_ellipsis() {
        let fonts = Fonts::load().unwrap();
        let short = fonts.elide("a rather long caption", &STYLE, 60.0);
        assert!(
            short.ends_with('\u{2026}') && short.starts_with("a r"),
            "{short}"
        );
        assert_eq!(fonts.elide("short", &STYLE, 600.0), "short");
    }
}
