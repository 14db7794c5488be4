//! `--screenshot FILE`: waits for the first maps, writes what the window shows, and leaves.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use egui::{ColorImage, Context, ViewportCommand};

use super::run::Outcome;
use crate::error::{Error, Kind, Result};
use crate::export::{rgba_png_bytes, write_whole};
use crate::text::{APP, RESEARCH_ONLY, window as words};

/// Frames between the last map and the picture: layout and textures settle.
const SETTLE: usize = 4;
/// Longest wait for the maps.
const PATIENCE: Duration = Duration::from_secs(120);

/// A screenshot on its way.
pub(super) struct Screenshot {
    path: PathBuf,
    started: Instant,
    frames: usize,
    asked: Option<Instant>,
    shot: Arc<Mutex<Option<Arc<ColorImage>>>>,
    pub(super) outcome: Outcome,
}

impl Screenshot {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            started: Instant::now(),
            frames: 0,
            asked: None,
            shot: Arc::default(),
            outcome: Outcome::default(),
        }
    }

    /// One frame of waiting. `ready` says whether all maps stand; `fault` is the first error so far.
    pub(super) fn step(
        &mut self,
        ctx: &Context,
        ready: bool,
        fault: Option<&Error>,
        first_map_after: Option<Duration>,
    ) {
        let shot = self
            .shot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(image) = shot {
            let written = write(&self.path, &image);
            if written.is_ok()
                && let Some(after) = first_map_after
            {
                eprintln!("{}", words::first_map_after(after.as_secs_f64()));
            }
            self.finish(ctx, written);
        } else if let Some(fault) = fault {
            self.finish(ctx, Err(fault.clone()));
        } else if self.asked.is_some_and(|at| at.elapsed() > PATIENCE / 4) {
            self.finish(
                ctx,
                Err(Error::new(Kind::Unsupported, words::SCREENSHOT_FAILED)),
            );
        } else if self.started.elapsed() > PATIENCE {
            self.finish(ctx, Err(Error::new(Kind::Limits, words::SCREENSHOT_LATE)));
        } else if !ready {
            self.frames = 0;
            ctx.request_repaint_after(Duration::from_millis(100));
        } else {
            self.frames += 1;
            if self.frames == SETTLE && self.asked.is_none() {
                self.asked = Some(Instant::now());
                let (slot, ctx2) = (Arc::clone(&self.shot), ctx.clone());
                ctx.request_screenshot(move |image| {
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(image);
                    ctx2.request_repaint();
                });
            }
            ctx.request_repaint();
        }
    }

    fn finish(&self, ctx: &Context, outcome: Result<()>) {
        self.outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(outcome);
        ctx.send_viewport_cmd(ViewportCommand::Close);
    }
}

fn write(path: &Path, image: &ColorImage) -> Result<()> {
    let notes = [("Software", APP), ("Disclaimer", RESEARCH_ONLY)];
    let bytes = rgba_png_bytes(image.as_raw(), image.size, &notes)?;
    write_whole(path, &bytes)
}
