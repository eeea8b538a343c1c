//! Placement: even, spread over zones, and stable.

use std::collections::BTreeMap;

use model::{NodeId, ShardId};

use super::node;
use crate::plan::placement::{Placement, Site, next_move, place, repeats};

fn sites(count: u8, zones: u8) -> Vec<Site> {
    (1..=count)
        .map(|number| Site {
            node: node(number),
            zone: if zones == 0 { String::new() } else { format!("z{}", number % zones) },
            takes_more: true,
        })
        .collect()
}

fn empty(shards: u32) -> Placement {
    (0..shards).map(|shard| (ShardId(shard), Vec::new())).collect()
}

fn placed(sites: &[Site], factor: usize, shards: u32) -> Placement {
    place(sites, factor, &empty(shards), &BTreeMap::new())
}

fn loads(placement: &Placement) -> Vec<usize> {
    let mut loads: BTreeMap<NodeId, usize> = BTreeMap::new();
    for node in placement.values().flatten() {
        *loads.entry(*node).or_default() += 1;
    }
    loads.into_values().collect()
}

fn moved(before: &Placement, after: &Placement) -> usize {
    let lost = |(shard, nodes): (&ShardId, &Vec<NodeId>)| {
        nodes.iter().filter(|node| !after[shard].contains(node)).count()
    };
    before.iter().map(lost).sum()
}

/// Evens out as the planner does, one move at a time, and counts the moves.
fn rebalanced(sites: &[Site], mut placement: Placement) -> (Placement, usize) {
    let mut moves = 0;
    while let Some(next) = next_move(sites, &placement, &|_, _, _| true) {
        let nodes = placement.get_mut(&next.shard).unwrap();
        assert!(nodes.contains(&next.from) && !nodes.contains(&next.to));
        nodes.retain(|node| *node != next.from);
        nodes.push(next.to);
        moves += 1;
        assert!(moves < 1_000, "moves without end");
    }
    (placement, moves)
}

/// Golden: two builds that draw a plan for the same nodes draw the same one.
#[test]
fn the_placement_never_changes() {
    let placement = placed(&sites(5, 0), 3, 6);
    let numbers: Vec<Vec<u8>> =
        placement.values().map(|nodes| nodes.iter().map(|node| node.0[0]).collect()).collect();
    assert_eq!(numbers, GOLDEN, "the hash, the points, the passes or the crate changed");
}

const GOLDEN: [[u8; 3]; 6] = [[1, 5, 2], [4, 1, 5], [2, 4, 3], [4, 3, 1], [5, 2, 4], [5, 2, 3]];

#[test]
fn every_shard_has_its_replicas_and_loads_are_even() {
    for count in 1..=9_u8 {
        for factor in 1..=usize::from(count).min(5) {
            for shards in [1, 2, 7, 18, 64] {
                let placement = placed(&sites(count, 0), factor, shards);
                for nodes in placement.values() {
                    let mut distinct = nodes.clone();
                    distinct.sort_unstable();
                    distinct.dedup();
                    assert_eq!(distinct.len(), factor, "{count} nodes, {factor} copies");
                }
                let loads = loads(&placement);
                let (min, max) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
                assert!(max - min <= 1, "{count} nodes, {factor} copies, {shards}: {loads:?}");
            }
        }
    }
}

#[test]
fn zones_are_spread() {
    for (count, zones) in [(6, 3), (9, 3), (4, 2), (5, 3), (7, 2)] {
        let sites = sites(count, zones);
        let placement = placed(&sites, 3, 24);
        let fewest = 3_usize.saturating_sub(usize::from(zones));
        let worst = placement.values().map(|nodes| repeats(&sites, nodes)).max().unwrap();
        // Five nodes in three zones have a zone of one node, which cannot hold all shards.
        let slack = usize::from(count % zones != 0);
        assert!(worst <= fewest + slack, "{count} nodes in {zones} zones: {worst}");
        let cap = (24 * 3_usize).div_ceil(usize::from(count)) + 1;
        assert!(loads(&placement).iter().all(|load| *load <= cap));
    }
}

#[test]
fn who_holds_a_shard_keeps_it() {
    let five = sites(5, 0);
    let before = placed(&five, 3, 30);
    let again = place(&five, 3, &before, &BTreeMap::new());
    assert_eq!(moved(&before, &again), 0);
    let more = place(&five, 4, &before, &BTreeMap::new());
    assert_eq!(moved(&before, &more), 0, "another copy moves none of the others");
    let fewer = place(&five, 2, &before, &BTreeMap::new());
    assert!(fewer.iter().all(|(shard, nodes)| nodes.iter().all(|n| before[shard].contains(n))));
}

#[test]
fn a_node_that_left_is_replaced_and_nothing_else_moves() {
    let six = sites(6, 0);
    let before = placed(&six, 3, 40);
    let five = &six[..5];
    let after = place(five, 3, &before, &BTreeMap::new());
    let left = before.values().flatten().filter(|other| **other == node(6)).count();
    let moves = moved(&before, &after);
    assert!(moves <= left + left / 2, "{moves} replicas moved, {left} had to");
    assert!(after.values().all(|nodes| nodes.len() == 3));
}

#[test]
fn a_node_that_joined_gets_its_share_and_no_more_moves_than_that() {
    for count in 3..8 {
        let before = placed(&sites(count, 0), 3, 24);
        let (after, moves) = rebalanced(&sites(count + 1, 0), before.clone());
        let share = 24 * 3 / usize::from(count + 1);
        assert!(moves.abs_diff(share) <= 1, "{moves} moves, a share is {share}");
        assert_eq!(moved(&before, &after), moves, "no replica moved twice");
        let loads = loads(&after);
        assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1, "{loads:?}");
    }
}

#[test]
fn a_zone_that_appears_is_used() {
    let one_zone = sites(4, 1);
    let before = placed(&one_zone, 2, 8);
    let mut two_zones = one_zone;
    let zone = "other".to_owned();
    two_zones.push(Site { node: node(5), zone: zone.clone(), takes_more: true });
    two_zones.push(Site { node: node(6), zone, takes_more: true });
    let (after, _) = rebalanced(&two_zones, before);
    let repeated = after.values().filter(|nodes| repeats(&two_zones, nodes) > 0).count();
    // Two nodes of six may take four and one more of sixteen each: eight shards need eight.
    assert_eq!(repeated, 0, "{after:?}");
}

#[test]
fn what_takes_no_more_gets_nothing_new() {
    let mut five = sites(5, 0);
    five[2].takes_more = false;
    let placement = placed(&five, 3, 20);
    assert!(placement.values().flatten().all(|other| *other != node(3)));
    let (after, _) = rebalanced(&five, placement);
    assert!(after.values().flatten().all(|other| *other != node(3)));
}

#[test]
fn shards_that_stay_count_as_load() {
    let three = sites(3, 0);
    let others = placed(&three[..1], 1, 6);
    let wanted = (6..9).map(|shard| (ShardId(shard), Vec::new())).collect();
    let new = place(&three, 1, &wanted, &others);
    assert!(new.values().flatten().all(|other| *other != node(1)), "{new:?}");
}

#[test]
fn no_nodes_is_no_placement() {
    assert!(placed(&[], 3, 2).values().all(Vec::is_empty));
    assert_eq!(next_move(&[], &empty(2), &|_, _, _| true), None);
    assert!(placed(&sites(2, 0), 3, 2).values().all(|nodes| nodes.len() == 2));
}
