//! `skua health`: whether a node is ready, as an exit code.

use anyhow::bail;

use crate::cli::HealthArguments;
use crate::{http, output};

pub(super) fn run(arguments: &HealthArguments) -> anyhow::Result<()> {
    let (status, body) = http::get(&arguments.node, "/readyz")?;
    let said = String::from_utf8_lossy(&body);
    if !status.is_success() {
        bail!("the node is not ready: {} ({status})", said.trim());
    }
    output::answer("ready\n")?;
    Ok(())
}
