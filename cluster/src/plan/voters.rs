//! Which nodes should vote in the meta group.

use std::collections::BTreeMap;

use model::NodeId;

use super::limits::META_VOTERS_MAX;
use super::placement::Site;

/// How many voters a cluster of so many nodes has: the largest odd number, up to five.
pub fn meta_voter_count(nodes: usize) -> usize {
    let odd = if nodes.is_multiple_of(2) { nodes.saturating_sub(1) } else { nodes };
    odd.min(META_VOTERS_MAX)
}

/// Chooses `count` of the sites: in zones of their own first, then those that vote already, then by
/// id. A site that takes no more can stay but not come.
pub fn meta_voters(sites: &[Site], count: usize, present: &[NodeId]) -> Vec<NodeId> {
    let mut chosen: Vec<&Site> = Vec::new();
    let mut by_zone: BTreeMap<&str, usize> = BTreeMap::new();
    while chosen.len() < count {
        let fit = |site: &&Site| {
            let is_chosen = chosen.iter().any(|other| other.node == site.node);
            !is_chosen && (site.takes_more || present.contains(&site.node))
        };
        let rank = |site: &&Site| {
            let in_zone = if site.zone.is_empty() { None } else { by_zone.get(&*site.zone) };
            (in_zone.copied().unwrap_or_default(), !present.contains(&site.node), site.node)
        };
        let Some(site) = sites.iter().filter(fit).min_by_key(rank) else { break };
        *by_zone.entry(&site.zone).or_default() += 1;
        chosen.push(site);
    }
    let mut nodes: Vec<NodeId> = chosen.iter().map(|site| site.node).collect();
    nodes.sort_unstable();
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(number: u8, zone: &str) -> Site {
        Site { node: NodeId([number; 16]), zone: zone.to_owned(), takes_more: true }
    }

    fn numbers(nodes: &[NodeId]) -> Vec<u8> {
        nodes.iter().map(|node| node.0[0]).collect()
    }

    #[test]
    fn rule_7_3_the_largest_odd_number_up_to_five() {
        let counts: Vec<usize> = (0..9).map(meta_voter_count).collect();
        assert_eq!(counts, [0, 1, 1, 3, 3, 5, 5, 5, 5]);
    }

    #[test]
    fn rule_7_3_zones_are_spread_and_present_voters_stay() {
        let plain: Vec<Site> = (1..=5).map(|number| site(number, "")).collect();
        assert_eq!(numbers(&meta_voters(&plain, 3, &[])), [1, 2, 3]);
        let present = [NodeId([4; 16]), NodeId([5; 16])];
        assert_eq!(numbers(&meta_voters(&plain, 3, &present)), [1, 4, 5]);
        let zoned = [site(1, "a"), site(2, "a"), site(3, "a"), site(4, "b"), site(5, "c")];
        let present = [NodeId([1; 16]), NodeId([2; 16]), NodeId([3; 16])];
        assert_eq!(numbers(&meta_voters(&zoned, 3, &present)), [1, 4, 5]);
    }
}
