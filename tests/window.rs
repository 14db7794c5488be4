//! The window, used as a person uses it: by the names that a screen reader reads out, with a real
//! mouse and keyboard, on the real application. Only the file dialogs are answered by the test.
#![cfg(feature = "gui")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use camlens::plan::{DeviceChoice, ImageSource, ModelSource, Sign};
use camlens::session::MapState;
use camlens::ui::command::Command;
use camlens::ui::presets::Preset;
use camlens::ui::{Answer, App, Ask, FilePicker, Message, Options};
use egui::accesskit::Role;
use egui::{Context, Event, Key, Modifiers, MouseWheelSource, MouseWheelUnit, Pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};

#[path = "window/access.rs"]
mod access;
#[path = "window/attention.rs"]
mod attention;
#[path = "window/compare.rs"]
mod compare;
#[path = "support/dicom_file.rs"]
mod dicom_file;
#[path = "window/explorer.rs"]
mod explorer;
#[path = "window/faults.rs"]
mod faults;
#[path = "window/files.rs"]
mod files;
#[path = "window/find.rs"]
mod find;
#[path = "window/frames.rs"]
mod frames;
#[path = "window/grey.rs"]
mod grey;
#[path = "window/memory.rs"]
mod memory;
#[path = "window/methods.rs"]
mod methods;
#[path = "window/numbers.rs"]
mod numbers;
#[path = "window/regions.rs"]
mod regions;
#[path = "window/snapshots.rs"]
mod snapshots;
#[path = "window/view.rs"]
mod view;

/// Long enough for a loaded machine with a debug build.
const PATIENCE: Duration = Duration::from_secs(90);

// ---- tools -------------------------------------------------------------------------------------

/// Answers dialogs at once, and remembers what was asked.
#[derive(Clone, Default)]
struct FakePicker {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Ask>>>,
    pending: Option<Ask>,
}

impl FakePicker {
    fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self {
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            ..Self::default()
        }
    }
}

impl FilePicker for FakePicker {
    fn ask(&mut self, _ctx: &Context, ask: Ask) {
        self.asked.lock().unwrap().push(ask.clone());
        self.pending = Some(ask);
    }

    fn poll(&mut self) -> Option<(Ask, Answer)> {
        let ask = self.pending.take()?;
        let answer = self.answers.lock().unwrap().pop_front();
        Some((ask, answer.unwrap_or(Answer::Dismissed)))
    }
}

/// A file dropped on the window.
#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|e| e.to_string())
    }
}

fn asset(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn sample() -> PathBuf {
    asset("assets/samples/man-right-middle.png")
}

/// The window with the demo network, a sample and maps in every panel.
fn window_with(picker: FakePicker) -> Harness<'static, App> {
    let options = Options {
        model: ModelSource::Demo,
        image: Some(ImageSource::Path(sample())),
        device: DeviceChoice::Cpu,
        ..Options::default()
    };
    let mut h = Harness::builder()
        .with_size([1000.0, 640.0])
        .with_max_steps(60)
        .with_step_dt(1.0 / 60.0)
        .build_eframe(move |cc| App::new(&cc.egui_ctx, &options, Box::new(picker)).unwrap());
    until(&mut h, "the first maps", App::is_complete);
    h
}

fn window() -> Harness<'static, App> {
    window_with(FakePicker::default())
}

/// Lets frames pass until something holds.
fn until(h: &mut Harness<'_, App>, what: &str, holds: impl Fn(&App) -> bool) {
    let start = Instant::now();
    loop {
        h.step();
        if holds(h.state()) {
            return;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "{what} did not come; messages: {:?}",
            h.state().messages()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn steps(h: &mut Harness<'_, App>, count: usize) {
    for _ in 0..count {
        h.step();
    }
}

fn slider(h: &Harness<'_, App>, name: &str) -> egui::Rect {
    h.get_by_role_and_label(Role::Slider, name).rect()
}

fn drag(h: &mut Harness<'_, App>, from: Pos2, to: Pos2) {
    h.hover_at(from);
    h.step();
    h.drag_at(from);
    h.step();
    h.hover_at(from.lerp(to, 0.5));
    h.step();
    h.hover_at(to);
    h.step();
    h.drop_at(to);
    steps(h, 2);
}

fn stop_name(app: &App, panel: usize) -> String {
    app.stops().list[app.grid().panels[panel].stop].name.clone()
}

/// The layer of the map that a panel really shows.
fn shown_layer(app: &App, panel: usize) -> Option<String> {
    let exhibit = app.exhibit()?;
    exhibit.panels[panel]
        .map
        .as_ref()
        .map(|map| map.layer.clone())
}

fn errors(app: &App) -> Vec<String> {
    app.messages()
        .iter()
        .filter_map(|m| match m {
            Message::Error(words) | Message::Device(words) => Some(words.clone()),
            _ => None,
        })
        .collect()
}

// ---- the first look ----------------------------------------------------------------------------

#[test]
fn opens_with_four_maps_and_says_what_it_is_for() {
    let h = window();
    let app = h.state();
    assert_eq!(app.grid().panels.len(), 4);
    let methods: Vec<&str> = app.grid().panels.iter().map(|p| p.method).collect();
    assert_eq!(
        methods,
        ["grad-cam", "hires-cam", "layer-cam", "grad-cam++"]
    );
    assert_eq!(app.grid().panels[0].stop, app.stops().last);
    assert!(app.grid().panels[2].stop < app.stops().last);
    assert!(errors(app).is_empty(), "{:?}", errors(app));
    h.get_by_label(camlens::text::RESEARCH_ONLY);
    // The explained finding, its probability and the verdict can be read.
    let target = app.target().unwrap();
    let finding = app.session().findings()[target].clone();
    assert!(h.get_all_by_label(&finding.label).count() >= 1);
    assert!(h.query_all_by_label_contains("this finding").count() >= 1);
}

#[test]
fn every_panel_names_its_picture_for_screen_readers() {
    let h = window();
    for (panel, method) in ["Grad-CAM", "HiResCAM", "LayerCAM", "Grad-CAM++"]
        .iter()
        .enumerate()
    {
        let layer = stop_name(h.state(), panel);
        let name = camlens::text::window::picture_of_panel(panel + 1, method, &layer);
        h.get_by_role_and_label(Role::Image, &name);
    }
}

// ---- findings ----------------------------------------------------------------------------------

#[test]
fn choosing_another_finding_explains_that_one() {
    let mut h = window();
    let before = h.state().target().unwrap();
    let findings = h.state().session().findings().to_vec();
    assert!(findings.len() > 1, "the demo network has several outputs");
    let other = findings.iter().find(|f| f.index != before).unwrap();
    h.get_by_role_and_label(Role::Button, &other.label).click();
    until(&mut h, "the other finding's maps", |app| {
        app.target() == Some(other.index) && app.is_complete()
    });
    let exhibit = h.state().exhibit().unwrap();
    for panel in exhibit.panels {
        assert_eq!(panel.map.unwrap().target, Some(other.index));
    }
}

/// The demo network with another classifier: 14 outputs without names.
fn many_classes(dir: &Path) -> PathBuf {
    use candle_core::{Device, Tensor};
    let bytes = std::fs::read(asset("models/demo/model.safetensors")).unwrap();
    let mut tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).unwrap();
    let features = tensors["fc.weight"].dim(1).unwrap();
    let values: Vec<f32> = (0..14 * features)
        .map(|i| ((i * 37 % 101) as f32 / 101.0 - 0.5) * 0.4)
        .collect();
    let weight = Tensor::from_vec(values, (14, features), &Device::Cpu).unwrap();
    tensors.insert("fc.weight".to_owned(), weight);
    let bias = Tensor::zeros(14, candle_core::DType::F32, &Device::Cpu).unwrap();
    tensors.insert("fc.bias".to_owned(), bias);
    let path = dir.join("fourteen.safetensors");
    candle_core::safetensors::save(&tensors, &path).unwrap();
    path
}

#[test]
fn many_findings_are_sorted_and_filtered_and_guesses_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut h = window();
    h.input_mut()
        .dropped_files
        .push(Arc::new(Dropped(many_classes(dir.path()))));
    until(&mut h, "the network with 14 outputs", |app| {
        app.session().findings().len() == 14 && app.is_complete()
    });
    // The most probable finding is explained and stands first.
    let app = h.state();
    assert_eq!(app.target(), Some(app.session().top()));
    assert!(app.session().notices().any(|words| words.contains("guess")));
    let top = app.session().findings()[app.session().top()].label.clone();
    let height = |h: &Harness<'_, App>, label: &str| {
        h.query_by_role_and_label(Role::Button, label)
            .map(|node| node.rect().top())
    };
    let first = height(&h, &top).unwrap();
    for finding in app.session().findings() {
        if finding.label != top
            && let Some(other) = height(&h, &finding.label)
        {
            assert!(other > first, "{} stands above {top}", finding.label);
        }
    }
    h.get_by_role_and_label(Role::TextInput, "Filter findings")
        .focus();
    h.step();
    h.get_by_role_and_label(Role::TextInput, "Filter findings")
        .type_text("class 13");
    steps(&mut h, 2);
    assert!(height(&h, "Class 2").is_none());
    h.get_by_role_and_label(Role::Button, "Class 13").click();
    until(&mut h, "class 13", |app| {
        app.target() == Some(13) && app.is_complete()
    });
}

// ---- depth -------------------------------------------------------------------------------------

#[test]
fn the_depth_slider_moves_by_dragging() {
    let mut h = window();
    let rail = slider(&h, "Layer, panel 1");
    drag(&mut h, rail.right_center() - vec2(6.0, 0.0), rail.center());
    let moved = h.state().grid().panels[0].stop;
    assert!(moved < h.state().stops().last, "still at {moved}");
    until(&mut h, "the map of the new layer", App::is_complete);
    assert_eq!(shown_layer(h.state(), 0), Some(stop_name(h.state(), 0)));
    // The other panels stayed.
    assert_eq!(h.state().grid().panels[3].stop, h.state().stops().last);
}

#[test]
fn the_depth_slider_moves_by_keyboard_through_the_whole_network() {
    let mut h = window();
    h.get_by_role_and_label(Role::Slider, "Layer, panel 1")
        .focus();
    steps(&mut h, 2);
    let last = h.state().grid().panels[0].stop;
    h.key_press(Key::ArrowLeft);
    steps(&mut h, 2);
    assert_eq!(h.state().grid().panels[0].stop, last - 1);
    h.key_press(Key::PageDown);
    steps(&mut h, 2);
    let stop = h.state().grid().panels[0].stop;
    assert!(
        h.state().stops().list[stop].stage,
        "page keys go stage by stage"
    );
    h.key_press(Key::Home);
    steps(&mut h, 2);
    assert_eq!(h.state().grid().panels[0].stop, 0);
    assert_eq!(stop_name(h.state(), 0), "input");
    until(&mut h, "the map at the input", App::is_complete);
    assert_eq!(shown_layer(h.state(), 0).as_deref(), Some("input"));
}

#[test]
fn layers_are_ready_ahead_so_that_the_slider_never_waits() {
    let mut h = window();
    until(&mut h, "the other layers", |app| !app.session().is_busy());
    for stop in (0..=h.state().stops().last).rev() {
        h.get_by_role_and_label(Role::Slider, "Layer, panel 1")
            .set_value_accesskit(stop as f64);
        // One frame takes the request, the next draws it.
        steps(&mut h, 2);
        assert_eq!(h.state().grid().panels[0].stop, stop);
        assert!(h.state().is_complete(), "layer {stop} was not ready");
        assert_eq!(shown_layer(h.state(), 0), Some(stop_name(h.state(), 0)));
    }
}

// ---- methods and display -----------------------------------------------------------------------

#[test]
fn another_method_comes_from_the_menu() {
    let mut h = window();
    h.get_by_role_and_label(Role::ComboBox, "Method, panel 1")
        .click();
    steps(&mut h, 2);
    h.get_by_role_and_label(Role::Button, "XGrad-CAM").click();
    until(&mut h, "the other method's map", |app| {
        app.grid().panels[0].method == "xgrad-cam" && app.is_complete()
    });
    let map = h.state().exhibit().unwrap().panels[0].map.clone().unwrap();
    assert_eq!(map.method, "xgrad-cam");
}

#[test]
fn blur_smooths_every_panel_in_the_same_frame() {
    let mut h = window();
    let peaks =
        |app: &App| -> Vec<f32> { (0..4).map(|i| app.field(i).unwrap().largest()).collect() };
    let before = peaks(h.state());
    let rail = slider(&h, "Blur");
    drag(&mut h, rail.left_center() + vec2(6.0, 0.0), rail.center());
    let blur = h.state().grid().look.post.blur_px;
    assert!(blur > 5.0, "{blur}, {rail}");
    assert!(h.state().is_complete(), "blur needs no network");
    for (panel, (before, after)) in before.into_iter().zip(peaks(h.state())).enumerate() {
        let empty = h.state().field(panel).unwrap().empty;
        assert!(
            empty || after < before,
            "panel {panel}: {before} -> {after}"
        );
    }
}

#[test]
fn sliders_move_by_keyboard_and_cut_is_shown() {
    let mut h = window();
    let before = h.state().grid().look.post.cut;
    h.get_by_role_and_label(Role::Slider, "Cut").focus();
    steps(&mut h, 2);
    for _ in 0..5 {
        h.key_press(Key::ArrowRight);
        steps(&mut h, 1);
    }
    steps(&mut h, 2);
    let after = h.state().grid().look.post.cut;
    assert!((after - before - 0.05).abs() < 1e-3, "{before} -> {after}");
}

#[test]
fn one_panel_can_have_settings_of_its_own() {
    let mut h = window();
    h.get_by_label("Panel 1 only").click();
    steps(&mut h, 2);
    h.get_by_label("Both").click();
    steps(&mut h, 2);
    let grid = h.state().grid().clone();
    assert_eq!(grid.look_of(0).post.sign, Sign::Signed);
    assert_eq!(grid.look_of(1).post.sign, Sign::Positive);
    h.get_by_label("Own display").click();
    steps(&mut h, 2);
    assert_eq!(h.state().grid().look_of(0).post.sign, Sign::Positive);
}

#[test]
fn an_empty_map_says_so_and_offers_both_signs() {
    let mut h = window();
    // Somewhere in the grid of methods and layers there is a map without the chosen sign: LayerCAM
    // has no negative values by its definition.
    h.get_by_label("Against").click();
    steps(&mut h, 2);
    let field = h.state().field(2).unwrap();
    assert!(field.empty && field.notice.is_some());
    let offers: Vec<_> = h
        .get_all_by_label("Show for and against")
        .map(|n| n.rect())
        .collect();
    h.hover_at(offers[0].center());
    h.get_all_by_label("Show for and against")
        .next()
        .unwrap()
        .click();
    steps(&mut h, 3);
    assert_eq!(h.state().grid().look.post.sign, Sign::Signed);
    assert!(!h.state().field(2).unwrap().empty);
}

// ---- looking -----------------------------------------------------------------------------------

#[test]
fn holding_space_shows_the_x_ray_alone() {
    let mut h = window();
    assert!(h.state().shows_overlay());
    h.key_down(Key::Space);
    steps(&mut h, 2);
    assert!(!h.state().shows_overlay());
    h.key_up(Key::Space);
    steps(&mut h, 2);
    assert!(h.state().shows_overlay());
}

#[test]
fn keys_do_nothing_while_somebody_types() {
    let mut h = window();
    h.get_by_role_and_label(Role::TextInput, "Path of an X-ray or a network")
        .focus();
    steps(&mut h, 2);
    h.key_down(Key::Space);
    h.key_press(Key::H);
    h.key_press(Key::Num1);
    steps(&mut h, 2);
    assert!(h.state().shows_overlay());
    assert_eq!(h.state().grid().panels.len(), 4);
    h.key_up(Key::Space);
}

#[test]
fn wheel_zooms_and_a_double_click_shows_one_panel_alone() {
    let mut h = window();
    let name = camlens::text::window::picture_of_panel(1, "Grad-CAM", &stop_name(h.state(), 0));
    let at = h.get_by_role_and_label(Role::Image, &name).rect().center() + vec2(20.0, 10.0);
    h.hover_at(at);
    h.step();
    h.event(Event::MouseWheel {
        unit: MouseWheelUnit::Point,
        delta: vec2(0.0, 160.0),
        phase: egui::TouchPhase::Move,
        source: MouseWheelSource::Unknown,
        modifiers: Modifiers::NONE,
    });
    steps(&mut h, 12);
    let zoomed = h.state().viewport();
    assert!(zoomed.zoom > 1.2, "{zoomed:?}");
    drag(&mut h, at, at + vec2(-25.0, 0.0));
    assert!(h.state().viewport().centre[0] > zoomed.centre[0]);
    for _ in 0..2 {
        h.drag_at(at);
        h.drop_at(at);
    }
    steps(&mut h, 2);
    assert_eq!(h.state().grid().solo, Some(0));
    let alone = h.query_all_by_role(Role::Image).count();
    assert_eq!(alone, 1);
    h.key_press(Key::Num0);
    steps(&mut h, 2);
    assert_eq!(h.state().viewport(), Default::default());
    // Long enough for the next click not to be a third one.
    steps(&mut h, 60);
    for _ in 0..2 {
        h.drag_at(at);
        h.drop_at(at);
    }
    steps(&mut h, 2);
    assert_eq!(h.query_all_by_role(Role::Image).count(), 4);
}

#[test]
fn number_keys_and_presets_lay_the_grid_out() {
    let mut h = window();
    h.key_press(Key::Num6);
    until(&mut h, "six maps", |app| {
        app.grid().panels.len() == 6 && app.is_complete()
    });
    h.key_press(Key::Num1);
    until(&mut h, "one map", |app| {
        app.grid().panels.len() == 1 && app.is_complete()
    });
    h.get_by_label(camlens::text::window::PANELS).click();
    steps(&mut h, 2);
    h.get_by_label(&Command::Preset(Preset::Depth).label())
        .click();
    until(&mut h, "the stages", |app| {
        app.grid().panels.len() > 2 && app.is_complete()
    });
    let app = h.state();
    assert!(app.grid().panels.iter().all(|p| p.method == "grad-cam"));
    assert!(app.grid().panels.windows(2).all(|p| p[0].stop < p[1].stop));
}

#[test]
fn light_and_dark() {
    let mut h = window();
    assert_eq!(h.ctx.theme(), egui::Theme::Dark);
    h.key_press_modifiers(Modifiers::COMMAND, Key::T);
    steps(&mut h, 2);
    assert_eq!(h.ctx.theme(), egui::Theme::Light);
}

// ---- files in ----------------------------------------------------------------------------------

#[test]
fn a_broken_file_is_explained_and_the_old_picture_stays() {
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("broken.png");
    let mut bytes = std::fs::read(sample()).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&broken, bytes).unwrap();

    let mut h = window();
    let before = h.state().session().picture().unwrap().name.clone();
    h.input_mut().dropped_files.push(Arc::new(Dropped(broken)));
    until(&mut h, "words about the broken file", |app| {
        !errors(app).is_empty()
    });
    let words = errors(h.state()).remove(0);
    assert!(words.contains("broken.png"), "{words}");
    assert_eq!(h.state().session().picture().unwrap().name, before);
    // The window goes on: the banner goes, sliders still work.
    until(&mut h, "the old maps", App::is_complete);
    h.get_by_label("Dismiss").click();
    steps(&mut h, 2);
    assert!(h.state().messages().is_empty());
    h.get_by_role_and_label(Role::Slider, "Layer, panel 1")
        .set_value_accesskit(1.0);
    until(&mut h, "a map after the fault", |app| {
        app.is_complete() && app.grid().panels[0].stop == 1
    });
}

#[test]
fn a_broken_network_is_explained_and_the_old_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("broken.safetensors");
    std::fs::write(&broken, b"\xff\xff\xff\xff\xff\xff\xff\x7f{}").unwrap();
    let picker = FakePicker::answering([Answer::Chosen(broken)]);
    let asked = Arc::clone(&picker.asked);
    let mut h = window_with(picker);
    h.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::O);
    until(&mut h, "words about the network", |app| {
        !errors(app).is_empty()
    });
    assert_eq!(*asked.lock().unwrap(), [Ask::Model]);
    assert!(errors(h.state())[0].contains("broken.safetensors"));
    assert!(h.state().session().model().is_some());
    until(&mut h, "the old maps", App::is_complete);
}

#[test]
fn facts_are_settled_and_saved_on_their_sheet() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("net.safetensors");
    // Saved again, the shipped network says nothing about itself.
    let demo = asset("models/demo/model.safetensors");
    let tensors = candle_core::safetensors::load(demo, &candle_core::Device::Cpu).unwrap();
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let mut h = window_with(FakePicker::answering([Answer::Chosen(path)]));
    let title = h.state().session().model().unwrap().sha256.clone();
    h.state_mut().send(Command::OpenModel);
    until(&mut h, "the network", |app| {
        app.session().model().unwrap().sha256 != title
    });
    until(&mut h, "its maps", App::is_complete);

    h.get_by_label("Facts…").click();
    steps(&mut h, 3);
    assert!(h.get_all_by_label("a guess").count() >= 3);
    // What does not fit is explained on the sheet.
    let labels = "Labels, one a line";
    h.get_by_role_and_label(Role::MultilineTextInput, labels)
        .focus();
    h.step();
    h.get_by_role_and_label(Role::MultilineTextInput, labels)
        .type_text("only one");
    steps(&mut h, 2);
    h.get_by_label("Save beside the network").click();
    steps(&mut h, 2);
    h.get_by_label_contains("Apply the changes first");
    h.get_by_label("Apply").click();
    steps(&mut h, 2);
    h.get_by_label_contains("1 labels were given");
    h.get_by_role_and_label(Role::MultilineTextInput, labels)
        .focus();
    h.step();
    h.get_by_role_and_label(Role::MultilineTextInput, labels)
        .type_text("\nsecond");
    steps(&mut h, 2);
    h.get_by_label("Apply").click();
    until(&mut h, "the labels", |app| {
        app.session().findings().iter().any(|f| f.label == "second")
    });
    until(&mut h, "the maps again", App::is_complete);
    h.get_by_label("Facts…").click();
    steps(&mut h, 3);
    h.get_by_label("given by you");
    h.get_by_label("Save beside the network").click();
    steps(&mut h, 3);
    let saved = std::fs::read_to_string(dir.path().join("config.json")).unwrap();
    assert!(saved.contains("\"1\": \"second\""), "{saved}");
    assert!(
        h.state()
            .messages()
            .iter()
            .any(|m| matches!(m, Message::Done(_)))
    );
}

#[test]
fn another_picture_comes_by_dialog_by_drop_and_by_path() {
    let other = asset("assets/samples/adult-normal.png");
    let picker = FakePicker::answering([Answer::Dismissed, Answer::Chosen(other.clone())]);
    let mut h = window_with(picker);
    let shows = |name: &'static str| {
        move |app: &App| {
            app.is_complete() && app.session().picture().is_some_and(|p| p.name == name)
        }
    };
    // Dismissed: nothing happens.
    h.key_press_modifiers(Modifiers::COMMAND, Key::O);
    steps(&mut h, 4);
    assert!(shows("man-right-middle.png")(h.state()) && h.state().messages().is_empty());
    h.key_press_modifiers(Modifiers::COMMAND, Key::O);
    until(
        &mut h,
        "the picture of the dialog",
        shows("adult-normal.png"),
    );

    h.input_mut()
        .dropped_files
        .push(Arc::new(Dropped(sample())));
    until(&mut h, "the dropped picture", shows("man-right-middle.png"));

    let path_box = h.get_by_role_and_label(Role::TextInput, "Path of an X-ray or a network");
    path_box.focus();
    h.step();
    h.get_by_role_and_label(Role::TextInput, "Path of an X-ray or a network")
        .type_text(&format!("'{}'", other.display()));
    h.step();
    h.key_press(Key::Enter);
    until(
        &mut h,
        "the picture of the path box",
        shows("adult-normal.png"),
    );
}

#[test]
fn a_desktop_without_dialogs_is_told_what_else_works() {
    let mut h = window_with(FakePicker::answering([Answer::Unavailable]));
    h.key_press_modifiers(Modifiers::COMMAND, Key::O);
    steps(&mut h, 4);
    assert!(errors(h.state())[0].contains("path"));
}

// ---- device ------------------------------------------------------------------------------------

#[test]
fn the_device_is_chosen_in_the_menu_and_what_is_not_built_is_grey() {
    let mut h = window();
    let before = Arc::clone(h.state().session().model().unwrap());
    let open_menu = |h: &mut Harness<'_, App>| {
        h.get_by_label("File").click();
        steps(h, 3);
        h.get_by_label_contains("Device").click();
        steps(h, 3);
    };
    open_menu(&mut h);
    h.get_by_role_and_label(Role::Button, "CPU");
    for (feature, built, name) in [
        ("cuda", cfg!(feature = "cuda"), "CUDA (NVIDIA)"),
        ("metal", cfg!(feature = "metal"), "Metal (Apple)"),
    ] {
        if !built {
            let words = format!("{name}: needs a build with the feature '{feature}'");
            let entry = h.get_by_role_and_label(Role::Button, &words);
            assert!(entry.accesskit_node().is_disabled(), "{words}");
        }
    }
    if cfg!(any(feature = "cuda", feature = "metal")) {
        return;
    }
    h.get_by_role_and_label(Role::Button, "Automatic").click();
    until(&mut h, "the network on the chosen device", |app| {
        app.session().device() == DeviceChoice::Auto && app.is_complete()
    });
    let after = h.state().session().model().unwrap();
    assert!(
        !Arc::ptr_eq(&before, after),
        "the network was not opened again"
    );
    assert!(h.state().exhibit().unwrap().panels[0].map.is_some());
    // A build without a GPU's feature has nothing to fall back from.
    assert!(!h.state().session().notices().any(|n| n.contains("CPU")));
    open_menu(&mut h);
    h.get_by_role_and_label(Role::Button, "Automatic: CPU");
    h.get_by_role_and_label(Role::Button, "CPU").click();
    until(&mut h, "the network on the CPU", |app| {
        app.session().device() == DeviceChoice::Cpu && app.is_complete()
    });
    assert!(errors(h.state()).is_empty());
}

/// A GPU that this build cannot use, if there is one.
fn unbuilt() -> Option<(DeviceChoice, &'static str)> {
    if cfg!(not(feature = "cuda")) {
        Some((DeviceChoice::Cuda, "cuda"))
    } else if cfg!(not(feature = "metal")) {
        Some((DeviceChoice::Metal, "metal"))
    } else {
        None
    }
}

#[test]
fn a_device_that_cannot_be_had_leaves_what_is_open_and_offers_the_cpu() {
    let Some((choice, feature)) = unbuilt() else {
        return;
    };
    let mut h = window();
    let before = Arc::clone(h.state().session().model().unwrap());
    h.state_mut().send(Command::Device(choice));
    until(&mut h, "words about the device", |app| {
        matches!(app.messages(), [Message::Device(_)])
    });
    let said = errors(h.state()).remove(0);
    assert_eq!(
        said,
        format!("device '{feature}' needs a build with the feature '{feature}'")
    );
    until(&mut h, "the maps that stood", App::is_complete);
    let app = h.state();
    assert_eq!(app.session().device(), DeviceChoice::Cpu);
    assert!(Arc::ptr_eq(&before, app.session().model().unwrap()));
    // The words do not push the maps off the window: the first row begins in its upper half.
    let name = camlens::text::window::picture_of_panel(1, "Grad-CAM", &stop_name(app, 0));
    let picture = h.get_by_role_and_label(Role::Image, &name).rect();
    assert!(picture.top() < 320.0, "{picture:?}");
    // Maps of other layers still come.
    h.get_by_role_and_label(Role::Slider, "Layer, panel 1")
        .set_value_accesskit(1.0);
    until(&mut h, "a map after the fault", |app| {
        app.is_complete() && app.grid().panels[0].stop == 1
    });
    h.get_by_label("Use the CPU").click();
    steps(&mut h, 3);
    assert!(h.state().messages().is_empty());
    assert!(h.state().is_complete(), "the CPU was in use already");
}

#[test]
fn a_start_on_a_device_that_cannot_be_had_goes_on_by_the_button() {
    let Some((choice, _)) = unbuilt() else {
        return;
    };
    let options = Options {
        image: Some(ImageSource::Path(sample())),
        device: choice,
        ..Options::default()
    };
    let mut h = Harness::builder()
        .with_size([1000.0, 640.0])
        .with_max_steps(60)
        .with_step_dt(1.0 / 60.0)
        .build_eframe(move |cc| {
            App::new(&cc.egui_ctx, &options, Box::new(FakePicker::default())).unwrap()
        });
    until(&mut h, "words about the device", |app| {
        matches!(app.messages(), [Message::Device(_)])
    });
    assert!(h.state().session().model().is_none());
    steps(&mut h, 2);
    h.get_by_label("Use the CPU").click();
    until(&mut h, "the maps on the CPU", App::is_complete);
    assert_eq!(h.state().session().device(), DeviceChoice::Cpu);
    assert!(h.state().messages().is_empty());
}

// ---- pictures out ------------------------------------------------------------------------------

#[test]
fn export_writes_the_annotated_grid() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("figure.png");
    let picker = FakePicker::answering([Answer::Chosen(file.clone())]);
    let asked = Arc::clone(&picker.asked);
    let mut h = window_with(picker);
    h.key_press_modifiers(Modifiers::COMMAND, Key::E);
    until(&mut h, "the export", |app| {
        app.messages().iter().any(|m| matches!(m, Message::Done(_)))
    });
    assert!(matches!(&asked.lock().unwrap()[0], Ask::SavePng(name) if name.ends_with(".png")));

    let picture = image::open(&file).unwrap().to_rgb8();
    let expected = h.state().exhibit().unwrap().render(2.0).unwrap();
    assert_eq!(picture.dimensions(), expected.dimensions());
    assert!(picture.width() >= 1920, "{:?}", picture.dimensions());
    let colourful = picture
        .pixels()
        .filter(|p| p.0.iter().max().unwrap() - p.0.iter().min().unwrap() > 40)
        .count();
    assert!(
        colourful > 10_000,
        "no heat on the picture: {colourful} coloured pixels"
    );
}

#[test]
fn an_export_that_cannot_be_written_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    // A file where a folder would have to be: fails for root as well.
    let blocked = dir.path().join("file");
    std::fs::write(&blocked, b"x").unwrap();
    let target = blocked.join("figure.png");
    let mut h = window_with(FakePicker::answering([Answer::Chosen(target)]));
    h.get_by_label(&Command::Export.label()).click();
    until(&mut h, "words about the export", |app| {
        !errors(app).is_empty()
    });
    assert!(
        errors(h.state())[0].contains("figure.png"),
        "{:?}",
        errors(h.state())
    );
    // It goes on.
    h.get_by_role_and_label(Role::Slider, "Layer, panel 1")
        .set_value_accesskit(2.0);
    until(&mut h, "a map after the fault", App::is_complete);
}

#[test]
fn without_a_dialog_an_export_asks_for_a_path() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("typed.png");
    let mut h = window_with(FakePicker::answering([Answer::Unavailable]));
    h.key_press_modifiers(Modifiers::COMMAND, Key::E);
    steps(&mut h, 4);
    let node = h.get_by_role_and_label(Role::TextInput, "File to write");
    node.focus();
    h.step();
    h.key_press_modifiers(Modifiers::COMMAND, Key::A);
    h.step();
    h.get_by_role_and_label(Role::TextInput, "File to write")
        .type_text(&file.display().to_string());
    h.step();
    h.get_by_label("Save").click();
    until(&mut h, "the export", |app| {
        app.messages().iter().any(|m| matches!(m, Message::Done(_)))
    });
    assert!(file.is_file());
}

// ---- work --------------------------------------------------------------------------------------

#[test]
fn what_was_cancelled_can_be_computed_again() {
    let mut h = window();
    h.key_press(Key::Num2);
    steps(&mut h, 2);
    h.state_mut().send(Command::Cancel);
    steps(&mut h, 3);
    assert!(!h.state().session().is_busy());
    h.get_by_label(&Command::Resume.label()).click();
    until(&mut h, "the maps again", App::is_complete);
}

#[test]
fn a_waiting_panel_shows_no_old_map() {
    let mut h = window();
    let other = h
        .state()
        .session()
        .findings()
        .iter()
        .map(|f| f.index)
        .find(|i| Some(*i) != h.state().target());
    h.state_mut().send(if other == Some(0) {
        Command::NextFinding
    } else {
        Command::PreviousFinding
    });
    for _ in 0..400 {
        h.step();
        let app = h.state();
        if let Some(exhibit) = app.exhibit() {
            for panel in exhibit.panels {
                assert_eq!(panel.map.unwrap().target, app.target());
            }
        } else {
            assert!((0..4).any(|i| app.field(i).is_none()));
        }
    }
}

#[test]
fn states_can_be_told_apart() {
    // A key that nobody asked for is waiting, not failed: panels rely on it.
    let h = window();
    let key = camlens::plan::MapKey {
        method: "grad-cam".into(),
        layer: "nowhere".into(),
        target: 0.into(),
        params: Default::default(),
    };
    assert!(matches!(h.state().session().map(&key), MapState::Waiting));
}

// ---- pixels ------------------------------------------------------------------------------------

/// Whether this machine can draw without a screen; said loudly where it cannot.
fn can_draw() -> bool {
    let drawn = std::panic::catch_unwind(|| {
        let mut h = Harness::new_ui(|ui| {
            ui.label("x");
        });
        h.render().is_ok()
    });
    let can = drawn.unwrap_or(false);
    if !can {
        eprintln!("SKIPPED: no graphics adapter; install libvulkan1 and mesa-vulkan-drivers");
    }
    can
}

/// Pixels inside `area` that have a clear hue, as heat has and an X-ray has not.
fn hues(h: &mut Harness<'_, App>, area: egui::Rect) -> usize {
    let picture = h.render().unwrap();
    let (left, top) = (area.left() as u32, area.top() as u32);
    let (right, bottom) = (area.right() as u32, area.bottom() as u32);
    let mut count = 0;
    for y in top..bottom.min(picture.height()) {
        for x in left..right.min(picture.width()) {
            let [r, g, b, _] = picture.get_pixel(x, y).0;
            count += usize::from(r.max(g).max(b) - r.min(g).min(b) > 30);
        }
    }
    count
}

#[test]
fn the_screen_shows_heat_and_peeking_takes_it_away() {
    if !can_draw() {
        return;
    }
    let mut h = window();
    let layer = stop_name(h.state(), 0);
    let name = camlens::text::window::picture_of_panel(1, "Grad-CAM", &layer);
    let area = h.get_by_role_and_label(Role::Image, &name).rect();
    // The words at the foot and in the corner are no heat.
    let area = area.shrink2(vec2(4.0, 30.0));
    let heat = hues(&mut h, area);
    assert!(heat > 500, "only {heat} coloured pixels");
    h.key_down(Key::Space);
    steps(&mut h, 2);
    let left = hues(&mut h, area);
    assert!(
        left < heat / 50,
        "{left} of {heat} coloured pixels are left"
    );
    h.key_up(Key::Space);
}

/// `cargo test --test window -- --ignored screenshots` makes `screenshots/` again, except the one that
/// `camlens --screenshot` makes.
#[test]
#[ignore = "writes into screenshots/"]
fn screenshots() {
    assert!(can_draw());
    let options = Options::default();
    let mut h = Harness::builder()
        .with_size([1360.0, 860.0])
        .with_max_steps(60)
        .with_step_dt(1.0 / 60.0)
        .build_eframe(move |cc| {
            App::new(&cc.egui_ctx, &options, Box::new(FakePicker::default())).unwrap()
        });
    until(&mut h, "the first maps", App::is_complete);
    let save = |h: &mut Harness<'_, App>, name: &str| {
        steps(h, 20);
        h.render()
            .unwrap()
            .save(asset(&format!("screenshots/{name}.png")))
            .unwrap();
    };
    h.state_mut().send(Command::Preset(Preset::Methods));
    until(&mut h, "the methods", |app| {
        app.grid().panels.len() == 6 && app.is_complete()
    });
    save(&mut h, "window-methods");
    h.state_mut().send(Command::Preset(Preset::Depth));
    until(&mut h, "the stages", |app| {
        app.grid().panels[0].stop < app.stops().last && app.is_complete()
    });
    save(&mut h, "window-depth");
    h.state_mut().send(Command::Preset(Preset::First));
    h.state_mut().send(Command::ToggleTheme);
    steps(&mut h, 2);
    until(&mut h, "the first maps", App::is_complete);
    save(&mut h, "window-light");
}

/// `cargo test --test window -- --ignored frame_time --nocapture` prints what a frame costs the
/// program while sliders move in six panels; drawing is not in it.
#[test]
#[ignore = "a measurement"]
fn frame_time() {
    let mut h = window();
    h.key_press(Key::Num6);
    until(&mut h, "six maps", |app| {
        app.grid().panels.len() == 6 && app.is_complete()
    });
    until(&mut h, "the other layers", |app| !app.session().is_busy());
    let mut measure = |slider: &str, from: f64| {
        let mut times: Vec<f64> = (0..60)
            .map(|i| {
                h.get_by_role_and_label(Role::Slider, slider)
                    .set_value_accesskit(from + f64::from(i % 20));
                let start = Instant::now();
                h.step();
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!(
            "{slider}: median {:.2} ms, 95 % {:.2} ms",
            times[30], times[57]
        );
    };
    measure("Opacity", 40.0);
    measure("Cut", 10.0);
    measure("Blur", 10.0);
    measure("Layer, panel 1", 10.0);
}
