//! Progress of long commands on the terminal.

use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};

use crate::job::Job;

/// A job that draws its progress on stderr; nothing is drawn where stderr is no terminal.
pub(super) fn job() -> Job {
    let bar = ProgressBar::no_length();
    if let Ok(style) =
        ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {elapsed} (left {eta})")
    {
        bar.set_style(style);
    }
    let stage = Mutex::new(String::new());
    Job::new(move |progress| {
        let mut stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
        if *stage != progress.label {
            stage.clone_from(&progress.label);
            bar.reset();
        }
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        bar.set_message(progress.label);
    })
}
