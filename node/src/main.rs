//! The `skua` binary: reads the command line, does what it says, prints what went wrong.

use std::process::ExitCode;

use node::cli::Cli;
use node::{commands, output};

/// Bursts of small buffers, freed on other threads than they were made on: mimalloc keeps resident
/// memory and CPU lower there than the system's allocator does. It is built without huge pages: of
/// those it would keep resident two mebibytes for each few kilobytes that are in use. And it is
/// version 2, which gives back what is free after 10 ms: version 3 waits for a second, and what
/// seals and merges freed stayed resident, as much again as was in use.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output, bad usage to standard error; nobody is left to tell
            // if that fails.
            let _ = error.print();
            return commands::usage_exit_code(&error);
        }
    };
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            commands::exit_code(&error)
        }
    }
}
