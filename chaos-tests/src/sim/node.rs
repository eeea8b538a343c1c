//! One life of a node: the product's parts, wired as the program wires them, but for what is faked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use cluster::Coordinator;
use cluster::compaction::Compaction;
use cluster::coordinator::{BatchIds, ClusterCoordinatorParts};
use cluster::host::{
    Host, HostDoor, HostError, HostParts, NodeAddresses, OpenShard, begin_life, give_up_replicas,
    log_is_short,
};
use cluster::meta::{CLUSTER_VERSION, NodeRecord};
use cluster::plan::BootstrapConfig;
use cluster::raft::{Blocking, FatalHook, unwrap};
use cluster::task::Task;
use cluster::transport::MemoryNetwork;
use cluster::upkeep::{self, DiskCap, UpkeepParts, UpkeepState};
use futures_util::FutureExt as _;
use model::admin::NodeFigures;
use model::budget::Budget;
use model::testing::Random;
use model::time::Clock;
use model::{Duration as Span, NodeId};
use storage::env::{Env, EnvError};
use storage::kv::Kv;
use storage::log::{LogEngine, LogError, LogOptions, SegmentLog};
use storage::meta::{FORMAT_VERSION, NodeMeta};
use storage::shard::{BlockStore, DecodedCache, ShardParts};
use storage::{Shard, Space};
use tokio_util::sync::CancellationToken;

use super::clock::NodeClock;
use super::disk::{NodeDisk, SimLog};

/// Bytes of a segment: small, so that a short run has many.
const SEGMENT_BYTES: u64 = 48 << 10;

/// Rows of a page of a block: few, so that small blocks have several.
const PAGE_ROWS: usize = 64;

/// Spans are kept for longer than any simulation lasts, however its clocks jump.
const RETENTION: Span = Span::from_secs(7 * 24 * 3600);

/// Bytes of the log that are kept for who lags: so few that many runs need snapshots.
const LOG_KEPT_BYTES: u64 = 16 << 10;

/// How often upkeep looks whether it was asked to do more than is due.
const UPKEEP_PERIOD: Duration = Duration::from_millis(250);

/// How often blocks are read to their last byte: a few times in a run.
const SCRUB_EVERY: Span = Span::from_secs(20);

/// What all nodes of a cluster begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Nodes that found it.
    pub nodes: usize,
    /// Replicas of a shard.
    pub replication_factor: u32,
    /// Shards.
    pub shards: u32,
}

/// What a life of a node begins with.
#[derive(Debug)]
pub struct NodeParts {
    /// Its place, which names it.
    pub number: usize,
    /// Its address, which leads to it on the network once it is there.
    pub address: SocketAddr,
    /// Addresses to look for others at.
    pub seeds: Vec<(String, SocketAddr)>,
    /// The network.
    pub network: MemoryNetwork,
    /// Its disk.
    pub disk: NodeDisk,
    /// Its clocks.
    pub clock: Arc<NodeClock>,
    /// The cluster's shape.
    pub shape: Shape,
    /// Whether it may found a cluster, or only join one.
    pub join_only: bool,
    /// Counts logs that made room for empty ones.
    pub logs_set_aside: Arc<AtomicU64>,
    /// Chance of this life.
    pub random: Random,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its log cannot be used.
    #[error("the log: {0}")]
    Log(#[from] LogError),
    /// Blocks know of more than its log.
    #[error("the log has lost its end")]
    ShortLog,
    /// Files cannot be moved.
    #[error("the disk: {0}")]
    Disk(#[from] EnvError),
    /// Its store cannot be used.
    #[error("the store: {0}")]
    Store(#[from] storage::Error),
    /// It has no place in the cluster.
    #[error("the host: {0}")]
    Host(#[from] HostError),
    /// There is no coordinator.
    #[error("the coordinator: {0}")]
    Coordinator(#[from] std::io::Error),
}

/// What tells that a life is over, from inside or from outside.
#[derive(Debug, Clone, Default)]
pub struct Life {
    /// Cancelled when the process ends; whoever speaks with it stops.
    pub gone: CancellationToken,
    /// Set by what ends the process in production: a log or a replica whose storage failed.
    failed: Arc<Mutex<Option<String>>>,
    log: Arc<Mutex<Option<Arc<SimLog>>>>,
}

impl Life {
    /// Why the process has to end, if it has.
    pub fn failure(&self) -> Option<String> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells whoever still waits for the log of a life that ended while it began.
    pub fn fail_log(&self) {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner).take();
        log.into_iter().for_each(|log| log.fail());
    }

    fn fail(&self, reason: &dyn std::fmt::Display) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get_or_insert_with(|| reason.to_string());
    }
}

/// A node that runs.
#[derive(Debug)]
pub struct Running {
    /// Its id.
    pub node: NodeId,
    /// Its part in the cluster.
    pub host: Arc<Host>,
    /// Its door for clients.
    pub store: Arc<Coordinator>,
    /// Its log.
    pub log: Arc<SimLog>,
    /// Its upkeep.
    pub upkeep: Arc<Upkeep>,
    tasks: Vec<Task>,
}

impl Running {
    /// Ends the process, at once: nothing of it acts any more when this returns, but for what
    /// finds its disk gone.
    pub fn end(self, life: &Life) -> impl Future<Output = ()> + Send + 'static {
        life.gone.cancel();
        let Self { host, store, log, tasks, .. } = self;
        drop(tasks);
        drop(store);
        log.fail();
        async move {
            // Parts that wait for the log are told by now; patience is for what waits for time.
            let ended = tokio::time::timeout(Duration::from_secs(5), host.shutdown());
            let mut ended = std::pin::pin!(ended);
            loop {
                tokio::select! {
                    biased;
                    _ = &mut ended => break,
                    () = tokio::time::sleep(Duration::from_millis(10)) => log.fail(),
                }
            }
        }
    }
}

/// Seals and merges of a node: those that are due, and those that were asked for.
#[derive(Debug)]
pub struct Upkeep {
    parts: Mutex<(UpkeepParts, UpkeepState)>,
    clock: Arc<dyn Clock>,
    shards: Arc<Mutex<Vec<Weak<Shard>>>>,
    seal_wanted: AtomicBool,
    merge_wanted: AtomicBool,
    /// Seals that made blocks.
    pub seals: AtomicU32,
    /// Merges that made a block.
    pub merges: AtomicU32,
}

impl Upkeep {
    /// Asks for a seal of every shard, and perhaps for a merge of what can be merged. A merge makes
    /// the names of blocks durable too: what a seal left out is seen only where none follows it.
    pub fn compact(&self, merges_too: bool) {
        self.seal_wanted.store(true, Ordering::Relaxed);
        self.merge_wanted.store(merges_too, Ordering::Relaxed);
    }

    /// The shards there are.
    pub fn shards(&self) -> Vec<Arc<Shard>> {
        live(&self.shards)
    }

    async fn run(self: Arc<Self>) {
        let budget = upkeep::unlimited(&self.clock);
        let never = AtomicBool::new(false);
        loop {
            tokio::time::sleep(UPKEEP_PERIOD).await;
            // What failed is tried again the next time.
            {
                let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
                let (parts, state) = &mut *parts;
                upkeep::round(parts, state, &budget, &never);
            }
            if self.seal_wanted.swap(false, Ordering::Relaxed) {
                let merges = self.merge_wanted.swap(false, Ordering::Relaxed);
                for shard in self.shards() {
                    self.compact_shard(&shard, merges, &budget);
                }
            }
        }
    }

    fn compact_shard(&self, shard: &Shard, merges: bool, budget: &Budget) {
        if let Ok(Some(sealed)) = shard.seal(budget)
            && sealed.blocks > 0
        {
            self.seals.fetch_add(1, Ordering::Relaxed);
        }
        let now = self.clock.wall();
        if merges && let Ok(Some(_)) = shard.merge(now, true, budget) {
            self.merges.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn live(shards: &Mutex<Vec<Weak<Shard>>>) -> Vec<Arc<Shard>> {
    let mut shards = shards.lock().unwrap_or_else(PoisonError::into_inner);
    shards.retain(|shard| shard.strong_count() > 0);
    shards.iter().filter_map(Weak::upgrade).collect()
}

fn bytes16(random: &mut Random) -> [u8; 16] {
    (u128::from(random.next_u64()) << 64 | u128::from(random.next_u64())).to_be_bytes()
}

/// Starts a node and returns when it has its place in a cluster, which may take for ever.
pub async fn start(mut parts: NodeParts, life: Life) -> Result<Running, StartError> {
    let env: Arc<dyn Env> = Arc::new(parts.disk.env.clone());
    let kv = parts.disk.kv.open();
    let clock: Arc<dyn Clock> = parts.clock.clone() as _;
    let blocks = BlockStore::new(Arc::clone(&env), Arc::clone(&kv), NodeDisk::block_directory());
    let log = open_sound_log(&parts, &env, &kv, &blocks, &life)?;
    *life.log.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&log));
    let engine = Arc::clone(&log) as Arc<dyn LogEngine>;
    let mut tasks = vec![Task::spawn("sim log", Arc::clone(&log).drive(parts.disk.clone()))];
    let fresh = NodeMeta {
        cluster_id: [0; 16],
        node_id: bytes16(&mut parts.random),
        shard_count: 0,
        format_version: FORMAT_VERSION,
    };
    let node = NodeId(NodeMeta::load_or_create(kv.as_ref(), || fresh)?.node_id);
    let incarnation = begin_life(kv.as_ref(), parts.random.next_u64())?;
    let door = HostDoor::new();
    let transport = parts.network.attach(node, incarnation, Arc::clone(&door) as _);
    parts.network.name(&parts.address.to_string(), node);
    let no_dialer = || HostError::NotTaken { reason: "the node was detached".into() };
    let dial = parts.network.dialer(node).ok_or_else(no_dialer)?;
    let shards: Arc<Mutex<Vec<Weak<Shard>>>> = Arc::default();
    let space = Arc::new(Space::open(Arc::clone(&env), Path::new("data")));
    let forgotten = blocks.clone();
    let open_shard = open_shard(&engine, blocks.with_page_rows(PAGE_ROWS), &shards);
    let seeds = std::mem::take(&mut parts.seeds);
    let random = Mutex::new(Random::new(parts.random.next_u64()));
    let fatal = life.clone();
    let host = Host::start(HostParts {
        node,
        incarnation,
        record: NodeRecord {
            name: format!("node-{}", parts.number),
            addresses: vec![parts.address.to_string()],
            zone: String::new(),
            version: CLUSTER_VERSION,
        },
        bootstrap: BootstrapConfig {
            expected_nodes: parts.shape.nodes,
            join_only: parts.join_only,
            replication_factor: parts.shape.replication_factor,
            shard_count: parts.shape.shards,
        },
        version: "simulated".into(),
        ui: String::new(),
        process: Arc::new(|| None),
        figures: Arc::new(NodeFigures::default),
        clock: Arc::clone(&clock),
        log: engine,
        kv,
        disk: (env, PathBuf::from("data")),
        space: Arc::clone(&space),
        open_shard,
        forget_shard: Arc::new(move |shard| forgotten.forget(shard)),
        transport,
        dial,
        door,
        addresses: Arc::new(NodeAddresses::default()),
        identity: None,
        seeds: Arc::new(move || std::future::ready(seeds.clone()).boxed()),
        random: Arc::new(move || {
            bytes16(&mut random.lock().unwrap_or_else(PoisonError::into_inner))
        }),
        blocking: Blocking::Inline,
        pool_threads: 0,
        retention: RETENTION,
        log_kept_bytes: LOG_KEPT_BYTES,
        fatal: FatalHook::new(move |failure| fatal.fail(failure)),
        // The network of a simulation does not look at lives.
        on_disowned: Arc::new(|_| {}),
    });
    let host = host.await?;
    let listing = Arc::clone(&shards);
    let upkeep = Arc::new(Upkeep {
        parts: Mutex::new((
            UpkeepParts {
                shards: Box::new(move || live(&listing)),
                clock: Arc::clone(&clock),
                // Ages are the host's.
                retention: Span(u64::MAX),
                frozen: Arc::default(),
                purge: Box::new(|_, _| {}),
                propose_drop: Box::new(|_, _, _| {}),
                space,
                disk_cap: DiskCap::Bytes(u64::MAX),
                scrub_every: SCRUB_EVERY,
                log_bytes: Box::new(|| 0),
                compaction: Arc::new(Compaction::default()),
            },
            UpkeepState::default(),
        )),
        clock,
        shards,
        seal_wanted: AtomicBool::new(false),
        merge_wanted: AtomicBool::new(false),
        seals: AtomicU32::new(0),
        merges: AtomicU32::new(0),
    });
    let store = Arc::new(Coordinator::start_in_cluster(ClusterCoordinatorParts {
        host: Arc::clone(&host),
        batch_ids: BatchIds::new(bytes16(&mut parts.random)),
        load: Box::new(|| 0.0),
    })?);
    tasks.push(Task::spawn("sim upkeep", Arc::clone(&upkeep).run()));
    Ok(Running { node, host, store, log, upkeep, tasks })
}

/// Opens the log as the program does: one that is damaged, or that has lost its end, makes room for
/// an empty one if others have what it held.
fn open_sound_log(
    parts: &NodeParts,
    env: &Arc<dyn Env>,
    kv: &Arc<dyn Kv>,
    blocks: &BlockStore,
    life: &Life,
) -> Result<Arc<SimLog>, StartError> {
    let damage = match open_log(parts, env, life) {
        Ok(log) => {
            let engine = Arc::clone(&log) as Arc<dyn LogEngine>;
            if !log_is_short(kv, blocks, &engine)? {
                return Ok(log);
            }
            StartError::ShortLog
        }
        Err(StartError::Log(error)) if error.is_corruption() => StartError::Log(error),
        Err(error) => return Err(error),
    };
    if !give_up_replicas(kv, blocks)? {
        return Err(damage);
    }
    let (damaged, aside) = (NodeDisk::log_directory(), Path::new("data/log.damaged"));
    env.create_directory(aside)?;
    for name in env.list(aside)? {
        env.remove(&aside.join(name))?;
    }
    for name in env.list(damaged)? {
        env.rename(&damaged.join(&name), &aside.join(&name))?;
    }
    env.sync_directory(aside)?;
    env.sync_directory(damaged)?;
    parts.logs_set_aside.fetch_add(1, Ordering::Relaxed);
    open_log(parts, env, life)
}

fn open_log(parts: &NodeParts, env: &Arc<dyn Env>, life: &Life) -> Result<Arc<SimLog>, StartError> {
    let (clock, fatal) = (Arc::clone(&parts.clock), life.clone());
    let options = LogOptions::new(move || clock.monotonic().0, move |error| fatal.fail(error));
    let options = options.with_segment_bytes(SEGMENT_BYTES);
    let opened = SegmentLog::open_manual(Arc::clone(env), NodeDisk::log_directory(), &options);
    let (log, _) = opened?;
    let mut random = parts.random.clone();
    Ok(Arc::new(SimLog::new(log, Random::new(random.next_u64() ^ 1))))
}

/// Opens shards, and remembers them for upkeep.
fn open_shard(
    log: &Arc<dyn LogEngine>,
    blocks: BlockStore,
    shards: &Arc<Mutex<Vec<Weak<Shard>>>>,
) -> OpenShard {
    let cache = Arc::new(DecodedCache::default());
    let (log, shards) = (Arc::clone(log), Arc::clone(shards));
    Arc::new(move |id, group| {
        let shard = Arc::new(Shard::open(ShardParts {
            id,
            group,
            log: Arc::clone(&log),
            unwrap,
            cache: Arc::clone(&cache),
            blocks: Some(blocks.clone()),
        })?);
        shards.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&shard));
        Ok(shard)
    })
}
