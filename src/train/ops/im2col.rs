//! Patches of an image as columns of a matrix, and back.

/// Geometry of a convolution over one plane size; the kernel is square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patches {
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
}

impl Patches {
    pub(crate) fn out_height(&self) -> usize {
        (self.height + 2 * self.padding).saturating_sub(self.kernel) / self.stride + 1
    }

    pub(crate) fn out_width(&self) -> usize {
        (self.width + 2 * self.padding).saturating_sub(self.kernel) / self.stride + 1
    }

    /// Number of output positions, the columns of one image.
    pub(crate) fn positions(&self) -> usize {
        self.out_height() * self.out_width()
    }

    /// Values of one patch, the rows of the matrix.
    pub(crate) fn rows(&self) -> usize {
        self.channels * self.kernel * self.kernel
    }

    /// Values of one image.
    pub(crate) fn image_len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Output columns `ox` whose input column `ox * stride + tap - padding` lies inside the image.
    fn inside(&self, tap: usize) -> (usize, usize) {
        let first = self.padding.saturating_sub(tap).div_ceil(self.stride);
        let end = (self.width + self.padding)
            .saturating_sub(tap)
            .div_ceil(self.stride)
            .min(self.out_width());
        (first.min(end), end)
    }

    /// Calls `f(row of the matrix, start in that row, start in the image, count)` for every run of
    /// output positions that reads the image with a fixed step of `stride`.
    fn for_each_run(&self, mut f: impl FnMut(usize, usize, usize, usize)) {
        let (oh, ow) = (self.out_height(), self.out_width());
        for c in 0..self.channels {
            for ky in 0..self.kernel {
                for kx in 0..self.kernel {
                    let row = (c * self.kernel + ky) * self.kernel + kx;
                    let (first, end) = self.inside(kx);
                    if first >= end {
                        continue;
                    }
                    for oy in 0..oh {
                        let y = oy * self.stride + ky;
                        if y < self.padding || y - self.padding >= self.height {
                            continue;
                        }
                        let from = (c * self.height + y - self.padding) * self.width
                            + first * self.stride
                            + kx
                            - self.padding;
                        f(row, oy * ow + first, from, end - first);
                    }
                }
            }
        }
    }

    /// Columns of `images` (whole images, one after the other) as a row-major matrix
    /// `[rows, images * positions]`; padding reads as zero.
    pub(crate) fn columns(&self, images: &[f32]) -> Vec<f32> {
        let p = self.positions();
        let count = images.len() / self.image_len();
        let mut columns = vec![0.0; self.rows() * count * p];
        for (i, image) in images.chunks_exact(self.image_len()).enumerate() {
            self.for_each_run(|row, at, from, n| {
                let start = (row * count + i) * p + at;
                let out = &mut columns[start..start + n];
                if self.stride == 1 {
                    out.copy_from_slice(&image[from..from + n]);
                } else {
                    let taps = image[from..].iter().step_by(self.stride);
                    for (out, &v) in out.iter_mut().zip(taps) {
                        *out = v;
                    }
                }
            });
        }
        columns
    }

    /// The transpose of [`Self::columns`]: adds each column's values back where they were read.
    pub(crate) fn add_columns(&self, columns: &[f32], images: &mut [f32]) {
        let p = self.positions();
        let count = images.len() / self.image_len();
        for (i, image) in images.chunks_exact_mut(self.image_len()).enumerate() {
            self.for_each_run(|row, at, from, n| {
                let start = (row * count + i) * p + at;
                let values = &columns[start..start + n];
                if self.stride == 1 {
                    for (out, &v) in image[from..from + n].iter_mut().zip(values) {
                        *out += v;
                    }
                } else {
                    let taps = image[from..].iter_mut().step_by(self.stride);
                    for (out, &v) in taps.zip(values) {
                        *out += v;
                    }
                }
            });
        }
    }
}
