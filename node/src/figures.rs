//! What a node tells people of what it does and what it keeps.

use std::sync::Arc;

use api::Meter;
use cluster::host::TellFigures;
use cluster::upkeep::DiskCap;
use model::Timestamp;
use model::admin::NodeFigures;
use storage::shard::CLASS_ORDINARY;
use storage::shard::limits::BUCKET_NANOSECONDS;
use storage::{Shard, Space};

/// Of these shards, on a disk of which data may take so much.
pub(crate) fn figures(
    meter: &Arc<Meter>,
    (space, cap): (&Arc<Space>, DiskCap),
    shards: impl Fn() -> Vec<Arc<Shard>> + Send + Sync + 'static,
) -> TellFigures {
    let (meter, space) = (Arc::clone(meter), Arc::clone(space));
    Arc::new(move || NodeFigures {
        spans_taken: meter.spans_taken(),
        queries: meter.queries_answered(),
        query_p99: meter.query_p99(),
        oldest: oldest(&shards()),
        data_bytes_max: cap.bytes(space.total_bytes()),
    })
}

/// When the oldest hour of spans began that is not an archive.
fn oldest(shards: &[Arc<Shard>]) -> Option<Timestamp> {
    let buckets = shards.iter().filter_map(|shard| shard.oldest_bucket(CLASS_ORDINARY));
    buckets.min().map(|bucket| Timestamp(bucket.saturating_mul(BUCKET_NANOSECONDS)))
}
