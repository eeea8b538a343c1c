//! Sampling strategies that every node serves: bytes that the meta group holds. What they mean is
//! not known here.
//!
//! A node that finds new content where it was told to look offers it. Whose content was accepted
//! last is in force, on all nodes, until another one's is: the order is that of the meta group's
//! log.
//!
//! Invariant: a node offers what it found once, however often it is started. So nodes that were
//! given different content do not take turns, and a start changes nothing by itself.

use model::admin::SamplingStatus;
use storage::log::LogIndex;

use super::handle::{Host, Shared, std};
use super::limits::{META_DEADLINE, SAMPLING_OFFERS_MAX};
use crate::error::Error;
use crate::meta::limits::SAMPLING_BYTES_MAX;
use crate::meta::{MetaCommand, MetaState};

/// What came of content that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SamplingOffer {
    /// All nodes are going to serve it.
    Accepted,
    /// They do already.
    InForce,
    /// This node offered it before, and another node's came later.
    Overtaken,
}

impl Host {
    /// Offers content to all nodes. What this node has offered before is passed over, unless it is
    /// to be offered `again`.
    pub async fn offer_sampling(
        &self,
        content: &[u8],
        again: bool,
    ) -> Result<SamplingOffer, Error> {
        let shared = &self.shared;
        if content.is_empty() || content.len() > SAMPLING_BYTES_MAX {
            let reason = format!("sampling strategies have 1 to {SAMPLING_BYTES_MAX} bytes");
            return Err(Error::Refused { reason });
        }
        let digest = SamplingStatus::of(content, 0).digest;
        let was_offered = shared.last_offer().await? == Some(digest);
        let mut refused = None;
        for _ in 0..SAMPLING_OFFERS_MAX {
            let known = shared.state().sampling().clone();
            let offer = if known.content == content {
                SamplingOffer::InForce
            } else if was_offered && !again {
                return Ok(SamplingOffer::Overtaken);
            } else {
                let expected = known.revision;
                let command = MetaCommand::SetSampling { expected, content: content.to_vec() };
                match shared.propose_meta(&command, META_DEADLINE).await {
                    Ok(_) => SamplingOffer::Accepted,
                    // Somebody was quicker, perhaps this node itself, whose answer was lost.
                    Err(error @ Error::Refused { .. }) => {
                        refused = Some(error);
                        shared.sampling_after(expected).await;
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            };
            shared.note_offer(digest).await?;
            return Ok(offer);
        }
        Err(refused.unwrap_or(Error::Busy { what: "the way to the meta group" }))
    }
}

impl Shared {
    /// Waits until the strategies known here are others than those of a revision, within reason.
    async fn sampling_after(&self, revision: LogIndex) {
        let mut map = self.map.subscribe();
        let later = async {
            while map.borrow_and_update().sampling().revision == revision {
                if map.changed().await.is_err() {
                    return;
                }
            }
        };
        // Whoever waited in vain is refused once more, and says so.
        let _ = tokio::time::timeout(std(META_DEADLINE), later).await;
    }

    /// The digest of what this node offered last.
    async fn last_offer(&self) -> Result<Option<u128>, Error> {
        let durable = self.durable.clone();
        let read = self.blocking.run(move || durable.sampling_offer()).await;
        read.map_err(|error| lost(&error))?.map_err(|error| lost(&error))
    }

    async fn note_offer(&self, digest: u128) -> Result<(), Error> {
        if self.last_offer().await? == Some(digest) {
            return Ok(());
        }
        let durable = self.durable.clone();
        let written = self.blocking.run(move || durable.set_sampling_offer(digest)).await;
        written.map_err(|error| lost(&error))?.map_err(|error| lost(&error))
    }
}

/// Which strategies the cluster holds, if any were set.
pub(super) fn sampling_status(state: &MetaState) -> Option<SamplingStatus> {
    let sampling = state.sampling();
    let is_set = !sampling.content.is_empty();
    is_set.then(|| SamplingStatus::of(&sampling.content, sampling.revision.0))
}

fn lost(error: &dyn ToString) -> Error {
    Error::Unknown { reason: error.to_string() }
}
