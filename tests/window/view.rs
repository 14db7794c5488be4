//! The picture turned, mirrored, one to one and in true proportion: everything on a panel goes along, and nothing but the
//! screen changes.

use camlens::image::geometry::Affine;
use camlens::regions::Shape;
use camlens::text::window as words;
use camlens::ui::viewport::{Source, Turn, Viewport};
use egui::{Color32, Mesh, Rect, TextureId, pos2};
use proptest::prelude::*;

use super::dicom_file::{Dicom, text};
use super::*;

/// The picture's part of a panel on the screen.
fn area(h: &Harness<'_, App>, panel: usize) -> Rect {
    let layer = stop_name(h.state(), panel);
    let method = h.state().grid().panels[panel].method;
    let label = camlens::explain::catalogue::find(method).unwrap().label;
    let name = words::picture_of_panel(panel + 1, label, &layer);
    h.get_by_role_and_label(Role::Image, &name).rect()
}

/// Textured rectangles that are painted in this frame, of textures of this name, that lie in `inside`.
fn painted(h: &Harness<'_, App>, name: &str, inside: Rect) -> Vec<Mesh> {
    let manager = h.ctx.tex_manager();
    let manager = manager.read();
    let is_named = |id: TextureId| {
        manager
            .meta(id)
            .is_some_and(|meta| meta.name.starts_with(name))
    };
    let mut found = Vec::new();
    for clipped in &h.output().shapes {
        if let egui::Shape::Mesh(mesh) = &clipped.shape
            && is_named(mesh.texture_id)
            && inside
                .expand(1.0)
                .contains_rect(clipped.clip_rect.intersect(mesh.calc_bounds()))
        {
            found.push(Mesh::clone(mesh));
        }
    }
    found
}

fn key(h: &mut Harness<'_, App>, key: Key) {
    h.key_press(key);
    steps(h, 2);
}

/// Where the turned picture of this shape lies in an area that it fits.
fn fitted(area: Rect, wide: f32, high: f32) -> Rect {
    let scale = (area.width() / wide).min(area.height() / high);
    Rect::from_center_size(area.center(), scale * vec2(wide, high))
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
fn a_box_that_is_drawn_in_a_rotated_view_lies_right_in_the_source() {
    let mut h = window();
    let findings = h.state().session().findings().to_vec();
    let exported = h.state().exhibit().unwrap().render(0.25).unwrap();
    let [w, height] = h
        .state()
        .session()
        .picture()
        .unwrap()
        .size()
        .map(|v| v as f32);
    key(&mut h, Key::R);
    assert!(h.state().is_complete(), "nothing is computed again");
    // By hand: a quarter turn clockwise has the source's left edge on top, read from below.
    let picture = fitted(area(&h, 0), height, w);
    let seen = |h: &Harness<'_, App>, u: f32, v: f32| {
        let picture = fitted(area(h, 0), height, w);
        picture.min + vec2(u * picture.width(), v * picture.height())
    };
    let placed = painted(&h, "x-ray", area(&h, 0));
    assert_eq!(placed.len(), 1);
    let bounds = placed[0].calc_bounds();
    assert!((bounds.min - picture.min).length() < 0.1 && (bounds.max - picture.max).length() < 0.1);

    key(&mut h, Key::B);
    let (from, to) = (seen(&h, 0.2, 0.3), seen(&h, 0.5, 0.6));
    drag(&mut h, from, to);
    let source = |x: f32, y: f32| [f64::from(x * w), f64::from(y * height)];
    let [left, top] = source(0.3, 0.5);
    let [right, bottom] = source(0.6, 0.8);
    let point = 1.5 * f64::from(height / picture.width());
    let drawn = h.state().regions().list[0].shape.clone();
    assert!(matches!(drawn, Shape::Box { .. }));
    near(drawn.bounds(), [left, top, right, bottom], point);

    // It is moved by what the hand does on the screen: to the right is up in the source.
    key(&mut h, Key::Escape);
    let step = picture.width() * 0.1;
    let from = seen(&h, 0.35, 0.45);
    drag(&mut h, from, from + vec2(step, 0.0));
    let moved = h.state().regions().list[0].shape.clone();
    let up = f64::from(0.1 * height);
    near(
        moved.bounds(),
        [left, top - up, right, bottom - up],
        2.0 * point,
    );

    // The pointer reads the source's pixel, in the bottom bar.
    let at = seen(&h, 0.6, 0.45);
    h.hover_at(at);
    steps(&mut h, 4);
    let told: Vec<String> = h
        .query_all_by_label_contains("   y ")
        .filter_map(|node| {
            let node = node.accesskit_node();
            node.value().or_else(|| node.label())
        })
        .collect();
    let numbers: Vec<f64> = told
        .concat()
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [x, y] = source(0.45, 0.4);
    assert!(
        numbers.len() == 3 && (numbers[0] - x).abs() <= point && (numbers[1] - y).abs() <= point,
        "{told:?}, expected x {x} y {y}"
    );

    // However it is looked at, the region stays where it is, and so does all that leaves the window.
    for command in [
        Command::FlipAcross,
        Command::ZoomIn,
        Command::RotateLeft,
        Command::FlipDown,
        Command::OneToOne,
        Command::AsStored,
        Command::Fit,
    ] {
        h.state_mut().send(command);
        steps(&mut h, 2);
        assert_eq!(h.state().regions().list[0].shape, moved, "{command:?}");
    }
    assert_eq!(h.state().viewport(), Viewport::default());
    assert_eq!(h.state().session().findings(), findings);
    h.state_mut().send(Command::DeleteRegion);
    key(&mut h, Key::X);
    assert_ne!(h.state().viewport().turn, Turn::default());
    let exhibit = h.state().exhibit().unwrap();
    assert_eq!(
        exhibit.render(0.25).unwrap(),
        exported,
        "exports stay as stored"
    );
}

#[test]
fn that_the_picture_is_turned_is_said_on_it() {
    let mut h = window();
    let says = |h: &Harness<'_, App>, what: &str| {
        let mut stack: Vec<&egui::Shape> = h.output().shapes.iter().map(|c| &c.shape).collect();
        let mut found = 0;
        while let Some(shape) = stack.pop() {
            match shape {
                egui::Shape::Vec(shapes) => stack.extend(shapes),
                egui::Shape::Text(text) if text.galley.text() == what => found += 1,
                _ => {}
            }
        }
        found
    };
    key(&mut h, Key::X);
    assert_eq!(says(&h, &words::turned(true, 0)), 4, "on every panel");
    h.key_press_modifiers(Modifiers::SHIFT, Key::R);
    steps(&mut h, 2);
    let turn = h.state().viewport().turn;
    assert_eq!(says(&h, &words::turned(turn.mirrored, turn.quarters)), 4);
    assert_eq!((turn.mirrored, turn.quarters), (true, 3));
    // Heat goes with the X-ray: both are turned alike.
    let (x_ray, heat) = (
        painted(&h, "x-ray", area(&h, 0)),
        painted(&h, "heat", area(&h, 0)),
    );
    // Where the upper left corner of a texture, or of what is painted of it, has gone.
    let corner = |mesh: &Mesh| {
        let first = mesh.vertices.first().unwrap();
        let uv: Vec<[f32; 2]> = mesh.vertices.iter().map(|v| v.uv.into()).collect();
        assert!(uv.iter().all(|v| v[0] >= first.uv.x && v[1] >= first.uv.y));
        let way = first.pos - mesh.calc_bounds().center();
        [way.x > 0.0, way.y > 0.0]
    };
    assert_eq!(corner(&x_ray[0]), corner(&heat[0]));
    h.state_mut().send(Command::AsStored);
    steps(&mut h, 2);
    assert_eq!(says(&h, &words::turned(true, 3)), 0);
}

/// The sample with pixels twice as high as wide.
fn oblong(folder: &Path) -> PathBuf {
    let image = camlens::image::Image::open(&sample()).unwrap();
    let cells: Vec<u16> = image.values.iter().map(|v| *v as u16 * 16).collect();
    let file = Dicom::grey(image.width as u16, image.height as u16, 12)
        .set(text(0x0028_0030, "DS", "0.4\\0.2"))
        .words(&cells);
    let path = folder.join("oblong.dcm");
    std::fs::write(&path, file.bytes()).unwrap();
    path
}

#[test]
fn oblong_pixels_are_shown_in_proportion_and_one_to_one_and_native() {
    let folder = tempfile::tempdir().unwrap();
    let mut h = window();
    h.state_mut().open_path(&oblong(folder.path()));
    until(&mut h, "the picture with oblong pixels", |app| {
        app.is_complete()
            && app
                .session()
                .picture()
                .is_some_and(|p| p.pixel_aspect() == 0.5)
    });
    let [w, height] = h
        .state()
        .session()
        .picture()
        .unwrap()
        .size()
        .map(|v| v as f32);
    let shape = |h: &Harness<'_, App>| {
        steps_done(h);
        painted(h, "x-ray", area(h, 0))[0].calc_bounds()
    };
    let expected = fitted(area(&h, 0), w, 2.0 * height);
    assert!((shape(&h).size() - expected.size()).length() < 0.1);
    key(&mut h, Key::R);
    let expected = fitted(area(&h, 0), 2.0 * height, w);
    assert!((shape(&h).size() - expected.size()).length() < 0.1);

    key(&mut h, Key::Z);
    let size = shape(&h).size() * h.ctx.pixels_per_point();
    assert!((size - vec2(2.0 * height, w)).length() < 0.5, "{size}");

    let filter = |h: &Harness<'_, App>| {
        let id = painted(h, "x-ray", area(h, 0))[0].texture_id;
        let manager = h.ctx.tex_manager();
        let options = manager.read().meta(id).unwrap().options;
        options.magnification
    };
    assert_eq!(filter(&h), egui::TextureFilter::Linear);
    key(&mut h, Key::M);
    assert_eq!(filter(&h), egui::TextureFilter::Nearest);
    key(&mut h, Key::Num0);
    assert_eq!(h.state().viewport().exact, None);
    assert!(
        h.state().viewport().native,
        "fit changes the part that is seen only"
    );
}

/// A frame is on the screen.
fn steps_done(h: &Harness<'_, App>) {
    assert!(!h.output().shapes.is_empty());
}

/// Where a point of a texture comes to lie on the screen, by the triangles that are painted.
fn on_mesh(mesh: &Mesh, uv: [f32; 2]) -> Pos2 {
    let corner = |u: f32, v: f32| {
        mesh.vertices
            .iter()
            .find(|x| x.uv == pos2(u, v))
            .unwrap()
            .pos
    };
    let (origin, right, down) = (corner(0.0, 0.0), corner(1.0, 0.0), corner(0.0, 1.0));
    origin + uv[0] * (right - origin) + uv[1] * (down - origin)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A dot of the source, seen in the heat over it, comes back within half a cell of the map, whatever the view.
    #[test]
    fn a_dot_comes_back_through_every_view(
        size in (33_usize..3000, 33_usize..3000),
        aspect in 0.3_f64..3.0,
        turned in (any::<bool>(), 0_u8..4),
        room in (150.0_f32..1900.0, 150.0_f32..1200.0),
        zooms in prop::collection::vec((0.7_f32..1.8, 0.0_f32..1.0, 0.0_f32..1.0), 0..12),
        pans in prop::collection::vec((-300.0_f32..300.0, -300.0_f32..300.0), 0..4),
        exact in any::<bool>(),
        grid in (3_usize..60, 3_usize..60),
        crop in (0.5_f64..1.2, 0.5_f64..1.2, -0.1_f64..0.4, -0.1_f64..0.4),
        dot in (0.02_f64..0.98, 0.02_f64..0.98),
    ) {
        let (source, area) = (
            Source::new([size.0, size.1], aspect),
            Rect::from_min_size(pos2(211.0, 87.0), vec2(room.0, room.1)),
        );
        let mut view = Viewport {
            turn: Turn { mirrored: turned.0, quarters: turned.1 },
            ..Viewport::default()
        };
        for (factor, x, y) in zooms {
            let at = area.min + vec2(x * area.width(), y * area.height());
            view.zoom_at(factor, at, area, source);
        }
        for (x, y) in pans {
            view.pan(vec2(x, y), area, source);
        }
        if exact {
            view.one_to_one(area, source, 1.25);
        }
        let placed = view.place(area, source);
        // How a map lies on the source: stretched, cropped or padded.
        let [w, h] = source.size.map(|v| v as f64);
        let source_from_field = Affine {
            scale: [crop.0 * w / grid.0 as f64, crop.1 * h / grid.1 as f64],
            offset: [crop.2 * w, crop.3 * h],
        };
        let [left, top] = source_from_field.offset;
        let [right, bottom] = source_from_field.apply([grid.0 as f64, grid.1 as f64]);
        let (u, v) = (dot.0 * grid.0 as f64, dot.1 * grid.1 as f64);
        let at = source_from_field.apply([u, v]);
        // The cell that the dot lights, and where its middle is painted.
        let middle = [
            ((u.floor() + 0.5) / grid.0 as f64) as f32,
            ((v.floor() + 0.5) / grid.1 as f64) as f32,
        ];
        let heat = placed.mesh(TextureId::default(), [left, top, right, bottom], Color32::WHITE);
        let back = placed.source_from_screen(on_mesh(&heat, middle));
        // What f32 coordinates of the screen can tell.
        let fine = 2e-2 / f64::from(placed.scale) + 1e-3;
        for axis in [0, 1] {
            let half = source_from_field.scale[axis] / 2.0;
            prop_assert!((back[axis] - at[axis]).abs() <= half + fine, "{back:?} {at:?}");
        }
        // The X-ray under it: the same point of the source at the same point of the screen.
        let x_ray = placed.mesh(TextureId::default(), [0.0, 0.0, w, h], Color32::WHITE);
        let share = [(at[0] / w) as f32, (at[1] / h) as f32];
        let screen = placed.screen_from_source(at);
        let drift = (on_mesh(&x_ray, share) - screen).length();
        prop_assert!(drift < 0.05 + 2e-6 * x_ray.calc_bounds().size().length(), "{drift}");
        let again = placed.source_from_screen(screen);
        prop_assert!((again[0] - at[0]).abs() <= fine && (again[1] - at[1]).abs() <= fine);
        // Regions are drawn by the same way, so their points come back, too.
        let rect = placed.rect([left, top, right, bottom]);
        let ends = [heat.calc_bounds().min, heat.calc_bounds().max];
        prop_assert!((rect.min - ends[0]).length() < 0.1 && (rect.max - ends[1]).length() < 0.1);
    }
}
