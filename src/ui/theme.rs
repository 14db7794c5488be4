//! Design tokens: every colour, distance and type size of the window, and nothing else knows any.

use std::sync::Arc;

use egui::{
    Color32, Context, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, Margin, Shadow,
    Stroke, Style, TextStyle, Theme, Ui, Visuals, vec2,
};

/// Colours of one theme.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    /// Between panels.
    pub(crate) ground: Color32,
    /// Side panels, bars and headers: most of the window.
    pub(crate) panel: Color32,
    /// Buttons, fields, menus.
    pub(crate) raised: Color32,
    /// The same under the pointer.
    pub(crate) hovered: Color32,
    /// Thin rules and rails.
    pub(crate) line: Color32,
    /// Words.
    pub(crate) text: Color32,
    /// Words that explain.
    pub(crate) muted: Color32,
    /// Marks that should hardly be seen.
    pub(crate) faint: Color32,
    /// The one accent: cool, since heat is warm.
    pub(crate) accent: Color32,
    /// Behind what is selected.
    pub(crate) selected: Color32,
    /// Words that call for care.
    pub(crate) caution: Color32,
    /// Behind words of an error.
    pub(crate) error_ground: Color32,
    /// Words of an error.
    pub(crate) error: Color32,
}

/// Around the X-ray in both themes: the eye compares grey levels best against black.
pub(crate) const WELL: Color32 = Color32::from_rgb(8, 9, 10);
/// Words and marks on the well.
pub(crate) const ON_WELL: Color32 = Color32::from_rgb(206, 210, 216);
/// Quiet marks on the well.
pub(crate) const ON_WELL_QUIET: Color32 = Color32::from_rgb(140, 146, 154);
/// Care, on the well.
pub(crate) const ON_WELL_CAUTION: Color32 = Color32::from_rgb(226, 184, 112);
/// Behind words on the well.
pub(crate) const WELL_VEIL: Color32 = Color32::from_rgba_premultiplied(7, 8, 9, 205);

const DARK: Palette = Palette {
    ground: Color32::from_rgb(18, 19, 21),
    panel: Color32::from_rgb(24, 25, 28),
    raised: Color32::from_rgb(36, 38, 42),
    hovered: Color32::from_rgb(48, 51, 56),
    line: Color32::from_rgb(46, 48, 53),
    text: Color32::from_rgb(226, 229, 233),
    muted: Color32::from_rgb(152, 158, 167),
    faint: Color32::from_rgb(98, 103, 111),
    accent: Color32::from_rgb(108, 182, 222),
    selected: Color32::from_rgb(34, 62, 80),
    caution: Color32::from_rgb(222, 178, 104),
    error_ground: Color32::from_rgb(68, 34, 32),
    error: Color32::from_rgb(246, 196, 188),
};

const LIGHT: Palette = Palette {
    ground: Color32::from_rgb(233, 235, 238),
    panel: Color32::from_rgb(248, 249, 250),
    raised: Color32::from_rgb(232, 235, 238),
    hovered: Color32::from_rgb(220, 224, 229),
    line: Color32::from_rgb(213, 217, 222),
    text: Color32::from_rgb(27, 30, 34),
    muted: Color32::from_rgb(88, 95, 104),
    faint: Color32::from_rgb(150, 156, 164),
    accent: Color32::from_rgb(24, 110, 158),
    selected: Color32::from_rgb(204, 226, 240),
    caution: Color32::from_rgb(138, 88, 8),
    error_ground: Color32::from_rgb(252, 226, 222),
    error: Color32::from_rgb(132, 30, 22),
};

/// Distances in points; multiples of four.
pub(crate) mod space {
    /// Between things that belong together.
    pub(crate) const XS: f32 = 4.0;
    /// Between rows.
    pub(crate) const S: f32 = 8.0;
    /// Between groups.
    pub(crate) const M: f32 = 12.0;
    /// Around panels.
    pub(crate) const L: f32 = 16.0;
}

/// Type sizes in points.
pub(crate) mod size {
    /// Captions under controls.
    pub(crate) const SMALL: f32 = 11.5;
    /// Everything.
    pub(crate) const BODY: f32 = 13.0;
    /// Headings of panels.
    pub(crate) const HEADING: f32 = 14.0;
    /// The finding and the program's name.
    pub(crate) const TITLE: f32 = 18.0;
    /// The probability.
    pub(crate) const DISPLAY: f32 = 30.0;
}

/// Width of the left side.
pub(crate) const LEFT_WIDTH: f32 = 276.0;
/// Width of the right side.
pub(crate) const RIGHT_WIDTH: f32 = 248.0;
/// Radius of the corners of panels and the strip.
pub(crate) const CARD_RADIUS: u8 = 8;
/// Share of the overlay's opacity that is left where the model does not call the finding.
pub(crate) const NOT_CALLED_OPACITY: f32 = 0.5;

const REGULAR: &[u8] = include_bytes!("../../assets/fonts/Inter-Regular.otf");
const MEDIUM: &[u8] = include_bytes!("../../assets/fonts/Inter-Medium.otf");
const SEMI_BOLD: &[u8] = include_bytes!("../../assets/fonts/Inter-SemiBold.otf");
const MEDIUM_FAMILY: &str = "medium";
const SEMI_BOLD_FAMILY: &str = "semibold";

/// The colours that hold now.
pub(crate) fn palette(ui: &Ui) -> &'static Palette {
    of_theme(ui.visuals().dark_mode)
}

/// What the window is cleared to: the colour of bars, sides and headers.
pub(crate) fn cleared(visuals: &Visuals) -> Color32 {
    of_theme(visuals.dark_mode).panel
}

fn of_theme(dark: bool) -> &'static Palette {
    if dark { &DARK } else { &LIGHT }
}

/// For headings.
pub(crate) fn semibold(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name(SEMI_BOLD_FAMILY.into()))
}

/// For names of controls.
pub(crate) fn medium(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name(MEDIUM_FAMILY.into()))
}

/// For everything else.
pub(crate) fn regular(size: f32) -> FontId {
    FontId::proportional(size)
}

/// Sets fonts and both themes; dark is the default, as reading rooms are.
pub(crate) fn install(ctx: &Context) {
    ctx.set_fonts(fonts());
    for theme in [Theme::Dark, Theme::Light] {
        ctx.style_mut_of(theme, |style| shape(style, theme == Theme::Dark));
    }
    ctx.set_theme(Theme::Dark);
}

fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let fallback = fonts
        .families
        .get(&FontFamily::Proportional)
        .cloned()
        .unwrap_or_default();
    for (name, bytes, families) in [
        ("inter", REGULAR, vec![FontFamily::Proportional]),
        (
            "inter-medium",
            MEDIUM,
            vec![FontFamily::Name(MEDIUM_FAMILY.into())],
        ),
        (
            "inter-semibold",
            SEMI_BOLD,
            vec![FontFamily::Name(SEMI_BOLD_FAMILY.into())],
        ),
    ] {
        fonts
            .font_data
            .insert(name.to_owned(), Arc::new(FontData::from_static(bytes)));
        for family in families {
            let mut order = vec![name.to_owned()];
            order.extend(fallback.iter().cloned());
            fonts.families.insert(family, order);
        }
    }
    fonts
}

fn shape(style: &mut Style, dark: bool) {
    style.text_styles = [
        (TextStyle::Small, regular(size::SMALL)),
        (TextStyle::Body, regular(size::BODY)),
        (TextStyle::Button, regular(size::BODY)),
        (TextStyle::Heading, semibold(size::HEADING)),
        (TextStyle::Monospace, FontId::monospace(size::BODY)),
    ]
    .into();
    style.drag_value_text_style = TextStyle::Body;

    let spacing = &mut style.spacing;
    spacing.item_spacing = vec2(space::S, space::S);
    spacing.button_padding = vec2(10.0, 4.0);
    spacing.interact_size = vec2(36.0, 26.0);
    spacing.menu_margin = Margin::same(6);
    spacing.window_margin = Margin::same(16);
    spacing.slider_rail_height = 4.0;
    spacing.tooltip_width = 340.0;
    spacing.combo_height = 320.0;
    spacing.scroll.bar_width = 8.0;

    style.interaction.tooltip_delay = 0.4;
    style.interaction.selectable_labels = false;
    style.animation_time = 0.08;
    style.visuals = visuals(of_theme(dark), dark);
}

fn visuals(p: &Palette, dark: bool) -> Visuals {
    let mut v = if dark {
        Visuals::dark()
    } else {
        Visuals::light()
    };
    let radius = CornerRadius::same(5);
    let shadow = Shadow {
        offset: [0, 6],
        blur: 18,
        spread: 0,
        color: Color32::from_black_alpha(if dark { 110 } else { 40 }),
    };
    v.panel_fill = p.panel;
    v.window_fill = p.panel;
    v.window_stroke = Stroke::new(1.0, p.line);
    v.window_corner_radius = CornerRadius::same(8);
    v.menu_corner_radius = CornerRadius::same(8);
    v.window_shadow = shadow;
    v.popup_shadow = shadow;
    v.extreme_bg_color = if dark { p.ground } else { Color32::WHITE };
    v.faint_bg_color = p.raised.gamma_multiply(0.5);
    v.hyperlink_color = p.accent;
    v.warn_fg_color = p.caution;
    v.error_fg_color = p.error;
    v.weak_text_color = Some(p.muted);
    v.selection.bg_fill = p.selected;
    v.selection.stroke = Stroke::new(1.0, if dark { p.text } else { p.accent });
    v.slider_trailing_fill = true;
    v.striped = false;
    v.disabled_alpha = 0.45;

    let w = &mut v.widgets;
    for (widget, fill, text) in [
        (&mut w.noninteractive, p.panel, p.text),
        (&mut w.inactive, p.raised, p.text),
        (&mut w.hovered, p.hovered, p.text),
        (&mut w.active, p.hovered, p.text),
        (&mut w.open, p.hovered, p.text),
    ] {
        widget.bg_fill = fill;
        widget.weak_bg_fill = fill;
        widget.bg_stroke = Stroke::NONE;
        widget.fg_stroke = Stroke::new(1.0, text);
        widget.corner_radius = radius;
        widget.expansion = 0.0;
    }
    w.noninteractive.bg_stroke = Stroke::new(1.0, p.line);
    // Rails and handles need an edge against the panel.
    w.inactive.bg_fill = p.hovered;
    w.hovered.bg_fill = p.faint;
    w.active.bg_stroke = Stroke::new(1.0, p.accent);
    w.hovered.fg_stroke = Stroke::new(1.0, p.text);
    v
}
