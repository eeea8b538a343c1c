//! Opens a node that is one of several: identity, log, the way to its peers, its part in the
//! cluster; and starts the coordinator over it.
//!
//! Order: `db/` says who the node is, and counts another start of it before anything is sent; the
//! log is recovered; the port for peers answers; the host starts the node's replicas and finds the
//! cluster or founds one; gossip follows, because it needs the cluster; only then is there a
//! coordinator.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use anyhow::{Context, ensure};
use api::sampling::Peers;
use cluster::compaction::Compaction;
use cluster::coordinator::BatchIds;
use cluster::gossip::{CoreParts, Facts, Gossip, GossipParts, NodeState, Seeds, SpaceMark};
use cluster::host::{
    Host, HostDoor, HostParts, IncarnationGate, NodeAddresses, OpenShard, RandomBytes,
    ResolveSeeds, begin_life, forget_disowned, give_up_replicas, holds_replicas, log_is_short,
    was_disowned,
};
use cluster::meta::{CLUSTER_VERSION, NodeRecord};
use cluster::plan::BootstrapConfig;
use cluster::raft::{Blocking, FatalHook, unwrap};
use cluster::transport::{
    GrpcServer, GrpcTransport, KeyRing, LocalIdentity, PeerGate, TransportParts,
};
use cluster::upkeep::{UpkeepParts, UpkeepThread};
use cluster::{ClusterCoordinatorParts, Coordinator};
use model::NodeId;
use model::time::Clock;
use storage::env::Env;
use storage::kv::{Kv, RocksKv};
use storage::log::LogEngine;
use storage::meta::{FORMAT_VERSION, NodeMeta};
use storage::shard::{BlockStore, DecodedCache, ShardParts};
use storage::{Shard, Space};
use tokio::net::{TcpListener, UdpSocket};

use crate::app::Known;
use crate::config::{ClusterSettings, NodeConfig, advertised_host};
use crate::figures::figures;
use crate::give_way::give_way;
use crate::process::{self, MachineLoad};
use crate::sampling_peers::SamplingPeers;
use crate::store::{
    OF_A_CLUSTER, end_process_of_store, first_turn, is_log_damage, open_log, os_env, threads,
};
use crate::{build_info, files, lost_self, output};

/// Bytes of a file with a cluster's keys: two lines of hexadecimal digits, and some room.
const KEY_FILE_BYTES_MAX: usize = 4_096;

/// What keeps a node in its cluster. Ended with [`Self::leave`].
pub(crate) struct Membership {
    host: Arc<Host>,
    gossip: Gossip,
    _server: GrpcServer,
    upkeep: UpkeepThread,
    compaction: Arc<Compaction>,
}

impl Membership {
    /// Who may ask for a compaction of this node.
    pub(crate) fn compaction(&self) -> &Arc<Compaction> {
        &self.compaction
    }

    /// The node's part in its cluster.
    pub(crate) fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// The way to what other nodes counted.
    pub(crate) fn peers(&self) -> Arc<dyn Peers> {
        Arc::new(SamplingPeers(Arc::clone(&self.host)))
    }

    /// Says goodbye, and ends what serves others. Leaders have been handed over before.
    pub(crate) async fn leave(self) -> anyhow::Result<()> {
        self.gossip.leave().await;
        self.host.shutdown().await;
        let upkeep = self.upkeep;
        tokio::task::spawn_blocking(move || drop(upkeep)).await.context("upkeep panicked")
    }
}

/// The disk's part of a node.
struct Opened {
    env: Arc<dyn Env>,
    kv: Arc<dyn Kv>,
    log: Arc<dyn LogEngine>,
    space: Arc<Space>,
    node: NodeId,
    incarnation: cluster::transport::Incarnation,
}

/// Opens everything and returns when the node has its place in a cluster, which may take as long
/// as the other nodes take to come.
pub(crate) async fn open(
    config: &NodeConfig,
    directory: &Path,
    clock: &Arc<dyn Clock>,
    Known { ui_url, meter, starting }: Known<'_>,
) -> anyhow::Result<(Coordinator, Membership)> {
    let settings = &config.cluster;
    let keys = keys(config)?;
    let opened = match open_disk_aside(directory, clock).await {
        Err(error) if lost_self::is_store_damage(&error) => {
            lost_self::start_anew(config, directory, keys.clone(), &error).await?;
            open_disk_aside(directory, clock).await?
        }
        opened => opened?,
    };
    let local = Arc::new(LocalIdentity::new(opened.node, opened.incarnation));
    let gate: Arc<dyn PeerGate> = Arc::new(IncarnationGate::default());
    let addresses = Arc::new(NodeAddresses::default());
    let door = HostDoor::new();
    let listener = TcpListener::bind((config.listen_address, settings.rpc_port)).await;
    let listener = listener.with_context(|| {
        format!("the port for other nodes, {}, cannot be taken", settings.rpc_port)
    })?;
    let socket = UdpSocket::bind((config.listen_address, settings.gossip_port)).await;
    let socket = socket.with_context(|| {
        format!("the port of gossip, {}, cannot be taken", settings.gossip_port)
    })?;
    let rpc_port = listener.local_addr()?.port();
    let transport = GrpcTransport::new(TransportParts {
        local: Arc::clone(&local),
        directory: Arc::clone(&addresses) as _,
        gate: Arc::clone(&gate),
        keys: keys.clone(),
    });
    let transport = Arc::new(transport.context("there is no runtime for connections")?);
    let handler = Arc::clone(&door) as _;
    let server = GrpcServer::start(listener, Arc::clone(&local), gate, keys.clone(), handler)?;
    let advertised = advertised(config, rpc_port);
    let shards: Arc<Mutex<Vec<Weak<Shard>>>> = Arc::default();
    let (env, kv) = (Arc::clone(&opened.env), Arc::clone(&opened.kv));
    let blocks =
        BlockStore::new(env, kv, &directory.join("blocks")).in_turns(first_turn(opened.node));
    let host = Host::start(HostParts {
        node: opened.node,
        incarnation: opened.incarnation,
        record: NodeRecord {
            name: config.node_name.clone(),
            addresses: vec![advertised.clone()],
            zone: settings.zone.clone(),
            version: CLUSTER_VERSION,
        },
        bootstrap: BootstrapConfig {
            expected_nodes: settings.expected_nodes,
            join_only: settings.join_only || lost_self::may_only_join(directory)?,
            replication_factor: config.replication_factor(),
            shard_count: u32::from(config.shard_count()),
        },
        version: build_info::VERSION.to_owned(),
        ui: ui_url.to_owned(),
        process: Arc::new(process::status),
        figures: {
            let shards = Arc::clone(&shards);
            figures(meter, (&opened.space, config.retention_disk), move || live(&shards))
        },
        clock: Arc::clone(clock),
        log: Arc::clone(&opened.log),
        kv: Arc::clone(&opened.kv),
        disk: (Arc::clone(&opened.env), directory.to_path_buf()),
        space: Arc::clone(&opened.space),
        open_shard: open_shard(&opened, blocks.clone(), &shards),
        forget_shard: Arc::new(move |shard| blocks.forget(shard)),
        transport: Arc::clone(&transport) as _,
        dial: transport,
        door,
        addresses,
        identity: Some(local),
        seeds: resolve(&settings.seeds, settings.rpc_port),
        random: random(),
        blocking: Blocking::Threads,
        pool_threads: threads(),
        retention: config.retention,
        log_kept_bytes: settings.log_kept_bytes,
        fatal: FatalHook::new(|failure| {
            end_node(format!("a replica failed: {failure}"));
        }),
        on_disowned: Arc::new(|disowned| end_node(disowned.to_string())),
    });
    tracing::info!(address = advertised, seeds = ?settings.seeds, "looking for the cluster");
    starting.goes_on(looking_for(settings, &advertised));
    let host = host.await.context("the node cannot take its place in the cluster")?;
    let cluster = host.cluster().context("the node is in a cluster without an id")?;
    tracing::info!(node = %opened.node, cluster = %cluster, "in the cluster");
    starting.goes_on("the node is in its cluster and begins to gossip".to_owned());
    let gossip = Gossip::start(GossipParts {
        core: CoreParts {
            node: opened.node,
            start: opened.incarnation.start,
            address: gossip_address(config, socket.local_addr()?.port()).await?,
            cluster: cluster::transport::ClusterId(cluster.0),
            keys,
            session: files::random_bytes()?,
            seed: opened.incarnation.nonce,
            facts: Facts {
                rpc_address: advertised,
                name: config.node_name.clone(),
                zone: settings.zone.clone(),
                version: build_info::VERSION.to_owned(),
                state: NodeState::Ready,
                load_permille: 0,
                disk_free_bytes: opened.env.free_bytes(directory).unwrap_or(0),
                space: SpaceMark::default(),
            },
        },
        socket,
        clock: Arc::clone(clock),
        seeds: Seeds::new(&settings.seeds, settings.gossip_port, settings.expected_nodes),
    });
    host.set_gossip(gossip.watch());
    let compaction = Arc::new(Compaction::default());
    let parts = UpkeepParts {
        shards: Box::new(move || live(&shards)),
        clock: Arc::clone(clock),
        // Ages are the host's, which knows the clocks of others.
        retention: model::Duration(u64::MAX),
        frozen: Arc::default(),
        // The host purges, with a margin for replicas that lag.
        purge: Box::new(|_, _| {}),
        // What comes here is for lack of room.
        propose_drop: {
            let host = Arc::clone(&host);
            Box::new(move |shard, class, bucket| host.drop_for_room(shard.id(), class, bucket))
        },
        space: Arc::clone(&opened.space),
        disk_cap: config.retention_disk,
        scrub_every: config.scrub_every,
        log_bytes: {
            let log = Arc::clone(&opened.log);
            Box::new(move || log.stats().segment_bytes)
        },
        compaction: Arc::clone(&compaction),
    };
    let upkeep = UpkeepThread::start(parts, give_way)?;
    let mut load = MachineLoad::default();
    let coordinator = Coordinator::start_in_cluster(ClusterCoordinatorParts {
        host: Arc::clone(&host),
        batch_ids: BatchIds::new(files::random_bytes()?),
        load: Box::new(move || load.next()),
    })?;
    Ok((coordinator, Membership { host, gossip, _server: server, upkeep, compaction }))
}

/// What a node that has no place in a cluster yet waits for, in words: it may do so for as long as
/// the others take to come.
fn looking_for(settings: &ClusterSettings, advertised: &str) -> String {
    let seeds = settings.seeds.join(", ");
    let others = match settings.expected_nodes {
        _ if settings.join_only => "nodes of a cluster that it can join".to_owned(),
        nodes => format!("the other nodes of {nodes}"),
    };
    format!("the node looks for {others} at {seeds}, and is to be found at {advertised}")
}

/// Opens what is on the disk, off the runtime.
async fn open_disk_aside(directory: &Path, clock: &Arc<dyn Clock>) -> anyhow::Result<Opened> {
    let (directory, clock) = (directory.to_path_buf(), Arc::clone(clock));
    let opening = tokio::task::spawn_blocking(move || open_disk(&directory, &clock));
    opening.await.context("the recovery panicked")?
}

fn open_disk(directory: &Path, clock: &Arc<dyn Clock>) -> anyhow::Result<Opened> {
    let env = os_env();
    // First of all: what is opened below may need the room that the ballast keeps.
    let space = Arc::new(Space::open(Arc::clone(&env), directory));
    let kv = RocksKv::open(&directory.join("db"), end_process_of_store)
        .with_context(|| format!("{}/db cannot be opened", directory.display()))?;
    let kv: Arc<dyn Kv> = Arc::new(kv);
    storage::kv::read_all(kv.as_ref())
        .with_context(|| format!("{}/db cannot be read", directory.display()))?;
    let log = open_sound_log(&env, &kv, directory, clock)?;
    ensure!(
        NodeMeta::load(kv.as_ref())?.is_some() || log.groups().is_empty(),
        "{} holds a log, but db/ beside it does not know whose it is",
        directory.display()
    );
    let fresh = NodeMeta {
        cluster_id: [0; 16],
        node_id: files::random_bytes()?,
        shard_count: OF_A_CLUSTER,
        format_version: FORMAT_VERSION,
    };
    let meta = NodeMeta::load_or_create(kv.as_ref(), || fresh)?;
    ensure!(
        meta.shard_count == OF_A_CLUSTER,
        "{} belongs to a node that was alone, which cannot become one of several yet; give this \
         node a new directory",
        directory.display()
    );
    let [n0, n1, n2, n3, n4, n5, n6, n7, ..] = files::random_bytes()?;
    let nonce = u64::from_be_bytes([n0, n1, n2, n3, n4, n5, n6, n7]);
    let incarnation = begin_life(kv.as_ref(), nonce)?;
    Ok(Opened { env, kv, log, space, node: NodeId(meta.node_id), incarnation })
}

/// Opens the log; one that is damaged, that has lost its end, or beside which another process spoke
/// as this node, makes room for an empty one if others have what it held.
fn open_sound_log(
    env: &Arc<dyn Env>,
    kv: &Arc<dyn Kv>,
    directory: &Path,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Arc<dyn LogEngine>> {
    if was_disowned(kv)? {
        let other = anyhow::anyhow!("another process ran as this node, from a copy of its data");
        // A node that was told so twice has nothing left to give up.
        if !holds_replicas(kv)? || set_aside_log(env, kv, directory, &other)? {
            forget_disowned(kv)?;
        } else {
            tracing::error!(
                "another process ran as this node, from a copy of its data: what that one was told \
                 and this one was not may be lost, because others do not have it"
            );
        }
    }
    let damage = match open_log(env, directory, clock) {
        Ok(log) => {
            let blocks =
                BlockStore::new(Arc::clone(env), Arc::clone(kv), &directory.join("blocks"));
            if !log_is_short(kv, &blocks, &log)? {
                return Ok(log);
            }
            anyhow::anyhow!("the log has lost its end: blocks know of more")
        }
        Err(error) if is_log_damage(&error) => error,
        Err(error) => return Err(error),
    };
    if set_aside_log(env, kv, directory, &damage)? {
        return open_log(env, directory, clock);
    }
    Err(damage.context(
        "others do not have what this node's replicas held, so it does not start; `skua recover` \
         shows what is left",
    ))
}

/// Gives up what the damaged log was of, if other nodes have it, and puts the log out of the way,
/// where the one before it goes; says whether it did.
fn set_aside_log(
    env: &Arc<dyn Env>,
    kv: &Arc<dyn Kv>,
    directory: &Path,
    error: &anyhow::Error,
) -> anyhow::Result<bool> {
    let blocks = BlockStore::new(Arc::clone(env), Arc::clone(kv), &directory.join("blocks"));
    if !give_up_replicas(kv, &blocks)? {
        return Ok(false);
    }
    let (damaged, aside) = (directory.join("log"), directory.join("log.damaged"));
    env.create_directory(&aside)?;
    for name in env.list(&aside)? {
        env.remove(&aside.join(name))?;
    }
    for name in env.list(&damaged)? {
        env.rename(&damaged.join(&name), &aside.join(&name))?;
    }
    env.sync_directory(&aside)?;
    env.sync_directory(&damaged)?;
    let error = format!("{error:#}");
    tracing::error!(
        error,
        aside = %aside.display(),
        "the log cannot be used: this node's replicas were given up, and others make it new ones"
    );
    Ok(true)
}

/// Opens shards, and remembers them for upkeep.
fn open_shard(
    opened: &Opened,
    blocks: BlockStore,
    shards: &Arc<Mutex<Vec<Weak<Shard>>>>,
) -> OpenShard {
    let cache = Arc::new(DecodedCache::default());
    let (log, shards) = (Arc::clone(&opened.log), Arc::clone(shards));
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

/// The shards that there are now.
fn live(shards: &Mutex<Vec<Weak<Shard>>>) -> Vec<Arc<Shard>> {
    let mut shards = shards.lock().unwrap_or_else(PoisonError::into_inner);
    shards.retain(|shard| shard.strong_count() > 0);
    shards.iter().filter_map(Weak::upgrade).collect()
}

fn keys(config: &NodeConfig) -> anyhow::Result<Option<Arc<KeyRing>>> {
    let Some(path) = &config.cluster.key_file else { return Ok(None) };
    let context = || format!("the cluster's key in {} cannot be used", path.display());
    let content = files::read_at_most(path, KEY_FILE_BYTES_MAX).with_context(context)?;
    Ok(Some(Arc::new(KeyRing::parse(&content).with_context(context)?)))
}

/// Where other nodes are told to find this one.
fn advertised(config: &NodeConfig, rpc_port: u16) -> String {
    match &config.cluster.advertise_address {
        Some(host) if host.contains(':') && host.parse::<std::net::IpAddr>().is_err() => {
            host.clone()
        }
        Some(host) => match host.parse::<std::net::IpAddr>() {
            Ok(address) => SocketAddr::new(address, rpc_port).to_string(),
            Err(_) => format!("{host}:{rpc_port}"),
        },
        None => SocketAddr::new(config.listen_address, rpc_port).to_string(),
    }
}

/// Where people find this node's pages, from where other nodes find it.
pub(crate) fn ui_url(config: &NodeConfig, ui_port: u16) -> String {
    let host = config.cluster.advertise_address.as_deref().map(advertised_host);
    let host = host.map_or_else(|| config.listen_address.to_string(), str::to_owned);
    let authority = match host.parse::<std::net::IpAddr>() {
        Ok(address) => SocketAddr::new(address, ui_port).to_string(),
        Err(_) => format!("{host}:{ui_port}"),
    };
    format!("http://{authority}{}/", config.base_path.trim_end_matches('/'))
}

/// Where other nodes' gossip finds this one's: an address, because packets are not resolved.
async fn gossip_address(config: &NodeConfig, port: u16) -> anyhow::Result<SocketAddr> {
    let Some(host) = &config.cluster.advertise_address else {
        return Ok(SocketAddr::new(config.listen_address, port));
    };
    let host = advertised_host(host);
    let look_up = || async {
        let mut found = tokio::net::lookup_host((host, port))
            .await
            .with_context(|| format!("the advertised address {host} cannot be resolved"))?;
        found.next().with_context(|| format!("the advertised address {host} leads nowhere"))
    };
    resolved_in_time(look_up).await
}

/// How long a node waits for the name that it advertises: an orchestrator makes it known some
/// moments after the start, and caches of names keep it unknown for up to half a minute more.
const OWN_NAME_WAIT_MAX: Duration = Duration::from_mins(1);

/// How often the name is asked for meanwhile.
const OWN_NAME_PAUSE: Duration = Duration::from_millis(500);

/// How often it is said that the node still waits.
const OWN_NAME_PROGRESS: Duration = Duration::from_secs(5);

/// Asks for the node's own name until it is known. The health port answers meanwhile.
async fn resolved_in_time<L>(look_up: impl Fn() -> L) -> anyhow::Result<SocketAddr>
where
    L: Future<Output = anyhow::Result<SocketAddr>>,
{
    let started = tokio::time::Instant::now();
    let mut told = None;
    loop {
        let error = match look_up().await {
            Ok(address) => return Ok(address),
            Err(error) => error,
        };
        // A question to a name server that is silent takes its time, too.
        let waited = started.elapsed();
        if waited >= OWN_NAME_WAIT_MAX {
            return Err(error);
        }
        if told.is_none_or(|told| waited >= told + OWN_NAME_PROGRESS) {
            told = Some(waited);
            let left = OWN_NAME_WAIT_MAX.saturating_sub(waited).as_secs();
            tracing::warn!("{error:#}; waiting for it for up to {left} s more");
        }
        tokio::time::sleep(OWN_NAME_PAUSE).await;
    }
}

/// Resolves seeds anew each time; a name that does not resolve now may do so later.
pub(crate) fn resolve(seeds: &[String], default_port: u16) -> ResolveSeeds {
    let seeds: Arc<Vec<String>> = Arc::new(seeds.to_vec());
    Arc::new(move || {
        let seeds = Arc::clone(&seeds);
        Box::pin(async move {
            let mut found = Vec::new();
            for seed in seeds.iter() {
                let target = with_port(seed, default_port);
                match tokio::net::lookup_host(&target).await {
                    Ok(addresses) => found.extend(addresses.map(|it| (seed.clone(), it))),
                    Err(error) => tracing::debug!(seed, %error, "a seed does not resolve"),
                }
            }
            found
        })
    })
}

/// `host`, `host:port`, an IPv6 address with or without brackets.
fn with_port(seed: &str, default_port: u16) -> String {
    if seed.parse::<SocketAddr>().is_ok() {
        return seed.to_owned();
    }
    if let Ok(address) = seed.parse::<std::net::IpAddr>() {
        return SocketAddr::new(address, default_port).to_string();
    }
    if seed.contains(':') { seed.to_owned() } else { format!("{seed}:{default_port}") }
}

fn random() -> RandomBytes {
    // Ids that are not random would name two things alike: rather no node than such ids.
    Arc::new(|| files::random_bytes().unwrap_or_else(|error| end_node(format!("{error:#}"))))
}

/// Something that a node cannot go on without has failed: nothing on this disk may be trusted to
/// remember what it promised, or nothing new can be named.
#[expect(clippy::exit, reason = "no vote and no acknowledgement may follow")]
fn end_node(failure: String) -> ! {
    output::error(&anyhow::Error::msg(failure).context("the node ends"));
    std::process::exit(1);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn seeds_have_ports() {
        for (seed, expected) in [
            ("skua", "skua:7947"),
            ("skua.example:9000", "skua.example:9000"),
            ("10.0.0.1", "10.0.0.1:7947"),
            ("10.0.0.1:5", "10.0.0.1:5"),
            ("::1", "[::1]:7947"),
            ("[::1]:9", "[::1]:9"),
        ] {
            assert_eq!(with_port(seed, 7947), expected);
        }
    }

    #[test]
    fn what_is_advertised_has_a_port() {
        let mut config = NodeConfig::default();
        assert_eq!(advertised(&config, 7), "127.0.0.1:7");
        for (host, expected) in
            [("skua-0.skua", "skua-0.skua:7"), ("::1", "[::1]:7"), ("skua-0:9", "skua-0:9")]
        {
            config.cluster.advertise_address = Some(host.to_owned());
            assert_eq!(advertised(&config, 7), expected);
        }
    }

    #[test]
    fn a_node_says_for_whom_it_waits_and_where_it_is() {
        let seeds = vec!["a:7947".to_owned(), "b:7947".to_owned()];
        let mut settings = ClusterSettings { seeds, ..NodeConfig::default().cluster };
        settings.expected_nodes = 3;
        let said = looking_for(&settings, "c:7947");
        let expected = "the node looks for the other nodes of 3 at a:7947, b:7947, and is to be \
                        found at c:7947";
        assert_eq!(said, expected);
        settings.join_only = true;
        assert!(looking_for(&settings, "c:7947").contains("a cluster that it can join"));
    }

    #[test]
    fn pages_are_where_the_node_is() {
        let mut config = NodeConfig::default();
        assert_eq!(ui_url(&config, 5), "http://127.0.0.1:5/");
        for (host, expected) in [
            ("skua-0.skua", "http://skua-0.skua:5/"),
            ("skua-0:9", "http://skua-0:5/"),
            ("::1", "http://[::1]:5/"),
            ("[::1]:9", "http://[::1]:5/"),
            ("10.0.0.1:9", "http://10.0.0.1:5/"),
        ] {
            config.cluster.advertise_address = Some(host.to_owned());
            assert_eq!(ui_url(&config, 5), expected);
        }
        config.base_path = "/skua".to_owned();
        assert_eq!(ui_url(&config, 5), "http://10.0.0.1:5/skua/");
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_is_not_known_yet_is_waited_for_and_not_for_ever() {
        let address = SocketAddr::from(([10, 0, 0, 1], 7));
        for (known_at, is_found) in [(1_u32, true), (50, true), (115, true), (130, false)] {
            let asked = AtomicU32::new(0);
            let look_up = || async {
                let times = asked.fetch_add(1, Ordering::Relaxed) + 1;
                if times >= known_at { Ok(address) } else { Err(anyhow::anyhow!("no such name")) }
            };
            let found = resolved_in_time(look_up).await;
            assert_eq!(found.is_ok(), is_found, "known when asked for the {known_at}th time");
            match found {
                Ok(_) => assert_eq!(asked.into_inner(), known_at),
                Err(error) => assert_eq!(error.to_string(), "no such name"),
            }
        }
    }
}
