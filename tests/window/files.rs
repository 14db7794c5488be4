//! Folders of pictures: listed, chosen from, gone through by key.

use camlens::text::files as words;

use super::dicom_file::{Dicom, text};
use super::*;

/// Two series' pictures out of order, one PNG, one broken file and one that is no picture.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, number) in [("b.dcm", "1"), ("a.dcm", "2")] {
        let cells: Vec<u16> = (0..64 * 64).map(|i| (i % 64) as u16 * 60).collect();
        let file = Dicom::grey(64, 64, 12)
            .set(text(0x0010_0010, "PN", "Doe^Jane"))
            .set(text(0x0010_0020, "LO", "4711-0815"))
            .set(text(0x0020_000D, "UI", "1.2.3"))
            .set(text(0x0020_000E, "UI", "1.2.3.4"))
            .set(text(0x0020_0013, "IS", number))
            .words(&cells);
        std::fs::write(folder.path().join(name), file.bytes()).unwrap();
    }
    std::fs::copy(sample(), folder.path().join("c.png")).unwrap();
    std::fs::write(
        folder.path().join("broken.png"),
        b"\x89PNG\r\n\x1a\nnothing",
    )
    .unwrap();
    folder
}

fn drop_path(h: &mut Harness<'_, App>, path: &Path) {
    h.input_mut()
        .dropped_files
        .push(Arc::new(Dropped(path.to_owned())));
    h.step();
}

fn open_name(app: &App) -> String {
    let path = app.open_file().unwrap();
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn a_folder_is_listed_and_gone_through() {
    let folder = folder();
    let mut h = window();
    drop_path(&mut h, folder.path());
    let start = Instant::now();
    while h.query_by_role_and_label(Role::Button, "a.dcm").is_none() {
        assert!(start.elapsed() < PATIENCE, "the list did not come");
        std::thread::sleep(Duration::from_millis(5));
        h.step();
    }
    assert!(
        h.query_by_label_contains(words::title("").trim_end())
            .is_some()
    );
    let top = |name: &str| h.get_by_role_and_label(Role::Button, name).rect().top();
    assert!(top("b.dcm") < top("a.dcm"), "by number in the series");
    assert!(
        top("a.dcm") < top("broken.png"),
        "what cannot be opened is last"
    );

    // The broken one cannot be chosen; the window goes on.
    let before = open_name(h.state());
    h.get_by_role_and_label(Role::Button, "broken.png").click();
    steps(&mut h, 3);
    assert_eq!(open_name(h.state()), before);

    h.get_by_role_and_label(Role::Button, "b.dcm").click();
    until(&mut h, "b.dcm", |app| open_name(app) == "b.dcm");
    assert!(
        h.query_by_role_and_label(Role::Button, "a.dcm").is_none(),
        "closed"
    );
    until(&mut h, "maps of b.dcm", |app| {
        app.is_complete() && app.session().picture().is_some_and(|p| p.name == "b.dcm")
    });

    h.key_press(Key::N);
    until(&mut h, "a.dcm", |app| open_name(app) == "a.dcm");
    h.key_press(Key::P);
    until(&mut h, "b.dcm", |app| open_name(app) == "b.dcm");
    // Before the first there is nothing.
    h.key_press(Key::P);
    steps(&mut h, 2);
    assert_eq!(open_name(h.state()), "b.dcm");
}

#[test]
fn keys_without_a_folder_say_what_to_do() {
    let mut h = window();
    h.key_press(Key::N);
    steps(&mut h, 2);
    let said = format!("{:?}", h.state().messages());
    assert!(said.contains("DICOMDIR"), "{said}");
}
