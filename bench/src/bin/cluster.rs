//! Measures three nodes; options in `bench::measure::cluster`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::measure::run("cluster", bench::measure::cluster)
}
