//! Grey planes, seeded randomness and smooth noise: what the other files draw with.

use rayon::prelude::*;

/// A seeded stream of numbers (`SplitMix64`): small, and the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// A stream that depends on `seed` and, so that streams of one seed differ, on `purpose`.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        Self(mix(seed ^ mix(purpose)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Uniform between `low` and `high`.
    pub(crate) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Nearly normal with mean 0 and deviation 1 (a sum of uniforms: no tails to clip).
    pub(crate) fn normal(&mut self) -> f32 {
        let sum: f32 = (0..6).map(|_| self.unit()).sum();
        (sum - 3.0) * std::f32::consts::SQRT_2
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Smooth noise in three dimensions, roughly -1 to 1, mean 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise(u64);

impl Noise {
    /// Noise that depends on `seed` and `purpose` only.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        Self(mix(seed.wrapping_mul(31) ^ mix(purpose)))
    }

    fn lattice(self, x: i32, y: i32, z: i32) -> f32 {
        let key = (x as u32 as u64)
            ^ ((y as u32 as u64) << 21).wrapping_mul(0x9E37_79B9_7F4A_7C15)
            ^ ((z as u32 as u64) << 42).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
        (mix(self.0 ^ mix(key)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// One octave; the grid has pitch 1.
    pub(crate) fn at(self, x: f32, y: f32, z: f32) -> f32 {
        let (x0, y0, z0) = (x.floor(), y.floor(), z.floor());
        let ease = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
        let (fx, fy, fz) = (ease(x - x0), ease(y - y0), ease(z - z0));
        let (ix, iy, iz) = (x0 as i32, y0 as i32, z0 as i32);
        let edge = |dy, dz| {
            let a = self.lattice(ix, iy + dy, iz + dz);
            let b = self.lattice(ix + 1, iy + dy, iz + dz);
            a + (b - a) * fx
        };
        let face = |dz| {
            let (a, b) = (edge(0, dz), edge(1, dz));
            a + (b - a) * fy
        };
        let (a, b) = (face(0), face(1));
        a + (b - a) * fz
    }

    /// `octaves` octaves, each half as high and twice as fine as the one before.
    pub(crate) fn fractal(self, x: f32, y: f32, z: f32, octaves: u32) -> f32 {
        let (mut sum, mut weight, mut scale) = (0.0, 1.0, 1.0);
        for octave in 0..octaves {
            let shift = octave as f32 * 17.3;
            sum += weight
                * self.at(
                    x * scale + shift,
                    y * scale - shift,
                    z * scale + 0.5 * shift,
                );
            weight *= 0.5;
            scale *= 2.0;
        }
        sum
    }
}

/// Numbers on a grid, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plane {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) values: Vec<f32>,
}

impl Plane {
    /// All zero.
    pub(crate) fn zero(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            values: vec![0.0; width * height],
        }
    }

    /// Fills each pixel with `value(column, row)`, rows in parallel.
    pub(crate) fn fill(
        width: usize,
        height: usize,
        value: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Self {
        let mut plane = Self::zero(width, height);
        plane
            .values
            .par_chunks_mut(width.max(1))
            .enumerate()
            .for_each(|(row, line)| {
                for (column, v) in line.iter_mut().enumerate() {
                    *v = value(column, row);
                }
            });
        plane
    }

    /// The value at a pixel, the border repeated outside.
    pub(crate) fn get(&self, column: isize, row: isize) -> f32 {
        let c = column.clamp(0, self.width as isize - 1) as usize;
        let r = row.clamp(0, self.height as isize - 1) as usize;
        self.values[r * self.width + c]
    }

    /// Catmull-Rom interpolation at pixel coordinates (0 is the centre of the first pixel).
    pub(crate) fn sample(&self, x: f32, y: f32) -> f32 {
        let (x0, y0) = (x.floor(), y.floor());
        let (wx, wy) = (cubic(x - x0), cubic(y - y0));
        let (ix, iy) = (x0 as isize - 1, y0 as isize - 1);
        let mut sum = 0.0;
        for (j, wy) in (0..).zip(wy) {
            let mut line = 0.0;
            for (i, wx) in (0..).zip(wx) {
                line += wx * self.get(ix + i, iy + j);
            }
            sum += wy * line;
        }
        sum
    }

    /// Gaussian blur, the border repeated.
    pub(crate) fn blurred(&self, sigma_px: f32) -> Self {
        if sigma_px <= 0.05 {
            return self.clone();
        }
        // A wide blur of a smooth result needs no full grid: shrink, blur, grow.
        if sigma_px > 12.0 && self.width > 64 && self.height > 64 {
            let half = Self::fill(self.width.div_ceil(2), self.height.div_ceil(2), |c, r| {
                let (c, r) = (2 * c as isize, 2 * r as isize);
                0.25 * (self.get(c, r)
                    + self.get(c + 1, r)
                    + self.get(c, r + 1)
                    + self.get(c + 1, r + 1))
            })
            .blurred(0.5 * sigma_px);
            return half.resized(self.width, self.height);
        }
        let reach = (3.0 * sigma_px).ceil() as isize;
        let mut kernel: Vec<f32> = (-reach..=reach)
            .map(|i| (-0.5 * (i as f32 / sigma_px).powi(2)).exp())
            .collect();
        let total: f32 = kernel.iter().sum();
        kernel.iter_mut().for_each(|k| *k /= total);
        let across = Self::fill(self.width, self.height, |c, r| {
            (-reach..)
                .zip(&kernel)
                .map(|(i, k)| k * self.get(c as isize + i, r as isize))
                .sum()
        });
        Self::fill(self.width, self.height, |c, r| {
            (-reach..)
                .zip(&kernel)
                .map(|(i, k)| k * across.get(c as isize, r as isize + i))
                .sum()
        })
    }

    /// The same picture at another size (pixel areas aligned).
    pub(crate) fn resized(&self, width: usize, height: usize) -> Self {
        let sx = self.width as f32 / width as f32;
        let sy = self.height as f32 / height as f32;
        Self::fill(width, height, |c, r| {
            self.sample((c as f32 + 0.5) * sx - 0.5, (r as f32 + 0.5) * sy - 0.5)
        })
    }

    /// Adds `other` times `factor`.
    pub(crate) fn add(&mut self, other: &Self, factor: f32) {
        for (a, b) in self.values.iter_mut().zip(&other.values) {
            *a += factor * b;
        }
    }

    /// Applies `f` to every value.
    pub(crate) fn map(mut self, f: impl Fn(f32) -> f32 + Sync) -> Self {
        self.values.par_iter_mut().for_each(|v| *v = f(*v));
        self
    }
}

fn cubic(t: f32) -> [f32; 4] {
    [
        ((2.0 - t) * t - 1.0) * t * 0.5,
        ((3.0 * t - 5.0) * t * t + 2.0) * 0.5,
        ((4.0 - 3.0 * t) * t + 1.0) * t * 0.5,
        (t - 1.0) * t * t * 0.5,
    ]
}

/// 0 below `low`, 1 above `high`, smooth between; falls when `low > high`.
pub(crate) fn smooth(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
