//! Bounds of remote sampling, each with its reason.

use model::Duration;

/// Largest strategies file: some 12,000 operations, as much as a cluster's own state holds and as
/// a `ConfigMap` of Kubernetes.
pub const STRATEGIES_BYTES_MAX: usize = 1 << 20;
/// Most warnings kept about one file: enough to find what is wrong with it.
pub const WARNINGS_MAX: usize = 100;
/// Most operations whose throughput is counted between two calculations; further ones wait for
/// the next. Names come from clients, so their number has to end somewhere.
pub const THROUGHPUT_OPERATIONS_MAX: usize = 20_000;
/// Most different probabilities noted for one operation: clients pick up a new one within a
/// minute, so there are two or three.
pub const THROUGHPUT_PROBABILITIES_MAX: usize = 32;
/// Longest service or operation name that is counted.
pub const NAME_BYTES_MAX: usize = 1_024;
/// Largest note that a node keeps for the others, below what one frame between nodes carries.
/// Operations beyond it are counted by their node and not told; some 50,000 fit.
pub const NOTE_BYTES_MAX: usize = 4 << 20;
/// Windows for which the counts of a node that does not answer count on: long enough for a
/// restart, not so long that the probabilities of clients that have moved stay too low.
pub const WINDOWS_KEPT: u64 = 2;
/// How long after the end of a window the others are asked what they counted in it: by then also
/// those have ended it whose clocks are seconds behind.
pub const GATHER_DELAY: Duration = Duration::from_secs(10);
