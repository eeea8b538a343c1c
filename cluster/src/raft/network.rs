//! How a replica reaches the others of its group: openraft's network over the node's transport.
//!
//! Who must be reached is known from the membership, which names the node of each replica. Short
//! messages are calls; entries go as a stream ([`append_stream`]), with deadlines of our own,
//! because the ones openraft gives are a heartbeat long; a snapshot is offered again and again
//! until the receiver has fetched it ([`offer`]).
//!
//! Heartbeats have a client of their own that never opens a stream: they must not queue behind
//! entries.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use futures_util::{FutureExt as _, Stream, StreamExt as _};
use model::{Duration, NodeId};
use openraft::OptionalSend;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendError,
    StreamAppendResult, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use tokio::sync::mpsc;

use super::append_stream::append_stream;
use super::blocking::Blocking;
use super::codec::DecodeError;
use super::machine::{Machine, MachineError};
use super::messages::{Answer, Request, Route, decode_answer, encode_request};
use super::offer::offer;
use super::state_machine::{Snapshot, SnapshotData};
use super::supervisor::Order;
use super::types::{Consensus, Host, Vote};
use super::vouch::Noted;
use super::witness::Witness;
use crate::identity::ReplicaId;
use crate::transport::{CallError, Method, Transport};

pub(crate) type RpcError = RPCError<Consensus>;
pub(crate) type AppendResult = Result<StreamAppendResult<Consensus>, RpcError>;

/// Makes a replica's links to the others.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) group: storage::log::GroupId,
    pub(crate) own: ReplicaId,
    pub(crate) witness: Arc<Witness>,
    pub(crate) noted: Arc<Noted>,
    pub(crate) machine: Arc<dyn Machine>,
    /// Weak, or a core would hold the supervisor that holds it.
    pub(crate) orders: mpsc::WeakSender<Order>,
    pub(crate) blocking: Blocking,
}

/// A replica's link to one other.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) node: NodeId,
    pub(crate) route: Route,
    pub(crate) witness: Arc<Witness>,
    pub(crate) noted: Arc<Noted>,
    pub(crate) machine: Arc<dyn Machine>,
    orders: mpsc::WeakSender<Order>,
    pub(crate) blocking: Blocking,
    is_for_heartbeats: bool,
}

impl RaftNetworkFactory<Consensus> for Network {
    type Network = Link;

    async fn new_client(&mut self, target: u64, host: &Host) -> Link {
        let route = Route { group: self.group, from: self.own, to: ReplicaId(target) };
        Link {
            transport: Arc::clone(&self.transport),
            node: host.node,
            route,
            witness: Arc::clone(&self.witness),
            noted: Arc::clone(&self.noted),
            machine: Arc::clone(&self.machine),
            orders: self.orders.clone(),
            blocking: self.blocking,
            is_for_heartbeats: false,
        }
    }

    async fn new_heartbeat_client(&mut self, target: u64, host: &Host) -> Link {
        Link { is_for_heartbeats: true, ..self.new_client(target, host).await }
    }
}

impl Link {
    /// One question, one answer.
    pub(crate) async fn ask(
        &self,
        method: Method,
        request: &Request,
        within: Duration,
    ) -> Result<Answer, RpcError> {
        let bytes = self.encode(request)?;
        let reply = self.transport.call(self.node, method, bytes, within).await;
        self.answer(reply.map_err(|error| call_error(&error))?)
    }

    /// A request as bytes that may be sent: what they tell the other replica is noted.
    pub(crate) fn encode(&self, request: &Request) -> Result<bytes::Bytes, RpcError> {
        if let Request::Append(append) = request {
            self.noted.committed(append.leader_commit.as_ref());
        }
        encode_request(self.route, request).map_err(|error| undecodable(&error))
    }

    /// Has the replica ended because its machine's storage failed. Who cannot say it now says it at
    /// the next attempt.
    pub(crate) fn storage_failed(&self, error: &MachineError) {
        let first: Option<&dyn Error> = Some(error);
        let causes = std::iter::successors(first, |error| (*error).source());
        let reason = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        if let Some(orders) = self.orders.upgrade() {
            let _ = orders.try_send(Order::StorageFailed(reason));
        }
    }

    /// The answer in a message, if it is one to us.
    pub(crate) fn answer(&self, bytes: bytes::Bytes) -> Result<Answer, RpcError> {
        let (route, answer) = decode_answer(bytes).map_err(|error| undecodable(&error))?;
        if route != self.route.back() {
            return Err(network_error("an answer to somebody else"));
        }
        match answer {
            Answer::Refused { reason } => Err(unreachable(reason)),
            answer => Ok(answer),
        }
    }

    /// One append as a call: a heartbeat.
    async fn ask_append(
        &self,
        request: AppendEntriesRequest<Consensus>,
        within: Duration,
    ) -> AppendResult {
        match self.ask(Method::Raft, &Request::Append(request), within).await? {
            Answer::Appended(result) => Ok(result),
            _ => Err(unexpected()),
        }
    }
}

impl RaftNetworkV2<Consensus> for Link {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Consensus>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Consensus>, RpcError> {
        Ok(match self.ask_append(request, limit(&option)).await? {
            Ok(matching) => AppendEntriesResponse::PartialSuccess(matching),
            Err(StreamAppendError::Conflict(_)) => AppendEntriesResponse::Conflict,
            Err(StreamAppendError::HigherVote(vote)) => AppendEntriesResponse::HigherVote(vote),
        })
    }

    fn stream_append<S>(
        &mut self,
        mut input: S,
        option: RPCOption,
    ) -> BoxFuture<'_, Result<BoxStream<'_, AppendResult>, RpcError>>
    where
        S: Stream<Item = AppendEntriesRequest<Consensus>> + OptionalSend + Unpin + 'static,
    {
        let link = self.clone();
        async move {
            if !link.is_for_heartbeats {
                return append_stream(link, input).await;
            }
            let within = limit(&option);
            let answers = async_stream(move || {
                let link = link.clone();
                let next = input.next().now_or_never();
                async move {
                    // A heartbeat is there at once, and there is one.
                    let request = next.flatten()?;
                    Some(link.ask_append(request, within).await)
                }
            });
            Ok(answers)
        }
        .boxed()
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Consensus>,
        option: RPCOption,
    ) -> Result<VoteResponse<Consensus>, RpcError> {
        match self.ask(Method::Raft, &Request::Vote(request), limit(&option)).await? {
            Answer::Voted(voted) => {
                if voted.vote_granted {
                    let term = voted.vote.leader_id.term;
                    self.witness.saw_vote(self.route.group, self.route.to, term);
                }
                Ok(voted)
            }
            _ => Err(unexpected()),
        }
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Consensus>,
        option: RPCOption,
    ) -> Result<VoteResponse<Consensus>, RpcError> {
        match self.ask(Method::Raft, &Request::PreVote(request), limit(&option)).await? {
            Answer::Voted(voted) => Ok(voted),
            _ => Err(unexpected()),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Consensus>, StreamingError<Consensus>> {
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            result = offer(self, vote, snapshot.meta) => Ok(result?),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Consensus>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Consensus>, RpcError> {
        match self.ask(Method::Raft, &Request::Transfer(request), limit(&option)).await? {
            Answer::Transferred(result) => Ok(result),
            _ => Err(unexpected()),
        }
    }
}

/// A stream of what `next` gives until it gives nothing.
fn async_stream<T, F>(next: impl FnMut() -> F + Send + 'static) -> BoxStream<'static, T>
where
    T: Send + 'static,
    F: Future<Output = Option<T>> + Send + 'static,
{
    futures_util::stream::unfold(next, |mut next| async move {
        let item = next().await?;
        Some((item, next))
    })
    .boxed()
}

fn limit(option: &RPCOption) -> Duration {
    Duration(u64::try_from(option.hard_ttl().as_nanos()).unwrap_or(u64::MAX))
}

/// Nobody handled it, or it was declined: wait before the next attempt. Lost: try again at once.
pub(crate) fn call_error(error: &CallError) -> RpcError {
    match error {
        CallError::Unreachable { .. } | CallError::Refused { .. } => unreachable(error),
        CallError::Lost { .. } => network_error(error),
    }
}

pub(crate) fn unreachable(reason: impl ToString) -> RpcError {
    RPCError::Unreachable(Unreachable::from_string(reason))
}

pub(crate) fn network_error(reason: impl ToString) -> RpcError {
    RPCError::Network(NetworkError::from_string(reason))
}

pub(crate) fn undecodable(error: &DecodeError) -> RpcError {
    unreachable(format!("the other side and we do not understand each other: {error}"))
}

pub(crate) fn unexpected() -> RpcError {
    unreachable("an answer to another question")
}
