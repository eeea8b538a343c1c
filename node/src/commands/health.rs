//! `skua health`: whether a node is ready, as an exit code.

use anyhow::bail;

use crate::cli::HealthArguments;
use crate::http::Server;
use crate::output;

pub(super) fn run(arguments: &HealthArguments) -> anyhow::Result<()> {
    let (status, body) = Server::at(&arguments.node).get("/readyz")?;
    let said = String::from_utf8_lossy(&body);
    if !status.is_success() {
        bail!("the node is not ready: {} ({status})", said.trim());
    }
    output::answer("ready\n")?;
    Ok(())
}
