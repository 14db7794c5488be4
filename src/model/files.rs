//! Which file of a folder is the network.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::text::fault;

/// A network's file, by how it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ModelFile {
    /// Tensors only: `.safetensors` or a PyTorch checkpoint. The structure is recognised from them.
    Weights(PathBuf),
    /// Structure and tensors: `.onnx`.
    Onnx(PathBuf),
}

/// Finds the network that a path means. Of a folder that is, in this order, `model.safetensors`, its
/// only `.safetensors`, `pytorch_model.bin`, its only PyTorch checkpoint, `model.onnx`, its only `.onnx`.
///
/// # Errors
/// A folder without a network, with several that could be meant, or with weights in several files.
pub(super) fn locate(path: &Path) -> Result<ModelFile> {
    if !path.is_dir() {
        return Ok(by_name(path.to_owned()));
    }
    let entries = std::fs::read_dir(path).map_err(|e| fault::read(path, &e))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|file| file.is_file())
        .collect();
    files.sort();
    let named = |name: &str| {
        let file = path.join(name);
        files.contains(&file).then_some(file)
    };
    if let Some(file) = named("model.safetensors") {
        return Ok(ModelFile::Weights(file));
    }
    for index in [
        "model.safetensors.index.json",
        "pytorch_model.bin.index.json",
    ] {
        if named(index).is_some() {
            return Err(fault::sharded_model(path, index));
        }
    }
    for (name, endings) in [
        (None, &["safetensors"][..]),
        (Some("pytorch_model.bin"), &["pth", "pt", "ckpt"]),
        (Some("model.onnx"), &["onnx"]),
    ] {
        if let Some(file) = name.and_then(named) {
            return Ok(by_name(file));
        }
        let mut found = files.iter().filter(|file| {
            file.extension()
                .is_some_and(|e| endings.contains(&e.to_string_lossy().to_lowercase().as_str()))
        });
        if let Some(first) = found.next() {
            let others: Vec<_> = found.collect();
            if others.is_empty() {
                return Ok(by_name(first.clone()));
            }
            let names: Vec<String> = std::iter::once(first)
                .chain(others)
                .take(8)
                .filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned()))
                .collect();
            return Err(fault::several_models_in_folder(path, &names.join(", ")));
        }
    }
    Err(fault::no_model_in_folder(path))
}

fn by_name(path: PathBuf) -> ModelFile {
    let is_onnx = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("onnx"));
    if is_onnx {
        ModelFile::Onnx(path)
    } else {
        ModelFile::Weights(path)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_searched_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str| std::fs::write(dir.path().join(name), b"x").unwrap();
        let found = || match locate(dir.path()) {
            Ok(ModelFile::Weights(path) | ModelFile::Onnx(path)) => {
                path.file_name().unwrap().to_string_lossy().into_owned()
            }
            Err(error) => error.to_string(),
        };
        assert!(found().contains("without a network"));
        put("net.onnx");
        assert_eq!(found(), "net.onnx");
        put("best.pth");
        assert_eq!(found(), "best.pth");
        put("last.pth");
        assert!(found().contains("best.pth, last.pth"));
        put("pytorch_model.bin");
        assert_eq!(found(), "pytorch_model.bin");
        put("weights.safetensors");
        assert_eq!(found(), "weights.safetensors");
        put("model.safetensors.index.json");
        assert!(found().contains("several files"));
        put("model.safetensors");
        assert_eq!(found(), "model.safetensors");
    }
}
