//! Direct convolution over channels-last planes.
//!
//! With the channels of a pixel side by side a row of a window is one run of numbers, output channels are the
//! lanes of a vector, and a 1x1 convolution needs no copy at all. For larger kernels each task copies the
//! input rows that it needs, with their border, into a buffer of its own; that is a few per cent of the products. A
//! task owns a stripe of output rows and some panels of output channels.

use std::cell::RefCell;

use rayon::prelude::*;

use super::pack::Packed;
use super::simd::{Isa, Shared};
use super::tile::{Finish, Piece, Tile, Tiles, tiles};

/// Numbers of a window that are summed in registers before the sum goes to memory: small enough that a panel's
/// rows stay in the first-level cache, and that rounding errors do not pile up along one long chain.
const CHAIN: usize = 128;
/// Most numbers of input and output that a task works on, so that they stay in the second-level cache.
const STRIPE: usize = 160 * 1024;

/// Distances between neighbours in a channels-last plane, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strides {
    pub(super) image: usize,
    pub(super) row: usize,
    pub(super) pixel: usize,
}

impl Strides {
    /// Of a plane without gaps.
    pub(super) fn dense(size: [usize; 2], channels: usize) -> Self {
        Self {
            image: size[0] * size[1] * channels,
            row: size[1] * channels,
            pixel: channels,
        }
    }

    /// Whether all pixels of all images of `size` have the same distance.
    fn is_flat(&self, images: usize, size: [usize; 2]) -> bool {
        (size[0] == 1 || self.row == size[1] * self.pixel)
            && (images == 1 || self.image == size[0] * size[1] * self.pixel)
    }

    /// Index of a pixel's first channel.
    pub(super) fn at(&self, image: usize, row: usize, column: usize) -> usize {
        image * self.image + row * self.row + column * self.pixel
    }

    /// One more than the last index that planes of this size and `channels` channels use.
    pub(super) fn end(&self, images: usize, size: [usize; 2], channels: usize) -> usize {
        self.at(
            images.saturating_sub(1),
            size[0].saturating_sub(1),
            size[1].saturating_sub(1),
        ) + channels
    }
}

/// Numbers in channels-last order that are read.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) data: &'a [f32],
    pub(super) strides: Strides,
}

/// Where windows lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    pub(super) images: usize,
    /// Rows and columns of the input.
    pub(super) size: [usize; 2],
    /// Rows and columns of the output.
    pub(super) out: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
    /// Row and column of the input where the first window begins: minus the border.
    pub(super) origin: [isize; 2],
}

/// What is done with sums: `finish(scale * sum + bias + added)`.
///
/// BatchNorm's scale is applied here and not multiplied into the weights, whose rounding would open or close a
/// rectifier here and there.
#[derive(Clone, Copy)]
pub(super) struct After<'a> {
    /// One number an output channel.
    pub(super) scale: Option<&'a [f32]>,
    /// One number an output channel.
    pub(super) bias: Option<&'a [f32]>,
    /// Added before the finish.
    pub(super) added: Option<Source<'a>>,
    pub(super) finish: Finish,
}

impl After<'_> {
    /// Whether the numbers of every channel are there.
    pub(super) fn fits(&self, channels: usize) -> bool {
        [self.scale, self.bias]
            .into_iter()
            .flatten()
            .all(|numbers| numbers.len() >= channels)
    }

    pub(super) const NOTHING: Self = Self {
        scale: None,
        bias: None,
        added: None,
        finish: Finish::Plain,
    };
}

/// Pixels in a row whose windows and outputs are evenly spaced.
struct Run {
    a: *const f32,
    c: *mut f32,
    added: *const f32,
    pixels: usize,
}

thread_local! {
    /// Input rows with their border, kept between calls.
    static ROWS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Convolves `x` with packed weights into `y`, both channels-last.
///
/// # Panics
/// Where the slices are shorter than the geometry says.
pub(super) fn convolve(
    isa: Isa,
    x: Source<'_>,
    windows: &Windows,
    weights: &Packed,
    after: &After<'_>,
    y: &mut [f32],
    y_strides: Strides,
) {
    let filters = weights.filters;
    let (channels, outputs) = (
        filters.inputs * filters.groups,
        filters.outputs * filters.groups,
    );
    let Windows {
        images, size, out, ..
    } = *windows;
    if images * out[0] * out[1] == 0 {
        return;
    }
    assert!(x.data.len() >= x.strides.end(images, size, channels));
    assert!(y.len() >= y_strides.end(images, out, outputs));
    if let Some(added) = &after.added {
        assert!(added.data.len() >= added.strides.end(images, out, outputs));
    }
    assert!(after.fits(outputs));

    let pointwise = filters.kernel == [1, 1] && windows.origin == [0, 0];
    let in_place = pointwise && fits(windows);
    let flat = in_place
        && windows.stride == [1, 1]
        && x.strides.is_flat(images, size)
        && y_strides.is_flat(images, out)
        && after
            .added
            .is_none_or(|added| added.strides.is_flat(images, out));

    // A unit is a row of outputs, or a single pixel where all pixels are evenly spaced.
    let (units, pixels_each) = if flat {
        (images * out[0] * out[1], 1)
    } else {
        (images * out[0], out[1])
    };
    let kernels = tiles(isa);
    let all_panels = weights.panels * filters.groups;
    let split = Split::of(
        units,
        if flat { kernels.full.len() } else { 1 },
        pixels_each * (channels * windows.stride[0] + outputs),
        pixels_each,
        all_panels,
    );
    let target = Shared(y.as_mut_ptr());
    let call = Call {
        kernels,
        x,
        windows,
        weights,
        after,
        y: target,
        y_strides,
        flat,
        in_place,
    };
    if split.tasks() == 1 {
        call.run(0..units, 0..all_panels);
    } else {
        (0..split.tasks())
            .into_par_iter()
            .with_max_len(1)
            .for_each(|task| {
                let (units, share) = split.task(task);
                let panels =
                    share * all_panels / split.shares..(share + 1) * all_panels / split.shares;
                call.run(units, panels);
            });
    }
}

/// Whether every window lies inside the input.
fn fits(windows: &Windows) -> bool {
    (0..2).all(|a| {
        windows.origin[a] >= 0
            && (windows.out[a] - 1) * windows.stride[a] + (windows.origin[a] as usize)
                < windows.size[a]
    })
}

/// How work is divided: stripes of units times shares of the panels.
struct Split {
    units: usize,
    /// Units that stay together.
    granule: usize,
    stripes: usize,
    shares: usize,
}

impl Split {
    /// `numbers` and `pixels` are what one unit holds.
    fn of(units: usize, granule: usize, numbers: usize, pixels: usize, panels: usize) -> Self {
        let threads = rayon::current_num_threads();
        let granules = units.div_ceil(granule);
        let smallest = units.div_ceil((STRIPE / numbers.max(1)).max(1));
        // Few pixels: rather let tasks share them and divide the panels, so that weights are read once.
        let stripes = if units * pixels < 32 * threads {
            smallest
        } else {
            smallest.next_multiple_of(threads)
        };
        let stripes = stripes.clamp(1, granules.max(1));
        let shares = if stripes >= threads {
            1
        } else {
            (2 * threads / stripes).clamp(1, panels.max(1))
        };
        Self {
            units,
            granule,
            stripes,
            shares,
        }
    }

    fn tasks(&self) -> usize {
        self.stripes * self.shares
    }

    /// The units and the share of the panels of a task.
    fn task(&self, task: usize) -> (std::ops::Range<usize>, usize) {
        let (stripe, share) = (task / self.shares, task % self.shares);
        let granules = self.units.div_ceil(self.granule);
        let at = |stripe: usize| (stripe * granules / self.stripes * self.granule).min(self.units);
        (at(stripe)..at(stripe + 1), share)
    }
}

/// Everything that the tasks of one convolution share.
struct Call<'a> {
    kernels: &'static Tiles,
    x: Source<'a>,
    windows: &'a Windows,
    weights: &'a Packed,
    after: &'a After<'a>,
    y: Shared,
    y_strides: Strides,
    flat: bool,
    in_place: bool,
}

// SAFETY: everything but `y` is shared for reading; of `y` see `Shared`.
unsafe impl Sync for Call<'_> {}

impl Call<'_> {
    /// Computes the panels `panels` of the units `units`.
    fn run(&self, units: std::ops::Range<usize>, panels: std::ops::Range<usize>) {
        ROWS.with(|rows| {
            let mut rows = rows.take();
            self.run_with(&mut rows, units, panels);
            ROWS.with(|kept| kept.replace(rows));
        });
    }

    fn run_with(
        &self,
        rows: &mut Vec<f32>,
        units: std::ops::Range<usize>,
        panels: std::ops::Range<usize>,
    ) {
        let (a_step, row_step) = if self.in_place {
            (
                self.x.strides.pixel * self.windows.stride[1],
                self.x.strides.row,
            )
        } else {
            let channels = self.weights.filters.inputs * self.weights.filters.groups;
            (
                channels * self.windows.stride[1],
                channels * self.row_length(),
            )
        };
        let runs = if self.flat {
            let start = units.start;
            vec![
                self.run_at(
                    self.x
                        .data
                        .as_ptr()
                        .wrapping_add(start * self.x.strides.pixel),
                    [0, 0, start],
                    units.len(),
                ),
            ]
        } else if self.in_place {
            units
                .map(|unit| {
                    let (image, row) = (unit / self.windows.out[0], unit % self.windows.out[0]);
                    let from = self.x.strides.at(image, row * self.windows.stride[0], 0);
                    self.run_at(
                        self.x.data.as_ptr().wrapping_add(from),
                        [image, row, 0],
                        self.windows.out[1],
                    )
                })
                .collect()
        } else {
            self.copied(rows, units, row_step)
        };
        let pieces = self.pieces(row_step);
        let chunks = chunks(&pieces);
        for panel in panels {
            self.panel(panel, &runs, &chunks, a_step);
        }
    }

    fn run_at(&self, a: *const f32, at: [usize; 3], pixels: usize) -> Run {
        let place = |strides: &Strides| strides.at(at[0], at[1], at[2]);
        Run {
            a,
            // The extents were checked in `convolve`: every place is inside `y` and `added`.
            c: self.y.get().wrapping_add(place(&self.y_strides)),
            added: self.after.added.map_or(std::ptr::null(), |added| {
                added.data.as_ptr().wrapping_add(place(&added.strides))
            }),
            pixels,
        }
    }

    /// Pixels of an input row with its border.
    fn row_length(&self) -> usize {
        (self.windows.out[1] - 1) * self.windows.stride[1]
            + (self.weights.filters.kernel[1] - 1) * self.windows.dilation[1]
            + 1
    }

    /// Copies the input rows of some output rows with their border, and gives the runs over the copies.
    fn copied(
        &self,
        rows: &mut Vec<f32>,
        units: std::ops::Range<usize>,
        row_step: usize,
    ) -> Vec<Run> {
        let windows = self.windows;
        let reach = (self.weights.filters.kernel[0] - 1) * windows.dilation[0] + 1;
        // Output rows of one image are neighbours and share input rows.
        let mut parts: Vec<(usize, std::ops::Range<usize>, usize)> = Vec::new();
        let (mut unit, mut total) = (units.start, 0);
        while unit < units.end {
            let (image, first) = (unit / windows.out[0], unit % windows.out[0]);
            let last = windows.out[0].min(first + units.end - unit);
            parts.push((image, first..last, total));
            total += (last - first - 1) * windows.stride[0] + reach;
            unit += last - first;
        }
        if rows.len() < total * row_step {
            rows.resize(total * row_step, 0.0);
        }
        let mut runs = Vec::with_capacity(units.len());
        for (image, range, at) in parts {
            let count = (range.len() - 1) * windows.stride[0] + reach;
            let top = windows.origin[0] + (range.start * windows.stride[0]) as isize;
            for (i, row) in rows[at * row_step..(at + count) * row_step]
                .chunks_exact_mut(row_step)
                .enumerate()
            {
                self.copy_row(row, image, top + i as isize);
            }
            for (i, y) in range.enumerate() {
                let start = (at + i * windows.stride[0]) * row_step;
                runs.push(self.run_at(rows[start..].as_ptr(), [image, y, 0], windows.out[1]));
            }
        }
        runs
    }

    /// One input row with its border; rows outside the input are zeros.
    fn copy_row(&self, to: &mut [f32], image: usize, y: isize) {
        let windows = self.windows;
        let channels = self.weights.filters.inputs * self.weights.filters.groups;
        if y < 0 || y as usize >= windows.size[0] {
            to.fill(0.0);
            return;
        }
        let left = (-windows.origin[1]).max(0) as usize;
        let skip = windows.origin[1].max(0) as usize;
        let length = to.len() / channels;
        let left = left.min(length);
        let pixels = windows.size[1].saturating_sub(skip).min(length - left);
        to[..left * channels].fill(0.0);
        to[(left + pixels) * channels..].fill(0.0);
        let to = &mut to[left * channels..(left + pixels) * channels];
        let from = self.x.strides.at(image, y as usize, skip);
        let step = self.x.strides.pixel;
        if step == channels {
            to.copy_from_slice(&self.x.data[from..from + pixels * channels]);
        } else {
            for (p, to) in to.chunks_exact_mut(channels).enumerate() {
                to.copy_from_slice(&self.x.data[from + p * step..][..channels]);
            }
        }
    }

    /// Runs of numbers in a window.
    fn pieces(&self, row_step: usize) -> Vec<Piece> {
        let filters = self.weights.filters;
        let [rows, columns] = filters.kernel;
        let [dy, dx] = self.windows.dilation;
        let channels = filters.inputs * filters.groups;
        let mut pieces = Vec::with_capacity(rows);
        for ky in 0..rows {
            let row = ky * dy * row_step;
            if filters.groups == 1 && dx == 1 {
                pieces.push(Piece {
                    offset: row,
                    len: columns * channels,
                });
            } else {
                pieces.extend((0..columns).map(|kx| Piece {
                    offset: row + kx * dx * channels,
                    len: filters.inputs,
                }));
            }
        }
        pieces
    }

    /// All runs for one panel of output channels.
    fn panel(&self, panel: usize, runs: &[Run], chunks: &[Vec<Piece>], a_step: usize) {
        let filters = self.weights.filters;
        let (group, first) = (
            panel / self.weights.panels,
            panel % self.weights.panels * self.weights.panel,
        );
        let channels = self.weights.panel.min(filters.outputs - first);
        let output = group * filters.outputs + first;
        let loops = if channels <= self.kernels.lanes {
            self.kernels.narrow
        } else {
            self.kernels.full
        };
        let numbers =
            |all: Option<&[f32]>| all.map_or(std::ptr::null(), |all| all[output..].as_ptr());
        let mut rows = self.weights.rows(panel);
        let mut tile = Tile {
            pieces: &[],
            a: std::ptr::null(),
            a_step,
            b: std::ptr::null(),
            b_step: self.weights.panel,
            ahead: 0,
            c: std::ptr::null_mut(),
            c_step: self.y_strides.pixel,
            channels,
            resume: false,
            last: false,
            scale: numbers(self.after.scale),
            bias: numbers(self.after.bias),
            added: std::ptr::null(),
            added_step: self.after.added.map_or(0, |added| added.strides.pixel),
            finish: self.after.finish,
        };
        for (i, pieces) in chunks.iter().enumerate() {
            tile.pieces = pieces;
            tile.b = rows.as_ptr();
            let used: usize = pieces.iter().map(|piece| piece.len).sum();
            tile.ahead = used * self.weights.panel;
            tile.resume = i > 0;
            tile.last = i + 1 == chunks.len();
            for run in runs {
                // Tiles of nearly equal width: 49 pixels are 13 + 12 + 12 + 12 and not 14 + 14 + 14 + 7.
                let count = run.pixels.div_ceil(loops.len());
                let mut done = 0;
                for i in 0..count {
                    let end = (i + 1) * run.pixels / count;
                    let pixels = end - done;
                    tile.a = run.a.wrapping_add(group * filters.inputs + done * a_step);
                    tile.c = run.c.wrapping_add(output + done * tile.c_step);
                    if !run.added.is_null() {
                        tile.added = run.added.wrapping_add(output + done * tile.added_step);
                    }
                    // SAFETY: `convolve` checked that `x`, `y`, `added` and `bias` reach as far as the geometry says,
                    // `copied` sized the rows; the panel has a row for every number of a window, and the loops
                    // belong to an instruction set that was detected. Other tasks write other rows or panels of `y`.
                    unsafe { loops[pixels - 1](&tile) };
                    done = end;
                }
            }
            rows = &rows[used * self.weights.panel..];
        }
    }
}

/// Divides a window into parts of nearly equal length, at most [`CHAIN`] numbers each.
fn chunks(pieces: &[Piece]) -> Vec<Vec<Piece>> {
    let total: usize = pieces.iter().map(|piece| piece.len).sum();
    let count = total.div_ceil(CHAIN).max(1);
    let mut chunks: Vec<Vec<Piece>> = Vec::with_capacity(count);
    let mut pieces = pieces.iter().copied();
    let mut rest: Option<Piece> = None;
    for i in 0..count {
        let mut left = (i + 1) * total / count - i * total / count;
        let mut chunk = Vec::new();
        while left > 0 {
            let Some(mut piece) = rest.take().or_else(|| pieces.next()) else {
                break;
            };
            if piece.len > left {
                rest = Some(Piece {
                    offset: piece.offset + left,
                    len: piece.len - left,
                });
                piece.len = left;
            }
            left -= piece.len;
            chunk.push(piece);
        }
        chunks.push(chunk);
    }
    chunks
}
