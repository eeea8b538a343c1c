//! A shard of many blocks: sealing, merging and searching ask each block's table of traces once for
//! all their traces. Tables do not fit the memory together, so an ask may be a read of the disk.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use model::query::{Order, TracePredicate, TraceQuery};
use model::store::Detail;
use model::testing::simple_span;
use model::{Span, TimeRange, Timestamp, TraceId};
use storage::entry::encode_drop;
use storage::env::FaultEnv;
use storage::kv::MemoryKv;
use storage::log::LogIndex;
use storage::shard::{BlockStore, CLASS_ORDINARY};

use crate::fixture::{Fixture, no_limit, open_shard, plain_batch, tenant};

const HOUR: u64 = 3_600_000_000_000;
const BLOCKS: u64 = 12;
const TRACES: u64 = 1_000;

/// Traces of one span each, by their numbers.
fn traces(numbers: std::ops::Range<u64>) -> Vec<Span> {
    numbers.map(|number| simple_span(number + 1, number + 1, number, number + 1)).collect()
}

/// A shard of so many blocks, each of an hour of its own, with a hundred traces.
fn with_blocks() -> Fixture {
    with_blocks_in(&Arc::new(FaultEnv::new(1)))
}

fn with_blocks_in(env: &Arc<FaultEnv>) -> Fixture {
    let store = BlockStore::new(Arc::clone(env) as _, Arc::new(MemoryKv::new()), Path::new("/b"));
    let mut fixture = Fixture::new();
    fixture.shard = open_shard(&fixture.log, &fixture.cache, &store);
    for block in 0..BLOCKS {
        fixture.stamp = (block + 1) * HOUR;
        let spans = traces(block * 100..(block + 1) * 100);
        fixture.add(&[plain_batch(block, &tenant("a"), &spans)]);
        fixture.shard.seal(&no_limit()).unwrap();
    }
    fixture
}

/// Adds traces that no block has, and a part of the first trace of each block.
fn add_head(fixture: &mut Fixture, id: u64) {
    let mut spans = traces(id * 1_000_000..id * 1_000_000 + TRACES);
    spans.extend((0..BLOCKS).map(|block| {
        let number = block * 100;
        simple_span(number + 1, number + id * 1_000_000, number + id, number + id + 1)
    }));
    fixture.add(&[plain_batch(id, &tenant("a"), &spans)]);
}

fn asked(fixture: &Fixture) -> u64 {
    let stats = fixture.cache.table_stats();
    stats.hits + stats.misses
}

#[test]
fn each_table_is_asked_once_for_all_traces() {
    let mut fixture = with_blocks();
    add_head(&mut fixture, 100);
    let before = asked(&fixture);
    let query = TraceQuery {
        window: TimeRange::ALL,
        predicate: TracePredicate::True,
        order: Order::MostSpans,
        limit: 20,
        cursor: None,
    };
    let mut found = Vec::new();
    let mut on_hit = |hit: model::store::Hit| {
        found.push((hit.summary.trace_id, hit.summary.span_count));
        ControlFlow::Continue(())
    };
    let own = tenant("a");
    fixture.shard.search(&own, &query, Detail::Summary, &no_limit(), &mut on_hit).unwrap();
    let cut = found.iter().filter(|(_, spans)| *spans == 2).count() as u64;
    assert_eq!(cut, BLOCKS, "traces with a part in the head and one in a block");
    // Besides, all parts of each trace that is cut are looked for, to rank it and to tell it.
    let searching = asked(&fixture) - before;
    assert!(searching <= BLOCKS + 2 * cut * BLOCKS + 20, "{searching} asked by a search");

    let before = asked(&fixture);
    fixture.shard.seal(&no_limit()).unwrap();
    let sealing = asked(&fixture) - before;
    assert!(sealing <= BLOCKS + 4, "{sealing} asked by a seal");
    assert_eq!(fixture.shard.stats().splits, BLOCKS, "each is known to lie in two blocks");

    // Of the last hour there are two blocks: they are merged beside all others.
    let before = asked(&fixture);
    fixture.shard.merge(Timestamp(99 * HOUR), true, &no_limit()).unwrap().unwrap();
    let merging = asked(&fixture) - before;
    assert!(merging <= BLOCKS + 4, "{merging} asked by a merge");
    for block in 0..BLOCKS {
        let id = TraceId(u128::from(block * 100 + 1).to_be_bytes());
        let found = fixture.shard.trace(&own, id, usize::MAX, &no_limit()).unwrap().unwrap();
        assert_eq!(found.spans.len(), 2, "of block {block}");
    }
}

/// What a block is made of was looked for in all others when it was sealed.
#[test]
fn a_merge_asks_other_tables_only_for_traces_that_are_listed() {
    let mut fixture = with_blocks();
    let own = tenant("a");
    let add = |fixture: &mut Fixture, id: u64, spans: &[Span]| {
        fixture.add(&[plain_batch(id, &own, spans)]);
        fixture.shard.seal(&no_limit()).unwrap();
    };
    add(&mut fixture, 100, &traces(1_000_000..1_001_000));
    let before = asked(&fixture);
    fixture.shard.merge(Timestamp(99 * HOUR), true, &no_limit()).unwrap().unwrap();
    assert_eq!(asked(&fixture), before, "nothing is cut");

    // A part of a trace of the first block comes an hour later; the first block is merged with one
    // of its own hour, and neither of the two lists the trace.
    fixture.stamp += HOUR;
    add(&mut fixture, 101, &[simple_span(1, 7_000_001, 5, 6)]);
    fixture.stamp = HOUR;
    add(&mut fixture, 102, &traces(2_000_000..2_001_000));
    assert_eq!(fixture.shard.stats().splits, 1);
    let before = asked(&fixture);
    fixture.shard.merge(Timestamp(99 * HOUR), true, &no_limit()).unwrap().unwrap();
    let merging = asked(&fixture) - before;
    assert!((1..=BLOCKS + 1).contains(&merging), "{merging} asked by a merge");
    assert_eq!(fixture.shard.stats().splits, 1, "it is still known to lie in two blocks");
    let id = TraceId(1_u128.to_be_bytes());
    let found = fixture.shard.trace(&own, id, usize::MAX, &no_limit()).unwrap().unwrap();
    assert_eq!(found.spans.len(), 2);
}

/// Heads go on filling while a merge takes its time, and may be sealed in its pauses.
#[test]
fn a_head_that_is_sealed_in_the_middle_of_a_merge_lists_what_it_shares_with_the_inputs() {
    let mut fixture = with_blocks();
    let own = tenant("a");
    let spans = traces(1_000_000..1_001_000);
    fixture.add(&[plain_batch(100, &own, &spans)]);
    fixture.shard.seal(&no_limit()).unwrap();
    // A part of a trace of each input, and of one that is no input.
    add_head(&mut fixture, 101);
    let before = fixture.shard.stats();
    let mut pauses = 0;
    let merged =
        fixture.shard.merge_with_pauses(Timestamp(99 * HOUR), true, &no_limit(), &mut || {
            pauses += 1;
            fixture.shard.seal(&no_limit()).unwrap();
        });
    assert!(merged.unwrap().is_some() && pauses > 0);
    let stats = fixture.shard.stats();
    // Two became one, and one was sealed.
    assert_eq!((stats.blocks, stats.head_spans), (before.blocks, 0));
    assert_eq!(stats.splits, BLOCKS);
    for block in 0..BLOCKS {
        let id = TraceId(u128::from(block * 100 + 1).to_be_bytes());
        let found = fixture.shard.trace(&own, id, usize::MAX, &no_limit()).unwrap().unwrap();
        assert_eq!(found.spans.len(), 2, "of block {block}");
    }
}

#[test]
fn what_was_merged_of_blocks_that_went_meanwhile_is_of_no_use() {
    let env = Arc::new(FaultEnv::new(1));
    let mut fixture = with_blocks_in(&env);
    let own = tenant("a");
    fixture.add(&[plain_batch(100, &own, &traces(1_000_000..1_001_000))]);
    fixture.shard.seal(&no_limit()).unwrap();
    fixture.stamp += 2 * HOUR;
    fixture.add(&[plain_batch(101, &own, &traces(2_000_000..2_001_000))]);
    // The inputs are of the last of these hours, which is dropped.
    let drop = encode_drop(Timestamp(fixture.stamp), 1, CLASS_ORDINARY, BLOCKS);
    let mut drop = Some(drop);
    let index = LogIndex(fixture.next_index);
    let fixture = &fixture;
    let merged =
        fixture.shard.merge_with_pauses(Timestamp(99 * HOUR), true, &no_limit(), &mut || {
            if let Some(drop) = drop.take() {
                fixture.shard.apply(index, &drop).unwrap();
                fixture.shard.sweep().unwrap();
            }
        });
    assert_eq!(merged.unwrap(), None);
    let stats = fixture.shard.stats();
    assert_eq!((stats.blocks, env.paths().len()), (0, 0), "a file is left");
}
