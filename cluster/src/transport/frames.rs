//! One direction of a stream between whoever carries it and whoever reads it.
//!
//! Invariant: a reader learns how a stream ended. It sees the end only if the other side ended it
//! properly; whatever else happens to the carrier, a last word comes first.

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::OwnedPermit;

use super::{CallError, Reply, STREAM_FRAMES_MAX};

/// The carrier's end. Dropped without [`FrameSink::finish`], it says that the stream broke.
#[derive(Debug)]
pub(crate) struct FrameSink {
    sender: mpsc::Sender<Reply>,
    last_word: Option<OwnedPermit<Reply>>,
}

impl FrameSink {
    /// Both ends. One place beyond the frames is kept for the last word, so that it never waits.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Reply>) {
        let (sender, receiver) = mpsc::channel(STREAM_FRAMES_MAX + 1);
        let last_word = sender.clone().try_reserve_owned().ok();
        (Self { sender, last_word }, receiver)
    }

    /// Hands one frame over, as soon as there is room. False if nobody reads any more.
    pub(crate) async fn send(&self, frame: Bytes) -> bool {
        self.sender.send(Ok(frame)).await.is_ok()
    }

    /// Waits until nobody reads any more.
    pub(crate) async fn closed(&self) {
        self.sender.closed().await;
    }

    /// The other side has said all it had to say.
    pub(crate) fn finish(mut self) {
        self.last_word = None;
    }

    /// The stream ended in another way.
    pub(crate) fn fail(mut self, error: CallError) {
        if let Some(permit) = self.last_word.take() {
            permit.send(Err(error));
        }
    }
}

impl Drop for FrameSink {
    fn drop(&mut self) {
        if let Some(permit) = self.last_word.take() {
            permit.send(Err(CallError::Lost { reason: "the stream broke".to_owned() }));
        }
    }
}
