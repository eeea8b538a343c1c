//! Measures what a huge trace costs, itself and others; options in `bench::measure::giant`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::measure::run("giant", bench::measure::giant)
}
