//! What any long piece of work is handed: progress, cancellation and a place for notices.
//!
//! A [`Job`] is cheap to clone and may cross threads. Work calls [`Job::check`] often enough that a
//! cancelled job ends within 100 ms, and [`Job::progress`] as it goes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::text;

/// How far a job has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// What is being done, in words.
    pub label: String,
    /// Steps finished.
    pub done: usize,
    /// Steps in all; 0 when it is not known.
    pub total: usize,
}

/// Memory that batches of passes may take, unless another budget is set, in bytes.
const MEMORY_BUDGET: usize = 256 << 20;

type Listener = dyn Fn(Progress) + Send + Sync;

/// Handle on a piece of work, shared by whoever does it and whoever waits for it.
#[derive(Clone)]
pub struct Job {
    cancel: Arc<AtomicBool>,
    listener: Arc<Listener>,
    notices: Arc<Mutex<Vec<String>>>,
    memory_budget: usize,
}

impl Default for Job {
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl Job {
    /// A job whose progress goes to `listener`.
    pub fn new(listener: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self {
            cancel: Arc::default(),
            listener: Arc::new(listener),
            notices: Arc::default(),
            memory_budget: MEMORY_BUDGET,
        }
    }

    /// The same piece of work without a listener: for the many passes that are steps of it.
    pub fn quiet(&self) -> Self {
        Self {
            listener: Arc::new(|_| {}),
            ..self.clone()
        }
    }

    /// The same piece of work with another memory budget for its batches, in bytes.
    pub fn with_memory_budget(self, bytes: usize) -> Self {
        Self {
            memory_budget: bytes,
            ..self
        }
    }

    /// Memory that a batch of passes may take, in bytes.
    pub fn memory_budget(&self) -> usize {
        self.memory_budget
    }

    /// Asks the work to stop.
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked the work to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Ends the work with an error of kind `Cancelled` if somebody asked for it.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(text::fault::cancelled());
        }
        Ok(())
    }

    /// Reports progress.
    pub fn progress(&self, label: &str, done: usize, total: usize) {
        (self.listener)(Progress {
            label: label.to_owned(),
            done,
            total,
        });
    }

    /// Records something the user should know although the work goes on: a guess, a fallback.
    pub fn notice(&self, words: impl Into<String>) {
        self.notices
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(words.into());
    }

    /// Takes the notices recorded so far.
    pub fn take_notices(&self) -> Vec<String> {
        std::mem::take(&mut *self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
