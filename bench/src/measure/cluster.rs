//! What three nodes on one machine cost, how fast they acknowledge, and what a node that ends costs
//! those who write.
//!
//! In this order: three empty nodes become ready; they idle; spans go in through all of them as
//! fast as they are acknowledged, and everything is sealed; spans go in at half of the rate at
//! which they were taken and sealed, which is what can be taken for long; each time a node that
//! leads is killed, probes that hold traces of all shards go to the others until one is
//! acknowledged; all nodes are ended and started again, one after another, under probes; the same
//! searches are asked of one node and of three with the same data.
//!
//! The load generator shares the processors with all nodes. Acknowledgements are to be seen beside
//! `sync_p50_milliseconds` and `sync_p99_milliseconds`, a write of 4 KiB with a sync on the same
//! disk, measured first, and `half_load_sync_...`, the same beside the three nodes that share it.
//!
//! Options: `--skua BINARY` (wanted), `--spans N` (2,000,000), `--kills N` (10), `--searches N`
//! (20), `--data-below DIR`, `--record [FILE]`, and `-- FLAGS` for the nodes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use tokio::task::JoinSet;

use super::http::HttpClient;
use super::ingest::Passes;
use super::nodes::{Nodes, name};
use super::process::ProcessorTime;
use super::query::{ask, compact, searches_of, services};
use super::server::Server;
use super::{Arguments, Results};
use crate::outside::{self, SyncProbe};
use crate::replay::{Client, Histogram, Load, LoadOptions, LoadReport, ReplayPlan};

const NODES: usize = 3;

/// Connections to each node.
const CONNECTIONS: u32 = 6;

/// How long nodes are left alone to see what they do by themselves.
const IDLE: Duration = Duration::from_secs(10);

const SPANS_PER_REQUEST: u32 = 500;

/// How long the load at half the rate lasts.
const HALF_LOAD_SECONDS: f64 = 20.0;

/// Writes with a sync that are timed.
const SYNCS: u32 = 300;

/// Spans of a probe: dozens of traces, so that some are of each shard.
const PROBE_SPANS: u32 = 200;

/// Between two probes, of a rolling restart and of the disk.
const PROBE_EVERY: Duration = Duration::from_millis(20);

/// Runs the measurement.
pub fn cluster(arguments: &Arguments) -> anyhow::Result<Results> {
    tokio::runtime::Runtime::new()?.block_on(run(arguments))
}

async fn run(arguments: &Arguments) -> anyhow::Result<Results> {
    let spans: u64 = arguments.get("spans", 2_000_000)?;
    let kills: u32 = arguments.get("kills", 10)?;
    let searches: u32 = arguments.get("searches", 20)?;
    let mut results = Results::default();
    let mut passes = Passes::default();
    let started = outside::now();
    let mut nodes = Nodes::start(arguments, NODES)?;
    nodes.ready().await?;
    add_milliseconds(&mut results, "ready", started);
    nodes.whole().await?;
    let mut syncs = Histogram::default();
    let mut probe = SyncProbe::make(nodes.directory(), "sync-alone")?;
    for _ in 0..SYNCS {
        let (began, ended) = probe.sync()?;
        syncs.add(ended.duration_since(began));
    }
    results.add_rounded("sync_p50_milliseconds", syncs.percentile_milliseconds(50));
    results.add_rounded("sync_p99_milliseconds", syncs.percentile_milliseconds(99));
    idle(&nodes, &mut results).await?;
    let rate = saturate(&nodes, &mut passes, spans, &mut results).await?;
    half_load(&nodes, &mut passes, rate / 2.0, &mut results).await?;
    kill_leaders(&mut nodes, &mut passes, kills, &mut results).await?;
    rolling_restart(&mut nodes, &mut passes, &mut results).await?;
    for (number, process) in nodes.processes().enumerate() {
        let bytes = process.resident_peak_bytes()?;
        results.add_rounded(
            format!("resident_peak_{number}_mebibytes"),
            bytes as f64 / f64::from(1 << 20),
        );
    }
    nodes.stop().await?;
    compare_searches(arguments, searches, &mut results).await?;
    Ok(results)
}

fn add_milliseconds(results: &mut Results, name: &str, since: Instant) {
    let milliseconds = outside::now().duration_since(since).as_secs_f64() * 1000.0;
    results.add_rounded(format!("{name}_milliseconds"), milliseconds);
}

/// Processor time of all nodes together.
fn processor_microseconds(nodes: &Nodes) -> anyhow::Result<u64> {
    nodes
        .processes()
        .map(|process| process.processor_time().map(ProcessorTime::total_microseconds))
        .sum()
}

async fn idle(nodes: &Nodes, results: &mut Results) -> anyhow::Result<()> {
    let before = processor_microseconds(nodes)?;
    tokio::time::sleep(IDLE).await;
    let used = processor_microseconds(nodes)? - before;
    let percent = used as f64 / IDLE.as_micros() as f64 / NODES as f64 * 100.0;
    results.add_rounded("idle_percent_of_a_core_per_node", percent);
    Ok(())
}

/// Sends a plan for each node to it, all at once. At a rate the nodes get their requests in turn:
/// clients do not agree with each other about the moment at which they send.
pub(super) async fn load(
    nodes: &Nodes,
    plans: &[Arc<ReplayPlan>],
    rate: Option<f64>,
) -> anyhow::Result<Vec<LoadReport>> {
    let mut loads = JoinSet::new();
    for (number, plan) in plans.iter().enumerate() {
        let options = LoadOptions {
            to: nodes.otlp_grpc(number),
            connections: CONNECTIONS,
            in_flight: if rate.is_some() { 8 } else { 1 },
            rate: rate.map(|rate| rate / plans.len() as f64),
            ..LoadOptions::default()
        };
        let load = Load { plan: Arc::clone(plan), options };
        let period = rate.map_or(0.0, |rate| f64::from(SPANS_PER_REQUEST) / rate);
        let turn = Duration::from_secs_f64(period * number as f64);
        loads.spawn(async move {
            tokio::time::sleep(turn).await;
            load.run(&mut ()).await
        });
    }
    let mut reports = Vec::new();
    while let Some(report) = loads.join_next().await {
        let report = report??;
        ensure!(report.is_complete(), "not everything was acknowledged: {report}");
        reports.push(report);
    }
    Ok(reports)
}

/// Sends as fast as it is acknowledged, then has everything sealed; returns spans a second, the
/// time of sealing included.
async fn saturate(
    nodes: &Nodes,
    passes: &mut Passes,
    spans: u64,
    results: &mut Results,
) -> anyhow::Result<f64> {
    let plans = plans(passes, spans, SPANS_PER_REQUEST)?;
    let (before, began) = (processor_microseconds(nodes)?, outside::now());
    let reports = load(nodes, &plans, None).await?;
    let seconds = outside::now().duration_since(began).as_secs_f64();
    let to_ack = processor_microseconds(nodes)? - before;
    let spans: u64 = reports.iter().map(|report| report.totals.spans_acked).sum();
    let rate = spans as f64 / seconds;
    for number in 0..nodes.count() {
        compact(&mut HttpClient::connect(&nodes.ui(number)).await?).await?;
    }
    let to_sealed = processor_microseconds(nodes)? - before;
    let sustained = spans as f64 / outside::now().duration_since(began).as_secs_f64();
    results.add("spans", spans);
    results.add_rounded("spans_per_second", rate.round());
    results.add_rounded("sealed_spans_per_second", sustained.round());
    let slowest = reports.iter().map(|report| report.ack_p99_milliseconds).fold(0.0, f64::max);
    results.add_rounded("saturated_ack_p99_milliseconds", slowest);
    results.add_rounded("cpu_to_ack_microseconds_per_span", to_ack as f64 / spans as f64);
    results.add_rounded("cpu_to_sealed_microseconds_per_span", to_sealed as f64 / spans as f64);
    let held: u64 =
        (0..NODES).map(|number| outside::directory_bytes(&nodes.data(number)).held).sum();
    results
        .add_rounded("data_bytes_per_span_and_replica", held as f64 / spans as f64 / NODES as f64);
    Ok(sustained)
}

async fn half_load(
    nodes: &Nodes,
    passes: &mut Passes,
    rate: f64,
    results: &mut Results,
) -> anyhow::Result<()> {
    let spans = (rate * HALF_LOAD_SECONDS).max(1.0).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some millions")]
    let plans = plans(passes, spans as u64, SPANS_PER_REQUEST)?;
    let mut syncs = Histogram::default();
    let reports = tokio::select! {
        reports = load(nodes, &plans, Some(rate)) => reports?,
        failed = sync_beside(nodes.directory(), &mut syncs) => return failed,
    };
    results.add_rounded("half_load_sync_p50_milliseconds", syncs.percentile_milliseconds(50));
    results.add_rounded("half_load_sync_p99_milliseconds", syncs.percentile_milliseconds(99));
    results.add_rounded("half_load_spans_per_second", rate.round());
    let highest = |of: fn(&LoadReport) -> f64| reports.iter().map(of).fold(0.0, f64::max);
    // Of the slowest node.
    results.add_rounded("half_load_ack_p50_milliseconds", highest(|it| it.ack_p50_milliseconds));
    results.add_rounded("half_load_ack_p99_milliseconds", highest(|it| it.ack_p99_milliseconds));
    results.add_rounded("half_load_ack_max_milliseconds", highest(|it| it.ack_max_milliseconds));
    Ok(())
}

/// What a write with a sync takes beside three nodes that write and sync on the same disk: now and
/// then one, so that it is no load of its own. One that came due while the disk was still busy with
/// the one before counts from then, as requests do that come in meanwhile. Ends only if it fails.
async fn sync_beside(directory: &Path, syncs: &mut Histogram) -> anyhow::Result<()> {
    let mut probe = SyncProbe::make(directory, "sync-beside")?;
    let mut ticks = tokio::time::interval(PROBE_EVERY);
    let mut last_ended = outside::now();
    loop {
        let due = ticks.tick().await.into_std();
        let timed = tokio::task::spawn_blocking(move || (probe.sync(), probe));
        let (timed, returned) = timed.await?;
        probe = returned;
        let (began, ended) = timed?;
        let since = if last_ended > due { due } else { began };
        syncs.add(ended.duration_since(since));
        last_ended = ended;
    }
}

fn plans(
    passes: &mut Passes,
    spans: u64,
    spans_per_request: u32,
) -> anyhow::Result<Vec<Arc<ReplayPlan>>> {
    let each = spans.div_ceil(NODES as u64);
    (0..NODES).map(|_| passes.plan(each, spans_per_request)).collect()
}

/// Requests with traces of all shards, no two alike.
#[derive(Debug)]
struct Probes {
    plan: Arc<ReplayPlan>,
    next: AtomicU64,
}

impl Probes {
    fn new(passes: &mut Passes) -> anyhow::Result<Self> {
        Ok(Self { plan: passes.plan(4_000_000, PROBE_SPANS)?, next: AtomicU64::new(0) })
    }

    fn next(&self) -> anyhow::Result<Bytes> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % self.plan.request_count();
        Ok(self.plan.build(number)?.0.into())
    }
}

/// Kills the node that leads most, again and again; how long until a write for all shards is
/// acknowledged by one of the others.
async fn kill_leaders(
    nodes: &mut Nodes,
    passes: &mut Passes,
    kills: u32,
    results: &mut Results,
) -> anyhow::Result<()> {
    let probes = Probes::new(passes)?;
    let mut times = Histogram::default();
    let mut refused = 0_u64;
    for _ in 0..kills {
        let status = nodes.whole().await?;
        let leader = (0..NODES).max_by_key(|number| status.led(&name(*number)));
        let leader = leader.context("there are nodes")?;
        let other = (leader + 1) % NODES;
        let mut client = Client::connect(&nodes.otlp_grpc(other)).await?;
        let warm = client.export(probes.next()?).await;
        ensure!(warm.is_ok(), "a probe of a sound cluster: {warm:?}");
        let process = nodes.take(leader)?;
        let killed = outside::now();
        process.kill().await?;
        // The same request again, as a client does; most are acknowledged at the first attempt.
        let probe = probes.next()?;
        while let Err(refusal) = client.export(probe.clone()).await {
            ensure!(refusal.retryable, "not retryable: {}", refusal.message);
            refused += 1;
            tokio::time::sleep(refusal.retry_after.unwrap_or(PROBE_EVERY)).await;
        }
        times.add(outside::now().duration_since(killed));
        nodes.start_node(leader)?;
        nodes.ready().await?;
    }
    results.add("kills", kills);
    results.add_rounded("killed_to_accepted_p50_milliseconds", times.percentile_milliseconds(50));
    results.add_rounded("killed_to_accepted_max_milliseconds", times.max_milliseconds());
    results.add("killed_attempts_refused", refused);
    Ok(())
}

/// Ends and starts every node, one after another, while others are written to.
async fn rolling_restart(
    nodes: &mut Nodes,
    passes: &mut Passes,
    results: &mut Results,
) -> anyhow::Result<()> {
    let probes = Arc::new(Probes::new(passes)?);
    let mut gap = Duration::ZERO;
    let (mut refused, mut acked) = (0, 0);
    for number in 0..NODES {
        nodes.whole().await?;
        let over = Arc::new(AtomicBool::new(false));
        let to = nodes.otlp_grpc((number + 1) % NODES);
        let mut writing = JoinSet::new();
        writing.spawn(write_until(to, Arc::clone(&probes), Arc::clone(&over)));
        nodes.take(number)?.end().await?;
        nodes.start_node(number)?;
        nodes.ready().await?;
        nodes.whole().await?;
        over.store(true, Ordering::Relaxed);
        while let Some(written) = writing.join_next().await {
            let written = written??;
            gap = gap.max(written.gap);
            refused += written.refused;
            acked += written.acked;
        }
    }
    results.add_rounded("rolling_restart_gap_max_milliseconds", gap.as_secs_f64() * 1000.0);
    results.add("rolling_restart_acked", acked);
    results.add("rolling_restart_attempts_refused", refused);
    Ok(())
}

/// What came of writing all the time.
#[derive(Debug, Default)]
struct Written {
    /// The longest time between two acknowledgements.
    gap: Duration,
    acked: u64,
    /// Attempts that were to be repeated.
    refused: u64,
}

async fn write_until(
    to: String,
    probes: Arc<Probes>,
    over: Arc<AtomicBool>,
) -> anyhow::Result<Written> {
    let mut client = Client::connect(&to).await?;
    let mut written = Written::default();
    let mut last = outside::now();
    while !over.load(Ordering::Relaxed) {
        let probe = probes.next()?;
        while let Err(refusal) = client.export(probe.clone()).await {
            ensure!(refusal.retryable, "not retryable: {}", refusal.message);
            written.refused += 1;
            tokio::time::sleep(refusal.retry_after.unwrap_or(PROBE_EVERY)).await;
        }
        written.acked += 1;
        let now = outside::now();
        written.gap = written.gap.max(now.duration_since(last));
        last = now;
        tokio::time::sleep(PROBE_EVERY).await;
    }
    Ok(written)
}

/// The same searches over the same data, sealed and merged, of one node and of three.
async fn compare_searches(
    arguments: &Arguments,
    searches: u32,
    results: &mut Results,
) -> anyhow::Result<()> {
    let plan = Passes::default().plan(200_000, 500)?;
    let mut figures = Results::default();
    let alone = Server::start(arguments).await?;
    let options =
        |to: String| LoadOptions { to, connections: 16, in_flight: 1, ..LoadOptions::default() };
    let load = Load { plan: Arc::clone(&plan), options: options(alone.otlp_grpc()) };
    ensure!(load.run(&mut ()).await?.is_complete(), "one node did not take everything");
    let mut one = HttpClient::connect(&alone.ui()).await?;
    compact(&mut one).await?;
    let mut nodes = Nodes::start(arguments, NODES)?;
    nodes.ready().await?;
    nodes.whole().await?;
    let load = Load { plan: Arc::clone(&plan), options: options(nodes.otlp_grpc(0)) };
    ensure!(load.run(&mut ()).await?.is_complete(), "three nodes did not take everything");
    for number in 0..NODES {
        compact(&mut HttpClient::connect(&nodes.ui(number)).await?).await?;
    }
    let mut three = HttpClient::connect(&nodes.ui(0)).await?;
    let services = services(&mut one).await?;
    let (mut sums, mut worst) = ((0.0, 0.0), 0.0_f64);
    for (name, path) in searches_of(&services, &plan) {
        let paths = vec![path; searches as usize];
        let of_one = ask(&mut one, &name, &paths, &mut figures).await?;
        let of_three = ask(&mut three, &name, &paths, &mut figures).await?;
        sums = (sums.0 + of_one, sums.1 + of_three);
        worst = worst.max(of_three / of_one);
    }
    results.add_rounded("search_one_node_p50_sum_milliseconds", sums.0);
    results.add_rounded("search_three_nodes_p50_sum_milliseconds", sums.1);
    results.add_rounded("search_three_to_one_ratio", sums.1 / sums.0);
    results.add_rounded("search_three_to_one_worst_ratio", worst);
    alone.stop().await?;
    nodes.stop().await
}
