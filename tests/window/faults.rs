//! What goes wrong ends in words, and the window goes on.

use std::collections::BTreeMap;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use camlens::error::{Error, Kind, Result};
use camlens::model::kernels::{Kernels, for_device};
use camlens::model::op::{Conv2d, Pool};
use camlens::text::{device, session as words, window};
use candle_core::{Device, Tensor};

use super::explorer::large;
use super::*;

/// The window shows maps and takes commands.
fn goes_on(h: &mut Harness<'_, App>) {
    h.key_press(Key::Num2);
    until(h, "two maps", |app| {
        app.grid().panels.len() == 2 && app.is_complete()
    });
    h.key_press(Key::Num4);
    until(h, "four maps", |app| {
        app.grid().panels.len() == 4 && app.is_complete()
    });
}

/// The demo network with so many input channels.
fn with_channels(dir: &Path, channels: usize) -> PathBuf {
    let bytes = std::fs::read(asset("models/demo/model.safetensors")).unwrap();
    let mut tensors: BTreeMap<String, Tensor> =
        candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
            .unwrap()
            .into_iter()
            .collect();
    let first = tensors["conv1.weight"].clone();
    let wide = Tensor::cat(&vec![first; channels], 1).unwrap();
    tensors.insert("conv1.weight".to_owned(), wide);
    let path = dir.join(format!("channels{channels}.safetensors"));
    let all: std::collections::HashMap<String, Tensor> = tensors.into_iter().collect();
    candle_core::safetensors::save(&all, &path).unwrap();
    path
}

#[test]
fn a_network_for_five_channels_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let path = with_channels(dir.path(), 5);
    let mut h = large();
    h.state_mut().open_path(&path);
    until(&mut h, "words", |app| !errors(app).is_empty());
    let said = errors(h.state()).join(" ");
    assert!(said.contains('5') && said.contains("channel"), "{said}");
    assert!(h.state().is_complete() || h.query_by_label_contains(window::NO_FINDINGS).is_some());
    h.state_mut().send(Command::OpenDemoModel);
    until(&mut h, "the demo's maps", App::is_complete);
    goes_on(&mut h);
}

#[test]
fn a_picture_that_is_swapped_while_maps_grow_leaves_no_map_behind() {
    let mut h = large();
    methods::choose(&mut h, "score-cam");
    let other = asset("assets/samples/child-normal.png");
    h.state_mut().open_path(&other);
    until(&mut h, "the other picture", |app| {
        app.session().picture().unwrap().name == "child-normal.png"
    });
    // From here on nothing of the first picture is shown.
    let size = h.state().session().picture().unwrap().size();
    until(&mut h, "maps of the other picture", |app| {
        let fits = (0..4).all(|i| app.field(i).is_none_or(|f| f.source_size == size));
        assert!(fits, "a map of the first picture");
        app.is_complete()
    });
    assert_eq!(errors(h.state()), Vec::<String>::new());
}

#[test]
fn a_network_that_is_swapped_while_maps_grow_leaves_no_map_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut h = large();
    methods::choose(&mut h, "score-cam");
    let path = many_classes(dir.path());
    h.state_mut().open_path(&path);
    until(&mut h, "the other network", |app| {
        app.session().findings().len() > 2 && app.is_complete()
    });
    let exhibit = h.state().exhibit().unwrap();
    assert_eq!(
        exhibit.cases[0].model.name,
        h.state().session().model().unwrap().name
    );
    goes_on(&mut h);
}

#[test]
fn files_that_are_deleted_under_it_are_missed_only_when_they_are_needed() {
    let dir = tempfile::tempdir().unwrap();
    let (picture, network) = (dir.path().join("p.png"), dir.path().join("n.safetensors"));
    std::fs::copy(sample(), &picture).unwrap();
    std::fs::copy(asset("models/demo/model.safetensors"), &network).unwrap();
    let mut h = large();
    h.state_mut().open_path(&network);
    h.state_mut().open_path(&picture);
    until(&mut h, "both", |app| {
        let session = app.session();
        let from = ModelSource::Path(network.clone());
        app.is_complete()
            && session.picture().unwrap().name == "p.png"
            && session
                .network_source()
                .is_some_and(|(source, _)| *source == from)
    });
    std::fs::remove_file(&picture).unwrap();
    std::fs::remove_file(&network).unwrap();
    goes_on(&mut h);
    h.state_mut().open_path(&picture);
    until(&mut h, "words", |app| !errors(app).is_empty());
    assert!(errors(h.state())[0].contains("p.png"));
    assert_eq!(h.state().session().picture().unwrap().name, "p.png");
    goes_on(&mut h);
}

#[test]
fn a_session_from_the_future_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("future.camlens");
    let text =
        r#"{"program": "Camlens", "version": "9.0.0", "format": 7, "session": {"holograms": 3}}"#;
    std::fs::write(&path, text).unwrap();
    let mut h = large();
    let before = h.state().grid().clone();
    h.state_mut().open_path(&path);
    steps(&mut h, 3);
    let said = errors(h.state()).join(" ");
    assert_eq!(said, words::from_the_future(&path, 7, 1).to_string());
    assert_eq!(*h.state().grid(), before);
    goes_on(&mut h);
}

#[test]
fn sessions_that_are_none_are_explained() {
    let dir = tempfile::tempdir().unwrap();
    let mut h = large();
    for (i, text) in [
        "",
        "[1, 2]",
        r#"{"program": "Else", "format": 1}"#,
        r#"{"program": "Camlens", "format": 1, "session": {"cases": []}}"#,
        r#"{"program": "Camlens", "format": 1, "session": {"cases": [], "panels": []}}"#,
    ]
    .iter()
    .enumerate()
    {
        let path = dir.path().join(format!("broken{i}.camlens"));
        std::fs::write(&path, text).unwrap();
        h.state_mut().open_path(&path);
        steps(&mut h, 3);
        let said = errors(h.state()).join(" ");
        assert!(
            said.contains(&format!("broken{i}.camlens")),
            "{text}: {said}"
        );
    }
    goes_on(&mut h);
}

#[test]
fn a_session_with_methods_of_another_version_opens_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("odd.camlens");
    let text = r#"{"program": "Camlens", "format": 1, "session": {
        "cases": [{"model": "demo", "image": {"sample": "man-right-middle"}, "target": "Martian"}],
        "panels": [
            {"method": "telepathy", "layer": "layer4"},
            {"method": "grad-cam", "layer": "no such layer", "params": {"no such": "thing"}},
            {"method": "layer-cam", "layer": "layer3", "case": 1}
        ], "selected": 77, "solo": 5, "duel": {"panels": [0, 9], "overlap": "difference"}}}"#;
    std::fs::write(&path, text).unwrap();
    let mut h = large();
    h.state_mut().open_path(&path);
    until(&mut h, "what is known of it", |app| {
        app.grid().panels.len() == 1 && app.is_complete()
    });
    let grid = h.state().grid();
    assert_eq!((grid.panels[0].method, grid.selected), ("grad-cam", 0));
    assert_eq!((grid.solo, grid.duel), (None, None));
    assert!(grid.panels[0].params.is_empty());
    assert_eq!(h.state().target(), Some(1));
    goes_on(&mut h);
}

#[test]
fn a_start_with_nothing_that_can_be_opened_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        model: ModelSource::Path(dir.path().join("no.safetensors")),
        image: Some(ImageSource::Path(dir.path().join("no.png"))),
        device: DeviceChoice::Cpu,
        ..Options::default()
    };
    let mut h = Harness::builder()
        .with_size([1280.0, 800.0])
        .with_max_steps(60)
        .with_step_dt(1.0 / 60.0)
        .build_eframe(move |cc| {
            App::new(&cc.egui_ctx, &options, Box::new(FakePicker::default())).unwrap()
        });
    until(&mut h, "both errors", |app| errors(app).len() == 2);
    steps(&mut h, 3);
    for text in [window::EMPTY_TITLE, window::NO_IMAGE, window::NO_MODEL] {
        assert!(h.query_all_by_label(text).next().is_some(), "{text}");
    }
    // The way out is one click away.
    h.get_by_role_and_label(Role::Button, window::EMPTY_DEMO)
        .click();
    until(&mut h, "the demo's maps", App::is_complete);
    assert!(h.query_by_label(window::EMPTY_TITLE).is_none());
    goes_on(&mut h);
}

#[test]
fn a_method_that_would_need_too_much_memory_says_so_on_its_panel() {
    let mut h = large();
    methods::choose(&mut h, "kpca-cam");
    // At the input every pixel is compared with every other one: 50 176 squared.
    h.get_by_role_and_label(Role::Slider, &window::layer_of_panel(1))
        .focus();
    steps(&mut h, 2);
    h.key_press(Key::Home);
    until(&mut h, "words", |app| {
        matches!(app.state_of(0), Some(MapState::Failed(_)))
    });
    let Some(MapState::Failed(words)) = h.state().state_of(0) else {
        panic!("no words");
    };
    assert!(words.contains("224"), "{words}");
    goes_on(&mut h);
}

#[test]
fn a_hundred_files_dropped_at_once_open_as_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let mut h = large();
    for i in 0..100 {
        let path = dir.path().join(format!("{i:03}.png"));
        std::fs::copy(asset("assets/samples/man-normal.png"), &path).unwrap();
        h.input_mut().dropped_files.push(Arc::new(Dropped(path)));
    }
    until(&mut h, "the first of them", |app| {
        app.is_complete() && app.session().picture().unwrap().name == "000.png"
    });
    // The others stand in a list over the window.
    h.key_press(Key::Escape);
    steps(&mut h, 3);
    goes_on(&mut h);
}

/// The processor's arithmetic until its device is pulled out.
struct Pulled {
    inner: Arc<dyn Kernels>,
    out: Arc<AtomicBool>,
}

impl Pulled {
    fn inner(&self) -> Result<&dyn Kernels> {
        match self.out.load(Ordering::Relaxed) {
            true => Err(Error::new(Kind::Device, "device 'test' failed: unplugged")),
            false => Ok(self.inner.as_ref()),
        }
    }
}

impl Kernels for Pulled {
    fn name(&self) -> &'static str {
        "pulled"
    }
    fn conv2d(&self, x: &Tensor, conv: &Conv2d) -> Result<Tensor> {
        self.inner()?.conv2d(x, conv)
    }
    fn conv2d_input_grad(&self, g: &Tensor, conv: &Conv2d, dims: [usize; 4]) -> Result<Tensor> {
        self.inner()?.conv2d_input_grad(g, conv, dims)
    }
    fn linear(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        self.inner()?.linear(x, weight, bias)
    }
    fn max_pool2d(&self, x: &Tensor, pool: &Pool) -> Result<Tensor> {
        self.inner()?.max_pool2d(x, pool)
    }
    fn max_pool2d_grad(&self, x: &Tensor, g: &Tensor, pool: &Pool) -> Result<Tensor> {
        self.inner()?.max_pool2d_grad(x, g, pool)
    }
    fn avg_pool2d(&self, x: &Tensor, pool: &Pool, border: bool) -> Result<Tensor> {
        self.inner()?.avg_pool2d(x, pool, border)
    }
    fn avg_pool2d_grad(
        &self,
        g: &Tensor,
        pool: &Pool,
        border: bool,
        dims: [usize; 4],
    ) -> Result<Tensor> {
        self.inner()?.avg_pool2d_grad(g, pool, border, dims)
    }
}

#[test]
fn a_device_that_is_pulled_out_while_a_map_grows_is_said_and_the_cpu_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut h = large();
    let out = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&out);
    h.state().session().set_kernels(Arc::new(move |device| {
        let inner = for_device(device);
        // Only what is opened before the device goes has anything to do with it.
        match flag.load(Ordering::Relaxed) {
            true => inner,
            false => Arc::new(Pulled {
                inner,
                out: Arc::clone(&flag),
            }),
        }
    }));
    let copy = dir.path().join("copy.safetensors");
    std::fs::copy(asset("models/demo/model.safetensors"), &copy).unwrap();
    h.state_mut().open_path(&copy);
    until(&mut h, "maps of the copy", |app| {
        app.session()
            .model()
            .is_some_and(|model| model.name == "copy.safetensors")
            && app.is_complete()
    });
    methods::choose(&mut h, "score-cam");
    until(&mut h, "a map that grows", |app| {
        matches!(app.state_of(0), Some(MapState::Growing(_)))
    });
    out.store(true, Ordering::Relaxed);
    until(&mut h, "words", |app| {
        matches!(app.state_of(0), Some(MapState::Failed(_)))
    });
    steps(&mut h, 3);
    let said = |app: &App| -> Vec<String> {
        let of_device = app.messages().iter().filter_map(|message| match message {
            Message::Device(words) => Some(words.clone()),
            _ => None,
        });
        of_device.collect()
    };
    let words = said(h.state());
    assert!(
        words.len() == 1 && words[0].contains("unplugged"),
        "{words:?}"
    );
    let Some(MapState::Failed(words)) = h.state().state_of(0) else {
        panic!("no words on the panel");
    };
    assert!(words.contains("unplugged"), "{words}");
    // What stood before stands still.
    assert!(matches!(h.state().state_of(1), Some(MapState::Ready(_))));
    // What is asked for now fails at once, in words, and nothing waits for ever.
    methods::choose(&mut h, "ablation-cam");
    until(&mut h, "words at once", |app| {
        matches!(app.state_of(0), Some(MapState::Failed(_)))
    });
    h.get_by_role_and_label(Role::Button, device::USE_CPU)
        .click();
    until(&mut h, "maps on the processor", |app| {
        let ready = matches!(app.state_of(0), Some(MapState::Ready(_)));
        ready && app.is_complete() && said(app).is_empty()
    });
    goes_on(&mut h);
}
