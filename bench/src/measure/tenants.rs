//! What many small tenants cost beside one that sends the same.
//!
//! Spans arrive at an even rate, in requests of whole traces with ten spans or some more: first all
//! from one tenant, then from each tenant in turn; both times the same requests. A trace is one
//! tenant's, as everywhere. Both times everything is sealed and merged in the end. The ratios are
//! those of processor time and of bytes in blocks; the log, which is kept for a while, is told
//! apart. A tenant that has sent little pays for what its spans have in common and no other
//! tenant's may share, so the ratio falls with the length of the measurement.
//!
//! Options: `--skua BINARY` (wanted), `--tenants N` (1,000), `--seconds N` (60), `--spans-each N`
//! (10 a second), `--data-below DIR`, `--record [FILE]`, and `-- FLAGS` for the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::task::JoinSet;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};

use super::http::HttpClient;
use super::ingest::Passes;
use super::query::compact;
use super::server::Server;
use super::{Arguments, Results};
use crate::outside;
use crate::replay::{Client, ReplayPlan};

/// The header that names a tenant.
const HEADER: &str = "x-scope-orgid";

/// Requests on their way at once: more than a second's worth never waits.
const SENDERS: u64 = 64;

/// Runs the measurement.
pub fn tenants(arguments: &Arguments) -> anyhow::Result<Results> {
    tokio::runtime::Runtime::new()?.block_on(run(arguments))
}

/// What a run took.
#[derive(Debug, Clone, Copy)]
struct Cost {
    spans: u64,
    microseconds: u64,
    block_bytes: u64,
    log_bytes: u64,
    resident_bytes: u64,
}

async fn run(arguments: &Arguments) -> anyhow::Result<Results> {
    let tenants: u64 = arguments.get("tenants", 1_000)?;
    let seconds: u64 = arguments.get("seconds", 60)?;
    let spans_each: u32 = arguments.get("spans-each", 10)?;
    let spans_per_second = tenants * u64::from(spans_each);
    let plan = Passes::default().whole_traces(spans_per_second * seconds, spans_each)?;
    let pace = Pace {
        began: outside::now(),
        spans_per_second,
        spans: spans_per_second * seconds,
        tenants: 1,
    };
    let one = cost(arguments, &plan, pace).await?;
    let many = cost(arguments, &plan, Pace { tenants, ..pace }).await?;
    let mut results = Results::default();
    results.add("tenants", tenants);
    results.add("spans", many.spans);
    for (name, cost) in [("one", one), ("many", many)] {
        let per_span = |amount: u64| amount as f64 / cost.spans as f64;
        results
            .add_rounded(format!("{name}_cpu_microseconds_per_span"), per_span(cost.microseconds));
        results.add_rounded(format!("{name}_block_bytes_per_span"), per_span(cost.block_bytes));
        results.add_rounded(format!("{name}_log_bytes_per_span"), per_span(cost.log_bytes));
        let mebibytes = cost.resident_bytes as f64 / f64::from(1 << 20);
        results.add_rounded(format!("{name}_resident_peak_mebibytes"), mebibytes);
    }
    let ratio = |of: fn(&Cost) -> u64| of(&many) as f64 / of(&one) as f64;
    results.add_rounded("cpu_ratio", ratio(|cost| cost.microseconds));
    results.add_rounded("block_bytes_ratio", ratio(|cost| cost.block_bytes));
    Ok(results)
}

/// Sends the requests of a plan at a pace that begins now.
async fn cost(arguments: &Arguments, plan: &Arc<ReplayPlan>, pace: Pace) -> anyhow::Result<Cost> {
    let server = Server::start(arguments).await?;
    let (pace, next) = (Pace { began: outside::now(), ..pace }, Arc::new(AtomicU64::new(0)));
    let before = server.processor_time()?;
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        let client = Client::connect(&server.otlp_grpc()).await?;
        senders.spawn(send(client, Arc::clone(plan), Arc::clone(&next), pace));
    }
    let mut spans = 0;
    while let Some(sent) = senders.join_next().await {
        spans += sent??;
    }
    let client = HttpClient::connect(&server.ui()).await?;
    compact(&mut client.with_header(HEADER, "tenant-0")?).await?;
    let used = server.processor_time()?.since(before);
    let cost = Cost {
        spans,
        microseconds: used.total_microseconds(),
        block_bytes: server.bytes_below("blocks"),
        log_bytes: server.bytes_below("log"),
        resident_bytes: server.resident_peak_bytes()?,
    };
    server.stop().await?;
    Ok(cost)
}

/// When a request is due, and in whose name.
#[derive(Debug, Clone, Copy)]
struct Pace {
    began: Instant,
    spans_per_second: u64,
    /// Nothing is sent that begins behind so many.
    spans: u64,
    tenants: u64,
}

async fn send(
    client: Client,
    plan: Arc<ReplayPlan>,
    next: Arc<AtomicU64>,
    pace: Pace,
) -> anyhow::Result<u64> {
    let key = AsciiMetadataKey::from_static(HEADER);
    let mut spans = 0;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let before = plan.spans_before(number);
        if before >= pace.spans || number >= plan.request_count() {
            return Ok(spans);
        }
        let due = before.saturating_mul(1_000_000) / pace.spans_per_second.max(1);
        let due = Duration::from_micros(due);
        let waited = outside::now().duration_since(pace.began);
        tokio::time::sleep(due.saturating_sub(waited)).await;
        let tenant = format!("tenant-{}", number % pace.tenants);
        let tenant: AsciiMetadataValue = tenant.parse().context("a name of letters and digits")?;
        let (body, count) = plan.build(number)?;
        let mut client = client.clone().with_headers(vec![(key.clone(), tenant)]);
        let sent = client.export(body.into()).await;
        ensure!(sent.is_ok(), "not acknowledged: {sent:?}");
        spans += count;
    }
}
