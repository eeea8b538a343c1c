//! Spans whose size is not text: pages are cut by all that they hold, and nothing that was
//! acknowledged keeps a shard from being sealed, merged and read.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use model::batch::{Builder, encode};
use model::span::Event;
use model::testing::{simple_span, tell_spans};
use model::{Attribute, BatchId, Span, Text, Timestamp};
use storage::block::BlockFile;
use storage::block::limits::PAGE_PAYLOAD_BYTES;
use storage::env::FaultEnv;
use storage::kv::MemoryKv;
use storage::shard::BlockStore;

use crate::fixture::{Fixture, no_limit, open_shard, plain_batch, tenant};

/// As many as a span may have.
const EVENTS: usize = 65_536;

/// Events of all spans together: more than a page can be read with.
const SPANS: u64 = 65;

fn with_events(number: u64) -> Span {
    let event = Event {
        time: Timestamp(number),
        name: Text::EMPTY,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        unknown: Text::EMPTY,
    };
    Span { events: vec![event; EVENTS], ..simple_span(number, number, number, number + 1) }
}

/// One batch of all of them, as it came of builders that were closed by their text.
fn events_batch(id: u64) -> Bytes {
    let mut builder = Builder::new(tenant("a"));
    (1..=SPANS).for_each(|number| tell_spans([&with_events(number)], &mut builder));
    encode(&builder, BatchId(u128::from(id).to_be_bytes())).into()
}

fn sealing() -> (FaultEnv, Fixture) {
    let env = FaultEnv::new(1);
    let store = BlockStore::new(Arc::new(env.clone()), Arc::new(MemoryKv::new()), Path::new("/b"));
    let mut fixture = Fixture::new();
    fixture.shard = open_shard(&fixture.log, &fixture.cache, &store);
    (env, fixture)
}

#[test]
fn events_that_say_nothing_are_sealed_and_found() {
    for others in [0, 2_000] {
        let (_, mut fixture) = sealing();
        fixture.add(&[events_batch(1)]);
        // After the others, so that these are unpacked once.
        let small: Vec<Span> =
            (1_000..1_000 + others).map(|at| simple_span(at, at, at, at + 1)).collect();
        fixture.add(&[plain_batch(2, &tenant("a"), &small)]);
        let sealed = fixture.shard.seal(&no_limit()).unwrap().unwrap();
        assert_eq!(sealed.spans, SPANS + others);
        // A second block, so that the pages are read to be merged.
        fixture.add(&[plain_batch(3, &tenant("a"), &[simple_span(9_999, 1, 1, 2)])]);
        let shard = &fixture.shard;
        shard.seal(&no_limit()).unwrap();
        let merged = shard.merge(Timestamp(u64::MAX), true, &no_limit()).unwrap().unwrap();
        assert_eq!(merged.spans, SPANS + others + 1);
        for number in [1, 2, 33, SPANS] {
            let sent = with_events(number);
            let found = shard.trace(&tenant("a"), sent.trace_id, usize::MAX, &no_limit());
            assert!(found.unwrap().unwrap().spans == [sent], "span {number} beside {others}");
        }
        assert_eq!(shard.stats().blocks_damaged, 0);
        assert_eq!(shard.stats().spans, SPANS + others + 1);
    }
}

#[test]
fn pages_of_numbers_are_as_small_as_pages_of_text() {
    const NUMBERS: usize = 5_000;
    let (env, mut fixture) = sealing();
    let numbers: Vec<Attribute> =
        (0..NUMBERS).map(|key| Attribute::new(&*format!("n{key}"), 7_i64)).collect();
    for batch in 0..10 {
        let span = |at: u64| {
            let number = batch * 30 + at + 1;
            let span = simple_span(number, number, number, number + 1);
            Span { attributes: numbers.clone(), ..span }
        };
        let spans: Vec<Span> = (0..30).map(span).collect();
        fixture.add(&[plain_batch(batch, &tenant("a"), &spans)]);
    }
    fixture.shard.seal(&no_limit()).unwrap();
    let path = env.paths().into_iter().next().unwrap();
    let block = BlockFile::open(&env, &path).unwrap();
    let spans_max = PAGE_PAYLOAD_BYTES / (4 * NUMBERS) + 1;
    let pages: Vec<u32> =
        block.directory().runs[0].pages.iter().map(|page| page.span_count).collect();
    assert_eq!(pages.iter().sum::<u32>(), 300);
    assert!(pages.iter().all(|spans| *spans as usize <= spans_max), "{pages:?}");
}
