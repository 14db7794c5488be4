//! A progress bar for the terminal.

use indicatif::{ProgressBar, ProgressStyle};

use crate::job::Job;

/// A job that draws its progress on standard error; nothing is drawn where that is no terminal.
pub fn terminal_job() -> Job {
    let bar = ProgressBar::new(0);
    let template = "{wide_msg}\n{bar:40} {pos}/{len} {elapsed_precise} left {eta_precise}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    Job::new(move |progress| {
        if bar.length() != Some(progress.total as u64) {
            bar.reset();
            bar.set_length(progress.total as u64);
        }
        bar.set_position(progress.done as u64);
        bar.set_message(progress.label);
    })
}
