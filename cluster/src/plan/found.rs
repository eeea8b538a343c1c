//! Draws the plan of a new cluster.

use std::collections::BTreeMap;

use model::{NodeId, ShardId};

use super::bootstrap::BootstrapConfig;
use super::placement::{Placement, Site, place};
use super::voters::{meta_voter_count, meta_voters};
use crate::identity::ClusterId;
use crate::meta::limits::SHARDS_ADDED_MAX;
use crate::meta::{CLUSTER_VERSION, Founder, Founding, MalformedFounding};

/// The plan for these founders, who are sorted by id.
pub(crate) fn draw(
    cluster_id: ClusterId,
    founders: Vec<Founder>,
    config: BootstrapConfig,
) -> Result<Founding, MalformedFounding> {
    let sites: Vec<Site> = founders.iter().map(site).collect();
    let factor = usize::try_from(config.replication_factor).unwrap_or(usize::MAX);
    if factor > founders.len() {
        return Err(MalformedFounding { what: "fewer nodes than copies" });
    }
    if usize::try_from(config.shard_count).map_or(true, |count| count > SHARDS_ADDED_MAX) {
        return Err(MalformedFounding { what: "too many shards" });
    }
    let wanted: Placement =
        (0..config.shard_count).map(|shard| (ShardId(shard), Vec::new())).collect();
    let mut placed = place(&sites, factor, &wanted, &BTreeMap::new());
    let shards: Vec<Vec<NodeId>> =
        wanted.keys().map(|shard| placed.remove(shard).unwrap_or_default()).collect();
    let oldest = founders.iter().map(|founder| founder.record.version).min().unwrap_or_default();
    let plan = Founding {
        cluster_id,
        cluster_version: oldest.min(CLUSTER_VERSION),
        replication_factor: config.replication_factor,
        meta_voters: meta_voters(&sites, meta_voter_count(sites.len()), &[]),
        nodes: founders,
        shards,
    };
    plan.check().map(|()| plan)
}

fn site(founder: &Founder) -> Site {
    Site { node: founder.node, zone: founder.record.zone.clone(), takes_more: true }
}
