//! The files of a folder or DICOMDIR, or those that were dropped together: read on a thread, with thumbnails of the rows on screen.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use egui::{ColorImage, Context, TextureHandle, TextureOptions};
use poll_promise::Promise;

use crate::error::Result;
use crate::job::Job;
use crate::session::listing::{Listing, Thumbnails, list, list_files};
use crate::text::files as words;

/// Longest side of a thumbnail, in pixels; rows are half as high in points.
const THUMBNAIL: usize = 112;

/// A list and what is known of it by now.
pub(super) struct FileList {
    /// What it is a list of, in words.
    pub(super) title: String,
    /// Its first picture is to be opened once the list stands, with this file of regions.
    first: Option<Option<PathBuf>>,
    listing: Promise<Result<Listing>>,
    thumbnails: Thumbnails,
    /// `None` where there will be none.
    textures: HashMap<PathBuf, Option<TextureHandle>>,
}

impl FileList {
    /// Begins to list a folder.
    pub(super) fn open(ctx: &Context, folder: &Path) -> Self {
        let name = folder.file_name().unwrap_or(folder.as_os_str());
        let title = words::title(&name.to_string_lossy());
        let path = folder.to_owned();
        Self::begin(ctx, title, move || list(&path, &Job::default()))
    }

    /// Begins to list files that were chosen together; the first of the list is to be opened, with `regions` where there
    /// is such a file among them.
    pub(super) fn of_files(ctx: &Context, files: Vec<PathBuf>, regions: Option<PathBuf>) -> Self {
        let title = words::title_of_files(files.len());
        let list = Self::begin(ctx, title, move || list_files(&files, &Job::default()));
        Self {
            first: Some(regions),
            ..list
        }
    }

    fn begin(
        ctx: &Context,
        title: String,
        make: impl FnOnce() -> Result<Listing> + Send + 'static,
    ) -> Self {
        let wake = ctx.clone();
        let listing = Promise::spawn_thread("camlens-list", move || {
            let listing = make();
            wake.request_repaint();
            listing
        });
        let wake = ctx.clone();
        Self {
            title,
            first: None,
            listing,
            thumbnails: Thumbnails::start(THUMBNAIL, move || wake.request_repaint()),
            textures: HashMap::new(),
        }
    }

    /// The list, once it stands.
    pub(super) fn listing(&self) -> Option<&Result<Listing>> {
        self.listing.ready()
    }

    /// The thumbnail of a file that is on screen; it is made when it is first asked for.
    pub(super) fn thumbnail(&mut self, ctx: &Context, path: &Path) -> Option<&TextureHandle> {
        for (path, picture) in self.thumbnails.take() {
            let texture = picture.ok().map(|picture| {
                let size = [picture.width() as usize, picture.height() as usize];
                let pixels = ColorImage::from_rgb(size, picture.as_raw());
                ctx.load_texture("thumbnail", pixels, TextureOptions::LINEAR)
            });
            self.textures.insert(path, texture);
        }
        if !self.textures.contains_key(path) {
            self.textures.insert(path.to_owned(), None);
            self.thumbnails.want(path);
        }
        self.textures.get(path)?.as_ref()
    }

    /// The picture that is to be opened now that the list stands, with its file of regions; once.
    pub(super) fn take_first(&mut self) -> Option<(PathBuf, Option<PathBuf>)> {
        self.listing()?;
        let regions = self.first.take()?;
        Some((self.neighbour(Path::new(""), 0)?, regions))
    }

    /// The picture that stands so many places from `now`; the first where `now` is not in the list.
    pub(super) fn neighbour(&self, now: &Path, step: isize) -> Option<PathBuf> {
        let listing = self.listing()?.as_ref().ok()?;
        let pictures: Vec<&PathBuf> = listing
            .entries
            .iter()
            .filter(|entry| entry.problem.is_none())
            .map(|entry| &entry.path)
            .collect();
        let at = pictures.iter().position(|path| path.as_path() == now);
        let next = match at {
            Some(at) => at.checked_add_signed(step)?,
            None => 0,
        };
        pictures.get(next).map(|path| (*path).clone())
    }
}
