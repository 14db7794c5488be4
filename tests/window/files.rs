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
    // In its first frame a sheet has not the room for all rows.
    let is_listed =
        |h: &Harness<'_, App>, name: &str| h.query_by_role_and_label(Role::Button, name).is_some();
    while !is_listed(&h, "a.dcm") || !is_listed(&h, "broken.png") {
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

#[test]
fn files_dropped_together_are_a_list_and_the_first_is_shown() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let regions = path("regions.json");
    let coco = r#"{"images":[{"id":1,"file_name":"b.dcm","width":64,"height":64}],
        "categories":[{"id":1,"name":"Pneumonia"}],
        "annotations":[{"id":1,"image_id":1,"category_id":1,"bbox":[10,20,30,20]}]}"#;
    std::fs::write(&regions, coco).unwrap();
    // As many as a study may have.
    let mut names: Vec<PathBuf> = (0..100).map(|i| path(&format!("z{i}.png"))).collect();
    for copy in &names {
        std::fs::copy(sample(), copy).unwrap();
    }
    names.extend(["a.dcm", "b.dcm", "broken.png"].map(path));
    names.push(regions);
    let mut h = window();
    for name in names {
        h.input_mut().dropped_files.push(Arc::new(Dropped(name)));
    }
    until(&mut h, "the first of the list", |app| {
        app.is_complete() && app.session().picture().is_some_and(|p| p.name == "b.dcm")
    });
    assert!(h.query_by_label(&words::title_of_files(103)).is_some());
    assert!(h.query_by_role_and_label(Role::Button, "a.dcm").is_some());
    assert!(errors(h.state()).is_empty(), "{:?}", errors(h.state()));
    until(&mut h, "its regions", |app| app.regions().list.len() == 1);
    // Thumbnails come for the rows on screen.
    let start = Instant::now();
    while !thumbnails(&h) {
        assert!(start.elapsed() < PATIENCE, "no thumbnail came");
        std::thread::sleep(Duration::from_millis(5));
        h.step();
    }
    h.key_press(Key::Escape);
    steps(&mut h, 3);
    h.key_press(Key::N);
    until(&mut h, "the next of the list", |app| {
        app.session().picture().is_some_and(|p| p.name == "a.dcm")
    });
}

/// Whether small pictures are painted in the list.
fn thumbnails(h: &Harness<'_, App>) -> bool {
    let manager = h.ctx.tex_manager();
    let manager = manager.read();
    let count = manager
        .allocated()
        .filter(|(_, meta)| meta.name == "thumbnail")
        .count();
    count >= 3
}

#[test]
fn of_several_networks_dropped_together_one_is_opened_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut h = window();
    for name in ["one.safetensors", "two.safetensors"] {
        let path = folder.path().join(name);
        std::fs::copy(asset("models/demo/model.safetensors"), &path).unwrap();
        h.input_mut().dropped_files.push(Arc::new(Dropped(path)));
    }
    h.step();
    let said = errors(h.state());
    assert!(
        said.iter()
            .any(|m| m.contains("one.safetensors") && m.contains("1 more")),
        "{said:?}"
    );
}
