//! How files come in: dialogs, drops, the path box, recent files, folders.

use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use egui::Context;

use super::app::{App, Message, Sheet};
use super::file_list::FileList;
use super::picker::{Answer, Ask};
use super::session_file::looks_like_session;
use crate::plan::{DeviceChoice, GivenFacts, ImageSource, ModelSource};
use crate::regions::looks_like_regions;
use crate::text::{session as session_words, window as words};

impl App {
    pub(super) fn open_image(&mut self, source: ImageSource) {
        self.case_mut().open_image(source);
    }

    pub(super) fn open_model(&mut self, source: ModelSource) {
        self.case_mut().open_model(source, GivenFacts::default());
    }

    /// Opens the network again on another device.
    pub(super) fn run_on(&mut self, choice: DeviceChoice) {
        self.messages.retain(|m| !matches!(m, Message::Device(_)));
        for case in self.cases.iter_mut() {
            case.stopped = false;
            case.session.set_device(choice);
        }
    }

    /// Opens the picture that stands before or after the open one in the folder's list.
    pub(super) fn step_file(&mut self, step: isize) {
        let Some(files) = &self.files else {
            self.say(Message::Error(words::NO_FOLDER.to_owned()));
            return;
        };
        // From the one that was asked for last: a second press must not wait for the first picture.
        let now = self.case().image_source.path().unwrap_or(Path::new(""));
        if let Some(path) = files.neighbour(now, step) {
            self.open_image(ImageSource::Path(path));
        }
    }

    /// Opens the frame so many places from the one that was last asked for; at the ends of the file nothing happens.
    pub(super) fn step_frame(&mut self, step: isize) {
        let frames = self.case().picture.as_ref().map_or(1, |p| p.frame[1]);
        if frames < 2 {
            self.say(Message::Error(words::ONE_FRAME.to_owned()));
            return;
        }
        let frame = self.case().frame_asked().saturating_add_signed(step);
        self.open_frame(frame.clamp(1, frames));
    }

    /// Opens a frame, from 1, of the file on screen.
    pub(super) fn open_frame(&mut self, frame: usize) {
        let case = self.case();
        if frame == case.frame_asked() {
            return;
        }
        if let (Some(path), Some(frame)) = (case.open_file(), NonZeroUsize::new(frame)) {
            let source = ImageSource::frame_of(path.to_owned(), frame);
            self.open_image(source);
        }
    }

    /// Opens a file or folder as what it looks like.
    pub fn open_path(&mut self, path: &Path) {
        self.store.opened(path);
        if looks_like_session(path) {
            self.open_session(path);
        } else if is_list(path) {
            self.files = Some(FileList::open(&self.ctx, path));
            self.sheet = Some(Sheet::Files);
        } else if looks_like_model(path) {
            self.open_model(ModelSource::Path(path.to_owned()));
        } else if looks_like_regions(path) {
            self.open_regions(path, false);
        } else {
            self.open_image(ImageSource::Path(path.to_owned()));
        }
    }

    pub(super) fn open_recent(&mut self, path: &Path) {
        if path.exists() {
            self.open_path(path);
        } else {
            self.store.settings.recent.retain(|other| other != path);
            self.say(Message::Error(session_words::gone(path)));
        }
    }

    /// Opens what the path box says.
    pub(super) fn open_path_box(&mut self) {
        let typed = std::mem::take(&mut self.path_box);
        // File managers copy paths in quotes or as URLs.
        let path = typed.trim().trim_matches(['"', '\'']);
        let path = path.strip_prefix("file://").unwrap_or(path);
        if !path.is_empty() {
            self.open_path(Path::new(path));
        }
    }

    /// Takes answers of dialogs and of the export.
    pub(super) fn take_answers(&mut self) {
        match self.picker.poll() {
            Some((Ask::Image, Answer::Chosen(path))) => {
                self.store.opened(&path);
                self.open_image(ImageSource::Path(path));
            }
            Some((Ask::Model, Answer::Chosen(path))) => {
                self.store.opened(&path);
                self.open_model(ModelSource::Path(path));
            }
            Some((Ask::Regions, Answer::Chosen(path))) => self.open_regions(&path, false),
            Some((Ask::SaveRegions(_), Answer::Chosen(path))) => self.save_regions(&path),
            Some((Ask::SaveRegions(name), Answer::Unavailable)) => {
                self.sheet = Some(Sheet::SaveRegions(in_home(&name)));
            }
            Some((Ask::Session, Answer::Chosen(path))) => self.open_path(&path),
            Some((Ask::SaveSession(_), Answer::Chosen(path))) => self.save_session(&path),
            Some((Ask::SaveSession(name), Answer::Unavailable)) => {
                self.sheet = Some(Sheet::SaveSession(in_home(&name)));
            }
            Some((Ask::SavePng(_), Answer::Chosen(path))) => self.start_export(path),
            Some((Ask::SavePng(name), Answer::Unavailable)) => {
                self.sheet = Some(Sheet::SavePath(in_home(&name)));
            }
            Some((_, Answer::Unavailable)) => self.say(Message::Error(words::NO_DIALOG.to_owned())),
            Some((_, Answer::Dismissed)) | None => {}
        }
        if let Some(promise) = self.export.take() {
            match promise.try_take() {
                Ok(Ok(path)) => self.say(Message::Done(words::exported(&path))),
                Ok(Err(error)) => self.say(Message::Error(error.to_string())),
                Err(promise) => self.export = Some(promise),
            }
        }
    }

    /// Opens the first picture of a list that was waited for.
    pub(super) fn follow_files(&mut self) {
        let first = self.files.as_mut().and_then(FileList::take_first);
        if let Some((path, regions)) = first {
            if let Some(regions) = regions {
                self.open_regions(&regions, true);
            }
            self.open_image(ImageSource::Path(path));
        }
    }

    /// Opens dropped files: one network and one file of regions at most; of several X-rays the first, with a list of
    /// all.
    pub(super) fn take_dropped(&mut self, ctx: &Context) {
        let dropped: Vec<PathBuf> = ctx.input(|i| {
            i.raw
                .dropped_files
                .iter()
                .map(|file| file.path().to_owned())
                .collect()
        });
        if dropped.is_empty() {
            return;
        }
        let (models, others): (Vec<PathBuf>, Vec<PathBuf>) = dropped
            .into_iter()
            .filter(|path| !path.as_os_str().is_empty())
            .partition(|path| looks_like_model(path));
        let (regions, images): (Vec<PathBuf>, Vec<PathBuf>) = others
            .into_iter()
            .partition(|path| looks_like_regions(path));
        if models.is_empty() && images.is_empty() && regions.is_empty() {
            self.say(Message::Error(words::DROPPED_WITHOUT_PATH.to_owned()));
        }
        if let Some(model) = models.first() {
            self.open_path(model);
        }
        for (kind, one) in [(words::MODELS, &models), (words::REGIONS, &regions)] {
            if let [first, others @ ..] = one.as_slice()
                && !others.is_empty()
            {
                let name = first.file_name().unwrap_or_default().to_string_lossy();
                let words = words::dropped_too_many(&name, others.len(), kind);
                self.say(Message::Error(words));
            }
        }
        let regions = regions.into_iter().next();
        match images.as_slice() {
            [] | [_] => {
                if let Some(regions) = &regions {
                    self.open_regions(regions, !images.is_empty());
                }
                if let Some(image) = images.first() {
                    self.open_path(image);
                }
            }
            _ => {
                self.files = Some(FileList::of_files(ctx, images, regions));
                self.sheet = Some(Sheet::Files);
            }
        }
    }
}

/// A suggested path where there is no dialog to choose one.
fn in_home(name: &str) -> String {
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    home.join(name).display().to_string()
}

/// Whether a path is opened as a network: by its name, and a `.safetensors` by what it holds, since
/// ready model inputs have that ending too.
fn looks_like_model(path: &Path) -> bool {
    let extension = path
        .extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default();
    match extension.as_str() {
        "safetensors" => !holds_only_input(path),
        "pth" | "pt" | "onnx" | "bin" | "ckpt" | "h5" => true,
        _ => path.is_dir() && !is_list(path),
    }
}

/// Whether a path is a list of pictures: a DICOMDIR, or a folder without a network in it.
fn is_list(path: &Path) -> bool {
    if path.is_dir() {
        let files = std::fs::read_dir(path).map(|dir| dir.flatten().map(|e| e.path()).collect());
        let files: Vec<PathBuf> = files.unwrap_or_default();
        let is_network = |file: &PathBuf| {
            let name = file.file_name().unwrap_or_default();
            name == "config.json" || (file.is_file() && looks_like_model(file))
        };
        return !files.iter().any(is_network);
    }
    path.file_name()
        .is_some_and(|name| name.eq_ignore_ascii_case("DICOMDIR"))
}

fn holds_only_input(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(4096).read_to_end(&mut head));
    let json = head.get(8..).unwrap_or_default();
    let Some(json) = read.ok().map(|_| String::from_utf8_lossy(json)) else {
        return false;
    };
    // The header of a file with one tensor is short and stands in the first bytes.
    json.contains("\"input\":") && json.matches("\"dtype\"").count() == 1
}
