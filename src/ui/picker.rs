//! Asking for a file. The window talks to a trait, so that tests can answer.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use egui::Context;
use poll_promise::Promise;

use crate::text::{region, session, window as words};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// An X-ray.
    Image,
    /// A network.
    Model,
    /// A file of regions.
    Regions,
    /// Where to write regions; the suggested file name.
    SaveRegions(String),
    /// A session file.
    Session,
    /// Where to write a session; the suggested file name.
    SaveSession(String),
    /// Where to write a PNG; the suggested file name.
    SavePng(String),
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A file.
    Chosen(PathBuf),
    /// The user thought better of it.
    Dismissed,
    /// There is no dialog on this machine.
    Unavailable,
}

/// Asks for a file without holding up the window.
pub trait FilePicker {
    /// Opens a dialog; ignored while one is open.
    fn ask(&mut self, ctx: &Context, ask: Ask);
    /// The answer, once.
    fn poll(&mut self) -> Option<(Ask, Answer)>;
}

/// A dialog that is gone sooner was never shown: the portal is missing.
const TOO_SOON: Duration = Duration::from_millis(350);

/// What a dialog gave, and after how long.
type Given = (Option<PathBuf>, Duration);

/// The desktop's own dialogs.
#[derive(Default)]
pub struct NativePicker {
    pending: Option<(Ask, Promise<Given>)>,
}

impl FilePicker for NativePicker {
    fn ask(&mut self, ctx: &Context, ask: Ask) {
        if self.pending.is_some() {
            return;
        }
        let (question, ctx) = (ask.clone(), ctx.clone());
        let work = move || {
            let opened = Instant::now();
            // A panic in the dialog's library means the same as no answer.
            let chosen = std::panic::catch_unwind(|| dialog(&question))
                .ok()
                .flatten();
            ctx.request_repaint();
            (chosen, opened.elapsed())
        };
        // Dialogs belong to the main thread on a Mac, where they bring their own event loop.
        let promise = if cfg!(target_os = "macos") {
            Promise::from_ready(work())
        } else {
            Promise::spawn_thread("camlens-dialog", work)
        };
        self.pending = Some((ask, promise));
    }

    fn poll(&mut self) -> Option<(Ask, Answer)> {
        let (ask, promise) = self.pending.take()?;
        match promise.try_take() {
            Ok((Some(path), _)) => Some((ask, Answer::Chosen(path))),
            Ok((None, after)) if after < TOO_SOON => Some((ask, Answer::Unavailable)),
            Ok((None, _)) => Some((ask, Answer::Dismissed)),
            Err(promise) => {
                self.pending = Some((ask, promise));
                None
            }
        }
    }
}

fn dialog(ask: &Ask) -> Option<PathBuf> {
    let dialog = rfd::FileDialog::new();
    match ask {
        Ask::Image => dialog
            .set_title(words::OPEN_IMAGE_TITLE)
            .add_filter(
                words::IMAGE_FILES,
                &[
                    "png", "jpg", "jpeg", "tif", "tiff", "bmp", "webp", "dcm", "dicom", "npy",
                ],
            )
            .add_filter(words::ALL_FILES, &["*"])
            .pick_file(),
        Ask::Model => dialog
            .set_title(words::OPEN_MODEL_TITLE)
            .add_filter(words::MODEL_FILES, &["safetensors"])
            .add_filter(words::ALL_FILES, &["*"])
            .pick_file(),
        Ask::Regions => dialog
            .set_title(region::OPEN_TITLE)
            .add_filter(region::FILES, &["json", "csv", "txt", "png"])
            .add_filter(words::ALL_FILES, &["*"])
            .pick_file(),
        Ask::SaveRegions(name) => dialog
            .set_title(region::SAVE_TITLE)
            .set_file_name(name)
            .add_filter(region::COCO_FILES, &["json"])
            .save_file(),
        Ask::Session => dialog
            .set_title(session::OPEN_TITLE)
            .add_filter(session::FILES, &["camlens"])
            .add_filter(words::ALL_FILES, &["*"])
            .pick_file(),
        Ask::SaveSession(name) => dialog
            .set_title(session::SAVE_TITLE)
            .set_file_name(name)
            .add_filter(session::FILES, &["camlens"])
            .save_file(),
        Ask::SavePng(name) => dialog
            .set_title(words::EXPORT_TITLE)
            .set_file_name(name)
            .add_filter(words::PNG_FILES, &["png"])
            .save_file(),
    }
}
