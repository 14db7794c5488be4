//! Memory that is used again instead of being fetched from the system page by page.
//!
//! A forward pass asks for some hundred large blocks and gives them all back. From the system each new block
//! is unmapped memory: every 4 KiB of it cost a page fault and a page of zeros, together as much time as a
//! tenth of the arithmetic. [`Recycler`] keeps large blocks that were given back and hands them out again when
//! the same size is asked for, which a network does in every pass.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;

/// Smallest block that is kept, in bytes; the system's allocator is good at smaller ones.
const SMALLEST: usize = 128 << 10;
/// Most bytes that are kept for later.
const MOST: usize = 192 << 20;
/// Most blocks that are kept.
const SLOTS: usize = 256;
/// Large blocks begin on a cache line.
const ALIGN: usize = 64;

/// Free memory at the end of the heap that C code of the process may keep, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const HEAP_KEPT: libc::c_int = 64 << 20;

/// Lets glibc keep what C code gives back. OpenGL without a graphics card fetches and returns megabytes for each
/// picture of the window; given back to the system at once, they are fetched page by page the next time, a third of the
/// time that the window's thread spends in OpenGL. Does nothing where there is no glibc.
pub fn keep_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `mallopt` takes two numbers, locks what it changes, and may be called at any time.
        let taken = unsafe {
            // Blocks of their own mappings are what is returned first.
            libc::mallopt(libc::M_MMAP_THRESHOLD, HEAP_KEPT / 2)
                & libc::mallopt(libc::M_TRIM_THRESHOLD, HEAP_KEPT)
        };
        // A refusal costs time and nothing else.
        debug_assert_eq!(taken, 1);
    }
}

#[derive(Clone, Copy)]
struct Block {
    address: usize,
    bytes: usize,
}

struct Kept {
    blocks: [Block; SLOTS],
    count: usize,
    bytes: usize,
}

/// The program's allocator: the system's, with a memory for large blocks.
pub struct Recycler {
    kept: Mutex<Kept>,
}

impl Default for Recycler {
    fn default() -> Self {
        Self::new()
    }
}

impl Recycler {
    /// An allocator that keeps nothing yet.
    pub const fn new() -> Self {
        Self {
            kept: Mutex::new(Kept {
                blocks: [Block {
                    address: 0,
                    bytes: 0,
                }; SLOTS],
                count: 0,
                bytes: 0,
            }),
        }
    }

    fn is_large(layout: Layout) -> bool {
        layout.size() >= SMALLEST && layout.align() <= ALIGN
    }

    /// The size and alignment that large blocks are really taken with: up to a thirty-second more, so that nearly
    /// equal sizes can stand in for each other.
    fn rounded(layout: Layout) -> Option<Layout> {
        let step = (layout.size().next_power_of_two() / 64).max(4096);
        Layout::from_size_align(layout.size().checked_next_multiple_of(step)?, ALIGN).ok()
    }

    fn take(&self, bytes: usize) -> Option<*mut u8> {
        let mut kept = self.kept.lock().ok()?;
        // The newest block of the size is the one that is likeliest still in a cache.
        let at = (0..kept.count)
            .rev()
            .find(|&i| kept.blocks[i].bytes == bytes)?;
        let block = kept.blocks[at];
        let last = kept.count - 1;
        kept.blocks.copy_within(at + 1..=last, at);
        kept.count = last;
        kept.bytes -= bytes;
        Some(block.address as *mut u8)
    }

    /// Keeps a block; what had to give way to it, oldest first, comes back through `give_up`.
    fn keep(&self, block: Block, mut give_up: impl FnMut(Block)) {
        if block.bytes > MOST {
            give_up(block);
            return;
        }
        let Ok(mut kept) = self.kept.lock() else {
            give_up(block);
            return;
        };
        while kept.count == SLOTS || kept.bytes + block.bytes > MOST {
            let oldest = kept.blocks[0];
            let last = kept.count - 1;
            kept.blocks.copy_within(1..=last, 0);
            kept.count = last;
            kept.bytes -= oldest.bytes;
            give_up(oldest);
        }
        let at = kept.count;
        kept.blocks[at] = block;
        kept.count += 1;
        kept.bytes += block.bytes;
    }
}

// SAFETY: small blocks are the system's own. A large block is always taken from and given to the system with
// the layout that `rounded` makes of its own, at least as large and as aligned as asked for; a block that is
// kept is owned by nobody else, and leaves the list before it is handed out. Nothing here allocates or panics.
unsafe impl GlobalAlloc for Recycler {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !Self::is_large(layout) {
            // SAFETY: handed on.
            return unsafe { System.alloc(layout) };
        }
        let Some(rounded) = Self::rounded(layout) else {
            return std::ptr::null_mut();
        };
        match self.take(rounded.size()) {
            Some(block) => block,
            // SAFETY: the size is not 0.
            None => unsafe { System.alloc(rounded) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !Self::is_large(layout) {
            // SAFETY: handed on.
            return unsafe { System.alloc_zeroed(layout) };
        }
        let Some(rounded) = Self::rounded(layout) else {
            return std::ptr::null_mut();
        };
        match self.take(rounded.size()) {
            Some(block) => {
                // SAFETY: the block has at least `layout.size()` bytes.
                unsafe { block.write_bytes(0, layout.size()) };
                block
            }
            // SAFETY: the size is not 0.
            None => unsafe { System.alloc_zeroed(rounded) },
        }
    }

    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        if !Self::is_large(layout) {
            // SAFETY: handed on.
            return unsafe { System.dealloc(address, layout) };
        }
        let Some(rounded) = Self::rounded(layout) else {
            return;
        };
        let block = Block {
            address: address as usize,
            bytes: rounded.size(),
        };
        self.keep(block, |block| {
            if let Ok(layout) = Layout::from_size_align(block.bytes, ALIGN) {
                // SAFETY: large blocks were all taken with this layout.
                unsafe { System.dealloc(block.address as *mut u8, layout) };
            }
        });
    }

    unsafe fn realloc(&self, address: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Ok(new) = Layout::from_size_align(new_size, layout.align()) else {
            return std::ptr::null_mut();
        };
        if !Self::is_large(layout) && !Self::is_large(new) {
            // SAFETY: handed on.
            return unsafe { System.realloc(address, layout, new_size) };
        }
        // SAFETY: the old block is valid for its size, the new one for `new_size`; they do not overlap.
        unsafe {
            let to = self.alloc(new);
            if !to.is_null() {
                std::ptr::copy_nonoverlapping(address, to, layout.size().min(new_size));
                self.dealloc(address, layout);
            }
            to
        }
    }
}

/// Room for `len` numbers, to be written before it is read.
///
/// Kernels write every output before anything reads it; filling it with zeros first would cost as much as the
/// cheaper ones of them take.
#[allow(clippy::uninit_vec)] // see the safety note
pub(super) fn buffer(len: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(len);
    // SAFETY: the capacity is there and any bits are an f32; callers in this module write all of it.
    unsafe { values.set_len(len) };
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_block_comes_back_and_small_ones_do_not_stay() {
        let recycler = Recycler::new();
        let layout = Layout::from_size_align(1 << 20, 16).unwrap();
        // SAFETY: blocks are given back with the layout that they were taken with.
        unsafe {
            let first = recycler.alloc(layout);
            assert_eq!(first as usize % ALIGN, 0);
            first.write_bytes(7, layout.size());
            recycler.dealloc(first, layout);
            // A little smaller: the same block serves.
            let second =
                recycler.alloc_zeroed(Layout::from_size_align((1 << 20) - 100, 4).unwrap());
            assert_eq!(first, second);
            assert_eq!(second.read(), 0);
            let grown = recycler.realloc(
                second,
                Layout::from_size_align((1 << 20) - 100, 4).unwrap(),
                2 << 20,
            );
            assert_eq!(grown.read(), 0);
            recycler.dealloc(grown, Layout::from_size_align(2 << 20, 4).unwrap());
            assert!(recycler.kept.lock().unwrap().bytes >= 3 << 20);
            let small = Layout::from_size_align(64, 8).unwrap();
            let block = recycler.alloc(small);
            recycler.dealloc(block, small);
            assert_eq!(recycler.kept.lock().unwrap().count, 2);
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let recycler = Recycler::new();
        // SAFETY: as above.
        unsafe {
            let layouts: Vec<Layout> = (1..40)
                .map(|i| Layout::from_size_align(i * (1 << 20), 8).unwrap())
                .collect();
            let blocks: Vec<*mut u8> = layouts.iter().map(|l| recycler.alloc(*l)).collect();
            for (block, layout) in blocks.into_iter().zip(&layouts) {
                recycler.dealloc(block, *layout);
            }
        }
        assert!(recycler.kept.lock().unwrap().bytes <= MOST);
    }
}
