//! Measures how a node comes back that lost its disk; options in `bench::measure::rejoin`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::measure::run_steps("rejoin", bench::measure::rejoin)
}
