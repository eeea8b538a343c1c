//! Measures what many tenants cost; options in `bench::measure::tenants`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::measure::run("tenants", bench::measure::tenants)
}
