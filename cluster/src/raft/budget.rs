//! How many bytes of proposals a node holds that nobody has answered yet.
//!
//! openraft bounds its queues by entries; ours are up to 4 MiB each. So bytes are counted before
//! they get there, over all groups of the node, until the proposal is answered and nothing of it
//! waits to be appended.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::{PROPOSAL_BYTES_MAX, PROPOSAL_UNIT_BYTES};

/// Room for proposals, shared by the replicas of a node. Clones share it.
#[derive(Clone, Debug)]
pub struct ProposalBudget {
    units: Arc<Semaphore>,
}

impl Default for ProposalBudget {
    fn default() -> Self {
        Self { units: Arc::new(Semaphore::new(PROPOSAL_BYTES_MAX / PROPOSAL_UNIT_BYTES)) }
    }
}

impl ProposalBudget {
    /// Room for a proposal, if there is any now.
    pub(crate) fn take(&self, bytes: usize) -> Option<Arc<OwnedSemaphorePermit>> {
        let units = u32::try_from(bytes.div_ceil(PROPOSAL_UNIT_BYTES).max(1)).ok()?;
        Arc::clone(&self.units).try_acquire_many_owned(units).ok().map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_comes_back_with_the_last_holder() {
        let budget = ProposalBudget::default();
        let all = budget.take(PROPOSAL_BYTES_MAX).unwrap();
        let copy = Arc::clone(&all);
        drop(all);
        assert!(budget.take(0).is_none());
        drop(copy);
        assert!(budget.take(1).is_some());
        assert!(budget.take(PROPOSAL_BYTES_MAX + 1).is_none());
    }
}
