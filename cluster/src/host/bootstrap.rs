//! How a node comes into a cluster: asks, decides (`crate::plan`), writes down, and tells.
//!
//! Invariants: what a decision asks to be written is flushed before anybody is told; decisions and
//! answers to other founders look at one state, one at a time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use model::NodeId;

use super::durable::Membership;
use super::error::HostError;
use super::handle::{Shared, std};
use super::limits::{HELLO_DEADLINE, JOIN_DEADLINE, JOIN_PAUSE, META_DEADLINE, SEEDS_MAX};
use super::messages::{HelloMessage, JoinReply, JoinRequest, PromiseReply, decode, encode};
use crate::identity::{ClusterId, META_GROUP, ReplicaId};
use crate::meta::{Founding, MetaCommand, MetaState, NodeRecord};
use crate::plan::{Answer, Consideration, DataState, Decision, Hello, Myself, consider, decide};
use crate::transport::{CallError, Method, Reply};

impl Shared {
    /// Founds a cluster or finds one: returns when the node's disk says which.
    pub(super) async fn find_cluster(self: &Arc<Self>) -> Result<(), HostError> {
        loop {
            let answers = self.ask_seeds().await;
            if let Some(pause) = self.take_step(&answers).await? {
                tokio::time::sleep(std(pause)).await;
            }
            if matches!(self.membership.lock().await.data, DataState::Member(_)) {
                return Ok(());
            }
        }
    }

    /// One decision and what follows from it; returns how long to wait before the next.
    async fn take_step(
        self: &Arc<Self>,
        answers: &[Answer],
    ) -> Result<Option<model::Duration>, HostError> {
        let mut membership = self.membership.lock().await;
        let fresh = ClusterId((self.random)());
        let decision = decide(&self.myself(), self.bootstrap, &membership.data, answers, fresh);
        let pause = decision.pause();
        match decision {
            Decision::AskAgain(waiting) => {
                tracing::debug!(%waiting, "founding or joining a cluster");
            }
            Decision::Wait(waiting) => tracing::info!(%waiting, "founding or joining a cluster"),
            Decision::Promise(plan) => {
                let promised = Membership { data: DataState::Promised(plan), founding: None };
                self.write(&mut membership, promised).await?;
            }
            Decision::CollectPromises { plan, from } => {
                drop(membership);
                self.collect_promises(&plan, from).await;
            }
            Decision::Initialize(plan) => {
                self.speak_for(plan.cluster_id)?;
                let members = plan.meta_members();
                if let Some((replica, _)) = members.iter().find(|(_, node)| *node == self.node) {
                    let members: BTreeMap<ReplicaId, NodeId> = members.iter().copied().collect();
                    self.replicas.create(META_GROUP, *replica, &members).await?;
                }
                tracing::info!(cluster = %plan.cluster_id, "founded a cluster");
                let data = DataState::Member(plan.cluster_id);
                let member = Membership { data, founding: Some(plan) };
                self.write(&mut membership, member).await?;
            }
            Decision::Join { cluster, .. } => {
                self.speak_for(cluster)?;
                tracing::info!(%cluster, "joining a cluster");
                let member = Membership { data: DataState::Member(cluster), founding: None };
                self.write(&mut membership, member).await?;
            }
            Decision::Resume(_) => {}
            Decision::Refuse(refused) => return Err(refused.into()),
        }
        Ok(pause)
    }

    /// Asks every address of the seeds who is there.
    pub(super) async fn ask_seeds(&self) -> Vec<Answer> {
        let addresses = (self.seeds)().await;
        let asked = addresses.into_iter().take(SEEDS_MAX).map(|(seed, address)| async move {
            let text = address.to_string();
            let called = self.dial.call_address(&text, Method::Hello, Bytes::new(), HELLO_DEADLINE);
            let (reply, _) = called.await;
            let hello = reply.ok().and_then(|reply| decode::<HelloMessage>(&reply).ok());
            let hello = hello.map(Hello::from);
            if let Some(hello) = &hello {
                self.hear_hello(hello, &text);
            }
            Answer { seed, address, hello }
        });
        join_all(asked).await
    }

    async fn collect_promises(&self, plan: &Founding, from: Vec<(NodeId, SocketAddr)>) {
        let request = Bytes::from(plan.encode());
        let asked = from.into_iter().map(|(node, address)| {
            let address = address.to_string();
            let request = request.clone();
            async move {
                let called =
                    self.dial.call_address(&address, Method::Bootstrap, request, HELLO_DEADLINE);
                // Whether it promised, its next hello tells.
                if let (Ok(reply), _) = called.await
                    && let Ok(PromiseReply::Declined(reason)) = decode(&reply)
                {
                    tracing::warn!(%node, reason, "a founder declines the plan of the cluster");
                }
            }
        });
        join_all(asked).await;
    }

    /// Writes down what the node is from now on; the rest of the node follows.
    async fn write(&self, membership: &mut Membership, next: Membership) -> Result<(), HostError> {
        let (durable, written) = (self.durable.clone(), next.clone());
        self.blocking.run(move || durable.set_membership(&written)).await??;
        *membership = next;
        Ok(())
    }

    /// Asks members to let this node in until it knows the cluster's state. A node that knows it
    /// already, or will learn it from its own replica of the meta group, need not ask.
    pub(super) async fn enter_cluster(self: &Arc<Self>) -> Result<(), HostError> {
        let mut known = self.map.subscribe();
        loop {
            if known.borrow_and_update().cluster().is_some() {
                return self.check_version();
            }
            let is_voter = self.replicas.get(META_GROUP).is_some();
            if !is_voter && let Some(state) = self.ask_to_join().await? {
                self.learn(state).await?;
                continue;
            }
            // Whichever comes first.
            let pause = tokio::time::sleep(std(JOIN_PAUSE));
            tokio::select! {
                biased;
                _ = known.changed() => {}
                () = pause => {}
            }
        }
    }

    async fn ask_to_join(&self) -> Result<Option<MetaState>, HostError> {
        let DataState::Member(cluster) = self.membership.lock().await.data else {
            return Ok(None);
        };
        let request = JoinRequest { node: self.node.0, record: (&self.record).into() };
        let Ok(request) = encode(&request) else { return Ok(None) };
        for answer in self.ask_seeds().await {
            let is_member = answer.hello.is_some_and(|hello| {
                hello.node != self.node && hello.told == crate::plan::Told::Member(cluster)
            });
            if !is_member {
                continue;
            }
            let address = answer.address.to_string();
            let called =
                self.dial.call_address(&address, Method::Join, request.clone(), JOIN_DEADLINE);
            let (Ok(reply), _) = called.await else { continue };
            match decode(&reply) {
                Ok(JoinReply::Welcome { cluster: theirs, state }) if theirs == cluster.0 => {
                    if let Ok(state) = MetaState::decode(&state) {
                        return Ok(Some(state));
                    }
                }
                Ok(JoinReply::Refused(reason)) => return Err(HostError::NotTaken { reason }),
                Ok(JoinReply::NotNow(reason)) => tracing::info!(reason, "not let in yet"),
                Ok(JoinReply::Welcome { .. }) | Err(_) => {}
            }
        }
        Ok(None)
    }

    pub(super) fn myself(&self) -> Myself {
        let record = self.record.clone();
        Myself { node: self.node, incarnation: self.incarnation, record }
    }

    /// Answers who is there.
    pub(super) async fn hello(&self) -> Reply {
        let told = self.membership.lock().await.data.told();
        let Myself { node, incarnation, record } = self.myself();
        Ok(encode(&HelloMessage::from(&Hello { node, incarnation, record, told }))?)
    }

    /// Answers a founder who asks for the promise to a plan.
    pub(super) async fn consider(&self, request: &Bytes) -> Reply {
        let plan = Founding::decode(request)
            .map_err(|error| CallError::Refused { reason: error.to_string() })?;
        let mut membership = self.membership.lock().await;
        let reply = match consider(&self.myself(), self.bootstrap, &membership.data, &plan) {
            Consideration::Promise => {
                let promised = Membership { data: DataState::Promised(plan), founding: None };
                match self.write(&mut membership, promised).await {
                    Ok(()) => PromiseReply::Promised,
                    Err(error) => PromiseReply::Declined(error.to_string()),
                }
            }
            Consideration::Promised => PromiseReply::Promised,
            Consideration::Decline(declined) => PromiseReply::Declined(declined.to_string()),
        };
        Ok(encode(&reply)?)
    }

    /// Lets a node in, by way of the meta group.
    pub(super) async fn let_join(&self, request: &Bytes) -> Reply {
        let JoinRequest { node, record } = decode(request)?;
        let (node, record) = (NodeId(node), NodeRecord::from(record));
        let command = MetaCommand::PutNode { node, record: record.clone(), at: self.clock.wall() };
        let reply = match self.propose_meta(&command, META_DEADLINE).await {
            Ok(_) => {
                self.note_record(node, &record);
                let state = self.state();
                match state.cluster() {
                    Some(cluster) => {
                        JoinReply::Welcome { cluster: cluster.0, state: state.encode() }
                    }
                    None => JoinReply::NotNow("this node does not know the cluster yet".into()),
                }
            }
            Err(crate::Error::Refused { reason }) if self.state().cluster().is_some() => {
                JoinReply::Refused(reason)
            }
            Err(error) => JoinReply::NotNow(error.to_string()),
        };
        Ok(encode(&reply)?)
    }
}
