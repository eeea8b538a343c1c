//! Runs of few rows have nothing but their page and the table of its traces, and answer like all
//! others.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use model::aggregate::{AggregateKind, AggregateQuery};
use model::query::{AttributeScope, SpanPredicate};
use model::testing::Generator;
use model::{Span, TimeRange, query};
use storage::block::limits::BARE_RUN_ROWS;
use storage::block::{BlockFile, SectionKind};
use storage::env::FaultEnv;
use storage::kv::MemoryKv;
use storage::shard::BlockStore;

use crate::fixture::{Fixture, no_limit, open_shard, plain_batch, tenant, traces_of};

/// Distinct spans of whole traces, at least so many.
fn spans(seed: u64, count: usize) -> Vec<Span> {
    let mut generator = Generator::new(seed);
    let mut spans = Vec::new();
    while spans.len() < count {
        spans.extend(generator.distinct_trace());
    }
    spans
}

#[test]
fn few_rows_are_told_of_by_their_page_alone() {
    let env = FaultEnv::new(1);
    let store = BlockStore::new(Arc::new(env.clone()), Arc::new(MemoryKv::new()), Path::new("/b"));
    let mut fixture = Fixture::new();
    fixture.shard = open_shard(&fixture.log, &fixture.cache, &store);
    let (few, many) = (spans(1, BARE_RUN_ROWS / 2), spans(2, BARE_RUN_ROWS));
    fixture.add(&[plain_batch(1, &tenant("few"), &few), plain_batch(2, &tenant("many"), &many)]);
    let shard = &fixture.shard;
    let names = |name: &str| {
        let keys = shard.keys(&tenant(name), &"".into(), &no_limit()).unwrap().value;
        let values = keys.iter().take(5).map(|(_, key)| {
            let scope = AttributeScope::Span;
            shard.values(&tenant(name), scope, key, &"".into(), &no_limit()).unwrap().value
        });
        let values: Vec<BTreeSet<_>> = values.collect();
        let services = shard.services(&tenant(name), &no_limit()).unwrap().value;
        let operations = shard.operations(&tenant(name), None, &no_limit()).unwrap().value;
        (services, operations, keys, values)
    };
    let of_head = ["few", "many"].map(names);
    shard.seal(&no_limit()).unwrap();

    let path = env.paths().into_iter().next().unwrap();
    let block = BlockFile::open(&env, &path).unwrap();
    let sections = block.directory().runs.iter().map(|run| {
        assert_eq!(run.pages.len(), 1, "what is tested is that of one page");
        run.section_lengths().map(|(kind, _)| kind).collect::<Vec<_>>()
    });
    let sections: Vec<_> = sections.collect();
    assert_eq!(sections[0], [SectionKind::TraceTable]);
    assert!(sections[1].contains(&SectionKind::Names) && sections[1].contains(&SectionKind::Zones));

    assert_eq!(["few", "many"].map(names), of_head);
    for (name, spans) in [("few", &few), ("many", &many)] {
        let traces = traces_of(spans);
        for spans in &traces {
            let found = shard.trace(&tenant(name), spans[0].trace_id, usize::MAX, &no_limit());
            assert_eq!(found.unwrap().map(|trace| trace.spans).as_ref(), Some(spans));
        }
        let query = AggregateQuery {
            window: TimeRange::ALL,
            predicate: SpanPredicate::True,
            kind: AggregateKind::Totals,
        };
        let totals = shard.aggregate(&tenant(name), &query, &no_limit()).unwrap();
        assert_eq!(totals.value, query::aggregate(&query, traces.iter().map(Vec::as_slice)));
    }
}
