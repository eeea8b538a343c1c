//! What is kept and what goes: logs behind blocks, blocks behind retention, damaged replicas.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cluster::upkeep::{self, DiskCap, UpkeepParts, UpkeepState};
use model::admin::{ChangeError, ClusterChange, ShardStatus};
use model::testing::{Generator, ManualClock};
use model::{Clock as _, ClusterAdmin as _, Duration, NodeId, Span};

use storage::Space;
use storage::log::LogIndex;

use crate::world::{Member, Shape, THREE, World, node};

/// Logs forget whatever is in blocks.
const FORGETFUL: Shape = Shape { log_kept_bytes: 0, ..THREE };

const DAY: u64 = 24 * 3_600;

fn purged(world: &World, number: usize) -> bool {
    world.host(number).shards().iter().all(|shard| {
        let cut = shard.seal_cut();
        cut.is_some() && world.purged(number, shard.group()) >= cut
    })
}

fn applied(world: &World, number: usize) -> Vec<Option<LogIndex>> {
    world.host(number).shards().iter().map(|shard| shard.applied()).collect()
}

fn spans_of(world: &World, number: usize) -> Vec<u64> {
    world.host(number).shards().iter().map(|shard| shard.stats().spans).collect()
}

#[tokio::test(start_paused = true)]
async fn who_lacks_what_the_log_forgot_gets_blocks() {
    let mut world = World::start(80, FORGETFUL).await;
    let before = Generator::new(80).spans(400);
    world.write(2, &before).await.unwrap();
    world.kill(2).await;
    let meanwhile = Generator::new(81).spans(400);
    world.write(0, &meanwhile).await.unwrap();
    // So that both seal the same: a follower hears a little later what is committed.
    world.until("both applied it", || applied(&world, 0) == applied(&world, 1)).await;
    for number in [0, 1] {
        world.seal(number);
    }
    world.until("the logs forget what is sealed", || (0..2).all(|it| purged(&world, it))).await;
    let after = Generator::new(82).spans(100);
    world.write(1, &after).await.unwrap();
    world.revive(2).await;
    world.settled(2, 3).await;
    world.until("all have the same", || spans_of(&world, 2) == spans_of(&world, 0)).await;
    assert!(world.host(2).shards().iter().all(|shard| shard.stats().blocks > 0));
    // Its own replicas hold all of it.
    let (all, end) = world.count(0).await.unwrap();
    assert!(end.completeness.is_complete());
    world.isolate(2);
    assert_eq!(world.count(2).await.unwrap().0, all);
    world.network.heal();
    require_equal_digests(&world, 1).await;
    // And it goes on from there, also after a start.
    world.kill(2).await;
    world.revive(2).await;
    world.settled(2, 3).await;
    for spans in [&before, &meanwhile, &after] {
        world.require(2, spans).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_with_a_damaged_block_is_replaced_by_a_sound_one() {
    let mut world = World::start(90, FORGETFUL).await;
    let spans = Generator::new(90).spans(600);
    world.write(0, &spans).await.unwrap();
    world.settled(0, 3).await;
    (0..3).for_each(|number| world.seal(number));
    world.kill(2).await;
    let files = world.members[2].files.paths();
    assert_eq!(files.len(), 4, "a block of each shard");
    let length = world.members[2].files.content(&files[0]).unwrap().len();
    assert!(world.members[2].files.flip(&files[0], length - 9, 0x20));
    world.revive(2).await;
    let is_sound = |world: &World| {
        let shards = world.host(2).shards();
        shards.len() == 4 && !shards.iter().any(|shard| shard.has_damage())
    };
    // The damage is found at the start, or not before it is read.
    world.until("the damaged replica was replaced", || is_sound(&world)).await;
    world.settled(2, 3).await;
    // A head counts repeats that blocks have left out.
    world.seal(2);
    world.until("all have the same", || spans_of(&world, 2) == spans_of(&world, 0)).await;
    world.require(2, &spans).await;
    let status = world.store(0).status().await;
    let shards: Vec<_> = status.shards.iter().map(|shard| shard.replicas.len()).collect();
    assert_eq!(shards, [3; 4], "{status:?}");
}

/// A bit that flipped where nobody looked, in a block of a leader, and then another node needs that
/// block: what arrives does not verify, the leader finds out, and leaves both to the one that is
/// sound (chaos run of seed 1, in which the new replica waited for ever).
#[tokio::test(start_paused = true)]
async fn a_leader_with_damage_that_nobody_met_is_replaced_too() {
    let mut world = World::start(91, FORGETFUL).await;
    let spans = Generator::new(91).spans(600);
    world.write(0, &spans).await.unwrap();
    world.settled(0, 3).await;
    (0..3).for_each(|number| world.seal(number));
    world.until("the logs forget what is sealed", || (0..3).all(|it| purged(&world, it))).await;
    // So that its log has an end to lose.
    let after = Generator::new(92).spans(100);
    world.write(1, &after).await.unwrap();
    world.settled(0, 3).await;
    for file in world.members[0].files.paths() {
        assert!(world.members[0].files.flip(&file, 200, 0x10));
    }
    assert!(!world.host(0).shards().iter().any(|shard| shard.has_damage()));
    world.kill(2).await;
    world.cut_log(2, 1);
    world.revive(2).await;
    world.ready().await;
    world.settled(0, 3).await;
    let is_sound = |world: &World, number: usize| {
        let shards = world.host(number).shards();
        shards.len() == 4 && !shards.iter().any(|shard| shard.has_damage())
    };
    world.until("all are sound", || (0..3).all(|number| is_sound(&world, number))).await;
    world.settled(0, 3).await;
    for number in 0..3 {
        world.require(number, &spans).await;
        world.require(number, &after).await;
    }
}

/// Upkeep that looks at no shard, and drops nothing.
fn upkeep_parts(member: &Member) -> UpkeepParts {
    UpkeepParts {
        shards: Box::new(Vec::new),
        clock: Arc::clone(&member.clock) as _,
        retention: Duration(u64::MAX),
        frozen: Arc::default(),
        purge: Box::new(|_, _| {}),
        propose_drop: Box::new(|_, _, _| {}),
        space: Arc::new(Space::open(Arc::new(member.files.clone()), Path::new("/upkeep"))),
        disk_cap: DiskCap::Bytes(u64::MAX),
        scrub_every: Duration::from_secs(3_600),
        log_bytes: Box::new(|| 0),
        compaction: Arc::default(),
    }
}

/// A new block is looked at after a tenth of the time between two looks, whoever reads it.
#[tokio::test(start_paused = true)]
async fn damage_that_nobody_meets_is_found_in_time() {
    let world = World::start(93, FORGETFUL).await;
    let spans = written_and_sealed(&world, 93).await;
    let member = &world.members[1];
    let shards = world.host(1).shards();
    let listed = shards.clone();
    let parts = UpkeepParts { shards: Box::new(move || listed.clone()), ..upkeep_parts(member) };
    let mut state = UpkeepState::default();
    let budget = world.scope().budget;
    let mut look = || {
        for _ in 0..20 {
            upkeep::round(&parts, &mut state, &budget, &AtomicBool::new(false)).unwrap();
        }
        shards.iter().filter(|shard| shard.has_damage()).count()
    };
    let mut files = member.files.paths();
    files.retain(|path| path.starts_with("/blocks"));
    let damaged = files.len();
    assert!(damaged > 1 && files.iter().all(|file| member.files.flip(file, 200, 0x10)));
    assert_eq!(look(), 0, "it is too early for a look");
    tokio::time::sleep(std::time::Duration::from_secs(359)).await;
    assert_eq!(look(), 0, "it is too early for a look");
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(look(), damaged, "every block is damaged");
    world.settled(0, 3).await;
    let is_sound = || !world.host(1).shards().iter().any(|shard| shard.has_damage());
    world.until("what was damaged is made good", is_sound).await;
    world.require(1, &spans).await;
}

/// Asks until every replica of every shard has told its digest, and requires them to agree.
async fn require_equal_digests(world: &World, through: usize) {
    for _ in 0..20 {
        let status = world.store(through).status_with_digests(None).await;
        let all = || status.shards.iter().map(|shard| &shard.replicas);
        if all().all(|replicas| replicas.iter().all(|replica| replica.digest.is_some())) {
            for replicas in all() {
                assert_eq!(replicas.len(), 3);
                assert!(replicas.iter().all(|it| it.digest == replicas[0].digest), "{status:?}");
            }
            assert!(all().any(|replicas| replicas[0].digest != Some(0)), "{status:?}");
            let last = status.shards.last().unwrap();
            let of_last = world.store(through).status_with_digests(Some(last.id)).await;
            for shard in &of_last.shards {
                let is_asked = shard.id == last.id;
                assert!(shard.replicas.iter().all(|it| it.digest.is_some() == is_asked));
            }
            return;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    panic!("some replica never told its digest");
}

#[tokio::test(start_paused = true)]
async fn replicas_that_sealed_at_other_places_have_the_same_digest() {
    let world = World::start(140, THREE).await;
    for (round, seed) in (140..144).enumerate() {
        let spans = Generator::new(seed).spans(150);
        world.write(0, &spans).await.unwrap();
        // The same request again: repeats lie in heads, or in blocks and heads.
        world.write(1, &spans[..40]).await.unwrap();
        world.settled(0, 3).await;
        require_equal_digests(&world, round % 3).await;
        world.seal(round % 3);
        require_equal_digests(&world, 2).await;
    }
}

async fn written_and_sealed(world: &World, seed: u64) -> Vec<Span> {
    written_to(3, world, seed).await
}

/// Written to so many replicas of each shard, and sealed.
async fn written_to(replicas: usize, world: &World, seed: u64) -> Vec<Span> {
    let spans = Generator::new(seed).spans(200);
    world.write(0, &spans).await.unwrap();
    world.settled(0, replicas).await;
    (0..3).for_each(|number| world.seal(number));
    spans
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_runs_ahead_drops_nothing() {
    a_wrong_clock_drops_nothing(World::start(100, THREE).await, 3).await;
}

/// A shard with one replica goes by the clocks of all members, too.
#[tokio::test(start_paused = true)]
async fn a_clock_that_runs_ahead_drops_nothing_that_is_there_once() {
    let once = Shape { replication_factor: 1, ..THREE };
    a_wrong_clock_drops_nothing(World::start(101, once).await, 1).await;
}

async fn a_wrong_clock_drops_nothing(world: World, replicas: usize) {
    let spans = written_to(replicas, &world, 100).await;
    for wrong in 0..3 {
        world.members[wrong].clock.set_ahead(Duration::from_secs(400 * DAY));
        tokio::time::sleep(std::time::Duration::from_mins(1)).await;
        // Neither what was there goes, nor does log time run ahead with what is written now.
        let now = Generator::new(200 + wrong as u64).spans(50);
        world.write(wrong, &now).await.unwrap();
        (0..3).for_each(|number| world.seal(number));
        world.require(wrong, &spans).await;
        world.members[wrong].clock.set_ahead(Duration(0));
        tokio::time::sleep(std::time::Duration::from_mins(1)).await;
        world.require(wrong, &now).await;
    }
}

/// RET-1: where no other clock can be asked, one that jumped is not believed.
#[tokio::test(start_paused = true)]
async fn a_node_alone_whose_clock_jumps_drops_nothing() {
    let world = World::start(102, Shape { nodes: 1, replication_factor: 1, ..THREE }).await;
    let spans = Generator::new(102).spans(200);
    world.write(0, &spans).await.unwrap();
    world.seal(0);
    tokio::time::sleep(std::time::Duration::from_mins(1)).await;
    world.members[0].clock.set_ahead(Duration::from_secs(8 * DAY));
    tokio::time::sleep(std::time::Duration::from_mins(10)).await;
    world.require(0, &spans).await;
    let status = world.store(0).status().await;
    let kinds: Vec<_> = status.alarms.iter().map(|alarm| alarm.kind.as_str()).collect();
    assert_eq!(kinds, ["retention-frozen"]);
    world.members[0].clock.set_ahead(Duration(0));
    tokio::time::sleep(std::time::Duration::from_mins(1)).await;
    world.require(0, &spans).await;
    assert_eq!(world.store(0).status().await.alarms, []);
}

/// The same where upkeep decides, on a node that was never in a cluster.
#[tokio::test(start_paused = true)]
async fn upkeep_does_not_believe_a_clock_that_jumps() {
    let world = World::start(103, THREE).await;
    written_and_sealed(&world, 103).await;
    let member = &world.members[0];
    let (shards, proposed) = (world.host(0).shards(), Arc::new(AtomicU64::new(0)));
    let (listed, counted) = (shards.clone(), Arc::clone(&proposed));
    let clock = Arc::new(ManualClock::new(member.clock.wall()));
    let parts = UpkeepParts {
        clock: Arc::clone(&clock) as _,
        shards: Box::new(move || listed.clone()),
        retention: Duration::from_secs(7 * DAY),
        propose_drop: Box::new(move |_, _, _| {
            counted.fetch_add(1, Ordering::Relaxed);
        }),
        ..upkeep_parts(member)
    };
    let mut state = UpkeepState::default();
    let budget = world.scope().budget;
    let mut look = || {
        upkeep::round(&parts, &mut state, &budget, &AtomicBool::new(false)).unwrap();
        proposed.swap(0, Ordering::Relaxed)
    };
    assert_eq!(look(), 0, "nothing is past");
    clock.set_wall(clock.wall().saturating_add(Duration::from_secs(8 * DAY)));
    assert_eq!(look(), 0, "the clock has jumped");
    assert!(parts.frozen.left().is_some());
    clock.advance(Duration::from_secs(DAY + 1));
    assert_eq!(look(), shards.len() as u64, "it has gone evenly for a day");
    assert!(parts.frozen.left().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_past_goes_everywhere() {
    let world = World::start(110, THREE).await;
    let old = written_and_sealed(&world, 110).await;
    for number in 0..3 {
        world.members[number].clock.set_ahead(Duration::from_secs(6 * DAY));
    }
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    world.require(1, &old).await;
    let kept = written_and_sealed(&world, 111).await;
    // A majority's clocks are enough, and none alone is needed.
    for number in 0..2 {
        world.members[number].clock.set_ahead(Duration::from_secs(8 * DAY));
    }
    let is_gone = || (0..3).all(|number| spans_of(&world, number) == kept_by_shard(&world, number));
    world.until("what is past is gone", is_gone).await;
    for through in 0..3 {
        world.require(through, &kept).await;
        for span in &old {
            let found = world.trace(through, span.trace_id).await.unwrap();
            assert!(found.value.is_none(), "it is past its retention");
        }
    }
}

/// Spans of blocks of the newest bucket: what is left when all others are gone.
fn kept_by_shard(world: &World, number: usize) -> Vec<u64> {
    (0..3).for_each(|number| world.seal(number));
    let shards = world.host(number).shards();
    let spans = shards.iter().map(|shard| {
        let stats = shard.stats();
        if stats.blocks <= 1 { stats.spans } else { 0 }
    });
    spans.collect()
}

/// By shard: the nodes that hold a replica that lacks nothing.
async fn holders(world: &World, through: usize) -> Vec<Vec<NodeId>> {
    let status = world.store(through).status().await;
    let whole = |shard: &ShardStatus| {
        let whole = shard.replicas.iter().filter(|replica| replica.state.lag() == Some(0));
        let mut nodes: Vec<NodeId> = whole.map(|replica| replica.node).collect();
        nodes.sort_unstable();
        nodes
    };
    status.shards.iter().map(whole).collect()
}

async fn until_holders(world: &World, through: usize, wanted: &[usize]) {
    let wanted: Vec<NodeId> = wanted.iter().map(|number| node(*number)).collect();
    for _ in 0..600 {
        if holders(world, through).await.iter().all(|nodes| *nodes == wanted) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    panic!("replicas never came to lie on {wanted:?}: {:?}", holders(world, through).await);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_removed_gives_its_replicas_away_first() {
    let mut world = World::start(120, THREE).await;
    let before = Generator::new(120).spans(300);
    world.write(0, &before).await.unwrap();
    let refused = world.store(1).change(ClusterChange::RemoveNode(node(0))).await.unwrap_err();
    assert!(matches!(refused, ChangeError::Refused { .. }), "three replicas need three nodes");
    let unknown = world.store(1).change(ClusterChange::RemoveNode(NodeId([9; 16]))).await;
    assert!(matches!(unknown, Err(ChangeError::Refused { .. })), "{unknown:?}");
    let fourth = world.add().await;
    world.store(1).change(ClusterChange::RemoveNode(node(0))).await.unwrap();
    let during = Generator::new(121).spans(100);
    world.write(2, &during).await.unwrap();
    until_holders(&world, 1, &[1, 2, fourth]).await;
    world
        .until("the node is gone", || {
            let state = world.host(1).watch_state();
            !state.borrow().present().any(|(id, _)| id == node(0))
        })
        .await;
    world.kill(0).await;
    for through in [1, 2, fourth] {
        world.require(through, &before).await;
        world.require(through, &during).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_replication_factor_goes_up_and_down() {
    let world = World::start(130, Shape { replication_factor: 1, ..FORGETFUL }).await;
    let spans = Generator::new(130).spans(300);
    world.write(0, &spans).await.unwrap();
    (0..3).for_each(|number| world.seal(number));
    world.until("the logs forget what is sealed", || (0..3).all(|it| purged(&world, it))).await;
    world.store(2).change(ClusterChange::ReplicationFactor(3)).await.unwrap();
    until_holders(&world, 0, &[0, 1, 2]).await;
    world.isolate(2);
    assert!(world.count(2).await.unwrap().0 > 0);
    world.network.heal();
    world.require(1, &spans).await;
    world.store(0).change(ClusterChange::ReplicationFactor(1)).await.unwrap();
    for _ in 0..600 {
        if holders(&world, 1).await.iter().all(|nodes| nodes.len() == 1) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    assert!(holders(&world, 1).await.iter().all(|nodes| nodes.len() == 1));
    world.require(1, &spans).await;
}
