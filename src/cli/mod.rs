//! The command line: the same verbs as the window, without one.
//!
//! Data goes to stdout, words to stderr. Exit status: 0 done, 1 failed with one clear line, 2 wrong
//! usage.

mod args;
mod commands;
mod methods;
mod picture;
mod progress_bar;

use std::process::ExitCode;

use clap::Parser as _;

use crate::error::Result;
use crate::text;
use args::{Cli, Command};

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            if error.is_of_device() {
                eprintln!("camlens: {}", text::device::offer_cpu(error.message()));
            } else {
                eprintln!("camlens: {error}");
            }
            ExitCode::from(1)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Some(Command::Predict(args)) => commands::predict(&args),
        Some(Command::Layers(args)) => commands::layers(&args),
        Some(Command::Facts(args)) => commands::facts(&args),
        Some(Command::Methods(args)) => methods::run(&args),
        Some(Command::Explain(args)) => commands::explain(&args),
        Some(Command::Figure(args)) => commands::figure(&args),
        Some(Command::View(args)) => picture::view(&args),
        Some(Command::Inspect(args)) => picture::inspect(&args),
        Some(Command::Train(args)) => commands::train(args),
        Some(Command::Samples(args)) => commands::samples(&args),
        Some(Command::Bench(args)) => commands::bench(&args),
        None => commands::window(cli.window),
    }
}
