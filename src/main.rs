//! Chooses the window or the command line; nothing else.

use std::process::ExitCode;

/// Large blocks of memory are used again instead of being fetched from the system page by page.
#[global_allocator]
static ALLOCATOR: camlens::model::kernels::cpu::Recycler =
    camlens::model::kernels::cpu::Recycler::new();

fn main() -> ExitCode {
    camlens::cli::main()
}
