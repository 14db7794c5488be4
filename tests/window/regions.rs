//! Regions: drawn with the mouse on a panel, without it, opened from files, measured, moved, deleted and saved.

use camlens::evaluate::localisation::Cover;
use camlens::post::scale_range;
use camlens::regions::{Region, Regions, Shape, union_mask};
use camlens::text::region as words;
use camlens::text::window::picture_of_panel;
use camlens::ui::Tool;
use camlens::ui::viewport::Placed;
use egui::{Color32, Rect, pos2};

use super::*;

/// The line around regions.
const LINE: Color32 = Color32::from_rgb(0, 229, 255);
/// Height of the colour scale below a panel's picture.
const SCALE: f32 = 26.0;

/// The sample's own name, as files of regions call it.
const NAME: &str = "man-right-middle.png";

fn size(h: &Harness<'_, App>) -> [usize; 2] {
    h.state().session().picture().unwrap().size()
}

/// How the source lies in a panel.
fn placed(h: &Harness<'_, App>, panel: usize) -> (Placed, Rect) {
    let layer = stop_name(h.state(), panel);
    let method = h.state().grid().panels[panel].method;
    let label = camlens::explain::catalogue::find(method).unwrap().label;
    let name = picture_of_panel(panel + 1, label, &layer);
    let area = h.get_by_role_and_label(Role::Image, &name).rect();
    assert!(area.height() > 2.0 * SCALE);
    (h.state().viewport().place(area, size(h)), area)
}

/// The point of a panel that shows a share of the source.
fn point(h: &Harness<'_, App>, panel: usize, [x, y]: [f64; 2]) -> Pos2 {
    let [w, height] = size(h).map(|side| side as f64);
    placed(h, panel).0.screen_from_source([x * w, y * height])
}

/// Drags over a panel through points of the source, given as shares.
fn draw(h: &mut Harness<'_, App>, panel: usize, path: &[[f64; 2]]) {
    let points: Vec<Pos2> = path.iter().map(|at| point(h, panel, *at)).collect();
    h.hover_at(points[0]);
    h.step();
    h.drag_at(points[0]);
    h.step();
    for pair in points.windows(2) {
        for part in 1..=4 {
            h.hover_at(pair[0].lerp(pair[1], part as f32 / 4.0));
            h.step();
        }
    }
    h.drop_at(*points.last().unwrap());
    steps(h, 3);
}

fn key(h: &mut Harness<'_, App>, key: Key) {
    h.key_press(key);
    steps(h, 2);
}

fn regions(h: &Harness<'_, App>) -> Regions {
    h.state().regions().clone()
}

/// Closed lines in the regions' colour that are painted in this frame.
fn outlines(h: &Harness<'_, App>, colour: Color32) -> Vec<Vec<Pos2>> {
    let mut found = Vec::new();
    for clipped in &h.output().shapes {
        let mut stack = vec![&clipped.shape];
        while let Some(shape) = stack.pop() {
            match shape {
                egui::Shape::Vec(shapes) => stack.extend(shapes),
                egui::Shape::Path(path)
                    if path.closed
                        && path.stroke.color == egui::epaint::ColorMode::Solid(colour) =>
                {
                    found.push(path.points.clone());
                }
                _ => {}
            }
        }
    }
    found
}

fn near(found: [f64; 4], expected: [f64; 4], tolerance: f64) {
    for (a, b) in found.iter().zip(expected) {
        assert!(
            (a - b).abs() <= tolerance,
            "{found:?}, expected {expected:?}"
        );
    }
}

#[test]
fn a_box_is_drawn_where_the_mouse_went_and_measured_against_every_map() {
    let mut h = window();
    key(&mut h, Key::B);
    assert_eq!(h.state().region_tool(), Some(Tool::Box));
    let before = h.state().viewport();
    draw(&mut h, 0, &[[0.2, 0.4], [0.45, 0.7]]);
    assert_eq!(h.state().viewport(), before, "drawing moves no picture");
    let set = regions(&h);
    assert_eq!(set.list.len(), 1);
    let [w, height] = size(&h).map(|side| side as f64);
    // Within a point of the screen.
    let point = 1.5 / f64::from(placed(&h, 0).0.scale);
    near(
        set.list[0].shape.bounds(),
        [0.2 * w, 0.4 * height, 0.45 * w, 0.7 * height],
        point,
    );
    assert!(matches!(set.list[0].shape, Shape::Box { .. }));
    let finding = h.state().session().findings()[h.state().target().unwrap()]
        .label
        .clone();
    assert_eq!(set.list[0].label, finding);

    // It is seen in all four panels, selected; once it is left, in the regions' colour.
    assert_eq!(outlines(&h, Color32::WHITE).len(), 4);
    key(&mut h, Key::Escape);
    assert_eq!(h.state().region_tool(), None);
    key(&mut h, Key::Escape);
    assert_eq!(h.state().selected_region(), None);
    assert_eq!(outlines(&h, LINE).len(), 4);

    // The numbers are those of the maps on screen, and follow the sliders.
    let check = |h: &Harness<'_, App>| {
        let set = regions(h);
        let mask = union_mask(&set.list.iter().collect::<Vec<&Region>>(), set.size);
        for panel in 0..4 {
            let exhibit = h.state().exhibit().unwrap();
            let post = exhibit.panels[panel].post;
            let field = h.state().field(panel).unwrap();
            let range = scale_range(&[field], &post)[0];
            let expected =
                Cover::of_field(&mask, field).measure(&field.values, range, post.sign, post.cut);
            let shown = h.state().localisation(panel).unwrap();
            assert_eq!(shown, expected, "panel {panel}");
            let method =
                camlens::explain::catalogue::find(h.state().grid().panels[panel].method).unwrap();
            let line = words::numbers(
                panel + 1,
                method.label,
                shown.energy_inside.unwrap(),
                shown.pointing_hit.unwrap(),
                shown.iou_at_cut,
            );
            h.get_by_label(&line);
        }
        h.get_by_label(&words::area(h.state().localisation(0).unwrap().area_share));
        h.state().localisation(0).unwrap()
    };
    let first = check(&h);
    h.get_by_role_and_label(Role::Slider, "Cut").focus();
    steps(&mut h, 2);
    for _ in 0..15 {
        h.key_press(Key::ArrowRight);
        h.step();
    }
    steps(&mut h, 2);
    let second = check(&h);
    assert_ne!(first.iou_at_cut, second.iou_at_cut);
    assert_eq!(
        first.energy_inside, second.energy_inside,
        "a cut changes no energy"
    );
}

#[test]
fn ellipses_and_freehand_and_where_they_stay_when_the_view_moves() {
    let mut h = window();
    key(&mut h, Key::E);
    draw(&mut h, 1, &[[0.55, 0.3], [0.8, 0.6]]);
    key(&mut h, Key::F);
    draw(
        &mut h,
        2,
        &[[0.2, 0.3], [0.4, 0.32], [0.38, 0.6], [0.22, 0.58]],
    );
    let set = regions(&h);
    assert_eq!(set.list.len(), 2);
    assert!(matches!(set.list[0].shape, Shape::Ellipse { .. }));
    let Shape::Polygon(rings) = &set.list[1].shape else {
        panic!("{:?}", set.list[1])
    };
    assert!(rings[0].len() > 8, "{}", rings[0].len());
    let [w, height] = size(&h).map(|side| side as f64);
    let screen = 1.5 / f64::from(placed(&h, 0).0.scale);
    near(
        set.list[1].shape.bounds(),
        [0.2 * w, 0.3 * height, 0.4 * w, 0.6 * height],
        screen,
    );

    // A click or a line without an area draws nothing.
    draw(&mut h, 0, &[[0.5, 0.5], [0.501, 0.5]]);
    assert_eq!(regions(&h).list.len(), 2);
    key(&mut h, Key::Escape);
    key(&mut h, Key::Escape);

    // The view moves, the regions do not; on the screen they move with the picture.
    let at = point(&h, 0, [0.5, 0.5]);
    h.hover_at(at);
    h.step();
    h.event(Event::MouseWheel {
        unit: MouseWheelUnit::Point,
        delta: vec2(0.0, 240.0),
        phase: egui::TouchPhase::Move,
        source: MouseWheelSource::Unknown,
        modifiers: Modifiers::NONE,
    });
    steps(&mut h, 30);
    assert!(h.state().viewport().zoom > 1.2);
    let (from, to) = (point(&h, 0, [0.45, 0.6]), point(&h, 0, [0.5, 0.5]));
    let centre = h.state().viewport().centre;
    drag(&mut h, from, to);
    assert_ne!(
        h.state().viewport().centre,
        centre,
        "without a tool a drag pans"
    );
    assert_eq!(regions(&h), set);
    let (placed, _) = placed(&h, 0);
    let expected: Vec<Pos2> = set.list[0].shape.outline()[0]
        .iter()
        .map(|at| placed.screen_from_source(*at))
        .collect();
    let drawn = outlines(&h, LINE);
    assert_eq!(drawn.len(), 8);
    let hit = drawn.iter().any(|line| {
        line.len() == expected.len()
            && line
                .iter()
                .zip(&expected)
                .all(|(a, b)| a.distance(*b) < 0.1)
    });
    assert!(hit, "the ellipse is not where it belongs");
}

#[test]
fn a_region_is_selected_moved_named_and_deleted() {
    let mut h = window();
    key(&mut h, Key::B);
    draw(&mut h, 0, &[[0.2, 0.2], [0.7, 0.8]]);
    draw(&mut h, 0, &[[0.3, 0.4], [0.45, 0.55]]);
    key(&mut h, Key::Escape);
    key(&mut h, Key::Escape);
    // The smaller one is in front.
    let at = point(&h, 3, [0.35, 0.5]);
    h.hover_at(at);
    h.step();
    h.drag_at(at);
    h.step();
    h.drop_at(at);
    steps(&mut h, 3);
    assert_eq!(h.state().selected_region(), Some(1));
    let before = regions(&h);
    let (from, to) = (point(&h, 0, [0.37, 0.5]), point(&h, 0, [0.47, 0.55]));
    let view = h.state().viewport();
    drag(&mut h, from, to);
    assert_eq!(h.state().viewport(), view);
    let [w, height] = size(&h).map(|side| side as f64);
    let moved = regions(&h).list[1].shape.bounds();
    let old = before.list[1].shape.bounds();
    let point = 2.0 / f64::from(placed(&h, 0).0.scale);
    let (dx, dy) = (0.1 * w, 0.05 * height);
    near(
        moved,
        [old[0] + dx, old[1] + dy, old[2] + dx, old[3] + dy],
        point,
    );
    assert_eq!(regions(&h).list[0], before.list[0]);

    let label = h.get_by_role_and_label(Role::TextInput, words::LABEL);
    label.focus();
    h.step();
    h.key_press_modifiers(Modifiers::COMMAND, Key::A);
    h.step();
    h.get_by_role_and_label(Role::TextInput, words::LABEL)
        .type_text("Bef");
    steps(&mut h, 2);
    // While somebody types, letters choose no tool and Delete takes no region away.
    key(&mut h, Key::Delete);
    assert_eq!(h.state().region_tool(), None);
    assert_eq!(regions(&h).list[1].label, "Bef");
    let entry = words::entry(2, "Bef", "box");
    h.get_by_role_and_label(Role::Button, &entry);
    // Out of the box, then it goes.
    key(&mut h, Key::Escape);
    if h.state().selected_region().is_none() {
        h.get_by_role_and_label(Role::Button, &entry)
            .click_accesskit();
        steps(&mut h, 2);
    }
    key(&mut h, Key::Delete);
    assert_eq!(regions(&h).list, before.list[..1]);
}

#[test]
fn regions_can_be_made_without_a_mouse() {
    let mut h = window();
    h.get_by_role_and_label(Role::Button, words::ADD_ELLIPSE)
        .focus();
    steps(&mut h, 2);
    key(&mut h, Key::Enter);
    assert_eq!(h.state().selected_region(), Some(0));
    for (name, value) in words::SIDES.into_iter().zip([60.0, 80.0, 100.0, 50.0]) {
        h.get_by_role_and_label(Role::SpinButton, name)
            .set_value_accesskit(value);
        steps(&mut h, 2);
    }
    near(
        regions(&h).list[0].shape.bounds(),
        [60.0, 80.0, 160.0, 130.0],
        0.05,
    );
    assert!(matches!(regions(&h).list[0].shape, Shape::Ellipse { .. }));
    // What would reach over the edge is kept on the picture.
    let width = size(&h)[0] as f64;
    h.get_by_role_and_label(Role::SpinButton, words::SIDES[0])
        .set_value_accesskit(width);
    steps(&mut h, 2);
    near(
        regions(&h).list[0].shape.bounds(),
        [width - 100.0, 80.0, width, 130.0],
        0.05,
    );
    // Every tool and file button has a name.
    for name in
        words::TOOLS
            .into_iter()
            .chain([words::OPEN, words::SAVE, words::DELETE, words::ADD_BOX])
    {
        assert!(h.query_all_by_label(name).count() >= 1, "{name}");
    }
    h.get_by_role_and_label(Role::TextInput, words::PATH_BOX);
}

const YOLO: &str = "0 0.5 0.25 0.2 0.5\n2 0.3 0.6 0.2 0.2\n";

#[test]
fn files_come_by_dialog_by_drop_and_by_path_and_go_out_as_coco() {
    let dir = tempfile::tempdir().unwrap();
    let (yolo, nih, saved) = (
        dir.path().join("a.txt"),
        dir.path().join("b.csv"),
        dir.path().join("out"),
    );
    std::fs::write(&yolo, YOLO).unwrap();
    let table =
        format!("Image Index,Finding Label,Bbox [x,y,w,h],,,\n{NAME},Pneumonia,20,30,40.5,50,,,\n");
    std::fs::write(&nih, table).unwrap();
    let mut h = window_with(FakePicker::answering([
        Answer::Chosen(yolo.clone()),
        Answer::Chosen(saved.clone()),
    ]));
    h.state_mut().send(Command::OpenRegions);
    until(&mut h, "regions by dialog", |app| {
        app.regions().list.len() == 2
    });
    assert!(errors(h.state()).is_empty(), "{:?}", errors(h.state()));

    h.input_mut().dropped_files.push(Arc::new(Dropped(nih)));
    until(&mut h, "regions by drop", |app| {
        app.regions().list.len() == 1
    });
    let shape = regions(&h).list[0].shape.clone();
    assert_eq!(
        shape,
        Shape::Box {
            x: 20.0,
            y: 30.0,
            w: 40.5,
            h: 50.0
        }
    );
    assert!(
        h.state().session().picture().unwrap().name.contains(NAME),
        "the X-ray stays"
    );

    key(&mut h, Key::E);
    draw(&mut h, 0, &[[0.5, 0.5], [0.75, 0.7]]);
    key(&mut h, Key::Escape);
    let before = regions(&h);
    h.state_mut().send(Command::SaveRegions);
    let path = saved.with_extension("json");
    until(&mut h, "the saved file", |_| path.is_file());
    h.state_mut().send(Command::DeleteRegion);
    steps(&mut h, 3);
    assert_eq!(regions(&h).list.len(), 1);

    for name in [words::PATH_BOX, "Path of an X-ray or a network"] {
        let file = if name == words::PATH_BOX {
            &path
        } else {
            &yolo
        };
        h.get_by_role_and_label(Role::TextInput, name).focus();
        h.step();
        h.get_by_role_and_label(Role::TextInput, name)
            .type_text(&file.display().to_string());
        h.step();
        h.key_press(Key::Enter);
        until(&mut h, "regions by path", |app| {
            app.regions().list.len() == 2
                && app.regions().list[1].origin == file.file_name().unwrap().to_string_lossy()
        });
        if name == words::PATH_BOX {
            let back = regions(&h);
            let shapes = |set: &Regions| {
                set.list
                    .iter()
                    .map(|r| (r.shape.clone(), r.label.clone()))
                    .collect::<Vec<_>>()
            };
            assert_eq!(shapes(&back), shapes(&before));
        }
    }
}

#[test]
fn a_file_for_another_picture_is_explained_and_regions_belong_to_their_picture() {
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("boxes.csv");
    std::fs::write(&other, "patientId,x,y,width,height,Target\nabc,1,2,3,4,1\n").unwrap();
    let mut h = window();
    key(&mut h, Key::B);
    draw(&mut h, 0, &[[0.2, 0.2], [0.7, 0.8]]);
    key(&mut h, Key::Escape);
    let before = regions(&h);
    h.input_mut().dropped_files.push(Arc::new(Dropped(other)));
    until(&mut h, "the refusal", |app| !errors(app).is_empty());
    let words = errors(h.state()).join(" ");
    assert!(
        words.contains("has no region for") && words.contains("abc"),
        "{words}"
    );
    assert_eq!(regions(&h), before, "what is there stays");

    // Another X-ray has none of them; back at the first they are there again.
    let first = h.state().session().picture().unwrap().sha256.clone();
    h.input_mut().dropped_files.push(Arc::new(Dropped(asset(
        "assets/samples/man-left-middle.png",
    ))));
    until(&mut h, "the other X-ray", |app| {
        app.session().picture().is_some_and(|p| p.sha256 != first) && app.is_complete()
    });
    assert!(regions(&h).list.is_empty());
    assert!(h.state().localisation(0).is_none());
    h.input_mut()
        .dropped_files
        .push(Arc::new(Dropped(sample())));
    until(&mut h, "the first X-ray", |app| {
        app.session().picture().is_some_and(|p| p.sha256 == first) && app.is_complete()
    });
    assert_eq!(regions(&h), before);
}

#[test]
fn the_exported_picture_has_the_outlines() {
    let mut h = window();
    let plain = h.state().exhibit().unwrap().render(1.0).unwrap();
    key(&mut h, Key::B);
    draw(&mut h, 0, &[[0.2, 0.4], [0.45, 0.7]]);
    let drawn = h.state().exhibit().unwrap().render(1.0).unwrap();
    let cyan = |picture: &image::RgbImage| {
        picture
            .pixels()
            .filter(|p| p.0[0] < 90 && p.0[1] > 180 && p.0[2] > 200)
            .count()
    };
    assert_eq!(drawn.dimensions(), plain.dimensions());
    assert!(
        cyan(&drawn) > cyan(&plain) + 400,
        "{} {}",
        cyan(&drawn),
        cyan(&plain)
    );
}

#[test]
fn the_cells_of_the_layer_are_drawn_on_demand() {
    let mut h = window();
    h.state_mut().send(Command::Panels(1));
    until(&mut h, "one map", App::is_complete);
    let lines = |h: &Harness<'_, App>| {
        let mut x = Vec::new();
        for clipped in &h.output().shapes {
            if let egui::Shape::LineSegment { points, stroke } = &clipped.shape
                && stroke.color == Color32::from_white_alpha(70)
            {
                x.push(*points);
            }
        }
        x
    };
    assert!(lines(&h).is_empty());
    h.get_by_role_and_label(Role::CheckBox, words::GRID)
        .click_accesskit();
    steps(&mut h, 3);
    let exhibit = h.state().exhibit().unwrap();
    let map = exhibit.panels[0].map.clone().unwrap();
    let drawn = lines(&h);
    assert_eq!(drawn.len(), map.width + map.height + 2);
    // The first line is the picture's left edge, the next one cell of the layer further.
    let picture = placed(&h, 0).0;
    let step = map.source_from_grid().scale[0] as f32 * picture.scale;
    assert!((drawn[1][0].x - drawn[0][0].x - step).abs() < 0.01);
    assert!(drawn[0][0].distance(pos2(picture.origin.x, picture.origin.y)) < 0.01);
}

#[test]
fn what_the_network_is_fed_can_be_looked_at() {
    let mut h = window();
    h.get_by_label("View").click();
    steps(&mut h, 3);
    h.get_by_label(words::MODEL_EYE).click();
    steps(&mut h, 3);
    h.get_by_label(words::EYE_TITLE);
    h.get_by_role_and_label(Role::Image, words::EYE_SOURCE);
    h.get_by_role_and_label(Role::Image, words::EYE_INPUT);
    let model = h.state().session().model().unwrap().clone();
    let picture = h.state().session().picture().unwrap().clone();
    let input = picture.input_for(&model).unwrap();
    h.get_by_label(&words::eye_size(input.channels, input.width, input.height));
    let lo = input.values.iter().copied().fold(f32::INFINITY, f32::min);
    let hi = input
        .values
        .iter()
        .copied()
        .fold(f32::NEG_INFINITY, f32::max);
    let recipe = &model.facts.recipe.as_ref().unwrap().value;
    h.get_by_label(&words::eye_range(
        lo,
        hi,
        recipe.black()[0],
        recipe.white()[0],
    ));
    assert!(h.query_all_by_label_contains(&recipe.name).count() >= 1);
    key(&mut h, Key::Escape);
    steps(&mut h, 3);
    assert!(h.query_by_label(words::EYE_TITLE).is_none());
    // What is done to the view changes no number of it.
    h.state_mut().send(Command::ZoomIn);
    h.state_mut().send(Command::ToggleTheme);
    h.state_mut().send(Command::ToggleOverlay);
    steps(&mut h, 3);
    assert_eq!(picture.input_for(&model).unwrap(), input);
}

#[test]
fn menus_and_buttons_have_room_in_the_smallest_window() {
    let mut h = window();
    for width in [1360.0, 1100.0, 1000.0, 900.0] {
        h.set_size(vec2(width, 640.0));
        steps(&mut h, 4);
        let menus = h.get_by_label("Help").rect().right();
        for command in [
            Command::Preset(Preset::First),
            Command::Preset(Preset::Methods),
            Command::Preset(Preset::Depth),
            Command::Export,
        ] {
            let label = command.label();
            for button in h.query_all_by_label(&label) {
                assert!(
                    button.rect().left() >= menus,
                    "{label} at a width of {width}"
                );
            }
        }
    }
    h.set_size(vec2(1360.0, 860.0));
    steps(&mut h, 4);
    assert_eq!(
        h.query_all_by_label(&Command::Preset(Preset::Depth).label())
            .count(),
        1
    );
}
