//! A cluster whose nodes can be cut off, killed and started again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cluster::Coordinator;
use cluster::coordinator::{BatchIds, ClusterCoordinatorParts};
use cluster::gossip::{Facts, Member as Heard, MemberState, Members};
use cluster::host::limits::LOG_KEPT_BYTES;
use cluster::host::{
    Host, HostDoor, HostError, HostParts, NodeAddresses, Recovery, ResolveSeeds, begin_life,
};
use cluster::identity::ReplicaId;
use cluster::meta::NodeRecord;
use cluster::plan::BootstrapConfig;
use cluster::raft::{Blocking, FatalHook, unwrap};
use cluster::transport::{
    CallError, Directory as _, FrameStream, MemoryNetwork, Method, Reply, Transport,
};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use model::admin::{NodeFigures, Readiness};
use model::budget::Budget;
use model::store::{Answer, ReadScope, SearchEnd, SearchItem, SearchRequest, Trace, TraceRequest};
use model::time::{Clock, Monotonic, Timestamp};
use model::{ClusterAdmin, NodeId, Span, StoreError, Tenant, TraceId, TraceStore};
use storage::env::{Env, FaultEnv, OsEnv};
use storage::kv::{Kv, MemoryKv};
use storage::log::{GroupId, LogEngine, LogIndex, MemoryLog};
use storage::shard::{BlockStore, DecodedCache, Shard, ShardParts};

/// Mostly of paused time: no promise about speed, only an end to a test that hangs.
const PATIENCE: Duration = Duration::from_mins(10);

pub(crate) fn node(number: usize) -> NodeId {
    NodeId([u8::try_from(number + 1).unwrap(); 16])
}

/// No node has this id.
const NOBODY: NodeId = NodeId([0; 16]);

/// Where a node is that has moved so often.
fn address(number: usize, moves: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, moves, u8::try_from(number + 1).unwrap()], 7947))
}

/// Reaches nodes as one does over sockets: at the addresses that are known of them.
#[derive(Debug)]
struct ByAddress {
    network: MemoryNetwork,
    directory: Arc<NodeAddresses>,
    inner: Arc<dyn Transport>,
}

impl ByAddress {
    fn check(&self, to: NodeId) -> Result<(), CallError> {
        let address = self.directory.address(to);
        if address.as_deref().and_then(|address| self.network.named(address)) == Some(to) {
            return Ok(());
        }
        Err(CallError::Unreachable { reason: format!("not at {address:?}") })
    }
}

impl Transport for ByAddress {
    fn call(
        &self,
        to: NodeId,
        method: Method,
        request: Bytes,
        deadline: model::Duration,
    ) -> BoxFuture<'static, Reply> {
        match self.check(to) {
            Ok(()) => self.inner.call(to, method, request, deadline),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }

    fn open(
        &self,
        to: NodeId,
        method: Method,
        first: Bytes,
    ) -> BoxFuture<'static, Result<FrameStream, CallError>> {
        match self.check(to) {
            Ok(()) => self.inner.open(to, method, first),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }
}

/// Time as the runtime has it, paused or not.
#[derive(Debug)]
pub(crate) struct RuntimeClock {
    origin: tokio::time::Instant,
    /// By how much the wall clock is ahead, in nanoseconds.
    ahead: AtomicU64,
}

impl RuntimeClock {
    fn new(origin: tokio::time::Instant) -> Self {
        Self { origin, ahead: AtomicU64::new(0) }
    }

    /// Puts the wall clock so much ahead of what it should be.
    pub(crate) fn set_ahead(&self, ahead: model::Duration) {
        self.ahead.store(ahead.0, Ordering::Relaxed);
    }
}

impl Clock for RuntimeClock {
    fn wall(&self) -> Timestamp {
        let ahead = self.ahead.load(Ordering::Relaxed);
        Timestamp(1_700_000_000_000_000_000 + self.monotonic().0 + ahead)
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(1_000_000_000 + u64::try_from(self.origin.elapsed().as_nanos()).unwrap())
    }
}

/// A node that runs.
pub(crate) struct Running {
    pub(crate) host: Arc<Host>,
    pub(crate) store: Coordinator,
}

/// A node: its disk, and what runs on it.
pub(crate) struct Member {
    log: Arc<dyn LogEngine>,
    kv: Arc<dyn Kv>,
    /// Where its blocks lie.
    pub(crate) files: FaultEnv,
    pub(crate) clock: Arc<RuntimeClock>,
    /// How often it has moved.
    moves: u8,
    running: Option<Running>,
}

/// What a cluster begins with.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) nodes: usize,
    pub(crate) replication_factor: u32,
    pub(crate) shards: u32,
    /// Bytes of the log that are kept for who lags.
    pub(crate) log_kept_bytes: u64,
}

pub(crate) const THREE: Shape =
    Shape { nodes: 3, replication_factor: 3, shards: 4, log_kept_bytes: LOG_KEPT_BYTES };

pub(crate) struct World {
    pub(crate) network: MemoryNetwork,
    pub(crate) clock: Arc<RuntimeClock>,
    pub(crate) tenant: Tenant,
    shape: Shape,
    /// Whether the names that nodes begin with lead to them.
    pub(crate) has_seeds: bool,
    pub(crate) members: Vec<Member>,
}

impl World {
    /// A cluster that has formed, all of whose nodes are ready.
    pub(crate) async fn start(seed: u64, shape: Shape) -> Self {
        println!("seed {seed}");
        let mut world = Self {
            network: MemoryNetwork::new(seed),
            clock: Arc::new(RuntimeClock::new(tokio::time::Instant::now())),
            tenant: Tenant::default(),
            shape,
            has_seeds: true,
            members: Vec::new(),
        };
        for number in 0..shape.nodes {
            world.network.name(&address(number, 0).to_string(), node(number));
            world.members.push(world.member());
        }
        let starts = (0..shape.nodes).map(|number| world.run(number, false));
        let running = tokio::time::timeout(PATIENCE, join_all(starts)).await.unwrap();
        for (member, running) in world.members.iter_mut().zip(running) {
            member.running = Some(running);
        }
        world.ready().await;
        world
    }

    /// A member that has never run.
    fn member(&self) -> Member {
        Member {
            log: Arc::new(MemoryLog::new()),
            kv: Arc::new(MemoryKv::new()),
            files: FaultEnv::new(self.members.len() as u64),
            clock: Arc::new(RuntimeClock::new(self.clock.origin)),
            moves: 0,
            running: None,
        }
    }

    async fn run(&self, number: usize, join_only: bool) -> Running {
        let member = &self.members[number];
        let (log, kv) = (Arc::clone(&member.log), Arc::clone(&member.kv));
        let incarnation = begin_life(kv.as_ref(), u64::try_from(number).unwrap()).unwrap();
        let door = HostDoor::new();
        let id = node(number);
        let addresses = Arc::new(NodeAddresses::default());
        let transport = Arc::new(ByAddress {
            network: self.network.clone(),
            directory: Arc::clone(&addresses),
            inner: self.network.attach(id, incarnation, Arc::clone(&door) as _),
        });
        let seeds = self.seeds();
        let cache = Arc::new(DecodedCache::default());
        let shards_log = Arc::clone(&log);
        let files: Arc<dyn Env> = Arc::new(member.files.clone());
        let blocks = BlockStore::new(files, Arc::clone(&kv), Path::new("/blocks"));
        let forgotten = blocks.clone();
        let host = Host::start(HostParts {
            node: id,
            incarnation,
            record: NodeRecord {
                name: format!("node-{number}"),
                addresses: vec![address(number, member.moves).to_string()],
                zone: String::new(),
                version: 1,
            },
            bootstrap: BootstrapConfig {
                expected_nodes: self.shape.nodes,
                join_only,
                replication_factor: self.shape.replication_factor,
                shard_count: self.shape.shards,
            },
            version: "test".into(),
            ui: format!("http://node-{number}/"),
            process: Arc::new(|| None),
            figures: Arc::new(NodeFigures::default),
            clock: Arc::clone(&member.clock) as _,
            log,
            kv,
            disk: (Arc::new(OsEnv::new()), PathBuf::from(".")),
            space: Arc::new(storage::Space::open(
                Arc::new(member.files.clone()),
                Path::new("/space"),
            )),
            open_shard: Arc::new(move |shard, group| {
                Ok(Arc::new(Shard::open(ShardParts {
                    id: shard,
                    group,
                    log: Arc::clone(&shards_log),
                    unwrap,
                    cache: Arc::clone(&cache),
                    blocks: Some(blocks.clone()),
                })?))
            }),
            forget_shard: Arc::new(move |shard| forgotten.forget(shard)),
            transport,
            dial: self.network.dialer(id).unwrap(),
            door,
            addresses,
            identity: None,
            seeds,
            random: Arc::new(move || [u8::try_from(number).unwrap() + 100; 16]),
            blocking: Blocking::Inline,
            pool_threads: 0,
            retention: model::Duration::from_secs(7 * 24 * 3_600),
            log_kept_bytes: self.shape.log_kept_bytes,
            fatal: FatalHook::new(|failure| panic!("{failure}")),
            on_disowned: Arc::new(|disowned| panic!("{disowned}")),
        });
        let host = host.await.unwrap();
        let life = u8::try_from(incarnation.start).unwrap();
        let mut batch_ids = [life; 16];
        batch_ids[0] = u8::try_from(number).unwrap();
        let store = Coordinator::start_in_cluster(ClusterCoordinatorParts {
            host: Arc::clone(&host),
            batch_ids: BatchIds::new(batch_ids),
            load: Box::new(|| 0.0),
        });
        Running { host, store: store.unwrap() }
    }

    /// What names lead to now: a name server would say so too.
    fn seeds(&self) -> ResolveSeeds {
        let all = self.members.iter().enumerate().filter(|_| self.has_seeds);
        let seeds: Vec<(String, SocketAddr)> = all
            .map(|(number, member)| ("cluster".to_owned(), address(number, member.moves)))
            .collect();
        Arc::new(move || std::future::ready(seeds.clone()).boxed())
    }

    /// Gives a node that does not run another address; at the old one nobody is found any more.
    pub(crate) fn relocate(&mut self, number: usize) {
        let member = &mut self.members[number];
        self.network.name(&address(number, member.moves).to_string(), NOBODY);
        member.moves += 1;
        self.network.name(&address(number, member.moves).to_string(), node(number));
    }

    /// Has gossip tell a node of other nodes, and where they take calls.
    pub(crate) fn gossip(&self, number: usize, of: &[usize]) {
        let others = of.iter().map(|other| {
            let at = address(*other, self.members[*other].moves);
            Heard {
                node: node(*other),
                address: at,
                start: u64::from(u32::MAX),
                state: MemberState::Up,
                since: self.clock.monotonic(),
                facts: Some(Facts { rpc_address: at.to_string(), ..Facts::default() }),
            }
        });
        let (_, heard) = cluster::watch::channel(Arc::new(others.collect::<Members>()));
        self.host(number).set_gossip(heard);
    }

    /// Whether the others say that they can do without the member of a name, as one that lost
    /// itself asks.
    pub(crate) async fn ask_to_be_spared(&self, name: &str) -> Result<(), String> {
        let seeds = self.seeds();
        let dial = self.network.dialer(node(0)).unwrap();
        cluster::host::ask_to_be_spared(dial.as_ref(), &seeds, name).await
    }

    pub(crate) fn host(&self, number: usize) -> &Host {
        &self.members[number].running.as_ref().unwrap().host
    }

    pub(crate) fn store(&self, number: usize) -> &Coordinator {
        &self.members[number].running.as_ref().unwrap().store
    }

    /// Takes a node off the network and ends it; its disk stays.
    pub(crate) async fn kill(&mut self, number: usize) {
        self.network.detach(node(number));
        let Running { host, store } = self.members[number].running.take().unwrap();
        drop(store);
        host.shutdown().await;
    }

    /// Starts a node that was killed from what its disk holds.
    pub(crate) async fn revive(&mut self, number: usize) {
        let running = tokio::time::timeout(PATIENCE, self.run(number, false)).await.unwrap();
        self.members[number].running = Some(running);
    }

    /// Starts several nodes at once.
    pub(crate) async fn revive_all(&mut self, numbers: &[usize]) {
        let starts = join_all(numbers.iter().map(|number| self.run(*number, false)));
        let running = tokio::time::timeout(PATIENCE, starts).await.unwrap();
        for (number, running) in numbers.iter().zip(running) {
            self.members[*number].running = Some(running);
        }
    }

    /// Adds a node that has never been there, which joins.
    pub(crate) async fn add(&mut self) -> usize {
        let number = self.members.len();
        self.network.name(&address(number, 0).to_string(), node(number));
        self.members.push(self.member());
        let running = tokio::time::timeout(PATIENCE, self.run(number, true)).await.unwrap();
        self.members[number].running = Some(running);
        number
    }

    /// Up to where a node's log has forgotten a group.
    pub(crate) fn purged(&self, number: usize, group: GroupId) -> Option<LogIndex> {
        self.members[number].log.bounds(group).purged
    }

    /// Cuts the last entries of every group off the log of a node that does not run, as far as the
    /// disk can tell: a log that never went further looks the same.
    pub(crate) fn cut_log(&self, number: usize, entries: u64) {
        let log = &self.members[number].log;
        for group in log.groups() {
            let Some(last) = log.bounds(group).last else { continue };
            let after = last.0.checked_sub(entries).map(LogIndex);
            log.truncate_after(group, after, Box::new(|result| result.unwrap())).unwrap();
        }
    }

    /// What the disk of a node holds that does not run.
    pub(crate) fn recovery(&self, number: usize) -> Result<Recovery, HostError> {
        let member = &self.members[number];
        Recovery::open(&member.kv, &member.log, node(number))
    }

    /// The ids of a node's replicas.
    pub(crate) fn replica_ids(&self, number: usize) -> BTreeMap<GroupId, ReplicaId> {
        self.host(number).replica_ids()
    }

    /// Seals every shard of a node, and removes what is gone.
    pub(crate) fn seal(&self, number: usize) {
        for shard in self.host(number).shards() {
            shard.seal(&self.scope().budget).unwrap();
            shard.sweep().unwrap();
        }
    }

    /// Cuts a node off from all others.
    pub(crate) fn isolate(&self, number: usize) {
        let others: Vec<NodeId> =
            (0..self.members.len()).filter(|other| *other != number).map(node).collect();
        self.network.partition(&[node(number)], &others);
    }

    /// Waits until every node that runs says it is ready.
    pub(crate) async fn ready(&self) {
        self.until("all nodes are ready", || {
            let running = self.members.iter().filter_map(|member| member.running.as_ref());
            running.into_iter().all(|running| running.store.readiness() == Readiness::Ready)
        })
        .await;
    }

    /// Waits until a condition holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let waiting = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            while !holds() {
                ticks.tick().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "it never came to pass that {what}");
    }

    /// Waits until a node tells that every shard has a leader and replicas that lack nothing.
    pub(crate) async fn settled(&self, through: usize, replicas: usize) {
        let waiting = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(200));
            loop {
                ticks.tick().await;
                let status = self.store(through).status().await;
                let is_settled = status.shards.iter().all(|shard| {
                    let up = shard.replicas.iter().filter(|it| it.state.lag() == Some(0)).count();
                    shard.leader.is_some() && up >= replicas
                });
                if is_settled {
                    return;
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        let shards = self.store(through).status().await.shards;
        assert!(waited.is_ok(), "the shards never settled: {shards:?}");
    }

    pub(crate) fn scope(&self) -> ReadScope {
        let deadline = self.clock.monotonic().plus(model::Duration::from_secs(30));
        let budget = Budget::new(Arc::clone(&self.clock) as _, deadline, u64::MAX);
        ReadScope { tenant: self.tenant.clone(), budget, stale: false }
    }

    pub(crate) async fn write(&self, through: usize, spans: &[Span]) -> Result<(), StoreError> {
        let written = model::testing::write_spans(self.store(through), &self.tenant, spans);
        written.await.map(|_| ())
    }

    pub(crate) async fn trace(
        &self,
        through: usize,
        trace_id: TraceId,
    ) -> Result<Answer<Option<Trace>>, StoreError> {
        let request = TraceRequest { scope: self.scope(), trace_id, spans_max: usize::MAX >> 1 };
        self.store(through).trace(request).await
    }

    /// How many traces there are, and the end of the search that counted them.
    pub(crate) async fn count(&self, through: usize) -> Result<(usize, SearchEnd), StoreError> {
        let (hits, end, _) = self.count_in_steps(through).await?;
        Ok((hits, end))
    }

    /// The same, and how long after its beginning the search told of each further shard.
    pub(crate) async fn count_in_steps(
        &self,
        through: usize,
    ) -> Result<(usize, SearchEnd, Vec<model::Duration>), StoreError> {
        let began = self.clock.monotonic();
        let mut steps = Vec::new();
        let query = model::query::TraceQuery {
            window: model::TimeRange::ALL,
            predicate: model::query::TracePredicate::True,
            order: model::query::Order::Newest,
            limit: 100_000,
            cursor: None,
        };
        let detail = model::store::Detail::Summary;
        let request = SearchRequest { scope: self.scope(), query, detail, progress: true };
        let mut stream = self.store(through).search(request).await?;
        let mut hits = 0;
        loop {
            let next = std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await;
            match next.unwrap()? {
                SearchItem::Progress(_) => steps.push(self.clock.monotonic().since(began)),
                SearchItem::Hit(_) => hits += 1,
                SearchItem::End(end) => {
                    steps.push(self.clock.monotonic().since(began));
                    return Ok((hits, end, steps));
                }
            }
        }
    }

    /// Requires a node to show every one of these spans, and to lack nothing.
    pub(crate) async fn require(&self, through: usize, spans: &[Span]) {
        let mut by_trace: BTreeMap<TraceId, Vec<&Span>> = BTreeMap::new();
        for span in spans {
            by_trace.entry(span.trace_id).or_default().push(span);
        }
        for (trace_id, spans) in by_trace {
            let answer = self.trace(through, trace_id).await.unwrap();
            assert!(answer.completeness.is_complete(), "{:?}", answer.completeness);
            let trace = answer.value.unwrap();
            for span in spans {
                assert!(trace.spans.contains(span), "an acknowledged span is gone");
            }
        }
    }
}
