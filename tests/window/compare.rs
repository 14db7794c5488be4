//! Two X-rays or two networks side by side, and two panels in one picture.

use camlens::session::samples;
use camlens::text::{command as names, compare as words};
use camlens::ui::state::Overlap;

use super::explorer::{large, methods};
use super::*;

/// The window, with a dialog that gives these files.
fn large_with(files: &[PathBuf]) -> Harness<'static, App> {
    let answers = files.iter().cloned().map(Answer::Chosen);
    let mut h = window_with(FakePicker::answering(answers));
    h.set_size(vec2(1360.0, 860.0));
    steps(&mut h, 3);
    h
}

fn open_menu(h: &mut Harness<'_, App>, menu: &str, entry: &str) {
    h.get_by_label(menu).click();
    steps(h, 2);
    h.get_by_label(entry).click();
    steps(h, 2);
}

#[test]
fn two_x_rays_stand_in_the_same_grid() {
    let other = samples::SAMPLES
        .iter()
        .map(|s| asset(&format!("assets/samples/{}", s.file)))
        .find(|path| *path != sample())
        .unwrap();
    let mut h = large_with(&[other]);
    let before = methods(h.state());
    open_menu(&mut h, camlens::text::window::COMPARE, names::COMPARE_IMAGE);
    until(&mut h, "both X-rays", |app| {
        let exhibit = app.exhibit();
        app.is_complete()
            && exhibit.is_some_and(|e| {
                e.cases.len() == 2 && e.cases[0].picture.sha256 != e.cases[1].picture.sha256
            })
    });
    let app = h.state();
    assert_eq!(methods(app), [before.clone(), before].concat());
    let exhibit = app.exhibit().unwrap();
    // The network is in memory once.
    assert!(Arc::ptr_eq(
        &exhibit.cases[0].model,
        &exhibit.cases[1].model
    ));
    let map = |panel: usize| exhibit.panels[panel].map.clone().unwrap();
    assert_ne!(map(0).values, map(4).values);
    assert_eq!(map(0).layer, map(4).layer);
    exhibit.render(1.0).unwrap();

    // A finding that is chosen is explained in both.
    h.state_mut().send(Command::NextFinding);
    until(&mut h, "maps of the other finding", App::is_complete);
    let classes: Vec<usize> = (0..8)
        .map(|i| h.state().objective_of(i).unwrap().class)
        .collect();
    assert_eq!(classes, [classes[0]; 8]);

    // What is opened goes to the case of the selected panel.
    assert_eq!(h.state().grid().case_of(h.state().grid().selected), 1);
    open_menu(
        &mut h,
        camlens::text::window::COMPARE,
        names::END_COMPARISON,
    );
    until(&mut h, "one case", |app| {
        app.grid().panels.len() == 4 && app.is_complete()
    });
    assert_eq!(
        h.state().session().picture().unwrap().name,
        "man-right-middle.png"
    );
}

#[test]
fn two_networks_explain_the_same_x_ray() {
    let dir = tempfile::tempdir().unwrap();
    let other = many_classes(dir.path());
    let mut h = large_with(&[other]);
    h.state_mut().send(Command::CompareModel);
    until(&mut h, "both networks", |app| {
        let exhibit = app.exhibit();
        app.is_complete()
            && exhibit.is_some_and(|e| {
                e.cases.len() == 2 && e.cases[0].model.sha256 != e.cases[1].model.sha256
            })
    });
    let exhibit = h.state().exhibit().unwrap();
    assert!(Arc::ptr_eq(
        &exhibit.cases[0].picture,
        &exhibit.cases[1].picture
    ));
    assert_eq!(exhibit.panels.len(), 8);
    // The side of the window is about the second network now, and can be turned to the first.
    assert_eq!(
        h.state().session().findings().len(),
        exhibit.cases[1].findings.len()
    );
    let name = camlens::text::window::case_name("A", &exhibit.cases[0].model.name);
    h.get_by_role_and_label(Role::Button, &name).click();
    steps(&mut h, 3);
    assert_eq!(h.state().session().findings().len(), 2);
    assert_eq!(h.state().grid().case_of(h.state().grid().selected), 0);
}

#[test]
fn a_network_that_cannot_be_opened_beside_the_first_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("broken.safetensors");
    std::fs::write(&broken, b"nothing").unwrap();
    let mut h = large_with(&[broken]);
    h.state_mut().send(Command::CompareModel);
    until(&mut h, "words", |app| !errors(app).is_empty());
    assert!(errors(h.state())[0].contains("broken.safetensors"));
    until(&mut h, "maps of both cases", App::is_complete);
    let exhibit = h.state().exhibit().unwrap();
    assert_eq!(exhibit.cases[0].model.sha256, exhibit.cases[1].model.sha256);
}

#[test]
fn a_line_between_two_panels_is_dragged() {
    let mut h = large();
    h.key_press(Key::W);
    steps(&mut h, 3);
    let share = |app: &App| match app.grid().duel.unwrap().overlap {
        Overlap::Swipe(at) => at,
        Overlap::Difference => panic!("a difference"),
    };
    assert_eq!(share(h.state()), 0.5);
    assert_eq!(h.query_all_by_role(Role::Image).count(), 1);
    let line = slider(&h, words::LINE);
    drag(&mut h, line.center(), line.center() + vec2(-150.0, 0.0));
    let moved = share(h.state());
    assert!(moved < 0.4, "{moved}");
    let view = h.state().viewport();
    assert_eq!(view.zoom, 1.0);
    assert_eq!(
        view.centre,
        [0.5, 0.5],
        "the picture does not move with the line"
    );
    h.key_press(Key::ArrowRight);
    steps(&mut h, 2);
    assert!(share(h.state()) > moved);
    if can_draw() {
        let at = slider(&h, words::LINE).center();
        let left = egui::Rect::from_min_max(at - vec2(150.0, 200.0), at + vec2(-12.0, 200.0));
        assert!(hues(&mut h, left) > 500, "heat to the left of the line");
    }
    h.get_by_role_and_label(Role::Button, words::END).click();
    steps(&mut h, 3);
    assert_eq!(h.query_all_by_role(Role::Image).count(), 4);
}

#[test]
fn the_difference_of_two_panels_comes_with_their_correlation() {
    let mut h = large();
    // The same map twice.
    h.state_mut().send(Command::DuplicatePanel(0));
    h.state_mut().send(Command::MovePanel(1, 0));
    until(&mut h, "maps", App::is_complete);
    h.key_press(Key::D);
    steps(&mut h, 3);
    assert!(matches!(
        h.state().grid().duel.unwrap().overlap,
        Overlap::Difference
    ));
    let said = h.state().agreement().unwrap();
    assert!((said.unwrap() - 1.0).abs() < 1e-9, "{said:?}");
    // Another method is another matter.
    h.key_press(Key::D);
    steps(&mut h, 2);
    h.state_mut().send(Command::NextPanel);
    steps(&mut h, 2);
    h.key_press(Key::D);
    steps(&mut h, 3);
    let r = h.state().agreement().unwrap().unwrap();
    assert!(r < 0.95, "{r}");
}

#[test]
fn one_panel_has_nothing_to_be_laid_over() {
    let mut h = large();
    h.key_press(Key::Num1);
    steps(&mut h, 3);
    h.key_press(Key::W);
    steps(&mut h, 3);
    assert!(errors(h.state())[0].contains("one panel"));
}

#[test]
fn a_case_whose_last_panel_is_gone_goes_with_it() {
    let other = asset("assets/samples/child-normal.png");
    let mut h = large_with(&[other]);
    h.key_press(Key::Num1);
    steps(&mut h, 3);
    h.state_mut().send(Command::CompareImage);
    until(&mut h, "both X-rays", |app| {
        app.is_complete() && app.session().picture().unwrap().name == "child-normal.png"
    });
    assert_eq!(h.state().grid().panels.len(), 2);
    // The first X-ray's panel goes: the second X-ray is the only one.
    h.state_mut().send(Command::RemovePanel(0));
    until(&mut h, "one case", |app| {
        app.is_complete() && app.exhibit().is_some_and(|e| e.cases.len() == 1)
    });
    assert_eq!(
        h.state().session().picture().unwrap().name,
        "child-normal.png"
    );
    assert_eq!(h.state().grid().case_of(0), 0);
}
