//! Measures how a server grows with what it holds; options in `bench::measure::large`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::measure::run_steps("large", bench::measure::large)
}
