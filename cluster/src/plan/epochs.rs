//! Bringing in a ring epoch: first its shards, then a fence in every old one, then the routing.
//!
//! Invariant (PLC-1): an epoch is routed by only when every shard of the epochs before refuses
//! batches routed by those. Until then some coordinators route a trace by the old ring and some by
//! the new one, and only the fence keeps the first kind out.

use std::collections::BTreeMap;

use model::ShardId;

use super::facts::Facts;
use super::placement::{Placement, place};
use super::step::Step;
use super::view::{GroupView, View};
use crate::identity::shard_of_group;
use crate::meta::limits::SHARDS_ADDED_MAX;
use crate::meta::{Epoch, EpochState, MetaCommand, MetaState, Refusal};

/// The command that adds `count` shards, placed on the members as they are now.
pub fn add_shards(
    state: &MetaState,
    facts: &Facts,
    now: model::time::Monotonic,
    count: u32,
) -> Result<MetaCommand, Refusal> {
    let newest = state.epochs().last().copied().ok_or(Refusal::NotFounded)?;
    if usize::try_from(count).map_or(true, |count| count > SHARDS_ADDED_MAX) || count == 0 {
        return Err(Refusal::TooMany { what: "shards added", max: SHARDS_ADDED_MAX });
    }
    let view = View { state, facts, now };
    let sites: Vec<_> = view.sites().into_iter().filter(|site| site.takes_more).collect();
    let factor = state.settings().replication_factor;
    let width = usize::try_from(factor).unwrap_or(usize::MAX);
    if sites.len() < width {
        return Err(Refusal::TooFewNodes { nodes: sites.len(), factor });
    }
    let first = newest.shard_count;
    let wanted: Placement =
        (first..first.saturating_add(count)).map(|shard| (ShardId(shard), Vec::new())).collect();
    let others: Placement = state
        .groups()
        .iter()
        .filter_map(|(id, group)| {
            let nodes = group.voters().map(|replica| replica.node).collect();
            Some((shard_of_group(*id)?, nodes))
        })
        .collect();
    let placed: BTreeMap<_, _> = place(&sites, width, &wanted, &others);
    Ok(MetaCommand::AddShards { expected: newest.id, placement: placed.into_values().collect() })
}

/// The next step of the epoch that is being brought in, if it is one for the meta group.
pub(crate) fn advance(view: View<'_>) -> Option<Step> {
    let newest = view.state.epochs().last()?;
    match newest.state {
        EpochState::Preparing => {
            // The old ones as well: a shard that cannot be fenced holds up the writes to all that
            // are.
            let mut shards =
                view.state.groups().iter().filter(|(id, _)| shard_of_group(**id).is_some());
            let is_ready = shards.all(|(id, group)| {
                let facts = view.facts.groups.get(id);
                group.is_formed && facts.is_some_and(|facts| facts.leader.is_some())
            });
            is_ready.then_some(Step::StartFence { epoch: newest.id })
        }
        EpochState::Fencing => {
            let mut old =
                view.state.groups().iter().filter(|(id, group)| {
                    group.epoch < newest.id && shard_of_group(**id).is_some()
                });
            let is_fenced = old.all(|(id, _)| {
                view.facts.groups.get(id).is_some_and(|facts| facts.fenced >= newest.id)
            });
            is_fenced.then_some(Step::ActivateEpoch { epoch: newest.id })
        }
        EpochState::Active => None,
    }
}

/// The fence of one old shard.
pub(crate) fn fence(group: &GroupView<'_>) -> Option<Step> {
    let newest: &Epoch = group.view.state.epochs().last()?;
    let is_due = newest.state == EpochState::Fencing
        && shard_of_group(group.id).is_some()
        && group.intent.epoch < newest.id
        && group.facts.fenced < newest.id;
    is_due.then_some(Step::Fence { at: group.at, epoch: newest.id })
}
