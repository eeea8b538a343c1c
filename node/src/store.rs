//! Opens what a node keeps: identity, log, shards; and starts the coordinator over them.
//!
//! Order: `log/` is recovered; `db/` says who the node is, how many shards it has and which blocks
//! they have; each shard applies what the log holds beyond its blocks; only then is there a
//! coordinator that takes requests. All of
//! it blocks on the disk, so [`open_parts`] runs off the runtime.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, ensure};
use api::Meter;
use cluster::compaction::Compaction;
use cluster::coordinator::BatchIds;
use cluster::host::TellFigures;
use cluster::local::LocalGroup;
use cluster::upkeep::{Frozen, UpkeepParts, UpkeepThread};
use cluster::{ClusterConfig, Coordinator, CoordinatorParts};
use model::time::{Clock, Duration, Monotonic};
use model::{NodeId, ShardId};
use storage::env::{Env, OsEnv};
use storage::kv::{Kv, KvError, RocksKv};
use storage::log::{GroupId, LogEngine, LogError, LogIndex, LogOptions, SegmentLog};
use storage::meta::{FORMAT_VERSION, NodeMeta};
use storage::shard::{BlockStore, DecodedCache, ShardParts};
use storage::{Shard, Space};

use crate::config::NodeConfig;
use crate::figures::figures;
use crate::give_way::give_way;
use crate::process::MachineLoad;
use crate::{build_info, files, output};

/// How often recovery says how far it is.
const PROGRESS_PERIOD: Duration = Duration::from_secs(1);

/// Where a directory says how many shards it was created with: those of a cluster are elsewhere.
pub(crate) const OF_A_CLUSTER: u32 = 0;

/// The group of the first shard in the log. Group 0 is kept for the cluster's own state.
pub(crate) const FIRST_SHARD_GROUP: u64 = 1;

/// Recovers everything under the data directory.
pub(crate) fn open_parts(
    config: &NodeConfig,
    directory: &Path,
    clock: &Arc<dyn Clock>,
    meter: &Arc<Meter>,
) -> anyhow::Result<OpenStore> {
    let started = clock.monotonic();
    let env = os_env();
    // First of all: what is opened below may need the room that the ballast keeps.
    let space = Arc::new(Space::open(Arc::clone(&env), directory));
    let log = open_log(&env, directory, clock).map_err(|error| {
        if is_log_damage(&error) {
            return error.context("the node does not start; `skua recover` shows what is left");
        }
        error
    })?;
    let kv = RocksKv::open(&directory.join("db"), end_process_of_store)
        .with_context(|| format!("{}/db cannot be opened", directory.display()))?;
    let kv: Arc<dyn Kv> = Arc::new(kv);
    let meta = identity(config, directory, kv.as_ref(), !log.groups().is_empty())?;
    let cache = Arc::new(DecodedCache::default());
    let blocks = BlockStore::new(Arc::clone(&env), kv, &directory.join("blocks"));
    let blocks = blocks.in_turns(first_turn(NodeId(meta.node_id)));
    let mut groups = Vec::new();
    for number in 0..meta.shard_count {
        let group = GroupId(FIRST_SHARD_GROUP + u64::from(number));
        let shard = Shard::open(ShardParts {
            id: ShardId(number),
            group,
            log: Arc::clone(&log),
            unwrap: |record| Some(record.clone()),
            cache: Arc::clone(&cache),
            blocks: Some(blocks.clone()),
        });
        let shard = shard.with_context(|| format!("shard {number} cannot be opened"))?;
        ensure!(
            reaches(log.as_ref(), group, shard.seal_cut()),
            "the log in {} has lost its end: blocks of shard {number} know of more; \
             `skua recover` shows what is left",
            directory.join("log").display()
        );
        recover(&shard, clock.as_ref())
            .with_context(|| format!("shard {number} cannot be recovered from the log"))?;
        let (log, clock) = (Arc::clone(&log), Arc::clone(clock));
        groups.push(Arc::new(LocalGroup::start(
            group,
            Arc::new(shard),
            log,
            clock,
            Arc::clone(&space),
        )?));
    }
    let compaction = Arc::new(Compaction::default());
    let kept: Vec<_> = groups.iter().map(|group| Arc::clone(group.shard())).collect();
    let figures = figures(meter, (&space, config.retention_disk), move || kept.clone());
    let frozen = Arc::new(Frozen::default());
    let shared = (space, Arc::clone(&compaction), &log, Arc::clone(&frozen));
    let upkeep = start_upkeep(config, &groups, clock, shared)?;
    let took_ms = clock.monotonic().since(started).0 / 1_000_000;
    let spans: u64 = groups.iter().map(|group| group.shard().stats().spans).sum();
    tracing::info!(shards = meta.shard_count, spans, took_ms, "recovered");
    let mut load = MachineLoad::default();
    let parts = CoordinatorParts {
        config: ClusterConfig { shard_count: meta.shard_count, pool_threads: threads() },
        node_id: NodeId(meta.node_id),
        node_name: config.node_name.clone(),
        version: build_info::VERSION.to_owned(),
        clock: Arc::clone(clock),
        batch_ids: BatchIds::new(files::random_bytes()?),
        groups,
        log,
        frozen,
        disk: (env, directory.to_path_buf()),
        load: Box::new(move || load.next()),
    };
    Ok(OpenStore { parts, upkeep, compaction, figures })
}

/// The operating system's files.
pub(crate) fn os_env() -> Arc<dyn Env> {
    let env = OsEnv::with_free_bytes(files::free_bytes).with_total_bytes(files::total_bytes);
    Arc::new(env)
}

/// What a node alone has opened.
pub(crate) struct OpenStore {
    pub(crate) parts: CoordinatorParts,
    pub(crate) upkeep: UpkeepThread,
    pub(crate) compaction: Arc<Compaction>,
    pub(crate) figures: TellFigures,
}

/// Seals, merges, drops and purges for as long as the node runs.
fn start_upkeep(
    config: &NodeConfig,
    groups: &[Arc<LocalGroup>],
    clock: &Arc<dyn Clock>,
    (space, compaction, log, frozen): (
        Arc<Space>,
        Arc<Compaction>,
        &Arc<dyn LogEngine>,
        Arc<Frozen>,
    ),
) -> anyhow::Result<UpkeepThread> {
    let log = Arc::clone(log);
    let shards: Vec<_> = groups.iter().map(|group| Arc::clone(group.shard())).collect();
    let find = |groups: Vec<Arc<LocalGroup>>| {
        move |shard: &Shard| groups.iter().find(|group| group.shard().id() == shard.id()).cloned()
    };
    let (purge, drops) = (find(groups.to_vec()), find(groups.to_vec()));
    let parts = UpkeepParts {
        shards: Box::new(move || shards.clone()),
        clock: Arc::clone(clock),
        retention: config.retention,
        frozen,
        purge: Box::new(move |shard, upto| {
            if let Some(group) = purge(shard) {
                group.purge_log(upto);
            }
        }),
        propose_drop: Box::new(move |shard, class, bucket| {
            if let Some(group) = drops(shard) {
                group.propose_drop(class, bucket);
            }
        }),
        space,
        disk_cap: config.retention_disk,
        scrub_every: config.scrub_every,
        log_bytes: Box::new(move || log.stats().segment_bytes),
        compaction,
    };
    let thread = UpkeepThread::start(parts, give_way);
    thread.context("the upkeep thread cannot be started")
}

/// Starts the coordinator; to be called within a runtime.
pub(crate) fn start(parts: CoordinatorParts) -> anyhow::Result<Coordinator> {
    Coordinator::start(parts).context("the coordinator's threads cannot be started")
}

/// One thread for each processor, because that is what the work of a pool takes.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Who the node is, according to its directory; a new directory gets a new identity.
fn identity(
    config: &NodeConfig,
    directory: &Path,
    kv: &dyn Kv,
    has_entries: bool,
) -> anyhow::Result<NodeMeta> {
    // Checked before anything is written: a second start must meet the same refusal.
    ensure!(
        NodeMeta::load(kv)?.is_some() || !has_entries,
        "{} holds a log, but db/ beside it does not know whose it is",
        directory.display()
    );
    let fresh = NodeMeta {
        cluster_id: files::random_bytes()?,
        node_id: files::random_bytes()?,
        shard_count: u32::from(config.shard_count()),
        format_version: FORMAT_VERSION,
    };
    let value = NodeMeta::load_or_create(kv, || fresh)?;
    ensure!(
        value.shard_count != OF_A_CLUSTER,
        "{} belongs to a node of a cluster: start it with --seeds",
        directory.display()
    );
    if value.shard_count != u32::from(config.shard_count()) {
        tracing::warn!(
            asked = config.shard_count(),
            kept = value.shard_count,
            "the data directory keeps the number of shards it was created with"
        );
    }
    Ok(value)
}

/// Where a node's shards begin to take turns at sealing: elsewhere than those of other nodes.
pub(crate) fn first_turn(node: NodeId) -> u32 {
    let NodeId([a, b, c, d, ..]) = node;
    u32::from_le_bytes([a, b, c, d])
}

pub(crate) fn open_log(
    env: &Arc<dyn Env>,
    directory: &Path,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Arc<dyn LogEngine>> {
    let now = Arc::clone(clock);
    let pace = Mutex::new(Pace::new(clock.as_ref()));
    let pace_clock = Arc::clone(clock);
    let options =
        LogOptions::new(move || now.monotonic().0, end_process).with_progress(move |progress| {
            let mut pace = pace.lock().unwrap_or_else(PoisonError::into_inner);
            if pace.is_due(pace_clock.as_ref()) {
                let (done_bytes, total_bytes) = (progress.done_bytes, progress.total_bytes);
                let entries = progress.entries;
                tracing::info!(done_bytes, total_bytes, entries, "reading the log");
            }
        });
    let path = directory.join("log");
    let (log, report) = SegmentLog::open(Arc::clone(env), &path, &options)
        .with_context(|| format!("the log in {} cannot be opened", path.display()))?;
    if let Some(torn) = &report.torn {
        let (file, offset, bytes) = (torn.file.display(), torn.offset, torn.bytes);
        tracing::warn!(
            %file,
            offset,
            bytes,
            "cut off the end of the log that was never acknowledged, as a crash leaves one"
        );
    }
    let (segments, bytes, entries) = (report.segments, report.bytes, report.live_entries);
    tracing::info!(segments, bytes, entries, "read the log");
    Ok(Arc::new(log))
}

/// Whether a log cannot be opened because it is not what was written.
pub(crate) fn is_log_damage(error: &anyhow::Error) -> bool {
    error.downcast_ref::<LogError>().is_some_and(LogError::is_corruption)
}

/// Whether the log goes as far as the blocks do. New entries would get numbers that were used.
pub(crate) fn reaches(log: &dyn LogEngine, group: GroupId, cut: Option<LogIndex>) -> bool {
    let bounds = log.bounds(group);
    cut.is_none() || bounds.last.max(bounds.purged) >= cut
}

/// Applies what the log holds of a shard.
fn recover(shard: &Shard, clock: &dyn Clock) -> anyhow::Result<()> {
    let mut pace = Pace::new(clock);
    shard.recover(None, &mut |applied, goal| {
        if pace.is_due(clock) {
            tracing::info!(shard = %shard.id(), %applied, %goal, "recovering");
        }
    })?;
    Ok(())
}

/// The log failed: what it holds in memory and what is on the disk may differ from now on, so this
/// process ends and the next one reads the disk (design: nothing is reopened in it).
#[expect(clippy::exit, reason = "no acknowledgement may follow a failed sync")]
fn end_process(error: &LogError) {
    let error = anyhow::Error::new(error.clone()).context("the log failed; the node ends");
    output::error(&error);
    std::process::exit(1);
}

/// The key-value store failed, and takes no more writes until it is opened again.
#[expect(clippy::exit, reason = "nothing could be sealed any more, and memory would fill")]
pub(crate) fn end_process_of_store(error: &KvError) {
    let error =
        anyhow::Error::new(error.clone()).context("the key-value store failed; the node ends");
    output::error(&error);
    std::process::exit(1);
}

/// Tells when it is time to say something again.
struct Pace {
    last: Monotonic,
}

impl Pace {
    fn new(clock: &dyn Clock) -> Self {
        Self { last: clock.monotonic() }
    }

    fn is_due(&mut self, clock: &dyn Clock) -> bool {
        let now = clock.monotonic();
        let is_due = now.since(self.last) >= PROGRESS_PERIOD;
        if is_due {
            self.last = now;
        }
        is_due
    }
}
