//! `chaos-processes`: real nodes under faults. `--help` is printed for a flag that it does not know.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    chaos_tests::process::main(&arguments)
}
