//! Thousands of damaged files: no panic, no memory beyond a multiple of the file, one line that names it.
//! The damage is drawn from a fixed seed, so that a failure comes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

#[path = "support/damage.rs"]
mod damage;

use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use camlens::model::facts::{Document, Facts, Sources};
use camlens::model::weights::Weights;
use candle_core::Device;
use damage::{ALONE, Damage, FIXED, HELD, MOST, apply, measured, one_line, thousands};

/// Reads weights; what is refused is refused in one line with the file's name.
fn weights(name: &str, bytes: &[u8]) {
    let read = measured(bytes.len(), || Weights::parse(name, bytes, &Device::Cpu));
    if let Err(error) = read {
        one_line(&error.to_string(), name);
    }
}

// ---- files -------------------------------------------------------------------------------------

fn safetensors() -> (Vec<u8>, usize) {
    let header = r#"{"__metadata__":{"camlens.labels":"[\"a\"]","format":"pt"},"conv1.weight":{"dtype":"F32","shape":[4,3,3,3],"data_offsets":[0,432]},"bn1.weight":{"dtype":"F16","shape":[4],"data_offsets":[432,440]},"bn1.bias":{"dtype":"BF16","shape":[4],"data_offsets":[440,448]},"fc.weight":{"dtype":"F64","shape":[2,4],"data_offsets":[448,512]},"n":{"dtype":"I64","shape":[],"data_offsets":[512,520]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    let data = bytes.len();
    bytes.extend((0..520).map(|i| (i % 7) as u8));
    (bytes, data)
}

#[test]
fn safetensors_headers() {
    let (bytes, data) = safetensors();
    thousands(2000, |damages| {
        // The length is set right again, so that the damage reaches the parser of the header.
        let mut damaged = apply(&bytes, 8..data, &damages);
        let header = (damaged.len() - (bytes.len() - data) - 8) as u64;
        damaged[..8].copy_from_slice(&header.to_le_bytes());
        weights("net.safetensors", &damaged);
    });
}

#[test]
fn safetensors_bytes() {
    let (bytes, _) = safetensors();
    assert!(Weights::parse("net.safetensors", &bytes, &Device::Cpu).is_ok());
    thousands(2000, |damages| {
        weights("net.safetensors", &apply(&bytes, 0..bytes.len(), &damages));
    });
}

#[test]
fn checkpoints() {
    for file in [
        "plain.pth",
        "nested.pth",
        "twice.pth",
        "module.pth",
        "script.pth",
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data")
            .join(file);
        let bytes = std::fs::read(path).unwrap();
        thousands(800, |damages| {
            weights("net.pth", &apply(&bytes, 0..bytes.len(), &damages));
        });
        // The pickle alone, byte for byte in its place, so that the archive stays sound.
        let start = bytes
            .windows(2)
            .position(|w| w == [0x80, 2] || w == [0x80, 4])
            .unwrap();
        let end = (start + 900).min(bytes.len());
        thousands(1200, |damages| {
            let mut damaged = bytes.clone();
            for damage in damages {
                if let Damage::Byte(at, b) = damage {
                    damaged[start + ((usize::from(at) * (end - start)) >> 16)] = b;
                }
            }
            weights("net.pth", &damaged);
        });
    }
}

/// Gathers facts from a configuration file, whichever of the two it is.
fn configuration(name: &str, bytes: &[u8]) {
    let path = Path::new("models").join(name);
    let read = measured(bytes.len(), || {
        let doc = Document::parse(&path, bytes)?;
        let mut sources = Sources::default();
        if name == "config.json" {
            sources.config = Some(doc);
        } else {
            sources.preprocessor = Some(doc);
        }
        for (channels, classes) in [(3, 3), (1, 18)] {
            Facts::gather("net", "resnet18".to_owned(), channels, classes, &sources)?;
        }
        Ok::<_, camlens::Error>(())
    });
    if let Err(error) = read {
        one_line(&error.to_string(), name);
    }
}

#[test]
fn configurations() {
    let config = br#"{"architectures":["ResNetForImageClassification"],"num_labels":3,"num_channels":3,"image_size":[224,224],"id2label":{"0":"Normal","1":"Pneumonia","2":"Other"},"problem_type":"multi_label_classification","op_threshs":[0.1,null,0.3],"pretrained_cfg":{"input_size":[3,224,224],"mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225],"interpolation":"bicubic","crop_pct":0.875,"crop_mode":"center","label_names":["a","b","c"]}}"#;
    let processor = br#"{"do_resize":true,"size":{"shortest_edge":256},"resample":3,"do_center_crop":true,"crop_size":{"height":224,"width":224},"do_rescale":true,"rescale_factor":0.00392156862745098,"do_normalize":true,"image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5],"crop_pct":0.9,"camlens_recipe":{"name":"x","channels":3,"width":8,"height":8,"fit":"stretch","scale":"unit","mean":[0,0,0],"std":[1,1,1]}}"#;
    thousands(2500, |damages| {
        configuration("config.json", &apply(config, 0..config.len(), &damages));
    });
    thousands(2500, |damages| {
        configuration(
            "preprocessor_config.json",
            &apply(processor, 0..processor.len(), &damages),
        );
    });
}

#[test]
fn large_files_take_little_beside_their_tensors() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let header = r#"{"w":{"dtype":"F16","shape":[2097152],"data_offsets":[0,4194304]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + 4_194_304, 0);
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let read = Weights::parse("half", &bytes, &Device::Cpu).unwrap();
    let most = MOST.load(Ordering::Relaxed) - before;
    assert!(most < 2 * bytes.len() + FIXED, "{most}");
    drop(read);
}

#[test]
fn deep_and_wide_configurations() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (start, unit, end) in [
        ("{\"a\":", "[", ""),
        ("{\"id2label\":{", "\"1\":\"b\",", "\"0\":\"a\"}}"),
        ("{\"label_names\":[", "\"\",", "\"\"]}"),
    ] {
        let text = format!("{start}{}{end}", unit.repeat(20_000));
        configuration("config.json", text.as_bytes());
    }
}
