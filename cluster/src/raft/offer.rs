//! The leader's side of a snapshot: it offers, the receiver fetches.
//!
//! An offer carries the whole manifest. The receiver answers every few seconds how far it is; each
//! answer is another offer's reason, and as long as offers are made the files stay pinned. A lost
//! connection costs a repetition of the offer, not of the transfer.

use std::time::Duration as StdDuration;

use openraft::raft::SnapshotResponse;

use super::limits::{OFFER_ANSWER_WITHIN, SNAPSHOT_STALLED_AFTER};
use super::messages::{Answer, Offer, Offered, Request};
use super::network::{Link, RpcError, network_error, unexpected, unreachable};
use super::state_machine::Snapshot;
use super::types::{Consensus, Vote};
use crate::transport::Method;

/// Offers a snapshot until it is installed, or rejected, or nothing moves any more.
pub(crate) async fn offer(
    link: &Link,
    vote: Vote,
    snapshot: Snapshot,
) -> Result<SnapshotResponse<Consensus>, RpcError> {
    // Held until the end: the receiver fetches what it holds.
    let Some(_pin) = snapshot.snapshot.pin else {
        return Err(unreachable("there is no snapshot to offer yet"));
    };
    let manifest = snapshot.snapshot.manifest;
    if manifest.is_empty() {
        return Err(unreachable("the snapshot cannot be handed on yet"));
    }
    let request = Request::Offer(Offer { vote, meta: snapshot.meta, manifest });
    let mut bytes_seen = 0;
    let mut moved = tokio::time::Instant::now();
    loop {
        let answer = link.ask(Method::RaftSnapshot, &request, OFFER_ANSWER_WITHIN).await?;
        let Answer::Offered(offered) = answer else { return Err(unexpected()) };
        match offered {
            Offered::Done { vote } => return Ok(SnapshotResponse { vote }),
            Offered::Working { bytes_fetched } if bytes_fetched > bytes_seen => {
                bytes_seen = bytes_fetched;
                moved = tokio::time::Instant::now();
            }
            Offered::Working { .. } => {}
        }
        if moved.elapsed() > StdDuration::from_nanos(SNAPSHOT_STALLED_AFTER.0) {
            return Err(network_error("the receiver of the snapshot does not get on"));
        }
    }
}
