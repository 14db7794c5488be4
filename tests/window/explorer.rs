//! The grid: its shapes and presets, panels that are moved, copied, pinned and seen alone, what is linked, the strip of
//! layers.

use camlens::text::{command as names, window as words};
use camlens::ui::state::Arrangement;

use super::*;

pub(super) fn methods(app: &App) -> Vec<&'static str> {
    app.grid().panels.iter().map(|p| p.method).collect()
}

/// The window with room for everything.
pub(super) fn large() -> Harness<'static, App> {
    let mut h = window();
    h.set_size(vec2(1360.0, 860.0));
    steps(&mut h, 3);
    h
}

fn picture_rect(h: &Harness<'_, App>, panel: usize) -> egui::Rect {
    let wanted = format!("panel {}", panel + 1);
    let all = h.query_all_by_role(Role::Image);
    let mut found = all.filter(|node| {
        let label = node.accesskit_node().label().unwrap_or_default();
        label.ends_with(&wanted)
    });
    found.next().expect("the panel's picture").rect()
}

/// Opens the menu with three dots of a panel and clicks an entry.
pub(super) fn more(h: &mut Harness<'_, App>, panel: usize, entry: &str) {
    h.get_by_role_and_label(Role::Button, &words::more_of_panel(panel + 1))
        .click();
    steps(h, 2);
    // The menu lies over everything else: it is read out last. Shortcuts stand in its entries.
    let all = h.query_all_by_role(Role::Button);
    let entries: Vec<_> = all
        .filter(|node| {
            let label = node.accesskit_node().label().unwrap_or_default();
            label == entry || label.starts_with(&format!("{entry} "))
        })
        .collect();
    entries.last().expect("the entry").click();
    drop(entries);
    steps(h, 3);
}

#[test]
fn the_grid_is_chosen_by_columns_and_rows_up_to_four_by_four() {
    let mut h = large();
    h.get_by_label(words::PANELS).click();
    steps(&mut h, 2);
    h.get_by_role_and_label(Role::Button, &names::table(3, 2))
        .click();
    until(&mut h, "six maps", |app| {
        app.grid().panels.len() == 6 && app.is_complete()
    });
    let [first, third, fourth] = [0, 2, 3].map(|i| picture_rect(&h, i));
    assert_eq!(first.top(), third.top());
    assert_eq!(first.left(), fourth.left());
    assert!(fourth.top() > first.bottom());

    h.state_mut().send(Command::Table(4, 4));
    until(&mut h, "sixteen maps", |app| {
        app.grid().panels.len() == 16 && app.is_complete()
    });
    let mut all = methods(h.state());
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 16, "sixteen methods");
    // Small as they are, all of them are in the window and none overlaps another.
    let rects: Vec<egui::Rect> = (0..16).map(|i| picture_rect(&h, i)).collect();
    for (i, rect) in rects.iter().enumerate() {
        assert!(rect.height() > 30.0 && rect.bottom() < 860.0, "{rect:?}");
        for other in &rects[..i] {
            assert!(!rect.shrink(1.0).intersects(*other), "{rect:?} {other:?}");
        }
    }
}

#[test]
fn presets_lay_the_grid_out_for_a_purpose() {
    let mut h = large();
    h.state_mut().send(Command::Preset(Preset::Clinician));
    until(&mut h, "one large, three small", |app| {
        app.grid().panels.len() == 4 && app.is_complete()
    });
    let (large, small) = (picture_rect(&h, 0), picture_rect(&h, 1));
    assert!(large.area() > 4.0 * small.area(), "{large:?} {small:?}");

    h.state_mut().send(Command::Preset(Preset::Seed));
    steps(&mut h, 3);
    // The demo network has no attention branch.
    let seed = [
        "grad-cam",
        "layer-cam",
        "score-cam",
        "fg-cam",
        "grad-cam-lrp",
    ];
    assert_eq!(methods(h.state()), seed);

    h.state_mut().send(Command::Preset(Preset::Findings));
    until(&mut h, "every finding", App::is_complete);
    let targets: Vec<_> = h.state().grid().panels.iter().map(|p| p.target).collect();
    assert_eq!(targets, [Some(1), Some(0)]);
    let exhibit = h.state().exhibit().unwrap();
    let explained: Vec<usize> = exhibit.panels.iter().map(|p| p.target.class).collect();
    assert_eq!(explained, [1, 0]);
    assert_ne!(
        exhibit.panels[0].map.as_ref().unwrap().values,
        exhibit.panels[1].map.as_ref().unwrap().values
    );
}

#[test]
fn a_panel_is_dragged_to_another_place_by_its_header() {
    let mut h = large();
    let before = methods(h.state());
    let header = |h: &Harness<'_, App>, panel: usize| {
        h.get_by_role_and_label(Role::Button, &words::header_of_panel(panel + 1))
            .rect()
    };
    let from = header(&h, 0).center_top() + vec2(0.0, 8.0);
    let to = picture_rect(&h, 3).center();
    drag(&mut h, from, to);
    steps(&mut h, 2);
    let after = methods(h.state());
    assert_eq!(after[3], before[0]);
    assert_eq!(after[..3], before[1..]);
    assert_eq!(h.state().grid().selected, 3);
}

#[test]
fn a_panel_is_copied_pinned_and_taken_away_in_its_menu() {
    let mut h = large();
    let before = methods(h.state());
    more(&mut h, 1, names::DUPLICATE_PANEL);
    assert_eq!(methods(h.state())[1..3], [before[1], before[1]]);
    more(&mut h, 2, names::PIN_PANEL);
    assert!(h.state().grid().panels[2].pinned);
    h.state_mut().send(Command::Preset(Preset::Methods));
    steps(&mut h, 3);
    let now = methods(h.state());
    assert_eq!((now.len(), now[0]), (7, before[1]), "it stays in front");
    let pinned = h.get_by_role_and_label(Role::Button, words::PINNED);
    pinned.click();
    steps(&mut h, 3);
    assert!(h.state().grid().panels.iter().all(|p| !p.pinned));
    more(&mut h, 6, names::REMOVE_PANEL);
    assert_eq!(methods(h.state()).len(), 6);
}

#[test]
fn keys_act_on_the_selected_panel() {
    let mut h = large();
    h.key_press(Key::T);
    steps(&mut h, 2);
    assert_eq!(h.state().grid().selected, 1);
    h.key_press(Key::S);
    steps(&mut h, 2);
    assert_eq!(h.state().grid().solo, Some(1));
    h.key_press(Key::S);
    h.key_press_modifiers(Modifiers::COMMAND, Key::D);
    steps(&mut h, 2);
    assert_eq!(h.state().grid().panels.len(), 5);
    h.key_press(Key::K);
    steps(&mut h, 2);
    assert!(h.state().grid().panels[2].pinned);
}

#[test]
fn a_panel_can_explain_a_finding_of_its_own() {
    let mut h = large();
    more(&mut h, 0, "Normal");
    until(&mut h, "the map of the other finding", App::is_complete);
    let targets: Vec<usize> = (0..4)
        .map(|i| h.state().objective_of(i).unwrap().class)
        .collect();
    assert_eq!(targets, [0, 1, 1, 1]);
    more(&mut h, 0, words::SHARED_FINDING);
    assert_eq!(h.state().objective_of(0).unwrap().class, 1);
}

#[test]
fn views_are_linked_or_free() {
    let mut h = large();
    let zoom = |h: &mut Harness<'_, App>, at: Pos2| {
        h.hover_at(at);
        h.step();
        h.event(Event::MouseWheel {
            unit: MouseWheelUnit::Point,
            delta: vec2(0.0, 160.0),
            phase: egui::TouchPhase::Move,
            source: MouseWheelSource::Unknown,
            modifiers: Modifiers::NONE,
        });
        steps(h, 60);
    };
    h.state_mut().send(Command::ToggleLinkedView);
    steps(&mut h, 2);
    let at = picture_rect(&h, 1).center();
    zoom(&mut h, at);
    let zooms = |app: &App| -> Vec<bool> {
        let panels = app.grid().panels.iter();
        panels
            .map(|p| p.view.is_some_and(|v| v.zoom > 1.1))
            .collect()
    };
    assert_eq!(zooms(h.state()), [false, true, false, false]);
    // Linked again, all see what the selected one saw.
    let seen = h.state().grid().panels[1].view.unwrap();
    h.state_mut().send(Command::NextPanel);
    steps(&mut h, 2);
    assert_eq!(h.state().grid().selected, 1);
    h.state_mut().send(Command::ToggleLinkedView);
    steps(&mut h, 2);
    assert!(h.state().grid().is_view_linked());
    assert_eq!(h.state().viewport(), seen);
}

#[test]
fn the_strip_of_layers_is_the_depth_slider() {
    let mut h = large();
    let strip = |h: &Harness<'_, App>| {
        h.get_by_role_and_label(Role::Slider, &words::strip_name(1))
            .rect()
    };
    let count = h.state().stops().list.len();
    let rect = strip(&h);
    let step = rect.width() / count as f32;
    let seen = rect.intersect(egui::Rect::from_x_y_ranges(286.0..=1100.0, 0.0..=860.0));
    let wanted = count - 4;
    let at = egui::pos2(
        rect.left() + (wanted as f32 + 0.5) * step,
        seen.center().y - 8.0,
    );
    h.hover_at(at);
    h.drag_at(at);
    h.drop_at(at);
    steps(&mut h, 2);
    assert_eq!(h.state().grid().panels[0].stop, wanted);
    until(&mut h, "the layer's map", App::is_complete);
    // It has the focus now: keys go on.
    h.key_press(Key::ArrowLeft);
    steps(&mut h, 2);
    assert_eq!(h.state().grid().panels[0].stop, wanted - 1);
    h.key_press(Key::Home);
    steps(&mut h, 2);
    assert_eq!(h.state().grid().panels[0].stop, 0);
    let name = h.state().stops().list[0].name.clone();
    assert!(h.query_by_label_contains(&format!("{name}  ·  ")).is_some());
    h.key_press(Key::L);
    steps(&mut h, 2);
    assert!(h.query_by_label(&words::strip_name(1)).is_none(), "hidden");
}

#[test]
fn the_sides_make_room_for_pictures() {
    let mut h = large();
    // The sample is as wide as it is high.
    let side = |h: &Harness<'_, App>| picture_rect(h, 0).size().min_elem();
    let before = side(&h);
    h.key_press_modifiers(Modifiers::COMMAND, Key::B);
    steps(&mut h, 3);
    assert!(side(&h) > 1.3 * before, "{} {before}", side(&h));
    h.key_press_modifiers(Modifiers::COMMAND, Key::B);
    steps(&mut h, 3);
    assert_eq!(side(&h), before);
}

#[test]
fn contour_lines_come_and_are_exported() {
    let mut h = large();
    h.get_by_role_and_label(Role::Button, words::CONTOURS_QUARTERS)
        .click();
    steps(&mut h, 3);
    let contours = camlens::plan::Contours::Quarters;
    assert_eq!(h.state().grid().look.view.contours, contours);
    let exhibit = h.state().exhibit().unwrap();
    let with = exhibit.render(1.0).unwrap();
    let mut plain = exhibit;
    for panel in &mut plain.panels {
        panel.view.contours = camlens::plan::Contours::None;
    }
    assert_ne!(plain.render(1.0).unwrap(), with);
}

#[test]
fn denoising_says_what_it_does_to_this_map() {
    let mut h = large();
    let map = methods::map_of(h.state(), 0);
    let off = words::denoise_off("Grad-CAM", &map.layer, [map.height, map.width]);
    h.get_by_label(&off);
    let rail = slider(&h, words::DENOISE);
    drag(&mut h, rail.left_center() + vec2(6.0, 0.0), rail.center());
    let share = h.state().grid().look.post.denoise;
    assert!(share > 0.3);
    let limit = camlens::text::notice::number(share * map.range().1);
    h.get_by_label(&words::denoise_now(
        "Grad-CAM",
        &map.layer,
        [map.height, map.width],
        &limit,
    ));
}

#[test]
fn everything_is_there_at_twice_the_pixels() {
    let options = Options {
        model: ModelSource::Demo,
        image: Some(ImageSource::Path(sample())),
        device: DeviceChoice::Cpu,
        ..Options::default()
    };
    let mut h = Harness::builder()
        .with_size([1280.0, 800.0])
        .with_pixels_per_point(2.0)
        .with_max_steps(60)
        .with_step_dt(1.0 / 60.0)
        .build_eframe(move |cc| {
            App::new(&cc.egui_ctx, &options, Box::new(FakePicker::default())).unwrap()
        });
    until(&mut h, "maps", App::is_complete);
    assert_eq!(h.query_all_by_role(Role::Image).count(), 4);
    for i in 0..4 {
        let rect = picture_rect(&h, i);
        assert!(
            rect.width() > 200.0 && rect.right() < 1280.0 - 240.0,
            "{rect:?}"
        );
    }
}

#[test]
fn a_table_with_one_panel_too_few_keeps_its_shape() {
    let mut h = large();
    h.state_mut().send(Command::Table(3, 2));
    steps(&mut h, 3);
    h.state_mut().send(Command::RemovePanel(5));
    steps(&mut h, 3);
    let shape = Arrangement::Table {
        columns: 3,
        rows: 2,
    };
    assert_eq!(h.state().grid().arrangement, shape);
    assert_eq!(picture_rect(&h, 0).left(), picture_rect(&h, 3).left());
}
