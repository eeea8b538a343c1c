//! Measures what taking spans in costs a server; options in `bench::measure::ingest`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::measure::run("ingest", bench::measure::ingest)
}
