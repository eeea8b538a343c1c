//! What taking spans in costs a server: processor time from socket to acknowledgement, rate,
//! memory, disk.
//!
//! Options: `--skua BINARY` (wanted), `--file FILE` (the astronomy recording), `--spans N` (at
//! least so many, in passes that are drawn anew; 1,000,000), `--spans-per-request N` (500; 0 for
//! the recording's own messages), `--connections N` (16), `--in-flight N` on each (1), `--small`
//! (one connection and the recording's own messages), `--idle-seconds N` (waits and counts what the
//! server does afterwards), `--data-below DIR`, `--record [FILE]`, and `-- FLAGS` for the server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;

use super::server::Server;
use super::{Arguments, Results};
use crate::outside;
use crate::recording::Recording;
use crate::replay::{Load, LoadOptions, PlanOptions, ReplayPlan};

/// The recording that targets are stated for.
pub(super) const ASTRONOMY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/data/astronomy-oteltraces.zst");

/// Values are drawn from this, so two measurements send the same but for the time.
const SEED: u64 = 1;

/// Runs the measurement.
pub fn ingest(arguments: &Arguments) -> anyhow::Result<Results> {
    tokio::runtime::Runtime::new()?.block_on(run(arguments))
}

async fn run(arguments: &Arguments) -> anyhow::Result<Results> {
    let small = arguments.has("small");
    let connections = arguments.get("connections", if small { 1 } else { 16 })?;
    let in_flight = arguments.get("in-flight", 1)?;
    let plan = plan(arguments, 1_000_000, if small { 0 } else { 500 })?;
    let idle = Duration::from_secs(arguments.get("idle-seconds", 0)?);
    let server = Server::start(arguments).await?;

    let before = server.processor_time()?;
    let written_before = server.written_bytes();
    let load = load_into(&server, &plan, connections, in_flight);
    let report = load.run(&mut ()).await?;
    let used = server.processor_time()?.since(before);
    let spans = report.totals.spans_acked;
    ensure!(spans > 0, "nothing was acknowledged: {report}");

    let mut results = Results::default();
    results.add("spans", spans);
    results.add("requests", report.requests_acked);
    results.add("connections", connections);
    let per_span = |amount: u64| amount as f64 / spans as f64;
    results.add_rounded("cpu_microseconds_per_span", per_span(used.total_microseconds()));
    results.add_rounded("cpu_user_microseconds_per_span", per_span(used.user_microseconds));
    results.add_rounded("cpu_system_microseconds_per_span", per_span(used.system_microseconds));
    results.add_rounded("seconds", report.totals.seconds);
    results.add_rounded("spans_per_second", report.totals.spans_per_second.round());
    results.add_rounded("ack_p50_milliseconds", report.ack_p50_milliseconds);
    results.add_rounded("ack_p99_milliseconds", report.ack_p99_milliseconds);
    results.add_rounded("otlp_bytes_per_span", per_span(report.bytes_acked));
    if !idle.is_zero() {
        tokio::time::sleep(idle).await;
        let used = server.processor_time()?.since(before);
        results.add_rounded(
            "cpu_with_idle_microseconds_per_span",
            per_span(used.total_microseconds()),
        );
    }
    let data = server.data_bytes();
    results.add_rounded("data_bytes_per_span", per_span(data.held));
    results.add_rounded("data_allocated_bytes_per_span", per_span(data.allocated));
    results.add_rounded(
        "written_bytes_per_span",
        per_span(server.written_bytes().saturating_sub(written_before)),
    );
    results.add_rounded(
        "resident_peak_mebibytes",
        server.resident_peak_bytes()? as f64 / f64::from(1 << 20),
    );
    results.add("refused_spans", report.totals.spans_refused);
    results.add("rejected_spans", report.totals.spans_rejected);
    results.add("retries", report.totals.retries);
    results.add("stopped", report.stopped);
    results.add_rounded("ready_milliseconds", server.ready_after.as_secs_f64() * 1000.0);
    results.add("file_system", server.file_system());
    server.stop().await?;
    Ok(results)
}

/// A plan of at least as many spans as `--spans` says, the latest of which end now.
pub(super) fn plan(
    arguments: &Arguments,
    spans: u64,
    spans_per_request: u32,
) -> anyhow::Result<Arc<ReplayPlan>> {
    let file = PathBuf::from(arguments.text("file").unwrap_or(ASTRONOMY));
    let spans = arguments.get("spans", spans)?;
    let spans_per_request = arguments.get("spans-per-request", spans_per_request)?;
    plan_of(file, spans, spans_per_request, false, SEED)
}

/// Plans of one measurement, no two of which send the same ids.
#[derive(Debug)]
pub(super) struct Passes {
    next_seed: u64,
}

impl Default for Passes {
    fn default() -> Self {
        Self { next_seed: SEED }
    }
}

impl Passes {
    /// A plan of at least so many spans, the latest of which end now.
    pub(super) fn plan(
        &mut self,
        spans: u64,
        spans_per_request: u32,
    ) -> anyhow::Result<Arc<ReplayPlan>> {
        self.next_seed += 1;
        plan_of(PathBuf::from(ASTRONOMY), spans, spans_per_request, false, self.next_seed)
    }

    /// The same in requests of whole traces, of so many spans or some more.
    pub(super) fn whole_traces(
        &mut self,
        spans: u64,
        spans_per_request: u32,
    ) -> anyhow::Result<Arc<ReplayPlan>> {
        self.next_seed += 1;
        plan_of(PathBuf::from(ASTRONOMY), spans, spans_per_request, true, self.next_seed)
    }
}

/// The usual load of at least so many spans, the latest of which end when it is said.
pub(super) fn plan_ending(spans: u64, latest_end: u64) -> anyhow::Result<Arc<ReplayPlan>> {
    plan_until(PathBuf::from(ASTRONOMY), spans, 500, false, SEED, latest_end)
}

fn plan_of(
    file: PathBuf,
    spans: u64,
    spans_per_request: u32,
    whole_traces: bool,
    seed: u64,
) -> anyhow::Result<Arc<ReplayPlan>> {
    plan_until(file, spans, spans_per_request, whole_traces, seed, outside::unix_nanos())
}

fn plan_until(
    file: PathBuf,
    spans: u64,
    spans_per_request: u32,
    whole_traces: bool,
    seed: u64,
    latest_end: u64,
) -> anyhow::Result<Arc<ReplayPlan>> {
    let recording = Recording::open(&[file], None)?;
    ensure!(!recording.spans().is_empty(), "there are no spans in the file");
    let passes = spans.div_ceil(recording.spans().len() as u64).max(1);
    let options = PlanOptions {
        passes: u32::try_from(passes)?,
        fresh_ids: true,
        seed,
        latest_end: Some(latest_end),
        spans_per_request,
        whole_traces,
    };
    Ok(Arc::new(ReplayPlan::new(recording, options)?))
}

/// The load that sends a plan into a server.
pub(super) fn load_into(
    server: &Server,
    plan: &Arc<ReplayPlan>,
    connections: u32,
    in_flight: u32,
) -> Load {
    let to = server.otlp_grpc();
    let options = LoadOptions { to, connections, in_flight, ..LoadOptions::default() };
    Load { plan: Arc::clone(plan), options }
}
