//! `skua completions`: a script that lets a shell complete command lines.

use clap_complete::Shell;

use crate::cli::Cli;
use crate::output;

pub(super) fn run(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::definition(), "skua", &mut script);
    output::answer(&String::from_utf8(script)?)?;
    Ok(())
}
