//! FG-CAM and the Grad-CAM x LRP hybrid: against plain loops, by their properties, and at their edges.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

mod support;

use std::collections::BTreeMap;

use camlens::explain::{Pass, RawMap};
use camlens::job::Job;
use camlens::model::Model;
use camlens::model::weights::Weights;
use camlens::plan::Post;
use camlens::post::process;
use camlens::preprocess::ModelInput;
use candle_core::{Device, Tensor};
use support::networks::small;
use support::{explain_map, recipe_tensors, relative_error, scene_a};

fn model(tensors: BTreeMap<String, Tensor>) -> Model {
    Model::build(&Weights::from_tensors("small", tensors), None, &Device::Cpu).unwrap()
}

fn scene(model: &Model, side: usize) -> ModelInput {
    let [channels, ..] = model.input_shape();
    let (dims, values) = scene_a(side, side, channels == 1);
    // The grey picture's range is that of X-rays; a network of the recipe's weights likes less.
    let scale = if channels == 1 { 1e-3 } else { 1.0 };
    ModelInput::from_ready(&dims, values.iter().map(|v| v * scale).collect()).unwrap()
}

struct Case {
    model: Model,
    input: ModelInput,
    pass: Pass,
    class: usize,
}

impl Case {
    fn new(model: Model, side: usize) -> Self {
        let input = scene(&model, side);
        let pass = Pass::run(&model, &input, &Job::default()).unwrap();
        Self {
            model,
            input,
            pass,
            class: 1,
        }
    }

    fn map(&mut self, method: &str, values: &[(&str, &str)], layer: &str) -> RawMap {
        explain_map(
            &self.model,
            &self.input,
            &mut self.pass,
            method,
            values,
            layer,
            1,
        )
        .unwrap()
    }

    fn refused(&mut self, method: &str, layer: &str) -> String {
        let found = explain_map(
            &self.model,
            &self.input,
            &mut self.pass,
            method,
            &[],
            layer,
            1,
        );
        found.err().unwrap().to_string()
    }
}

fn sum(map: &RawMap) -> f64 {
    map.values.iter().map(|v| f64::from(*v)).sum()
}

// ---- FG-CAM against plain loops ------------------------------------------------------------------

/// A plane `[C, H, W]` in double precision.
#[derive(Clone)]
struct Plane {
    c: usize,
    h: usize,
    w: usize,
    v: Vec<f64>,
}

impl Plane {
    fn of(x: &Tensor) -> Self {
        let (_, c, h, w) = x.dims4().unwrap();
        let v: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
        let v = v.into_iter().map(f64::from).collect();
        Self { c, h, w, v }
    }

    fn zeros(c: usize, h: usize, w: usize) -> Self {
        let v = vec![0.0; c * h * w];
        Self { c, h, w, v }
    }

    fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        let v = self.v.iter().map(|v| f(*v)).collect();
        Self { v, ..*self }
    }

    /// Sum over channels.
    fn flat(&self) -> Vec<f32> {
        let cells = self.h * self.w;
        let at = |i: usize| (0..self.c).map(|c| self.v[c * cells + i]).sum::<f64>() as f32;
        (0..cells).map(at).collect()
    }
}

/// Weights `[O, I, 3, 3]` of a convolution with a border of 1.
struct Conv {
    o: usize,
    i: usize,
    w: Vec<f64>,
}

impl Conv {
    fn of(t: &Tensor) -> Self {
        let (o, i, _, _) = t.dims4().unwrap();
        let w: Vec<f32> = t.flatten_all().unwrap().to_vec1().unwrap();
        let w = w.into_iter().map(f64::from).collect();
        Self { o, i, w }
    }

    fn part(&self, f: impl Fn(f64) -> f64) -> Self {
        let w = self.w.iter().map(|w| f(*w)).collect();
        Self { w, ..*self }
    }

    /// Every product of an output, an input and their weight.
    fn each(&self, h: usize, w: usize, mut f: impl FnMut(usize, usize, f64)) {
        for o in 0..self.o {
            for i in 0..self.i {
                for (y, x) in (0..h * w).map(|p| (p / w, p % w)) {
                    for (ky, kx) in (0..9).map(|k| (k / 3, k % 3)) {
                        let (sy, sx) = ((y + ky).wrapping_sub(1), (x + kx).wrapping_sub(1));
                        if sy < h && sx < w {
                            let weight = self.w[((o * self.i + i) * 3 + ky) * 3 + kx];
                            f((o * h + y) * w + x, (i * h + sy) * w + sx, weight);
                        }
                    }
                }
            }
        }
    }

    fn forward(&self, x: &Plane) -> Plane {
        let mut y = Plane::zeros(self.o, x.h, x.w);
        self.each(x.h, x.w, |o, i, w| y.v[o] += w * x.v[i]);
        y
    }

    fn back(&self, s: &Plane) -> Plane {
        let mut x = Plane::zeros(self.i, s.h, s.w);
        self.each(s.h, s.w, |o, i, w| x.v[i] += w * s.v[o]);
        x
    }
}

fn over(i: &Plane, z: &Plane) -> Plane {
    let v = i.v.iter().zip(&z.v);
    let v = v
        .map(|(i, z)| if *z == 0.0 { 0.0 } else { i / z })
        .collect();
    Plane { v, ..*i }
}

fn times(a: &Plane, b: &Plane) -> Plane {
    let v = a.v.iter().zip(&b.v).map(|(a, b)| a * b).collect();
    Plane { v, ..*a }
}

fn plus(a: &Plane, b: &Plane, factor: f64) -> Plane {
    let v = a.v.iter().zip(&b.v).map(|(a, b)| a + factor * b).collect();
    Plane { v, ..*a }
}

/// The authors' steps through one layer.
fn step(name: &str, tensors: &BTreeMap<String, Tensor>, x: &Plane, i: &Plane) -> Plane {
    let positive = |v: f64| v.max(0.0);
    let negative = |v: f64| v.min(0.0);
    let Some(weight) = tensors
        .get(&format!("{name}.weight"))
        .filter(|w| w.rank() == 4)
    else {
        // ReLU, BatchNorm: unchanged. A pool hands all to the largest positive value of its window.
        if x.h == i.h {
            return i.clone();
        }
        let mut out = Plane::zeros(x.c, x.h, x.w);
        for (n, r) in i.v.iter().enumerate() {
            let (c, y, xx) = (n / (i.h * i.w), n / i.w % i.h, n % i.w);
            let at = |k: usize| (c * x.h + 2 * y + k / 2) * x.w + 2 * xx + k % 2;
            // The first of several.
            let best = (0..4).fold(0, |b, k| if x.v[at(k)] > x.v[at(b)] { k } else { b });
            if x.v[at(best)] > 0.0 {
                out.v[at(best)] += r;
            }
        }
        return out;
    };
    let conv = Conv::of(weight);
    let (up, down) = (conv.part(positive), conv.part(negative));
    if name == "features.0" {
        let low = x.v.iter().copied().fold(f64::INFINITY, f64::min);
        let high = x.v.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (b, t) = (x.map(|_| low), x.map(|_| high));
        let z = plus(&conv.forward(x), &up.forward(&b), -1.0);
        let s = over(i, &plus(&z, &down.forward(&t), -1.0));
        let own = times(x, &conv.back(&s));
        let rest = plus(&times(&b, &up.back(&s)), &times(&t, &down.back(&s)), 1.0);
        return plus(&own, &rest, -1.0);
    }
    let (xp, xn) = (x.map(positive), x.map(negative));
    let z = plus(&up.forward(&xp), &down.forward(&xn), 1.0);
    let s = over(i, &z);
    plus(&times(&xp, &up.back(&s)), &times(&xn, &down.back(&s)), 1.0)
}

/// FG-CAM of a chain, from the channels of its last layer to the input.
fn agrees_with_loops(family: &str, channels: usize) {
    let mut tensors = small(family, channels, 3);
    if family == "vgg bn" {
        // BatchNorms that turn some channels: the authors' code takes no notice.
        for (name, tensor) in &mut tensors {
            if name.ends_with(".weight") && tensor.rank() == 1 {
                let turned: Vec<f32> = tensor.to_vec1::<f32>().unwrap();
                let turned = turned.iter().enumerate();
                let turned: Vec<f32> = turned
                    .map(|(i, v)| if i % 3 == 1 { -v } else { *v })
                    .collect();
                *tensor = Tensor::new(turned, &Device::Cpu).unwrap();
            }
        }
    }
    let mut case = Case::new(model(tensors.clone()), 24);
    let graph = std::sync::Arc::clone(&case.model.graph);
    let features: Vec<usize> = (0..graph.nodes.len())
        .filter(|&n| graph.nodes[n].name.starts_with("features."))
        .collect();
    let (&last, out) = (features.last().unwrap(), &case.pass.trace);
    let a = Plane::of(&out.output(last).unwrap());
    let mut taps = case.model.gradients(out, 1).unwrap();
    let g = taps.at(out, last, &Job::default()).unwrap().unwrap();
    let g = Plane::of(&g);
    let cells = g.h * g.w;
    let mut i = a;
    for (k, channel) in i.v.chunks_mut(cells).enumerate() {
        let mean = g.v[k * cells..(k + 1) * cells].iter().sum::<f64>() / cells as f64;
        channel.iter_mut().for_each(|v| *v *= mean);
    }
    let inputs: Vec<Plane> = features
        .iter()
        .map(|&n| Plane::of(&out.output(graph.nodes[n].inputs[0]).unwrap()))
        .collect();
    assert!(
        family != "vgg" || inputs.iter().any(|x| x.h < 24),
        "no pool in between"
    );
    for (&node, x) in features.iter().zip(&inputs).rev() {
        let name = &graph.nodes[node].name;
        let found = case.map("fg-cam", &[], name);
        assert_eq!([found.height, found.width], [i.h, i.w], "{family} {name}");
        let error = relative_error(&found.values, &i.flat());
        assert!(error < 1e-3, "{family} {name}: {error}");
        i = step(name, &tensors, x, &i);
    }
    let found = case.map("fg-cam", &[], "input");
    let error = relative_error(&found.values, &i.flat());
    assert!(error < 1e-3, "{family} input: {error}");
    assert!(i.flat().iter().any(|v| *v != 0.0));
    if family == "vgg bn" {
        let folded = case.map("fg-cam", &[("batch-norm", "folded")], "features.0");
        let official = case.map("fg-cam", &[("batch-norm", "official")], "features.0");
        assert_eq!(
            official.values,
            case.map("fg-cam", &[], "features.0").values
        );
        assert!(relative_error(&folded.values, &official.values) > 1e-2);
    }
}

#[test]
fn a_chain_is_walked_as_the_authors_do() {
    agrees_with_loops("vgg", 3);
}

#[test]
fn a_grey_first_layer_lies_between_its_own_extremes() {
    agrees_with_loops("vgg", 1);
}

#[test]
fn batch_norm_is_passed_as_the_authors_do() {
    agrees_with_loops("vgg bn", 3);
}

// ---- FG-CAM's properties -------------------------------------------------------------------------

/// What the last stage says is divided, not changed: every stage adds up to it.
#[test]
fn every_resolution_adds_up_to_the_same() {
    for (family, channels) in [
        ("vgg", 3),
        ("resnet", 3),
        ("resnet bottleneck", 1),
        ("densenet", 1),
        ("densenet", 3),
    ] {
        let mut case = Case::new(model(small(family, channels, 3)), 40);
        let graph = std::sync::Arc::clone(&case.model.graph);
        // The components: behind the pool where VGG has one.
        let whole = case.map("fg-cam", &[], &graph.last);
        let plain = case.map("grad-cam", &[], &graph.last);
        if family != "vgg" {
            assert!(
                relative_error(&whole.values, &plain.values) < 1e-6,
                "{family}"
            );
        }
        for layer in graph.stages.iter().map(String::as_str).chain(["input"]) {
            let map = case.map("fg-cam", &[], layer);
            // An output without a positive contribution keeps nothing: the rule's own loss.
            let off = (sum(&map) - sum(&whole)).abs();
            let size: f64 = map.values.iter().map(|v| f64::from(v.abs())).sum();
            assert!(
                off < 2e-2 * size,
                "{family} {channels} {layer}: {off} of {size}"
            );
        }
        let input = case.map("fg-cam", &[], "input");
        assert_eq!([input.height, input.width], [40, 40]);
    }
}

/// A strided shortcut reads every second row and column; over its window nothing is skipped, and nothing is lost.
#[test]
fn shortcuts_over_their_window_leave_no_dots() {
    let mut case = Case::new(model(small("resnet bottleneck", 3, 3)), 64);
    // The last node of the stage that a stride follows.
    let layer = case.model.graph.stages[0].clone();
    let [strict, window] =
        ["strict", "window"].map(|s| case.map("fg-cam", &[("shortcut", s)], &layer));
    let off = (sum(&strict) - sum(&window)).abs();
    let size: f64 = strict.values.iter().map(|v| f64::from(v.abs())).sum();
    assert!(off < 2e-2 * size, "{off} of {size}");
    // Share of the cells that the shortcut reads.
    let even = |map: &RawMap| {
        let even = |i: usize| i.is_multiple_of(2);
        let at = |i: usize| even(i / map.width) && even(i % map.width);
        let read = map.values.iter().enumerate().filter(|(i, _)| at(*i));
        let read: f64 = read.map(|(_, v)| f64::from(v.abs())).sum();
        read / map.values.iter().map(|v| f64::from(v.abs())).sum::<f64>()
    };
    assert!(
        even(&strict) > even(&window) + 0.1,
        "{} {}",
        even(&strict),
        even(&window)
    );
    // At the layer that the walk starts from nothing was divided yet.
    let last = case.model.graph.last.clone();
    let [a, b] = ["strict", "window"].map(|s| case.map("fg-cam", &[("shortcut", s)], &last));
    assert_eq!(a.values, b.values);
}

#[test]
fn denoising_keeps_what_is_asked_for() {
    let mut case = Case::new(model(small("resnet", 3, 3)), 96);
    let last = case.model.graph.last.clone();
    let plain = case.map("fg-cam", &[], &last);
    // All values with the means added back are the components again.
    let all = [("denoise", "yes"), ("keep", "1"), ("mean", "added-back")];
    let whole = case.map("fg-cam", &all, &last);
    assert!(relative_error(&whole.values, &plain.values) < 1e-5);
    // Without the means every channel adds up to 0, at every resolution the sum.
    let dropped = case.map("fg-cam", &[("denoise", "yes"), ("keep", "0.5")], &last);
    let size: f64 = dropped.values.iter().map(|v| f64::from(v.abs())).sum();
    assert!(sum(&dropped).abs() < 1e-4 * size);
    assert!(
        dropped
            .notices
            .iter()
            .any(|n| n.contains("singular values")),
        "{:?}",
        dropped.notices
    );
    // Less is kept: the map moves further away, and one value is always left.
    let one = case.map("fg-cam", &[("denoise", "yes"), ("keep", "0.01")], &last);
    assert!(one.values.iter().any(|v| *v != 0.0));
    assert!(
        one.notices.iter().any(|n| n.contains("1 of")),
        "{:?}",
        one.notices
    );
    assert_ne!(one.values, dropped.values);
}

#[test]
fn other_bases_are_handed_down_too() {
    let mut case = Case::new(model(small("resnet", 3, 3)), 40);
    let last = case.model.graph.last.clone();
    for base in [
        "grad-cam++",
        "xgrad-cam",
        "hires-cam",
        "layer-cam",
        "elementwise-cam",
        "cam",
        "ablation-cam",
    ] {
        let fine = case.map("fg-cam", &[("base", base)], &last);
        let plain = case.map(base, &[], &last);
        assert!(relative_error(&fine.values, &plain.values) < 1e-5, "{base}");
        let input = case.map("fg-cam", &[("base", base)], "input");
        assert!(
            input.values.iter().all(|v| v.is_finite()) && input.values.iter().any(|v| *v != 0.0)
        );
    }
    let fine = case.map("fg-cam", &[("base", "score-cam")], &last);
    let plain = case.map("score-cam", &[("mode", "official")], &last);
    assert!(relative_error(&fine.values, &plain.values) < 1e-5);
    assert_eq!(
        case.map("fg-cam", &[("base", "score-cam")], "input").width,
        40
    );
}

#[test]
fn layers_behind_the_last_one_are_refused_in_words() {
    let mut case = Case::new(model(small("vgg", 3, 3)), 24);
    let words = case.refused("fg-cam", "avgpool");
    assert!(
        words.contains("features.") && words.contains("avgpool"),
        "{words}"
    );
}

/// A picture of one value has no contrast: maps are defined and finite all the same.
#[test]
fn a_constant_picture_gives_numbers() {
    for family in ["vgg", "resnet", "densenet"] {
        let model = model(small(family, 3, 3));
        let input = ModelInput::from_ready(&[1, 3, 40, 40], vec![0.3; 3 * 1600]).unwrap();
        let pass = Pass::run(&model, &input, &Job::default()).unwrap();
        let mut case = Case {
            model,
            input,
            pass,
            class: 1,
        };
        for layer in ["input", &case.model.graph.stages[0].clone()] {
            for (method, values) in [
                ("fg-cam", &[][..]),
                ("fg-cam", &[("denoise", "yes")][..]),
                ("fg-cam", &[("base", "score-cam")][..]),
            ] {
                let map = case.map(method, values, layer);
                assert!(map.values.iter().all(|v| v.is_finite()), "{family} {layer}");
            }
        }
        let layer = case.model.graph.last.clone();
        let hybrid = case.map("grad-cam-lrp", &[], &layer);
        assert!(hybrid.values.iter().all(|v| v.is_finite()), "{family}");
    }
}

// ---- the hybrid ----------------------------------------------------------------------------------

#[test]
fn the_hybrid_is_the_product_of_its_stages() {
    let mut tensors = small("resnet", 3, 2);
    // Of two classes that are each other's opposite one has positive evidence, whatever the CAM.
    let row = tensors["fc.weight"].narrow(0, 0, 1).unwrap();
    let rows = Tensor::cat(&[&row, &row.neg().unwrap()], 0).unwrap();
    tensors.insert("fc.weight".to_owned(), rows);
    let mut case = Case::new(model(tensors), 64);
    let last = case.model.graph.last.clone();
    for cam in ["grad-cam++", "grad-cam"] {
        // A class that has any evidence of this kind.
        let any = (0..2).find(|&class| {
            case.class = class;
            case.map(cam, &[], &last).values.iter().any(|v| *v > 0.0)
        });
        assert!(
            any.is_some(),
            "{cam}: {:?}",
            case.map(cam, &[], &last).values
        );
        let stage = |case: &mut Case, stage: &str, denoise: &str| {
            case.map(
                "grad-cam-lrp",
                &[("stage", stage), ("cam", cam), ("denoise", denoise)],
                &last,
            )
        };
        let g = stage(&mut case, "cam", "otsu");
        let r = stage(&mut case, "lrp", "otsu");
        let product = stage(&mut case, "product", "otsu");
        let blurred = stage(&mut case, "blurred", "otsu");
        assert_eq!([g.height, g.width], [64, 64]);
        // Files hold the product; the blur belongs to the picture.
        assert_eq!(product.values, blurred.values);
        assert_eq!((product.blur_px, g.blur_px), (0.0, 0.0));
        assert!((blurred.blur_px - 0.64).abs() < 1e-6);
        for ((p, g), r) in product.values.iter().zip(&*g.values).zip(&*r.values) {
            assert!((p - g * r).abs() <= 1e-6 * (g * r).abs());
        }
        // The CAM is the method's own, normalised and cut.
        let plain = case.map(cam, &[], &last);
        let mut whole = camlens::explain::resize::normalised(
            &plain.values,
            [plain.width, plain.height],
            [64, 64],
        );
        camlens::explain::resize::min_max(&mut whole, 1e-7);
        let uncut = stage(&mut case, "cam", "none");
        assert!(relative_error(&uncut.values, &whole) < 1e-6);
        assert!(g.values.contains(&0.0), "{cam}: nothing was cut");
        assert!(
            g.values
                .iter()
                .zip(&whole)
                .all(|(g, w)| *g == 0.0 || (g - w).abs() < 1e-6)
        );
        // Relevance is that of the composite, over channels.
        let lrp = case.map("lrp-epsilon-plus", &[], "input");
        let mean: Vec<f32> = lrp.values.iter().map(|v| v / 3.0).collect();
        assert!(relative_error(&r.values, &mean) < 1e-6);
    }
}

/// What is shown is the product under a Gaussian of the asked width, as plain loops have it.
#[test]
fn the_hybrids_blur_is_a_gaussian_of_one_percent() {
    let mut case = Case::new(model(small("resnet", 3, 3)), 224);
    let last = case.model.graph.last.clone();
    let map = case.map("grad-cam-lrp", &[("sigma", "1.5")], &last);
    let sigma = 0.015 * 224.0f64;
    assert!((f64::from(map.blur_px) - sigma).abs() < 1e-4);
    let field = process(&map, &Post::default());
    assert_eq!([field.width, field.height], [224, 224]);
    let radius = (3.0 * sigma).ceil() as isize;
    let kernel: Vec<f64> = (-radius..=radius)
        .map(|i| (-0.5 * (i as f64 / sigma).powi(2)).exp())
        .collect();
    let total: f64 = kernel.iter().sum();
    let reflect = |at: isize| {
        let at = at.rem_euclid(448);
        (if at < 224 { at } else { 447 - at }) as usize
    };
    let positive: Vec<f64> = map.values.iter().map(|v| f64::from(v.max(0.0))).collect();
    let largest = positive.iter().copied().fold(0.0, f64::max);
    for (y, x) in [(0, 0), (17, 200), (112, 112), (223, 90)] {
        let mut expected = 0.0;
        for (i, a) in kernel.iter().enumerate() {
            for (j, b) in kernel.iter().enumerate() {
                let (sy, sx) = (
                    reflect(y as isize + i as isize - radius),
                    reflect(x as isize + j as isize - radius),
                );
                expected += a * b * positive[sy * 224 + sx];
            }
        }
        expected /= total * total;
        let found = f64::from(field.values[y * 224 + x]);
        assert!(
            (found - expected).abs() < 1e-5 * largest,
            "{y} {x}: {found} {expected}"
        );
    }
}

// ---- on the reference networks -------------------------------------------------------------------

/// The published depths: every resolution adds up to the same, and the finest is the input's.
#[test]
fn the_reference_networks_are_walked_to_the_input() {
    for (arch, limit) in [("vgg16", 1e-4), ("resnet18", 2e-2), ("densenet121", 2e-2)] {
        let Some(tensors) = recipe_tensors(arch, 0) else {
            return;
        };
        let mut case = Case::new(model(tensors), 224);
        let stages = case.model.graph.stages.clone();
        let whole = case.map("fg-cam", &[], stages.last().unwrap());
        for layer in stages.iter().map(String::as_str).chain(["input"]) {
            let map = case.map("fg-cam", &[], layer);
            let size: f64 = map.values.iter().map(|v| f64::from(v.abs())).sum();
            let off = (sum(&map) - sum(&whole)).abs() / size;
            println!("{arch} {layer}: {} x {}, {off:.1e}", map.height, map.width);
            assert!(off < limit, "{arch} {layer}: {off}");
        }
        assert_eq!(case.map("fg-cam", &[], "input").width, 224);
    }
}
