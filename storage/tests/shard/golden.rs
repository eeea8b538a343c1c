//! Blocks of version 1, to the byte: what was written then is read for ever, and what is written
//! now is the same.
//!
//! `UPDATE_GOLDENFILES=1` writes what is written now. A difference in what was there before is a
//! change of the format: a new version, and the old fixture stays.
#![expect(
    clippy::disallowed_methods,
    reason = "goldens are files of the repository, and an environment variable rewrites them"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::aggregate::{AggregateKind, AggregateQuery};
use model::query::SpanPredicate;
use model::testing::{Generator, simple_span};
use model::{Span, TimeRange, query};
use storage::Shard;
use storage::env::{Env, FaultEnv};
use storage::kv::MemoryKv;
use storage::shard::BlockStore;

use crate::fixture::{Fixture, no_limit, open_shard, plain_batch, tenant, traces_of};

/// Written now, and written before sections were added, the newest first.
const FIXTURES: [&str; 3] =
    ["block-v1.bin", "block-v1-page-filters.bin", "block-v1-without-class-keys.bin"];

/// Written now, with a table of several slices, and written before these had checks.
const LARGE_FIXTURES: [&str; 2] = ["block-v1-slices.bin", "block-v1-whole-table.bin"];

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Two tenants, traces on several pages, cut between two batches.
fn spans() -> Vec<Span> {
    let mut generator = Generator::new(1);
    (0..24).flat_map(|_| generator.trace()).collect()
}

#[test]
fn a_block_of_the_first_version_is_read_and_written() {
    let env = FaultEnv::new(1);
    let store = BlockStore::new(Arc::new(env.clone()), Arc::new(MemoryKv::new()), Path::new("/b"));
    let store = store.with_page_rows(16).with_rollup_bytes(1_000);
    let mut fixture = Fixture::new();
    fixture.shard = open_shard(&fixture.log, &fixture.cache, &store);
    let spans = spans();
    let (early, late) = spans.split_at(spans.len() / 2);
    fixture.add(&[plain_batch(1, &tenant("one"), early), plain_batch(2, &tenant("two"), late)]);
    fixture.add(&[plain_batch(3, &tenant("one"), late)]);
    is_read_and_written(&env, &store, &mut fixture, &spans, &FIXTURES);
}

#[test]
fn a_table_of_several_slices_is_read_and_written() {
    let env = FaultEnv::new(1);
    let store = BlockStore::new(Arc::new(env.clone()), Arc::new(MemoryKv::new()), Path::new("/b"));
    let mut fixture = Fixture::new();
    fixture.shard = open_shard(&fixture.log, &fixture.cache, &store);
    let spans: Vec<Span> = (1..=1_200).map(|n| simple_span(n, n, n * 10, n * 10 + 5)).collect();
    fixture.add(&[plain_batch(1, &tenant("one"), &spans)]);
    is_read_and_written(&env, &store, &mut fixture, &spans, &LARGE_FIXTURES);
}

fn is_read_and_written(
    env: &FaultEnv,
    store: &BlockStore,
    fixture: &mut Fixture,
    spans: &[Span],
    names: &[&str],
) {
    fixture.shard.seal(&no_limit()).unwrap();
    let path = env.paths().into_iter().next().unwrap();
    let written = env.content(&path).unwrap();
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(golden(names[0]), &written).unwrap();
    }
    for name in names {
        // The file of then in the place of the file of now.
        env.remove(&path).unwrap();
        let mut file = env.create(&path).unwrap();
        file.append(&std::fs::read(golden(name)).unwrap()).unwrap();
        file.sync().unwrap();
        holds(&open_shard(&fixture.log, &fixture.cache, store), spans);
    }
    let fixed = std::fs::read(golden(names[0])).unwrap();
    assert!(fixed == written, "blocks are written otherwise: see UPDATE_GOLDENFILES in golden.rs");
}

/// The shard has the spans and is whole.
fn holds(shard: &Shard, spans: &[Span]) {
    let traces = traces_of(spans);
    for spans in &traces {
        let id = spans[0].trace_id;
        let found = shard.trace(&tenant("one"), id, usize::MAX, &no_limit()).unwrap();
        assert_eq!(found.map(|trace| trace.spans).as_ref(), Some(spans));
    }
    let query = AggregateQuery {
        window: TimeRange::ALL,
        predicate: SpanPredicate::True,
        kind: AggregateKind::Totals,
    };
    let totals = shard.aggregate(&tenant("one"), &query, &no_limit()).unwrap();
    assert_eq!(totals.value, query::aggregate(&query, traces.iter().map(Vec::as_slice)));
    assert!(!shard.has_damage());
}
