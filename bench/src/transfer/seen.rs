//! Which traces were moved already: a trace is found again in every window that it reaches into,
//! and under every service that takes part in it.

use std::collections::{HashSet, VecDeque};

/// Most ids that are remembered: some 100 MB. The oldest are forgotten first; a trace that comes
/// again after that is moved again, which an importing store does not notice.
const IDS_MAX: usize = 2_000_000;

/// The latest ids.
#[derive(Debug, Default)]
pub(super) struct Seen {
    ids: HashSet<[u8; 16]>,
    order: VecDeque<[u8; 16]>,
}

impl Seen {
    /// Whether a trace was moved.
    pub(super) fn contains(&self, id: &[u8; 16]) -> bool {
        self.ids.contains(id)
    }

    /// Notes that it was.
    pub(super) fn add(&mut self, id: [u8; 16]) {
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
        if self.order.len() > IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}
