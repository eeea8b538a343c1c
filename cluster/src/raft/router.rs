//! The node's door for messages of all its groups: finds the replica that one is meant for.
//!
//! Invariants:
//! - a message reaches a replica only if it names that replica: an id that was here once, or that
//!   another node's restored disk claims, is refused (REP-3);
//! - a buried replica is neither spoken to nor listened to;
//! - a replica whose core is being rebuilt is not here; its callers come again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use openraft::EntryPayload;
use openraft::async_runtime::WatchReceiver as _;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use storage::log::GroupId;

use super::blocking::Blocking;
use super::limits::TOMBSTONES_MAX;
use super::machine::{FileName, Machine};
use super::messages::{Answer, Fetch, Request, Route, decode_request, encode_answer};
use super::receive::{Receiving, StretchRoom, receive};
use super::serve_append::serve_append;
use super::state_machine::StateMachine;
use super::types::{Consensus, LogId, Vote};
use super::witness::Witness;
use crate::identity::ReplicaId;
use crate::transport::{CallError, FrameStream, Handler, Method, Peer, Reply, Transport};

pub(crate) type Raft = openraft::Raft<Consensus, StateMachine>;

/// Whether an entry of a group may be appended now.
pub type Intake = Arc<dyn Fn(GroupId, &Bytes) -> bool + Send + Sync>;

/// Leads messages of replicas to the replicas of this node.
#[derive(Default)]
pub struct GroupRouter {
    pub(crate) witness: Arc<Witness>,
    /// Of all its replicas.
    pub(crate) room: StretchRoom,
    intake: OnceLock<Intake>,
    endpoints: RwLock<BTreeMap<GroupId, Arc<Endpoint>>>,
    tombstones: Mutex<BTreeSet<(GroupId, ReplicaId)>>,
}

/// A replica of this node, as others reach it.
pub(crate) struct Endpoint {
    pub(crate) replica: ReplicaId,
    pub(crate) raft: Raft,
    pub(crate) machine: Arc<dyn Machine>,
    pub(crate) blocking: Blocking,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) receiving: Receiving,
    pub(crate) room: StretchRoom,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Endpoint").field("replica", &self.replica).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for GroupRouter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("GroupRouter").finish_non_exhaustive()
    }
}

impl Endpoint {
    /// The replica's vote, and the last entry it knows to be committed.
    pub(crate) fn standing(&self) -> (Vote, Option<LogId>) {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        (metrics.vote, metrics.local_committed)
    }
}

impl GroupRouter {
    /// A router without replicas.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has every entry asked about before it is appended here: one that is turned away comes again
    /// later, and its replica lags until then.
    pub fn set_intake(&self, intake: Intake) {
        self.intake.get_or_init(|| intake);
    }

    /// Whether all entries of a request may be appended now.
    pub(crate) fn takes(&self, group: GroupId, request: &AppendEntriesRequest<Consensus>) -> bool {
        let Some(intake) = self.intake.get() else { return true };
        request.entries.iter().all(|entry| match &entry.payload {
            EntryPayload::Normal(command) => intake(group, &command.payload),
            EntryPayload::Blank | EntryPayload::Membership(_) => true,
        })
    }

    /// Refuses a replica from now on, here and elsewhere: it was removed from its group, or what
    /// it held is damaged.
    pub fn bury(&self, group: GroupId, replica: ReplicaId) {
        let mut tombstones = self.tombstones.lock().unwrap_or_else(PoisonError::into_inner);
        if tombstones.len() < TOMBSTONES_MAX {
            tombstones.insert((group, replica));
        } else {
            tracing::error!(%group, %replica, "no room for another tombstone");
        }
    }

    pub(crate) fn attach(&self, group: GroupId, endpoint: Endpoint) {
        let mut endpoints = self.endpoints.write().unwrap_or_else(PoisonError::into_inner);
        endpoints.insert(group, Arc::new(endpoint));
    }

    /// Takes a replica out, unless another has its place already.
    pub(crate) fn detach(&self, group: GroupId, replica: ReplicaId) {
        let mut endpoints = self.endpoints.write().unwrap_or_else(PoisonError::into_inner);
        if endpoints.get(&group).is_some_and(|endpoint| endpoint.replica == replica) {
            let removed = endpoints.remove(&group);
            drop(endpoints);
            // What it was fetching, its successor fetches.
            removed.into_iter().for_each(|endpoint| endpoint.receiving.forget());
        }
    }

    /// The replica that a message is meant for.
    pub(crate) fn endpoint(&self, route: Route) -> Result<Arc<Endpoint>, CallError> {
        let refused = |reason: String| Err(CallError::Refused { reason });
        let tombstones = self.tombstones.lock().unwrap_or_else(PoisonError::into_inner);
        for replica in [route.from, route.to] {
            if tombstones.contains(&(route.group, replica)) {
                return refused(format!("replica {replica} was removed"));
            }
        }
        drop(tombstones);
        let endpoints = self.endpoints.read().unwrap_or_else(PoisonError::into_inner);
        match endpoints.get(&route.group) {
            Some(endpoint) if endpoint.replica == route.to => Ok(Arc::clone(endpoint)),
            Some(endpoint) => {
                refused(format!("replica {} is here, not {}", endpoint.replica, route.to))
            }
            None => refused(format!("group {} has no replica here", route.group)),
        }
    }

    async fn answer(self: Arc<Self>, from: Peer, method: Method, request: Bytes) -> Reply {
        let (route, request) = decode_request(request).map_err(|error| refused(&error))?;
        let endpoint = self.endpoint(route)?;
        check_sender(route, &request)?;
        let answer = match (method, request) {
            (Method::Raft, Request::Append(append)) if !self.takes(route.group, &append) => {
                return Err(refused("there is no room for entries"));
            }
            (Method::Raft, request) => endpoint.answer(request).await?,
            (Method::RaftSnapshot, Request::Offer(offer)) => {
                let offered = receive(&endpoint, from.node, route, offer).await;
                offered.map_or_else(|reason| Answer::Refused { reason }, Answer::Offered)
            }
            (Method::FetchFile, Request::Fetch(fetch)) => endpoint.fetch(fetch).await,
            (Method::FetchFile, Request::Doubt(file)) => endpoint.judge(file).await,
            _ => return Err(refused("this message does not go this way")),
        };
        encode_answer(route.back(), &answer).map_err(|error| refused(&error))
    }
}

impl Endpoint {
    /// Answers a short message. A core that is gone is an answer that was lost: it may have acted.
    async fn answer(&self, request: Request) -> Result<Answer, CallError> {
        let raft = &self.raft;
        Ok(match request {
            Request::Vote(vote) => {
                Answer::Voted(raft.vote(vote).await.map_err(|error| lost(&error))?)
            }
            Request::PreVote(vote) => {
                Answer::Voted(raft.pre_vote(vote).await.map_err(|error| lost(&error))?)
            }
            Request::Transfer(transfer) => {
                let result = raft.handle_transfer_leader(transfer).await;
                Answer::Transferred(result.map_err(|error| lost(&error))?)
            }
            Request::Append(append) => {
                let prev = append.prev_log_id;
                let last = append.entries.last().map(|entry| entry.log_id).or(prev);
                let response = raft.append_entries(append).await.map_err(|error| lost(&error))?;
                if prev.is_none() && matches!(response, AppendEntriesResponse::Conflict) {
                    return Err(refused("a conflict with nothing"));
                }
                Answer::Appended(response.into_stream_result(prev, last))
            }
            Request::Offer(_) | Request::Fetch(_) | Request::Doubt(_) => {
                return Err(refused("this message does not go this way"));
            }
        })
    }

    async fn fetch(&self, fetch: Fetch) -> Answer {
        let machine = Arc::clone(&self.machine);
        let read = move || machine.read_stretch(&fetch.file, fetch.offset, fetch.length);
        match self.blocking.run(read).await {
            Ok(Ok(bytes)) => Answer::Stretch(bytes),
            Ok(Err(error)) => Answer::Refused { reason: error.to_string() },
            Err(error) => Answer::Refused { reason: error.to_string() },
        }
    }

    async fn judge(&self, file: FileName) -> Answer {
        let machine = Arc::clone(&self.machine);
        match self.blocking.run(move || machine.is_sound(&file)).await {
            Ok(Ok(is_sound)) => Answer::Judged { is_sound },
            Ok(Err(error)) => Answer::Refused { reason: error.to_string() },
            Err(error) => Answer::Refused { reason: error.to_string() },
        }
    }
}

impl Handler for GroupRouterHandle {
    fn call(&self, from: Peer, method: Method, request: Bytes) -> BoxFuture<'static, Reply> {
        Arc::clone(&self.0).answer(from, method, request).boxed()
    }

    fn open(
        &self,
        _: Peer,
        method: Method,
        first: Bytes,
        stream: FrameStream,
    ) -> BoxFuture<'static, ()> {
        let router = Arc::clone(&self.0);
        async move {
            if method == Method::RaftAppend {
                serve_append(router, first, stream).await;
            }
        }
        .boxed()
    }
}

/// A router as a transport's handler, for [`Method::Raft`], [`Method::RaftAppend`],
/// [`Method::RaftSnapshot`] and [`Method::FetchFile`]; everything else is refused.
#[derive(Clone, Debug)]
pub struct GroupRouterHandle(pub Arc<GroupRouter>);

/// Votes and appends name the replica whose they are: it must be the one that speaks.
pub(crate) fn check_sender(route: Route, request: &Request) -> Result<(), CallError> {
    let vote = match request {
        Request::Vote(request) | Request::PreVote(request) => &request.vote,
        Request::Append(request) => &request.vote,
        Request::Transfer(request) => request.from_leader(),
        Request::Offer(offer) => &offer.vote,
        Request::Fetch(_) | Request::Doubt(_) => return Ok(()),
    };
    if vote.leader_id.node_id == route.from.0 {
        Ok(())
    } else {
        Err(refused("the vote is not the sender's"))
    }
}

pub(crate) fn refused(reason: &(impl ToString + ?Sized)) -> CallError {
    CallError::Refused { reason: reason.to_string() }
}

fn lost(reason: &(impl ToString + ?Sized)) -> CallError {
    CallError::Lost { reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use openraft::raft::VoteRequest;
    use openraft::vote::{RaftLeaderId as _, RaftVote as _};

    use super::*;
    use crate::raft::types::LeaderId;

    #[test]
    fn nobody_is_led_to_what_is_not_here_or_buried() {
        let router = GroupRouter::new();
        let route = Route { group: GroupId(1), from: ReplicaId(2), to: ReplicaId(3) };
        let reason = |router: &GroupRouter| router.endpoint(route).unwrap_err().to_string();
        assert!(reason(&router).contains("no replica here"));
        router.bury(GroupId(2), ReplicaId(3));
        assert!(reason(&router).contains("no replica here"));
        router.bury(GroupId(1), ReplicaId(2));
        assert!(reason(&router).contains("r2 was removed"));
    }

    #[test]
    fn a_vote_in_the_name_of_another_is_refused() {
        let vote = Vote::from_leader_id(LeaderId::new(7, 2), false);
        let request = Request::Vote(VoteRequest::new(vote, None));
        let route = Route { group: GroupId(1), from: ReplicaId(2), to: ReplicaId(3) };
        check_sender(route, &request).unwrap();
        check_sender(route.back(), &request).unwrap_err();
    }
}
