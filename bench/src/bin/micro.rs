//! Measures building, packing and reading batches; options in `bench::measure::micro`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::measure::run("micro", bench::measure::micro)
}
