//! [`Host`]: a node's part in a cluster, from its start to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use bytes::Bytes;
use model::time::Monotonic;
use model::{Clock, Duration, NodeId, ShardId};
use storage::env::Env;
use storage::log::{GroupId, LogEngine};
use storage::{Shard, Space};
use tokio::sync::Semaphore;

use super::alarms::AlarmBook;
use super::clocks::PeerClocks;
use super::crew::Crew;
use super::disowned::DisownedHook;
use super::durable::{Durable, Membership};
use super::error::HostError;
use super::events::EventBook;
use super::lane::Lanes;
use super::limits::DIGESTS_AT_ONCE;
use super::map::MapAsked;
use super::meta_machine::MetaMachine;
use super::parts::{
    HostParts, NodeAddresses, ProcessFigures, RandomBytes, ResolveSeeds, TellFigures,
};
use super::replicas::{Replicas, ReplicasParts};
use crate::coordinator::{ReadPools, Routes};
use crate::gossip::Members;
use crate::identity::{ClusterId, shard_of_group};
use crate::meta::{CLUSTER_VERSION, MetaState, NodeRecord};
use crate::plan::{BootstrapConfig, DataState};
use crate::raft::{Blocking, FatalHook};
use crate::task::Task;
use crate::transport::{self, Dial, Incarnation, LocalIdentity, Transport};
use crate::upkeep::Frozen;
use crate::watch;

/// A node's part in a cluster. Dropping it ends it; [`Host::shutdown`] also waits for the end.
#[derive(Debug)]
pub struct Host {
    pub(crate) shared: Arc<Shared>,
    /// They end with the host.
    tasks: Mutex<Vec<Task>>,
}

/// What the host's tasks, its door and the coordinator share.
pub(crate) struct Shared {
    pub(super) node: NodeId,
    pub(super) incarnation: Incarnation,
    pub(super) record: NodeRecord,
    pub(super) bootstrap: BootstrapConfig,
    pub(super) version: String,
    pub(super) ui: String,
    pub(super) process: ProcessFigures,
    pub(super) figures: TellFigures,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) log: Arc<dyn LogEngine>,
    pub(super) disk: (Arc<dyn Env>, PathBuf),
    pub(super) space: Arc<Space>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) dial: Arc<dyn Dial>,
    pub(super) addresses: Arc<NodeAddresses>,
    pub(super) identity: Option<Arc<LocalIdentity>>,
    pub(super) seeds: ResolveSeeds,
    pub(super) random: RandomBytes,
    pub(super) blocking: Blocking,
    pub(super) pool_threads: usize,
    pub(super) durable: Durable,
    /// Promises and membership. Locked from a decision until it is on the disk.
    pub(super) membership: tokio::sync::Mutex<Membership>,
    pub(super) meta: Arc<MetaMachine>,
    pub(super) replicas: Replicas,
    /// The newest state of the cluster that was seen. It only goes forward.
    pub(super) map: watch::Sender<Arc<MetaState>>,
    /// Held while a state of the cluster is put in place.
    pub(super) learning: tokio::sync::Mutex<()>,
    pub(super) map_asked: tokio::sync::Mutex<MapAsked>,
    /// How traces are led to shards, by the newest state of the cluster that was seen.
    pub(super) routes: RwLock<Arc<Routes>>,
    pub(super) read_pools: ReadPools,
    /// Held while this node asks the others for digests.
    pub(super) digests_asked: tokio::sync::Mutex<()>,
    /// Whoever makes a digest has some of it.
    pub(super) digest_room: Semaphore,
    pub(super) lanes: Lanes,
    pub(super) writes: Crew,
    /// Who led shards that have no replica here, when last heard of.
    pub(super) leaders: Mutex<BTreeMap<ShardId, NodeId>>,
    /// Members that this node cannot reach, and since when.
    pub(super) unreachable: Mutex<BTreeMap<NodeId, Monotonic>>,
    /// Whether that was looked at yet.
    pub(super) has_looked: AtomicBool,
    /// What somebody should know, while this node leads the meta group. Written by the plan.
    pub(super) alarms: Mutex<AlarmBook>,
    /// What this node saw happen. Written by who watches whom it can reach.
    pub(super) events: Mutex<EventBook>,
    pub(super) gossip: OnceLock<watch::Receiver<Arc<Members>>>,
    pub(super) peer_clocks: PeerClocks,
    /// What this node says to whoever asks. Written by [`Host::say`] alone.
    pub(super) note: Mutex<Bytes>,
    /// Members whose disks take no client's batches.
    pub(super) short_of_room: Mutex<BTreeSet<NodeId>>,
    /// For how long spans are kept, unless the cluster knows otherwise.
    pub(super) retention: Duration,
    /// For how long nothing goes for its age, if this node is the whole cluster.
    pub(super) frozen: Frozen,
    pub(super) log_kept_bytes: u64,
    pub(super) fatal: FatalHook,
    pub(super) on_disowned: DisownedHook,
    pub(super) draining: AtomicBool,
    pub(super) was_ready: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Host").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Host {
    /// Starts the node's replicas, founds or joins a cluster if the node has none, and returns when
    /// it knows what the cluster looks like. Call it within a runtime; it may take for ever, while
    /// others are awaited.
    pub async fn start(parts: HostParts) -> Result<Arc<Self>, HostError> {
        let door = Arc::clone(&parts.door);
        let durable = Durable::new(Arc::clone(&parts.kv));
        let (blocking, opened, log) = (parts.blocking, durable.clone(), Arc::clone(&parts.log));
        let loaded = blocking.run(move || {
            let meta = MetaMachine::open(opened.clone(), log)?;
            let (list, burned) = (opened.replicas()?, opened.burned()?);
            Ok::<_, HostError>((opened.membership()?, list, burned, opened.map()?, meta))
        });
        let (membership, list, burned, map, meta) = loaded.await??;
        let data = membership.data.clone();
        let (crew, writes) = Crew::new();
        let shared = Shared::new(parts, durable, membership, list, Arc::new(meta), crew)?;
        let shared = Arc::new(shared);
        shared.replicas.set_burned(burned);
        let host = Self { tasks: Mutex::default(), shared: Arc::clone(&shared) };
        host.spawn("cluster writes", writes);
        if let Some(map) = map {
            shared.learn(map).await?;
        }
        if let DataState::Member(cluster) = data {
            shared.speak_for(cluster)?;
        }
        door.open_for(&shared);
        host.spawn("cluster whereabouts", Arc::clone(&shared).find_members());
        if matches!(data, DataState::Member(_)) {
            shared.hear_witnesses().await?;
            shared.replicas.start_all().await?;
        } else {
            shared.find_cluster().await?;
        }
        host.spawn("cluster map", Arc::clone(&shared).follow_map());
        // A founder has to propose the cluster before it can know it.
        host.spawn("cluster plan", Arc::clone(&shared).drive_plan());
        shared.enter_cluster().await?;
        shared.check_routes()?;
        host.spawn("cluster reach", Arc::clone(&shared).watch_reach());
        host.spawn("cluster upkeep", Arc::clone(&shared).keep_up());
        host.spawn("cluster disk", Arc::clone(&shared).watch_disk());
        Ok(Arc::new(host))
    }

    fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.push(Task::spawn(name, work));
    }

    /// The node.
    pub fn node(&self) -> NodeId {
        self.shared.node
    }

    /// The cluster that the node belongs to.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.shared.map.borrow().cluster()
    }

    /// The state of the cluster as the node knows it, as it changes.
    pub fn watch_state(&self) -> watch::Receiver<Arc<MetaState>> {
        self.shared.map.subscribe()
    }

    /// Has buckets of a class dropped from a shard up to and including one, wherever it is led:
    /// this node's disk is full. Does not wait for it.
    pub fn drop_for_room(&self, shard: ShardId, class: u8, bucket: u64) {
        let dropping = Arc::clone(&self.shared).drop_for_room(shard, class, bucket);
        if !self.shared.writes.take(dropping) {
            tracing::debug!(%shard, "too much is under way to make room");
        }
    }

    /// Lets the planner hear gossip's opinion; without, what the meta group's leader cannot reach
    /// counts as down. Gossip begins after the host, because it needs the cluster.
    pub fn set_gossip(&self, members: watch::Receiver<Arc<Members>>) {
        self.shared.gossip.get_or_init(|| members);
    }

    /// Proposes a command to the meta group, wherever it is led; says what was refused.
    pub async fn propose(&self, command: crate::meta::MetaCommand) -> Result<(), crate::Error> {
        let within = super::limits::META_DEADLINE;
        self.shared.propose_meta(&command, within).await.map(|_| ())
    }

    /// What every replica here knows of itself, for checkers.
    #[cfg(any(test, feature = "testing"))]
    pub fn replicas(&self) -> Vec<(GroupId, crate::raft::ReplicaStatus)> {
        let all = self.shared.replicas.all().into_iter();
        all.map(|(group, hosted)| (group, hosted.replica.status())).collect()
    }

    /// The replicas that lie on this node's disk, for tests.
    #[cfg(any(test, feature = "testing"))]
    pub fn replica_ids(&self) -> std::collections::BTreeMap<GroupId, crate::identity::ReplicaId> {
        self.shared.replicas.listed()
    }

    /// Ends the tasks and the replicas, and waits until nothing touches the log any more.
    pub async fn shutdown(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        drop(tasks);
        self.shared.replicas.shutdown().await;
    }

    /// The replicas of shards on this node.
    pub fn shards(&self) -> Vec<Arc<Shard>> {
        let all = self.shared.replicas.all().into_iter();
        all.filter_map(|(_, hosted)| hosted.shard.clone()).collect()
    }

    pub(crate) fn pool_threads(&self) -> usize {
        self.shared.pool_threads
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    pub(crate) fn log(&self) -> &Arc<dyn LogEngine> {
        &self.shared.log
    }

    pub(crate) fn disk(&self) -> &(Arc<dyn Env>, PathBuf) {
        &self.shared.disk
    }
}

impl Shared {
    fn new(
        parts: HostParts,
        durable: Durable,
        membership: Membership,
        list: BTreeMap<GroupId, crate::identity::ReplicaId>,
        meta: Arc<MetaMachine>,
        crew: Crew,
    ) -> Result<Self, HostError> {
        let replicas = ReplicasParts {
            durable: durable.clone(),
            log: Arc::clone(&parts.log),
            meta: Arc::clone(&meta),
            open_shard: parts.open_shard,
            forget_shard: parts.forget_shard,
            transport: Arc::clone(&parts.transport),
            blocking: parts.blocking,
            fatal: parts.fatal.clone(),
        };
        let replicas = Replicas::new(replicas, list);
        let room = Arc::clone(&parts.space);
        replicas.router.set_intake(Arc::new(move |group, entry| {
            let takes_room = shard_of_group(group).is_some() && storage::entry::is_data(entry);
            !takes_room || room.mark().takes_data_entries()
        }));
        Ok(Self {
            node: parts.node,
            incarnation: parts.incarnation,
            record: NodeRecord { version: CLUSTER_VERSION, ..parts.record },
            bootstrap: parts.bootstrap,
            version: parts.version,
            ui: parts.ui,
            process: parts.process,
            figures: parts.figures,
            clock: parts.clock,
            log: parts.log,
            disk: parts.disk,
            space: parts.space,
            transport: parts.transport,
            dial: parts.dial,
            addresses: parts.addresses,
            identity: parts.identity,
            seeds: parts.seeds,
            random: parts.random,
            blocking: parts.blocking,
            pool_threads: parts.pool_threads,
            durable,
            membership: tokio::sync::Mutex::new(membership),
            meta,
            replicas,
            map: watch::Sender::default(),
            learning: tokio::sync::Mutex::default(),
            map_asked: tokio::sync::Mutex::default(),
            routes: RwLock::new(Arc::new(Routes::first(0))),
            read_pools: ReadPools::new(parts.pool_threads)?,
            digests_asked: tokio::sync::Mutex::new(()),
            digest_room: Semaphore::new(DIGESTS_AT_ONCE),
            lanes: Lanes::default(),
            writes: crew,
            leaders: Mutex::default(),
            unreachable: Mutex::default(),
            has_looked: AtomicBool::new(false),
            alarms: Mutex::default(),
            events: Mutex::default(),
            gossip: OnceLock::new(),
            peer_clocks: PeerClocks::default(),
            note: Mutex::default(),
            short_of_room: Mutex::default(),
            retention: parts.retention,
            frozen: Frozen::default(),
            log_kept_bytes: parts.log_kept_bytes,
            fatal: parts.fatal,
            on_disowned: parts.on_disowned,
            draining: AtomicBool::new(false),
            was_ready: AtomicBool::new(false),
        })
    }

    /// Says to the transport which cluster this node is of.
    pub(super) fn speak_for(&self, cluster: ClusterId) -> Result<(), HostError> {
        let Some(identity) = &self.identity else { return Ok(()) };
        if identity.set_cluster(transport::ClusterId(cluster.0)) {
            Ok(())
        } else {
            Err(HostError::OtherCluster { cluster })
        }
    }

    pub(super) fn state(&self) -> Arc<MetaState> {
        Arc::clone(&self.map.borrow())
    }

    pub(super) fn now(&self) -> Monotonic {
        self.clock.monotonic()
    }

    /// What is left until then.
    pub(super) fn left(&self, until: Monotonic) -> Duration {
        until.since(self.now())
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(super) fn cannot_reach(&self, node: NodeId) -> bool {
        let unreachable = self.unreachable.lock().unwrap_or_else(PoisonError::into_inner);
        unreachable.contains_key(&node)
    }
}

/// The same time for the runtime.
pub(super) fn std(duration: Duration) -> std::time::Duration {
    std::time::Duration::from_nanos(duration.0)
}

/// A time in milliseconds as it travels: at least one, so that it is not none.
pub(super) fn millis(duration: Duration) -> u64 {
    (duration.0 / 1_000_000).max(1)
}
