//! The right side: how maps are processed and shown, for all panels or one.

use egui::{
    Align, Button, Checkbox, ComboBox, DragValue, Label, Layout, Mesh, Rect, RichText, Sense,
    Shape, Ui, pos2, vec2,
};

use super::grey::grey_ui;
use super::params::params_ui;
use super::regions::{cells_switch_ui, regions_ui};
use crate::explain::{RawMap, catalogue};
use crate::plan::{Colormap, Contours, Normalise, OpacityMode, Sign};
use crate::render::colormap;
use crate::text::notice;
use crate::text::window as words;
use crate::ui::App;
use crate::ui::command::Command;
use crate::ui::state::{Look, Scope};
use crate::ui::theme::{self, space};
use crate::ui::widgets::{Amount, amount_ui, rule_ui, section_ui, segmented_ui};

pub(in crate::ui) fn display_ui(app: &mut App, ui: &mut Ui) {
    egui::ScrollArea::vertical()
        .auto_shrink(false)
        .show(ui, |ui| {
            ui.set_width(theme::RIGHT_WIDTH - 32.0);
            ui.spacing_mut().item_spacing.y = 6.0;
            ui.horizontal(|ui| {
                ui.spacing_mut().interact_size.y = 16.0;
                ui.spacing_mut().button_padding.y = 0.0;
                section_ui(ui, words::DISPLAY);
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    let muted = theme::palette(ui).muted;
                    let text = RichText::new(Command::ResetLook.label())
                        .small()
                        .color(muted);
                    if ui.add(Button::new(text).frame(false)).clicked() {
                        app.send(Command::ResetLook);
                    }
                });
            });
            scope_ui(app, ui);
            ui.add_space(space::S);

            let mut look = app.grid.edited();
            let before = look;
            sign_ui(&mut look, ui);
            amounts_ui(app, &mut look, ui);
            opacity_mode_ui(&mut look, ui);
            scale_ui(app, &mut look, ui);
            colours_ui(app, &mut look, ui);
            ui.add_space(space::M);
            contours_ui(&mut look, ui);
            if look != before {
                app.grid.edit(look);
            }

            ui.add_space(space::M);
            regions_ui(app, ui);
            overlay_ui(app, ui);
            ui.add_space(space::M);
            rule_ui(ui);
            ui.add_space(space::S);
            params_ui(app, ui);
            ui.add_space(space::M);
            rule_ui(ui);
            ui.add_space(space::S);
            grey_ui(app, ui);
        });
}

fn scope_ui(app: &mut App, ui: &mut Ui) {
    let one = words::one_panel(app.grid.selected + 1);
    let choices = [
        (Scope::All, words::ALL_PANELS, words::ALL_PANELS_HINT),
        (Scope::Selected, one.as_str(), words::ONE_PANEL_HINT),
    ];
    segmented_ui(ui, &mut app.grid.scope, &choices);
}

fn sign_ui(look: &mut Look, ui: &mut Ui) {
    section_ui(ui, words::EVIDENCE);
    let choices = [
        (None, words::USUAL_SIGN, words::USUAL_SIGN_HINT),
        (Some(Sign::Positive), words::FOR, words::FOR_HINT),
        (Some(Sign::Negative), words::AGAINST, words::AGAINST_HINT),
        (Some(Sign::Signed), words::BOTH, words::BOTH_HINT),
    ];
    let mut sign = look.sign;
    if segmented_ui(ui, &mut sign, &choices) {
        look.choose_sign(sign);
    }
    ui.add_space(space::M);
}

fn amounts_ui(app: &App, look: &mut Look, ui: &mut Ui) {
    let usual = Look::default();
    let long = app.case().session.picture().map_or(1000, |picture| {
        picture.size().into_iter().max().unwrap_or(0)
    });
    // A tenth of the picture is as wide as a cell of the deepest layers.
    let most_blur = (long as f64 / 10.0).round().max(10.0);
    let percent = |name, hint, default: f32| Amount {
        name,
        hint,
        range: [0.0, 100.0],
        default: 100.0 * f64::from(default),
        unit: " %",
    };
    for (amount, value) in [
        (
            percent(words::DENOISE, words::DENOISE_HINT, usual.post.denoise),
            &mut look.post.denoise,
        ),
        (
            Amount {
                name: words::BLUR,
                hint: words::BLUR_HINT,
                range: [0.0, most_blur],
                default: f64::from(usual.post.blur_px),
                unit: " px",
            },
            &mut look.post.blur_px,
        ),
        (
            percent(words::CUT, words::CUT_HINT, usual.post.cut),
            &mut look.post.cut,
        ),
        (
            percent(words::OPACITY, words::OPACITY_HINT, usual.view.opacity),
            &mut look.view.opacity,
        ),
    ] {
        let unit = if amount.unit == " %" { 100.0 } else { 1.0 };
        let mut shown = f64::from(*value) * unit;
        if amount_ui(ui, &amount, &mut shown) {
            *value = (shown / unit) as f32;
        }
        if amount.name == words::DENOISE {
            denoise_words_ui(app, ui);
        }
    }
}

/// The parameter of methods that have a denoising of their own.
const DENOISE_PARAM: &str = "denoise";

/// What denoising means for the selected panel's method and map.
fn denoise_words_ui(app: &App, ui: &mut Ui) {
    let panel = app.grid.selected;
    let (Some(now), Some(map)) = (
        app.grid.panels.get(panel),
        app.heats.get(panel).and_then(|heat| heat.map()),
    ) else {
        return;
    };
    let Ok(method) = catalogue::find(now.method) else {
        return;
    };
    let post = app.grid.look_of(panel).post;
    let (grid, layer) = ([map.height, map.width], map.layer.as_str());
    let mut lines = vec![if post.denoise > 0.0 {
        let limit = notice::number(post.denoise * largest(map, post.sign));
        words::denoise_now(method.label, layer, grid, &limit)
    } else {
        words::denoise_off(method.label, layer, grid)
    }];
    let own = method.params.iter().find(|param| param.id == DENOISE_PARAM);
    lines.extend(own.map(|param| words::denoise_own(method.label, param.help)));
    let muted = theme::palette(ui).muted;
    for line in lines {
        let text = RichText::new(&line).small().color(muted);
        ui.add(Label::new(text).truncate()).on_hover_text(line);
    }
    ui.add_space(space::XS);
}

/// The largest value of a map's shown sign, of which the threshold is a share.
fn largest(map: &RawMap, sign: Sign) -> f32 {
    let (min, max) = map.range();
    match sign {
        Sign::Positive => max.max(0.0),
        Sign::Negative => (-min).max(0.0),
        Sign::Signed => max.max(-min),
    }
}

fn opacity_mode_ui(look: &mut Look, ui: &mut Ui) {
    let choices = [
        (OpacityMode::Uniform, words::UNIFORM, words::UNIFORM_HINT),
        (OpacityMode::ByValue, words::BY_VALUE, words::BY_VALUE_HINT),
    ];
    segmented_ui(ui, &mut look.view.opacity_mode, &choices);
    ui.add_space(space::M);
}

fn contours_ui(look: &mut Look, ui: &mut Ui) {
    section_ui(ui, words::CONTOURS);
    let choices = Contours::ALL.map(|contours| {
        let name = match contours {
            Contours::None => words::CONTOURS_NONE,
            Contours::Half => words::CONTOURS_HALF,
            Contours::Quarters => words::CONTOURS_QUARTERS,
            Contours::Tenths => words::CONTOURS_TENTHS,
        };
        (contours, name, words::CONTOURS_HINT)
    });
    segmented_ui(ui, &mut look.view.contours, &choices);
    ui.add_space(space::M);
}

/// Which way of scaling; the ends of a fixed one aside.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Map,
    Shared,
    Fixed,
}

fn scale_ui(app: &App, look: &mut Look, ui: &mut Ui) {
    section_ui(ui, words::SCALE);
    let mut way = match look.post.normalise {
        Normalise::Map => Way::Map,
        Normalise::Shared => Way::Shared,
        Normalise::Fixed { .. } => Way::Fixed,
    };
    let choices = [
        (Way::Map, words::SCALE_MAP, words::SCALE_MAP_HINT),
        (Way::Shared, words::SCALE_SHARED, words::SCALE_SHARED_HINT),
        (Way::Fixed, words::SCALE_FIXED, words::SCALE_FIXED_HINT),
    ];
    if segmented_ui(ui, &mut way, &choices) {
        look.post.normalise = match way {
            Way::Map => Normalise::Map,
            Way::Shared => Normalise::Shared,
            // What is on screen now is the place to start from.
            Way::Fixed => {
                let shown = app.cells.get(app.grid.selected).map(|cell| cell.range);
                let hi = shown.map(|range| range.hi).filter(|hi| *hi > 0.0);
                Normalise::Fixed {
                    lo: 0.0,
                    hi: hi.unwrap_or(1.0),
                }
            }
        };
    }
    if let Normalise::Fixed { lo, hi } = &mut look.post.normalise {
        ui.horizontal(|ui| {
            for (name, value) in [(words::SCALE_LO, lo), (words::SCALE_HI, hi)] {
                let speed = (f64::from(value.abs()) / 100.0).max(1e-5);
                ui.name_inputs(name, |ui| {
                    ui.add(DragValue::new(value).speed(speed).max_decimals(6))
                })
                .on_hover_text(name);
            }
        });
    }
    ui.add_space(space::M);
}

fn colours_ui(app: &App, look: &mut Look, ui: &mut Ui) {
    section_ui(ui, words::COLOURS);
    if look.post.sign == Sign::Signed {
        swatch_ui(ui, Colormap::Diverging, ui.available_width());
        let p = theme::palette(ui);
        ui.label(RichText::new(words::COLOURS_SIGNED).small().color(p.muted));
        return;
    }
    ui.name_inputs(words::COLOURS, |ui| {
        ComboBox::from_id_salt("colours")
            .selected_text(words::colormap(look.view.colormap))
            .width(ui.available_width())
            .show_ui(ui, |ui| {
                for map in Colormap::ALL {
                    ui.selectable_value(&mut look.view.colormap, map, words::colormap(map));
                    swatch_ui(ui, map, ui.available_width());
                }
            })
    });
    let signed = |panel| app.grid.look_of(panel).post.sign == Sign::Signed;
    if (0..app.grid.panels.len()).any(signed) {
        let muted = theme::palette(ui).muted;
        ui.label(RichText::new(words::COLOURS_SIGNED).small().color(muted));
    }
}

fn swatch_ui(ui: &mut Ui, map: Colormap, width: f32) {
    let (rect, _) = ui.allocate_exact_size(vec2(width, 5.0), Sense::hover());
    let colours = colormap::lut(map);
    let steps = 48;
    let step = rect.width() / steps as f32;
    let mut mesh = Mesh::default();
    for i in 0..steps {
        let [r, g, b] = colours
            .get(i * (colormap::LEVELS - 1) / (steps - 1))
            .copied()
            .unwrap_or_default();
        let left = rect.left() + i as f32 * step;
        mesh.add_colored_rect(
            Rect::from_min_max(pos2(left, rect.top()), pos2(left + step, rect.bottom())),
            egui::Color32::from_rgb(r, g, b),
        );
    }
    ui.painter().add(Shape::mesh(mesh));
}

fn overlay_ui(app: &mut App, ui: &mut Ui) {
    let p = theme::palette(ui);
    let mut overlay = app.overlay;
    let check = Checkbox::new(&mut overlay, Command::ToggleOverlay.label());
    let response = ui.add(check);
    if let Some(keys) = Command::ToggleOverlay.keys(ui.ctx()) {
        response.on_hover_text(keys);
    }
    if overlay != app.overlay {
        app.send(Command::ToggleOverlay);
    }
    let mut linked = app.grid.linked_depth;
    ui.add(Checkbox::new(
        &mut linked,
        Command::ToggleLinkedDepth.label(),
    ));
    if linked != app.grid.linked_depth {
        app.send(Command::ToggleLinkedDepth);
    }
    cells_switch_ui(app, ui);
    ui.label(RichText::new(words::PEEK_HINT).small().color(p.muted));
}
