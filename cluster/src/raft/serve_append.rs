//! The follower's end of a stream of entries.
//!
//! Every frame is an append request of the same sender to the same replica; each is answered, in
//! order, when its entries are on this disk. The stream ends at the first one that is refused.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use openraft::raft::{AppendEntriesRequest, StreamAppendError};
use storage::mutant::{self, Mutant};
use tokio::sync::{Semaphore, mpsc};

use super::limits::APPEND_REQUESTS_MAX;
use super::messages::{Answer, Request, Route, decode_request, encode_answer};
use super::router::{GroupRouter, check_sender, refused};
use super::types::Consensus;
use crate::transport::{CallError, FrameStream, Reply};

/// Serves one stream until it ends.
pub(crate) async fn serve_append(router: Arc<GroupRouter>, first: Bytes, stream: FrameStream) {
    let FrameStream { send, receive } = stream;
    let (route, first) = match open(first) {
        Ok(opened) => opened,
        // Not even a way back is known.
        Err(error) => return tracing::debug!(%error, "a stream begins with something else"),
    };
    let endpoint = match router.endpoint(route) {
        Ok(endpoint) => endpoint,
        Err(error) => return refuse(&send, route, error.to_string()).await,
    };
    let room = Arc::new(Semaphore::new(APPEND_REQUESTS_MAX));
    let source = Source { router, route, first: Some(first), receive, room: Arc::clone(&room) };
    let requests = futures_util::stream::unfold(source, Source::next);
    let mut results = std::pin::pin!(endpoint.raft.stream_append(requests));
    while let Some(result) = results.next().await {
        let answer = match result {
            Ok(Err(StreamAppendError::Conflict(at)))
                if mutant::is(Mutant::ConflictAcknowledged) =>
            {
                Answer::Appended(Ok(Some(at)))
            }
            Ok(result) => Answer::Appended(result),
            Err(fatal) => return refuse(&send, route, fatal.to_string()).await,
        };
        let Ok(frame) = encode_answer(route.back(), &answer) else { return };
        if send.send(frame).await.is_err() {
            return;
        }
        room.add_permits(1);
    }
}

/// The requests of a stream, no more at a time than may be unanswered.
struct Source {
    router: Arc<GroupRouter>,
    route: Route,
    first: Option<AppendEntriesRequest<Consensus>>,
    receive: mpsc::Receiver<Reply>,
    room: Arc<Semaphore>,
}

impl Source {
    async fn next(mut self) -> Option<(AppendEntriesRequest<Consensus>, Self)> {
        // Never closed. Given back when the request is answered.
        self.room.acquire().await.ok()?.forget();
        let request = match self.first.take() {
            Some(first) => first,
            None => self.receive().await?,
        };
        // The leader begins a new stream after a while.
        self.router.takes(self.route.group, &request).then_some((request, self))
    }

    async fn receive(&mut self) -> Option<AppendEntriesRequest<Consensus>> {
        let frame = self.receive.recv().await?.ok()?;
        match open(frame) {
            Ok((route, request)) if route == self.route => Some(request),
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(group = %self.route.group, %error, "a stream of entries breaks off");
                None
            }
        }
    }
}

fn open(frame: Bytes) -> Result<(Route, AppendEntriesRequest<Consensus>), CallError> {
    let (route, request) = decode_request(frame).map_err(|error| refused(&error))?;
    check_sender(route, &request)?;
    match request {
        Request::Append(append) => Ok((route, append)),
        _ => Err(refused("a stream carries appends only")),
    }
}

async fn refuse(send: &mpsc::Sender<Bytes>, route: Route, reason: String) {
    if let Ok(frame) = encode_answer(route.back(), &Answer::Refused { reason }) {
        // Whoever asked may have left.
        let _ = send.send(frame).await;
    }
}
