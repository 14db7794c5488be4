//! Files of several frames: leafed through by button, number and key, each frame with its own maps and regions.

use camlens::text::window as words;
use camlens::ui::Tool;

use super::dicom_file::{Dicom, text};
use super::*;

/// Three frames: the sample, the same mirrored, the same darker.
fn three_frames(folder: &Path) -> PathBuf {
    let image = camlens::image::Image::open(&sample()).unwrap();
    let cells: Vec<u16> = image.values.iter().map(|v| *v as u16 * 16).collect();
    let mirrored = cells
        .chunks(image.width)
        .flat_map(|row| row.iter().rev())
        .copied();
    let mut all = cells.clone();
    all.extend(mirrored);
    all.extend(cells.iter().map(|v| v / 2));
    let file = Dicom::grey(image.width as u16, image.height as u16, 12)
        .set(text(0x0028_0008, "IS", "3"))
        .words(&all);
    let path = folder.join("three.dcm");
    std::fs::write(&path, file.bytes()).unwrap();
    path
}

fn shows(frame: usize) -> impl Fn(&App) -> bool {
    move |app: &App| {
        let shown = app.session().picture().map(|p| p.frame);
        app.is_complete() && shown == Some([frame, 3])
    }
}

#[test]
fn frames_are_chosen_by_button_number_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let mut h = window();
    assert!(
        h.query_by_role_and_label(Role::SpinButton, words::FRAME)
            .is_none(),
        "a file of one frame has nothing to choose"
    );
    h.state_mut().open_path(&three_frames(folder.path()));
    until(&mut h, "the first frame", shows(1));
    let of_first = h.state().session().findings().to_vec();
    h.get_by_label(&words::of_frames(3));

    // Zoom and grey levels stay while one leafs; regions belong to their frame.
    h.state_mut().send(Command::ZoomIn);
    h.state_mut().send(Command::Invert);
    h.state_mut().send(Command::Draw(Tool::Box));
    steps(&mut h, 3);
    let (view, grey) = (h.state().viewport(), h.state().grey_levels());
    h.get_by_role_and_label(Role::Button, &Command::NextFrame.label())
        .click();
    until(&mut h, "the second frame", shows(2));
    assert_ne!(h.state().session().findings(), of_first);
    assert_eq!(
        (h.state().viewport(), h.state().grey_levels()),
        (view, grey)
    );
    let exhibit = h.state().exhibit().unwrap();
    assert_eq!(
        exhibit.cases[0].picture.full_name(),
        "three.dcm, frame 2 of 3"
    );

    h.get_by_role_and_label(Role::SpinButton, words::FRAME)
        .set_value_accesskit(3.0);
    until(&mut h, "the third frame", shows(3));
    // After the last there is nothing.
    h.key_press(Key::Period);
    steps(&mut h, 3);
    assert!(shows(3)(h.state()));
    h.key_press(Key::Comma);
    until(&mut h, "the second frame again", shows(2));
    h.key_press(Key::Comma);
    until(&mut h, "the first frame again", shows(1));
    assert_eq!(h.state().session().findings(), of_first);

    // The number itself takes the keyboard's focus and arrows.
    h.get_by_role_and_label(Role::SpinButton, words::FRAME)
        .focus();
    h.step();
    h.key_press(Key::ArrowUp);
    until(&mut h, "the frame of the arrow key", shows(2));
}

#[test]
fn the_frame_of_the_command_line_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = three_frames(folder.path());
    let frame = std::num::NonZeroUsize::new(2).unwrap();
    let options = Options {
        image: Some(ImageSource::frame_of(path.clone(), frame)),
        device: DeviceChoice::Cpu,
        ..Options::default()
    };
    let mut h = Harness::builder()
        .with_size([1000.0, 640.0])
        .build_eframe(move |cc| {
            App::new(&cc.egui_ctx, &options, Box::new(FakePicker::default())).unwrap()
        });
    until(&mut h, "the second frame", shows(2));
    assert_eq!(h.state().open_file(), Some(path.as_path()));
}
