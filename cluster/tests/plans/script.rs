//! Reads a script, does what it says, and writes it again with what came of it.
#![expect(clippy::format_push_string, reason = "what is printed reads as it will look")]

use cluster::meta::{MetaCommand, MetaState, Refusal};
use cluster::plan::{DiskMark, Gossip, add_shards, drain};
use model::Duration;
use storage::log::GroupId;

use crate::render;
use crate::world::{World, record};

/// Rounds after which a plan that never ends is given up.
const ROUNDS_MAX: usize = 80;

/// The script as it would be if everything it expects were so.
pub(crate) fn run(script: &str) -> String {
    let mut world = World::default();
    let mut written = String::new();
    let mut skipping = false;
    let mut printed = String::new();
    for line in script.lines() {
        if line == "----" {
            skipping = true;
            written.push_str("----\n");
            written.push_str(&std::mem::take(&mut printed));
        } else if skipping && !line.is_empty() {
            // What was expected before.
        } else {
            skipping = false;
            written.push_str(line);
            written.push('\n');
            if !line.is_empty() && !line.starts_with('#') {
                printed.push_str(&command(&mut world, line));
            }
        }
    }
    assert!(printed.is_empty(), "a block without `----`: it prints\n{printed}");
    written
}

/// `name` or `name=value` words after the first one.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn value(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    fn number(&self, key: &str, default: u32) -> u32 {
        self.value(key).map_or(default, |value| value.parse().unwrap())
    }

    fn plain(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().copied().filter(|word| !word.contains('='))
    }

    fn first(&self) -> &'a str {
        self.plain().next().expect("an argument")
    }
}

fn command(world: &mut World, line: &str) -> String {
    let mut words = line.split_whitespace();
    let verb = words.next().unwrap();
    let words = Words(words.collect());
    if happens(world, verb, &words) {
        return String::new();
    }
    match verb {
        "join" => {
            let name = words.value("name").unwrap_or(words.first());
            let record = record(name, words.value("zone").unwrap_or_default());
            said(world.join(render::node(words.first()), record))
        }
        "remove" => {
            let node = render::node(words.first());
            said(world.propose(&MetaCommand::RemoveNode { node }))
        }
        "rf" => {
            let factor = words.first().parse().unwrap();
            said(world.propose(&MetaCommand::SetReplicationFactor { factor }))
        }
        "add-shards" => {
            let count = words.first().parse().unwrap();
            let command = add_shards(&world.state, &world.facts(), world.now, count);
            said(command.and_then(|command| world.propose(&command)))
        }
        "epoch" => epoch(&world.state),
        "plan" => render::plan(world, &world.plan()),
        "do" => round(world),
        "late" => late(world),
        "run" => run_until_quiet(world),
        "map" => render::map(world),
        "drain" => {
            let node = render::node(words.first());
            let transfers = drain(&world.state, &world.facts(), world.now, node);
            let lines = transfers.iter().map(|t| format!("{}\n", render::transfer(world, t)));
            lines.collect()
        }
        other => panic!("no command {other}"),
    }
}

/// What befalls the cluster, and prints nothing; false if the verb is another.
fn happens(world: &mut World, verb: &str, words: &Words<'_>) -> bool {
    let now = world.now;
    let node = || render::node(words.first());
    match verb {
        "found" => found(world, words),
        "down" => world.down(node(), words.value("from").map(nodes).as_deref()),
        "up" => world.up(node()),
        "rumour" => world.machine(node()).gossip = Gossip::Down { since: now },
        "unreachable" => {
            let from = nodes(words.value("from").unwrap());
            let seen = from.into_iter().map(|observer| (observer, now));
            world.machine(node()).unreachable_from.extend(seen);
        }
        "clock" => {
            let seconds = words.first().parse().unwrap();
            world.now = now.plus(Duration::from_secs(seconds));
        }
        "low" => world.machine(node()).disk = DiskMark::Low,
        "ample" => world.machine(node()).disk = DiskMark::Ample,
        "draining" => world.machine(node()).is_draining = true,
        "damage" => {
            let group = group(words.value("group").unwrap());
            world.machine(node()).held.get_mut(&group).unwrap().is_damaged = true;
            world.elect();
        }
        "damage-block" => {
            let group = group(words.value("group").unwrap());
            let held = world.machine(node()).held.get_mut(&group).unwrap();
            held.is_damaged = true;
            let replica = held.replica;
            world.with_damaged_block.insert(replica);
        }
        "leader" => {
            let (group, on) = (group(words.first()), render::node(words.value("on").unwrap()));
            let replica = world.machine(on).held[&group].replica;
            world.rafts.get_mut(&group).unwrap().leader = Some(replica);
        }
        "halfway" => world.stops_halfway = true,
        "lag" => lag(world, words),
        "catch-up" => world.catch_up(),
        "transfers" => world.transfers_under_way = words.first().parse().unwrap(),
        _ => return false,
    }
    true
}

fn said(result: Result<(), Refusal>) -> String {
    result.err().map(|refusal| format!("refused: {refusal}\n")).unwrap_or_default()
}

fn nodes(list: &str) -> Vec<model::NodeId> {
    list.split(',').map(render::node).collect()
}

fn group(name: &str) -> GroupId {
    match name.strip_prefix('s') {
        Some(shard) => cluster::identity::group_of_shard(model::ShardId(shard.parse().unwrap())),
        None => cluster::identity::META_GROUP,
    }
}

/// `found a b/zone c rf=3 shards=2`: founds, and forms the groups.
fn found(world: &mut World, words: &Words<'_>) {
    let member = |word: &str| {
        let (name, zone) = word.split_once('/').unwrap_or((word, ""));
        (render::node(name), record(name, zone))
    };
    let nodes: Vec<_> = words.plain().map(member).collect();
    let factor = words.number("rf", u32::try_from(nodes.len().min(3)).unwrap());
    *world = World::found(&nodes, factor, words.number("shards", 1));
    if words.value("formed") != Some("no") {
        for _ in 0..4 {
            round(world);
        }
    }
}

/// `lag s0 on=d mib=9 ms=20`
fn lag(world: &mut World, words: &Words<'_>) {
    let (group, node) = (group(words.first()), render::node(words.value("on").unwrap()));
    let replica = world.machine(node).held[&group].replica;
    let bytes = u64::from(words.number("mib", 0)) << 20;
    let time = Duration::from_millis(words.number("ms", 0).into());
    world.rafts.get_mut(&group).unwrap().lags.insert(replica, (bytes, time));
}

fn epoch(state: &MetaState) -> String {
    let active = state.active_epoch().unwrap();
    let newest = state.epochs().last().unwrap();
    let (id, shards) = (active.id, active.shard_count);
    format!("routed by {id} over {shards} shards, newest {} {:?}\n", newest.id, newest.state)
}

/// One plan, performed.
fn round(world: &mut World) -> String {
    let plan = world.plan();
    let mut text = render::plan(world, &plan);
    for step in &plan.steps {
        if let Err(error) = world.perform(step) {
            text.push_str(&format!("failed: {}: {error}\n", render::step(world, step)));
        }
    }
    text
}

/// One plan, performed, and then performed once more: everything comes too late.
fn late(world: &mut World) -> String {
    let plan = world.plan();
    for step in &plan.steps {
        world.perform(step).unwrap();
    }
    let mut text = String::new();
    for step in &plan.steps {
        let came = world.perform(step).err().unwrap_or_else(|| "done again".to_owned());
        text.push_str(&format!("{}: {came}\n", render::step(world, step)));
    }
    text
}

/// Plan after plan until there is nothing to do; newcomers catch up between them.
fn run_until_quiet(world: &mut World) -> String {
    let mut text = String::new();
    for number in 1..=ROUNDS_MAX {
        if world.plan().steps.is_empty() {
            let plan = world.plan();
            if !plan.alarms.is_empty() {
                text.push_str(&render::plan(world, &plan));
            }
            return text;
        }
        text.push_str(&format!("{number}:\n{}", round(world)));
        world.catch_up();
    }
    panic!("a plan without end:\n{text}");
}
