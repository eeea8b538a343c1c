//! How long a node that lost its disk takes to hold everything again, what that costs it in memory,
//! and whether it ends well when nodes are killed meanwhile.
//!
//! Three nodes are filled until one of them holds so many bytes in blocks, and everything is
//! sealed. Then a node is killed and its data removed; it comes back under its name, empty. It
//! counts as back when it holds a replica of every shard that lags by no more than what is on its
//! way, and all replicas have as many distinct spans. A node takes another's place no sooner than
//! 30 seconds after that one was last heard of, which is part of the time.
//!
//! Then it is ended and started again, to see what holding as much takes in memory without the
//! transfer.
//!
//! With `--kills N`, so many times during the transfer, evenly by its bytes, a node is killed and
//! started again: the receiver and a sender in turn.
//!
//! Options: `--skua BINARY` (wanted), `--mebibytes N` (1,024), `--kills N` (0), `--data-below DIR`,
//! `--record [FILE]`, and `-- FLAGS` for the nodes.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::cluster::load;
use super::http::HttpClient;
use super::ingest::Passes;
use super::nodes::Nodes;
use super::process::Process;
use super::query::compact;
use super::{Arguments, OnFound, Results};
use crate::outside;

const NODES: usize = 3;

/// The node that loses its disk.
const RECEIVER: usize = 2;

/// Spans between two looks at how much there is.
const SPANS_EACH: u64 = 2_000_000;

/// Spans of a request.
const SPANS_PER_REQUEST: u32 = 500;

/// How often the node is looked at.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// After that long something is wrong.
const TIMEOUT: Duration = Duration::from_mins(10);

/// Bytes in a MiB.
const MEBIBYTE: f64 = (1_u64 << 20) as f64;

/// Runs the measurement.
pub fn rejoin(arguments: &Arguments, found: OnFound<'_>) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(run(arguments, found))
}

async fn run(arguments: &Arguments, found: OnFound<'_>) -> anyhow::Result<()> {
    let wanted = arguments.get::<u64>("mebibytes", 1_024)? << 20;
    let kills: u64 = arguments.get("kills", 0)?;
    let mut results = Results::default();
    let mut nodes = Nodes::start(arguments, NODES)?;
    nodes.ready().await?;
    nodes.whole().await?;
    let (spans, held) = fill(&nodes, wanted).await?;
    results.add("spans", spans);
    results.add_rounded("held_mebibytes", held as f64 / MEBIBYTE);
    found(results)?;

    let mut results = Results::default();
    let killed = outside::now();
    nodes.take(RECEIVER)?.kill().await?;
    outside::remove_directory(&nodes.data(RECEIVER))?;
    nodes.start_node(RECEIVER)?;
    nodes.answers(RECEIVER).await?;
    let mut memory = Memory::of(&nodes)?;
    let mut done = 0;
    let mut began = None;
    loop {
        tokio::time::sleep(POLL_EVERY).await;
        let elapsed = outside::now().duration_since(killed);
        ensure!(elapsed < TIMEOUT, "the node does not hold everything in time");
        let received = blocks(&nodes, RECEIVER);
        if received > 0 && began.is_none() {
            began = Some(outside::now());
        }
        memory.look(&nodes, began.is_some())?;
        if done < kills && received * (kills + 1) >= held * (done + 1) {
            let victim = if done.is_multiple_of(2) { RECEIVER } else { 0 };
            nodes.take(victim)?.kill().await?;
            nodes.start_node(victim)?;
            nodes.answers(victim).await?;
            memory = memory.again(&nodes)?;
            done += 1;
            continue;
        }
        let status = nodes.status(1).await;
        if status.is_ok_and(|status| status.is_whole(NODES)) {
            break;
        }
    }
    ensure!(done == kills, "it was over after {done} of {kills} kills");
    let elapsed = |since: Instant| outside::now().duration_since(since).as_secs_f64();
    results.add("kills", kills);
    results.add_rounded("killed_to_whole_seconds", elapsed(killed));
    let transfer = began.map_or(0.0, elapsed);
    results.add_rounded("transfer_seconds", transfer);
    results.add_rounded("receiver_grew_by_mebibytes", memory.grew_most as f64 / MEBIBYTE);
    let in_transfer = memory.grew_in_transfer as f64 / MEBIBYTE;
    results.add_rounded("receiver_grew_in_transfer_by_mebibytes", in_transfer);
    results.add_rounded("receiver_mebibytes", blocks(&nodes, RECEIVER) as f64 / MEBIBYTE);
    agree(&nodes).await?;
    let receiver = process(&nodes, RECEIVER)?.resident_peak_bytes()?;
    results.add_rounded("receiver_resident_peak_mebibytes", receiver as f64 / MEBIBYTE);
    // What holding as much takes anyway.
    nodes.take(RECEIVER)?.end().await?;
    nodes.start_node(RECEIVER)?;
    nodes.answers(RECEIVER).await?;
    agree(&nodes).await?;
    let restarted = process(&nodes, RECEIVER)?.resident_peak_bytes()?;
    results.add_rounded("restarted_resident_peak_mebibytes", restarted as f64 / MEBIBYTE);
    nodes.stop().await?;
    found(results)
}

/// Fills the nodes until one of them holds so many bytes in blocks; returns spans and bytes.
async fn fill(nodes: &Nodes, wanted: u64) -> anyhow::Result<(u64, u64)> {
    let mut passes = Passes::default();
    let mut spans = 0;
    loop {
        let each = SPANS_EACH / NODES as u64;
        let plans: Vec<_> = (0..NODES)
            .map(|_| passes.plan(each, SPANS_PER_REQUEST))
            .collect::<anyhow::Result<_>>()?;
        let reports = load(nodes, &plans, None).await?;
        spans += reports.iter().map(|report| report.totals.spans_acked).sum::<u64>();
        let held = blocks(nodes, 0);
        if held >= wanted {
            break;
        }
    }
    for number in 0..NODES {
        compact(&mut HttpClient::connect(&nodes.ui(number)).await?).await?;
    }
    Ok((spans, blocks(nodes, 0)))
}

/// Bytes that a node holds in blocks.
fn blocks(nodes: &Nodes, number: usize) -> u64 {
    outside::directory_bytes(&nodes.data(number).join("blocks")).held
}

/// What the receiver holds in memory, beside what it held when it answered first (after its last
/// start), and beside what it held before the first bytes came: it waits half a minute for them,
/// and has by then the connections and the code in memory that any node has.
#[derive(Debug, Clone, Copy)]
struct Memory {
    at_start: u64,
    before_transfer: u64,
    grew_most: u64,
    grew_in_transfer: u64,
}

impl Memory {
    fn of(nodes: &Nodes) -> anyhow::Result<Self> {
        let at_start = resident(nodes)?;
        Ok(Self { at_start, before_transfer: at_start, grew_most: 0, grew_in_transfer: 0 })
    }

    /// The receiver may be another process now; what it held before the transfer stays what it was.
    fn again(self, nodes: &Nodes) -> anyhow::Result<Self> {
        Ok(Self { at_start: resident(nodes)?, ..self })
    }

    fn look(&mut self, nodes: &Nodes, has_begun: bool) -> anyhow::Result<()> {
        let now = resident(nodes)?;
        self.grew_most = self.grew_most.max(now.saturating_sub(self.at_start));
        if has_begun {
            let grown = now.saturating_sub(self.before_transfer);
            self.grew_in_transfer = self.grew_in_transfer.max(grown);
        } else {
            self.before_transfer = now;
        }
        Ok(())
    }
}

fn resident(nodes: &Nodes) -> anyhow::Result<u64> {
    process(nodes, RECEIVER)?.resident_bytes()
}

fn process(nodes: &Nodes, number: usize) -> anyhow::Result<&Process> {
    nodes.processes().nth(number).context("the node runs")
}

/// Waits until all replicas have as many distinct spans, shard by shard.
async fn agree(nodes: &Nodes) -> anyhow::Result<()> {
    let began = outside::now();
    while !nodes.status(1).await.is_ok_and(|status| status.agrees(NODES)) {
        let waited = outside::now().duration_since(began);
        ensure!(waited < TIMEOUT, "replicas do not come to agree");
        tokio::time::sleep(POLL_EVERY).await;
    }
    Ok(())
}
