//! What a network's file may be: every type of number, checkpoints of PyTorch, folders.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use camlens::model::Model;
use camlens::model::weights::Weights;
use camlens::plan::ModelSource;
use candle_core::{DType, Device, Tensor};
use support::save;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn values(weights: &Weights, key: &str) -> Vec<f32> {
    let tensor = weights.get(key).unwrap();
    assert_eq!(tensor.dtype(), DType::F32);
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// 0, 1/8, … in the shape `[2, 3, 2, 2]`: the same in every floating-point type.
fn eighths() -> Vec<f32> {
    (0..24).map(|i| i as f32 / 8.0).collect()
}

#[test]
fn every_floating_type_becomes_f32() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("types.safetensors");
    let base = Tensor::from_vec(eighths(), (2, 3, 2, 2), &Device::Cpu).unwrap();
    let types = [
        ("f32", DType::F32),
        ("f16", DType::F16),
        ("bf16", DType::BF16),
        ("f64", DType::F64),
    ];
    let mut tensors: BTreeMap<String, Tensor> = types
        .into_iter()
        .map(|(name, dtype)| (name.to_owned(), base.to_dtype(dtype).unwrap()))
        .collect();
    let counter = Tensor::new(&[7i64], &Device::Cpu).unwrap();
    tensors.insert("num_batches_tracked".to_owned(), counter);
    save(&tensors, &path);
    let weights = Weights::open(&path, &Device::Cpu).unwrap();
    for (name, _) in types {
        assert_eq!(values(&weights, name), eighths(), "{name}");
        assert_eq!(weights.dims(name), Some(&[2, 3, 2, 2][..]));
    }
    assert!(!weights.has("num_batches_tracked"));
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(weights.sha256, camlens::image::sha256_hex(&bytes));
    // The file may go once it is read.
    std::fs::write(&path, b"").unwrap();
    assert_eq!(values(&weights, "f16"), eighths());
}

#[test]
fn half_precision_is_exact_over_its_whole_range() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("half.safetensors");
    // Every finite number of 16 bits, subnormal ones too; enough of them for several blocks.
    let bits: Vec<u16> = (0..=u16::MAX).collect();
    let f16s: Vec<half::f16> = bits
        .iter()
        .map(|b| half::f16::from_bits(*b))
        .filter(|v| v.is_finite())
        .collect();
    let bf16s: Vec<half::bf16> = bits
        .iter()
        .map(|b| half::bf16::from_bits(*b))
        .filter(|v| v.is_finite())
        .collect();
    let tensors = BTreeMap::from([
        (
            "a".to_owned(),
            Tensor::from_vec(f16s.clone(), f16s.len(), &Device::Cpu).unwrap(),
        ),
        (
            "b".to_owned(),
            Tensor::from_vec(bf16s.clone(), bf16s.len(), &Device::Cpu).unwrap(),
        ),
    ]);
    save(&tensors, &path);
    let weights = Weights::open(&path, &Device::Cpu).unwrap();
    let exact = |found: Vec<f32>, expected: Vec<f32>| {
        assert!(
            found
                .iter()
                .map(|v| v.to_bits())
                .eq(expected.iter().map(|v| v.to_bits()))
        );
    };
    exact(
        values(&weights, "a"),
        f16s.iter().map(|v| v.to_f32()).collect(),
    );
    exact(
        values(&weights, "b"),
        bf16s.iter().map(|v| v.to_f32()).collect(),
    );
}

#[test]
fn checkpoints_of_pytorch() {
    let plain = Weights::open(&data("plain.pth"), &Device::Cpu).unwrap();
    for name in ["f32", "f16", "bf16", "f64", "last", "tied"] {
        assert_eq!(values(&plain, name), eighths(), "{name}");
        assert_eq!(plain.dims(name), Some(&[2, 3, 2, 2][..]));
    }
    assert_eq!(values(&plain, "slice"), eighths()[4..10]);
    assert_eq!(values(&plain, "param"), [1.0, -2.0]);
    assert!(!plain.has("num_batches_tracked") && plain.notices.is_empty());

    let nested = Weights::open(&data("nested.pth"), &Device::Cpu).unwrap();
    assert_eq!(values(&nested, "f16"), eighths());
    assert!(nested.notices[0].contains("'state_dict'") && nested.notices[1].contains("'module.'"));
    let twice = Weights::open(&data("twice.pth"), &Device::Cpu).unwrap();
    assert_eq!(values(&twice, "w"), eighths());
    assert!(twice.notices[0].contains("'model.net'"));
}

#[test]
fn what_is_no_state_dict_is_refused_with_the_way_to_convert_it() {
    for (file, words) in [
        (
            "module.pth",
            &[
                "torch.nn.modules.linear.Linear",
                "save_file",
                "weights_only=False",
            ][..],
        ),
        (
            "xrv.pt",
            &["TorchXRayVision", "xrv.models.DenseNet", "save_file"],
        ),
        ("legacy.pth", &["before 1.6", "weights_only=True"]),
        ("script.pth", &["TorchScript", "torch.jit.load"]),
        (
            "nothing.pth",
            &["no tensors", "epoch, optimizer", "save_file"],
        ),
    ] {
        let error = Weights::open(&data(file), &Device::Cpu)
            .unwrap_err()
            .to_string();
        for word in words.iter().chain(&[file]) {
            assert!(error.contains(word), "'{word}' is missing in: {error}");
        }
        assert_eq!(error.lines().count(), 1);
    }
}

/// The shipped network's tensors under other names, as a file.
fn renamed(dir: &Path, name: &str, rename: impl Fn(&str) -> String) -> PathBuf {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo/model.safetensors");
    let tensors = candle_core::safetensors::load(demo, &Device::Cpu).unwrap();
    let tensors: BTreeMap<String, Tensor> = tensors
        .into_iter()
        .map(|(key, t)| (rename(&key), t))
        .collect();
    let path = dir.join(name);
    save(&tensors, &path);
    path
}

#[test]
fn prefixes_of_wrapping_classes_go_and_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = renamed(dir.path(), "net.safetensors", |key| {
        format!("module.resnet18.{key}")
    });
    for source in [path, dir.path().to_owned()] {
        let model = Model::open(&ModelSource::Path(source), None, &Device::Cpu).unwrap();
        assert!(
            model
                .notices
                .iter()
                .any(|n| n.contains("'module.resnet18.'")),
            "{:?}",
            model.notices
        );
        assert_eq!(model.name, "net.safetensors");
    }
}

/// Prints how long a file of ResNet-50's size takes. Figures are in ARCHITECTURE.md.
#[test]
#[ignore = "a measurement"]
fn load_time() {
    let dir = tempfile::tempdir().unwrap();
    let base = Tensor::rand(-1f32, 1f32, (160, 160_000), &Device::Cpu).unwrap();
    for (name, dtype) in [("f32", DType::F32), ("f16", DType::F16)] {
        let tensors: BTreeMap<String, Tensor> = (0..160)
            .map(|i| {
                let row = base.get(i).unwrap().to_dtype(dtype).unwrap();
                (format!("t{i}"), row)
            })
            .collect();
        let path = dir.path().join(name);
        save(&tensors, &path);
        drop(tensors);
        let times: Vec<u128> = (0..5)
            .map(|_| {
                let start = std::time::Instant::now();
                let weights = Weights::open(&path, &Device::Cpu).unwrap();
                assert_eq!(weights.keys().count(), 160);
                start.elapsed().as_millis()
            })
            .collect();
        let bytes = std::fs::metadata(&path).unwrap().len();
        println!("{name}: {bytes} bytes, milliseconds {times:?}");
    }
}
