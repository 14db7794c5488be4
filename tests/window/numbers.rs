//! Numbers with a map: how concentrated it is, how much relevance came through, and which sign is shown.

use camlens::explain::catalogue;
use camlens::text::measure as words;

use super::methods::{choose, map_of};
use super::*;

fn details(h: &mut Harness<'_, App>) {
    let name = words::details_of_panel(1);
    h.get_by_role_and_label(Role::Button, &name).click();
    steps(h, 3);
}

fn sign_of(app: &App, panel: usize) -> Sign {
    app.exhibit().unwrap().panels[panel].post.sign
}

#[test]
fn every_map_says_how_concentrated_it_is() {
    let mut h = window();
    let map = map_of(h.state(), 0);
    details(&mut h);
    let heading = words::details_heading("Grad-CAM", &map.layer, [map.height, map.width]);
    h.get_by_label(&heading);
    h.get_by_label(words::CONCENTRATION);
    // Counted here once more, from the map on screen.
    let positive: Vec<f64> = map.values.iter().map(|v| f64::from(v.max(0.0))).collect();
    let sum: f64 = positive.iter().sum();
    let n = positive.len();
    let entropy: f64 = positive
        .iter()
        .map(|v| v / sum)
        .map(|p| -p * (p + 1e-30).ln())
        .sum();
    let said = words::entropy(entropy, (n as f64).ln(), entropy.exp(), n);
    h.get_by_label(&said);
    // It is not relevance.
    assert!(h.query_by_label(words::CONSERVATION).is_none());
    assert_eq!(h.query_all_by_label_contains("Conservation").count(), 0);
}

#[test]
fn relevance_is_shown_with_both_signs_and_its_conservation() {
    let mut h = window();
    assert_eq!(sign_of(h.state(), 0), Sign::Positive);
    choose(&mut h, "lrp-epsilon-gamma-box");
    until(&mut h, "relevance", App::is_complete);
    assert_eq!(sign_of(h.state(), 0), Sign::Signed);
    assert_eq!(sign_of(h.state(), 1), Sign::Positive, "another panel");
    let field = h.state().field(0).unwrap();
    assert!(field.values.iter().any(|v| *v < 0.0) && field.values.iter().any(|v| *v > 0.0));

    let map = map_of(h.state(), 0);
    let sentence = map.conserved_words().unwrap();
    // The sentence stands on the gauge and nowhere else, until the details are opened.
    h.get_by_label(&words::gauge(&sentence));
    assert!(h.query_by_label(&sentence).is_none());
    details(&mut h);
    h.get_by_label(&sentence);
    assert!(map.conservation.len() > 3);
    for at in &map.conservation {
        h.get_by_label(&words::conserved_at(&at.layer, at.sum, at.share));
    }
    h.key_press(Key::Escape);
    steps(&mut h, 3);

    // One sign by choice: what it hides is said, and all of it is one click away.
    assert_eq!(h.query_all_by_label_contains("is hidden").count(), 0);
    h.get_by_label("For").click();
    steps(&mut h, 3);
    assert_eq!(sign_of(h.state(), 0), Sign::Positive);
    assert_eq!(
        h.query_all_by_label_contains("Positive relevance").count(),
        0
    );
    let hidden = h.query_all_by_label_contains("Negative relevance is hidden");
    let chips: Vec<_> = hidden.collect();
    assert_eq!(
        chips.len(),
        1,
        "Grad-CAM in the other panels says no such thing"
    );
    chips[0].click();
    steps(&mut h, 3);
    assert_eq!(sign_of(h.state(), 0), Sign::Signed);
    assert_eq!(h.query_all_by_label_contains("is hidden").count(), 0);

    // Back to what is usual for each method.
    h.get_by_label("Auto").click();
    steps(&mut h, 3);
    let signs = [0, 1, 2, 3].map(|panel| sign_of(h.state(), panel));
    assert_eq!(
        signs,
        [Sign::Signed, Sign::Positive, Sign::Positive, Sign::Positive]
    );
    choose(&mut h, "grad-cam");
    until(&mut h, "Grad-CAM", App::is_complete);
    assert_eq!(sign_of(h.state(), 0), Sign::Positive);
}

#[test]
fn a_panel_of_its_own_gets_both_signs_with_one_click() {
    let mut h = window();
    choose(&mut h, "lrp-epsilon");
    h.get_by_label("Panel 1 only").click();
    steps(&mut h, 2);
    h.get_by_label("For").click();
    steps(&mut h, 2);
    h.get_by_label("All panels").click();
    until(&mut h, "relevance", App::is_complete);
    assert_eq!(sign_of(h.state(), 0), Sign::Positive);
    let chip = h.query_all_by_label_contains("is hidden").next().unwrap();
    chip.click();
    steps(&mut h, 3);
    assert_eq!(sign_of(h.state(), 0), Sign::Signed);
}

#[test]
fn a_panel_where_hardly_anything_is_drawn_says_so() {
    let mut h = window();
    let said = |h: &Harness<'_, App>| h.query_all_by_label_contains("Hardly any cell").count();
    assert_eq!(said(&h), 0);
    let cut = |h: &mut Harness<'_, App>, percent: f64| {
        h.get_by_role_and_label(Role::Slider, "Cut")
            .set_value_accesskit(percent);
        steps(h, 4);
    };
    cut(&mut h, 100.0);
    assert_eq!(said(&h), 4);
    cut(&mut h, 20.0);
    assert_eq!(said(&h), 0);
}

/// Sets the explained finding against another one, in the menu.
fn against_another(h: &mut Harness<'_, App>) {
    let class = h.state().target().unwrap();
    let findings = h.state().session().findings().to_vec();
    let other = findings.iter().find(|f| f.index != class).unwrap();
    let places = |h: &Harness<'_, App>| -> Vec<egui::Rect> {
        h.get_all_by_label(&other.label).map(|n| n.rect()).collect()
    };
    let known = places(h);
    h.get_by_label(camlens::text::method::CONTRAST).click();
    steps(h, 3);
    h.get_all_by_label(&other.label)
        .find(|node| !known.contains(&node.rect()))
        .unwrap()
        .click_accesskit();
    until(h, "the contrast", |app| {
        app.is_complete()
            && app
                .objective()
                .is_some_and(|target| target.against.is_some())
    });
    h.key_press(Key::Escape);
    steps(h, 3);
}

#[test]
fn class_against_class_is_told_in_sums() {
    let mut h = window();
    choose(&mut h, "lrp-epsilon-plus");
    until(&mut h, "relevance", App::is_complete);
    let alone = map_of(h.state(), 0);
    against_another(&mut h);
    let map = map_of(h.state(), 0);
    assert_ne!(alone.values, map.values);
    assert!(alone.conservation.iter().all(|at| at.share.is_some()));
    assert!(map.conservation.iter().all(|at| at.share.is_none()));
    let sentence = map.conserved_words().unwrap();
    assert!(sentence.contains("for and against"), "{sentence}");
    h.get_by_label(&words::gauge(&sentence));
    assert_eq!(sign_of(h.state(), 0), Sign::Signed);
}

#[test]
fn usual_signs_follow_the_family() {
    for method in catalogue::all() {
        let signed = method.usual_sign() == Sign::Signed;
        assert_eq!(signed, method.id.starts_with("lrp"), "{}", method.id);
    }
}

/// `cargo test --test window -- --ignored look_at_relevance` draws the window into the temporary folder.
#[test]
#[ignore = "for the eye"]
fn look_at_relevance() {
    assert!(can_draw());
    let mut h = window();
    h.set_size(vec2(1360.0, 860.0));
    steps(&mut h, 5);
    let save = |h: &mut Harness<'_, App>, name: &str| {
        steps(h, 40);
        let path = std::env::temp_dir().join(format!("camlens-{name}.png"));
        h.render().unwrap().save(path).unwrap();
    };
    choose(&mut h, "lrp-epsilon-gamma-box");
    until(&mut h, "relevance", App::is_complete);
    save(&mut h, "relevance");
    details(&mut h);
    save(&mut h, "details");
    h.key_press(Key::Escape);
    steps(&mut h, 3);
    h.get_by_label("For").click();
    save(&mut h, "hidden");
    h.get_by_label("Auto").click();
    choose(&mut h, "lrp-epsilon-plus");
    until(&mut h, "relevance", App::is_complete);
    save(&mut h, "plus");
    against_another(&mut h);
    h.state_mut().send(Command::Panels(1));
    until(&mut h, "the contrast", App::is_complete);
    save(&mut h, "contrast");
    h.get_by_role_and_label(Role::Slider, "Blur")
        .set_value_accesskit(12.0);
    save(&mut h, "contrast-blurred");
}
