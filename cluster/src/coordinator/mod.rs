//! The coordinator of a node: [`model::TraceStore`] and [`model::ClusterAdmin`] over its shards.
//!
//! Any node can coordinate any request; nothing here is special to one. `write.rs` holds the
//! open batches, `read.rs` fans a question out to every shard and merges the answers, `search.rs`
//! tells how far a search has come, and `shards.rs` is the seam to wherever the shards are: on this
//! node alone, or in a cluster.

mod across;
mod archive;
mod batch_ids;
mod figures;
mod in_flight;
mod linger;
mod merge;
mod read;
mod read_pools;
mod reroute;
mod search;
mod serve;
mod shards;
mod status;
mod store;
mod write;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use model::{Clock, NodeId};
use storage::env::Env;
use storage::log::LogEngine;

pub use batch_ids::BatchIds;
pub(crate) use read_pools::ReadPools;
pub(crate) use serve::{explain, serve, serve_in, serve_whole};
pub(crate) use shards::{
    Answered, Digests, Fence, Held, Question, RoutedBatch, Routes, ShardAnswer, Shards,
};
pub use write::WriteSink;

use crate::config::ClusterConfig;
use crate::host::Host;
use crate::local::{LocalGroup, LocalShards, LocalShardsParts};
use crate::pool::Pool;
use crate::task::Task;
use crate::upkeep::Frozen;
use across::AcrossCache;
use write::Writer;

/// Tells the share of the machine's processor time (0 to 1) used since it was last asked.
pub type LoadProbe = Box<dyn FnMut() -> f32 + Send>;

/// How often the load of the machine is looked at.
const LOAD_PERIOD: std::time::Duration = std::time::Duration::from_millis(100);

/// Everything a coordinator is made of.
pub struct CoordinatorParts {
    /// Settings.
    pub config: ClusterConfig,
    /// The node's id.
    pub node_id: NodeId,
    /// The node's label.
    pub node_name: String,
    /// The version of this program.
    pub version: String,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Names for batches.
    pub batch_ids: BatchIds,
    /// The recovered shards, in the order of their ids.
    pub groups: Vec<Arc<LocalGroup>>,
    /// The log they share.
    pub log: Arc<dyn LogEngine>,
    /// For how long nothing goes for its age; upkeep writes it.
    pub frozen: Arc<Frozen>,
    /// The file system and the data directory, to tell free space.
    pub disk: (Arc<dyn Env>, PathBuf),
    /// How busy the machine is.
    pub load: LoadProbe,
}

impl fmt::Debug for CoordinatorParts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CoordinatorParts")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// A node's coordinator. Cloning shares it.
#[derive(Clone)]
pub struct Coordinator {
    core: Arc<Core>,
}

struct Core {
    writer: Arc<Writer>,
    shards: Arc<dyn Shards>,
    log: Arc<dyn LogEngine>,
    disk: (Arc<dyn Env>, PathBuf),
    node_id: NodeId,
    clock: Arc<dyn Clock>,
    across: AcrossCache,
    /// Puts together what several shards told: work that grows with a trace.
    unions: Pool,
    draining: AtomicBool,
    /// Ends with the coordinator.
    _load: Task,
}

/// What a coordinator in a cluster is made of besides its host.
pub struct ClusterCoordinatorParts {
    /// The node's part of the cluster, started.
    pub host: Arc<Host>,
    /// Names for batches.
    pub batch_ids: BatchIds,
    /// How busy the machine is.
    pub load: LoadProbe,
}

impl fmt::Debug for ClusterCoordinatorParts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClusterCoordinatorParts").finish_non_exhaustive()
    }
}

/// What both kinds of coordinators need.
struct CoreParts {
    shards: Arc<dyn Shards>,
    pool_threads: usize,
    node_id: NodeId,
    clock: Arc<dyn Clock>,
    batch_ids: BatchIds,
    log: Arc<dyn LogEngine>,
    disk: (Arc<dyn Env>, PathBuf),
    load: LoadProbe,
}

impl fmt::Debug for Coordinator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Coordinator").field("node_id", &self.core.node_id).finish()
    }
}

impl Coordinator {
    /// Starts the coordinator of a node that is alone. Call it within a runtime.
    pub fn start(parts: CoordinatorParts) -> std::io::Result<Self> {
        let read_pools = ReadPools::new(parts.config.pool_threads)?;
        let shards = LocalShards::new(LocalShardsParts {
            routes: Routes::first(parts.config.shard_count),
            groups: parts.groups,
            read_pools,
            log: Arc::clone(&parts.log),
            frozen: parts.frozen,
            disk: parts.disk.clone(),
            node_id: parts.node_id,
            node_name: parts.node_name,
            version: parts.version,
        });
        Self::over(CoreParts {
            shards: Arc::new(shards),
            pool_threads: parts.config.pool_threads,
            node_id: parts.node_id,
            clock: parts.clock,
            batch_ids: parts.batch_ids,
            log: parts.log,
            disk: parts.disk,
            load: parts.load,
        })
    }

    /// Starts the coordinator of a node of a cluster. Call it within a runtime, when the host has
    /// started: it knows the shards from then on.
    pub fn start_in_cluster(parts: ClusterCoordinatorParts) -> std::io::Result<Self> {
        let ClusterCoordinatorParts { host, batch_ids, load } = parts;
        Self::over(CoreParts {
            pool_threads: host.pool_threads(),
            node_id: host.node(),
            clock: Arc::clone(host.clock()),
            batch_ids,
            log: Arc::clone(host.log()),
            disk: host.disk().clone(),
            load,
            shards: host,
        })
    }

    fn over(parts: CoreParts) -> std::io::Result<Self> {
        let encode_pool = Arc::new(Pool::new("encode", parts.pool_threads)?);
        let unions = Pool::new("union", parts.pool_threads)?;
        let writer =
            Arc::new(Writer::new(&parts.shards, &encode_pool, &parts.clock, parts.batch_ids));
        let load = Task::spawn("load", watch_load(Arc::clone(&writer), parts.load));
        Ok(Self {
            core: Arc::new(Core {
                writer,
                shards: parts.shards,
                log: parts.log,
                disk: parts.disk,
                node_id: parts.node_id,
                clock: parts.clock,
                across: AcrossCache::default(),
                unions,
                draining: AtomicBool::new(false),
                _load: load,
            }),
        })
    }

    /// The node that coordinates.
    pub fn node_id(&self) -> NodeId {
        self.core.node_id
    }

    /// Stops being ready and sends all open batches on their way; waits until the log has them,
    /// and in a cluster until others lead the shards that this node led.
    pub async fn drain(&self) {
        self.core.draining.store(true, std::sync::atomic::Ordering::Relaxed);
        self.core.writer.flush_all();
        self.core.writer.landed().await;
        self.core.shards.drain().await;
    }
}

async fn watch_load(writer: Arc<Writer>, mut load: LoadProbe) {
    let mut period = tokio::time::interval(LOAD_PERIOD);
    loop {
        period.tick().await;
        let share = load();
        metrics::gauge!("skua_machine_load_ratio").set(f64::from(share));
        writer.set_load(share);
    }
}
