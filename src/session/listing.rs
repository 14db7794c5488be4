//! A folder, a DICOM medium or a mixed heap of files, as a list in a viewer's order.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use ::image::RgbImage;
use serde::Serialize;

use super::picture::Picture;
use crate::error::Result;
use crate::image::display::{Display, render};
use crate::image::record::{DicomFacts, Identity};
use crate::image::{Image, Probe, probe, resize_rgb};
use crate::job::Job;
use crate::plan::ImageSource;
use crate::text::{fault, notice};

/// Files that a list takes.
pub const MAX_ENTRIES: usize = 10_000;
/// Folders inside folders that are gone through.
const MAX_DEPTH: usize = 8;

/// One file of a list.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Where it is, below the folder that was listed.
    pub name: String,
    /// The path to open.
    #[serde(skip)]
    pub path: PathBuf,
    /// PNG, DICOM, ...; `None` for what is no picture.
    pub format: Option<&'static str>,
    /// `[width, height]` in pixels.
    pub size: Option<[usize; 2]>,
    /// Of DICOM files.
    pub dicom: Option<DicomFacts>,
    /// Why it cannot be opened.
    pub problem: Option<String>,
    /// Who it is of, for the screen only.
    #[serde(skip)]
    pub identity: Option<Identity>,
}

/// A list.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Listing {
    /// Pictures first, in a viewer's order: patient, study, series, number in the series, then file name with its
    /// numbers by size; last what cannot be opened.
    pub entries: Vec<Entry>,
    /// What to know about the list.
    pub notices: Vec<String>,
}

/// Lists a folder with its folders, or what a DICOMDIR names.
///
/// # Errors
/// The folder or directory cannot be read, or the user stopped.
pub fn list(path: &Path, job: &Job) -> Result<Listing> {
    let mut paths = Vec::new();
    if path.is_dir() {
        let mut whole = true;
        walk(path, 0, &mut paths, &mut whole)?;
        return entries(path, paths, whole, job);
    }
    let root = path.parent().unwrap_or(Path::new(""));
    paths.extend(directory_files(root, probe(path)?).unwrap_or_else(|| vec![path.to_path_buf()]));
    entries(root, paths, true, job)
}

/// Lists files and folders that were chosen one by one, for example dropped together. Names are told below the folder
/// that all of them lie in.
///
/// # Errors
/// A folder cannot be read, or the user stopped. A file that cannot be read is listed with its problem.
pub fn list_files(chosen: &[PathBuf], job: &Job) -> Result<Listing> {
    let (mut paths, mut whole) = (Vec::new(), true);
    for path in chosen {
        if path.is_dir() {
            walk(path, 0, &mut paths, &mut whole)?;
        } else if paths.len() < MAX_ENTRIES {
            paths.push(path.clone());
        } else {
            whole = false;
        }
    }
    let mut seen = BTreeSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    entries(&folder_of(chosen), paths, whole, job)
}

/// The folder that all paths lie in, however deep.
fn folder_of(paths: &[PathBuf]) -> PathBuf {
    let mut folders = paths.iter().map(|path| path.parent().unwrap_or(path));
    let first = folders.next().unwrap_or(Path::new("")).to_path_buf();
    folders.fold(first, |common, folder| {
        let same = common.components().zip(folder.components());
        same.take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
    })
}

/// Looks into every file.
fn entries(root: &Path, mut paths: Vec<PathBuf>, whole: bool, job: &Job) -> Result<Listing> {
    let mut listing = Listing::default();
    if !whole {
        listing.notices.push(notice::list_is_cut(MAX_ENTRIES));
    }
    let mut seen: BTreeSet<PathBuf> = paths.iter().cloned().collect();
    let mut at = 0;
    while let Some(path) = paths.get(at).cloned() {
        job.check()?;
        at += 1;
        let name = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .to_string_lossy()
            .into_owned();
        let mut entry = Entry {
            name,
            path: path.clone(),
            format: None,
            size: None,
            dicom: None,
            problem: None,
            identity: None,
        };
        if is_array(&path) {
            match open_array(&path) {
                Ok(picture) => {
                    entry.format = Some(ARRAY);
                    entry.size = Some(picture.size());
                }
                Err(error) => entry.problem = Some(error.to_string()),
            }
            listing.entries.push(entry);
            continue;
        }
        match probe(&path) {
            Ok(found) if found.directory.is_some() => {
                let folder = path.parent().unwrap_or(root);
                for named in directory_files(folder, found).unwrap_or_default() {
                    // What the folder holds anyway is listed once; what is missing is listed as missing.
                    if paths.len() < MAX_ENTRIES && seen.insert(named.clone()) {
                        paths.push(named);
                    }
                }
                continue;
            }
            Ok(found) => {
                entry.format = Some(found.format);
                entry.size = Some(found.size);
                if let Some(record) = found.record {
                    entry.dicom = Some(record.facts);
                    entry.identity = Some(record.identity);
                }
            }
            Err(error) => entry.problem = Some(error.to_string()),
        }
        listing.entries.push(entry);
    }
    listing.entries.sort_by(order);
    Ok(listing)
}

fn walk(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>, whole: &mut bool) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|e| fault::read(folder, &e))?;
    let mut inside: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    inside.sort_by(|a, b| natural(&a.to_string_lossy(), &b.to_string_lossy()));
    for path in inside {
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if paths.len() >= MAX_ENTRIES {
            *whole = false;
            return Ok(());
        }
        // Links to folders could lead round in a circle.
        let is_link = std::fs::symlink_metadata(&path).is_ok_and(|facts| facts.is_symlink());
        if path.is_dir() {
            if depth < MAX_DEPTH && !is_link {
                // One folder without permission is no reason to show none.
                let _ = walk(&path, depth + 1, paths, whole);
            }
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

/// Paths that a DICOM directory names, below its own folder. Case is forgiven: media are often copied to
/// systems that keep it.
fn directory_files(root: &Path, found: Probe) -> Option<Vec<PathBuf>> {
    let files = found.directory?;
    let inside = |parts: &Vec<String>| {
        let plain = parts
            .iter()
            .all(|part| !part.is_empty() && part != ".." && !part.contains(['/', '\\', '\0']));
        plain.then(|| {
            parts.iter().fold(root.to_path_buf(), |path, part| {
                let exact = path.join(part);
                let lower = path.join(part.to_lowercase());
                if !exact.exists() && lower.exists() {
                    lower
                } else {
                    exact
                }
            })
        })
    };
    Some(files.iter().filter_map(inside).take(MAX_ENTRIES).collect())
}

fn order(a: &Entry, b: &Entry) -> Ordering {
    let readable = |entry: &Entry| entry.problem.is_some();
    let plain = |entry: &Entry| entry.dicom.is_none();
    readable(a)
        .cmp(&readable(b))
        .then(plain(a).cmp(&plain(b)))
        .then_with(|| match (&a.identity, &b.identity) {
            (Some(x), Some(y)) => (&x.name, &x.id)
                .cmp(&(&y.name, &y.id))
                .then(x.study_date.cmp(&y.study_date))
                .then(x.uids.first().cmp(&y.uids.first())),
            _ => Ordering::Equal,
        })
        .then_with(|| match (&a.dicom, &b.dicom) {
            (Some(x), Some(y)) => {
                let series =
                    |entry: &Entry| entry.identity.as_ref().and_then(|i| i.uids[1].clone());
                x.series_number
                    .cmp(&y.series_number)
                    .then_with(|| series(a).cmp(&series(b)))
                    .then(x.instance_number.cmp(&y.instance_number))
            }
            _ => Ordering::Equal,
        })
        .then_with(|| natural(&a.name, &b.name))
}

/// Names in the order of people: `a2` before `a10`, large and small letters alike.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    loop {
        let (Some(x), Some(y)) = (a_rest.chars().next(), b_rest.chars().next()) else {
            return a_rest.len().cmp(&b_rest.len()).then_with(|| a.cmp(b));
        };
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let digits = |text: &str| {
                text.find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(text.len())
            };
            let ((x, x_next), (y, y_next)) = (
                a_rest.split_at(digits(a_rest)),
                b_rest.split_at(digits(b_rest)),
            );
            let (x, y) = (x.trim_start_matches('0'), y.trim_start_matches('0'));
            let compared = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
            if compared != Ordering::Equal {
                return compared;
            }
            (a_rest, b_rest) = (x_next, y_next);
            continue;
        }
        let compared = x.to_lowercase().cmp(y.to_lowercase());
        if compared != Ordering::Equal {
            return compared;
        }
        (a_rest, b_rest) = (
            a_rest.get(x.len_utf8()..).unwrap_or(""),
            b_rest.get(y.len_utf8()..).unwrap_or(""),
        );
    }
}

/// What lists call a ready input of a network.
const ARRAY: &str = "NumPy";

/// Whether a file is a ready input by its name. One in a safetensors file looks like a network until it is opened.
fn is_array(path: &Path) -> bool {
    (path.extension()).is_some_and(|ending| ending.eq_ignore_ascii_case("npy"))
}

fn open_array(path: &Path) -> Result<Picture> {
    Picture::open(&ImageSource::Path(path.to_path_buf()))
}

/// A small picture of a file, at most `side` pixels wide and high, its aspect kept.
///
/// # Errors
/// As [`Image::open`].
pub fn thumbnail(path: &Path, side: usize) -> Result<RgbImage> {
    let picture = if is_array(path) {
        RgbImage::clone(&open_array(path)?.display)
    } else {
        let image = Image::open(path)?;
        render(&image, &Display::at_first(&image))
    };
    let size = [picture.width(), picture.height()];
    let shrink = side as f64 / f64::from(size[0].max(size[1]).max(1));
    if shrink >= 1.0 {
        return Ok(picture);
    }
    let [width, height] = size
        .map(f64::from)
        .map(|length| ((length * shrink).round() as u32).max(1));
    resize_rgb(&picture, width, height)
}

/// What waits and whether the worker is to end.
#[derive(Default)]
struct Queue {
    wanted: Vec<PathBuf>,
    ended: bool,
}

/// Makes thumbnails in the background, what was asked for last first.
pub struct Thumbnails {
    queue: Arc<(Mutex<Queue>, Condvar)>,
    done: Receiver<(PathBuf, Result<RgbImage>)>,
}

impl Thumbnails {
    /// Starts the worker. `wake` is called after each thumbnail.
    pub fn start(side: usize, wake: impl Fn() + Send + 'static) -> Self {
        let queue: Arc<(Mutex<Queue>, Condvar)> = Arc::default();
        let (sender, done) = channel();
        let shared = Arc::clone(&queue);
        thread::spawn(move || work(&shared, &sender, side, &wake));
        Self { queue, done }
    }

    /// Asks for a file's thumbnail; asking again moves it to the front.
    pub fn want(&self, path: &Path) {
        let (queue, changed) = &*self.queue;
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.wanted.retain(|waiting| waiting != path);
        queue.wanted.push(path.to_path_buf());
        changed.notify_one();
    }

    /// Forgets what waits, for example because another folder was opened.
    pub fn forget(&self) {
        let (queue, _) = &*self.queue;
        queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .wanted
            .clear();
    }

    /// Thumbnails that are done since the last call; a file that cannot be shown comes with its reason.
    pub fn take(&self) -> Vec<(PathBuf, Result<RgbImage>)> {
        self.done.try_iter().collect()
    }
}

impl Drop for Thumbnails {
    fn drop(&mut self) {
        let (queue, changed) = &*self.queue;
        queue.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        changed.notify_all();
    }
}

fn work(
    shared: &(Mutex<Queue>, Condvar),
    sender: &Sender<(PathBuf, Result<RgbImage>)>,
    side: usize,
    wake: &dyn Fn(),
) {
    let (queue, changed) = shared;
    loop {
        let path = {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                if queue.ended {
                    return;
                }
                if let Some(path) = queue.wanted.pop() {
                    break path;
                }
                queue = changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        };
        let made = thumbnail(&path, side);
        if sender.send((path, made)).is_err() {
            return;
        }
        wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_order_of_size() {
        let mut names = ["im10", "IM2", "im1", "im", "im02b", "a/9", "a/10", "im2a"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(
            names,
            ["a/9", "a/10", "im", "im1", "IM2", "im2a", "im02b", "im10"]
        );
    }

    #[test]
    fn ready_inputs_are_listed_as_the_window_opens_them() {
        let folder = tempfile::tempdir().unwrap();
        let head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 20, 30), }";
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        let padded = (10 + head.len() + 1).next_multiple_of(64) - 10;
        bytes.extend((padded as u16).to_le_bytes());
        bytes.extend(head);
        bytes.resize(10 + padded - 1, b' ');
        bytes.push(b'\n');
        let good = folder.path().join("input.npy");
        let values = (0..600).flat_map(|i| (i as f32 * 0.01).to_le_bytes());
        std::fs::write(
            &good,
            bytes.iter().copied().chain(values).collect::<Vec<u8>>(),
        )
        .unwrap();
        let bad = folder.path().join("short.npy");
        std::fs::write(&bad, &bytes).unwrap();

        let found = list_files(&[bad, good.clone()], &Job::default()).unwrap();
        let [first, second] = found.entries.as_slice() else {
            panic!("{:?}", found.entries);
        };
        assert_eq!(
            (first.name.as_str(), first.size),
            ("input.npy", Some([30, 20]))
        );
        assert_eq!((first.format, &first.problem), (Some(ARRAY), &None));
        assert!(second.problem.is_some() && second.name == "short.npy");
        assert_eq!(thumbnail(&good, 15).unwrap().dimensions(), (15, 10));
    }
}
