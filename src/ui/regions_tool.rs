//! Regions in the window: what is open and drawn, the tools that draw, and the numbers against every map.
//!
//! Everything is kept in pixels of the source image; the viewport places it on the screen, so zoom and pan change no region.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::Context;
use poll_promise::Promise;

use super::app::{App, Message};
use super::case::Case;
use super::heat::Heat;
use crate::error::Result;
use crate::evaluate::localisation::{Cover, Localisation};
use crate::export::write_whole;
use crate::image::geometry::Affine;
use crate::regions::{Region, Regions, Shape, to_coco, union_mask};
use crate::session::{Picture, counted_notice, open_regions};
use crate::text::{region as words, window};

/// What is drawn next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// A rectangle, by a drag from corner to corner.
    Box,
    /// An ellipse, by a drag from corner to corner of the box around it.
    Ellipse,
    /// A closed line, by a drag along it.
    Freehand,
}

/// A shape in the making.
pub(super) struct Draft {
    pub(super) panel: usize,
    pub(super) tool: Tool,
    pub(super) path: Vec<[f64; 2]>,
}

/// The closed lines around one region.
type Outline = Vec<Vec<[f64; 2]>>;

/// A file that is to be opened.
struct Pending {
    path: PathBuf,
    /// The picture that another one is on its way to replace.
    after: Option<Arc<Picture>>,
    /// Asked for by the user: then a failure is an error, else a note.
    asked: bool,
}

/// How the regions lie on the grid of a panel's map.
struct Counted {
    version: u64,
    of: String,
    label: String,
    grid: [usize; 2],
    affine: Affine,
    cover: Cover,
}

/// Tools in hand, for whichever picture the pointer is on.
#[derive(Default)]
pub(super) struct Pen {
    pub(super) tool: Option<Tool>,
    pub(super) draft: Option<Draft>,
    pub(super) path_box: String,
    /// Borders of the layer's own cells are drawn.
    pub(super) cells: bool,
}

/// What each panel's map has in common with the regions of its picture.
#[derive(Default)]
pub(super) struct Measured {
    /// One for each panel.
    pub(super) numbers: Vec<Option<Localisation>>,
    counted: Vec<Option<Counted>>,
}

/// Regions of a case.
#[derive(Default)]
pub(super) struct Drawn {
    pub(super) set: Regions,
    pub(super) selected: Option<usize>,
    /// What is said about the file or the labels.
    pub(super) notes: Vec<String>,
    /// The file that they came from.
    file: Option<PathBuf>,
    pending: Option<Pending>,
    opening: Option<(Promise<Result<Regions>>, PathBuf, bool)>,
    /// The picture that they belong to, by [`Picture::key`].
    of: String,
    /// Regions of pictures that were open before, with the files that they came from.
    kept: BTreeMap<String, (Regions, Option<PathBuf>)>,
    /// Grows with every change.
    pub(super) version: u64,
    pub(super) outlines: Option<(u64, Vec<Outline>)>,
    /// The regions that count for a label, as a mask.
    masks: BTreeMap<String, (u64, Arc<Vec<bool>>)>,
    shared: Option<(u64, Arc<Regions>)>,
}

impl Drawn {
    /// Says that the set was changed.
    pub(super) fn changed(&mut self) {
        self.version += 1;
    }

    /// Adds a region and selects it.
    fn add(&mut self, shape: Shape, label: String) {
        self.set.list.push(Region {
            shape,
            label,
            origin: String::new(),
        });
        self.selected = Some(self.set.list.len() - 1);
        self.changed();
    }

    /// Takes the selected region away.
    pub(super) fn delete(&mut self) {
        if let Some(at) = self.selected.take()
            && at < self.set.list.len()
        {
            self.set.list.remove(at);
            self.changed();
        }
    }

    fn mask(&mut self, label: &str) -> Arc<Vec<bool>> {
        match self.masks.get(label) {
            Some((version, mask)) if *version == self.version => Arc::clone(mask),
            _ => {
                let mask = Arc::new(union_mask(&self.set.about(label), self.set.size));
                let kept = (self.version, Arc::clone(&mask));
                self.masks.insert(label.to_owned(), kept);
                mask
            }
        }
    }
}

impl Case {
    /// Opens a file of regions for the open X-ray, or for the one that was just asked for.
    pub(super) fn open_regions(&mut self, path: &Path, with_new_picture: bool) -> Option<Message> {
        if self.picture.is_none() && !with_new_picture && !self.session.is_busy() {
            return Some(Message::Error(words::NO_PICTURE.to_owned()));
        }
        self.drawn.pending = Some(Pending {
            path: path.to_owned(),
            after: self.picture.clone().filter(|_| with_new_picture),
            asked: true,
        });
        None
    }

    /// Keeps the regions with their picture, and takes in what was read. Once a frame.
    pub(super) fn follow_regions(&mut self, ctx: &Context) -> Option<Message> {
        let picture = self.picture.clone()?;
        if self.drawn.of != picture.key() {
            self.drawn.change_picture(&picture);
        }
        let is_new = |pending: &Pending| match &pending.after {
            Some(old) => !Arc::ptr_eq(old, &picture) || !self.session.is_busy(),
            None => true,
        };
        if self.drawn.opening.is_none()
            && let Some(pending) = self.drawn.pending.take_if(|pending| is_new(pending))
        {
            let (path, source, ctx) =
                (pending.path.clone(), self.image_source.clone(), ctx.clone());
            let picture = Arc::clone(&picture);
            let promise = Promise::spawn_thread("camlens-regions", move || {
                let regions = open_regions(&path, &picture, &source);
                ctx.request_repaint();
                regions
            });
            self.drawn.opening = Some((promise, pending.path, pending.asked));
        }
        let (promise, path, asked) = self.drawn.opening.take()?;
        match promise.try_take() {
            Ok(regions) => self
                .drawn
                .take_regions(regions, path, asked, picture.size()),
            Err(promise) => {
                self.drawn.opening = Some((promise, path, asked));
                None
            }
        }
    }

    /// Suggested name of a file of regions.
    pub(super) fn regions_file_name(&self) -> String {
        let stem = self.picture.as_ref().map(|p| p.stem()).unwrap_or_default();
        format!(
            "{}.json",
            crate::export::safe_name(&format!("{stem} regions"))
        )
    }
}

impl Drawn {
    fn take_regions(
        &mut self,
        regions: Result<Regions>,
        path: PathBuf,
        asked: bool,
        size: [usize; 2],
    ) -> Option<Message> {
        match regions {
            Ok(regions) if regions.size == size => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let words = words::opened(regions.list.len(), &name);
                self.set = regions;
                self.selected = None;
                self.file = Some(path);
                self.changed();
                asked.then_some(Message::Done(words))
            }
            // Of a picture that has gone meanwhile.
            Ok(_) => None,
            Err(error) if asked => Some(Message::Error(error.to_string())),
            Err(error) => {
                // The same file for the next picture: that it holds nothing for it is no fault.
                self.set.notices = vec![error.to_string()];
                self.file = Some(path);
                None
            }
        }
    }

    fn change_picture(&mut self, picture: &Picture) {
        let mut set = std::mem::replace(&mut self.set, Regions::none(picture.size()));
        let (of, file) = (std::mem::take(&mut self.of), self.file.take());
        // Drawn in the frame in which a first picture came: they are meant for it.
        let early = match of.is_empty() {
            true => std::mem::take(&mut set.list),
            false => Vec::new(),
        };
        if !set.list.is_empty() {
            self.kept.insert(of, (set, file.clone()));
        }
        self.of = picture.key();
        self.selected = None;
        if let Some((set, file)) = self.kept.remove(&self.of) {
            self.set = set;
            self.file = file;
        } else if self.pending.is_none() {
            self.pending = file.map(|path| Pending {
                path,
                after: None,
                asked: false,
            });
        }
        self.set.list.extend(early);
        self.changed();
    }

    /// The regions, for whoever keeps them.
    pub(super) fn shared(&mut self) -> Arc<Regions> {
        match &self.shared {
            Some((version, set)) if *version == self.version => Arc::clone(set),
            _ => {
                let set = Arc::new(self.set.clone());
                self.shared = Some((self.version, Arc::clone(&set)));
                set
            }
        }
    }

    /// Key of the picture that the regions belong to; empty before there is one.
    pub(super) fn of(&self) -> &str {
        &self.of
    }

    /// Has these regions hold for the picture of this hash: at once where it is open, else when it comes.
    pub(super) fn restore(&mut self, of: &str, set: Regions) {
        if self.of == of {
            self.set = set;
            self.selected = self.selected.filter(|&i| i < self.set.list.len());
            self.changed();
        } else {
            self.kept.insert(of.to_owned(), (set, None));
        }
    }
}

impl App {
    /// The regions of the selected panel's X-ray.
    pub fn regions(&self) -> &Regions {
        self.case().regions()
    }

    /// The tool that a drag draws with.
    pub fn region_tool(&self) -> Option<Tool> {
        self.pen.tool
    }

    /// Index of the selected region.
    pub fn selected_region(&self) -> Option<usize> {
        self.case().drawn.selected
    }

    /// How far a panel's map, as it is shown, agrees with the regions; `None` where there are none or no map.
    pub fn localisation(&self, panel: usize) -> Option<Localisation> {
        self.measured.numbers.get(panel).copied().flatten()
    }

    /// Takes a tool in hand.
    pub(super) fn take_tool(&mut self, tool: Option<Tool>) {
        self.pen.tool = tool;
        self.pen.draft = None;
    }

    /// Whether Escape has something to leave.
    pub(super) fn has_tool(&self) -> bool {
        let drawn = &self.case().drawn;
        self.pen.tool.is_some() || drawn.selected.is_some() || self.pen.draft.is_some()
    }

    /// Leaves the tool, or the selection where there is none.
    pub(super) fn leave_tool(&mut self) {
        if self.pen.draft.take().is_none() && self.pen.tool.take().is_none() {
            self.case_mut().drawn.selected = None;
        }
    }

    /// Opens a file of regions for the open X-ray, or for the one that was just asked for.
    pub fn open_regions(&mut self, path: &Path, with_new_picture: bool) {
        if let Some(message) = self.case_mut().open_regions(path, with_new_picture) {
            self.say(message);
        }
    }

    /// Opens what the box for paths of regions says.
    pub(super) fn open_regions_box(&mut self) {
        let typed = std::mem::take(&mut self.pen.path_box);
        let path = typed.trim().trim_matches(['"', '\'']);
        let path = path.strip_prefix("file://").unwrap_or(path);
        if !path.is_empty() {
            self.open_regions(Path::new(path), false);
        }
    }

    /// Writes the regions as COCO JSON.
    pub(super) fn save_regions(&mut self, path: &Path) {
        let path = match path.extension() {
            Some(_) => path.to_owned(),
            None => path.with_extension("json"),
        };
        let case = self.case();
        let name = case.picture.as_ref().map(|p| p.name.clone());
        let text = to_coco(&case.drawn.set, &name.unwrap_or_default());
        match write_whole(&path, text.as_bytes()) {
            Ok(()) => self.say(Message::Done(window::exported(&path))),
            Err(error) => self.say(Message::Error(error.to_string())),
        }
    }

    /// Adds a shape in the middle of what is seen: the way without a mouse.
    pub(super) fn add_in_the_middle(&mut self, tool: Tool) {
        let Some(size) = self.case().size().map(|size| size.map(|side| side as f64)) else {
            return;
        };
        let view = self.view_of(self.grid.selected);
        let centre = [0, 1].map(|axis| f64::from(view.centre[axis]) * size[axis]);
        let half = size[0].min(size[1]) / f64::from(view.zoom) / 8.0;
        let corners = [centre.map(|v| v - half), centre.map(|v| v + half)];
        if let Some(shape) = shape_of(tool, &corners) {
            self.finish_shape(shape, self.grid.selected);
        }
    }

    /// Takes in a shape that was drawn on a panel.
    pub(super) fn finish_shape(&mut self, shape: Shape, panel: usize) {
        // What is drawn while a finding is explained is meant for it.
        let label = self.label_of(panel);
        self.case_at_mut(panel).drawn.add(shape, label);
    }

    /// Measures every panel's map, as it is shown, against the regions of its picture.
    pub(super) fn measure_regions(&mut self) {
        let count = self.cells.len();
        self.measured.counted.resize_with(count, || None);
        for case in self.cases.iter_mut() {
            let label = case
                .target
                .map(|class| case.label(class))
                .unwrap_or_default();
            let drawn = &mut case.drawn;
            drawn.notes = drawn.set.notices.clone();
            if !drawn.set.list.is_empty() {
                drawn.notes.extend(counted_notice(&drawn.set, &label));
            }
        }
        self.measured.numbers = (0..count)
            .map(|i| {
                let label = self.label_of(i);
                let (cell, field) = (self.cells.get(i)?, self.heats.get(i).and_then(Heat::field)?);
                let drawn = &mut self.cases.get_mut(self.grid.panels.get(i)?.case).drawn;
                if drawn.set.list.is_empty() || field.source_size != drawn.set.size {
                    return None;
                }
                let grid = [field.width, field.height];
                let slot = self.measured.counted.get_mut(i)?;
                let stands = slot.as_ref().is_some_and(|c| {
                    c.version == drawn.version
                        && c.of == drawn.of
                        && c.label == label
                        && c.grid == grid
                        && c.affine == field.source_from_field
                });
                if !stands {
                    *slot = Some(Counted {
                        version: drawn.version,
                        of: drawn.of.clone(),
                        grid,
                        affine: field.source_from_field,
                        cover: Cover::of_field(&drawn.mask(&label), field),
                        label,
                    });
                }
                let post = cell.look.post;
                let cover = &slot.as_ref()?.cover;
                Some(cover.measure(&field.values, cell.range, post.sign, post.cut))
            })
            .collect();
    }
}

/// The shape of a finished drag; `None` where it has no area.
pub(super) fn shape_of(tool: Tool, path: &[[f64; 2]]) -> Option<Shape> {
    let (a, b) = (path.first()?, path.last()?);
    let [x, y] = [0, 1].map(|axis| a[axis].min(b[axis]));
    let [w, h] = [0, 1].map(|axis| (a[axis] - b[axis]).abs());
    match tool {
        Tool::Freehand => (path.len() >= 3).then(|| Shape::Polygon(vec![path.to_vec()])),
        _ if w <= 0.0 || h <= 0.0 => None,
        Tool::Box => Some(Shape::Box { x, y, w, h }),
        Tool::Ellipse => Some(Shape::Ellipse {
            cx: x + w / 2.0,
            cy: y + h / 2.0,
            rx: w / 2.0,
            ry: h / 2.0,
        }),
    }
}
