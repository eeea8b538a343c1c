//! Bringing in a ring epoch: first its shards, then a fence in every old one, then the routing.
//!
//! Invariant (PLC-1): an epoch is routed by only when every shard of the epochs before refuses
//! batches routed by those. Until then some coordinators route a trace by the old ring and some by
//! the new one, and only the fence keeps the first kind out.
//!
//! A shard that has lost its majority cannot be fenced, and those that are refuse all writes
//! meanwhile. So an epoch that has to wait for one is abandoned after a while: writes go on by the
//! former ring, and whoever wanted the shards asks again.

use std::collections::BTreeMap;

use model::{Duration, ShardId};
use storage::log::GroupId;

use super::facts::Facts;
use super::follow;
use super::limits::{EPOCH_WAIT_TOLD_AFTER, FENCING_WAIT_MAX, PREPARING_WAIT_MAX};
use super::placement::{Placement, place};
use super::step::{Alarm, Step};
use super::view::{GroupView, View};
use crate::identity::{group_of_shard, shard_of_group};
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
    // Without it no fence would be begun, and the epoch would come to nothing.
    let has_leader = |id| facts.groups.get(id).is_some_and(|facts| facts.leader.is_some());
    let mut shards = state.groups().keys().filter(|id| shard_of_group(**id).is_some());
    if let Some(group) = shards.find(|id| !has_leader(id))
        && newest.state == EpochState::Active
    {
        return Err(Refusal::NoLeader { group: *group });
    }
    let view = View { state, facts, now };
    let first = newest.shard_count;
    let wanted: Placement =
        (first..first.saturating_add(count)).map(|shard| (ShardId(shard), Vec::new())).collect();
    // What an abandoned epoch left of shards with these numbers has to go first.
    let is_free = |node| wanted.keys().all(|shard| state.may_hold(group_of_shard(*shard), node));
    let sites: Vec<_> =
        view.sites().into_iter().filter(|site| site.takes_more && is_free(site.node)).collect();
    let factor = state.settings().replication_factor;
    let width = usize::try_from(factor).unwrap_or(usize::MAX);
    if sites.len() < width {
        return Err(Refusal::TooFewNodes { nodes: sites.len(), factor });
    }
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
            if is_ready {
                return Some(Step::StartFence { epoch: newest.id });
            }
            abandon(view, newest, PREPARING_WAIT_MAX)
        }
        EpochState::Fencing => {
            let mut old =
                view.state.groups().iter().filter(|(id, group)| {
                    group.epoch < newest.id && shard_of_group(**id).is_some()
                });
            let is_fenced = old.all(|(id, _)| {
                view.facts.groups.get(id).is_some_and(|facts| facts.fenced >= newest.id)
            });
            if is_fenced {
                return Some(Step::ActivateEpoch { epoch: newest.id });
            }
            abandon(view, newest, FENCING_WAIT_MAX)
        }
        EpochState::Active => None,
    }
}

/// Shards without a leader that the epoch waits for: none can be fenced, nor an own one be formed.
fn waits_for<'a>(
    view: View<'a>,
    newest: &'a Epoch,
) -> impl Iterator<Item = (GroupId, Duration)> + 'a {
    let leaderless = view.facts.leaderless.iter().filter_map(move |(id, since)| {
        let group = view.state.groups().get(id)?;
        let fenced = view.facts.groups.get(id).is_some_and(|facts| facts.fenced >= newest.id);
        let is_waited_for = match newest.state {
            EpochState::Preparing => true,
            EpochState::Fencing => group.epoch < newest.id && !fenced,
            EpochState::Active => false,
        };
        is_waited_for.then(|| (*id, view.now.since(*since)))
    });
    leaderless.filter(|(id, _)| shard_of_group(*id).is_some())
}

/// Gives the epoch up that has waited for too long: what is fenced refuses writes until then.
fn abandon(view: View<'_>, newest: &Epoch, wait_max: Duration) -> Option<Step> {
    let is_stuck = waits_for(view, newest).any(|(_, waited)| waited >= wait_max);
    is_stuck.then_some(Step::Propose(MetaCommand::AbandonEpoch { epoch: newest.id }))
}

/// What the newest epoch waits for, if that takes long.
pub(crate) fn waits(view: View<'_>) -> Vec<Alarm> {
    let Some(newest) = view.state.epochs().last() else { return Vec::new() };
    let long = waits_for(view, newest).filter(|(_, waited)| *waited >= EPOCH_WAIT_TOLD_AFTER);
    long.map(|(group, _)| Alarm::EpochWaits { epoch: newest.id, group }).collect()
}

/// What is left of the shards of abandoned epochs goes, a step for each at a time: of those that
/// were formed since, whoever leads them says what goes.
pub(crate) fn clear(view: View<'_>) -> Vec<Step> {
    let is_gone =
        |group: &GroupId| view.state.groups().get(group).is_none_or(|group| !group.is_formed);
    let mut steps: BTreeMap<GroupId, Step> = BTreeMap::new();
    let left = view.state.tombstones().iter().filter(|(_, it)| it.is_confirmed);
    for (replica, tombstone) in left.filter(|(_, it)| is_gone(&it.group)) {
        if let Some(step) = follow::clear(view, *replica, tombstone) {
            steps.entry(tombstone.group).or_insert(step);
        }
    }
    // Made too late on an old request: its tombstone has gone.
    for (node, facts) in &view.facts.nodes {
        let held = facts.held.iter().flatten().filter(|(group, _)| is_gone(group));
        for (group, held) in held {
            let (group, replica, node) = (*group, held.replica, *node);
            let is_left = view.state.is_buried(group, replica) && view.answers(node);
            if is_left && !view.state.tombstones().contains_key(&replica) {
                steps.entry(group).or_insert(Step::DeleteReplica { group, replica, node });
            }
        }
    }
    steps.into_values().collect()
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
