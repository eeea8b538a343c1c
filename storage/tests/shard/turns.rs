//! Heads that are sealed in turns, although something sealed all of them at once.

use std::path::Path;
use std::sync::Arc;

use model::testing::simple_span;
use model::{Span, Timestamp};
use storage::env::FaultEnv;
use storage::kv::MemoryKv;
use storage::shard::{BlockStore, Upkeep};

use crate::fixture::{Fixture, no_limit, open_shard, plain_batch, tenant};

/// Somewhat more than the smallest part of a head at which one is sealed, and far from a full one.
const SPANS: u64 = (256 * 1024) / 16 + 100;

#[test]
fn a_head_after_one_that_was_not_full_is_sealed_at_a_part_of_its_own() {
    let env = Arc::new(FaultEnv::new(1));
    let store = BlockStore::new(env, Arc::new(MemoryKv::new()), Path::new("/b"));
    let mut fixture = Fixture::new();
    // Of all shards' turns the first.
    let beginning = 0_u32.wrapping_sub(fixture.shard.id().0.wrapping_mul(0x9E37_79B9));
    fixture.shard = open_shard(&fixture.log, &fixture.cache, &store.in_turns(beginning));
    let mut round = 0;
    let mut due_after_more = |fixture: &mut Fixture| {
        let numbers = round * SPANS..(round + 1) * SPANS;
        let spans: Vec<Span> =
            numbers.map(|number| simple_span(number + 1, number + 1, number, number + 1)).collect();
        for (part, spans) in (0..).zip(spans.chunks(4_096)) {
            fixture.add(&[plain_batch(round * 100 + part, &tenant("a"), spans)]);
        }
        round += 1;
        fixture.shard.due(Timestamp(fixture.stamp))
    };
    assert_eq!(due_after_more(&mut fixture), Upkeep::Seal, "the first head");
    fixture.shard.seal(&no_limit()).unwrap();
    assert_eq!(due_after_more(&mut fixture), Upkeep::Nothing, "its successor has to be full");
    fixture.shard.seal(&no_limit()).unwrap();
    assert_eq!(due_after_more(&mut fixture), Upkeep::Seal, "that was sealed on demand");
    fixture.shard.seal(&no_limit()).unwrap();
    assert_eq!(due_after_more(&mut fixture), Upkeep::Nothing, "and this one in its turn");
}
