//! `skua config print` and `skua config validate`: what a node would run with, without one.

use crate::cli::ConfigCommand;
use crate::{config, output};

pub(super) fn run(command: &ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Print(flags) => {
            let loaded = config::load(flags)?;
            warn(&loaded);
            output::answer(&config::to_yaml(&loaded))?;
        }
        ConfigCommand::Validate(flags) => {
            let loaded = config::load(flags)?;
            warn(&loaded);
            output::answer("the configuration is valid\n")?;
        }
    }
    Ok(())
}

fn warn(loaded: &config::Loaded) {
    for warning in &loaded.warnings {
        output::note(&format!("skua: warning: {warning}"));
    }
}
