//! [`model::ClusterAdmin`]: what can be seen of the node, and its metrics.

use std::sync::atomic::Ordering;

use model::admin::{ChangeError, ClusterChange, ClusterStatus, Readiness, ReplicaState};
use model::{ClusterAdmin, ShardId};

use super::Coordinator;
use crate::error::Error;

impl ClusterAdmin for Coordinator {
    async fn status(&self) -> ClusterStatus {
        self.core.shards.status(self.is_draining()).await
    }

    async fn status_with_digests(&self, of: Option<ShardId>) -> ClusterStatus {
        let digests = self.core.shards.digests(of).await;
        let mut status = self.status().await;
        for shard in &mut status.shards {
            for replica in &mut shard.replicas {
                let Some(held) = digests.get(&(shard.id, replica.node)) else { continue };
                replica.digest = Some(held.digest);
                // Replicas are compared at one entry; each may have gone on since.
                if let ReplicaState::Present { applied, .. } = &mut replica.state {
                    *applied = held.mark;
                }
            }
        }
        status
    }

    async fn change(&self, change: ClusterChange) -> Result<(), ChangeError> {
        self.core.shards.change(change).await.map_err(|error| match error {
            Error::Refused { reason } => ChangeError::Refused { reason },
            other => ChangeError::Unavailable { reason: other.to_string() },
        })
    }

    fn readiness(&self) -> Readiness {
        if self.is_draining() {
            Readiness::NotReady("the node is draining".into())
        } else {
            self.core.shards.readiness()
        }
    }
}

impl Coordinator {
    fn is_draining(&self) -> bool {
        self.core.draining.load(Ordering::Relaxed)
    }

    /// Brings the gauges of log and shards up to date; called before metrics are shown.
    pub fn publish_metrics(&self) {
        let log = self.core.log.stats();
        metrics::counter!("skua_log_syncs_total").absolute(log.syncs);
        metrics::counter!("skua_log_written_bytes_total").absolute(log.written_bytes);
        metrics::counter!("skua_log_entries_total").absolute(log.entries);
        metrics::gauge!("skua_log_queue_bytes").set(log.queued_bytes as f64);
        metrics::gauge!("skua_log_sync_seconds_last").set(log.sync_last_nanoseconds as f64 / 1e9);
        metrics::gauge!("skua_log_sync_seconds_max").set(log.sync_max_nanoseconds as f64 / 1e9);
        let (env, directory) = &self.core.disk;
        if let Ok(free_bytes) = env.free_bytes(directory) {
            metrics::gauge!("skua_disk_free_bytes").set(free_bytes as f64);
        }
        for shard in self.core.shards.local_shards() {
            let stats = shard.stats();
            let shard = shard.id().to_string();
            let gauge = |name: &'static str, value: u64| {
                metrics::gauge!(name, "shard" => shard.clone()).set(value as f64);
            };
            gauge("skua_shard_spans", stats.spans);
            gauge("skua_shard_batches", stats.batches);
            gauge("skua_shard_traces", stats.traces);
            gauge("skua_shard_bytes", stats.bytes);
            gauge("skua_shard_resident_bytes", stats.resident_bytes);
            gauge("skua_shard_repeated_spans", stats.spans_repeated);
        }
    }
}
