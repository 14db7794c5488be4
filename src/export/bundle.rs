//! A folder of results that is either all there or not there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use tempfile::{Builder, TempDir};

use crate::error::Result;
use crate::text::fault;

/// Prefix of the hidden folders and files that hold unfinished exports.
const PARTIAL: &str = ".camlens-partial-";

/// Files on their way into a folder.
///
/// [`Bundle::write`] puts them into a hidden folder beside their destination (inside it, where it
/// exists); [`Bundle::finish`] moves them into place, the manifest last. When anything fails, or the
/// bundle is dropped unfinished, what was there before is there again, untouched.
#[derive(Debug)]
pub struct Bundle {
    dir: PathBuf,
    staging: TempDir,
    /// Names inside the folder, in the order of their names.
    files: BTreeMap<String, PathBuf>,
    /// Parents that did not exist before, outermost first.
    made: Vec<PathBuf>,
}

impl Bundle {
    /// Prepares an export into `dir`, which may or may not exist.
    ///
    /// # Errors
    /// Where nothing can be written there: no permission, a file in the way, a read-only disk. Nothing
    /// was changed then.
    pub fn create(dir: &Path) -> Result<Self> {
        let failed = |error: io::Error| fault::write_io(dir, &error);
        let dir = std::path::absolute(dir).map_err(failed)?;
        if dir.is_dir() {
            let staging = staging_in(&dir).map_err(failed)?;
            return Ok(Self {
                dir,
                staging,
                files: BTreeMap::new(),
                made: Vec::new(),
            });
        }
        if fs::symlink_metadata(&dir).is_ok() {
            return Err(failed(io::Error::from(io::ErrorKind::NotADirectory)));
        }
        let parent = dir.parent().unwrap_or(Path::new("/")).to_path_buf();
        let missing: Vec<PathBuf> = parent
            .ancestors()
            .take_while(|folder| fs::symlink_metadata(folder).is_err())
            .map(Path::to_path_buf)
            .collect();
        let mut made = Vec::new();
        let prepared = missing
            .into_iter()
            .rev()
            .try_for_each(|folder| {
                fs::create_dir(&folder)?;
                made.push(folder);
                Ok(())
            })
            .and_then(|()| staging_in(&parent));
        match prepared {
            Ok(staging) => Ok(Self {
                dir,
                staging,
                files: BTreeMap::new(),
                made,
            }),
            Err(error) => {
                remove_empty(&made);
                Err(failed(error))
            }
        }
    }

    /// The folder that the files will be in, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Adds a file. `name` is relative and stays inside the folder; it may have sub-folders. A name
    /// that was given before is replaced.
    ///
    /// # Errors
    /// Where the name leaves the folder, or the disk refuses.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let inside = Path::new(name);
        let plain = inside
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || name.ends_with('/') || !plain {
            return Err(fault::bundle_name(name));
        }
        let staged = self.staging.path().join("new").join(inside);
        write_new(&staged, bytes)
            .map_err(|error| fault::write_io(&self.dir.join(inside), &error))?;
        self.files.insert(name.to_owned(), staged);
        Ok(())
    }

    /// Writes the manifest and moves everything into place, the manifest last: while it is missing,
    /// the folder is not finished. Files of the same names are replaced, others are left alone.
    /// Returns the folder's files, the manifest last.
    ///
    /// # Errors
    /// As [`Bundle::write`]; the folder is then as it was before.
    pub fn finish(mut self, manifest_name: &str, manifest: &[u8]) -> Result<Vec<PathBuf>> {
        self.write(manifest_name, manifest)?;
        let mut names: Vec<String> = self.files.keys().cloned().collect();
        // Not sorted among the others: last.
        names.retain(|name| name != manifest_name);
        names.push(manifest_name.to_owned());
        let placed: Vec<PathBuf> = names.iter().map(|name| self.dir.join(name)).collect();

        let mut moves = Moves::default();
        if let Err(error) = self.place(&names, &mut moves) {
            let at = moves.failed_at.take().unwrap_or(self.dir.clone());
            moves.undo();
            return Err(fault::write_io(&at, &error));
        }
        self.made.clear();
        Ok(placed)
    }

    fn place(&self, names: &[String], moves: &mut Moves) -> io::Result<()> {
        if !self.dir.is_dir() {
            moves.folder(&self.dir)?;
        }
        let old = self.staging.path().join("old");
        // Old files step aside first, the manifest before the others, so that at no time an old
        // manifest stands beside new files.
        for name in names.iter().rev() {
            let target = self.dir.join(name);
            match fs::symlink_metadata(&target) {
                Ok(facts) if facts.is_dir() => {
                    moves.failed_at = Some(target);
                    return Err(io::Error::from(io::ErrorKind::IsADirectory));
                }
                Ok(_) => moves.rename(&target, &old.join(name))?,
                Err(_) => {}
            }
        }
        for name in names {
            if let Some(staged) = self.files.get(name) {
                moves.rename(staged, &self.dir.join(name))?;
            }
        }
        Ok(())
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        // The staging folder sits in the innermost of the made folders: it goes first.
        let _ = fs::remove_dir_all(self.staging.path());
        remove_empty(&self.made);
    }
}

/// What was moved, so that it can be moved back.
#[derive(Default)]
struct Moves {
    done: Vec<(PathBuf, PathBuf)>,
    made: Vec<PathBuf>,
    failed_at: Option<PathBuf>,
}

impl Moves {
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let step = |moves: &mut Self| {
            if let Some(parent) = to.parent() {
                moves.folder(parent)?;
            }
            fs::rename(from, to)
        };
        step(self).inspect_err(|_| self.failed_at = Some(to.to_path_buf()))?;
        self.done.push((from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    fn folder(&mut self, folder: &Path) -> io::Result<()> {
        let missing: Vec<&Path> = folder
            .ancestors()
            .take_while(|folder| fs::symlink_metadata(folder).is_err())
            .collect();
        for folder in missing.into_iter().rev() {
            fs::create_dir(folder).inspect_err(|_| self.failed_at = Some(folder.to_path_buf()))?;
            self.made.push(folder.to_path_buf());
        }
        Ok(())
    }

    fn undo(&mut self) {
        while let Some((from, to)) = self.done.pop() {
            // Renames on one disk that just worked the other way.
            let _ = fs::rename(to, from);
        }
        remove_empty(&self.made);
    }
}

/// Removes folders that we made, innermost first, as far as they are empty.
fn remove_empty(made: &[PathBuf]) {
    for folder in made.iter().rev() {
        let _ = fs::remove_dir(folder);
    }
}

fn staging_in(folder: &Path) -> io::Result<TempDir> {
    Builder::new().prefix(PARTIAL).tempdir_in(folder)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, bytes)
}

/// Writes one file whole or not at all: into a hidden file beside it, which then takes its place.
///
/// # Errors
/// Where the folder does not exist or nothing can be written there; an existing file is then
/// untouched.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let step = || -> io::Result<()> {
        if path.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let whole = std::path::absolute(path)?;
        let folder = whole.parent().unwrap_or(Path::new("/"));
        let mut builder = Builder::new();
        builder.prefix(PARTIAL);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // As any new file, less the umask; a temporary file would be for its owner alone.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let mut partial = builder.tempfile_in(folder)?;
        partial.write_all(bytes)?;
        partial.as_file().sync_all()?;
        partial.persist(&whole).map_err(|error| error.error)?;
        Ok(())
    };
    step().map_err(|error| fault::write_io(path, &error))
}

/// A name for a file made of method, layer or image names: what file systems refuse becomes `_`.
pub fn safe_name(name: &str) -> String {
    let safe: String = name
        .chars()
        .map(|c| match c {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
            c if c.is_control() => '_',
            c => c,
        })
        .take(120)
        .collect();
    match safe.trim_start_matches('.') {
        "" => "unnamed".to_owned(),
        _ if safe.starts_with('.') => format!("_{safe}"),
        _ => safe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_safe() {
        assert_eq!(safe_name("layer4.2.conv3"), "layer4.2.conv3");
        assert_eq!(safe_name("grad-cam++"), "grad-cam++");
        assert_eq!(safe_name("a/b\\c:d"), "a_b_c_d");
        assert_eq!(safe_name("../x"), "_.._x");
        assert_eq!(safe_name(""), "unnamed");
        assert_eq!(safe_name(".."), "unnamed");
    }
}
