//! A session file: what is open and how it is shown, as JSON, written whole or not at all.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::desk::Desk;
use crate::error::Result;
use crate::export::write_whole;
use crate::text::{APP, fault, session as words};

/// Ending of session files.
pub(super) const EXTENSION: &str = "camlens";
/// The format that is written; older ones are read as well.
const FORMAT: u64 = 1;

#[derive(Serialize)]
struct Written<'a> {
    program: &'a str,
    version: &'a str,
    format: u64,
    session: &'a Desk,
}

/// What is looked at before anything else is believed.
#[derive(Deserialize)]
struct Head {
    program: String,
    format: u64,
}

#[derive(Deserialize)]
struct Read {
    session: Desk,
}

/// Whether a path is opened as a session, by its name.
pub fn looks_like_session(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case(EXTENSION))
}

/// The file's text.
pub(super) fn to_json(desk: &Desk) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(&Written {
        program: APP,
        version: env!("CARGO_PKG_VERSION"),
        format: FORMAT,
        session: desk,
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Writes a session, with paths that do not hang on the folder in which the program was started.
///
/// # Errors
/// The file cannot be written; one that was there is then untouched.
pub(super) fn write(path: &Path, desk: &Desk) -> Result<()> {
    let mut desk = desk.clone();
    for named in desk.cases.iter_mut().flat_map(|case| case.paths_mut()) {
        if let Ok(whole) = std::path::absolute(&*named) {
            *named = whole;
        }
    }
    let bytes = to_json(&desk).map_err(|e| fault::write(path, &e))?;
    write_whole(path, &bytes)
}

/// Reads a session. A file that it names and that has moved is looked for beside the session.
///
/// # Errors
/// It cannot be read, is no session, or was written by a newer version.
pub(super) fn read(path: &Path) -> Result<Desk> {
    let bytes = std::fs::read(path).map_err(|e| fault::read(path, &e))?;
    let head: Head = serde_json::from_slice(&bytes).map_err(|e| words::not_a_session(path, &e))?;
    if head.program != APP {
        let why = format!("it says it is of '{}'", head.program);
        return Err(words::not_a_session(path, &why));
    }
    if head.format > FORMAT {
        return Err(words::from_the_future(path, head.format, FORMAT));
    }
    let read: Read = serde_json::from_slice(&bytes).map_err(|e| words::not_a_session(path, &e))?;
    let mut desk = read.session;
    if desk.cases.is_empty() {
        return Err(words::not_a_session(path, &"it names no case"));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    for named in desk.cases.iter_mut().flat_map(|case| case.paths_mut()) {
        found(named, folder);
    }
    Ok(desk)
}

fn found(named: &mut PathBuf, folder: &Path) {
    // A name alone is meant beside the session, wherever the program was started.
    let beside = match named.is_absolute() {
        true => named.file_name().map(|name| folder.join(name)),
        false => Some(folder.join(&*named)),
    };
    if let Some(beside) = beside
        && (!named.is_absolute() || !named.exists())
        && beside.exists()
    {
        *named = beside;
    }
}
