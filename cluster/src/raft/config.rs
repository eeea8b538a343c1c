//! How openraft is set up: everything that matters is said, whatever its defaults are.

use std::sync::Arc;

use openraft::{Config, ConfigError, SnapshotPolicy};
use storage::mutant::{self, Mutant};

use super::limits::APPEND_ENTRIES_MAX;
use crate::limits::HEARTBEAT;

/// The bounds between which a follower waits before it campaigns. A leader's loss costs about the
/// upper bound plus a number between the two, so these decide how long a shard is without one:
/// 0.93 s in the middle. Shorter than this, a stalled disk would look like a dead leader.
pub(crate) const ELECTION_MILLIS: (u64, u64) = (350, 500);

/// How long a leader without a quorum goes on before it pauses to let others be elected. Without
/// it, one that can send and not receive would keep everybody else from campaigning for ever.
const QUORUM_LOSS_PROBE_MILLIS: u64 = 1_000;

/// How long a snapshot may take before its sender starts over; what was fetched by then stays.
const SNAPSHOT_MILLIS: u64 = 600_000;

/// Requests that wait for the core. They are bounded in bytes before they get here.
const API_QUEUE: u64 = 4_096;

/// Commands that wait for the state machine; entries are read when their turn comes.
const MACHINE_QUEUE: u64 = 256;

/// Entries by which `add_learner` may lag for openraft to call it caught up: never used to decide,
/// because it counts entries and not bytes.
const LAG_ENTRIES: u64 = 100_000;

/// Entries that one purge covers at least.
const PURGE_BATCH: u64 = 256;

/// The configuration of every group.
pub(crate) fn config() -> Result<Arc<Config>, ConfigError> {
    let config = Config {
        cluster_name: "skua".to_owned(),
        heartbeat_interval: HEARTBEAT.0 / 1_000_000,
        // Every follower hears every heartbeat: leaving some out saves little, and the margin to
        // the election timeout is small.
        heartbeat_min_interval: Some(0),
        election_timeout_min: ELECTION_MILLIS.0,
        election_timeout_max: ELECTION_MILLIS.1,
        // A node that was cut off must not depose a leader when it returns.
        enable_pre_vote: Some(true),
        // A leader that restarts is elected anew: its lease and its state are not what they were.
        enable_leader_restore: Some(mutant::is(Mutant::LeaderRestored)),
        // A log that lost its end where nothing of it was in blocks looks like one that never went
        // further. Its replica is filled again; else the leader would ask for ever what it cannot
        // have.
        allow_log_reversion: Some(true),
        quorum_loss_probe_interval: Some(QUORUM_LOSS_PROBE_MILLIS),
        install_snapshot_timeout: SNAPSHOT_MILLIS,
        max_payload_entries: APPEND_ENTRIES_MAX,
        max_append_entries: Some(APPEND_ENTRIES_MAX),
        api_channel_size: Some(API_QUEUE),
        state_machine_channel_size: Some(MACHINE_QUEUE),
        replication_lag_threshold: LAG_ENTRIES,
        // Snapshots are the machine's cuts and purging is by bytes; both are triggered by us.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        purge_batch_size: PURGE_BATCH,
        ..Config::default()
    };
    config.validate().map(Arc::new)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_configuration_is_valid() {
        super::config().unwrap();
    }
}
