//! How a node is told to stop, and to read its files again: the first SIGTERM or SIGINT stops it
//! in good order, the second at once; SIGHUP makes it read its files again.
//!
//! Good order means: not ready any more, serve for `drain-delay` so that balancers can turn away,
//! take no new requests, finish those begun, sync, exit 0. At once means exit 1 without any of
//! that, which loses nothing that was acknowledged (DUR-1): it is what a power cut would do.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that stop a node.
#[derive(Debug)]
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl StopSignals {
    /// Takes the signals over from the system, which would end the process. Needs a runtime.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
        Ok(Self { terminate, interrupt, hangup })
    }

    /// Waits for the next signal and says which it was. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// [`Self::next`], or nothing if the node is asked to read its files again.
    pub(crate) async fn next_or_reload(&mut self) -> Option<&'static str> {
        tokio::select! {
            _ = self.terminate.recv() => Some("SIGTERM"),
            _ = self.interrupt.recv() => Some("SIGINT"),
            _ = self.hangup.recv() => None,
        }
    }
}
