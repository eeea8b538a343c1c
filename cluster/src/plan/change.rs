//! One plan over the whole cluster: asks the parts in their order and keeps the global bounds.

use std::collections::BTreeSet;

use model::time::Monotonic;
use storage::log::GroupId;

use super::facts::Facts;
use super::follow::{follow, form, is_moving};
use super::intent::Intents;
use super::limits::MOVES_MAX;
use super::step::{Alarm, Step};
use super::view::{GroupView, View};
use super::{epochs, leaders, names, rebalance};
use crate::identity::META_GROUP;
use crate::meta::MetaState;

/// What to do, and what to tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Steps, at most one for each group. They may be done in any order, or at the same time.
    pub steps: Vec<Step>,
    /// What somebody should know.
    pub alarms: Vec<Alarm>,
}

/// What to do next. Perform it, gather the facts anew, and ask again.
pub fn plan(state: &MetaState, facts: &Facts, now: Monotonic) -> Plan {
    let view = View { state, facts, now };
    let mut plan = Plan::default();
    if state.cluster().is_none() {
        return plan;
    }
    let (steps, alarms) = names::nodes(view);
    plan.steps.extend(steps);
    plan.alarms.extend(alarms);
    plan.steps.extend(epochs::advance(view));
    plan.steps.extend(epochs::clear(view));
    plan.alarms.extend(epochs::waits(view));

    let formed = || state.groups().iter().filter(|(_, group)| group.is_formed);
    let unformed = state.groups().iter().filter(|(_, group)| !group.is_formed);
    plan.steps.extend(unformed.filter_map(|(id, group)| form(view, *id, group)));
    let groups: Vec<GroupView<'_>> =
        formed().filter_map(|(id, group)| GroupView::new(view, *id, group)).collect();

    let fenced = |group: &GroupView<'_>| epochs::fence(group).or_else(|| follow(group));
    plan.steps.extend(groups.iter().filter_map(fenced));
    change_intents(&mut plan, view, &groups);
    let is_calm = plan.steps.is_empty();
    if is_calm {
        plan.steps.extend(rebalance::rebalance(view, &groups).map(Step::Propose));
    }
    let free = free(&plan, &groups);
    for transfer in leaders::spread(view, &groups, &free) {
        let leaders::Transfer { at, to, node } = transfer;
        plan.steps.push(Step::TransferLeader { at, to, node });
    }
    plan.alarms.extend(groups.iter().filter_map(|group| under_replicated(view, group)));
    plan
}

/// New intents for groups that have no step, as far as the moves under way leave room.
fn change_intents(plan: &mut Plan, view: View<'_>, groups: &[GroupView<'_>]) {
    let moving = groups.iter().filter(|group| group.id != META_GROUP && is_moving(group)).count();
    let mut intents = Intents::new(view, MOVES_MAX.saturating_sub(moving));
    for group in free(plan, groups) {
        plan.steps.extend(intents.next(&group).map(Step::Propose));
    }
    plan.alarms.append(&mut intents.alarms);
}

/// Groups that the plan has no step for.
fn free<'a>(plan: &Plan, groups: &[GroupView<'a>]) -> Vec<GroupView<'a>> {
    let taken: BTreeSet<GroupId> = plan.steps.iter().filter_map(Step::group).collect();
    groups.iter().filter(|group| !taken.contains(&group.id)).copied().collect()
}

fn under_replicated(view: View<'_>, group: &GroupView<'_>) -> Option<Alarm> {
    if group.id == META_GROUP {
        return None;
    }
    let factor = usize::try_from(view.state.settings().replication_factor).unwrap_or(usize::MAX);
    let voters = &group.facts.configuration.voters;
    let up = voters.iter().filter(|replica| group.is_up(**replica)).count();
    (up < factor).then_some(Alarm::UnderReplicated { group: group.id, up, wanted: factor })
}
