//! Where an interrupted run stands: weights, their average, the optimiser's moments and the place in the data.
//!
//! Random numbers need no state of their own: each image's generator follows from seed, epoch and place.

use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::learn::Learner;
use super::setup::{EpochRecord, Setup};
use super::state::{Metadata, State, from_bytes, to_bytes, write_atomic};
use crate::error::Result;
use crate::text::fault;

/// The file that an interrupted run leaves in its folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";

/// How far a run has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) epoch: usize,
    pub(super) batch: usize,
    pub(super) steps: usize,
    pub(super) loss_sum: f64,
    pub(super) seconds: f64,
    pub(super) history: Vec<EpochRecord>,
}

impl Learner<'_> {
    pub(super) fn save(&mut self, path: &Path) -> Result<()> {
        let mut state = State::new();
        for (prefix, part) in [
            ("network", &self.network.state()?),
            ("average", &self.average),
        ] {
            for (name, array) in part {
                state.insert(format!("{prefix}.{name}"), array.clone());
            }
        }
        self.optimiser.save(&mut state);
        let words = |e: serde_json::Error| fault::write(path, &e);
        let metadata = Metadata::from([
            (
                "camlens.setup".to_owned(),
                serde_json::to_string(self.setup).map_err(words)?,
            ),
            (
                "camlens.position".to_owned(),
                serde_json::to_string(&self.at).map_err(words)?,
            ),
        ]);
        self.saved = Instant::now();
        write_atomic(path, &to_bytes(&state, &metadata)?)
    }

    pub(super) fn load(&mut self, path: &Path) -> Result<()> {
        let bytes = std::fs::read(path).map_err(|e| fault::no_checkpoint(path, &e))?;
        let (state, metadata) = from_bytes(&bytes, path)?;
        let word = |key: &str| metadata.get(key).map(String::as_str).unwrap_or_default();
        let broken = |e: serde_json::Error| fault::broken_training_file(path, &e);
        let setup: Setup = serde_json::from_str(word("camlens.setup")).map_err(broken)?;
        if setup != *self.setup {
            return Err(fault::other_training(path));
        }
        let part = |prefix: &str| -> State {
            state
                .iter()
                .filter_map(|(name, array)| {
                    let name = name.strip_prefix(prefix)?.strip_prefix('.')?;
                    Some((name.to_owned(), array.clone()))
                })
                .collect()
        };
        let average = part("average");
        // Both are checked against the network's shapes; the order matters, the last one stays.
        self.network.load(&average)?;
        self.network.load(&part("network"))?;
        self.average = average;
        self.at = serde_json::from_str(word("camlens.position")).map_err(broken)?;
        self.optimiser.load(&state, self.at.steps)
    }
}
