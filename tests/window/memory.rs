//! Undo and redo, sessions, recent files, and what is remembered from one run to the next.

use camlens::regions::Shape;
use camlens::text::{command as names, session as words};

use super::explorer::{large, methods};
use super::*;

/// A window that remembers in a folder.
fn remembering(folder: &Path, image: Option<PathBuf>) -> Harness<'static, App> {
    let options = Options {
        model: ModelSource::Demo,
        image: image.map(ImageSource::Path),
        device: DeviceChoice::Cpu,
        folder: Some(folder.to_owned()),
        ..Options::default()
    };
    let mut h = Harness::builder()
        .with_size([1360.0, 860.0])
        .with_max_steps(60)
        .with_step_dt(1.0 / 60.0)
        .build_eframe(move |cc| {
            App::new(&cc.egui_ctx, &options, Box::new(FakePicker::default())).unwrap()
        });
    until(&mut h, "the first maps", App::is_complete);
    h
}

fn undo(h: &mut Harness<'_, App>) {
    h.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    steps(h, 3);
}

fn redo(h: &mut Harness<'_, App>) {
    h.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    steps(h, 3);
}

#[test]
fn every_change_can_be_taken_back_and_made_again() {
    let mut h = large();
    let first = h.state().grid().clone();
    let rail = slider(&h, camlens::text::window::OPACITY);
    drag(&mut h, rail.center(), rail.right_center() - vec2(30.0, 0.0));
    let opacity = h.state().grid().look.view.opacity;
    assert!(opacity > 0.7);
    methods::choose(&mut h, "eigen-cam");
    h.state_mut().send(Command::RemovePanel(3));
    steps(&mut h, 2);
    h.state_mut().send(Command::NextFinding);
    steps(&mut h, 2);
    h.key_press(Key::H);
    steps(&mut h, 2);
    assert!(!h.state().shows_overlay());

    undo(&mut h);
    assert!(h.state().shows_overlay());
    undo(&mut h);
    assert_eq!(h.state().target(), Some(1));
    undo(&mut h);
    assert_eq!(h.state().grid().panels.len(), 4);
    undo(&mut h);
    assert_eq!(methods(h.state())[0], "grad-cam");
    assert_eq!(h.state().grid().look.view.opacity, opacity);
    // The whole drag is one step.
    undo(&mut h);
    assert_eq!(h.state().grid().look, first.look);
    assert_eq!(
        methods(h.state()),
        first.panels.iter().map(|p| p.method).collect::<Vec<_>>()
    );
    undo(&mut h);
    assert!(
        format!("{:?}", h.state().messages()).contains(words::NOTHING_TO_UNDO),
        "{:?}",
        h.state().messages()
    );
    for _ in 0..5 {
        redo(&mut h);
    }
    assert_eq!(methods(h.state())[0], "eigen-cam");
    assert_eq!(h.state().grid().panels.len(), 3);
    assert_eq!(h.state().target(), Some(0));
    assert!(!h.state().shows_overlay());
}

#[test]
fn another_picture_and_regions_are_taken_back_too() {
    let mut h = large();
    h.get_by_role_and_label(Role::Button, camlens::text::region::ADD_BOX)
        .click_accesskit();
    steps(&mut h, 3);
    assert_eq!(h.state().regions().list.len(), 1);
    let other = camlens::session::samples::SAMPLES
        .iter()
        .position(|s| s.file != "man-right-middle.png")
        .unwrap();
    h.state_mut().send(Command::OpenSample(other));
    until(&mut h, "another picture", |app| {
        app.is_complete() && app.session().picture().unwrap().name != "man-right-middle.png"
    });
    steps(&mut h, 3);
    assert!(h.state().regions().list.is_empty());
    undo(&mut h);
    until(&mut h, "the first picture", |app| {
        app.is_complete() && app.session().picture().unwrap().name == "man-right-middle.png"
    });
    assert_eq!(h.state().regions().list.len(), 1);
    undo(&mut h);
    assert!(h.state().regions().list.is_empty());
    redo(&mut h);
    assert_eq!(h.state().regions().list.len(), 1);
}

#[test]
fn a_session_is_saved_and_restored_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("case.camlens");
    let mut h = window_with(FakePicker::answering([Answer::Chosen(path.clone())]));
    h.set_size(vec2(1360.0, 860.0));
    steps(&mut h, 3);
    h.state_mut().send(Command::Preset(Preset::Depth));
    steps(&mut h, 3);
    h.state_mut().send(Command::Invert);
    h.state_mut().send(Command::Compare);
    h.state_mut().send(Command::ZoomIn);
    until(&mut h, "the second case", App::is_complete);
    h.get_by_role_and_label(Role::Button, camlens::text::region::ADD_ELLIPSE)
        .click_accesskit();
    until(&mut h, "both cases", App::is_complete);
    h.key_press_modifiers(Modifiers::COMMAND, Key::S);
    until(&mut h, "the file", |_| path.exists());
    steps(&mut h, 3);
    let grid = h.state().grid().clone();
    let (view, grey) = (h.state().viewport(), h.state().grey_levels());
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"format\": 1"), "{text}");

    let mut other = large();
    other.state_mut().open_path(&path);
    until(&mut other, "the session", |app| {
        app.grid().panels.len() == grid.panels.len() && app.is_complete()
    });
    steps(&mut other, 3);
    let app = other.state();
    assert_eq!(*app.grid(), grid);
    assert_eq!(app.viewport(), view);
    assert_eq!(app.grey_levels(), grey);
    assert_eq!(app.regions().list.len(), 1);
    assert!(matches!(
        app.regions().list[0].shape,
        Shape::Ellipse { .. } | Shape::Polygon(_)
    ));
}

#[test]
fn a_session_file_that_moved_with_its_picture_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    std::fs::create_dir(&old).unwrap();
    std::fs::copy(sample(), old.join("chest.png")).unwrap();
    let path = old.join("case.camlens");
    let mut h = window_with(FakePicker::answering([Answer::Chosen(path.clone())]));
    h.state_mut().open_path(&old.join("chest.png"));
    until(&mut h, "the picture", |app| {
        app.is_complete() && app.session().picture().unwrap().name == "chest.png"
    });
    h.state_mut().send(Command::SaveSession);
    until(&mut h, "the file", |_| path.exists());
    std::fs::rename(&old, &new).unwrap();

    let mut h = window();
    h.state_mut().open_path(&new.join("case.camlens"));
    until(&mut h, "the picture beside the session", |app| {
        app.is_complete() && app.session().picture().unwrap().name == "chest.png"
    });
    assert_eq!(errors(h.state()), Vec::<String>::new());
}

#[test]
fn the_notice_of_the_first_start_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let mut h = remembering(dir.path(), Some(sample()));
    h.get_by_label(words::FIRST_START);
    h.get_by_role_and_label(Role::Button, words::UNDERSTOOD)
        .click();
    steps(&mut h, 3);
    assert!(h.query_by_label(words::FIRST_START).is_none());
    drop(h);
    let text = std::fs::read_to_string(dir.path().join("settings.json")).unwrap();
    assert!(text.contains(env!("CARGO_PKG_VERSION")), "{text}");
    let h = remembering(dir.path(), Some(sample()));
    assert!(h.query_by_label(words::FIRST_START).is_none());
}

#[test]
fn the_next_run_offers_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut h = remembering(dir.path(), Some(sample()));
    h.state_mut().send(Command::Preset(Preset::Methods));
    until(&mut h, "six maps", |app| {
        app.grid().panels.len() == 6 && app.is_complete()
    });
    eframe::App::on_exit(h.state_mut(), None);
    drop(h);

    let mut h = remembering(dir.path(), None);
    h.get_by_label(words::LAST_OFFER);
    h.get_by_role_and_label(Role::Button, names::RESTORE_SESSION)
        .click();
    until(&mut h, "the session of before", |app| {
        app.grid().panels.len() == 6 && app.is_complete()
    });
    assert_eq!(
        h.state().session().picture().unwrap().name,
        "man-right-middle.png"
    );
    assert!(h.query_by_label(words::LAST_OFFER).is_none());
}

#[test]
fn recent_files_are_paths_and_open_again() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone.png");
    std::fs::copy(sample(), &gone).unwrap();
    let mut h = remembering(dir.path(), None);
    for path in [gone.clone(), sample()] {
        h.state_mut().open_path(&path);
        until(&mut h, "the picture", |app| {
            app.is_complete() && app.open_file() == Some(path.as_path())
        });
    }
    steps(&mut h, 3);
    let text = std::fs::read_to_string(dir.path().join("settings.json")).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&text).unwrap();
    let recent: Vec<&str> = settings["recent"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_str().unwrap())
        .collect();
    assert_eq!(recent, [sample().to_str().unwrap(), gone.to_str().unwrap()]);
    // Second in the list is now the one that is gone.
    std::fs::remove_file(&gone).unwrap();
    h.state_mut().send(Command::OpenRecent(1));
    steps(&mut h, 3);
    assert!(errors(h.state())[0].contains("gone.png"));
    h.state_mut().send(Command::ForgetRecent);
    steps(&mut h, 3);
    let text = std::fs::read_to_string(dir.path().join("settings.json")).unwrap();
    assert!(!text.contains("png"), "{text}");
}

#[test]
fn settings_that_cannot_be_read_are_kept_aside_and_the_window_opens() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("settings.json"), "{ not json").unwrap();
    std::fs::write(dir.path().join("last.camlens"), "[]").unwrap();
    let h = remembering(dir.path(), Some(sample()));
    assert!(errors(h.state())[0].contains("settings.json"));
    let kept = std::fs::read_to_string(dir.path().join("settings.broken")).unwrap();
    assert_eq!(kept, "{ not json");
}

#[test]
fn light_colours_are_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let mut h = remembering(dir.path(), Some(sample()));
    assert_eq!(h.ctx.theme(), egui::Theme::Dark);
    h.state_mut().send(Command::ToggleTheme);
    steps(&mut h, 3);
    drop(h);
    let h = remembering(dir.path(), Some(sample()));
    assert_eq!(h.ctx.theme(), egui::Theme::Light);
}

#[test]
fn a_run_in_which_nothing_is_done_leaves_the_last_session_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut h = remembering(dir.path(), Some(sample()));
    h.state_mut().send(Command::Preset(Preset::Methods));
    until(&mut h, "six maps", App::is_complete);
    eframe::App::on_exit(h.state_mut(), None);
    let last = dir.path().join("last.camlens");
    let before = std::fs::read(&last).unwrap();
    let mut h = remembering(dir.path(), None);
    steps(&mut h, 20);
    eframe::App::on_exit(h.state_mut(), None);
    assert_eq!(std::fs::read(&last).unwrap(), before);
}
