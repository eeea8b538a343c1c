//! Steps, alarms and the shard map in words.
#![expect(clippy::format_push_string, reason = "what is printed reads as it will look")]

use std::collections::BTreeSet;

use cluster::identity::{ReplicaId, shard_of_group};
use cluster::meta::{MetaCommand, Role, Standing};
use cluster::plan::{Alarm, Plan, Step, Transfer};
use model::NodeId;
use storage::log::GroupId;

use crate::world::World;

/// Nodes are called by letters in scripts.
pub(crate) fn letter(node: NodeId) -> char {
    char::from(b'a' + node.0[0].wrapping_sub(1))
}

pub(crate) fn node(letter: &str) -> NodeId {
    let byte = *letter.as_bytes().first().expect("a letter");
    assert!(byte.is_ascii_lowercase() && letter.len() == 1, "{letter} is not a node");
    NodeId([byte - b'a' + 1; 16])
}

pub(crate) fn group(id: GroupId) -> String {
    shard_of_group(id).map_or("meta".to_owned(), |shard| format!("s{shard}"))
}

fn letters(nodes: impl IntoIterator<Item = NodeId>) -> String {
    let names: Vec<String> = nodes.into_iter().map(|node| letter(node).to_string()).collect();
    names.join(" ")
}

/// A replica and where it lies.
fn replica(world: &World, id: ReplicaId) -> String {
    let groups = world.state.groups().values();
    let meant = groups.flat_map(|group| &group.replicas).find(|replica| replica.id == id);
    let buried = world.state.tombstones().get(&id).map(|tombstone| tombstone.node);
    match meant.map(|replica| replica.node).or(buried) {
        Some(node) => format!("{id}@{}", letter(node)),
        None => id.to_string(),
    }
}

fn replicas(world: &World, ids: &BTreeSet<ReplicaId>) -> String {
    let names: Vec<String> = ids.iter().map(|id| replica(world, *id)).collect();
    names.join(" ")
}

pub(crate) fn plan(world: &World, plan: &Plan) -> String {
    let steps = plan.steps.iter().map(|next| format!("{}\n", step(world, next)));
    let alarms = plan.alarms.iter().map(|next| format!("! {}\n", alarm(world, next)));
    let text: String = steps.chain(alarms).collect();
    if text.is_empty() { "nothing\n".to_owned() } else { text }
}

pub(crate) fn step(world: &World, step: &Step) -> String {
    let name = |id: &ReplicaId| replica(world, *id);
    match step {
        Step::Propose(command) => format!("propose {}", self::command(world, command)),
        Step::CreateGroup { group, members, on } => {
            let members: BTreeSet<ReplicaId> = members.iter().map(|(id, _)| *id).collect();
            let members = replicas(world, &members);
            format!("{}: create on {}: {members}", self::group(*group), letters(on.clone()))
        }
        Step::AddLearner { at, replica, .. } => {
            format!("{}: add learner {}", group(at.group), name(replica))
        }
        Step::ChangeVoters { at, voters } => {
            format!("{}: voters become {}", group(at.group), replicas(world, voters))
        }
        Step::RemoveLearner { at, replica } => {
            format!("{}: remove learner {}", group(at.group), name(replica))
        }
        Step::TransferLeader { at, to, .. } => {
            format!("{}: leader {} to {}", group(at.group), name(&at.leader), name(to))
        }
        Step::ConfirmGone { at, replica } => {
            format!("{}: confirm {} is gone", group(at.group), name(replica))
        }
        Step::DeleteReplica { group, replica, node } => {
            format!("{}: delete {replica} on {}", self::group(*group), letter(*node))
        }
        Step::StartFence { epoch } => format!("propose start fence of epoch {epoch}"),
        Step::ActivateEpoch { epoch } => format!("propose activate epoch {epoch}"),
        Step::Fence { at, epoch } => format!("{}: fence for epoch {epoch}", group(at.group)),
    }
}

pub(crate) fn transfer(world: &World, transfer: &Transfer) -> String {
    let Transfer { at, to, node } = *transfer;
    step(world, &Step::TransferLeader { at, to, node })
}

fn command(world: &World, command: &MetaCommand) -> String {
    match command {
        MetaCommand::ChangeReplicas { group, remove, add, .. } => {
            let gone: Vec<String> =
                remove.iter().map(|id| format!(" -{}", replica(world, *id))).collect();
            let role = |role| if role == Role::Voter { "" } else { " as learner" };
            let come: Vec<String> =
                add.iter().map(|a| format!(" +{}{}", letter(a.node), role(a.role))).collect();
            format!("change {}:{}{}", self::group(*group), gone.concat(), come.concat())
        }
        MetaCommand::GroupFormed { group, .. } => format!("{} formed", self::group(*group)),
        MetaCommand::ReplaceNode { old, new, .. } => {
            format!("{} takes the place of {}", letter(*new), letter(*old))
        }
        MetaCommand::NodeGone { node } => format!("{} is gone", letter(*node)),
        MetaCommand::ForgetReplica { replica } => {
            format!("forget {}", self::replica(world, *replica))
        }
        MetaCommand::AbandonEpoch { epoch } => format!("abandon epoch {epoch}"),
        other => format!("{other:?}"),
    }
}

fn alarm(world: &World, alarm: &Alarm) -> String {
    match alarm {
        Alarm::NameClash { older, newer } => {
            format!("{} and {} have one name", letter(*older), letter(*newer))
        }
        Alarm::UnderReplicated { group, up, wanted } => {
            format!("{} has {up} of {wanted} copies up", self::group(*group))
        }
        Alarm::EpochWaits { epoch, group } => {
            format!("epoch {epoch} waits for {}", self::group(*group))
        }
        Alarm::NowhereToGo { group, replica } => {
            let name = self::replica(world, *replica);
            format!("{}: nowhere to go for {name}", self::group(*group))
        }
    }
}

/// The shard map: what is meant, and where that differs, what is.
pub(crate) fn map(world: &World) -> String {
    let mut text = String::new();
    for (id, meant) in world.state.groups() {
        let wanted: BTreeSet<ReplicaId> = meant.voters().map(|replica| replica.id).collect();
        let mut line = format!("{}: {}", group(*id), replicas(world, &wanted));
        match world.rafts.get(id) {
            None => line.push_str(" (not there)"),
            Some(raft) => {
                let configuration = &raft.configuration;
                if configuration.voters != wanted {
                    line.push_str(&format!(" is {}", replicas(world, &configuration.voters)));
                }
                if configuration.is_joint() {
                    let outgoing = replicas(world, &configuration.outgoing);
                    line.push_str(&format!(" with {outgoing}"));
                }
                if !configuration.learners.is_empty() {
                    let learners = replicas(world, &configuration.learners);
                    line.push_str(&format!(" learners {learners}"));
                }
                match raft.leader.and_then(|leader| world.holder(*id, leader)) {
                    Some(node) => line.push_str(&format!(" led by {}", letter(node))),
                    None => line.push_str(" without a leader"),
                }
            }
        }
        text.push_str(&format!("{line}\n"));
    }
    for (node, known) in world.state.nodes() {
        let name = letter(*node);
        match known.standing {
            Standing::Member => {}
            Standing::Leaving { successor: None } => text.push_str(&format!("{name} is leaving\n")),
            Standing::Leaving { successor: Some(next) } => {
                text.push_str(&format!("{name} is leaving for {}\n", letter(next)));
            }
            Standing::Removed => text.push_str(&format!("{name} is removed\n")),
        }
    }
    for (id, tombstone) in world.state.tombstones() {
        let confirmed = if tombstone.is_confirmed { "confirmed" } else { "unconfirmed" };
        text.push_str(&format!("tombstone {} {confirmed}\n", replica(world, *id)));
    }
    text
}
