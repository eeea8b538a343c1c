//! A shard of many blocks: sealing, merging and searching ask each block's table of traces once for
//! all their traces. Tables do not fit the memory together, so an ask may be a read of the disk.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use model::query::{Order, TracePredicate, TraceQuery};
use model::store::Detail;
use model::testing::simple_span;
use model::{Span, TimeRange, Timestamp, TraceId};
use storage::env::FaultEnv;
use storage::kv::MemoryKv;
use storage::shard::BlockStore;

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
    let env = Arc::new(FaultEnv::new(1));
    let store = BlockStore::new(env, Arc::new(MemoryKv::new()), Path::new("/b"));
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
