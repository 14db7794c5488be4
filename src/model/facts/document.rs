//! JSON files beside a network, read with names for what is wrong in them.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::Result;
use crate::text::fault;

/// Largest configuration file, in bytes. ImageNet-21k's labels take about 2 MiB; a parsed file takes at
/// most some hundred times its length.
const MAX_BYTES: u64 = 4 << 20;

/// Longest text that is believed to be a label or a name, in bytes.
const MAX_TEXT: usize = 512;

/// One JSON object and the file it stands in.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file.
    pub path: PathBuf,
    /// Its content.
    pub map: Map<String, Value>,
}

impl Document {
    /// Reads a JSON file; `None` where there is none of that name.
    ///
    /// # Errors
    /// A file that is too large or no JSON object.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        let meta = match std::fs::metadata(path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(fault::read(path, &e)),
        };
        if !meta.is_file() {
            return Err(fault::not_a_regular_file(path, "a JSON file"));
        }
        if meta.len() > MAX_BYTES {
            return Err(fault::file_too_large(path, meta.len(), MAX_BYTES));
        }
        let bytes = std::fs::read(path).map_err(|e| fault::read(path, &e))?;
        Self::parse(path, &bytes).map(Some)
    }

    /// Reads the bytes of a JSON file.
    ///
    /// # Errors
    /// Bytes that are no JSON object.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        // Some editors begin a file with a mark of its encoding.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let value: Value =
            serde_json::from_slice(bytes).map_err(|e| fault::bad_json(path, &e.to_string()))?;
        match value {
            Value::Object(map) => Ok(Self {
                path: path.to_owned(),
                map,
            }),
            other => Err(fault::bad_json(path, &format!("it is {}", kind(&other)))),
        }
    }

    /// An object in this one, as a document of its own.
    pub(super) fn object(&self, key: &str) -> Result<Option<Self>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self {
                path: self.path.clone(),
                map: map.clone(),
            })),
            Some(other) => Err(self.wrong(key, other, "an object")),
        }
    }

    /// A value; JSON's null is as good as none.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= MAX_TEXT => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, other, "a short text")),
        }
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.wrong(key, other, "true or false")),
        }
    }

    /// A number above 0.
    pub(super) fn positive(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        match value.as_f64() {
            Some(v) if v.is_finite() && v > 0.0 => Ok(Some(v)),
            _ => Err(self.wrong(key, value, "a number above 0")),
        }
    }

    /// A side in pixels.
    pub(super) fn side(&self, key: &str) -> Result<Option<usize>> {
        self.get(key)
            .map(|value| as_side(value).ok_or_else(|| self.wrong(key, value, SIDE)))
            .transpose()
    }

    /// A list of numbers.
    pub(super) fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let wrong = || self.wrong(key, value, "a list of numbers");
        let list = match value {
            Value::Array(list) if list.len() <= 64 => list,
            Value::Number(_) => std::slice::from_ref(value),
            _ => return Err(wrong()),
        };
        list.iter()
            .map(|v| v.as_f64().filter(|v| v.is_finite()).ok_or_else(wrong))
            .collect::<Result<_>>()
            .map(Some)
    }

    /// The error that a value is not what it should be.
    pub(super) fn wrong(&self, key: &str, found: &Value, expected: &str) -> crate::Error {
        fault::config_value(&self.path, key, &kind(found), expected)
    }
}

/// What a side must be, in words.
pub(super) const SIDE: &str = "a whole number of pixels from 1 to 4096";

/// A side in pixels.
pub(super) fn as_side(value: &Value) -> Option<usize> {
    let side = usize::try_from(value.as_u64()?).ok()?;
    (1..=4096).contains(&side).then_some(side)
}

/// A value in a few words, on one line.
pub(super) fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(n) => n.to_string(),
        Value::String(text) => {
            let line: String = text
                .chars()
                .take(40)
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            format!("'{line}'")
        }
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(map) => format!("an object of {}", map.len()),
    }
}

/// Whether a text can be a label: one line, not endless.
pub(super) fn is_label(text: &str) -> bool {
    text.len() <= MAX_TEXT && !text.chars().any(char::is_control)
}
