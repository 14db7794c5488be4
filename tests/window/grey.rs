//! A DICOM file in the window: its grey levels by drag, number, preset and key, and whose picture it is.

use camlens::image::Image;
use camlens::image::display::{Display, VoiFunction};
use camlens::text::grey as words;
use camlens::text::window::picture_of_panel;
use egui::{PointerButton, Vec2};

use super::dicom_file::{Dicom, text};
use super::*;

const PATIENT: &str = "Doe^Jane";

/// The sample as 12 bits with two windows of its own.
fn dicom(folder: &Path) -> PathBuf {
    let image = Image::open(&sample()).unwrap();
    let cells: Vec<u16> = image.values.iter().map(|v| *v as u16 * 16).collect();
    let file = Dicom::grey(image.width as u16, image.height as u16, 12)
        .set(text(0x0010_0010, "PN", PATIENT))
        .set(text(0x0010_0020, "LO", "4711-0815"))
        .set(text(0x0028_1050, "DS", "2000\\1000"))
        .set(text(0x0028_1051, "DS", "4000\\600"))
        .set(text(0x0028_1055, "LO", "WIDE\\NARROW"))
        .words(&cells);
    let path = folder.join("case.dcm");
    std::fs::write(&path, file.bytes()).unwrap();
    path
}

fn window_on(path: &Path) -> Harness<'static, App> {
    let options = Options {
        model: ModelSource::Demo,
        image: Some(ImageSource::Path(path.to_owned())),
        device: DeviceChoice::Cpu,
        ..Options::default()
    };
    let mut h = Harness::builder()
        .with_size([1280.0, 900.0])
        .with_max_steps(60)
        .with_step_dt(1.0 / 60.0)
        .build_eframe(move |cc| {
            App::new(&cc.egui_ctx, &options, Box::new(FakePicker::default())).unwrap()
        });
    until(&mut h, "the first maps", App::is_complete);
    h
}

fn center_width(h: &Harness<'_, App>) -> [f64; 2] {
    h.state().grey_levels().unwrap().center_width()
}

fn middle_of_panel(h: &Harness<'_, App>) -> Pos2 {
    let layer = stop_name(h.state(), 0);
    let method = h.state().grid().panels[0].method;
    let label = camlens::explain::catalogue::find(method).unwrap().label;
    let name = picture_of_panel(1, label, &layer);
    h.get_by_role_and_label(Role::Image, &name).rect().center()
}

/// The section stands below the others.
fn scroll_to_presets(h: &mut Harness<'_, App>) {
    h.get_by_value(words::PRESETS).scroll_to_me();
    steps(h, 30);
}

fn right_button(h: &mut Harness<'_, App>, pos: Pos2, pressed: bool) {
    h.event(Event::PointerButton {
        pos,
        button: PointerButton::Secondary,
        pressed,
        modifiers: Modifiers::NONE,
    });
    h.step();
}

fn right_drag(h: &mut Harness<'_, App>, by: Vec2) {
    let from = middle_of_panel(h);
    h.hover_at(from);
    h.step();
    right_button(h, from, true);
    for part in 1..=4 {
        h.hover_at(from + by * (part as f32 / 4.0));
        h.step();
    }
    let [center, width] = center_width(h);
    let numbers = words::numbers(center, width, 4095.0);
    let painted = h.output().shapes.iter().any(|clipped| {
        let mut stack = vec![&clipped.shape];
        while let Some(shape) = stack.pop() {
            match shape {
                egui::Shape::Vec(shapes) => stack.extend(shapes),
                egui::Shape::Text(text) if text.galley.text().contains(&numbers) => return true,
                _ => {}
            }
        }
        false
    });
    assert!(painted, "{numbers} while the drag lasts");
    right_button(h, from + by, false);
    steps(h, 2);
}

/// Mean grey level of what an export shows.
fn shown(h: &Harness<'_, App>) -> f64 {
    let picture = h.state().exhibit().unwrap().cases[0]
        .picture
        .display
        .clone();
    let sum: f64 = picture.pixels().map(|p| f64::from(p.0[0])).sum();
    sum / f64::from(picture.width() * picture.height())
}

#[test]
fn a_right_drag_changes_grey_levels_and_no_number_of_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let mut h = window_on(&dicom(folder.path()));
    assert_eq!(
        center_width(&h),
        [2000.0, 4000.0],
        "the file's first window"
    );
    let (logits, before) = (h.state().session().findings().to_vec(), shown(&h));

    right_drag(&mut h, vec2(-120.0, 0.0));
    let [center, width] = center_width(&h);
    assert_eq!(center, 2000.0);
    assert!(width < 3900.0, "to the left is narrower: {width}");
    right_drag(&mut h, vec2(0.0, 100.0));
    let [center, same] = center_width(&h);
    assert!(center > 2050.0 && (same - width).abs() < 1e-9, "{center}");
    assert!(shown(&h) < before - 5.0, "a higher center is darker");
    assert!(h.state().is_complete(), "nothing is computed again");
    assert_eq!(h.state().session().findings(), logits);

    // The number typed is the number in use.
    h.get_by_role_and_label(Role::SpinButton, words::CENTER)
        .set_value_accesskit(1500.0);
    steps(&mut h, 3);
    assert_eq!(center_width(&h)[0], 1500.0);

    scroll_to_presets(&mut h);
    let found: Vec<egui::Rect> = h
        .query_all_by_role_and_label(Role::Button, &Command::ResetGrey.label())
        .map(|node| node.rect())
        .collect();
    // Display settings have a reset of their own, higher up.
    let lowest = found.iter().max_by(|a, b| a.top().total_cmp(&b.top()));
    let at = lowest.unwrap().center();
    h.hover_at(at);
    h.step();
    h.drag_at(at);
    h.step();
    h.drop_at(at);
    steps(&mut h, 3);
    assert_eq!(center_width(&h), [2000.0, 4000.0]);
    assert!((shown(&h) - before).abs() < 1e-9);
}

#[test]
fn presets_of_the_file_and_inversion() {
    let folder = tempfile::tempdir().unwrap();
    let mut h = window_on(&dicom(folder.path()));
    let before = shown(&h);
    h.key_press(Key::I);
    steps(&mut h, 2);
    assert!(h.state().grey_levels().unwrap().invert);
    assert!((shown(&h) - (255.0 - before)).abs() < 0.6);

    scroll_to_presets(&mut h);
    h.get_by_value(words::PRESETS).click();
    steps(&mut h, 3);
    h.get_by_label("NARROW").click();
    steps(&mut h, 3);
    assert_eq!(center_width(&h), [1000.0, 600.0]);
    assert!(h.state().grey_levels().unwrap().invert, "stays inverted");
    let image = h
        .state()
        .session()
        .picture()
        .unwrap()
        .image()
        .unwrap()
        .clone();
    assert_eq!(
        Display::preset(&image, "file2").unwrap().voi,
        h.state().grey_levels().unwrap().voi
    );
}

#[test]
fn the_window_is_given_the_shape_of_a_sigmoid() {
    let folder = tempfile::tempdir().unwrap();
    let mut h = window_on(&dicom(folder.path()));
    h.get_by_role_and_label(Role::ComboBox, words::FUNCTION)
        .scroll_to_me();
    steps(&mut h, 30);
    let darkest = |h: &Harness<'_, App>| {
        let picture = h.state().exhibit().unwrap().cases[0]
            .picture
            .display
            .clone();
        picture.pixels().map(|p| p.0[0]).min().unwrap()
    };
    assert!(darkest(&h) < 10);
    h.get_by_role_and_label(Role::ComboBox, words::FUNCTION)
        .click();
    steps(&mut h, 3);
    h.get_by_label(words::function(VoiFunction::Sigmoid.id()))
        .click();
    steps(&mut h, 3);
    let display = h.state().grey_levels().unwrap();
    assert_eq!(display.function(), Some(VoiFunction::Sigmoid));
    assert_eq!(display.center_width(), [2000.0, 4000.0], "the window stays");
    // 255 / (1 + exp(2)): a sigmoid is not yet black where a line is.
    assert!((30..40).contains(&darkest(&h)), "{}", darkest(&h));
    // A drag moves the window and keeps its shape.
    right_drag(&mut h, vec2(-60.0, 0.0));
    let display = h.state().grey_levels().unwrap();
    assert_eq!(display.function(), Some(VoiFunction::Sigmoid));
}

#[test]
fn whose_picture_it_is_stands_on_the_screen_only() {
    let folder = tempfile::tempdir().unwrap();
    let h = window_on(&dicom(folder.path()));
    assert!(h.query_by_label_contains("4711-0815").is_some());
    let exhibit = h.state().exhibit().unwrap();
    assert!(!exhibit.cases[0].picture.name.contains("Doe"));
    assert!(!format!("{:?}", exhibit.cases[0].picture.facts()).contains("4711"));
}

/// What is too wide pushes a panel over its neighbour, whose pictures then take clicks that are meant for sliders.
#[test]
fn side_panels_keep_to_their_width() {
    let folder = tempfile::tempdir().unwrap();
    let mut h = window_on(&dicom(folder.path()));
    steps(&mut h, 3);
    let pictures = h.query_all_by_role(Role::Image).map(|node| node.rect());
    let right = pictures.fold(0.0_f32, |edge, rect| edge.max(rect.right()));
    let rail = slider(&h, "Blur");
    assert!(right + 20.0 <= rail.left(), "{right}, {rail}");
    assert!(rail.right() <= 1280.0 - 8.0, "{rail}");
    let presets = h.get_by_value(words::OF_THE_FILE).rect();
    assert!(
        (presets.left() - rail.left()).abs() < 1.0,
        "{presets}, {rail}"
    );
}
