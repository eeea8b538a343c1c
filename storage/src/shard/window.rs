//! What a shard remembers to recognise what comes twice: batch ids and digests of requests.
//!
//! Both windows are part of the replicated state: they depend on the applied entries alone, so
//! that all replicas drop and mark the same.

use model::batch::Index;
use model::store::RequestDigest;
use model::{BatchId, Timestamp};
use std::hash::Hasher;

use super::hash::FixedHasher;
use super::limits::{BATCH_IDS_MAX, DIGEST_WINDOW, DIGESTS_MAX};
use super::recent::{Keyed, Recent};
use crate::log::LogIndex;

/// The ids of the last batches, with the index of the entry that brought each.
#[derive(Debug, Default)]
pub(super) struct BatchIdWindow(Recent<(LogIndex, BatchId)>);

impl Keyed for (LogIndex, BatchId) {
    type Key = BatchId;

    fn key(&self) -> &BatchId {
        &self.1
    }
}

impl BatchIdWindow {
    /// An empty one with room for so many ids.
    pub(super) fn with_room(count: usize) -> Self {
        Self(Recent::with_room(count.min(BATCH_IDS_MAX)))
    }

    /// Whether the id is among the last ones.
    pub(super) fn contains(&self, id: BatchId) -> bool {
        self.0.contains(&id)
    }

    /// Remembers the id that came with the entry at `index`; false if it was known.
    pub(super) fn insert(&mut self, index: LogIndex, id: BatchId) -> bool {
        self.0.insert((index, id), BATCH_IDS_MAX)
    }

    /// What came after an entry, in order.
    pub(super) fn after(&self, index: Option<LogIndex>) -> Vec<(LogIndex, BatchId)> {
        let order = self.0.things();
        let first = order.partition_point(|(own, _)| Some(*own) <= index);
        order.range(first..).copied().collect()
    }
}

/// What a request brought to this shard in one batch.
///
/// The digest alone would not do. The same bytes may come from two tenants; and the same request
/// may bring other rows the second time (after a change of the ring, or cut into batches another
/// way), which must not be taken for a repetition of rows that never came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RequestPart {
    /// The tenant, by a hash that a purge changes.
    pub(super) tenant: u64,
    pub(super) digest: RequestDigest,
    /// A sum of hashes over the ids of the rows.
    pub(super) rows: u64,
}

/// The requests of the last minutes, with the index and the stamp of the entry that brought each.
#[derive(Debug, Default)]
pub(super) struct DigestWindow(Recent<(LogIndex, Timestamp, RequestPart)>);

impl Keyed for (LogIndex, Timestamp, RequestPart) {
    type Key = RequestPart;

    fn key(&self) -> &RequestPart {
        &self.2
    }
}

impl DigestWindow {
    /// An empty one with room for so many parts of requests.
    pub(super) fn with_room(count: usize) -> Self {
        Self(Recent::with_room(count.min(DIGESTS_MAX)))
    }

    /// Forgets what is older than the window, seen from `now` in log time.
    pub(super) fn forget_before(&mut self, now: Timestamp) {
        let oldest_kept = now.saturating_sub(DIGEST_WINDOW);
        self.0.forget_while(|(_, stamp, _)| *stamp < oldest_kept);
    }

    /// Remembers a part of a request that came with the entry at `index`; false if it was known.
    pub(super) fn insert(&mut self, index: LogIndex, now: Timestamp, part: RequestPart) -> bool {
        self.0.insert((index, now, part), DIGESTS_MAX)
    }

    /// What came after an entry, in order.
    pub(super) fn after(&self, index: Option<LogIndex>) -> Vec<(LogIndex, Timestamp, RequestPart)> {
        let order = self.0.things();
        let first = order.partition_point(|(own, ..)| Some(*own) <= index);
        order.range(first..).copied().collect()
    }
}

/// The parts that the requests of a batch brought, in the batch's order of requests.
pub(super) fn request_parts(tenant: u64, index: &Index) -> Vec<RequestPart> {
    let part = |digest: &RequestDigest| RequestPart { tenant, digest: *digest, rows: 0 };
    let mut parts: Vec<RequestPart> = index.requests.iter().map(part).collect();
    for trace in &index.traces {
        for row in trace.rows() {
            let request = index.row_requests.get(row).and_then(|at| parts.get_mut(*at as usize));
            if let (Some(part), Some(span_id)) = (request, index.span_ids.get(row)) {
                let mut hasher = FixedHasher::default();
                hasher.write(trace.id.as_bytes());
                hasher.write(span_id.as_bytes());
                // Different spans may share ids; times tell nearly all of them apart.
                for time in [index.starts.get(row), index.ends.get(row)].into_iter().flatten() {
                    hasher.write(&time.0.to_le_bytes());
                }
                // A sum, because rows of a batch are sorted by more than what came in.
                part.rows = part.rows.wrapping_add(hasher.finish());
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: LogIndex = LogIndex(1);

    #[test]
    fn old_batch_ids_are_forgotten() {
        let mut window = BatchIdWindow::default();
        let id = |number: usize| BatchId((number as u128).to_be_bytes());
        for number in 0..=BATCH_IDS_MAX {
            assert!(window.insert(AT, id(number)));
        }
        assert!(!window.insert(AT, id(1)), "within the window");
        assert!(window.insert(AT, id(0)), "the oldest went");
        assert_eq!(window.0.things().len(), BATCH_IDS_MAX);
    }

    #[test]
    fn digests_are_forgotten_by_time_and_count() {
        let mut window = DigestWindow::default();
        let part = |number: u64| RequestPart {
            tenant: 1,
            digest: RequestDigest(u128::from(number).to_be_bytes()),
            rows: number,
        };
        assert!(window.insert(AT, Timestamp(5), part(1)));
        assert!(!window.insert(AT, Timestamp(6), part(1)));
        window.forget_before(Timestamp(5).saturating_add(DIGEST_WINDOW));
        assert!(!window.insert(AT, Timestamp(6), part(1)), "exactly the window old");
        window.forget_before(Timestamp(6).saturating_add(DIGEST_WINDOW));
        assert!(window.insert(AT, Timestamp(7), part(1)));
        for number in 2..=DIGESTS_MAX as u64 {
            assert!(window.insert(AT, Timestamp(7), part(number)));
        }
        assert!(!window.insert(AT, Timestamp(7), part(1)));
        assert!(window.insert(AT, Timestamp(7), part(0)));
        assert!(window.insert(AT, Timestamp(7), part(1)), "pushed out by the count");
        assert_eq!(window.0.things().len(), DIGESTS_MAX);
    }
}
