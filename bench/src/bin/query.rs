//! Measures how fast a server answers; options in `bench::measure::query`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::measure::run("query", bench::measure::query)
}
