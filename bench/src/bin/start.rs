//! Measures how long an empty server takes to be ready; options in `bench::measure::start`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::measure::run("start", bench::measure::start)
}
