//! A network with an attention branch in the window: its own map, and what both of its heads say.

use camlens::plan::Normalise;
use camlens::text::{method as method_words, window as words};
use candle_core::{Device, Tensor};

use super::methods::{choose, map_of};
use super::*;

#[path = "../support/mod.rs"]
mod support;

/// The demo network with an attention branch whose numbers nobody trained.
fn with_branch(dir: &Path) -> PathBuf {
    let bytes = std::fs::read(asset("models/demo/model.safetensors")).unwrap();
    let mut tensors: std::collections::BTreeMap<String, Tensor> =
        candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
            .unwrap()
            .into_iter()
            .collect();
    let copies: Vec<(String, Tensor)> = tensors
        .iter()
        .filter(|(name, _)| name.starts_with("layer4."))
        .map(|(name, tensor)| (format!("att_{name}"), tensor.clone()))
        .collect();
    tensors.extend(copies);
    let mut add = |name: String, shape: &[usize]| {
        let values = support::recipe_tensor(&name, shape, 4, &[]);
        tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
    };
    for (norm, channels) in [("bn_att", 128), ("bn_att2", 2), ("bn_att3", 1)] {
        for leaf in ["weight", "bias", "running_mean", "running_var"] {
            add(format!("{norm}.{leaf}"), &[channels]);
        }
    }
    add("att_conv.weight".to_owned(), &[2, 128, 1, 1]);
    add("att_conv2.weight".to_owned(), &[2, 2, 1, 1]);
    add("att_conv3.weight".to_owned(), &[1, 2, 3, 3]);
    let path = dir.join("abn.safetensors");
    support::save(&tensors, &path);
    path
}

/// The window with that network.
fn opened(dir: &Path) -> Harness<'static, App> {
    let mut h = window();
    h.input_mut()
        .dropped_files
        .push(Arc::new(Dropped(with_branch(dir))));
    until(&mut h, "the network with an attention branch", |app| {
        !app.session().attention_findings().is_empty() && app.is_complete()
    });
    h
}

#[test]
fn both_heads_say_how_sure_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let mut h = opened(dir.path());
    let session = h.state().session();
    let (first, second) = (
        session.findings().to_vec(),
        session.attention_findings().to_vec(),
    );
    assert_eq!(first.len(), second.len());
    let class = h.state().target().unwrap();
    let line = |finding: &camlens::session::Finding| {
        words::attention_line(finding.probability, finding.logit)
    };
    h.get_by_label(&words::probability(first[class].probability));
    h.get_by_label(&line(&second[class]));
    // It follows the finding that is explained.
    let other = 1 - class;
    assert_ne!(line(&second[class]), line(&second[other]));
    h.get_by_role_and_label(Role::Button, &first[other].label)
        .click();
    until(&mut h, "the other finding", |app| {
        app.target() == Some(other) && app.is_complete()
    });
    h.get_by_label(&line(&second[other]));
    assert!(h.query_by_label(&line(&second[class])).is_none());

    // A network without a branch says nothing of the kind.
    let h = window();
    assert!(h.state().session().attention_findings().is_empty());
    assert!(h.query_by_label_contains("Attention head").is_none());
}

#[test]
fn the_attention_map_has_its_own_place_and_the_scale_can_be_that_of_the_paper() {
    let dir = tempfile::tempdir().unwrap();
    let mut h = opened(dir.path());
    h.set_size(vec2(1000.0, 1000.0));
    choose(&mut h, "abn");
    until(&mut h, "the attention map", App::is_complete);
    // On the panel, and on the strip of layers below.
    assert!(h.query_all_by_label(method_words::OWN_PLACE).count() > 0);
    h.get_by_label(method_words::EVERY_CLASS);
    let slider = h.get_by_role_and_label(Role::Slider, "Layer, panel 1");
    assert!(slider.accesskit_node().is_disabled());
    let name = words::picture_of_panel(1, "Attention branch", "attention");
    h.get_by_role_and_label(Role::Image, &name);
    let map = map_of(h.state(), 0);
    assert_eq!((map.layer.as_str(), map.target), ("attention", None));
    assert_eq!((map.width, map.height), (14, 14));
    let (lo, hi) = map.range();
    assert!(0.0 <= lo && lo < hi && hi <= 1.0, "{lo}..{hi}");

    h.get_by_label(words::SCALE_FIXED).click();
    steps(&mut h, 3);
    h.get_by_role_and_label(Role::SpinButton, words::SCALE_HI)
        .set_value_accesskit(1.0);
    steps(&mut h, 3);
    let look = h.state().grid().look_of(0).post.normalise;
    assert_eq!(look, Normalise::Fixed { lo: 0.0, hi: 1.0 });
}

#[test]
fn a_network_without_a_branch_says_so_in_the_panel() {
    let mut h = window();
    choose(&mut h, "abn");
    until(
        &mut h,
        "the refusal",
        |app| matches!(app.state_of(0), Some(MapState::Failed(words)) if words.contains("no attention branch")),
    );
    assert!(errors(h.state()).is_empty(), "{:?}", errors(h.state()));
    choose(&mut h, "hires-cam");
    until(&mut h, "another method", App::is_complete);
}

/// `cargo nextest run --test window look_at_the_attention --run-ignored all` draws it into the temporary folder.
#[test]
#[ignore = "for the eye"]
fn look_at_the_attention_branch() {
    let dir = tempfile::tempdir().unwrap();
    let mut h = opened(dir.path());
    h.set_size(vec2(1360.0, 860.0));
    choose(&mut h, "abn");
    until(&mut h, "the attention map", App::is_complete);
    steps(&mut h, 10);
    let path = std::env::temp_dir().join("camlens-attention.png");
    h.render().unwrap().save(path).unwrap();
}
