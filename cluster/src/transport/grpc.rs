//! The transport over the network: calls and streams to peers over three connections each.
//!
//! Invariants:
//! - a peer is reached at what the directory says now; an answer counts only if the node that was
//!   meant gave it, in a life that the gate admits;
//! - a call ends by its deadline, whatever the network does;
//! - [`CallError::Unreachable`] means that no byte of the request left this node.
//!
//! What is absent on purpose: retries. Only who asks knows what may be asked twice.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use model::{Duration, NodeId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::connection::{Connection, call_error};
use super::frames::FrameSink;
use super::lane::LaneState;
use super::limits::{CLIENT_TASKS_MAX, DIALS_MAX, OPEN_DEADLINE, PEERS_MAX};
use super::tasks::{TaskOwner, TaskSet};
use super::wire::{self, WRONG_TARGET, outcome_label, refused_word};
use super::{
    CallError, Dial, Directory, FRAME_BYTES_MAX, FrameStream, KeyRing, Lane, LocalIdentity, Method,
    Peer, PeerGate, Reply, STREAM_FRAMES_MAX, Transport,
};

/// What a transport and a server of one node share.
#[derive(Debug, Clone)]
pub struct TransportParts {
    /// This node.
    pub local: Arc<LocalIdentity>,
    /// Where peers are.
    pub directory: Arc<dyn Directory>,
    /// Which of them are admitted.
    pub gate: Arc<dyn PeerGate>,
    /// The cluster's keys. Without them connections are neither secret nor proven, which is for
    /// loopback alone; whoever starts the node sees to that.
    pub keys: Option<Arc<KeyRing>>,
}

/// Reaches peers over gRPC. Connections, and the streams on them, end when this is dropped.
pub struct GrpcTransport {
    shared: Arc<Shared>,
    _owner: TaskOwner,
}

#[derive(Debug)]
struct Shared {
    parts: TransportParts,
    tasks: TaskSet,
    peers: Mutex<BTreeMap<NodeId, [Arc<LaneState>; 3]>>,
    dials: Arc<Semaphore>,
}

impl fmt::Debug for GrpcTransport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("GrpcTransport").field(&self.shared.parts.local.peer).finish()
    }
}

impl GrpcTransport {
    /// A transport whose connections live on the runtime that this is called on, whichever runtime
    /// its callers use. `None` outside of a runtime.
    pub fn new(parts: TransportParts) -> Option<Self> {
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        let tasks = TaskSet::on(runtime, CLIENT_TASKS_MAX);
        let shared = Shared {
            parts,
            tasks: tasks.clone(),
            peers: Mutex::new(BTreeMap::new()),
            dials: Arc::new(Semaphore::new(DIALS_MAX)),
        };
        Some(Self { shared: Arc::new(shared), _owner: TaskOwner(tasks) })
    }
}

fn unreachable(reason: impl Into<String>) -> CallError {
    CallError::Unreachable { reason: reason.into() }
}

fn lost(reason: impl Into<String>) -> CallError {
    CallError::Lost { reason: reason.into() }
}

fn oversized(bytes: usize) -> Option<CallError> {
    let reason = || format!("{bytes} bytes are more than a frame holds");
    (bytes > FRAME_BYTES_MAX).then(|| CallError::Refused { reason: reason() })
}

/// A deadline that the clock can hold.
fn instant_after(duration: Duration) -> Instant {
    let longest = super::limits::CALL_DEADLINE_MAX;
    tokio::time::Instant::now() + std::time::Duration::from_nanos(duration.0).min(longest)
}

/// What a call holds from before it is sent until it is answered.
struct Seat {
    connection: Connection,
    attempt: u64,
    lane: Arc<LaneState>,
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Shared {
    fn lane(&self, to: NodeId, lane: Lane) -> Option<Arc<LaneState>> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if !peers.contains_key(&to) && peers.len() >= PEERS_MAX {
            // Peers that were removed from the cluster; open connections end with their calls.
            peers.retain(|node, _| self.parts.directory.address(*node).is_some());
            if peers.len() >= PEERS_MAX {
                return None;
            }
        }
        let lanes = peers.entry(to).or_insert_with(|| {
            Lane::ALL.map(|lane| {
                Arc::new(LaneState::new(lane, self.parts.keys.clone(), self.tasks.clone()))
            })
        });
        let [control, log, bulk] = lanes;
        Some(Arc::clone(match lane {
            Lane::Control => control,
            Lane::Log => log,
            Lane::Bulk => bulk,
        }))
    }

    /// Everything before the first byte is sent: whatever fails here, nobody handled the call.
    async fn seat(
        &self,
        to: NodeId,
        method: Method,
        request_bytes: Option<usize>,
    ) -> Result<Seat, CallError> {
        let address = self.parts.directory.address(to);
        let address = address.ok_or_else(|| unreachable("no address is known"))?;
        let lane = self.lane(to, method.lane());
        let lane = lane.ok_or_else(|| unreachable("too many peers"))?;
        let mut permits = Vec::with_capacity(2);
        let seats = match (request_bytes, method) {
            (Some(_), Method::Raft) => &lane.raft_calls,
            (Some(_), _) => &lane.calls,
            (None, _) => &lane.streams,
        };
        // Semaphores of a lane are never closed.
        permits.extend(Arc::clone(seats).acquire_owned().await.ok());
        if let Some(bytes) = request_bytes.and_then(|bytes| u32::try_from(bytes).ok()) {
            permits.extend(Arc::clone(&lane.request_bytes).acquire_many_owned(bytes).await.ok());
        }
        let connected = lane.connection(&address).await;
        let (connection, attempt) = connected.map_err(unreachable)?;
        Ok(Seat { connection, attempt, lane, _permits: permits })
    }

    /// Accepts an answer only from the node that was meant, in a life that is still admitted.
    fn check_answerer(&self, to: NodeId, peer: Option<Peer>) -> Result<(), CallError> {
        let Some(peer) = peer else { return Err(lost("the answer does not say who gave it")) };
        if peer.node != to {
            return Err(lost("another node answered"));
        }
        self.parts.gate.admit(peer).map_err(|refused| lost(refused.reason))?;
        self.parts.local.note_answer(to);
        Ok(())
    }

    /// What a failed call means; a connection that leads to another node is given up, and a node
    /// that does not take this one for itself any more is noted.
    fn failure(&self, to: NodeId, seat: &Seat, status: &Status) -> CallError {
        if let Some((by, known)) = wire::refused_life(status).filter(|(by, _)| *by == to) {
            self.parts.local.note_refusal(by, known);
        }
        if refused_word(status) == Some(WRONG_TARGET) {
            seat.lane.forget(seat.attempt, "another node is at the address");
        }
        call_error(status)
    }

    async fn call(&self, to: NodeId, method: Method, request: Bytes, deadline: Duration) -> Reply {
        if let Some(error) = oversized(request.len()) {
            return Err(error);
        }
        let until = instant_after(deadline);
        let seat = timeout_at(until, self.seat(to, method, Some(request.len()))).await;
        let seat =
            seat.unwrap_or_else(|_| Err(unreachable("no connection before the deadline")))?;
        count_bytes("skua_rpc_sent_bytes_total", method, request.len());
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        let mut request = Request::new(request);
        let local = &self.parts.local;
        wire::put_call(request.metadata_mut(), local, method, Some(to), Some(left));
        match timeout_at(until, seat.connection.clone().call(request)).await {
            Ok(Ok(response)) => {
                self.check_answerer(to, wire::peer(response.metadata()))?;
                let answer = response.into_inner();
                count_bytes("skua_rpc_received_bytes_total", method, answer.len());
                Ok(answer)
            }
            Ok(Err(status)) => Err(self.failure(to, &seat, &status)),
            Err(_) => Err(lost("no answer before the deadline")),
        }
    }

    async fn open(
        &self,
        to: NodeId,
        method: Method,
        first: Bytes,
    ) -> Result<FrameStream, CallError> {
        if let Some(error) = oversized(first.len()) {
            return Err(error);
        }
        let until = tokio::time::Instant::now() + OPEN_DEADLINE;
        let seat = timeout_at(until, self.seat(to, method, None)).await;
        let seat =
            seat.unwrap_or_else(|_| Err(unreachable("no connection before the deadline")))?;
        count_bytes("skua_rpc_sent_bytes_total", method, first.len());
        let (send, frames) = mpsc::channel(STREAM_FRAMES_MAX);
        let ended = CancellationToken::new();
        let frames = ReceiverStream::new(frames)
            .inspect(move |frame: &Bytes| {
                count_bytes("skua_rpc_sent_bytes_total", method, frame.len());
            })
            // The request ends when nobody reads the answer any more, or neither side would.
            .take_until(ended.clone().cancelled_owned());
        let frames = futures_util::stream::once(std::future::ready(first)).chain(frames);
        let mut request = Request::new(frames);
        wire::put_call(request.metadata_mut(), &self.parts.local, method, Some(to), None);
        let guard = ended.drop_guard();
        let opened = timeout_at(until, seat.connection.clone().stream(request)).await;
        let response: Response<Streaming<Bytes>> = match opened {
            Ok(Ok(response)) => response,
            Ok(Err(status)) => return Err(self.failure(to, &seat, &status)),
            Err(_) => return Err(lost("the stream was not accepted before the deadline")),
        };
        self.check_answerer(to, wire::peer(response.metadata()))?;
        let (sink, receive) = FrameSink::new();
        let is_started = self.tasks.spawn("rpc stream", async move {
            receive_frames(response.into_inner(), sink, method).await;
            drop((guard, seat));
        });
        if is_started { Ok(FrameStream { send, receive }) } else { Err(lost("too many streams")) }
    }

    async fn call_address(
        &self,
        address: &str,
        method: Method,
        request: Bytes,
        deadline: Duration,
    ) -> (Reply, Option<Peer>) {
        if !method.is_open() {
            let reason = "this method is for a node, not an address".to_owned();
            return (Err(CallError::Refused { reason }), None);
        }
        if let Some(error) = oversized(request.len()) {
            return (Err(error), None);
        }
        let until = instant_after(deadline);
        let dial = async {
            // The semaphore is never closed.
            let permit = self.dials.acquire().await.ok();
            let opened = Connection::open(address, self.parts.keys.as_deref()).await;
            opened.map(|opened| (opened, permit))
        };
        let ((connection, driver), _permit) = match timeout_at(until, dial).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return (Err(unreachable(error.to_string())), None),
            Err(_) => return (Err(unreachable("no connection before the deadline")), None),
        };
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        let mut request = Request::new(request);
        wire::put_call(request.metadata_mut(), &self.parts.local, method, None, Some(left));
        let answered = async {
            tokio::select! {
                biased;
                answered = connection.call(request) => answered,
                // The call learns of the end too, and better.
                () = driver.then(|_| std::future::pending()) => {
                    Err(Status::unavailable("the connection broke"))
                }
            }
        };
        match timeout_at(until, answered).await {
            Ok(Ok(response)) => match wire::peer(response.metadata()) {
                Some(peer) => (Ok(response.into_inner()), Some(peer)),
                None => (Err(lost("the answer does not say who gave it")), None),
            },
            Ok(Err(status)) => (Err(call_error(&status)), wire::peer(status.metadata())),
            Err(_) => (Err(lost("no answer before the deadline")), None),
        }
    }
}

/// Hands frames of the other side over until the stream ends or nobody reads.
async fn receive_frames(mut frames: Streaming<Bytes>, sink: FrameSink, method: Method) {
    loop {
        let frame = tokio::select! {
            biased;
            () = sink.closed() => return sink.finish(),
            frame = frames.message() => frame,
        };
        match frame {
            Ok(Some(frame)) => {
                count_bytes("skua_rpc_received_bytes_total", method, frame.len());
                if !sink.send(frame).await {
                    return sink.finish();
                }
            }
            Ok(None) => return sink.finish(),
            Err(status) => return sink.fail(lost(status.message())),
        }
    }
}

fn count_bytes(name: &'static str, method: Method, bytes: usize) {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    metrics::counter!(name, "lane" => method.lane().label()).increment(bytes);
}

fn count_call<T>(method: Method, started: Instant, result: &Result<T, CallError>) {
    let labels = [("method", method.label()), ("outcome", outcome_label(result))];
    metrics::counter!("skua_rpc_calls_total", &labels).increment(1);
    metrics::histogram!("skua_rpc_call_seconds", "method" => method.label())
        .record(started.elapsed().as_secs_f64());
}

impl Transport for GrpcTransport {
    fn call(
        &self,
        to: NodeId,
        method: Method,
        request: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, Reply> {
        let shared = Arc::clone(&self.shared);
        async move {
            let started = tokio::time::Instant::now();
            let reply = shared.call(to, method, request, deadline).await;
            count_call(method, started, &reply);
            reply
        }
        .boxed()
    }

    fn open(
        &self,
        to: NodeId,
        method: Method,
        first: Bytes,
    ) -> BoxFuture<'static, Result<FrameStream, CallError>> {
        let shared = Arc::clone(&self.shared);
        async move {
            let opened = shared.open(to, method, first).await;
            let labels = [("method", method.label()), ("outcome", outcome_label(&opened))];
            metrics::counter!("skua_rpc_streams_total", &labels).increment(1);
            opened
        }
        .boxed()
    }
}

impl Dial for GrpcTransport {
    fn call_address(
        &self,
        address: &str,
        method: Method,
        request: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, (Reply, Option<Peer>)> {
        let (shared, address) = (Arc::clone(&self.shared), address.to_owned());
        async move {
            let started = tokio::time::Instant::now();
            let (reply, peer) = shared.call_address(&address, method, request, deadline).await;
            count_call(method, started, &reply);
            (reply, peer)
        }
        .boxed()
    }
}
