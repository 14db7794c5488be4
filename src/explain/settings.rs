//! A method's parameters with every default filled in, ready to be read.

use crate::plan::Values;

/// Checked parameters of one method.
#[derive(Clone, Debug, Default)]
pub struct Settings(Values);

impl Settings {
    /// All of a method's parameters; made by [`super::catalogue::Method::settings`].
    pub(super) fn new(resolved: Values) -> Self {
        Self(resolved)
    }

    /// A word.
    pub fn word(&self, id: &str) -> &str {
        self.0.get(id).map_or("", String::as_str)
    }

    /// Whether a word has this value.
    pub fn is(&self, id: &str, value: &str) -> bool {
        self.word(id) == value
    }

    /// A number. Ranges were checked before.
    pub fn number(&self, id: &str) -> f64 {
        self.word(id).parse().unwrap_or(0.0)
    }

    /// A whole number, 0 or more.
    pub fn count(&self, id: &str) -> usize {
        self.number(id).max(0.0).round() as usize
    }

    /// A seed of random numbers.
    pub fn seed(&self) -> u64 {
        self.word("seed").parse().unwrap_or(0)
    }

    /// The values by id.
    pub fn values(&self) -> &Values {
        &self.0
    }

    /// The same with another value.
    pub(super) fn with(&self, id: &str, value: &str) -> Self {
        let mut values = self.0.clone();
        values.insert(id.to_owned(), value.to_owned());
        Self(values)
    }
}
