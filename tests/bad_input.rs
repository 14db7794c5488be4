//! Files that are broken on purpose: one clear sentence each, nothing written, nothing lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use support::{camlens, save};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command that must fail with one line naming `name` and containing `words`.
fn refused(args: &[&str], name: &str, words: &[&str]) {
    let out = camlens(args);
    let stderr = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{args:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("camlens: "), "{stderr}");
    for word in words.iter().chain([&name]) {
        assert!(stderr.contains(word), "'{word}' is missing in: {stderr}");
    }
    assert!(!stderr.contains("panicked") && out.stdout.is_empty());
}

fn demo() -> Vec<u8> {
    fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/models/demo/model.safetensors"
    ))
    .unwrap()
}

fn demo_tensors() -> BTreeMap<String, Tensor> {
    candle_core::safetensors::load_buffer(&demo(), &Device::Cpu)
        .unwrap()
        .into_iter()
        .collect()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
    fn model(&self, name: &str, bytes: &[u8], words: &[&str]) {
        let path = self.file(name, bytes);
        refused(&["layers", "--model", path.to_str().unwrap()], name, words);
    }
    fn image(&self, name: &str, bytes: &[u8], words: &[&str]) {
        let path = self.file(name, bytes);
        refused(
            &["predict", "--demo", "--image", path.to_str().unwrap()],
            name,
            words,
        );
    }
    fn tensors(&self, name: &str, tensors: &BTreeMap<String, Tensor>, words: &[&str]) {
        let path = self.0.path().join(name);
        save(tensors, &path);
        refused(&["layers", "--model", path.to_str().unwrap()], "", words);
    }
}

/// A safetensors file with any header.
fn with_header(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn damaged_networks() {
    let folder = Folder::new();
    let demo = demo();
    folder.model("cut.safetensors", &demo[..demo.len() / 2], &["cut short"]);
    folder.model("empty.safetensors", b"", &["0 bytes"]);
    let mut long = demo.clone();
    long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    folder.model(
        "claims.safetensors",
        &long,
        &["header claims 18446744073709551615 bytes"],
    );
    let mut beyond = demo.clone();
    beyond[..8].copy_from_slice(&(demo.len() as u64 + 1).to_le_bytes());
    folder.model("beyond.safetensors", &beyond, &["the whole file has"]);
    folder.model(
        "noise.safetensors",
        &with_header("not json at all", 8),
        &["header is no safetensors JSON"],
    );
    let overlap = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
    folder.model(
        "overlap.safetensors",
        &with_header(overlap, 12),
        &["overlaps"],
    );
    let wrong =
        r#"{"a":{"dtype":"F32","shape":[1000000000000,1000000000000],"data_offsets":[0,8]}}"#;
    folder.model(
        "huge.safetensors",
        &with_header(wrong, 8),
        &["not a sound safetensors file"],
    );
    folder.model(
        "nothing.safetensors",
        &with_header("{}", 0),
        &["no tensors"],
    );
    folder.model("weights.pth", b"PK\x03\x04", &[".pth", "safetensors"]);
    let mut far = b"PK\x05\x06".to_vec();
    far.resize(22, 0xff);
    folder.model("far.pth", &far, &["not a sound PyTorch checkpoint"]);
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    let checkpoint = fs::read(format!("{data}/plain.pth")).unwrap();
    // A storage that is longer in the pickle than in the archive: its name now leads to a short one.
    let mut short = checkpoint.clone();
    let shape = short.windows(4).position(|w| w == b"K\x02K\x03").unwrap();
    short[shape + 1] = 3;
    folder.model("short.pth", &short, &["tensor 'f32'", "too few"]);
    folder.model(
        "cut.pth",
        &checkpoint[..checkpoint.len() - 40],
        &["no directory"],
    );
    let module = fs::read(format!("{data}/module.pth")).unwrap();
    folder.model(
        "module.pth",
        &module,
        &["whole pickled object", "save_file"],
    );
    let rank = format!(
        r#"{{"a":{{"dtype":"F32","shape":[{}1],"data_offsets":[0,4]}}}}"#,
        "1,".repeat(40)
    );
    folder.model(
        "rank.safetensors",
        &with_header(&rank, 4),
        &["'a'", "41 dimensions"],
    );
}

#[test]
fn networks_that_do_not_hold_together() {
    let folder = Folder::new();
    let tensors = demo_tensors();
    let zeros =
        |shape: &[usize]| Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();

    let unknown = BTreeMap::from([("stem.proj.weight".to_owned(), zeros(&[4, 3, 3, 3]))]);
    folder.tensors(
        "unknown.safetensors",
        &unknown,
        &[
            "architecture is not known",
            "stem",
            "resnet18",
            "densenet121",
            "vgg11",
        ],
    );

    let mut misfit = tensors.clone();
    let dims = tensors["layer2.0.conv1.weight"].dims().to_vec();
    misfit.insert(
        "layer2.0.conv1.weight".into(),
        zeros(&[dims[0], dims[1] + 3, 3, 3]),
    );
    folder.tensors(
        "misfit.safetensors",
        &misfit,
        &["layer2.0.conv1", "do not fit"],
    );

    let mut head = tensors.clone();
    head.insert("fc.weight".into(), zeros(&[2, 999]));
    folder.tensors("head.safetensors", &head, &["'fc'", "999 features"]);

    let mut missing = tensors.clone();
    missing.remove("layer3.1.bn2.running_var");
    folder.tensors(
        "missing.safetensors",
        &missing,
        &["lacks the tensor 'layer3.1.bn2.running_var'"],
    );

    let mut nan = tensors.clone();
    let poisoned = (&tensors["fc.bias"] * f64::NAN).unwrap();
    nan.insert("fc.bias".into(), poisoned);
    folder.tensors("nan.safetensors", &nan, &["'fc.bias'", "NaN or infinite"]);

    let mut negative = tensors.clone();
    let var = (&tensors["bn1.running_var"] * -1.0).unwrap();
    negative.insert("bn1.running_var".into(), var);
    folder.tensors(
        "variance.safetensors",
        &negative,
        &["bn1.running_var", "cannot be negative"],
    );
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    image::GrayImage::from_fn(width, height, |x, y| image::Luma([(x * 7 + y * 3) as u8]))
        .write_to(
            &mut std::io::Cursor::new(&mut bytes),
            image::ImageFormat::Png,
        )
        .unwrap();
    bytes
}

/// A PNG whose header says another size; its checksum is right.
fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = png(64, 64);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let mut crc = u32::MAX;
    for byte in &bytes[12..29] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
        }
    }
    bytes[29..33].copy_from_slice(&(!crc).to_be_bytes());
    bytes
}

#[test]
fn damaged_images() {
    let folder = Folder::new();
    let whole = png(200, 100);
    folder.image("cut.png", &whole[..whole.len() / 2], &["PNG"]);
    folder.image("one.png", &png(1, 1), &["1 x 1"]);
    folder.image(
        "giant.png",
        &png_claiming(20_000, 20_000),
        &["20000 x 20000"],
    );
    folder.image(
        "words.png",
        b"Dear colleague, the film is attached.",
        &["not an image"],
    );
    folder.image("empty.png", b"", &["empty"]);
    let mut dicom = vec![0u8; 128];
    dicom.extend_from_slice(b"DICM\x02\x00");
    folder.image("study.png", &dicom, &["DICOM"]);
    folder.image("input.npy", b"\x93NUMPY\x01\x00", &["npy"]);
}

#[test]
fn paths_that_lead_nowhere() {
    let folder = Folder::new();
    let dir = folder.0.path().to_str().unwrap();
    refused(
        &["predict", "--demo", "--image", dir],
        dir,
        &["is a folder"],
    );
    refused(
        &["predict", "--demo", "--image", "no/such.png"],
        "no/such.png",
        &["no such file"],
    );
    refused(
        &["layers", "--model", "no/such.safetensors"],
        "no/such.safetensors",
        &["no such file"],
    );
    refused(&["layers", "--model", dir], dir, &["model.safetensors"]);
}

#[test]
fn results_that_cannot_be_written_change_nothing() {
    let folder = Folder::new();
    let file = folder.file("report.txt", b"precious");
    let inside = file.join("maps");
    refused(
        &["explain", "--demo", "--out", inside.to_str().unwrap()],
        "report.txt",
        &["cannot be written"],
    );
    refused(
        &["explain", "--demo", "--out", file.to_str().unwrap()],
        "report.txt",
        &["cannot be written"],
    );
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    // A failed run leaves an older result as it was.
    let out = folder.0.path().join("maps");
    let done = camlens(&["explain", "--demo", "--out", out.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let before = fs::read(out.join("manifest.json")).unwrap();
    refused(
        &[
            "explain",
            "--demo",
            "--class",
            "9",
            "--out",
            out.to_str().unwrap(),
        ],
        "",
        &["class '9'"],
    );
    assert_eq!(fs::read(out.join("manifest.json")).unwrap(), before);
    assert!(only_results(&out));
}

fn only_results(dir: &Path) -> bool {
    fs::read_dir(dir)
        .unwrap()
        .all(|e| !e.unwrap().file_name().to_string_lossy().starts_with('.'))
}
