//! Measures what a server takes over UDP; options in `bench::measure::udp`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::measure::run("udp", bench::measure::udp)
}
