//! The file of sampling strategies: read at the start, and again at every SIGHUP.
//!
//! A file that cannot be used ends the start, because whoever named it wants it; later it is
//! reported, and what was in force stays.

use std::path::Path;

use anyhow::Context;
use api::sampling::StrategiesHandle;

use crate::config::NodeConfig;
use crate::files;

/// How often a trace is sampled of whose service the file says nothing: Jaeger's default.
const DEFAULT_PROBABILITY: f64 = 0.001;

/// Bytes of a file: some thousand services with their operations.
const FILE_BYTES_MAX: usize = 4 << 20;

/// The strategies of the configured file, or the default for all.
pub(crate) fn load(config: &NodeConfig) -> anyhow::Result<StrategiesHandle> {
    let strategies = StrategiesHandle::uniform(DEFAULT_PROBABILITY);
    if let Some(path) = &config.sampling_strategies {
        read(path, &strategies)?;
    }
    Ok(strategies)
}

/// Reads the file again.
pub(crate) fn reload(config: &NodeConfig, strategies: &StrategiesHandle) {
    let Some(path) = &config.sampling_strategies else { return };
    match read(path, strategies) {
        Ok(()) => tracing::info!(file = %path.display(), "read the sampling strategies again"),
        Err(error) => {
            tracing::error!("{error:#}; the former strategies stay in force");
        }
    }
}

fn read(path: &Path, strategies: &StrategiesHandle) -> anyhow::Result<()> {
    let context = || format!("the sampling strategies in {} cannot be used", path.display());
    let content = files::read_at_most(path, FILE_BYTES_MAX).with_context(context)?;
    for warning in strategies.replace(&content).with_context(context)? {
        tracing::warn!(file = %path.display(), "{warning}");
    }
    Ok(())
}
