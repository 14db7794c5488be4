//! Measuring a figure's panels and setting them on the page.

use ::image::{Rgb, RgbImage};

use super::colour_bar;
use super::draw::{Area, PRINT, dashed_outline, fill, paste};
use super::figure::FigurePanel;
use super::lettering::{Fonts, Style, Weight};
use super::regions::draw_outlines;
use crate::error::Result;
use crate::image::geometry::Affine;
use crate::image::resize_rgb;
use crate::text::{RESEARCH_ONLY, notice};

/// Tallest picture as a multiple of its width.
const MAX_ASPECT: f64 = 1.5;

/// One panel, measured: text is wrapped, the picture has its final size.
pub(super) struct Measured<'a> {
    pub(super) panel: &'a FigurePanel,
    heading: Vec<String>,
    caption: Vec<String>,
    notices: Vec<String>,
    /// Size of the picture in the figure.
    picture: [u32; 2],
    /// Height above the picture, height of picture and below, in pixels.
    pub(super) above: f32,
    pub(super) below: f32,
}

/// Everything that measuring and drawing share.
pub(super) struct Setter {
    pub(super) fonts: Fonts,
    pub(super) unit: f32,
    pub(super) panel_width: f32,
    pub(super) title: Style,
    pub(super) subtitle: Style,
    heading: Style,
    caption: Style,
    notice: Style,
    warning: Style,
    pub(super) footer: Style,
}

impl Setter {
    pub(super) fn new(unit: f32, panel_width_px: u32) -> Result<Self> {
        let style = |weight, em: f32, colour| Style {
            weight,
            em_px: em * unit,
            colour,
        };
        Ok(Self {
            fonts: Fonts::load()?,
            unit,
            panel_width: (panel_width_px as f32 * unit).round(),
            title: style(Weight::SemiBold, 22.0, PRINT.ink),
            subtitle: style(Weight::Regular, 14.0, PRINT.muted),
            heading: style(Weight::SemiBold, 16.0, PRINT.ink),
            caption: style(Weight::Regular, 12.5, PRINT.muted),
            notice: style(Weight::Medium, 12.5, PRINT.notice_ink),
            warning: style(Weight::SemiBold, 12.5, PRINT.warning),
            footer: style(Weight::Regular, 12.0, PRINT.muted),
        })
    }

    pub(super) fn measure<'a>(&self, panel: &'a FigurePanel) -> Measured<'a> {
        let u = self.unit;
        let wrap = |text: &str, style: &Style, lines| {
            self.fonts.wrap(text, style, self.panel_width, lines)
        };
        let heading = wrap(&panel.heading, &self.heading, 2);
        let outline = panel.crop.map(|_| notice::CROP_OUTLINE);
        let caption: Vec<String> = panel
            .caption
            .iter()
            .map(String::as_str)
            .chain(outline)
            .flat_map(|line| wrap(line, &self.caption, 3))
            .collect();
        let notices: Vec<String> = panel
            .notices
            .iter()
            .flat_map(|text| {
                self.fonts
                    .wrap(text, &self.notice, self.panel_width - 26.0 * u, 5)
            })
            .collect();
        let [w, h] = [panel.picture.width().max(1), panel.picture.height().max(1)].map(f64::from);
        let fit =
            (f64::from(self.panel_width) / w).min(f64::from(self.panel_width) * MAX_ASPECT / h);
        let picture = [
            (w * fit).round().max(1.0) as u32,
            (h * fit).round().max(1.0) as u32,
        ];
        let above = heading.len() as f32 * self.heading.line_px()
            + caption.len() as f32 * self.caption.line_px()
            + 8.0 * u;
        let mut below = picture[1] as f32;
        if panel.bar.is_some() {
            below += 10.0 * u + colour_bar::height_px(u);
        }
        if !notices.is_empty() {
            below += 10.0 * u + self.notice_height(notices.len());
        }
        Measured {
            panel,
            heading,
            caption,
            notices,
            picture,
            above,
            below,
        }
    }

    fn notice_height(&self, lines: usize) -> f32 {
        lines as f32 * self.notice.line_px() + 12.0 * self.unit
    }

    /// Draws lines downwards from `y` and returns where the next would start.
    pub(super) fn lines(
        &self,
        canvas: &mut RgbImage,
        lines: &[String],
        style: &Style,
        x: f32,
        mut y: f32,
    ) -> f32 {
        for line in lines {
            self.fonts.draw(canvas, line, style, x, y + style.rise_px());
            y += style.line_px();
        }
        y
    }

    pub(super) fn draw_panel(
        &self,
        canvas: &mut RgbImage,
        panel: &Measured<'_>,
        x: f32,
        top: f32,
        above: f32,
    ) {
        let u = self.unit;
        let y = self.lines(canvas, &panel.heading, &self.heading, x, top);
        self.lines(canvas, &panel.caption, &self.caption, x, y);

        // Pictures of a row stand on one line, whatever stands above them.
        let mut y = top + above;
        let [width, height] = panel.picture;
        let indent = ((self.panel_width - width as f32) / 2.0).max(0.0).round();
        let mut picture = fit_picture(&panel.panel.picture, width, height);
        let zoom = f64::from(width) / f64::from(panel.panel.picture.width().max(1));
        let full = [
            panel.panel.picture.width() as usize,
            panel.panel.picture.height() as usize,
        ];
        let from_full = Affine::scale_to([width as usize, height as usize], full);
        draw_outlines(&mut picture, &panel.panel.outlines, &from_full);
        paste(canvas, &picture, x + indent, y);
        if let Some([left, top, right, bottom]) = panel.panel.crop {
            let [left, top, right, bottom] = [left, top, right, bottom].map(|v| (v * zoom) as f32);
            let area = Area {
                x: x + indent + left,
                y: y + top,
                width: right - left,
                height: bottom - top,
            };
            dashed_outline(canvas, area, u.max(1.0).round() as u32, (5.0 * u) as u32);
        }
        y += height as f32;
        if let Some(bar) = &panel.panel.bar {
            y += 10.0 * u;
            let at = [x, y.round()];
            colour_bar::draw(canvas, &self.fonts, &PRINT, bar, at, self.panel_width, u);
            y += colour_bar::height_px(u);
        }
        if !panel.notices.is_empty() {
            y += 10.0 * u;
            let mut area = Area {
                x,
                y,
                width: self.panel_width,
                height: self.notice_height(panel.notices.len()),
            };
            fill(canvas, area, PRINT.notice_paper);
            area.width = (3.0 * u).round();
            fill(canvas, area, PRINT.notice_edge);
            self.lines(
                canvas,
                &panel.notices,
                &self.notice,
                x + 14.0 * u,
                y + 6.0 * u,
            );
        }
    }

    pub(super) fn draw_foot(
        &self,
        canvas: &mut RgbImage,
        footer: &str,
        x: f32,
        y: f32,
        width: f32,
    ) {
        let u = self.unit;
        let rule = Area {
            x,
            y: y.round(),
            width,
            height: u.max(1.0).round(),
        };
        fill(canvas, rule, PRINT.rule);
        let baseline = y + 12.0 * u + self.footer.rise_px();
        self.fonts
            .draw(canvas, RESEARCH_ONLY, &self.warning, x, baseline);
        let taken = self.fonts.width(RESEARCH_ONLY, &self.warning) + 24.0 * u;
        let words = self.fonts.elide(footer, &self.footer, width - taken);
        let words_width = self.fonts.width(&words, &self.footer);
        self.fonts.draw(
            canvas,
            &words,
            &self.footer,
            x + width - words_width,
            baseline,
        );
    }
}

/// Resizes to exactly `width` x `height`, smoothly in both directions.
pub(super) fn fit_picture(picture: &RgbImage, width: u32, height: u32) -> RgbImage {
    if picture.dimensions() == (width, height) {
        return picture.clone();
    }
    // An empty picture cannot be resized: its place stays blank.
    resize_rgb(picture, width, height)
        .unwrap_or_else(|_| RgbImage::from_pixel(width, height, Rgb(PRINT.blank)))
}
