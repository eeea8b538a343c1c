//! What each command does, besides `serve`, which is [`crate::app`].
//!
//! A command returns its failure; `main` prints it and sets the exit code. [`exit_code`] is the one
//! place that tells bad usage from failure.

mod blocks;
mod change;
mod columns;
mod compact;
mod completions;
mod config;
mod digests;
mod health;
mod load;
mod recover;
mod segments;
mod status;
mod transfer;
mod version;

use std::process::ExitCode;

use crate::app;
use crate::cli::{Cli, Command, FactorCommand, NodeCommand, ShardsCommand};
use crate::config::ConfigError;

/// Bad usage or configuration: trying again changes nothing, so a supervisor need not.
const USAGE: u8 = 2;

/// Does what a command line says.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        None => app::run(&cli.serve),
        Some(Command::Serve(flags)) => app::run(&flags),
        Some(Command::Load(arguments)) => load::run(arguments),
        Some(Command::Import(arguments)) => transfer::import(arguments),
        Some(Command::Export(arguments)) => transfer::export(arguments),
        Some(Command::Status(arguments)) => status::run(&arguments),
        Some(Command::Config(command)) => config::run(&command),
        Some(Command::Health(arguments)) => health::run(&arguments),
        Some(Command::Compact(arguments)) => compact::run(&arguments),
        Some(Command::Node(NodeCommand::Remove(arguments))) => change::remove_node(&arguments),
        Some(Command::Rf(FactorCommand::Set(arguments))) => change::set_factor(&arguments),
        Some(Command::Shards(ShardsCommand::Add(arguments))) => change::add_shards(&arguments),
        Some(Command::Drain(arguments)) => change::drain(&arguments),
        Some(Command::Inspect(arguments)) => blocks::inspect(&arguments),
        Some(Command::Verify(arguments)) => blocks::verify(&arguments),
        Some(Command::Recover(arguments)) => recover::run(&arguments),
        Some(Command::Version(arguments)) => version::run(&arguments),
        Some(Command::Completions { shell }) => completions::run(shell),
    }
}

/// The exit code of a failure: 2 for a configuration that cannot be used, 1 for the rest.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.is::<ConfigError>() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}

/// The exit code of a command line that clap has dealt with: 0 for `--help`, 2 for bad usage.
pub fn usage_exit_code(error: &clap::Error) -> ExitCode {
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}
