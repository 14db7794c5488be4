//! What the tests share: the golden data and the recipe that makes its checkpoints.
#![allow(dead_code, unreachable_pub)] // every test binary uses a part of it

pub mod networks;

use std::collections::BTreeMap;
use std::path::PathBuf;

use camlens::explain::{Pass, RawMap, Study, catalogue, explain};
use camlens::job::Job;
use camlens::model::Model;
use camlens::model::weights::Weights;
use camlens::plan::Target;
use camlens::preprocess::ModelInput;
use candle_core::{Device, Tensor};

/// The raw map of a method at a layer for the raw logit of a class.
pub fn explain_map(
    model: &Model,
    input: &ModelInput,
    pass: &mut Pass,
    method: &str,
    values: &[(&str, &str)],
    layer: &str,
    target: impl Into<Target>,
) -> camlens::Result<RawMap> {
    let job = Job::default();
    let mut study = Study::new(model, input, pass, target.into(), layer, &job)?;
    let values = values
        .iter()
        .map(|(id, value)| ((*id).to_owned(), (*value).to_owned()))
        .collect();
    explain(catalogue::find(method)?, &values, &mut study)
}

/// A path below the reference data beside the checkout; `None`, said loudly, where it is absent.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    if root.is_dir() {
        Some(root.join(path))
    } else {
        eprintln!("SKIPPED: this test needs ../shared/{path}, which is not here");
        None
    }
}

/// JSON of a file.
pub fn json(path: &std::path::Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// FNV-1a, 64 bits.
pub fn fnv1a64(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// Element `i` of the SplitMix64 stream, as the recipe's `t` in [-1, 1).
fn unit(seed: u64, i: u64) -> f32 {
    let mut z = seed.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    let k = (z >> 40) as i64 - (1 << 23);
    k as f32 / (1 << 23) as f32
}

/// The recipe's values of one tensor (golden/README.md, section 1).
pub fn recipe_tensor(name: &str, shape: &[usize], salt: u64, rules: &[(String, f64)]) -> Vec<f32> {
    let count: usize = shape.iter().product();
    let leaf = name.rsplit('.').next().unwrap();
    let mul = rules
        .iter()
        .find(|(suffix, _)| name.ends_with(suffix.as_str()))
        .map_or(1.0, |(_, mul)| *mul);
    let seed = fnv1a64(name) ^ salt;
    let value: Box<dyn Fn(f32) -> f32> = if leaf == "running_var" {
        Box::new(|t| 1.0 + 0.5 * t)
    } else if leaf == "running_mean" || leaf.ends_with("bias") {
        Box::new(|t| 0.1 * t)
    } else if leaf.ends_with("weight") && shape.len() >= 2 {
        let fan_in: usize = shape[1..].iter().product();
        let s = ((6.0 / fan_in as f64).sqrt() * mul) as f32;
        Box::new(move |t| s * t)
    } else if leaf.ends_with("weight") || leaf == "layer_scale" || leaf == "gamma" {
        let mul = mul as f32;
        Box::new(move |t| (1.0 + 0.25 * t) * mul)
    } else {
        Box::new(|t| 0.02 * t)
    };
    (0..count as u64).map(|i| value(unit(seed, i))).collect()
}

/// All tensors of a recipe checkpoint of the golden set.
pub fn recipe_tensors(arch: &str, salt: u64) -> Option<BTreeMap<String, Tensor>> {
    let manifest = json(&shared(&format!("golden/manifest/{arch}.json"))?);
    let rules: Vec<(String, f64)> = serde_json::from_value(manifest["rules"].clone()).unwrap();
    let list: Vec<(String, String, Vec<usize>)> =
        serde_json::from_value(manifest["tensors"].clone()).unwrap();
    Some(
        list.into_iter()
            .filter(|(_, dtype, _)| dtype == "F32")
            .map(|(name, _, shape)| {
                let values = recipe_tensor(&name, &shape, salt, &rules);
                let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
                (name, tensor)
            })
            .collect(),
    )
}

/// What PyTorch computed (tests/reference).
pub fn reference(name: &str) -> serde_json::Value {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    json(&folder.join(format!("{name}.json")))
}

/// The checkpoint that the reference was computed with.
pub fn reference_tensors(reference: &serde_json::Value) -> BTreeMap<String, Tensor> {
    let rules: Vec<(String, f64)> = serde_json::from_value(reference["rules"].clone()).unwrap();
    let salt = reference["salt"].as_u64().unwrap();
    let mut tensors = BTreeMap::new();
    let mut add = |name: &str, shape: &[usize]| {
        let values = recipe_tensor(name, shape, salt, &rules);
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        tensors.insert(name.to_owned(), tensor);
    };
    for row in reference["tensors"].as_array().unwrap() {
        let name = row[0].as_str().unwrap();
        match row[1].as_u64() {
            Some(channels) => {
                for leaf in ["weight", "bias", "running_mean", "running_var"] {
                    add(&format!("{name}.{leaf}"), &[channels as usize]);
                }
            }
            None => add(
                name,
                &serde_json::from_value::<Vec<usize>>(row[1].clone()).unwrap(),
            ),
        }
    }
    tensors
}

/// Triangle wave of an integer, 0 to 1 with its peak in mid-period.
fn triangle(n: i64, period: i64) -> f64 {
    let r = n.rem_euclid(period) as f64 * 2.0 / period as f64;
    if r <= 1.0 { r } else { 2.0 - r }
}

/// The recipe's picture A as a model's input, `[1, C, H, W]`: three channels normalised as for ImageNet, or for
/// X-rays one channel in -1024..=1024.
pub fn scene_a(height: usize, width: usize, xray: bool) -> ([usize; 4], Vec<f32>) {
    let blobs = [(0.34, 0.41, 0.16), (0.68, 0.66, 0.11), (0.22, 0.78, 0.07)];
    // Weights of the blobs, the grating's wave vector and period, its weight, an offset.
    let channels = [
        (
            [0.70, 0.20, 0.55],
            (2, 1, 37),
            0.18,
            0.08,
            0.485f32,
            0.229f32,
        ),
        ([0.35, 0.65, 0.10], (1, -3, 53), 0.22, 0.10, 0.456, 0.224),
        ([0.15, 0.40, 0.60], (1, 2, 29), 0.20, 0.12, 0.406, 0.225),
    ];
    let (h, w) = (height as f64, width as f64);
    let side = h.min(w);
    let mut values = Vec::new();
    for (weights, (a, b, period), amount, offset, mean, std) in channels {
        for y in 0..height as i64 {
            for x in 0..width as i64 {
                let mut v: f64 = offset;
                for (weight, (cy, cx, r)) in weights.into_iter().zip(blobs) {
                    let dy = (y as f64 - cy * h) / (r * side);
                    let dx = (x as f64 - cx * w) / (r * side);
                    let d = dy * dy + dx * dx;
                    v += weight * (1.0 / (1.0 + d * d));
                }
                v += amount * triangle(a * y + b * x, period);
                let byte = (v.clamp(0.0, 1.0) * 255.0 + 0.5).floor() as f32 / 255.0;
                values.push(if xray {
                    (2.0 * byte - 1.0) * 1024.0
                } else {
                    (byte - mean) / std
                });
            }
        }
        if xray {
            return ([1, 1, height, width], values);
        }
    }
    ([1, 3, height, width], values)
}

/// Largest difference, relative to the largest reference value.
pub fn relative_error(found: &[f32], reference: &[f32]) -> f32 {
    assert_eq!(found.len(), reference.len());
    let scale = reference.iter().fold(1e-30f32, |m, v| m.max(v.abs()));
    found
        .iter()
        .zip(reference)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
        / scale
}

/// Pearson's correlation.
pub fn pearson(a: &[f32], b: &[f32]) -> f64 {
    let n = a.len() as f64;
    let mean = |v: &[f32]| v.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
    let (ma, mb) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (f64::from(*x) - ma, f64::from(*y) - mb);
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    ab / (aa * bb).sqrt()
}

/// A command line on the built binary.
pub fn camlens(args: &[&str]) -> std::process::Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_camlens"))
        .args(args)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .output()
        .unwrap()
}

/// Writes tensors as a safetensors file.
pub fn save(tensors: &BTreeMap<String, Tensor>, path: &std::path::Path) {
    let map: std::collections::HashMap<String, Tensor> = tensors
        .iter()
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    candle_core::safetensors::save(&map, path).unwrap();
}

/// A recipe network with its golden values.
pub struct GoldenCase {
    pub model: Model,
    pub input: ModelInput,
    pub golden: std::collections::HashMap<String, Tensor>,
    /// The last stage's name.
    pub last: String,
    pub classes: Vec<usize>,
    pub cam_layers: Vec<String>,
}

/// The network of an architecture with its input of 224 x 224 and its golden values, the slow ones included; `None`,
/// said loudly, where the reference data are absent.
pub fn golden_case(arch: &str) -> Option<GoldenCase> {
    let weights = Weights::from_tensors(arch, recipe_tensors(arch, 0)?);
    let load = |name: String| {
        let path = shared(&format!("golden/{name}.safetensors")).unwrap();
        path.is_file()
            .then(|| candle_core::safetensors::load(path, &Device::Cpu).unwrap())
    };
    let mut golden = load(arch.to_owned()).unwrap();
    golden.extend(load(format!("{arch}_slow")).unwrap_or_default());
    let index = &json(&shared("golden/index.json").unwrap())["architectures"][arch];
    let kind = if index["kind"] == "xray" {
        "xray"
    } else {
        "rgb"
    };
    let tensor = &load("input".to_owned()).unwrap()[&format!("{kind}_224x224")];
    let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let list = |key: &str| index[key].as_array().unwrap().clone();
    Some(GoldenCase {
        model: Model::build(&weights, None, &Device::Cpu).unwrap(),
        input: ModelInput::from_ready(tensor.dims(), values).unwrap(),
        golden,
        last: index["last_layer"].as_str().unwrap().to_owned(),
        classes: list("classes")
            .iter()
            .map(|c| c.as_u64().unwrap() as usize)
            .collect(),
        cam_layers: list("cam_layers")
            .iter()
            .map(|l| l.as_str().unwrap().to_owned())
            .collect(),
    })
}
