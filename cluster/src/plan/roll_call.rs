//! Who answered, counted by node: the same node under two addresses is one, and an address that
//! stays silent is one unless a known node explains it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use model::NodeId;

use super::bootstrap::{Answer, Hello, Myself, RefusedStart, Told};
use crate::identity::ClusterId;
use crate::meta::Founder;
use crate::transport::Incarnation;

/// The answers of one round.
#[derive(Debug)]
pub(crate) struct RollCall<'a> {
    me: &'a Myself,
    /// Other nodes that answered, with the address of each.
    others: BTreeMap<NodeId, (&'a Hello, SocketAddr)>,
    clash: Option<NodeId>,
    silent: usize,
}

impl<'a> RollCall<'a> {
    pub(crate) fn new(me: &'a Myself, answers: &'a [Answer]) -> Self {
        let mut others = BTreeMap::new();
        let mut lives: BTreeMap<NodeId, Incarnation> = BTreeMap::new();
        lives.insert(me.node, me.incarnation);
        let mut clash = None;
        for answer in answers {
            let Some(hello) = &answer.hello else { continue };
            let life = *lives.entry(hello.node).or_insert(hello.incarnation);
            if life != hello.incarnation {
                clash = Some(hello.node);
            }
            if hello.node != me.node {
                others.entry(hello.node).or_insert((hello, answer.address));
            }
        }
        Self { me, others, clash, silent: silent(answers) }
    }

    /// A node id under which two processes answer.
    pub(crate) fn clash(&self) -> Option<NodeId> {
        self.clash
    }

    /// Nodes that answered, this one included.
    pub(crate) fn node_count(&self) -> usize {
        self.others.len() + 1
    }

    /// Silent addresses that no known node explains.
    pub(crate) fn silent(&self) -> usize {
        self.silent
    }

    /// What another node tells of its disk.
    pub(crate) fn told(&self, node: NodeId) -> Option<Told> {
        self.others.get(&node).map(|(hello, _)| hello.told)
    }

    /// Where another node answered.
    pub(crate) fn address(&self, node: NodeId) -> Option<SocketAddr> {
        self.others.get(&node).map(|(_, address)| *address)
    }

    /// Nodes that belong to a cluster, by id.
    pub(crate) fn members(&self) -> impl Iterator<Item = (NodeId, SocketAddr, ClusterId)> {
        self.others.iter().filter_map(|(node, (hello, address))| match hello.told {
            Told::Member(cluster) => Some((*node, *address, cluster)),
            Told::Empty | Told::Promised(_) => None,
        })
    }

    /// Plans that somebody promised.
    pub(crate) fn promised(&self) -> impl Iterator<Item = ClusterId> {
        self.others.values().filter_map(|(hello, _)| match hello.told {
            Told::Promised(cluster) => Some(cluster),
            Told::Empty | Told::Member(_) => None,
        })
    }

    /// Both clusters by name, if there are two.
    pub(crate) fn two_clusters(&self) -> Option<RefusedStart> {
        let (first_node, _, first) = self.members().next()?;
        let (second_node, _, second) = self.members().find(|(_, _, other)| *other != first)?;
        Some(RefusedStart::TwoClusters { first, first_node, second, second_node })
    }

    /// Everybody who is there, by id.
    pub(crate) fn founders(&self) -> Vec<Founder> {
        let me = Founder { node: self.me.node, record: self.me.record.clone() };
        let other = |(node, (hello, _)): (&NodeId, &(&Hello, SocketAddr))| Founder {
            node: *node,
            record: hello.record.clone(),
        };
        let mut founders: Vec<Founder> = self.others.iter().map(other).collect();
        founders.push(me);
        founders.sort_unstable_by_key(|founder| founder.node);
        founders
    }
}

/// Counts the silent addresses that no known node explains.
///
/// A seed of two address families (`localhost`, a service of a dual-stack cluster) names each of
/// its nodes twice, and a node may listen on one family alone. So within a seed, a silent address
/// of one family is explained by a node that answered on the other family but not on this one.
fn silent(answers: &[Answer]) -> usize {
    let mut counted: BTreeSet<SocketAddr> = BTreeSet::new();
    let mut by_seed: BTreeMap<&str, [Family; 2]> = BTreeMap::new();
    for answer in answers {
        // A silent address that two seeds name is counted once.
        if answer.hello.is_none() && !counted.insert(answer.address) {
            continue;
        }
        let [four, six] = by_seed.entry(&answer.seed).or_default();
        let family = if answer.address.is_ipv4() { four } else { six };
        match &answer.hello {
            Some(hello) => _ = family.nodes.insert(hello.node),
            None => family.silent += 1,
        }
    }
    let unexplained = |family: &Family, other: &Family| {
        family.silent.saturating_sub(other.nodes.difference(&family.nodes).count())
    };
    let of_seed = |[four, six]: &[Family; 2]| unexplained(four, six).max(unexplained(six, four));
    by_seed.values().map(of_seed).sum()
}

/// The addresses of one family that a seed resolved to.
#[derive(Debug, Default)]
struct Family {
    nodes: BTreeSet<NodeId>,
    silent: usize,
}
