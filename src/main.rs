//! Entry point of the `stxworx` command.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    stxworx::cli::execute(stxworx::cli::Cli::parse())
}
