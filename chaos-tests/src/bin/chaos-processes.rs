//! `chaos-processes`: real nodes under faults. A flag that it does not know has it print its flags.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    chaos_tests::process::main(&arguments)
}
