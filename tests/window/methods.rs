//! Methods in the window: menu, parameters, maps that grow, places, contrasts and warnings.

use camlens::explain::catalogue::{self, Place};
use camlens::plan::Score;
use camlens::session::Growing;
use camlens::text::{method as words, notice};

use super::*;

fn open_menu(h: &mut Harness<'_, App>) {
    h.get_by_role_and_label(Role::ComboBox, "Method, panel 1")
        .click();
    steps(h, 3);
}

/// Chooses a method in the menu of the first panel.
pub(super) fn choose(h: &mut Harness<'_, App>, id: &str) {
    let method = catalogue::find(id).unwrap();
    open_menu(h);
    // Not with the mouse: the entry may have to be scrolled to.
    h.get_by_role_and_label(Role::Button, method.label)
        .click_accesskit();
    steps(h, 3);
    assert_eq!(h.state().grid().panels[0].method, id);
}

pub(super) fn map_of(app: &App, panel: usize) -> Arc<camlens::explain::RawMap> {
    app.exhibit().unwrap().panels[panel].map.clone().unwrap()
}

fn growing(app: &App) -> Option<Growing> {
    match app.state_of(0) {
        Some(MapState::Growing(growing)) => Some(growing),
        _ => None,
    }
}

/// RISE with so many masks that it does not end during a test.
fn endless(h: &mut Harness<'_, App>) {
    choose(h, "rise");
    h.get_by_role_and_label(Role::SpinButton, "samples")
        .set_value_accesskit(200_000.0);
    steps(h, 3);
    let params = &h.state().grid().panels[0].params;
    assert_eq!(params["samples"], "200000");
    until(h, "the first look at the map", |app| growing(app).is_some());
}

// ---- menu --------------------------------------------------------------------------------------

#[test]
fn the_menu_groups_every_method_under_one_heading_for_its_family() {
    let mut h = window();
    open_menu(&mut h);
    let mut families: Vec<&str> = catalogue::all().map(|m| m.family).collect();
    families.sort_unstable();
    families.dedup();
    let mut headings = Vec::new();
    for family in &families {
        let found: Vec<f32> = h
            .get_all_by_role_and_label(Role::Label, family)
            .map(|node| node.rect().top())
            .collect();
        assert_eq!(found.len(), 1, "headings '{family}'");
        headings.push((found[0], *family));
    }
    for method in catalogue::all() {
        let entry = h
            .get_all_by_role_and_label(Role::Button, method.label)
            .map(|node| node.rect().top())
            .next()
            .unwrap();
        let above = headings.iter().filter(|(top, _)| *top <= entry);
        let nearest = above.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        assert_eq!(nearest.1, method.family, "{}", method.label);
    }
    // Methods that know no class are marked.
    let marks = h.get_all_by_label(words::ANY_FINDING).count();
    let without = catalogue::all().filter(|m| !m.class_discriminative).count();
    assert_eq!(marks, without);
}

#[test]
fn the_menu_is_searched_and_begins_anew() {
    let mut h = window();
    open_menu(&mut h);
    let field = h.get_by_role_and_label(Role::TextInput, words::FIND_METHOD);
    field.focus();
    h.step();
    h.get_by_role_and_label(Role::TextInput, words::FIND_METHOD)
        .type_text("ablat");
    steps(&mut h, 2);
    h.get_by_role_and_label(Role::Button, "Ablation-CAM");
    assert!(h.query_by_role_and_label(Role::Button, "RISE").is_none());
    h.key_press(Key::Escape);
    steps(&mut h, 3);
    assert!(h.query_by_label(words::FIND_METHOD).is_none());
    open_menu(&mut h);
    h.get_by_role_and_label(Role::Button, "RISE");
    h.get_by_role_and_label(Role::TextInput, words::FIND_METHOD)
        .focus();
    h.step();
    h.get_by_role_and_label(Role::TextInput, words::FIND_METHOD)
        .type_text("no method is called so");
    steps(&mut h, 2);
    h.get_by_label(words::NO_SUCH_METHOD);
}

#[test]
fn every_method_can_be_chosen_and_its_parameters_have_names() {
    let mut h = window();
    for method in catalogue::all().filter(|m| m.id != "grad-cam") {
        choose(&mut h, method.id);
        for param in method.params {
            assert!(
                h.query_all_by_label(param.id).count() >= 1,
                "{}: {}",
                method.id,
                param.id
            );
        }
        assert!(errors(h.state()).is_empty(), "{:?}", errors(h.state()));
    }
    h.key_press(Key::Escape);
    steps(&mut h, 2);
}

// ---- parameters --------------------------------------------------------------------------------

#[test]
fn a_parameter_makes_another_map_beside_the_default_and_can_be_taken_back() {
    let mut h = window();
    h.state_mut().send(Command::Panels(1));
    steps(&mut h, 2);
    choose(&mut h, "grad-cam++");
    // The same method twice, at the same layer.
    h.state_mut().send(Command::Panels(2));
    until(&mut h, "two maps", App::is_complete);
    let before = map_of(h.state(), 0);
    assert!(h.query_by_label(words::DEFAULTS).is_none());
    h.get_by_role_and_label(Role::ComboBox, "mode")
        .click_accesskit();
    steps(&mut h, 3);
    h.get_by_role_and_label(Role::Button, "official")
        .click_accesskit();
    until(&mut h, "the map of the other mode", |app| {
        !app.grid().panels[0].params.is_empty() && app.is_complete()
    });
    assert_eq!(h.state().grid().panels[0].params["mode"], "official");
    assert!(h.state().grid().panels[1].params.is_empty());
    let after = map_of(h.state(), 0);
    assert_eq!(before.method, after.method);
    assert_ne!(before.values, after.values);
    h.get_by_label(words::DEFAULTS).click_accesskit();
    until(&mut h, "the default's map", |app| {
        app.grid().panels[0].params.is_empty() && app.is_complete()
    });
    assert_eq!(before.values, map_of(h.state(), 0).values);
}

#[test]
fn a_number_takes_effect_when_it_is_let_go() {
    let mut h = window();
    choose(&mut h, "occlusion");
    h.get_by_role_and_label(Role::SpinButton, "window")
        .scroll_to_me();
    steps(&mut h, 30);
    let rect = h.get_by_role_and_label(Role::SpinButton, "window").rect();
    let (from, to) = (rect.center(), rect.center() + vec2(60.0, 0.0));
    h.hover_at(from);
    h.step();
    h.drag_at(from);
    h.step();
    for part in 1..=6 {
        h.hover_at(from.lerp(to, part as f32 / 6.0));
        h.step();
        assert!(h.state().grid().panels[0].params.is_empty());
    }
    h.drop_at(to);
    steps(&mut h, 3);
    let value: f64 = h.state().grid().panels[0].params["window"].parse().unwrap();
    assert!(value.fract() == 0.0 && value > 1.0, "{value}");
}

// ---- maps that grow ----------------------------------------------------------------------------

#[test]
fn a_growing_map_is_drawn_stopped_exported_as_unfinished_and_goes_on() {
    let mut h = window();
    endless(&mut h);
    assert!(!h.state().is_complete());
    assert!(h.state().field(0).is_some(), "it is not drawn");
    let stop = words::on_panel(words::STOP_MAP, 1);
    h.get_by_role_and_label(Role::Button, &stop).click();
    let start = Instant::now();
    until(&mut h, "the stop", |app| {
        growing(app).is_some_and(|g| g.stopped) && !app.session().is_busy()
    });
    println!("stopped after {:?}", start.elapsed());
    assert!(h.state().is_complete(), "a stopped map is waited for");
    let stands = growing(h.state()).unwrap();
    assert!(h.state().field(0).is_some(), "what was done is gone");
    // The export says so.
    let panel = h.state().exhibit().unwrap().panels.swap_remove(0);
    assert_eq!(panel.unfinished, Some([stands.done, stands.total]));
    assert!(notice::unfinished(1, 2).contains("unfinished"));
    // Nothing moves it while it stands.
    steps(&mut h, 20);
    assert_eq!(growing(h.state()).unwrap().done, stands.done);

    let go_on = words::on_panel(words::GO_ON, 1);
    h.get_by_role_and_label(Role::Button, &go_on).click();
    until(&mut h, "more of the map", |app| {
        growing(app).is_some_and(|g| !g.stopped && g.done > stands.done)
    });
    // Escape stops everything; what was done stays.
    h.key_press(Key::Escape);
    steps(&mut h, 3);
    assert!(growing(h.state()).unwrap().stopped);
    for _ in 0..30 {
        h.step();
        std::thread::sleep(Duration::from_millis(10));
        assert!(growing(h.state()).unwrap().stopped, "a late look undid it");
    }
    assert!(h.state().field(0).is_some());
}

#[test]
fn instant_maps_do_not_wait_for_long_ones_and_nothing_long_is_made_ahead() {
    let mut h = window();
    choose(&mut h, "score-cam");
    h.get_by_role_and_label(Role::Slider, "Layer, panel 2")
        .set_value_accesskit(3.0);
    until(&mut h, "all maps", App::is_complete);
    until(&mut h, "what is made ahead", |app| !app.session().is_busy());
    let app = h.state();
    let stop = app.grid().panels[0].stop;
    let key = |stop: usize| camlens::plan::MapKey {
        method: "score-cam".into(),
        layer: app.stops().list[stop].name.clone(),
        target: app.objective().unwrap(),
        params: Default::default(),
    };
    assert!(matches!(app.session().map(&key(stop)), MapState::Ready(_)));
    let waits = app.session().map(&key(stop - 1));
    assert!(matches!(waits, MapState::Waiting), "made ahead of need");
}

// ---- places ------------------------------------------------------------------------------------

#[test]
fn methods_of_pixels_go_to_the_input_and_methods_of_layers_back() {
    let mut h = window();
    let of = |place: Place| catalogue::all().find(move |m| m.place == place);
    let pixels = of(Place::Pixels).unwrap();
    choose(&mut h, pixels.id);
    assert_eq!(stop_name(h.state(), 0), "input");
    until(&mut h, "the map of pixels", App::is_complete);
    assert_eq!(shown_layer(h.state(), 0).as_deref(), Some("input"));
    choose(&mut h, "hires-cam");
    assert_eq!(h.state().grid().panels[0].stop, h.state().stops().last);
}

#[test]
fn methods_of_the_whole_image_have_no_depth() {
    let mut h = window();
    choose(&mut h, "full-grad");
    until(&mut h, "the map of the image", App::is_complete);
    let slider = h.get_by_role_and_label(Role::Slider, "Layer, panel 1");
    assert!(slider.accesskit_node().is_disabled());
    h.get_by_label(words::NO_DEPTH);
    assert_eq!(shown_layer(h.state(), 0).as_deref(), Some("input"));
    let name = camlens::text::window::picture_of_panel(1, "FullGrad", "input");
    h.get_by_role_and_label(Role::Image, &name);
}

// ---- what is explained -------------------------------------------------------------------------

#[test]
fn the_hybrids_stages_stand_side_by_side() {
    let mut h = window();
    choose(&mut h, "grad-cam-lrp");
    h.get_by_role_and_label(Role::Button, words::STAGES)
        .click_accesskit();
    steps(&mut h, 3);
    let stages: Vec<Option<String>> = h
        .state()
        .grid()
        .panels
        .iter()
        .map(|panel| panel.params.get("stage").cloned())
        .collect();
    let named = |stage: &str| Some(stage.to_owned());
    assert_eq!(stages, [named("lrp"), named("cam"), named("product"), None]);
    until(&mut h, "all four maps", |app| {
        app.exhibit()
            .is_some_and(|e| e.panels.iter().all(|p| p.map.is_some()))
    });
    let [lrp, cam, product, blurred] = [0, 1, 2, 3].map(|panel| map_of(h.state(), panel));
    let pairs = lrp.values.iter().zip(&*cam.values);
    for ((r, g), p) in pairs.zip(&*product.values) {
        assert!((r * g - p).abs() <= 1e-6 * p.abs());
    }
    assert_eq!(product.values, blurred.values);
    assert!(product.blur_px == 0.0 && blurred.blur_px > 0.0);
}

#[test]
fn own_rules_take_effect_when_they_read_as_rules() {
    let mut h = window();
    choose(&mut h, "lrp");
    until(&mut h, "the map", |app| {
        app.exhibit().is_some_and(|e| e.panels[0].map.is_some())
    });
    let before = map_of(h.state(), 0);
    let edit = |h: &mut Harness<'_, App>, text: &str| {
        h.get_by_role_and_label(Role::TextInput, "rules").focus();
        steps(h, 2);
        h.key_press_modifiers(Modifiers::COMMAND, Key::A);
        h.event(Event::Text(text.to_owned()));
        steps(h, 2);
        h.key_press(Key::Enter);
        steps(h, 3);
    };
    edit(&mut h, "conv=gama");
    assert!(
        h.state().grid().panels[0].params.is_empty(),
        "no rule of that name"
    );
    h.get_by_label_contains("'gama' is no relevance rule");
    edit(&mut h, "conv=z-plus,linear=epsilon");
    assert_eq!(
        h.state().grid().panels[0].params["rules"],
        "conv=z-plus,linear=epsilon"
    );
    until(&mut h, "another map", |app| {
        let map = app.exhibit().and_then(|e| e.panels[0].map.clone());
        map.is_some_and(|map| map.values != before.values)
    });
}

#[test]
fn a_contrast_is_chosen_named_and_taken_back() {
    let mut h = window();
    let plain = map_of(h.state(), 0);
    let class = h.state().target().unwrap();
    let findings = h.state().session().findings().to_vec();
    let other = findings.iter().find(|f| f.index != class).unwrap();
    // Names stand in the list of findings and in headings as well: that of the menu is the one that was not there.
    let places = |h: &Harness<'_, App>, label: &str| -> Vec<egui::Rect> {
        h.get_all_by_label(label).map(|node| node.rect()).collect()
    };
    let score = words::score(Score::Probability);
    let known = [places(&h, &other.label), places(&h, score)].concat();
    let in_menu = |h: &mut Harness<'_, App>, label: &str| {
        h.get_all_by_label(label)
            .find(|node| !known.contains(&node.rect()))
            .unwrap()
            .click_accesskit();
        steps(h, 2);
    };
    h.get_by_label(words::CONTRAST).click();
    steps(&mut h, 3);
    in_menu(&mut h, &other.label);
    h.get_by_label(words::NEGATED).click_accesskit();
    steps(&mut h, 2);
    in_menu(&mut h, score);
    let aimed = h.state().objective().unwrap();
    assert!(
        aimed.class == class && aimed.negated && aimed.score == Score::Probability,
        "{aimed:?}"
    );
    until(&mut h, "the contrast", |app| {
        app.is_complete()
            && app.objective().is_some_and(|target| {
                target.negated
                    && target.score == Score::Probability
                    && target.against.is_some_and(|a| a.class == other.index)
            })
    });
    assert_ne!(plain.values, map_of(h.state(), 0).values);
    h.key_press(Key::Escape);
    steps(&mut h, 3);
    assert_eq!(h.state().target(), Some(class), "the finding changed");
    let back = h.get_by_label(words::PLAIN_TARGET);
    back.click();
    until(&mut h, "the plain finding", |app| {
        app.objective() == Some(class.into()) && app.is_complete()
    });
    assert_eq!(plain.values, map_of(h.state(), 0).values);
    assert!(h.query_by_label(words::PLAIN_TARGET).is_none());
}

/// The demo network with one output.
fn one_output(dir: &Path) -> PathBuf {
    use candle_core::{Device, Tensor};
    let bytes = std::fs::read(asset("models/demo/model.safetensors")).unwrap();
    let mut tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).unwrap();
    let weight = tensors["fc.weight"].narrow(0, 0, 1).unwrap();
    tensors.insert("fc.weight".to_owned(), weight.contiguous().unwrap());
    let bias = Tensor::zeros(1, candle_core::DType::F32, &Device::Cpu).unwrap();
    tensors.insert("fc.bias".to_owned(), bias);
    let path = dir.join("one.safetensors");
    candle_core::safetensors::save(&tensors, &path).unwrap();
    path
}

#[test]
fn one_output_is_explained_with_its_complement() {
    let dir = tempfile::tempdir().unwrap();
    let mut h = window();
    h.input_mut()
        .dropped_files
        .push(Arc::new(Dropped(one_output(dir.path()))));
    until(&mut h, "the network with one output", |app| {
        app.session().findings().len() == 1 && app.is_complete()
    });
    let is = map_of(h.state(), 0);
    let label = h.state().session().findings()[0].label.clone();
    h.get_by_label(&words::absence(&label)).click();
    until(&mut h, "the complement", |app| {
        app.objective().is_some_and(|target| target.negated) && app.is_complete()
    });
    let is_not = map_of(h.state(), 0);
    assert!(is.values.iter().any(|v| *v != 0.0));
    for (a, b) in is.values.iter().zip(is_not.values.iter()) {
        assert!((a + b).abs() <= 1e-5 * a.abs().max(1.0), "{a} and {b}");
    }
}

// ---- warnings ----------------------------------------------------------------------------------

#[test]
fn what_misleads_is_said_on_the_panel() {
    let mut h = window();
    choose(&mut h, "guided-backprop");
    until(&mut h, "guided backpropagation", App::is_complete);
    h.get_by_label(notice::FAILS_RANDOMISATION);
    choose(&mut h, "eigen-cam");
    until(&mut h, "EigenCAM", App::is_complete);
    h.get_by_label(words::EVERY_CLASS);
}

/// `cargo test --test window -- --ignored look_at_methods` draws the menus into the temporary folder.
#[test]
#[ignore = "for the eye"]
fn look_at_methods() {
    assert!(can_draw());
    let mut h = window();
    h.set_size(vec2(1360.0, 860.0));
    steps(&mut h, 5);
    let save = |h: &mut Harness<'_, App>, name: &str| {
        steps(h, 10);
        let path = std::env::temp_dir().join(format!("camlens-{name}.png"));
        h.render().unwrap().save(path).unwrap();
    };
    open_menu(&mut h);
    let entry = h.get_by_role_and_label(Role::Button, "EigenCAM").rect();
    h.hover_at(entry.center());
    steps(&mut h, 60);
    save(&mut h, "menu");
    h.key_press(Key::Escape);
    endless(&mut h);
    h.get_by_label(words::CONTRAST).click();
    steps(&mut h, 3);
    h.get_by_label(words::NEGATED).click_accesskit();
    save(&mut h, "growing");
}
