//! The sheet that shows what the network is fed: the X-ray with the part it sees, and the input itself.

use std::sync::Arc;

use egui::{
    Color32, ColorImage, Rect, RichText, Role, Sense, Stroke, TextureHandle, TextureOptions, Ui,
    Vec2, WidgetInfo, pos2, vec2,
};

use crate::image::resize_rgb;
use crate::session::{ModelEye, model_eye};
use crate::text::region as words;
use crate::ui::App;
use crate::ui::theme::{self, space};

/// Longest side of a picture on the sheet, in points.
const SIDE: f32 = 260.0;

/// The input as it is shown, with its textures.
#[derive(Clone)]
pub(in crate::ui) struct Eye {
    pub(in crate::ui) eye: Arc<ModelEye>,
    source_size: [usize; 2],
    source: TextureHandle,
    input: TextureHandle,
}

impl PartialEq for Eye {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.eye, &other.eye)
    }
}

impl std::fmt::Debug for Eye {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.eye.fmt(f)
    }
}

impl Eye {
    /// The input of the open pair; why not, in words.
    pub(in crate::ui) fn of(app: &App, ctx: &egui::Context) -> Result<Self, String> {
        let (Some(picture), Some(model)) =
            (app.case().session.picture(), app.case().session.model())
        else {
            return Err(words::EYE_NOTHING.to_owned());
        };
        let eye = model_eye(picture, model).map_err(|error| error.to_string())?;
        let source_size = picture.size();
        let long = source_size[0].max(source_size[1]).max(1) as f32;
        let shrink = (2.0 * SIDE / long).min(1.0);
        let side = |side: usize| ((side as f32 * shrink).round() as u32).max(1);
        let small = resize_rgb(&picture.display, side(source_size[0]), side(source_size[1]))
            .map_err(|error| error.to_string())?;
        let texture = |name: &str, picture: &::image::RgbImage, options| {
            let size = [picture.width() as usize, picture.height() as usize];
            ctx.load_texture(name, ColorImage::from_rgb(size, picture.as_raw()), options)
        };
        // Its pixels are what is shown: they are not smoothed.
        let input = texture("model's eye", &eye.picture, TextureOptions::NEAREST);
        Ok(Self {
            source: texture("model's eye: source", &small, TextureOptions::LINEAR),
            input,
            source_size,
            eye: Arc::new(eye),
        })
    }
}

pub(super) fn eye_ui(ui: &mut Ui, shown: &Eye) {
    let p = theme::palette(ui);
    let eye = &shown.eye;
    ui.label(RichText::new(words::EYE_TITLE).font(theme::semibold(theme::size::TITLE)));
    ui.add_space(space::S);
    ui.horizontal_top(|ui| {
        let rect = picture_ui(ui, &shown.source, shown.source_size, words::EYE_SOURCE);
        if let Some([left, top, right, bottom]) = eye.crop {
            let scale = rect.width() / shown.source_size[0].max(1) as f32;
            let at = |x: f64, y: f64| rect.min + vec2(x as f32, y as f32) * scale;
            let part = Rect::from_two_pos(at(left, top), at(right, bottom)).shrink(0.5);
            for (width, colour) in [(3.0, Color32::from_black_alpha(150)), (1.0, Color32::WHITE)] {
                let stroke = Stroke::new(width, colour);
                ui.painter()
                    .rect_stroke(part, 0.0, stroke, egui::StrokeKind::Middle);
            }
        }
        let size = [eye.picture.width() as usize, eye.picture.height() as usize];
        picture_ui(ui, &shown.input, size, words::EYE_INPUT);
    });
    ui.add_space(space::S);
    let [width, height] = [eye.picture.width() as usize, eye.picture.height() as usize];
    ui.label(words::eye_size(eye.channels, width, height));
    ui.label(eye.recipe.as_deref().unwrap_or(words::EYE_READY));
    ui.label(words::eye_range(
        eye.range[0],
        eye.range[1],
        eye.ends[0],
        eye.ends[1],
    ));
    ui.label(RichText::new(words::eye_crop(eye.crop)).color(p.muted));
    ui.label(RichText::new(words::eye_pixel(eye.cell)).color(p.muted));
}

fn picture_ui(ui: &mut Ui, texture: &TextureHandle, size: [usize; 2], name: &str) -> Rect {
    let shape = vec2(size[0] as f32, size[1] as f32);
    let shown: Vec2 = shape * (SIDE / shape.max_elem().max(1.0));
    let (rect, response) = ui.allocate_exact_size(shown, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, name));
    let all = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    ui.painter().image(texture.id(), rect, all, Color32::WHITE);
    rect
}
