//! The opinion that gossip has: who is there, since when, and what they say of themselves.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use model::NodeId;
use model::time::Monotonic;

use super::Facts;

/// What gossip thinks of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// It answers.
    Up,
    /// It did not answer, and has not yet spoken up.
    Suspect,
    /// It did not speak up, or said that it leaves.
    Down,
}

/// A node other than this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which.
    pub node: NodeId,
    /// Where its gossip is heard.
    pub address: SocketAddr,
    /// Which life of it: how often it was started.
    pub start: u64,
    /// What gossip thinks of it.
    pub state: MemberState,
    /// Since when, by this node's clock.
    pub since: Monotonic,
    /// What it said of itself last, if that was heard.
    pub facts: Option<Facts>,
}

/// All nodes but this one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Members {
    nodes: BTreeMap<NodeId, Member>,
}

impl Members {
    /// A node, if it was ever heard of.
    pub fn get(&self, node: NodeId) -> Option<&Member> {
        self.nodes.get(&node)
    }

    /// What gossip thinks of a node; one that was never heard of is nothing to it.
    pub fn state(&self, node: NodeId) -> Option<MemberState> {
        self.get(node).map(|member| member.state)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.nodes.values()
    }

    /// How many are not down.
    pub fn active(&self) -> usize {
        self.iter().filter(|member| member.state != MemberState::Down).count()
    }

    pub(crate) fn insert(&mut self, member: Member) {
        self.nodes.insert(member.node, member);
    }
}

impl FromIterator<Member> for Members {
    fn from_iter<T: IntoIterator<Item = Member>>(members: T) -> Self {
        Self { nodes: members.into_iter().map(|member| (member.node, member)).collect() }
    }
}
