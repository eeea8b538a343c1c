//! A network in memory, with every fault that a network has, for tests and the simulation.
//!
//! Invariants:
//! - deterministic: chance comes from the seed alone, time from tokio's clock (pause it), and on a
//!   runtime of one thread the same seed gives the same order of events;
//! - faults are of a directed pair of nodes and act on what is under way too: a cut ends waiting
//!   calls and open streams at once, a hold keeps messages back until it is lifted;
//! - a request that was sent is delivered even if its caller no longer waits, and is handled to
//!   its end unless the node goes: that is the harder case for whoever is called.
//!
//! What is absent on purpose: the encoding on the wire, and the refusal of old incarnations.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt};
use model::{Duration, NodeId};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use twox_hash::XxHash3_64;

use super::frames::FrameSink;
use super::tasks::TaskSet;
use super::{
    CallError, Dial, FRAME_BYTES_MAX, FrameStream, Handler, Incarnation, Method, Peer, Reply,
    STREAM_FRAMES_MAX, Transport,
};
use crate::watch;

/// Messages and streams of one node under way at a time; a test that needs more is lost anyway.
const TASKS_MAX: usize = 65_536;

/// What happens to messages from one node to another.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Link {
    /// Nothing goes through: calls are unreachable, what is under way is lost, streams break.
    pub cut: bool,
    /// Messages wait until this is lifted.
    pub hold: bool,
    /// The chance, 0 to 1, that a request or an answer disappears (its call then waits for its
    /// deadline), or that a stream breaks at a frame.
    pub drop: f64,
    /// The chance, 0 to 1, that a request is delivered twice; one answer is thrown away.
    pub duplicate: f64,
    /// The shortest and longest time that a message takes. Calls overtake each other, frames of a
    /// stream do not.
    pub delay: (Duration, Duration),
}

/// The network. Clones are the same network.
#[derive(Debug, Clone)]
pub struct MemoryNetwork {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    random: StdRng,
    usual: Link,
    links: BTreeMap<(NodeId, NodeId), Link>,
    nodes: BTreeMap<NodeId, Attachment>,
    names: BTreeMap<String, NodeId>,
    origin: Option<tokio::time::Instant>,
    history: u64,
    messages: u64,
}

/// One life of a node on the network.
#[derive(Debug, Clone)]
struct Attachment {
    peer: Peer,
    handler: Arc<dyn Handler>,
    tasks: TaskSet,
    gone: CancellationToken,
}

impl MemoryNetwork {
    /// A network without faults, whose chances follow `seed`.
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: StdRng::seed_from_u64(seed),
            usual: Link::default(),
            links: BTreeMap::new(),
            nodes: BTreeMap::new(),
            names: BTreeMap::new(),
            origin: None,
            history: seed,
            messages: 0,
        };
        let changed = watch::Sender::new(0);
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed }) }
    }

    /// Connects a node in a new life; a former life of it is detached.
    pub fn attach(
        &self,
        node: NodeId,
        incarnation: Incarnation,
        handler: Arc<dyn Handler>,
    ) -> Arc<dyn Transport> {
        self.detach(node);
        let attachment = Attachment {
            peer: Peer { node, incarnation },
            handler,
            tasks: TaskSet::new(TASKS_MAX),
            gone: CancellationToken::new(),
        };
        self.shared.lock().nodes.insert(node, attachment.clone());
        Arc::new(MemoryTransport { shared: Arc::clone(&self.shared), own: attachment })
    }

    /// The means of a node that is attached to call an address.
    pub fn dialer(&self, node: NodeId) -> Option<Arc<dyn Dial>> {
        let own = self.shared.lock().nodes.get(&node)?.clone();
        Some(Arc::new(MemoryTransport { shared: Arc::clone(&self.shared), own }))
    }

    /// Takes a node off the network: its calls and streams, both ways, end, and so does whatever
    /// its handler was doing.
    pub fn detach(&self, node: NodeId) {
        let attachment = self.shared.lock().nodes.remove(&node);
        if let Some(attachment) = attachment {
            attachment.gone.cancel();
            attachment.tasks.close();
        }
    }

    /// Lets `address` lead to `node` for [`Dial`]. The text of a node id always leads to it.
    pub fn name(&self, address: &str, node: NodeId) {
        self.shared.lock().names.insert(address.to_owned(), node);
    }

    /// Whom an address leads to.
    pub fn named(&self, address: &str) -> Option<NodeId> {
        self.shared.lock().names.get(address).copied()
    }

    /// What happens to messages from one node to another now.
    pub fn link(&self, from: NodeId, to: NodeId) -> Link {
        self.shared.lock().link(from, to)
    }

    /// Changes what happens to messages from one node to another.
    pub fn set_link(&self, from: NodeId, to: NodeId, link: Link) {
        self.shared.change(|state| {
            state.links.insert((from, to), link);
        });
    }

    /// Changes what happens between all pairs that were not set singly since the last
    /// [`MemoryNetwork::heal`].
    pub fn set_usual(&self, link: Link) {
        self.shared.change(|state| state.usual = link);
    }

    /// Cuts every link between the two groups, both ways.
    pub fn partition(&self, left: &[NodeId], right: &[NodeId]) {
        self.shared.change(|state| {
            for (one, other) in left.iter().flat_map(|one| right.iter().map(move |it| (one, it))) {
                for pair in [(*one, *other), (*other, *one)] {
                    let link = Link { cut: true, ..state.link(pair.0, pair.1) };
                    state.links.insert(pair, link);
                }
            }
        });
    }

    /// A name for all that was sent so far: when, from whom, to whom, what, and what chance had in
    /// store for it. Two runs that give the same one went the same way.
    pub fn history(&self) -> u64 {
        self.shared.lock().history
    }

    /// Messages and frames sent so far.
    pub fn messages(&self) -> u64 {
        self.shared.lock().messages
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.shared.change(|state| {
            state.links.clear();
            state.usual = Link::default();
        });
    }
}

impl State {
    /// Adds a message to the history.
    fn note(&mut self, from: NodeId, to: NodeId, bytes: &[u8], fate: &Fate) {
        let origin = *self.origin.get_or_insert_with(tokio::time::Instant::now);
        let since = |then: tokio::time::Instant| then.duration_since(origin).as_nanos();
        let mut line = Vec::with_capacity(80);
        line.extend_from_slice(&from.0);
        line.extend_from_slice(&to.0);
        line.extend_from_slice(&since(tokio::time::Instant::now()).to_le_bytes());
        line.extend_from_slice(&since(fate.arrival).to_le_bytes());
        line.extend_from_slice(&[u8::from(fate.is_dropped), u8::from(fate.is_duplicated)]);
        self.history = XxHash3_64::oneshot_with_seed(self.history, &line);
        self.history = XxHash3_64::oneshot_with_seed(self.history, bytes);
        self.messages += 1;
    }

    fn link(&self, from: NodeId, to: NodeId) -> Link {
        self.links.get(&(from, to)).copied().unwrap_or(self.usual)
    }
}

/// What chance has in store for a message.
#[derive(Debug, Clone, Copy)]
struct Fate {
    arrival: tokio::time::Instant,
    is_dropped: bool,
    is_duplicated: bool,
}

/// The link was cut while a message was under way.
struct Cut;

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, edit: impl FnOnce(&mut State)) {
        edit(&mut self.lock());
        self.changed.send_modify(|version| *version += 1);
    }

    /// Draws the same count of numbers for every message, whatever the faults.
    fn fate(&self, from: NodeId, to: NodeId, bytes: &[u8]) -> Fate {
        let mut state = self.lock();
        let link = state.link(from, to);
        let (shortest, longest) = link.delay;
        let nanos = state.random.random_range(shortest.0..=longest.0.max(shortest.0));
        let is_dropped = state.random.random::<f64>() < link.drop;
        let is_duplicated = state.random.random::<f64>() < link.duplicate;
        let delay = std::time::Duration::from_nanos(nanos);
        let arrival = tokio::time::Instant::now() + delay;
        let fate = Fate { arrival, is_dropped, is_duplicated };
        state.note(from, to, bytes, &fate);
        fate
    }

    /// Waits until the message arrives, for ever if it was dropped.
    async fn travel(&self, from: NodeId, to: NodeId, fate: Fate) -> Result<(), Cut> {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let link = self.lock().link(from, to);
            if link.cut {
                return Err(Cut);
            }
            let is_due = tokio::time::Instant::now() >= fate.arrival;
            if is_due && !link.hold && !fate.is_dropped {
                return Ok(());
            }
            tokio::select! {
                biased;
                _ = changed.changed() => {}
                () = tokio::time::sleep_until(fate.arrival), if !is_due => {}
            }
        }
    }

    /// Waits until the link is cut.
    async fn cut(&self, from: NodeId, to: NodeId) {
        let mut changed = self.changed.subscribe();
        while !self.lock().link(from, to).cut {
            // The sender is a field of `self`.
            let _ = changed.changed().await;
        }
    }
}

/// What one life of a node speaks through.
struct MemoryTransport {
    shared: Arc<Shared>,
    own: Attachment,
}

impl fmt::Debug for MemoryTransport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("MemoryTransport").field(&self.own.peer).finish()
    }
}

fn unreachable(reason: &str) -> CallError {
    CallError::Unreachable { reason: reason.to_owned() }
}

fn lost(reason: &str) -> CallError {
    CallError::Lost { reason: reason.to_owned() }
}

/// What a caller learns from an answer: a failure that the handler met elsewhere tells nothing of
/// whether the call was handled.
fn as_seen_by_the_caller(reply: Reply) -> Reply {
    match reply {
        Err(CallError::Unreachable { reason }) => Err(CallError::Lost { reason }),
        other => other,
    }
}

impl MemoryTransport {
    /// The node to be called, if a message to it can leave now.
    fn target(&self, to: NodeId, bytes: usize) -> Result<Attachment, CallError> {
        if self.own.gone.is_cancelled() {
            return Err(unreachable("this node is off the network"));
        }
        if bytes > FRAME_BYTES_MAX {
            let reason = format!("{bytes} bytes are more than a frame holds");
            return Err(CallError::Refused { reason });
        }
        let state = self.shared.lock();
        if state.link(self.own.peer.node, to).cut {
            return Err(unreachable("the link is cut"));
        }
        state.nodes.get(&to).cloned().ok_or_else(|| unreachable("nobody is there"))
    }

    fn exchange(
        &self,
        to: NodeId,
        method: Method,
        request: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, (Reply, Option<Peer>)> {
        let target = match self.target(to, request.len()) {
            Ok(target) => target,
            Err(error) => return std::future::ready((Err(error), None)).boxed(),
        };
        let fate = self.shared.fate(self.own.peer.node, to, &request);
        let (answer, answered) = oneshot::channel();
        let mut started = self.deliver(&target, method, request.clone(), fate, Some(answer));
        if fate.is_duplicated {
            let fate = self.shared.fate(self.own.peer.node, to, &request);
            started &= self.deliver(&target, method, request, fate, None);
        }
        if !started {
            return std::future::ready((Err(unreachable("the node is gone")), None)).boxed();
        }
        let (gone, peer) = (self.own.gone.clone(), target.peer);
        let answered = async move {
            tokio::select! {
                biased;
                reply = answered => reply.unwrap_or_else(|_| Err(lost("the connection broke"))),
                () = gone.cancelled() => Err(lost("this node is off the network")),
            }
        };
        async move {
            let limit = std::time::Duration::from_nanos(deadline.0);
            let reply = tokio::time::timeout(limit, answered).await;
            let reply = reply.unwrap_or_else(|_| Err(lost("no answer before the deadline")));
            (as_seen_by_the_caller(reply), Some(peer))
        }
        .boxed()
    }

    /// Sends a request on its way, and its answer back.
    fn deliver(
        &self,
        target: &Attachment,
        method: Method,
        request: Bytes,
        fate: Fate,
        answer: Option<oneshot::Sender<Reply>>,
    ) -> bool {
        let (shared, from, to) = (Arc::clone(&self.shared), self.own.peer, target.peer.node);
        let handler = Arc::clone(&target.handler);
        target.tasks.spawn("memory call", async move {
            if shared.travel(from.node, to, fate).await.is_err() {
                return;
            }
            let reply = handler.call(from, method, request).await;
            let Some(answer) = answer else { return };
            let fate = shared.fate(to, from.node, reply.as_deref().unwrap_or_default());
            if shared.travel(to, from.node, fate).await.is_ok() {
                // A caller that no longer waits is none of the network's business.
                let _ = answer.send(reply);
            }
        })
    }

    async fn connect(
        self,
        target: Attachment,
        method: Method,
        first: Bytes,
    ) -> Result<FrameStream, CallError> {
        let (from, to) = (self.own.peer.node, target.peer.node);
        let fate = self.shared.fate(from, to, &first);
        let arrived = async {
            if fate.is_dropped {
                return Err(lost("the connection broke"));
            }
            let arrived = self.shared.travel(from, to, fate).await;
            arrived.map_err(|Cut| lost("the link was cut"))
        };
        tokio::select! {
            biased;
            () = self.own.gone.cancelled() => return Err(lost("this node is off the network")),
            () = target.gone.cancelled() => return Err(lost("the node is gone")),
            arrived = arrived => arrived?,
        }
        let wire = Wire {
            shared: Arc::clone(&self.shared),
            broken: CancellationToken::new(),
            gone: [self.own.gone.clone(), target.gone.clone()],
        };
        let (send, to_target) = mpsc::channel(STREAM_FRAMES_MAX);
        let (target_sink, target_receive) = FrameSink::new();
        let (target_send, to_caller) = mpsc::channel(STREAM_FRAMES_MAX);
        let (caller_sink, receive) = FrameSink::new();
        let theirs = FrameStream { send: target_send, receive: target_receive };
        let broken = wire.broken.clone();
        let (handler, caller) = (Arc::clone(&target.handler), self.own.peer);
        let serve = async move {
            tokio::select! {
                biased;
                () = handler.open(caller, method, first, theirs) => {}
                () = broken.cancelled() => {}
            }
        };
        let there = wire.clone().carry((from, to), to_target, target_sink, false);
        let back = wire.carry((to, from), to_caller, caller_sink, true);
        let is_started = self.own.tasks.spawn("memory stream", there)
            && target.tasks.spawn("memory stream", back)
            && target.tasks.spawn("memory stream handler", serve);
        if is_started { Ok(FrameStream { send, receive }) } else { Err(lost("the node is gone")) }
    }
}

/// What both directions of a stream share.
#[derive(Clone)]
struct Wire {
    shared: Arc<Shared>,
    broken: CancellationToken,
    gone: [CancellationToken; 2],
}

impl Wire {
    /// Carries one direction until it ends. Whoever called ends the whole stream by not reading.
    async fn carry(
        self,
        (from, to): (NodeId, NodeId),
        source: mpsc::Receiver<Bytes>,
        sink: FrameSink,
        is_to_caller: bool,
    ) {
        let [one_gone, other_gone] = &self.gone;
        let has_ended_well = tokio::select! {
            biased;
            () = self.broken.cancelled() => false,
            () = one_gone.cancelled() => false,
            () = other_gone.cancelled() => false,
            () = self.shared.cut(from, to) => false,
            () = sink.closed() => {
                if is_to_caller {
                    self.broken.cancel();
                }
                true
            }
            result = self.frames((from, to), source, &sink) => result.is_ok(),
        };
        if has_ended_well {
            sink.finish();
        } else {
            self.broken.cancel();
            sink.fail(lost("the connection broke"));
        }
    }

    /// Frames travel side by side and arrive in order.
    async fn frames(
        &self,
        (from, to): (NodeId, NodeId),
        mut source: mpsc::Receiver<Bytes>,
        sink: &FrameSink,
    ) -> Result<(), Cut> {
        let mut under_way = FuturesOrdered::new();
        let mut is_open = true;
        while is_open || !under_way.is_empty() {
            tokio::select! {
                biased;
                Some(arrived) = under_way.next(), if !under_way.is_empty() => {
                    if !sink.send(arrived?).await {
                        return Ok(());
                    }
                }
                frame = source.recv(), if is_open && under_way.len() < STREAM_FRAMES_MAX => {
                    let Some(frame) = frame else { is_open = false; continue };
                    let fate = self.shared.fate(from, to, &frame);
                    under_way.push_back(async move {
                        if fate.is_dropped || frame.len() > FRAME_BYTES_MAX {
                            return Err(Cut);
                        }
                        self.shared.travel(from, to, fate).await.map(|()| frame)
                    });
                }
            }
        }
        Ok(())
    }
}

impl Transport for MemoryTransport {
    fn call(
        &self,
        to: NodeId,
        method: Method,
        request: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, Reply> {
        let exchange = self.exchange(to, method, request, deadline);
        async move { exchange.await.0 }.boxed()
    }

    fn open(
        &self,
        to: NodeId,
        method: Method,
        first: Bytes,
    ) -> BoxFuture<'static, Result<FrameStream, CallError>> {
        let own = Self { shared: Arc::clone(&self.shared), own: self.own.clone() };
        match self.target(to, first.len()) {
            Ok(target) => own.connect(target, method, first).boxed(),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }
}

impl Dial for MemoryTransport {
    fn call_address(
        &self,
        address: &str,
        method: Method,
        request: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, (Reply, Option<Peer>)> {
        let named = self.shared.lock().names.get(address).copied();
        let error = match named.or_else(|| NodeId::from_hex(address).ok()) {
            Some(_) if !method.is_open() => {
                CallError::Refused { reason: "this method is for a node, not an address".into() }
            }
            Some(node) => return self.exchange(node, method, request, deadline),
            None => unreachable("no such address"),
        };
        std::future::ready((Err(error), None)).boxed()
    }
}
