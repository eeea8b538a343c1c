//! The coordinator of a node: [`model::TraceStore`] and [`model::ClusterAdmin`] over its shards.
//!
//! Any node can coordinate any request; nothing here is special to one. `write.rs` holds the
//! open batches, `read.rs` fans a question out to every shard and merges the answers.

mod batch_ids;
mod linger;
mod merge;
mod pool;
mod read;
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
pub use write::WriteSink;

use crate::config::ClusterConfig;
use crate::limits::BUSY_SHARE;
use crate::local::LocalGroup;
use crate::placement::Ring;
use crate::task::Task;
use pool::Pool;
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
    pub groups: Vec<LocalGroup>,
    /// The log they share.
    pub log: Arc<dyn LogEngine>,
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
    groups: Vec<Arc<LocalGroup>>,
    /// Reads have threads of their own, so that writes and reads do not queue for each other.
    read_pool: Pool,
    log: Arc<dyn LogEngine>,
    disk: (Arc<dyn Env>, PathBuf),
    node_id: NodeId,
    node_name: String,
    version: String,
    draining: AtomicBool,
    /// The flushers and the load watch; they end with the coordinator.
    _tasks: Vec<Task>,
}

impl fmt::Debug for Coordinator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Coordinator").field("node_id", &self.core.node_id).finish()
    }
}

impl Coordinator {
    /// Starts a coordinator. Call it within a runtime.
    pub fn start(parts: CoordinatorParts) -> std::io::Result<Self> {
        let groups: Vec<Arc<LocalGroup>> = parts.groups.into_iter().map(Arc::new).collect();
        let encode_pool = Arc::new(Pool::new("encode", parts.config.pool_threads)?);
        let read_pool = Pool::new("read", parts.config.pool_threads)?;
        let ring = Ring::new(parts.config.shard_count);
        let writer =
            Arc::new(Writer::new(ring, &groups, &encode_pool, &parts.clock, parts.batch_ids));
        let mut tasks: Vec<Task> = writer
            .shards()
            .iter()
            .map(|shard| Task::spawn("flusher", Arc::clone(shard).run_flusher()))
            .collect();
        tasks.push(Task::spawn("load", watch_load(Arc::clone(&writer), parts.load)));
        Ok(Self {
            core: Arc::new(Core {
                writer,
                groups,
                read_pool,
                log: parts.log,
                disk: parts.disk,
                node_id: parts.node_id,
                node_name: parts.node_name,
                version: parts.version,
                draining: AtomicBool::new(false),
                _tasks: tasks,
            }),
        })
    }

    /// Stops being ready and sends all open batches on their way; waits until the log has them.
    pub async fn drain(&self) {
        self.core.draining.store(true, std::sync::atomic::Ordering::Relaxed);
        for shard in self.core.writer.shards() {
            shard.flush_all();
        }
        self.core.writer.landed().await;
        let log = Arc::clone(&self.core.log);
        let synced = self.core.read_pool.run(move || log.barrier()).await;
        if !matches!(synced, Ok(Ok(()))) {
            tracing::warn!("the log could not be synced before the stop");
        }
    }
}

async fn watch_load(writer: Arc<Writer>, mut load: LoadProbe) {
    let mut period = tokio::time::interval(LOAD_PERIOD);
    loop {
        period.tick().await;
        let share = load();
        metrics::gauge!("skua_machine_load_ratio").set(f64::from(share));
        writer.set_busy(share > BUSY_SHARE);
    }
}
