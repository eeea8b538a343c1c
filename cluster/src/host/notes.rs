//! Notes: bytes that a node keeps for the others, who ask for them when they like. What they mean
//! is not known here. A node that was started anew has none.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use bytes::Bytes;
use futures_util::future::join_all;
use model::NodeId;

use super::handle::{Host, Shared};
use super::limits::{NOTE_BYTES_MAX, NOTE_DEADLINE};
use crate::transport::Method;

impl Host {
    /// Keeps a note for the others, in the place of the one before; one that is too large for a
    /// frame is not kept, and false.
    pub fn say(&self, note: Bytes) -> bool {
        let fits = note.len() <= NOTE_BYTES_MAX;
        if fits {
            *self.shared.note.lock().unwrap_or_else(PoisonError::into_inner) = note;
        }
        fits
    }

    /// Asks every other node that belongs to the cluster for its note; nothing of one that does
    /// not answer.
    pub async fn notes(&self) -> BTreeMap<NodeId, Option<Bytes>> {
        let (shared, state) = (&self.shared, self.shared.state());
        let others = state.present().map(|(node, _)| node).filter(|node| *node != shared.node);
        let asked = others.map(|node| async move {
            let call = shared.transport.call(node, Method::Note, Bytes::new(), NOTE_DEADLINE);
            (node, call.await.ok())
        });
        join_all(asked).await.into_iter().collect()
    }
}

impl Shared {
    pub(super) fn note(&self) -> Bytes {
        self.note.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
