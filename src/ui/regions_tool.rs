//! Regions in the window: what is open and drawn, the tools that draw, and the numbers against every map.
//!
//! Everything is kept in pixels of the source image; the viewport places it on the screen, so zoom and pan change no region.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::Context;
use poll_promise::Promise;

use super::app::{App, Message};
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
    label: String,
    grid: [usize; 2],
    affine: Affine,
    cover: Cover,
}

/// What of regions the window holds.
#[derive(Default)]
pub(super) struct Drawn {
    pub(super) set: Regions,
    pub(super) tool: Option<Tool>,
    pub(super) selected: Option<usize>,
    pub(super) path_box: String,
    /// Borders of the layer's own cells are drawn.
    pub(super) cells: bool,
    /// What is said about the file or the labels.
    pub(super) notes: Vec<String>,
    /// One for each panel.
    pub(super) numbers: Vec<Option<Localisation>>,
    pub(super) draft: Option<Draft>,
    /// The file that they came from.
    file: Option<PathBuf>,
    pending: Option<Pending>,
    opening: Option<(Promise<Result<Regions>>, PathBuf, bool)>,
    /// SHA-256 of the picture that they belong to.
    of: String,
    /// Regions of pictures that were open before, with the files that they came from.
    kept: BTreeMap<String, (Regions, Option<PathBuf>)>,
    /// Grows with every change.
    pub(super) version: u64,
    pub(super) outlines: Option<(u64, Vec<Outline>)>,
    mask: Option<(u64, String, Vec<bool>)>,
    counted: Vec<Option<Counted>>,
}

impl Drawn {
    /// Says that the set was changed.
    pub(super) fn changed(&mut self) {
        self.version += 1;
    }

    /// Whether Escape has something to leave.
    pub(super) fn is_active(&self) -> bool {
        self.tool.is_some() || self.selected.is_some() || self.draft.is_some()
    }

    /// Leaves the tool, or the selection where there is none.
    pub(super) fn leave(&mut self) {
        if self.draft.take().is_none() && self.tool.take().is_none() {
            self.selected = None;
        }
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
}

impl App {
    /// The regions of the open X-ray.
    pub fn regions(&self) -> &Regions {
        &self.drawn.set
    }

    /// The tool that a drag draws with.
    pub fn region_tool(&self) -> Option<Tool> {
        self.drawn.tool
    }

    /// Index of the selected region.
    pub fn selected_region(&self) -> Option<usize> {
        self.drawn.selected
    }

    /// How far a panel's map, as it is shown, agrees with the regions; `None` where there are none or no map.
    pub fn localisation(&self, panel: usize) -> Option<Localisation> {
        self.drawn.numbers.get(panel).copied().flatten()
    }

    /// Takes a tool in hand.
    pub(super) fn take_tool(&mut self, tool: Option<Tool>) {
        self.drawn.tool = tool;
        self.drawn.draft = None;
    }

    /// Opens a file of regions for the open X-ray, or for the one that was just asked for.
    pub fn open_regions(&mut self, path: &Path, with_new_picture: bool) {
        if self.picture.is_none() && !with_new_picture && !self.session.is_busy() {
            self.say(Message::Error(words::NO_PICTURE.to_owned()));
            return;
        }
        self.drawn.pending = Some(Pending {
            path: path.to_owned(),
            after: self.picture.clone().filter(|_| with_new_picture),
            asked: true,
        });
    }

    /// Opens what the box for paths of regions says.
    pub(super) fn open_regions_box(&mut self) {
        let typed = std::mem::take(&mut self.drawn.path_box);
        let path = typed.trim().trim_matches(['"', '\'']);
        let path = path.strip_prefix("file://").unwrap_or(path);
        if !path.is_empty() {
            self.open_regions(Path::new(path), false);
        }
    }

    /// Keeps the regions with their picture, and takes in what was read. Once a frame.
    pub(super) fn follow_regions(&mut self, ctx: &Context) {
        let Some(picture) = self.picture.clone() else {
            return;
        };
        if self.drawn.of != picture.sha256 {
            self.change_picture(&picture);
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
            let promise = Promise::spawn_thread("camlens-regions", move || {
                let regions = open_regions(&path, &picture, &source);
                ctx.request_repaint();
                regions
            });
            self.drawn.opening = Some((promise, pending.path, pending.asked));
        }
        if let Some((promise, path, asked)) = self.drawn.opening.take() {
            match promise.try_take() {
                Ok(regions) => self.take_regions(regions, path, asked),
                Err(promise) => self.drawn.opening = Some((promise, path, asked)),
            }
        }
    }

    fn take_regions(&mut self, regions: Result<Regions>, path: PathBuf, asked: bool) {
        match regions {
            Ok(regions) if Some(regions.size) == self.picture.as_ref().map(|p| p.size()) => {
                if asked {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    self.say(Message::Done(words::opened(regions.list.len(), &name)));
                }
                self.drawn.set = regions;
                self.drawn.selected = None;
                self.drawn.file = Some(path);
                self.drawn.changed();
            }
            // Of a picture that has gone meanwhile.
            Ok(_) => {}
            Err(error) if asked => self.say(Message::Error(error.to_string())),
            Err(error) => {
                // The same file for the next picture: that it holds nothing for it is no fault.
                self.drawn.set.notices = vec![error.to_string()];
                self.drawn.file = Some(path);
            }
        }
    }

    fn change_picture(&mut self, picture: &Picture) {
        let drawn = &mut self.drawn;
        let set = std::mem::replace(&mut drawn.set, Regions::none(picture.size()));
        let (of, file) = (std::mem::take(&mut drawn.of), drawn.file.take());
        if !of.is_empty() && !set.list.is_empty() {
            drawn.kept.insert(of, (set, file.clone()));
        }
        drawn.of.clone_from(&picture.sha256);
        drawn.selected = None;
        drawn.draft = None;
        if let Some((set, file)) = drawn.kept.remove(&picture.sha256) {
            drawn.set = set;
            drawn.file = file;
        } else if drawn.pending.is_none() {
            drawn.pending = file.map(|path| Pending {
                path,
                after: None,
                asked: false,
            });
        }
        drawn.changed();
    }

    /// Suggested name of a file of regions.
    pub(super) fn regions_file_name(&self) -> String {
        let name = self.picture.as_ref().map_or("", |p| p.name.as_str());
        let stem = Path::new(name)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        format!(
            "{}.json",
            crate::export::safe_name(&format!("{stem} regions"))
        )
    }

    /// Writes the regions as COCO JSON.
    pub(super) fn save_regions(&mut self, path: &Path) {
        let path = match path.extension() {
            Some(_) => path.to_owned(),
            None => path.with_extension("json"),
        };
        let name = self.picture.as_ref().map(|p| p.name.clone());
        let text = to_coco(&self.drawn.set, &name.unwrap_or_default());
        match write_whole(&path, text.as_bytes()) {
            Ok(()) => self.say(Message::Done(window::exported(&path))),
            Err(error) => self.say(Message::Error(error.to_string())),
        }
    }

    /// Adds a shape in the middle of what is seen: the way without a mouse.
    pub(super) fn add_in_the_middle(&mut self, tool: Tool) {
        let Some(size) = self
            .picture
            .as_ref()
            .map(|p| p.size().map(|side| side as f64))
        else {
            return;
        };
        let centre = [0, 1].map(|axis| f64::from(self.viewport.centre[axis]) * size[axis]);
        let half = size[0].min(size[1]) / f64::from(self.viewport.zoom) / 8.0;
        let corners = [centre.map(|v| v - half), centre.map(|v| v + half)];
        if let Some(shape) = shape_of(tool, &corners) {
            self.finish_shape(shape);
        }
    }

    pub(super) fn finish_shape(&mut self, shape: Shape) {
        // What is drawn while a finding is explained is meant for it.
        let label = self.finding().map(|f| f.label.clone()).unwrap_or_default();
        self.drawn.add(shape, label);
    }

    /// Measures every panel's map, as it is shown, against the regions.
    pub(super) fn measure_regions(&mut self) {
        let count = self.cells.len();
        let drawn = &mut self.drawn;
        drawn.notes = drawn.set.notices.clone();
        drawn.counted.resize_with(count, || None);
        if drawn.set.list.is_empty() {
            drawn.numbers = vec![None; count];
            return;
        }
        let label = self
            .target
            .and_then(|class| self.session.findings().get(class));
        let label = label.map(|f| f.label.clone()).unwrap_or_default();
        drawn.notes.extend(counted_notice(&drawn.set, &label));
        let version = drawn.version;
        if drawn
            .mask
            .as_ref()
            .is_none_or(|(v, l, _)| *v != version || *l != label)
        {
            let mask = union_mask(&drawn.set.about(&label), drawn.set.size);
            drawn.mask = Some((version, label.clone(), mask));
        }
        let Some((_, _, mask)) = &drawn.mask else {
            return;
        };
        drawn.numbers = (0..count)
            .map(|i| {
                let (cell, field) = (self.cells.get(i)?, self.heats.get(i).and_then(Heat::field)?);
                if field.source_size != drawn.set.size {
                    return None;
                }
                let grid = [field.width, field.height];
                let slot = drawn.counted.get_mut(i)?;
                let stands = slot.as_ref().is_some_and(|c| {
                    c.version == version
                        && c.label == label
                        && c.grid == grid
                        && c.affine == field.source_from_field
                });
                if !stands {
                    *slot = Some(Counted {
                        version,
                        label: label.clone(),
                        grid,
                        affine: field.source_from_field,
                        cover: Cover::of_field(mask, field),
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
