//! The inner loop of every product: `M` pixels by one panel of output channels.
//!
//! Sums stand in registers: `M` rows of `NV` vectors. Each step reads one row of the packed weights and
//! one number of each pixel. `M` and `NV` are chosen so that all of it fits the registers of the instruction set
//! (14 x 2 + 2 + 1 of 32 with AVX-512, 6 x 2 + 2 + 1 of 16 with AVX2, 6 x 4 + 4 + 1 of 32 with NEON).

use super::simd::{Isa, Portable, Simd, load, store};

/// Numbers that lie side by side in a pixel's window: for a 3x3 kernel over `C` channels each of its
/// three rows is one run of `3 C`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Distance from the window's first number.
    pub(super) offset: usize,
    /// How many.
    pub(super) len: usize,
}

/// What happens to a finished sum on its way to memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Finish {
    /// Stored as it is.
    Plain,
    /// `min(max(v, lo), hi)`; a rectifier is `0, inf`.
    Clamp(f32, f32),
    /// What else would be added, over the sum, which a number with its sign keeps from 0: [`Simd::over`].
    Over(f32),
    /// What else would be added, over the sum, and 0 where that is 0.
    OverExact,
    /// The sum times what else would be added.
    Times,
}

impl Finish {
    /// Of up to a vector of sums; `other` points to as many numbers that are added or what the variant says, or is
    /// null where there are none.
    ///
    /// # Safety
    /// As [`Simd`], for `n` numbers or a whole vector.
    #[inline(always)]
    pub(super) unsafe fn of<S: Simd>(self, v: S::V, other: *const f32, n: usize) -> S::V {
        // SAFETY: the caller's.
        unsafe {
            if other.is_null() {
                return match self {
                    Self::Clamp(lo, hi) => S::at_most(S::at_least(v, S::splat(lo)), S::splat(hi)),
                    _ => v,
                };
            }
            let other = load::<S>(other, n);
            match self {
                Self::Plain => S::add(v, other),
                Self::Clamp(lo, hi) => {
                    S::at_most(S::at_least(S::add(v, other), S::splat(lo)), S::splat(hi))
                }
                Self::Over(e) => S::over(other, v, e),
                Self::OverExact => S::over_exact(other, v),
                Self::Times => S::mul(v, other),
            }
        }
    }
}

/// One call of the inner loop.
pub(super) struct Tile<'a> {
    pub(super) pieces: &'a [Piece],
    /// First number of the first pixel's window.
    pub(super) a: *const f32,
    /// Distance between the windows of neighbouring pixels.
    pub(super) a_step: usize,
    /// Packed weights: a row of `b_step` numbers for each number of a window.
    pub(super) b: *const f32,
    pub(super) b_step: usize,
    /// How far ahead of `b` the weights lie that are needed next, in numbers: they are asked for in time.
    pub(super) ahead: usize,
    /// First output of the first pixel.
    pub(super) c: *mut f32,
    /// Distance between the outputs of neighbouring pixels.
    pub(super) c_step: usize,
    /// Output channels that are stored.
    pub(super) channels: usize,
    /// Whether the sum goes on from what stands at `c`.
    pub(super) resume: bool,
    /// Set in the last part of a sum, which becomes `finish(scale * sum + bias, added)`: scale and bias are
    /// `channels` numbers each, or null; what is added is laid out with its own step, or null.
    pub(super) last: bool,
    pub(super) scale: *const f32,
    pub(super) bias: *const f32,
    pub(super) added: *const f32,
    pub(super) added_step: usize,
    pub(super) finish: Finish,
}

/// Straight lines instead of a loop: sums stand in registers only where every index is a constant, and whether
/// the compiler unrolls a loop so far depends on its mood and the level of optimisation.
macro_rules! unrolled {
    ($i:ident, $count:ident, [$($n:literal),*], $body:block) => {
        $(if $count > $n {
            #[allow(non_upper_case_globals)] // stands for the loop's variable
            const $i: usize = $n;
            $body
        })*
    };
}

/// # Safety
/// As [`Simd`]; the pointers of `t` must be valid for what its fields say: `a` for `M` windows, `b` for as many
/// rows as the pieces have numbers (each at least `NV` vectors wide), `c` and `added` for `M` rows of
/// `channels <= NV * LANES` numbers. `c` overlaps nothing else that is read, except `added` at the same place.
#[inline(always)]
unsafe fn tile<S: Simd, const M: usize, const NV: usize>(t: &Tile<'_>) {
    // SAFETY: see above; all offsets stay inside what the caller vouches for.
    unsafe {
        let mut sums = [[S::splat(0.0); NV]; M];
        let mut b = t.b;
        let step = t.a_step;
        for piece in t.pieces {
            let mut a = t.a.add(piece.offset);
            let end = a.add(piece.len);
            loop {
                let mut row = [S::splat(0.0); NV];
                unrolled!(j, NV, [0, 1, 2, 3], {
                    row[j] = S::load(b.add(j * S::LANES));
                    // A vector may be less than a cache line; asking twice costs nothing.
                    S::prefetch(b.wrapping_add(t.ahead + j * S::LANES));
                });
                unrolled!(i, M, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13], {
                    let x = S::splat(*a.add(i * step));
                    unrolled!(j, NV, [0, 1, 2, 3], {
                        sums[i][j] = S::fma(x, row[j], sums[i][j]);
                    });
                });
                a = a.add(1);
                b = b.add(t.b_step);
                if a == end {
                    break;
                }
            }
        }
        // A copy for the loop below, which indexes it: the sums themselves must stay in registers.
        let mut done = [[S::splat(0.0); NV]; M];
        unrolled!(i, M, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13], {
            unrolled!(j, NV, [0, 1, 2, 3], {
                done[i][j] = sums[i][j];
            });
        });
        for (i, done) in done.iter().enumerate() {
            for (j, sum) in done.iter().enumerate() {
                let from = j * S::LANES;
                if from >= t.channels {
                    break;
                }
                let n = t.channels - from;
                let c = t.c.add(i * t.c_step + from);
                let mut v = *sum;
                if t.resume {
                    v = S::add(v, load::<S>(c, n));
                }
                if t.last {
                    let bias = if t.bias.is_null() {
                        S::splat(0.0)
                    } else {
                        load::<S>(t.bias.add(from), n)
                    };
                    v = if t.scale.is_null() {
                        S::add(v, bias)
                    } else {
                        S::fma(v, load::<S>(t.scale.add(from), n), bias)
                    };
                    let other = if t.added.is_null() {
                        t.added
                    } else {
                        t.added.add(i * t.added_step + from)
                    };
                    v = t.finish.of::<S>(v, other, n);
                }
                store::<S>(c, n, v);
            }
        }
    }
}

/// An inner loop for a number of pixels.
pub(super) type TileFn = unsafe fn(&Tile<'_>);

/// The inner loops of an instruction set.
pub(super) struct Tiles {
    /// `full[m - 1]` takes `m` pixels and a whole panel.
    pub(super) full: &'static [TileFn],
    /// The same for panels of which at most one vector is used.
    pub(super) narrow: &'static [TileFn],
    /// Output channels of a panel.
    pub(super) panel: usize,
    /// Numbers in a vector.
    pub(super) lanes: usize,
}

macro_rules! tiles {
    ($name:ident, $simd:ty, $nv:literal, $features:literal, [$($m:literal),*]) => {
        mod $name {
            use super::{Tile, TileFn, Tiles, tile};
            /// # Safety
            /// As [`tile`].
            #[target_feature(enable = $features)]
            unsafe fn run<const M: usize, const NV: usize>(t: &Tile<'_>) {
                // SAFETY: handed on.
                unsafe { tile::<$simd, M, NV>(t) }
            }
            pub(super) static TILES: Tiles = Tiles {
                full: &[$(run::<$m, $nv> as TileFn),*],
                narrow: &[$(run::<$m, 1> as TileFn),*],
                panel: $nv * <$simd as super::Simd>::LANES,
                lanes: <$simd as super::Simd>::LANES,
            };
        }
    };
}

#[cfg(target_arch = "x86_64")]
tiles!(
    avx512,
    super::super::simd::Avx512,
    2,
    "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma",
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]
);
#[cfg(target_arch = "x86_64")]
tiles!(
    avx2,
    super::super::simd::Avx2,
    2,
    "avx2,fma",
    [1, 2, 3, 4, 5, 6]
);
#[cfg(target_arch = "aarch64")]
tiles!(
    neon,
    super::super::simd::Neon,
    4,
    "neon",
    [1, 2, 3, 4, 5, 6]
);

mod portable {
    use super::{Portable, Tile, TileFn, Tiles, tile};
    /// # Safety
    /// As [`tile`].
    unsafe fn run<const M: usize>(t: &Tile<'_>) {
        // SAFETY: handed on.
        unsafe { tile::<Portable, M, 1>(t) }
    }
    pub(super) static TILES: Tiles = Tiles {
        full: &[run::<1> as TileFn, run::<2>, run::<3>],
        narrow: &[run::<1> as TileFn, run::<2>, run::<3>],
        panel: 8,
        lanes: 8,
    };
}

/// The inner loops of an instruction set.
pub(super) fn tiles(isa: Isa) -> &'static Tiles {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => &avx512::TILES,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => &avx2::TILES,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => &neon::TILES,
        _ => &portable::TILES,
    }
}
