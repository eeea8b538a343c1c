//! How long an empty server takes from its start to ready.
//!
//! Options: `--skua BINARY` (wanted), `--runs N` (11), `--data-below DIR`, `--record [FILE]`, and
//! `-- FLAGS` for the server.

use super::server::Server;
use super::{Arguments, Results};
use crate::replay::Histogram;

/// Runs the measurement.
pub fn start(arguments: &Arguments) -> anyhow::Result<Results> {
    tokio::runtime::Runtime::new()?.block_on(run(arguments))
}

async fn run(arguments: &Arguments) -> anyhow::Result<Results> {
    let runs: u32 = arguments.get("runs", 11)?;
    let mut times = Histogram::default();
    let mut results = Results::default();
    let (mut cpu_microseconds, mut resident_bytes) = (0, 0);
    for _ in 0..runs {
        let server = Server::start(arguments).await?;
        times.add(server.ready_after);
        cpu_microseconds += server.processor_time()?.total_microseconds();
        resident_bytes = resident_bytes.max(server.resident_peak_bytes()?);
        server.stop().await?;
    }
    results.add("runs", runs);
    results.add_rounded("ready_p50_milliseconds", times.percentile_milliseconds(50));
    results.add_rounded("ready_max_milliseconds", times.max_milliseconds());
    results
        .add_rounded("cpu_milliseconds", cpu_microseconds as f64 / 1000.0 / f64::from(runs.max(1)));
    results.add_rounded("resident_peak_mebibytes", resident_bytes as f64 / f64::from(1 << 20));
    Ok(results)
}
