//! How nodes that know only addresses become one cluster, or find the one that is there.
//!
//! Every node asks every address of its seeds, again and again, and decides from the answers and
//! from what lies on its own disk. Nodes tell nothing but their durable state, so every answer,
//! however late, was true once; and the states only go forward: empty, promised to one plan, member
//! of one cluster.
//!
//! ```text
//!            all N empty, I have the smallest id: draw a plan
//!   empty ────────────────────────────────────────────────────► promised(P)
//!     │      a founder asks me for my promise to P                   │
//!     │                                                              │ all N promised P, or one
//!     │ somebody is a member of C                                    │ of them is a member of P
//!     ▼                                                              ▼
//!   member(C), then ask to join                     member(P), and initialize if a voter
//! ```
//!
//! Why there is at most one cluster: a plan names N nodes and is carried out only when all N have
//! promised it. A disk promises once. So two plans that share a node cannot both be carried out,
//! and a plan is drawn only by a node that sees exactly N nodes, all empty, and nobody else: an
//! address that stays silent counts as a node, since a cluster may be behind it.
//!
//! Invariants, on which that rests:
//! - whatever [`Decision`] or [`Consideration`] asks to be written is synced before it is told to
//!   anybody or acted on;
//! - a promise is never taken back. A promised node goes to another cluster only when it has seen
//!   that one of the founders can never promise the plan;
//! - a node id is on disk before it is told to anybody, and is gone if the disk is.
//!
//! The price: a founder that loses its disk between its promise and the founding leaves the others
//! waiting for somebody who will not come. They say for whom; their directories are still empty
//! and may be removed.

use std::net::SocketAddr;

use model::{Duration, NodeId};

use super::limits::{ASK_AGAIN_AFTER, WAIT_BEFORE_ASKING};
use super::roll_call::RollCall;
use super::{found, limits};
use crate::identity::ClusterId;
use crate::meta::{Founding, NodeRecord};
use crate::transport::Incarnation;

/// What a node was told at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootstrapConfig {
    /// Nodes to found a cluster with.
    pub expected_nodes: usize,
    /// Whether it may only join.
    pub join_only: bool,
    /// Voters that each shard is to have.
    pub replication_factor: u32,
    /// Shards of the first ring epoch.
    pub shard_count: u32,
}

/// The node that decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Myself {
    /// Its id.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// What it says of itself.
    pub record: NodeRecord,
}

/// What lies on the node's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataState {
    /// Nothing but the node's id.
    Empty,
    /// A promise to one plan.
    Promised(Founding),
    /// The cluster that it belongs to.
    Member(ClusterId),
}

impl DataState {
    /// What to answer to a peer that asks who is there.
    pub fn told(&self) -> Told {
        match self {
            Self::Empty => Told::Empty,
            Self::Promised(plan) => Told::Promised(plan.cluster_id),
            Self::Member(cluster) => Told::Member(*cluster),
        }
    }
}

/// What a node tells of its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Nothing is there.
    Empty,
    /// It promised the plan of this cluster.
    Promised(ClusterId),
    /// It belongs to this cluster.
    Member(ClusterId),
}

/// A node's answer to the question who is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Its id.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// What it says of itself.
    pub record: NodeRecord,
    /// What lies on its disk.
    pub told: Told,
}

/// What came of asking one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The seed that resolved to the address.
    pub seed: String,
    /// The address.
    pub address: SocketAddr,
    /// Who answered; none if nobody did.
    pub hello: Option<Hello>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Ask all addresses again, soon: something is under way.
    AskAgain(Waiting),
    /// Ask all addresses again, later: somebody has to come, or to go.
    Wait(Waiting),
    /// Write the promise to this plan, sync it, and decide again.
    Promise(Founding),
    /// Ask these founders for their promise to the plan (they run [`consider`]), and decide again.
    CollectPromises {
        /// The plan.
        plan: Founding,
        /// Founders who have not promised yet, and where they answered.
        from: Vec<(NodeId, SocketAddr)>,
    },
    /// If this node is one of [`Founding::meta_members`], initialize its replica of the meta group
    /// with that list (again, if it stopped in the middle); then write and sync that it belongs to
    /// the plan's cluster.
    Initialize(Founding),
    /// Write and sync that this node belongs to the cluster; then ask to be let in.
    Join {
        /// The cluster.
        cluster: ClusterId,
        /// Who belongs to it already.
        via: NodeId,
        /// Where it answered.
        address: SocketAddr,
    },
    /// Carry on as what the disk says.
    Resume(ClusterId),
    /// Give up, and say why.
    Refuse(RefusedStart),
}

impl Decision {
    /// How long to wait before the addresses are asked again, if that is what to do.
    pub fn pause(&self) -> Option<Duration> {
        match self {
            Self::AskAgain(_) | Self::CollectPromises { .. } => Some(ASK_AGAIN_AFTER),
            Self::Wait(_) => Some(WAIT_BEFORE_ASKING),
            Self::Promise(_)
            | Self::Initialize(_)
            | Self::Join { .. }
            | Self::Resume(_)
            | Self::Refuse(_) => None,
        }
    }
}

/// What a node waits for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Waiting {
    /// Fewer nodes than expected have answered.
    #[error("{answered} of {expected} nodes answer, {silent} addresses are silent")]
    Nodes {
        /// Nodes that answered, this one included.
        answered: usize,
        /// Addresses without an answer that no known node explains.
        silent: usize,
        /// Nodes expected.
        expected: usize,
    },
    /// More nodes than expected may be there.
    #[error("{answered} nodes answer and {silent} addresses are silent, {expected} nodes expected")]
    TooMany {
        /// Nodes that answered, this one included.
        answered: usize,
        /// Addresses without an answer that no known node explains.
        silent: usize,
        /// Nodes expected.
        expected: usize,
    },
    /// The node with the smallest id is to draw the plan.
    #[error("node {planner} is to plan the cluster")]
    Planner {
        /// That node.
        planner: NodeId,
    },
    /// Another node has promised a plan already; this one will be asked, or may join.
    #[error("a cluster {cluster} is being founded")]
    Founding {
        /// The cluster to be.
        cluster: ClusterId,
    },
    /// Founders have not promised.
    #[error("the plan of cluster {cluster} lacks the promise of {}", list(missing))]
    Promises {
        /// The cluster to be.
        cluster: ClusterId,
        /// Founders that have not promised.
        missing: Vec<NodeId>,
    },
    /// There is a cluster, but this node's promise to another plan may still be carried out.
    #[error("promised to cluster {promised}, while {node} belongs to cluster {cluster}")]
    PromisedElsewhere {
        /// The cluster of this node's promise.
        promised: ClusterId,
        /// A node of the other cluster.
        node: NodeId,
        /// The other cluster.
        cluster: ClusterId,
    },
    /// Two processes answer under one node id.
    #[error("two processes answer as node {node}")]
    Clash {
        /// The node id.
        node: NodeId,
    },
    /// Nobody who answers belongs to a cluster, and this node may only join.
    #[error("no address belongs to a cluster")]
    NoCluster,
}

/// Why a node cannot start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedStart {
    /// The seeds lead to two clusters.
    #[error("{first_node} belongs to cluster {first}, {second_node} to cluster {second}")]
    TwoClusters {
        /// One of them.
        first: ClusterId,
        /// A node of it.
        first_node: NodeId,
        /// The other.
        second: ClusterId,
        /// A node of it.
        second_node: NodeId,
    },
    /// The settings make no cluster.
    #[error("no cluster can be founded: {what}")]
    Settings {
        /// What is wrong with them.
        what: &'static str,
    },
}

/// Decides what to do next. `fresh` is a cluster id drawn for this call; it is used only if a plan
/// is drawn.
pub fn decide(
    me: &Myself,
    config: BootstrapConfig,
    data: &DataState,
    answers: &[Answer],
    fresh: ClusterId,
) -> Decision {
    let plan = match data {
        DataState::Member(cluster) => return Decision::Resume(*cluster),
        DataState::Promised(plan) => Some(plan),
        DataState::Empty => None,
    };
    let call = RollCall::new(me, answers);
    if let Some(node) = call.clash() {
        return Decision::Wait(Waiting::Clash { node });
    }
    match plan {
        Some(plan) => decide_promised(me, plan, &call),
        None => decide_empty(me, config, &call, fresh),
    }
}

fn decide_promised(me: &Myself, plan: &Founding, call: &RollCall<'_>) -> Decision {
    let others = || plan.nodes.iter().map(|founder| founder.node).filter(|node| *node != me.node);
    let cluster = plan.cluster_id;
    // A member of the plan's cluster saw every promise; so the plan is carried out, come what may.
    if call.members().any(|(_, _, other)| other == cluster) {
        return Decision::Initialize(plan.clone());
    }
    let told = |node| call.told(node);
    if others().all(|node| told(node) == Some(Told::Promised(cluster))) {
        return Decision::Initialize(plan.clone());
    }
    if let Some((node, address, other)) = call.members().next() {
        // A founder that promised another plan, or belongs to another cluster, will never promise
        // this one: then nobody ever sees all promises, and this node is free.
        let is_lost = |node| match told(node) {
            Some(Told::Promised(other) | Told::Member(other)) => other != cluster,
            Some(Told::Empty) | None => false,
        };
        return if !others().any(is_lost) {
            Decision::Wait(Waiting::PromisedElsewhere { promised: cluster, node, cluster: other })
        } else if let Some(refused) = call.two_clusters() {
            Decision::Refuse(refused)
        } else {
            Decision::Join { cluster: other, via: node, address }
        };
    }
    let missing = others().filter(|node| told(*node) != Some(Told::Promised(cluster)));
    let from: Vec<(NodeId, SocketAddr)> = others()
        .filter(|node| told(*node) == Some(Told::Empty))
        .filter_map(|node| Some((node, call.address(node)?)))
        .collect();
    if from.is_empty() {
        return Decision::AskAgain(Waiting::Promises { cluster, missing: missing.collect() });
    }
    Decision::CollectPromises { plan: plan.clone(), from }
}

fn decide_empty(
    me: &Myself,
    config: BootstrapConfig,
    call: &RollCall<'_>,
    fresh: ClusterId,
) -> Decision {
    if let Some(refused) = call.two_clusters() {
        return Decision::Refuse(refused);
    }
    if let Some((via, address, cluster)) = call.members().next() {
        return Decision::Join { cluster, via, address };
    }
    if config.join_only {
        return Decision::Wait(Waiting::NoCluster);
    }
    if let Some(cluster) = call.promised().next() {
        return Decision::AskAgain(Waiting::Founding { cluster });
    }
    let (answered, silent) = (call.node_count(), call.silent());
    let expected = config.expected_nodes;
    if answered + silent > expected {
        return Decision::Wait(Waiting::TooMany { answered, silent, expected });
    }
    if answered < expected {
        return Decision::Wait(Waiting::Nodes { answered, silent, expected });
    }
    let founders = call.founders();
    match founders.first() {
        Some(first) if first.node != me.node => {
            Decision::AskAgain(Waiting::Planner { planner: first.node })
        }
        _ => match found::draw(fresh, founders, config) {
            Ok(plan) => Decision::Promise(plan),
            Err(malformed) => Decision::Refuse(RefusedStart::Settings { what: malformed.what }),
        },
    }
}

/// What a node does that is asked for its promise to a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consideration {
    /// Write the promise, sync it, then answer that it is given.
    Promise,
    /// Answer that it was given before.
    Promised,
    /// Answer no.
    Decline(Declined),
}

/// Why a promise is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Declined {
    /// The plan is not one for this node.
    #[error("the plan does not fit: {what}")]
    Unfit {
        /// Why not.
        what: &'static str,
    },
    /// The node has promised another plan.
    #[error("promised to the plan of cluster {cluster}")]
    Promised {
        /// The cluster of that plan.
        cluster: ClusterId,
    },
    /// The node belongs to another cluster.
    #[error("belongs to cluster {cluster}")]
    Member {
        /// That cluster.
        cluster: ClusterId,
    },
}

/// Answers a founder who asks for the promise to a plan.
pub fn consider(
    me: &Myself,
    config: BootstrapConfig,
    data: &DataState,
    plan: &Founding,
) -> Consideration {
    let unfit = |what| Consideration::Decline(Declined::Unfit { what });
    match data {
        DataState::Promised(other) if other == plan => Consideration::Promised,
        DataState::Promised(other) => {
            Consideration::Decline(Declined::Promised { cluster: other.cluster_id })
        }
        DataState::Member(cluster) if *cluster == plan.cluster_id => Consideration::Promised,
        DataState::Member(cluster) => {
            Consideration::Decline(Declined::Member { cluster: *cluster })
        }
        DataState::Empty if config.join_only => unfit("this node may only join"),
        DataState::Empty if !plan.has(me.node) => unfit("this node is not one of its founders"),
        DataState::Empty if plan.nodes.len() != config.expected_nodes => {
            unfit("this node expects another number of founders")
        }
        DataState::Empty => match plan.check() {
            Ok(()) => Consideration::Promise,
            Err(malformed) => unfit(malformed.what),
        },
    }
}

fn list(nodes: &[NodeId]) -> String {
    let names: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    names.join(", ")
}

const _: () = assert!(limits::ASK_AGAIN_AFTER.0 < limits::WAIT_BEFORE_ASKING.0);
