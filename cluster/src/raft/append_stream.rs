//! The leader's end of a stream of entries to one follower.
//!
//! Requests go out without waiting for answers, as many as the window holds; answers come back in
//! order. One future drives both ways, so dropping the stream leaves nothing behind. openraft sets
//! no deadline to a stream; the oldest unanswered request has ours, and a stream on which nothing
//! is unanswered may be silent for as long as it likes.
//!
//! openraft tells that entries are committed in a request of its own, right when they are: at each
//! follower, while their writers still wait for their answers. Nobody needs to know as fast, but
//! who reads there. So such a request waits a little for entries that tell it too ([`fuller`]). To
//! leave it out is safe: an answer tells how far the follower's log agrees, not which request it
//! answers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration as StdDuration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use openraft::base::BoxStream;
use openraft::raft::AppendEntriesRequest;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::limits::{
    self, APPEND_ANSWER_WITHIN, APPEND_REQUESTS_MAX, APPEND_WINDOW_BYTES, OPEN_WITHIN,
};
use super::messages::{Answer, Request};
use super::network::{AppendResult, Link, RpcError, call_error, network_error, unexpected};
use super::types::{Consensus, LogPosition};
use super::vouch::Noted;
use crate::transport::{Method, Reply};

/// The window's bytes are counted in units of this many.
const UNIT_BYTES: usize = 1 << 10;
const UNITS_MAX: u32 = 2 << 10;
const _: () = assert!(UNITS_MAX as usize * UNIT_BYTES == APPEND_WINDOW_BYTES);

const ANSWER_WITHIN: StdDuration = StdDuration::from_nanos(APPEND_ANSWER_WITHIN.0);
const COMMIT_TOLD_WITHIN: StdDuration = StdDuration::from_nanos(limits::COMMIT_TOLD_WITHIN.0);

/// Opens the stream with its first request and returns the answers. Sends further requests while
/// the answers are polled.
pub(crate) async fn append_stream<S>(
    link: Link,
    input: S,
) -> Result<BoxStream<'static, AppendResult>, RpcError>
where
    S: Stream<Item = AppendEntriesRequest<Consensus>> + Send + Unpin + 'static,
{
    let mut input = input.fuse();
    let Some(first) = input.next().await else {
        return Ok(futures_util::stream::empty().boxed());
    };
    let first = link.encode(&Request::Append(first))?;
    let window = Arc::new(Window::default());
    window.take(first.len()).await;
    let opened = link.transport.open(link.node, Method::RaftAppend, first);
    let opened = tokio::time::timeout(StdDuration::from_nanos(OPEN_WITHIN.0), opened).await;
    let stream = opened
        .map_err(|_| network_error("the stream was not opened in time"))?
        .map_err(|error| call_error(&error))?;
    let pump = pump(link.clone(), input, stream.send, Arc::clone(&window)).boxed();
    let ends = Ends { link, window, pump: Some(pump), receive: stream.receive };
    Ok(futures_util::stream::unfold(Some(ends), Ends::next).boxed())
}

/// Sends what openraft wants to send. An error ends the stream, and is its last item.
async fn pump<S>(
    link: Link,
    mut input: S,
    send: mpsc::Sender<Bytes>,
    window: Arc<Window>,
) -> Result<(), RpcError>
where
    S: Stream<Item = AppendEntriesRequest<Consensus>> + Send + Unpin + 'static,
{
    while let Some(request) = input.next().await {
        let request = fuller(request, &mut input, &link.noted).await;
        let frame = link.encode(&Request::Append(request))?;
        window.take(frame.len()).await;
        if send.send(frame).await.is_err() {
            return Err(network_error("the stream broke"));
        }
    }
    Ok(())
}

/// The request that follows one without entries, if it comes soon and nobody reads; else that one.
async fn fuller<S>(
    mut request: AppendEntriesRequest<Consensus>,
    input: &mut S,
    noted: &Noted,
) -> AppendEntriesRequest<Consensus>
where
    S: Stream<Item = AppendEntriesRequest<Consensus>> + Unpin,
{
    if !request.entries.is_empty() {
        return request;
    }
    let mut readers = noted.readers();
    let until = tokio::time::Instant::now() + COMMIT_TOLD_WITHIN;
    while request.entries.is_empty() {
        let next = tokio::select! {
            biased;
            () = readers.come() => None,
            next = input.next() => next,
            () = tokio::time::sleep_until(until) => None,
        };
        match next {
            Some(next) => request = next,
            None => break,
        }
    }
    request
}

/// Both ends of the stream, as the leader holds them.
struct Ends {
    link: Link,
    window: Arc<Window>,
    /// None when everything was sent.
    pump: Option<BoxFuture<'static, Result<(), RpcError>>>,
    receive: mpsc::Receiver<Reply>,
}

/// What happens next on a stream.
enum Event {
    Received(Option<Reply>),
    Pumped(Result<(), RpcError>),
    Tick,
}

impl Ends {
    async fn next(ends: Option<Self>) -> Option<(AppendResult, Option<Self>)> {
        let mut ends = ends?;
        loop {
            let event = tokio::select! {
                biased;
                reply = ends.receive.recv() => Event::Received(reply),
                result = poll_pump(&mut ends.pump) => Event::Pumped(result),
                () = tokio::time::sleep(ANSWER_WITHIN) => Event::Tick,
            };
            match event {
                Event::Received(Some(reply)) => {
                    let result = ends.answer(reply);
                    // openraft reads no further behind a refusal.
                    let goes_on = matches!(result, Ok(Ok(_)));
                    return Some((result, goes_on.then_some(ends)));
                }
                Event::Received(None) if ends.pump.is_none() && ends.window.is_empty() => {
                    return None;
                }
                Event::Received(None) => {
                    return Some((Err(network_error("the stream ended early")), None));
                }
                Event::Pumped(Ok(())) => ends.pump = None,
                Event::Pumped(Err(error)) => return Some((Err(error), None)),
                Event::Tick if ends.window.oldest_age() >= ANSWER_WITHIN => {
                    return Some((Err(network_error("no answer in time")), None));
                }
                Event::Tick => {}
            }
        }
    }

    fn answer(&self, reply: Reply) -> AppendResult {
        let answer = self.link.answer(reply.map_err(|error| call_error(&error))?)?;
        self.window.give_back();
        match answer {
            Answer::Appended(result) => {
                if let Ok(Some(matching)) = &result {
                    let (last, route) = (LogPosition::from_log_id(matching), self.link.route);
                    self.link.witness.saw_entry(route.group, route.to, last);
                }
                Ok(result)
            }
            _ => Err(unexpected()),
        }
    }
}

async fn poll_pump(
    pump: &mut Option<BoxFuture<'static, Result<(), RpcError>>>,
) -> Result<(), RpcError> {
    match pump {
        Some(pump) => pump.await,
        None => std::future::pending().await,
    }
}

/// What was sent and not answered.
#[derive(Debug)]
struct Window {
    requests: Semaphore,
    units: Semaphore,
    sent: Mutex<VecDeque<Sent>>,
}

#[derive(Debug)]
struct Sent {
    at: Instant,
    units: u32,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            requests: Semaphore::new(APPEND_REQUESTS_MAX),
            units: Semaphore::new(UNITS_MAX as usize),
            sent: Mutex::default(),
        }
    }
}

impl Window {
    /// Waits until a frame fits; one that is larger than the window goes alone.
    async fn take(&self, bytes: usize) {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(UNITS_MAX).min(UNITS_MAX);
        // Neither semaphore is ever closed.
        if let Ok(permit) = self.requests.acquire().await {
            permit.forget();
        }
        if let Ok(permit) = self.units.acquire_many(units).await {
            permit.forget();
        }
        self.sent().push_back(Sent { at: tokio::time::Instant::now(), units });
    }

    fn give_back(&self) {
        if let Some(sent) = self.sent().pop_front() {
            self.requests.add_permits(1);
            self.units.add_permits(sent.units as usize);
        }
    }

    fn is_empty(&self) -> bool {
        self.sent().is_empty()
    }

    fn oldest_age(&self) -> StdDuration {
        self.sent().front().map_or(StdDuration::ZERO, |sent| sent.at.elapsed())
    }

    fn sent(&self) -> MutexGuard<'_, VecDeque<Sent>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use openraft::EntryPayload;
    use openraft::vote::{RaftLeaderId as _, RaftVote as _};
    use tokio_stream::wrappers::ReceiverStream;

    use super::*;
    use crate::raft::types::{Command, Entry, LeaderId, LogId, Vote};

    type Append = AppendEntriesRequest<Consensus>;

    fn id(index: u64) -> LogId {
        LogId::new(LeaderId::new(3, 1), index)
    }

    /// What tells that all up to an index is committed, with the entries of these indexes.
    fn tells(committed: u64, entries: &[u64]) -> Append {
        let entry = |index: &u64| {
            let payload = EntryPayload::Normal(Command::new(Bytes::from_static(b"e")));
            Entry { log_id: id(*index), payload }
        };
        AppendEntriesRequest {
            vote: Vote::from_leader_id(LeaderId::new(3, 1), true),
            prev_log_id: Some(id(committed)),
            entries: entries.iter().map(entry).collect(),
            leader_commit: Some(id(committed)),
        }
    }

    fn told(request: &Append) -> (u64, usize) {
        (request.leader_commit.map_or(0, |id| id.index), request.entries.len())
    }

    #[tokio::test(start_paused = true)]
    async fn entries_that_follow_soon_tell_what_is_committed() {
        let noted = Noted::default();
        let (send, input) = mpsc::channel(8);
        let mut input = ReceiverStream::new(input).fuse();
        let begun = tokio::time::Instant::now();
        send.try_send(tells(8, &[])).unwrap();
        send.try_send(tells(8, &[9, 10])).unwrap();
        send.try_send(tells(10, &[])).unwrap();
        assert_eq!(told(&fuller(tells(7, &[]), &mut input, &noted).await), (8, 2));
        assert_eq!(told(&fuller(tells(9, &[10]), &mut input, &noted).await), (9, 1), "as it is");
        assert_eq!(begun.elapsed(), Duration::ZERO, "nothing was waited for");
        assert_eq!(told(&fuller(tells(10, &[]), &mut input, &noted).await), (10, 0));
        assert_eq!(begun.elapsed(), COMMIT_TOLD_WITHIN, "nothing followed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_hears_at_once_what_is_committed() {
        let noted = Noted::default();
        let (_send, input) = mpsc::channel(8);
        let mut input = ReceiverStream::new(input).fuse();
        let begun = tokio::time::Instant::now();
        let comes = async {
            tokio::time::sleep(Duration::from_millis(3)).await;
            noted.reader();
        };
        let (request, ()) = tokio::join!(fuller(tells(7, &[]), &mut input, &noted), comes);
        assert_eq!((told(&request), begun.elapsed().as_millis()), ((7, 0), 3));
        tokio::time::sleep(Duration::from_millis(400)).await;
        fuller(tells(8, &[]), &mut input, &noted).await;
        assert_eq!(begun.elapsed().as_millis(), 403, "the next may come soon");
        tokio::time::sleep(Duration::from_millis(100)).await;
        fuller(tells(9, &[]), &mut input, &noted).await;
        assert_eq!(begun.elapsed().as_millis(), 553, "nobody reads any more");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_held_is_sent_when_nothing_follows() {
        let noted = Noted::default();
        let mut input = futures_util::stream::empty().fuse();
        assert_eq!(told(&fuller(tells(7, &[]), &mut input, &noted).await), (7, 0));
        assert!(input.next().await.is_none());
    }
}
