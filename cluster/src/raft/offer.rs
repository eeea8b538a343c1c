//! The leader's side of a snapshot: it offers, the receiver fetches.
//!
//! An offer carries the whole manifest. The receiver answers every few seconds how far it is; each
//! answer is another offer's reason, and as long as offers are made the files stay pinned. A lost
//! connection costs a repetition of the offer, not of the transfer.

use std::sync::Arc;
use std::time::Duration as StdDuration;

use openraft::raft::SnapshotResponse;

use super::limits::{OFFER_ANSWER_WITHIN, SNAPSHOT_STALLED_AFTER};
use super::machine::{MachineError, MachineSnapshot};
use super::messages::{Answer, Offer, Offered, Request};
use super::network::{Link, RpcError, network_error, unexpected, unreachable};
use super::types::{Consensus, SnapshotMeta, Vote};
use crate::transport::Method;

/// Offers the machine's snapshot until it is installed, or rejected, or nothing moves any more. If
/// it is of another position by now, consensus asks for the position anew.
pub(crate) async fn offer(
    link: &Link,
    vote: Vote,
    meta: SnapshotMeta,
) -> Result<SnapshotResponse<Consensus>, RpcError> {
    let machine = Arc::clone(&link.machine);
    let made = link.blocking.run(move || machine.snapshot()).await.map_err(unreachable)?;
    // The pin is held until the end: the receiver fetches what it holds.
    let MachineSnapshot { index, manifest, pin: _pin } = made.map_err(|error| {
        // One that is damaged has none, and is replaced.
        if !matches!(error, MachineError::NotYet) {
            link.storage_failed(&error);
        }
        unreachable(error)
    })?;
    if meta.last_log_id.is_none_or(|id| id.index != index.0) {
        return Err(network_error("the snapshot is of a later entry by now"));
    }
    let request = Request::Offer(Offer { vote, meta, manifest });
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
