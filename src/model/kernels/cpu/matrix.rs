//! Products on the processor's matrix unit (AMX), as exact as those in f32.
//!
//! The unit multiplies bf16 only, sixteen times as many products a cycle as AVX-512 does in f32. Every f32 is the sum of three
//! bf16: its upper, middle and lower eight bits. Of the nine products of two such sums six are formed; the three
//! that are left out lie below 2^-24 of the whole, where f32 itself ends (the scheme is that of Henry, Tang and Heinecke,
//! "Leveraging the bfloat16 artificial intelligence datatype for higher-precision computations", ARITH 2019). What remains
//! is still more than twice as fast as f32 at its best.
//!
//! One step takes 32 pixels by 32 output channels by 32 numbers of a window. Sums stand in four of the unit's eight
//! registers, the other four hold what is multiplied.

use std::arch::asm;
use std::arch::x86_64::{
    __m512, __m512i, _mm512_castps_si512, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_maskz_loadu_ps, _mm512_mul_ps, _mm512_permutex2var_epi16, _mm512_set1_ps,
    _mm512_store_si512, _mm512_sub_ps,
};
use std::cell::RefCell;
use std::ops::Range;
use std::sync::OnceLock;

use half::bf16;
use rayon::prelude::*;

use super::conv::Call;
use super::pack::Filters;
use super::simd::{Avx512, Simd, load, store};
use super::tile::Finish;

/// Rows of a register.
const ROWS: usize = 16;
/// Bytes of a row of a register.
const LINE: usize = 64;
/// Input channels that one step takes.
const DEPTH: usize = 32;
/// Output channels of a panel: two registers wide.
pub(super) const PANEL: usize = 32;
/// Parts of a number.
const PARTS: usize = 3;
/// Lines of the weights of one step.
const STEP: usize = PARTS * 2 * ROWS;
/// Most steps between two visits of the sums to memory: their weights (6 KiB each) stay in the first-level cache.
const CHAIN: usize = 9;
/// An output that nobody keeps.
const NOWHERE: usize = usize::MAX;

/// Whether the processor has the unit and the system lets this program use it. Asks the system once.
pub(super) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| has_unit() && is_x86_feature_detected!("avx512bf16") && permitted())
}

/// AMX-TILE and AMX-BF16 in the processor's own words.
fn has_unit() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    if __cpuid(0).eax < 7 {
        return false;
    }
    let bits = __cpuid_count(7, 0).edx;
    bits >> 24 & 1 == 1 && bits >> 22 & 1 == 1
}

/// Linux keeps the unit's registers (8 KiB) only for programs that ask for them.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST_STATE: i64 = 0x1023;
    const TILE_DATA: i64 = 18;
    let answer: i64;
    // SAFETY: a system call without pointers; the registers that it changes are named.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => answer,
            in("rdi") REQUEST_STATE,
            in("rsi") TILE_DATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer == 0
}

/// Elsewhere nobody has tried it.
#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// A row of a register: 16 output channels by two neighbouring input channels, or 32 input channels of a pixel.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u16; 32]);

/// Sixteen sums on a line of their own.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Sums([f32; 16]);

/// Packed weights: for each panel and step the parts, of each two registers. Steps go through the taps of the kernel
/// for 32 input channels, then for the next 32.
pub(super) struct Weights {
    lines: Vec<Line>,
    /// Steps of a whole window.
    steps: usize,
}

/// The three parts of a number.
fn parts(x: f32) -> [u16; PARTS] {
    let mut rest = x;
    std::array::from_fn(|_| {
        let part = bf16::from_f32(rest);
        rest -= part.to_f32();
        if !rest.is_finite() {
            rest = 0.0;
        }
        part.to_bits()
    })
}

/// Whether it is worth while: few products are with padding, and each number is used so often that taking it apart
/// does not eat up what is gained.
pub(super) fn pays(filters: Filters) -> bool {
    let filled = filters.inputs.next_multiple_of(DEPTH) * filters.outputs.next_multiple_of(PANEL);
    let often = filters.kernel != [1, 1] || filters.inputs.min(filters.outputs) >= 128;
    often && filled * 2 <= filters.inputs * filters.outputs * 3
}

impl Weights {
    /// Packs weights; `weight(output, input, row, column)`, outputs counted over all groups.
    pub(super) fn new(
        filters: Filters,
        weight: impl Fn(usize, usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        let [kh, kw] = filters.kernel;
        let (slices, taps) = (filters.inputs.div_ceil(DEPTH), kh * kw);
        let steps = slices * taps;
        let panels = filters.outputs.div_ceil(PANEL);
        let block = steps * STEP;
        let mut lines = vec![Line([0; 32]); filters.groups * panels * block];
        lines
            .par_chunks_mut(block.max(1))
            .enumerate()
            .for_each(|(index, block)| {
                let (group, first) = (index / panels, index % panels * PANEL);
                for lane in 0..PANEL.min(filters.outputs - first) {
                    let output = group * filters.outputs + first + lane;
                    for input in 0..filters.inputs {
                        for tap in 0..taps {
                            let (step, k) = (input / DEPTH * taps + tap, input % DEPTH);
                            let number = weight(output, input, tap / kw, tap % kw);
                            for (part, bits) in parts(number).into_iter().enumerate() {
                                let register = (step * PARTS + part) * 2 + lane / ROWS;
                                block[register * ROWS + k / 2].0[lane % ROWS * 2 + k % 2] = bits;
                            }
                        }
                    }
                }
            });
        Self { lines, steps }
    }
}

/// What a thread keeps between calls.
#[derive(Default)]
struct Scratch {
    /// For every 32 input channels of a group three planes of pixels: their upper, middle and lower parts.
    planes: Vec<Line>,
    sums: Vec<Sums>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Sixteen pixels whose windows are evenly spaced.
struct Block {
    /// First pixel of the first window.
    a: usize,
    /// Where their outputs go, and where what is added to them stands.
    to: [usize; ROWS],
    added: [usize; ROWS],
}

/// Computes the panels `panels` of the units `units` of a convolution.
pub(super) fn run(call: &Call<'_>, weights: &Weights, units: Range<usize>, panels: Range<usize>) {
    SCRATCH.with(|scratch| {
        let mut kept = scratch.take();
        let task = Task {
            call,
            weights,
            slices: call.weights.filters.inputs.div_ceil(DEPTH),
            pixels: 0,
            row: 0,
            a_step: 1,
        };
        task.run(&mut kept, units, panels);
        scratch.replace(kept);
    });
}

struct Task<'a> {
    call: &'a Call<'a>,
    weights: &'a Weights,
    /// How many times 32 input channels a group has.
    slices: usize,
    /// Pixels of a plane.
    pixels: usize,
    /// Pixels of an input row with its border.
    row: usize,
    /// Distance between the windows of neighbouring outputs, in pixels.
    a_step: usize,
}

impl Task<'_> {
    fn run(mut self, scratch: &mut Scratch, units: Range<usize>, panels: Range<usize>) {
        let blocks = if self.call.in_place {
            self.pointwise(scratch, units)
        } else {
            self.windows(scratch, units)
        };
        let offsets = self.offsets();
        let chunks = offsets.len().div_ceil(CHAIN).max(1);
        let registers = blocks.len().next_multiple_of(2) * 2;
        if scratch.sums.len() < registers * ROWS {
            scratch.sums.resize(registers * ROWS, Sums([0.0; 16]));
        }
        let sums = scratch.sums.as_mut_ptr().cast::<f32>();
        let planes = scratch.planes.as_ptr();
        // SAFETY: the unit is there and permitted, or these weights would not have been packed. It is given back below.
        unsafe { configure() };
        for panel in panels {
            let (group, outputs) = self.call.outputs_of(panel);
            let base = group * self.slices * PARTS * self.pixels;
            for chunk in 0..chunks {
                let steps = chunk * offsets.len() / chunks..(chunk + 1) * offsets.len() / chunks;
                let at = (panel * self.weights.steps + steps.start) * STEP;
                for (pair, blocks) in blocks.chunks(2).enumerate() {
                    // A block without a partner is its own.
                    let second = blocks.last().map_or(0, |block| block.a);
                    // SAFETY: blocks begin inside the planes, behind which there is room for what the last windows read
                    // beyond (`reserve`); the weights have the steps from `at` on; a pair has four registers of sums.
                    unsafe {
                        multiply(
                            &offsets[steps.clone()],
                            planes.add(base + blocks[0].a),
                            planes.add(base + second),
                            self.pixels * LINE,
                            self.a_step * LINE,
                            self.weights.lines[at..].as_ptr(),
                            sums.add(pair * 4 * ROWS * 16),
                            chunk > 0,
                        );
                    }
                    if chunk + 1 == chunks {
                        for (i, block) in blocks.iter().enumerate() {
                            // SAFETY: the extents of `y` and `added` were checked in `convolve`.
                            unsafe {
                                let sums = sums.add((pair * 2 + i) * 2 * ROWS * 16);
                                self.finish(sums, block, outputs.clone());
                            }
                        }
                    }
                }
            }
        }
        // SAFETY: as above.
        unsafe { release() };
    }

    /// Where each step reads, in bytes from the first pixel of a window in the group's first plane.
    fn offsets(&self) -> Vec<usize> {
        let [kh, kw] = self.call.weights.filters.kernel;
        let [dy, dx] = self.call.windows.dilation;
        let mut offsets = Vec::with_capacity(self.weights.steps);
        for slice in 0..self.slices {
            for ky in 0..kh {
                for kx in 0..kw {
                    let pixel = ky * dy * self.row + kx * dx;
                    offsets.push((slice * PARTS * self.pixels + pixel) * LINE);
                }
            }
        }
        offsets
    }

    /// Makes room for planes of `pixels`, and for what the last windows read beyond them. That goes into products which
    /// nobody keeps.
    fn reserve(&mut self, scratch: &mut Scratch, pixels: usize) {
        self.pixels = pixels;
        let planes = self.slices * self.call.weights.filters.groups * PARTS;
        let [kh, kw] = self.call.weights.filters.kernel;
        let [dy, dx] = self.call.windows.dilation;
        let beyond = ROWS * self.a_step + (kh - 1) * dy * self.row + (kw - 1) * dx;
        let lines = planes * pixels + beyond;
        if scratch.planes.len() < lines {
            scratch.planes.resize(lines, Line([0; 32]));
        }
    }

    /// All pixels one after the other, and blocks of sixteen of them.
    fn pointwise(&mut self, scratch: &mut Scratch, units: Range<usize>) -> Vec<Block> {
        let call = self.call;
        let (out, stride) = (call.windows.out, call.windows.stride);
        let each = if call.flat { 1 } else { out[1] };
        let pixels = units.len() * each;
        self.reserve(scratch, pixels);
        let strides = call.x.strides;
        if call.flat {
            let from = units.start * strides.pixel;
            self.split(scratch, 0..pixels, from, strides.pixel);
        } else {
            for (i, unit) in units.clone().enumerate() {
                let from = strides.at(unit / out[0], unit % out[0] * stride[0], 0);
                let to = i * each..(i + 1) * each;
                self.split(scratch, to, from, strides.pixel * stride[1]);
            }
        }
        let places = (0..pixels).map(|pixel| {
            let unit = units.start + pixel / each;
            Some(if call.flat {
                [0, 0, unit]
            } else {
                [unit / out[0], unit % out[0], pixel % each]
            })
        });
        let mut blocks = Vec::with_capacity(pixels.div_ceil(ROWS));
        self.blocks(&mut blocks, 0, places);
        blocks
    }

    /// The input rows with their border, and blocks over them.
    fn windows(&mut self, scratch: &mut Scratch, units: Range<usize>) -> Vec<Block> {
        let call = self.call;
        let (windows, reach) = (call.windows, call.reach());
        let parts = call.parts(units);
        let rows_of = |rows: &Range<usize>| (rows.len() - 1) * windows.stride[0] + reach;
        let total = parts.last().map_or(0, |part| part.at + rows_of(&part.rows));
        self.row = call.row_length();
        self.a_step = windows.stride[1];
        self.reserve(scratch, total * self.row);
        let mut blocks = Vec::new();
        let columns = windows.out[1];
        for part in &parts {
            let top = windows.origin[0] + (part.rows.start * windows.stride[0]) as isize;
            for i in 0..rows_of(&part.rows) {
                self.split_row(scratch, part.at + i, part.image, top + i as isize);
            }
            // With a stride of 1 the windows of all rows are evenly spaced, if those that straddle two rows are
            // counted: seven rows of seven with borders of two are 61 windows, four blocks instead of seven.
            let through = (part.rows.len() - 1) * self.row + columns;
            if windows.stride == [1, 1]
                && through.div_ceil(ROWS) < part.rows.len() * columns.div_ceil(ROWS)
            {
                let places = (0..through).map(|pixel| {
                    let (row, column) = (pixel / self.row, pixel % self.row);
                    (column < columns).then_some([part.image, part.rows.start + row, column])
                });
                self.blocks(&mut blocks, part.at * self.row, places);
            } else {
                for (i, row) in part.rows.clone().enumerate() {
                    let at = (part.at + i * windows.stride[0]) * self.row;
                    let places = (0..columns).map(|column| Some([part.image, row, column]));
                    self.blocks(&mut blocks, at, places);
                }
            }
        }
        blocks
    }

    /// Blocks over evenly spaced windows from pixel `a` on; `places` are their outputs (image, row, column).
    fn blocks(
        &self,
        blocks: &mut Vec<Block>,
        a: usize,
        places: impl Iterator<Item = Option<[usize; 3]>>,
    ) {
        let start = blocks.len();
        for (i, place) in places.enumerate() {
            if i % ROWS == 0 {
                blocks.push(Block {
                    a: a + i * self.a_step,
                    to: [NOWHERE; ROWS],
                    added: [NOWHERE; ROWS],
                });
            }
            if let (Some([image, row, column]), Some(block)) =
                (place, blocks.get_mut(start + i / ROWS))
            {
                block.to[i % ROWS] = self.call.y_strides.at(image, row, column);
                if let Some(added) = &self.call.after.added {
                    block.added[i % ROWS] = added.strides.at(image, row, column);
                }
            }
        }
    }

    /// One input row with its border; rows outside the input are zeros.
    fn split_row(&self, scratch: &mut Scratch, to_row: usize, image: usize, y: isize) {
        let windows = self.call.windows;
        let (start, end) = (to_row * self.row, (to_row + 1) * self.row);
        let inside = y >= 0 && (y as usize) < windows.size[0];
        let left = if inside {
            ((-windows.origin[1]).max(0) as usize).min(self.row)
        } else {
            self.row
        };
        let skip = windows.origin[1].max(0) as usize;
        let pixels = windows.size[1].saturating_sub(skip).min(self.row - left);
        let planes = self.slices * self.call.weights.filters.groups * PARTS;
        for plane in 0..planes {
            let plane = &mut scratch.planes[plane * self.pixels..(plane + 1) * self.pixels];
            plane[start..start + left].fill(Line([0; 32]));
            plane[start + left + pixels..end].fill(Line([0; 32]));
        }
        if pixels > 0 {
            let strides = self.call.x.strides;
            let from = strides.at(image, y as usize, skip);
            let to = start + left..start + left + pixels;
            self.split(scratch, to, from, strides.pixel);
        }
    }

    /// Takes pixels apart, which lie `step` numbers from each other from `from` on.
    fn split(&self, scratch: &mut Scratch, to: Range<usize>, from: usize, step: usize) {
        let filters = self.call.weights.filters;
        let planes = self.slices * filters.groups * PARTS;
        assert!(to.end <= self.pixels && scratch.planes.len() >= planes * self.pixels);
        let x = &self.call.x.data[from..][..(to.len() - 1) * step + self.call.channels()];
        for group in 0..filters.groups {
            for slice in 0..self.slices {
                let first = slice * DEPTH;
                let plane = (group * self.slices + slice) * PARTS * self.pixels;
                // SAFETY: the processor has the instructions; `x` has `channels` numbers at each pixel, the planes
                // have room, see above.
                unsafe {
                    split(
                        x.as_ptr().add(group * filters.inputs + first),
                        step,
                        to.len(),
                        DEPTH.min(filters.inputs - first),
                        scratch.planes.as_mut_ptr().add(plane + to.start),
                        self.pixels,
                    );
                }
            }
        }
    }

    /// Takes the finished sums of sixteen pixels to their places.
    ///
    /// # Safety
    /// The processor has AVX-512, `sums` are two registers', and the block's places are inside `y` and `added`.
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
    unsafe fn finish(&self, sums: *const f32, block: &Block, outputs: Range<usize>) {
        let after = self.call.after;
        let y = self.call.y.get().wrapping_add(outputs.start);
        let (lo, hi) = match after.finish {
            Finish::Clamp(lo, hi) => (lo, hi),
            Finish::Plain => (f32::NEG_INFINITY, f32::INFINITY),
        };
        let n = [outputs.len(), outputs.len().saturating_sub(ROWS)];
        // SAFETY: the caller's; where the second register has no channel, nothing of it is read or written.
        unsafe {
            let numbers = |all: Option<&[f32]>, none: f32| {
                [0, ROWS].map(|half| match all {
                    Some(all) => load::<Avx512>(
                        all.as_ptr().wrapping_add(outputs.start + half),
                        n[half / ROWS],
                    ),
                    None => Avx512::splat(none),
                })
            };
            let (scale, bias) = (numbers(after.scale, 1.0), numbers(after.bias, 0.0));
            let (lo, hi) = (Avx512::splat(lo), Avx512::splat(hi));
            let added = after
                .added
                .map(|source| source.data.as_ptr().wrapping_add(outputs.start));
            for row in 0..ROWS {
                let to = block.to[row];
                if to == NOWHERE {
                    continue;
                }
                for half in 0..2 {
                    let mut v = Avx512::load(sums.add((half * ROWS + row) * 16));
                    v = Avx512::fma(v, scale[half], bias[half]);
                    if let Some(added) = added {
                        let from = added.wrapping_add(block.added[row] + half * ROWS);
                        v = Avx512::add(v, load::<Avx512>(from, n[half]));
                    }
                    v = Avx512::at_most(Avx512::at_least(v, lo), hi);
                    store::<Avx512>(y.wrapping_add(to + half * ROWS), n[half], v);
                }
            }
        }
    }
}

/// Writes the three parts of `channels <= 32` numbers of each pixel to planes, `plane` lines apart, with zeros behind them.
///
/// # Safety
/// The processor has AVX-512; there are `pixels` with as many numbers, `step` apart, and as many lines in each plane.
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq")]
unsafe fn split(
    x: *const f32,
    step: usize,
    pixels: usize,
    channels: usize,
    to: *mut Line,
    plane: usize,
) {
    let mask = |n: usize| ((1u32 << n.min(16)) - 1) as u16;
    let masks = [mask(channels), mask(channels.saturating_sub(16))];
    // The upper halves of two vectors of f32, in order: bf16 where the lower halves are zero.
    let order: [u16; 32] = std::array::from_fn(|i| 2 * i as u16 + 1);
    // SAFETY: the caller's.
    unsafe {
        let order = _mm512_loadu_si512(order.as_ptr().cast());
        for pixel in 0..pixels {
            let x = x.add(pixel * step);
            let [a, b] = if channels == DEPTH {
                [_mm512_loadu_ps(x), _mm512_loadu_ps(x.add(16))]
            } else {
                // Nothing is read where a mask is empty.
                [
                    _mm512_maskz_loadu_ps(masks[0], x),
                    _mm512_maskz_loadu_ps(masks[1], x.wrapping_add(16)),
                ]
            };
            let (a, b) = (parts_of(a), parts_of(b));
            for part in 0..PARTS {
                let line = _mm512_permutex2var_epi16(a[part], order, b[part]);
                _mm512_store_si512(to.add(part * plane + pixel).cast(), line);
            }
        }
    }
}

/// As [`parts`], each still an f32 whose lower half is zero. Dekker's splitting: no step rounds anything away, except
/// for numbers beyond 2^111, which a network's activations are not.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq")]
fn parts_of(x: __m512) -> [__m512i; PARTS] {
    let upper_of = |x: __m512| {
        let shifted = _mm512_mul_ps(x, _mm512_set1_ps(65537.0));
        _mm512_sub_ps(shifted, _mm512_sub_ps(shifted, x))
    };
    let upper = upper_of(x);
    let rest = _mm512_sub_ps(x, upper);
    let middle = upper_of(rest);
    let lower = _mm512_sub_ps(rest, middle);
    [upper, middle, lower].map(|part| _mm512_castps_si512(part))
}

/// Eight registers of sixteen rows of 64 bytes.
///
/// # Safety
/// The unit is there and permitted.
unsafe fn configure() {
    let mut shape = [0u8; 64];
    shape[0] = 1;
    for register in 0..8 {
        shape[16 + 2 * register] = 64;
        shape[48 + register] = ROWS as u8;
    }
    // SAFETY: the caller's; the instruction reads 64 bytes.
    unsafe {
        asm!(
            "ldtilecfg [{shape}]",
            shape = in(reg) shape.as_ptr(),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack, readonly),
        );
    }
}

/// Empties the registers, so that the system need not keep them.
///
/// # Safety
/// The unit is there and permitted.
unsafe fn release() {
    // SAFETY: the caller's.
    unsafe {
        asm!(
            "tilerelease",
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack, nomem),
        );
    }
}

/// Adds up steps for two blocks of sixteen pixels and 32 output channels. `offsets` say where each step reads the
/// windows, in bytes from `first` and from `second`.
///
/// Order within a step: the upper part of the pixels meets all parts of the weights, then their lower part and their middle
/// part follow, so that seven pairs of loads serve six pairs of products. Registers 0 to 3 are sums (pixels by channels),
/// 4 and 5 pixels, 6 and 7 weights.
///
/// # Safety
/// The unit is configured; three planes, `plane` bytes apart, have sixteen lines, `step` bytes apart, at each offset;
/// `weights` has the steps; `sums` are four registers, which are read where the sum goes on (`resume`).
unsafe fn multiply(
    offsets: &[usize],
    first: *const Line,
    second: *const Line,
    plane: usize,
    step: usize,
    weights: *const Line,
    sums: *mut f32,
    resume: bool,
) {
    if offsets.is_empty() {
        return;
    }
    // SAFETY: the caller's.
    unsafe {
        asm!(
            "test {x}, {x}",
            "jz 3f",
            "tileloadd tmm0, [{sums} + {line}*1]",
            "tileloadd tmm1, [{sums} + {line}*1 + 1024]",
            "tileloadd tmm2, [{sums} + {line}*1 + 2048]",
            "tileloadd tmm3, [{sums} + {line}*1 + 3072]",
            "jmp 2f",
            "3:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "mov {x}, qword ptr [{offsets}]",
            "add {offsets}, 8",
            "lea {z}, [{second} + {x}]",
            "lea {x}, [{first} + {x}]",
            // upper pixels by lower, middle and upper weights
            "tileloadd tmm4, [{x} + {step}*1]",
            "tileloadd tmm6, [{w} + {line}*1 + 4096]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{z} + {step}*1]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tileloadd tmm7, [{w} + {line}*1 + 5120]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "tileloadd tmm6, [{w} + {line}*1 + 2048]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tileloadd tmm7, [{w} + {line}*1 + 3072]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "tileloadd tmm6, [{w} + {line}*1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tileloadd tmm7, [{w} + {line}*1 + 1024]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm3, tmm5, tmm7",
            // lower pixels by upper weights
            "add {x}, {plane}",
            "add {z}, {plane}",
            "add {x}, {plane}",
            "tileloadd tmm4, [{x} + {step}*1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "add {z}, {plane}",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{z} + {step}*1]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            // middle pixels by upper and middle weights
            "sub {x}, {plane}",
            "tileloadd tmm4, [{x} + {step}*1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "sub {z}, {plane}",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{z} + {step}*1]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "tileloadd tmm6, [{w} + {line}*1 + 2048]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tileloadd tmm7, [{w} + {line}*1 + 3072]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {w}, 6144",
            "dec {count}",
            "jnz 2b",
            "tilestored [{sums} + {line}*1], tmm0",
            "tilestored [{sums} + {line}*1 + 1024], tmm1",
            "tilestored [{sums} + {line}*1 + 2048], tmm2",
            "tilestored [{sums} + {line}*1 + 3072], tmm3",
            x = inout(reg) usize::from(resume) => _,
            z = out(reg) _,
            offsets = inout(reg) offsets.as_ptr() => _,
            count = inout(reg) offsets.len() => _,
            first = in(reg) first,
            second = in(reg) second,
            plane = in(reg) plane,
            step = in(reg) step,
            w = inout(reg) weights => _,
            sums = in(reg) sums,
            line = in(reg) 64usize,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
