//! Vectors of f32 behind one trait, and the choice among instruction sets at run time.
//!
//! A kernel is written once, generic over [`Simd`] and `#[inline(always)]`; [`dispatch!`] wraps it in a function
//! for every instruction set, so that the same lines become AVX-512, AVX2 with FMA, NEON or plain code. All
//! sets fuse multiply and add except the plain one.

use std::sync::atomic::{AtomicU8, Ordering};

/// An instruction set that kernels exist for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Isa {
    /// Plain Rust; whatever the compiler makes of it.
    Portable = 1,
    /// x86-64 with AVX2 and FMA, 8 lanes.
    Avx2 = 2,
    /// x86-64 with AVX-512 F, VL, BW, DQ, 16 lanes.
    Avx512 = 3,
    /// 64-bit ARM, 4 lanes.
    Neon = 4,
}

impl Isa {
    /// Name for `camlens bench` and manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
        }
    }

    /// Every set that this processor has, the best one last.
    pub fn available() -> Vec<Self> {
        let mut sets = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                sets.push(Self::Avx2);
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                {
                    sets.push(Self::Avx512);
                }
            }
        }
        #[cfg(target_arch = "aarch64")]
        sets.push(Self::Neon);
        sets
    }

    /// The set in use: the best there is, or what [`Isa::set`] or the variable `CAMLENS_ISA` chose.
    pub fn current() -> Self {
        match CURRENT.load(Ordering::Relaxed) {
            1 => Self::Portable,
            2 => Self::Avx2,
            3 => Self::Avx512,
            4 => Self::Neon,
            _ => {
                let sets = Self::available();
                let wanted = std::env::var("CAMLENS_ISA").ok();
                let chosen = sets
                    .iter()
                    .copied()
                    .find(|isa| Some(isa.name()) == wanted.as_deref());
                let isa = chosen
                    .or_else(|| sets.last().copied())
                    .unwrap_or(Self::Portable);
                CURRENT.store(isa as u8, Ordering::Relaxed);
                isa
            }
        }
    }
}

static CURRENT: AtomicU8 = AtomicU8::new(0);

/// A vector of f32 and what kernels do with it.
///
/// # Safety
/// Every method needs a processor that has the instruction set of the implementing type, and is inlined into a
/// function compiled for that set. Pointers must be valid for [`Simd::LANES`] numbers, or for `n` where a
/// method takes `n`; they need no alignment.
pub(super) trait Simd: Copy {
    /// The vector.
    type V: Copy;
    /// Numbers in it.
    const LANES: usize;
    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    /// The first `n <= LANES` numbers, zeros behind them.
    unsafe fn load_first(p: *const f32, n: usize) -> Self::V;
    /// Writes the first `n <= LANES` numbers only.
    unsafe fn store_first(p: *mut f32, n: usize, v: Self::V);
    /// `a * b + c`
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// The larger of both; NaN where `x` is NaN.
    unsafe fn at_least(x: Self::V, low: Self::V) -> Self::V;
    /// The smaller of both; NaN where `x` is NaN.
    unsafe fn at_most(x: Self::V, high: Self::V) -> Self::V;
    /// `r / (z + e)` where z is at least 0 (or no number), `r / (z - e)` where it is less.
    unsafe fn over(r: Self::V, z: Self::V, e: f32) -> Self::V;
    /// `r / z`, and 0 where z is 0.
    unsafe fn over_exact(r: Self::V, z: Self::V) -> Self::V;
    /// Sum of all numbers.
    unsafe fn sum(v: Self::V) -> f32;
    /// Asks for the cache line at `p`, which need not be valid.
    #[inline(always)]
    unsafe fn prefetch(_p: *const f32) {}
}

/// The first `n` numbers, or a whole vector where there are that many.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
pub(super) unsafe fn load<S: Simd>(p: *const f32, n: usize) -> S::V {
    // SAFETY: the caller's.
    unsafe {
        if n >= S::LANES {
            S::load(p)
        } else {
            S::load_first(p, n)
        }
    }
}

/// Writes the first `n` numbers, or a whole vector where there is room for it.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
pub(super) unsafe fn store<S: Simd>(p: *mut f32, n: usize, v: S::V) {
    // SAFETY: the caller's.
    unsafe {
        if n >= S::LANES {
            S::store(p, v);
        } else {
            S::store_first(p, n, v);
        }
    }
}

/// An output that tasks share; each writes rows, panels or patches of its own.
#[derive(Clone, Copy)]
pub(super) struct Shared(pub(super) *mut f32);
// SAFETY: whoever hands it to tasks divides the output among them without overlap.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub(super) fn get(self) -> *mut f32 {
        self.0
    }
}

/// Plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Simd for Portable {
    type V = [f32; 8];
    const LANES: usize = 8;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        // SAFETY: the caller's pointer is valid for 8 numbers; arrays are read unaligned.
        unsafe { p.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        // SAFETY: as in `load`.
        unsafe { p.cast::<[f32; 8]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> Self::V {
        let mut v = [0.0; 8];
        // SAFETY: the caller's pointer is valid for `n <= 8` numbers.
        unsafe { std::ptr::copy_nonoverlapping(p, v.as_mut_ptr(), n.min(8)) };
        v
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, n: usize, v: Self::V) {
        // SAFETY: the caller's pointer is valid for `n <= 8` numbers.
        unsafe { std::ptr::copy_nonoverlapping(v.as_ptr(), p, n.min(8)) };
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn at_least(x: Self::V, low: Self::V) -> Self::V {
        std::array::from_fn(|i| if x[i] < low[i] { low[i] } else { x[i] })
    }
    #[inline(always)]
    unsafe fn at_most(x: Self::V, high: Self::V) -> Self::V {
        std::array::from_fn(|i| if x[i] > high[i] { high[i] } else { x[i] })
    }
    #[inline(always)]
    unsafe fn over(r: Self::V, z: Self::V, e: f32) -> Self::V {
        std::array::from_fn(|i| r[i] / if z[i] < 0.0 { z[i] - e } else { z[i] + e })
    }
    #[inline(always)]
    unsafe fn over_exact(r: Self::V, z: Self::V) -> Self::V {
        std::array::from_fn(|i| if z[i] == 0.0 { 0.0 } else { r[i] / z[i] })
    }
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        v.iter().sum()
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Simd;

    /// AVX2 with FMA.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx2;

    /// `-1` in the first `n` lanes.
    #[inline(always)]
    unsafe fn first(n: usize) -> __m256i {
        // SAFETY: only called from methods of `Avx2`, whose contract is a processor with AVX2.
        unsafe {
            let index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), index)
        }
    }

    // SAFETY of every block below: the trait's contract (the processor has the set, pointers are valid).
    impl Simd for Avx2 {
        type V = __m256;
        const LANES: usize = 8;
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self::V {
            unsafe { _mm256_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self::V {
            unsafe { _mm256_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: Self::V) {
            unsafe { _mm256_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn load_first(p: *const f32, n: usize) -> Self::V {
            unsafe { _mm256_maskload_ps(p, first(n)) }
        }
        #[inline(always)]
        unsafe fn store_first(p: *mut f32, n: usize, v: Self::V) {
            unsafe { _mm256_maskstore_ps(p, first(n), v) }
        }
        #[inline(always)]
        unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
            unsafe { _mm256_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
            unsafe { _mm256_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn at_least(x: Self::V, low: Self::V) -> Self::V {
            // `max` returns its second operand where either is NaN.
            unsafe { _mm256_max_ps(low, x) }
        }
        #[inline(always)]
        unsafe fn at_most(x: Self::V, high: Self::V) -> Self::V {
            unsafe { _mm256_min_ps(high, x) }
        }
        #[inline(always)]
        unsafe fn prefetch(p: *const f32) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
        }
        #[inline(always)]
        unsafe fn over(r: Self::V, z: Self::V, e: f32) -> Self::V {
            unsafe {
                let e = _mm256_set1_ps(e);
                let negative = _mm256_cmp_ps::<_CMP_LT_OQ>(z, _mm256_setzero_ps());
                let (up, down) = (_mm256_add_ps(z, e), _mm256_sub_ps(z, e));
                _mm256_div_ps(r, _mm256_blendv_ps(up, down, negative))
            }
        }
        #[inline(always)]
        unsafe fn over_exact(r: Self::V, z: Self::V) -> Self::V {
            unsafe {
                let some = _mm256_cmp_ps::<_CMP_NEQ_UQ>(z, _mm256_setzero_ps());
                _mm256_and_ps(_mm256_div_ps(r, z), some)
            }
        }
        #[inline(always)]
        unsafe fn sum(v: Self::V) -> f32 {
            unsafe {
                let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
                let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
            }
        }
    }

    /// AVX-512.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx512;

    /// The first `n` bits.
    #[inline(always)]
    fn bits(n: usize) -> u16 {
        ((1u32 << n.min(16)) - 1) as u16
    }

    // SAFETY of every block below: the trait's contract (the processor has the set, pointers are valid).
    impl Simd for Avx512 {
        type V = __m512;
        const LANES: usize = 16;
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self::V {
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self::V {
            unsafe { _mm512_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: Self::V) {
            unsafe { _mm512_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn load_first(p: *const f32, n: usize) -> Self::V {
            unsafe { _mm512_maskz_loadu_ps(bits(n), p) }
        }
        #[inline(always)]
        unsafe fn store_first(p: *mut f32, n: usize, v: Self::V) {
            unsafe { _mm512_mask_storeu_ps(p, bits(n), v) }
        }
        #[inline(always)]
        unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
            unsafe { _mm512_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
            unsafe { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn at_least(x: Self::V, low: Self::V) -> Self::V {
            unsafe { _mm512_max_ps(low, x) }
        }
        #[inline(always)]
        unsafe fn at_most(x: Self::V, high: Self::V) -> Self::V {
            unsafe { _mm512_min_ps(high, x) }
        }
        #[inline(always)]
        unsafe fn prefetch(p: *const f32) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
        }
        #[inline(always)]
        unsafe fn over(r: Self::V, z: Self::V, e: f32) -> Self::V {
            unsafe {
                let e = _mm512_set1_ps(e);
                let negative = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(z, _mm512_setzero_ps());
                let up = _mm512_add_ps(z, e);
                _mm512_div_ps(r, _mm512_mask_sub_ps(up, negative, z, e))
            }
        }
        #[inline(always)]
        unsafe fn over_exact(r: Self::V, z: Self::V) -> Self::V {
            unsafe {
                let some = _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(z, _mm512_setzero_ps());
                _mm512_maskz_div_ps(some, r, z)
            }
        }
        #[inline(always)]
        unsafe fn sum(v: Self::V) -> f32 {
            unsafe { _mm512_reduce_add_ps(v) }
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub(super) use neon::Neon;

#[cfg(target_arch = "aarch64")]
mod neon {
    use std::arch::aarch64::*;

    use super::Simd;

    /// NEON, which every 64-bit ARM has.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Neon;

    // SAFETY of every block below: the trait's contract (pointers are valid; NEON is part of aarch64).
    impl Simd for Neon {
        type V = float32x4_t;
        const LANES: usize = 4;
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self::V {
            unsafe { vdupq_n_f32(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self::V {
            unsafe { vld1q_f32(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: Self::V) {
            unsafe { vst1q_f32(p, v) }
        }
        #[inline(always)]
        unsafe fn load_first(p: *const f32, n: usize) -> Self::V {
            let mut four = [0f32; 4];
            unsafe {
                std::ptr::copy_nonoverlapping(p, four.as_mut_ptr(), n.min(4));
                vld1q_f32(four.as_ptr())
            }
        }
        #[inline(always)]
        unsafe fn store_first(p: *mut f32, n: usize, v: Self::V) {
            let mut four = [0f32; 4];
            unsafe {
                vst1q_f32(four.as_mut_ptr(), v);
                std::ptr::copy_nonoverlapping(four.as_ptr(), p, n.min(4));
            }
        }
        #[inline(always)]
        unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
            unsafe { vfmaq_f32(c, a, b) }
        }
        #[inline(always)]
        unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
            unsafe { vaddq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
            unsafe { vsubq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
            unsafe { vmulq_f32(a, b) }
        }
        #[inline(always)]
        unsafe fn at_least(x: Self::V, low: Self::V) -> Self::V {
            // `vmaxq` gives NaN where either is NaN.
            unsafe { vmaxq_f32(x, low) }
        }
        #[inline(always)]
        unsafe fn at_most(x: Self::V, high: Self::V) -> Self::V {
            unsafe { vminq_f32(x, high) }
        }
        #[inline(always)]
        unsafe fn over(r: Self::V, z: Self::V, e: f32) -> Self::V {
            unsafe {
                let e = vdupq_n_f32(e);
                let (up, down) = (vaddq_f32(z, e), vsubq_f32(z, e));
                vdivq_f32(r, vbslq_f32(vcltzq_f32(z), down, up))
            }
        }
        #[inline(always)]
        unsafe fn over_exact(r: Self::V, z: Self::V) -> Self::V {
            unsafe { vbslq_f32(vceqzq_f32(z), vdupq_n_f32(0.0), vdivq_f32(r, z)) }
        }
        #[inline(always)]
        unsafe fn sum(v: Self::V) -> f32 {
            unsafe { vaddvq_f32(v) }
        }
    }
}

/// Calls a kernel that is generic over [`Simd`] in the version of an instruction set:
/// `dispatch!(isa, kernel(arguments: types) -> result)`.
macro_rules! dispatch {
    ($isa:expr, $kernel:ident ( $($arg:ident : $ty:ty = $value:expr),* $(,)? ) $(-> $ret:ty)?) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
        #[allow(clippy::too_many_arguments)]
        unsafe fn avx512($($arg: $ty),*) $(-> $ret)? {
            // SAFETY: handed on to the caller of this function.
            unsafe { $kernel::<$crate::model::kernels::cpu::simd::Avx512>($($arg),*) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        #[allow(clippy::too_many_arguments)]
        unsafe fn avx2($($arg: $ty),*) $(-> $ret)? {
            // SAFETY: handed on to the caller of this function.
            unsafe { $kernel::<$crate::model::kernels::cpu::simd::Avx2>($($arg),*) }
        }
        match $isa {
            // SAFETY: `Isa` values are only made after their features were detected; what else the kernel
            // asks for is the caller's to keep.
            #[cfg(target_arch = "x86_64")]
            $crate::model::kernels::cpu::simd::Isa::Avx512 => unsafe { avx512($($value),*) },
            #[cfg(target_arch = "x86_64")]
            $crate::model::kernels::cpu::simd::Isa::Avx2 => unsafe { avx2($($value),*) },
            #[cfg(target_arch = "aarch64")]
            $crate::model::kernels::cpu::simd::Isa::Neon => unsafe {
                $kernel::<$crate::model::kernels::cpu::simd::Neon>($($value),*)
            },
            _ => unsafe { $kernel::<$crate::model::kernels::cpu::simd::Portable>($($value),*) },
        }
    }};
}
pub(super) use dispatch;
