//! Opening the window on a desktop, and saying in words why there is none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use eframe::{NativeOptions, Renderer};
use egui::{Context, ViewportBuilder};

use super::App;
use super::picker::NativePicker;
use crate::error::{Error, Kind, Result};
use crate::model::kernels::cpu::keep_heap;
use crate::plan::{DeviceChoice, ImageSource, ModelSource};
use crate::text::{APP, window as words};

/// Size of the window unless another is asked for.
const SIZE: [f32; 2] = [1360.0, 860.0];
/// Below this, panels are too small to read.
const MIN_SIZE: [f32; 2] = [900.0, 600.0];

/// What the window starts with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The network.
    pub model: ModelSource,
    /// The image; `None` for the first sample.
    pub image: Option<ImageSource>,
    /// Write a picture of the window here once the first maps stand, and leave.
    pub screenshot: Option<PathBuf>,
    /// Where the arithmetic runs.
    pub device: DeviceChoice,
    /// A session file to open.
    pub session: Option<PathBuf>,
    /// Where settings and the running session are kept; `None` keeps nothing.
    pub folder: Option<PathBuf>,
    /// Size of the window in points.
    pub size: Option<[f32; 2]>,
    /// Whether frames wait for the screen; only measurements do not.
    pub vsync: bool,
    /// Light colours, whatever was chosen before.
    pub light: bool,
    /// Where the names and places of the window's controls are written, for scripts that drive it.
    pub controls: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            model: ModelSource::Demo,
            image: None,
            screenshot: None,
            device: DeviceChoice::Auto,
            session: None,
            folder: None,
            size: None,
            vsync: true,
            light: false,
            controls: None,
        }
    }
}

/// What a run under `--screenshot` came to.
pub(super) type Outcome = Arc<Mutex<Option<Result<()>>>>;

/// Opens the window and stays until it is closed.
///
/// # Errors
/// Of kind `Unsupported` where there is no display or the desktop refuses a window; with
/// [`Options::screenshot`] also why there is no picture.
pub fn run(options: Options) -> Result<()> {
    let outcome = Outcome::default();
    let for_app = Arc::clone(&outcome);
    open(options, move |_, mut app| {
        app.report_to(for_app);
        Box::new(app)
    })?;
    outcome
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
        .unwrap_or(Ok(()))
}

/// Opens the window with what `shown` makes of the program, and stays until it is closed.
///
/// # Errors
/// As [`run`], a picture's aside.
pub(super) fn open(
    options: Options,
    shown: impl FnOnce(&Context, App) -> Box<dyn eframe::App> + 'static,
) -> Result<()> {
    if !has_display() {
        return Err(Error::new(Kind::Unsupported, words::no_display()));
    }
    keep_heap();
    let mut native = NativeOptions {
        viewport: ViewportBuilder::default()
            .with_title(words::title())
            .with_app_id(APP.to_lowercase())
            .with_inner_size(options.size.unwrap_or(SIZE))
            .with_min_inner_size(MIN_SIZE),
        renderer: Renderer::Glow,
        // Asking for a system font where none is installed ends the process (fontique 0.11).
        system_font_fallback: system_fonts_exist(),
        centered: true,
        ..NativeOptions::default()
    };
    // Noise of half a grey level would hide banding, and is not in the X-ray.
    native.dithering = false;
    native.glow_options.vsync = options.vsync;
    let opened = quietly(move || {
        eframe::run_native(
            APP,
            native,
            Box::new(move |cc| {
                let app = App::new(&cc.egui_ctx, &options, Box::new(NativePicker::default()))?;
                Ok(shown(&cc.egui_ctx, app))
            }),
        )
        .map_err(|error| error.to_string())
    });
    let refused = |why: &str| Error::new(Kind::Unsupported, words::no_window(why));
    match opened {
        Ok(Ok(())) => Ok(()),
        Ok(Err(why)) => {
            // In front of the reason stands where in winit it was found: no help to a user.
            let line = why.lines().next().unwrap_or_default();
            Err(refused(line.rsplit(": ").next().unwrap_or(line)))
        }
        Err(why) => Err(refused(&why)),
    }
}

/// Runs `work`; a panic in it becomes its message. winit panics where a library of the keyboard is
/// missing, and that must be a sentence, not a backtrace.
fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let usual = Arc::new(std::panic::take_hook());
    let kept = Arc::clone(&usual);
    std::panic::set_hook(Box::new(move |info| {
        if !is_missing_library(&payload_words(info.payload())) {
            kept(info);
        }
    }));
    let result =
        catch_unwind(AssertUnwindSafe(work)).map_err(|payload| payload_words(payload.as_ref()));
    std::panic::set_hook(Box::new(move |info| usual(info)));
    result
}

fn is_missing_library(words: &str) -> bool {
    words.contains("could not be loaded")
}

fn payload_words(payload: &dyn std::any::Any) -> String {
    let words = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied());
    words
        .and_then(|w| w.lines().next())
        .unwrap_or_default()
        .to_owned()
}

fn has_display() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(all(unix, not(target_os = "macos")))
        || set("DISPLAY")
        || set("WAYLAND_DISPLAY")
        || set("WAYLAND_SOCKET")
}

fn system_fonts_exist() -> bool {
    if !cfg!(all(unix, not(target_os = "macos"))) {
        return true;
    }
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    [
        PathBuf::from("/usr/share/fonts"),
        PathBuf::from("/usr/local/share/fonts"),
        home.join(".fonts"),
        home.join(".local/share/fonts"),
    ]
    .iter()
    .any(|folder| holds_font(folder, 5))
}

fn holds_font(folder: &Path, depth: usize) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let path = entry.path();
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default();
        matches!(
            extension.to_ascii_lowercase().as_str(),
            "ttf" | "otf" | "ttc"
        ) || (depth > 0 && path.is_dir() && holds_font(&path, depth - 1))
    })
}
