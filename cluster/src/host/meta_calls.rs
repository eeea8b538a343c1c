//! Questions among members: commands for the meta group, reports, steps of the plan.

use std::sync::Arc;

use bytes::Bytes;
use model::{Duration, NodeId, ShardId, Tenant};

use super::handle::{Shared, std};
use super::limits::{META_DEADLINE, PAUSE_MAX, PAUSE_MIN};
use super::messages::{MetaApplied, MetaReply, MetaRequest, decode, encode};
use crate::error::Error;
use crate::identity::META_GROUP;
use crate::meta::MetaCommand;
use crate::raft::{Outcome, ProposeError};
use crate::transport::{CallError, Method, Reply};

impl Shared {
    /// Asks a member.
    pub(super) async fn ask_meta(
        &self,
        node: NodeId,
        request: &MetaRequest,
        within: Duration,
    ) -> Result<MetaReply, CallError> {
        let request = encode(request)?;
        let reply = self.transport.call(node, Method::Meta, request, within).await?;
        // An answer that cannot be read says nothing of what was done.
        decode(&reply).map_err(|error| CallError::Lost { reason: error.to_string() })
    }

    /// Answers a member.
    pub(super) async fn answer_meta(self: &Arc<Self>, request: &Bytes) -> Reply {
        let reply = match decode(request)? {
            MetaRequest::Ping => MetaReply::Pong {
                wall: self.clock.wall().0,
                takes_batches: self.space.mark().takes_client_batches(),
            },
            MetaRequest::Propose(command) => self.propose_here(command.into()).await,
            MetaRequest::State { known } => {
                let state = self.state();
                let is_later = state.cluster().is_some() && state.applied().0 > known;
                MetaReply::State(is_later.then(|| state.encode()))
            }
            MetaRequest::Report => MetaReply::Report(Box::new(self.report())),
            MetaRequest::Notice => MetaReply::Notice(self.notice()),
            MetaRequest::Process => MetaReply::Process((self.process)().map(Into::into)),
            MetaRequest::Figures => MetaReply::Figures((self.figures)().into()),
            MetaRequest::Events => MetaReply::Events(self.event_messages()),
            MetaRequest::Work(work) => self.work(work).await,
            MetaRequest::Mark { shard } => self.mark_here(ShardId(shard)).await,
            MetaRequest::Digests { marks } => self.digests_here(marks).await,
            MetaRequest::Drop { shard, class, bucket } => {
                self.drop_here(ShardId(shard), class, bucket).await
            }
            MetaRequest::Witnessed { replicas } => self.witnessed(replicas),
            MetaRequest::Purge { shard, tenant } => match Tenant::stored(&tenant) {
                Ok(tenant) => self.purge_here(ShardId(shard), &tenant).await,
                Err(error) => MetaReply::Refused(error.to_string()),
            },
        };
        Ok(encode(&reply)?)
    }

    /// Proposes a command to the meta group, wherever it is led.
    pub(super) async fn propose_meta(
        &self,
        command: &MetaCommand,
        within: Duration,
    ) -> Result<MetaApplied, Error> {
        let deadline = self.now().plus(within);
        let bytes = command.encode();
        let (mut hint, mut pause, mut turn) = (None, PAUSE_MIN, 0);
        let mut reason = "the meta group has no leader".to_owned();
        loop {
            let left = self.left(deadline);
            if left.0 == 0 {
                return Err(Error::Unknown { reason });
            }
            let target = hint.take().or_else(|| self.meta_candidate(turn));
            turn += 1;
            let request = MetaRequest::Propose(bytes.clone());
            let reply = match target {
                Some(node) if node == self.node => {
                    Ok(self.propose_here(Bytes::from(bytes.clone())).await)
                }
                Some(node) => self.ask_meta(node, &request, left.min(META_DEADLINE)).await,
                None => Ok(MetaReply::NotLeader { hint: None }),
            };
            match reply {
                Ok(MetaReply::Applied(applied)) => return Ok(applied),
                Ok(MetaReply::Refused(reason)) => return Err(Error::Refused { reason }),
                Ok(MetaReply::NotLeader { hint: Some(node) }) if NodeId(node) != self.node => {
                    hint = Some(NodeId(node));
                }
                Ok(MetaReply::Failed(failed)) => reason = failed,
                Ok(_) => {}
                Err(error) => reason = error.to_string(),
            }
            tokio::time::sleep(std(pause)).await;
            pause = Duration(pause.0.saturating_mul(2)).min(PAUSE_MAX);
        }
    }

    /// Whom to ask about the meta group: the leader that the own replica believes in, then each
    /// that is meant to vote, in turn.
    fn meta_candidate(&self, turn: usize) -> Option<NodeId> {
        let own = self.replicas.get(META_GROUP).and_then(|hosted| hosted.replica.leader());
        if let Some(leader) = own.filter(|_| turn.is_multiple_of(2)) {
            return Some(leader.node);
        }
        let state = self.state();
        let voters = &state.groups().get(&META_GROUP)?.replicas;
        let place = (turn / 2).checked_rem(voters.len())?;
        voters.get(place).map(|replica| replica.node)
    }

    /// Proposes a command to the meta group if this node leads it.
    async fn propose_here(&self, command: Bytes) -> MetaReply {
        let Some(hosted) = self.replicas.get(META_GROUP) else {
            return MetaReply::NotLeader { hint: None };
        };
        let proposed = hosted.replica.propose(command);
        let Ok(outcome) = tokio::time::timeout(std(META_DEADLINE), proposed).await else {
            return MetaReply::Failed("the meta group has no majority".into());
        };
        match outcome {
            Ok(Outcome::Applied(applied)) => match decode(&applied) {
                Ok(applied) => MetaReply::Applied(applied),
                Err(error) => MetaReply::Failed(error.to_string()),
            },
            Ok(Outcome::Refused { reason }) => MetaReply::Refused(reason.to_string()),
            Ok(Outcome::Passed | Outcome::Fenced { .. }) => {
                MetaReply::Failed("the command was passed over".into())
            }
            Err(ProposeError::NotLeader { leader }) => {
                MetaReply::NotLeader { hint: leader.map(|place| place.node.0) }
            }
            Err(ProposeError::Refused { reason }) => MetaReply::Refused(reason),
            Err(error) => MetaReply::Failed(error.to_string()),
        }
    }
}
