//! What tests of damaged files share: an allocator that counts, damage drawn from a fixed seed.
#![allow(dead_code, unreachable_pub)] // every test binary uses a part of it
#![allow(unsafe_code)] // an allocator that counts can only be written so

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

// ---- memory ------------------------------------------------------------------------------------

/// The system's allocator with a count of what is held and the most that was.
struct Counting;

pub static HELD: AtomicUsize = AtomicUsize::new(0);
pub static MOST: AtomicUsize = AtomicUsize::new(0);

fn took(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(held, Ordering::Relaxed);
}

// SAFETY: every call is handed on to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// One measurement at a time.
pub static ALONE: Mutex<()> = Mutex::new(());

/// Most that a file may take while it is read: this multiple of its bytes, beside a fixed part.
pub const MULTIPLE: usize = 128;
pub const FIXED: usize = 1 << 20;

/// What `work` returns; fails where it holds more memory than a file of `bytes` may take.
pub fn measured<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    within(FIXED + MULTIPLE * bytes, bytes, work)
}

/// What `work` returns; fails where it holds more than `allowed` bytes for a file of `bytes`.
pub fn within<T>(allowed: usize, bytes: usize, work: impl FnOnce() -> T) -> T {
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let result = work();
    let most = MOST.load(Ordering::Relaxed).saturating_sub(before);
    assert!(
        most <= allowed,
        "{most} bytes were taken for a file of {bytes}"
    );
    result
}

// ---- damage ------------------------------------------------------------------------------------

/// One kind of damage; places are shares of the length, 0..=65535.
#[derive(Clone, Debug)]
pub enum Damage {
    Byte(u16, u8),
    Cut(u16),
    Remove(u16, u8),
    Repeat(u16, u8, u8),
    Insert(u16, Vec<u8>),
    /// Another number in place of a digit's run.
    Number(u16, u64),
}

fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let one = prop_oneof![
        4 => (any::<u16>(), any::<u8>()).prop_map(|(at, b)| Damage::Byte(at, b)),
        1 => any::<u16>().prop_map(Damage::Cut),
        2 => (any::<u16>(), any::<u8>()).prop_map(|(at, n)| Damage::Remove(at, n)),
        1 => (any::<u16>(), any::<u8>(), 2u8..20).prop_map(|(at, n, k)| Damage::Repeat(at, n, k)),
        2 => (any::<u16>(), prop::collection::vec(any::<u8>(), 1..16)).prop_map(|(at, b)| Damage::Insert(at, b)),
        3 => (any::<u16>(), prop_oneof![Just(0), Just(u64::MAX), Just(1 << 31), Just(1 << 40), any::<u64>()])
            .prop_map(|(at, n)| Damage::Number(at, n)),
    ];
    prop::collection::vec(one, 1..5)
}

/// Applies damage to `bytes[from..to]`.
pub fn apply(bytes: &[u8], range: std::ops::Range<usize>, damages: &[Damage]) -> Vec<u8> {
    let mut part = bytes[range.clone()].to_vec();
    for damage in damages {
        let length = part.len();
        let place = |at: u16| (usize::from(at) * length) >> 16;
        if length == 0 {
            break;
        }
        match damage {
            Damage::Byte(at, b) => part[place(*at)] = *b,
            Damage::Cut(at) => part.truncate(place(*at)),
            Damage::Remove(at, n) => {
                let from = place(*at);
                part.drain(from..(from + usize::from(*n)).min(length));
            }
            Damage::Repeat(at, n, times) => {
                let from = place(*at);
                let copy = part[from..(from + usize::from(*n)).min(length)].repeat((*times).into());
                part.splice(from..from, copy);
            }
            Damage::Insert(at, b) => {
                let from = place(*at);
                part.splice(from..from, b.iter().copied());
            }
            Damage::Number(at, n) => {
                let start = place(*at);
                let Some(from) = (start..length).find(|i| part[*i].is_ascii_digit()) else {
                    continue;
                };
                let to = (from..length)
                    .find(|i| !part[*i].is_ascii_digit())
                    .unwrap_or(length);
                part.splice(from..to, n.to_string().into_bytes());
            }
        }
    }
    let mut whole = bytes[..range.start].to_vec();
    whole.extend(part);
    whole.extend_from_slice(&bytes[range.end..]);
    whole
}

pub fn thousands(cases: u32, test: impl Fn(Vec<Damage>)) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let config = Config {
        cases,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(20_261_125),
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&damage(), |damages| {
            test(damages);
            Ok(())
        })
        .unwrap();
}

/// A message of one line that names the file.
pub fn one_line(error: &str, name: &str) {
    assert!(
        error.lines().count() == 1 && error.contains(name),
        "{error:?}"
    );
    assert!(
        error.len() < 2000 && !error.chars().any(char::is_control),
        "{error:?}"
    );
}
