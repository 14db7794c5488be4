//! Where facts are read: the file's own metadata and the configuration files beside it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::document::{Document, as_side, is_label, kind};
use crate::error::Result;
use crate::model::weights::Weights;
use crate::plan::{Activation, GivenFacts};
use crate::text::fault;

/// Name of the file with labels and activation.
pub const CONFIG: &str = "config.json";
/// Name of the file with preprocessing.
pub const PREPROCESSOR: &str = "preprocessor_config.json";

/// Everything that facts are gathered from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Keys `camlens.*` of a safetensors file or an ONNX model.
    pub metadata: BTreeMap<String, String>,
    /// The tensor `op_threshs`, where the file has one.
    pub op_threshs: Option<Vec<f32>>,
    /// `config.json`, as Hugging Face and timm write it.
    pub config: Option<Document>,
    /// `preprocessor_config.json`, as Hugging Face writes it.
    pub preprocessor: Option<Document>,
    /// `[width, height]` that the network was made for, where its structure says so; the configuration's
    /// `image_size` comes first.
    pub size: Option<[usize; 2]>,
    /// What the user says.
    pub given: GivenFacts,
}

impl Sources {
    /// What the tensors' file says by itself.
    pub fn of(weights: &Weights) -> Self {
        Self {
            metadata: weights.metadata.clone(),
            op_threshs: weights.op_threshs.clone(),
            ..Self::default()
        }
    }

    /// Adds the configuration files in the folder of a network's file.
    ///
    /// # Errors
    /// Files that are there and cannot be read as JSON objects.
    pub fn beside(mut self, file: &Path) -> Result<Self> {
        let folder = file.parent().unwrap_or(Path::new(""));
        self.config = Document::open(&folder.join(CONFIG))?;
        self.preprocessor = Document::open(&folder.join(PREPROCESSOR))?;
        Ok(self)
    }

    /// The architecture that the configuration names: timm's, with `timm/` before it, or Hugging Face's
    /// class in lower case without what it is for. A hint only: it has to fit the tensors.
    pub fn arch_hint(&self) -> Option<String> {
        let config = self.config.as_ref()?;
        if let Some(Value::String(name)) = config.get("architecture") {
            return Some(format!("timm/{name}"));
        }
        let class = config
            .get("architectures")?
            .get(0)?
            .as_str()?
            .to_lowercase();
        Some(class.replace("forimageclassification", ""))
    }

    /// Labels of the configuration: `id2label`, or timm's `label_names`. Hugging Face's placeholders
    /// (`LABEL_0`) are none.
    pub(super) fn config_labels(&self) -> Result<Option<Vec<String>>> {
        let Some(config) = &self.config else {
            return Ok(None);
        };
        let label = |key: &str, value: &Value| match value {
            Value::String(text) if is_label(text) => Ok(text.clone()),
            // A class that was never trained.
            Value::Null => Ok(String::new()),
            other => Err(config.wrong(key, other, "a label of one line")),
        };
        if let Some(map) = config.get("id2label") {
            let Value::Object(map) = map else {
                return Err(config.wrong("id2label", map, "an object of labels by class index"));
            };
            let mut labels = vec![None; map.len()];
            for (index, value) in map {
                let key = format!("id2label.{}", kind(&Value::String(index.clone())));
                let slot = index.parse().ok().and_then(|i: usize| labels.get_mut(i));
                let Some(slot) = slot else {
                    return Err(fault::config_value(
                        &config.path,
                        &key,
                        "no class",
                        &format!("indices 0 to {}", map.len().saturating_sub(1)),
                    ));
                };
                *slot = Some(label(&key, value)?);
            }
            // As many slots as entries, and every entry has its own: "1" and "01" would be one.
            let Some(labels) = labels.into_iter().collect::<Option<Vec<String>>>() else {
                return Err(fault::config_value(
                    &config.path,
                    "id2label",
                    "incomplete",
                    "every class once",
                ));
            };
            let placeholder = (labels.iter().enumerate()).all(|(i, l)| *l == format!("LABEL_{i}"));
            if !labels.is_empty() && !placeholder {
                return Ok(Some(labels));
            }
        }
        let nested = config.object("pretrained_cfg")?;
        for doc in [Some(config), nested.as_ref()].into_iter().flatten() {
            if let Some(list) = doc.get("label_names") {
                let Value::Array(names) = list else {
                    return Err(doc.wrong("label_names", list, "a list of labels"));
                };
                let names: Vec<String> = names
                    .iter()
                    .map(|v| label("label_names", v))
                    .collect::<Result<_>>()?;
                return Ok(Some(names));
            }
        }
        Ok(None)
    }

    /// Hugging Face's `problem_type`.
    pub(super) fn config_activation(&self) -> Result<Option<Activation>> {
        let Some(config) = &self.config else {
            return Ok(None);
        };
        match config.text("problem_type")? {
            None => Ok(None),
            Some("single_label_classification") => Ok(Some(Activation::Softmax)),
            Some("multi_label_classification") => Ok(Some(Activation::Sigmoid)),
            Some(other) => Err(fault::config_value(
                &config.path,
                "problem_type",
                &kind(&Value::String(other.to_owned())),
                "single_label_classification or multi_label_classification",
            )),
        }
    }

    /// `[width, height]` of the configuration's `image_size`.
    pub(super) fn image_size(&self) -> Result<Option<[usize; 2]>> {
        let Some((config, value)) = self
            .config
            .as_ref()
            .and_then(|config| Some((config, config.get("image_size")?)))
        else {
            return Ok(None);
        };
        let size = match value {
            Value::Array(sides) => match sides.as_slice() {
                [h, w] => as_side(w).zip(as_side(h)).map(|(w, h)| [w, h]),
                _ => None,
            },
            value => as_side(value).map(|side| [side, side]),
        };
        size.map(Some)
            .ok_or_else(|| config.wrong("image_size", value, "a side or [rows, columns] in pixels"))
    }

    /// A whole number that the configuration states.
    pub(super) fn count(&self, key: &str) -> Option<usize> {
        let value = self.config.as_ref()?.get(key)?;
        usize::try_from(value.as_u64()?).ok()
    }

    /// Operating points by class, `None` for classes that were never trained: from the configuration, the
    /// metadata or the tensor.
    pub(super) fn op_threshs(
        &self,
        name: &str,
        classes: usize,
    ) -> Result<Option<Vec<Option<f32>>>> {
        let from_json = |file: &str, value: &Value| -> Result<Vec<Option<f32>>> {
            let list = value
                .as_array()
                .ok_or_else(|| fault::op_threshs(file, "is no list"))?;
            list.iter()
                .map(|v| match v {
                    Value::Null => Ok(None),
                    Value::String(text) if text.eq_ignore_ascii_case("nan") => Ok(None),
                    v => match v.as_f64() {
                        Some(v) => Ok(Some(v as f32)),
                        None => Err(fault::op_threshs(file, &format!("holds {}", kind(v)))),
                    },
                })
                .collect()
        };
        let in_config = self
            .config
            .as_ref()
            .and_then(|c| Some((c, c.get("op_threshs")?)));
        let (file, list) = if let Some((config, value)) = in_config {
            let file = config.path.display().to_string();
            let list = from_json(&file, value)?;
            (file, list)
        } else if let Some(text) = self.metadata.get("camlens.op_threshs") {
            // Python writes NaN, which is no JSON.
            let value = serde_json::from_str(&text.replace("NaN", "null"))
                .map_err(|_| fault::op_threshs(name, "is no JSON list"))?;
            (name.to_owned(), from_json(name, &value)?)
        } else if let Some(values) = &self.op_threshs {
            let list = values
                .iter()
                .map(|v| Some(*v).filter(|v| !v.is_nan()))
                .collect();
            (name.to_owned(), list)
        } else {
            return Ok(None);
        };
        if list.len() != classes {
            let why = format!("has {} values for {classes} classes", list.len());
            return Err(fault::op_threshs(&file, &why));
        }
        if let Some(bad) = list.iter().flatten().find(|t| !(**t > 0.0 && **t < 1.0)) {
            return Err(fault::op_threshs(&file, &format!("holds {bad}")));
        }
        Ok(Some(list))
    }
}
