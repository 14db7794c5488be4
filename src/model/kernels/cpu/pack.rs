//! Weights in the order in which the inner loop reads them.

use rayon::prelude::*;

use super::simd::Isa;
use super::tile::tiles;

/// Sixteen numbers on a cache line of their own: packed weights begin on one, so that no vector of
/// them straddles two.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [f32; 16]);

/// Numbers that begin on a cache line.
pub(super) struct Aligned {
    lines: Vec<Line>,
}

impl Aligned {
    /// `len` zeros.
    pub(super) fn zeros(len: usize) -> Self {
        Self {
            lines: vec![Line([0.0; 16]); len.div_ceil(16)],
        }
    }

    pub(super) fn as_slice(&self) -> &[f32] {
        self.lines.as_flattened_lines()
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: a `Line` is exactly sixteen f32 without padding (`repr(C)`, size equals alignment).
        unsafe {
            std::slice::from_raw_parts_mut(
                self.lines.as_mut_ptr().cast::<f32>(),
                self.lines.len() * 16,
            )
        }
    }
}

trait Flattened {
    fn as_flattened_lines(&self) -> &[f32];
}

impl Flattened for Vec<Line> {
    fn as_flattened_lines(&self) -> &[f32] {
        // SAFETY: as in `Aligned::as_mut_slice`.
        unsafe { std::slice::from_raw_parts(self.as_ptr().cast::<f32>(), self.len() * 16) }
    }
}

/// Which weights a convolution has: those of `groups` independent ones with `outputs` and `inputs` channels each
/// and a kernel of `[rows, columns]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Filters {
    pub(super) groups: usize,
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) kernel: [usize; 2],
}

impl Filters {
    /// Numbers in a window of one group.
    pub(super) fn window(&self) -> usize {
        self.inputs * self.kernel[0] * self.kernel[1]
    }

    /// Narrow groups side by side as one with zeros between them, until a vector of outputs is full: with 4 channels
    /// a group three quarters of the products are with zeros, and still more of them go through at once.
    fn merged(&self, lanes: usize) -> (Self, usize) {
        let mut together = 1;
        while together * self.outputs < lanes && self.groups.is_multiple_of(2 * together) {
            together *= 2;
        }
        (
            Self {
                groups: self.groups / together,
                outputs: self.outputs * together,
                inputs: self.inputs * together,
                kernel: self.kernel,
            },
            together,
        )
    }
}

/// Packed weights: for each group and each panel of output channels one row of `panel` numbers for
/// each number of a window (kernel row, kernel column, input channel).
pub(super) struct Packed {
    /// Groups as they are computed; narrow ones have been merged.
    pub(super) filters: Filters,
    /// Output channels of a panel.
    pub(super) panel: usize,
    /// Panels of a group.
    pub(super) panels: usize,
    data: Aligned,
}

impl Packed {
    /// Packs weights for an instruction set; `weight(o, i, ky, kx)` reads one number, `o` counted over all groups
    /// and `i` within the group.
    pub(super) fn new(
        isa: Isa,
        filters: Filters,
        weight: impl Fn(usize, usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        let kernels = tiles(isa);
        let (merged, together) = filters.merged(kernels.lanes);
        let panel = kernels.panel;
        let panels = merged.outputs.div_ceil(panel);
        let [rows, columns] = merged.kernel;
        let block = merged.window() * panel;
        let mut data = Aligned::zeros(merged.groups * panels * block);
        data.as_mut_slice()[..merged.groups * panels * block]
            .par_chunks_mut(block.max(1))
            .enumerate()
            .for_each(|(index, block)| {
                let (group, first) = (index / panels, index % panels * panel);
                let lanes = panel.min(merged.outputs - first);
                for lane in 0..lanes {
                    let output = group * merged.outputs + first + lane;
                    // Inputs of the original group that this output belongs to.
                    let member = (first + lane) / filters.outputs;
                    let inputs = if together == 1 {
                        0..merged.inputs
                    } else {
                        member * filters.inputs..(member + 1) * filters.inputs
                    };
                    let skip = inputs.start;
                    for input in inputs {
                        for ky in 0..rows {
                            for kx in 0..columns {
                                let at = (ky * columns + kx) * merged.inputs + input;
                                block[at * panel + lane] = weight(output, input - skip, ky, kx);
                            }
                        }
                    }
                }
            });
        Self {
            filters: merged,
            panel,
            panels,
            data,
        }
    }

    /// The rows of one panel; panels are counted over all groups.
    pub(super) fn rows(&self, panel: usize) -> &[f32] {
        let block = self.filters.window() * self.panel;
        &self.data.as_slice()[panel * block..(panel + 1) * block]
    }
}
