//! The annotated figure: pictures with headings, settings, colour scales and the words that must go
//! with them. Laid out like a figure in a journal: dark on white, one grid, no decoration.

use ::image::{Rgb, RgbImage};

use super::draw::PRINT;
use super::overlay::{Heat, crop_in_source, overlay_at};
use super::sheet::{Measured, Setter, fit_picture};
use crate::error::Result;
use crate::image::geometry::Affine;
use crate::plan::{Sign, View};
use crate::post::ScaleRange;
use crate::text::fault;

/// Most pixels of a finished figure.
const MAX_PIXELS: f64 = 200e6;
/// Base pictures are shrunk to this many pixels a side before they are composed for a figure.
const MAX_PICTURE_SIDE: u32 = 2048;

/// The colour scale under a panel's picture.
#[derive(Clone, Debug, PartialEq)]
pub struct ColourBar {
    /// Ends of the scale.
    pub range: ScaleRange,
    /// Which sign is shown.
    pub sign: Sign,
    /// Colours.
    pub view: View,
    /// Share of the scale under which nothing is drawn; it is hatched.
    pub cut: f32,
    /// What the numbers are: "Grad-CAM, raw units".
    pub unit: String,
}

/// One picture with its words.
#[derive(Clone, Debug)]
pub struct FigurePanel {
    /// Name of the method, or "X-ray".
    pub heading: String,
    /// Layer, grid, settings; one entry a line, wrapped where it is too wide.
    pub caption: Vec<String>,
    /// The composed picture, any size.
    pub picture: RgbImage,
    /// Closed lines around regions, in pixels of `picture`. They are drawn on the finished panel, so that they are as
    /// wide on a small one as on a large one.
    pub outlines: Vec<Vec<[f64; 2]>>,
    /// The part that the model saw, outlined: `[left, top, right, bottom]` in pixels of `picture`.
    pub crop: Option<[f64; 4]>,
    /// The colour scale; none under a plain X-ray or an empty map.
    pub bar: Option<ColourBar>,
    /// What must be said: an empty map, a guess.
    pub notices: Vec<String>,
}

impl FigurePanel {
    /// A picture without heat.
    pub fn plain(heading: impl Into<String>, caption: Vec<String>, picture: &RgbImage) -> Self {
        Self {
            heading: heading.into(),
            caption,
            picture: shrink(picture),
            outlines: Vec::new(),
            crop: None,
            bar: None,
            notices: Vec::new(),
        }
    }

    /// `base` (of the source image's size) with `heat` over it, the model's crop outlined, the colour
    /// scale and the field's notice. `unit` says what the scale's numbers are.
    pub fn of_heat(
        heading: impl Into<String>,
        caption: Vec<String>,
        base: &RgbImage,
        heat: &Heat<'_>,
        unit: impl Into<String>,
    ) -> Self {
        let small = shrink(base);
        let side = |picture: &RgbImage| [picture.width() as usize, picture.height() as usize];
        let source_from_small = Affine::scale_to(side(base), side(&small));
        let small_from_source = source_from_small.inverse();
        let crop = crop_in_source(heat.field).map(|[left, top, right, bottom]| {
            let [left, top] = small_from_source.apply([left, top]);
            let [right, bottom] = small_from_source.apply([right, bottom]);
            [left, top, right, bottom]
        });
        let coloured = !heat.field.empty && !heat.range.is_flat();
        Self {
            heading: heading.into(),
            caption,
            picture: overlay_at(&small, &source_from_small, heat),
            outlines: Vec::new(),
            crop,
            bar: coloured.then(|| ColourBar {
                range: heat.range,
                sign: heat.sign,
                view: heat.view,
                cut: heat.cut,
                unit: unit.into(),
            }),
            notices: heat.field.notice.clone().into_iter().collect(),
        }
    }
}

/// A figure: a title, panels on a grid, and a foot that always says what it is not for.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What is shown: the image's name.
    pub title: String,
    /// Model, finding, probability; one entry a line.
    pub subtitle: Vec<String>,
    /// The panels, row by row.
    pub panels: Vec<FigurePanel>,
    /// Panels in a row; 0 counts as 1.
    pub columns: usize,
    /// Right end of the foot: program, version, hashes. The left end is always
    /// [`crate::text::RESEARCH_ONLY`].
    pub footer: String,
    /// Width of a panel at scale 1, in pixels.
    pub panel_width_px: u32,
}

impl Default for Figure {
    fn default() -> Self {
        Self {
            title: String::new(),
            subtitle: Vec::new(),
            panels: Vec::new(),
            columns: 2,
            footer: String::new(),
            panel_width_px: 480,
        }
    }
}

/// Distances at scale 1, in pixels.
const MARGIN: f32 = 36.0;
const COLUMN_GAP: f32 = 28.0;
const ROW_GAP: f32 = 34.0;

impl Figure {
    /// Draws the figure. `scale` multiplies every length: 1 for the screen, 2 for print (a figure of
    /// two columns is then 300 dots an inch at a journal's full width).
    ///
    /// # Errors
    /// Where the figure would have more than 200 megapixels, or `scale` is not in 0.25..=8.
    pub fn render(&self, scale: f32) -> Result<RgbImage> {
        let columns = self.columns.max(1).min(self.panels.len().max(1));
        if !(0.25..=8.0).contains(&scale) || self.panel_width_px == 0 {
            return Err(fault::figure_scale(scale));
        }
        let set = Setter::new(scale, self.panel_width_px)?;
        let u = set.unit;
        let gaps = (columns - 1) as f32 * COLUMN_GAP * u;
        let inner = columns as f32 * set.panel_width + gaps;
        let width = inner + 2.0 * MARGIN * u;

        let title = set.fonts.wrap(&self.title, &set.title, inner, 2);
        let subtitle: Vec<String> = self
            .subtitle
            .iter()
            .flat_map(|line| set.fonts.wrap(line, &set.subtitle, inner, 3))
            .collect();
        let head = title.len() as f32 * set.title.line_px()
            + subtitle.len() as f32 * set.subtitle.line_px();
        let measured: Vec<Measured<'_>> = self.panels.iter().map(|p| set.measure(p)).collect();
        let rows: Vec<(f32, f32)> = measured
            .chunks(columns)
            .map(|row| {
                row.iter().fold((0.0_f32, 0.0_f32), |(above, below), p| {
                    (above.max(p.above), below.max(p.below))
                })
            })
            .collect();
        let body: f32 = rows
            .iter()
            .map(|(above, below)| above + below + ROW_GAP * u)
            .sum();
        let foot = 12.0 * u + set.footer.line_px();
        let head_gap = 20.0 * u;
        let height = 2.0 * MARGIN * u - 8.0 * u + head + head_gap + body + foot;
        if f64::from(width) * f64::from(height) > MAX_PIXELS {
            return Err(fault::figure_size(width as u32, height as u32));
        }

        let mut canvas = RgbImage::from_pixel(width as u32, height as u32, Rgb(PRINT.paper));
        let left = MARGIN * u;
        let mut y = MARGIN * u - 4.0 * u;
        y = set.lines(&mut canvas, &title, &set.title, left, y);
        y = set.lines(&mut canvas, &subtitle, &set.subtitle, left, y);
        y += head_gap;
        for (row, &(above, below)) in measured.chunks(columns).zip(&rows) {
            let mut x = left;
            for panel in row {
                set.draw_panel(&mut canvas, panel, x, y, above);
                x += set.panel_width + COLUMN_GAP * u;
            }
            y += above + below + ROW_GAP * u;
        }
        y -= 6.0 * u;
        set.draw_foot(&mut canvas, &self.footer, left, y, inner);
        Ok(canvas)
    }
}

/// Shrinks a picture that has more pixels than any panel shows.
fn shrink(picture: &RgbImage) -> RgbImage {
    let long = picture.width().max(picture.height());
    if long <= MAX_PICTURE_SIDE {
        return picture.clone();
    }
    let side = |side: u32| {
        let shrunk = u64::from(side) * u64::from(MAX_PICTURE_SIDE) / u64::from(long);
        (shrunk as u32).max(1)
    };
    fit_picture(picture, side(picture.width()), side(picture.height()))
}
