//! Applying is idempotent, deterministic and remembers what came before.

use model::query::AttributeScope;
use std::ops::ControlFlow;

use std::path::Path;
use std::sync::Arc;

use crate::fixture::{
    Fixture, batch, no_limit, open_shard, plain_batch, tenant, traces_of, write_scattered,
};
use bytes::Bytes;
use model::query::{Order, TracePredicate, TraceQuery};
use model::store::{Detail, Operation, SUGGESTIONS_MAX};
use model::testing::{Generator, Random, simple_span};
use model::{Attribute, Span, Text, TimeRange, Timestamp, TraceId, effective};
use storage::entry::{encode_data, encode_drop, encode_fence, encode_mark, encode_purge};
use storage::env::FaultEnv;
use storage::kv::MemoryKv;
use storage::log::{LogEngine, LogIndex};
use storage::shard::limits::{DIGEST_WINDOW, TENANTS_MAX};
use storage::shard::{Applied, BatchOutcome, BlockStore, CLASS_ORDINARY, Refusal};

fn added(spans: u32, repeats: u32) -> BatchOutcome {
    BatchOutcome::Added { spans, repeats }
}

fn spans_of(fixture: &Fixture, span: &Span) -> usize {
    let own = tenant("a");
    let trace = fixture.shard.trace(&own, span.trace_id, usize::MAX, &no_limit()).unwrap();
    trace.map_or(0, |trace| trace.spans.len())
}

#[test]
fn an_index_is_applied_once() {
    let mut fixture = Fixture::new();
    let span = simple_span(1, 1, 1, 2);
    let entry = encode_data(Timestamp(5), 1, &[plain_batch(1, &tenant("a"), &[span])]).unwrap();
    let applied = fixture.add_entry(&entry);
    assert_eq!(applied.batches, [added(1, 0)]);
    let stats = fixture.shard.stats();
    assert_eq!(fixture.shard.apply(LogIndex(1), &entry).unwrap(), Applied::default());
    assert_eq!(fixture.shard.apply(LogIndex(0), &entry).unwrap(), Applied::default());
    assert_eq!(fixture.shard.stats(), stats);
    fixture.shard.pass(LogIndex(9));
    assert_eq!(fixture.shard.applied(), Some(LogIndex(9)));
}

#[test]
fn a_batch_id_is_added_once() {
    let mut fixture = Fixture::new();
    let own = tenant("a");
    let span = simple_span(1, 1, 1, 2);
    let first = plain_batch(1, &own, std::slice::from_ref(&span));
    let twice = fixture.add(&[first.clone(), first.clone()]);
    assert_eq!(twice.batches, [added(1, 0), BatchOutcome::Known]);
    assert_eq!(fixture.add(&[first]).batches, [BatchOutcome::Known]);
    let stats = fixture.shard.stats();
    assert_eq!((stats.batches, stats.spans, stats.batches_known), (1, 1, 2));
}

/// PLC-1: whoever routes by an epoch before the fence is told so, unless the batch came in time.
#[test]
fn a_fence_refuses_what_was_routed_before_it_and_outlives_the_log() {
    let mut fixture = Fixture::sealing(1, 1 << 20);
    let own = tenant("a");
    let batch = |id, span| plain_batch(id, &own, &[simple_span(span, span, 1, 2)]);
    let routed = |epoch, batch: Bytes| encode_data(Timestamp(5), epoch, &[batch]).unwrap();
    let fenced = |epoch| [BatchOutcome::Fenced { epoch }];
    fixture.add_entry(&routed(1, batch(1, 1)));
    fixture.add_entry(&encode_fence(Timestamp(5), 3));
    fixture.add_entry(&encode_fence(Timestamp(5), 2));
    assert_eq!(fixture.shard.fenced(), 3, "an older fence changes nothing");
    assert_eq!(fixture.add_entry(&routed(2, batch(2, 2))).batches, fenced(3));
    assert_eq!(fixture.add_entry(&routed(1, batch(1, 1))).batches, [BatchOutcome::Known]);
    assert_eq!(fixture.add_entry(&routed(3, batch(2, 2))).batches, [added(1, 0)]);
    fixture.shard.seal(&no_limit()).unwrap();
    assert_eq!(fixture.reopened().fenced(), 3, "out of the manifest");
}

#[test]
fn a_request_sent_again_is_marked_for_a_quarter_of_an_hour_of_log_time() {
    let mut fixture = Fixture::new();
    let own = tenant("a");
    let request = vec![simple_span(1, 1, 1, 2), simple_span(1, 2, 1, 2)];
    let other = vec![simple_span(1, 3, 1, 2)];
    let both = batch(1, &own, &[request.clone(), other.clone(), request.clone()]);
    assert_eq!(fixture.add(&[both]).batches, [added(5, 2)], "within one batch");
    let again = batch(2, &own, std::slice::from_ref(&request));
    assert_eq!(fixture.add(&[again]).batches, [added(2, 2)]);
    assert_eq!(fixture.shard.stats().batches, 1, "a batch of nothing but repeats takes no room");

    let elsewhere = batch(3, &tenant("b"), std::slice::from_ref(&request));
    assert_eq!(fixture.add(&[elsewhere]).batches, [added(2, 0)], "tenants are apart");

    // The same digest with other rows: what a change of the ring brings. It must not be lost.
    let mut builder = model::batch::Builder::new(own.clone());
    builder.begin_request(crate::fixture::digest(&request));
    model::testing::tell_spans(&[simple_span(1, 9, 1, 2)], &mut builder);
    let changed = model::batch::encode(&builder, model::BatchId([9; 16])).into();
    assert_eq!(fixture.add(&[changed]).batches, [added(1, 0)]);

    fixture.stamp += DIGEST_WINDOW.0 + 1;
    let late = batch(4, &own, std::slice::from_ref(&request));
    assert_eq!(fixture.add(&[late]).batches, [added(2, 0)]);
    assert_eq!(spans_of(&fixture, &request[0]), 4, "what was not recognised is found on reading");
}

#[test]
fn log_time_does_not_go_back() {
    let mut fixture = Fixture::new();
    let own = tenant("a");
    fixture.stamp = 500;
    fixture.add(&[plain_batch(1, &own, &[simple_span(1, 1, 1, 2)])]);
    fixture.stamp = 400;
    fixture.add(&[plain_batch(2, &own, &[simple_span(1, 2, 1, 2)])]);
    assert_eq!(fixture.shard.stamp(), Timestamp(500));
    assert_eq!(fixture.shard.stats().head_stamp_min, Some(Timestamp(500)));
}

#[test]
fn what_is_no_batch_is_refused_on_every_replica_alike() {
    let mut fixture = Fixture::new();
    let sound = plain_batch(1, &tenant("a"), &[simple_span(1, 1, 1, 2)]);
    let mut damaged = sound.to_vec();
    damaged[20] ^= 1;
    let applied = fixture.add(&[damaged.into(), sound]);
    assert!(matches!(applied.batches[0], BatchOutcome::Refused(_)), "{applied:?}");
    assert_eq!(applied.batches[1], added(1, 0));
    assert_eq!(fixture.shard.stats().batches_refused, 1);
}

#[test]
fn an_entry_that_does_not_verify_changes_nothing() {
    let fixture = Fixture::new();
    let batches = [plain_batch(1, &tenant("a"), &[simple_span(1, 1, 1, 2)])];
    let mut entry = encode_data(Timestamp(5), 1, &batches).unwrap().to_vec();
    entry[40] ^= 1;
    let error = fixture.shard.apply(LogIndex(1), &entry.into()).unwrap_err();
    assert!(error.is_corruption(), "{error:?}");
    assert_eq!((fixture.shard.applied(), fixture.shard.stamp()), (None, Timestamp(0)));
}

#[test]
fn a_purge_takes_one_tenant_and_its_digests() {
    let mut fixture = Fixture::new();
    let request = vec![simple_span(1, 1, 1, 2)];
    fixture.add(&[batch(1, &tenant("a"), std::slice::from_ref(&request))]);
    fixture.add(&[batch(2, &tenant("b"), std::slice::from_ref(&request))]);
    fixture.add_entry(&encode_purge(Timestamp(9), 1, &tenant("a")));
    assert_eq!(spans_of(&fixture, &request[0]), 0);
    assert_eq!(fixture.shard.stats().tenants, 1);
    assert!(fixture.shard.services(&tenant("a"), &no_limit()).unwrap().value.is_empty());
    // Sent again after the purge, it is new.
    let again = batch(3, &tenant("a"), std::slice::from_ref(&request));
    assert_eq!(fixture.add(&[again]).batches, [added(1, 0)]);
    assert_eq!(spans_of(&fixture, &request[0]), 1);
    assert_eq!(fixture.recovered().stats(), fixture.shard.stats());
}

/// Equal errors must not cancel out: what is there twice counts twice (REP-2).
/// Whoever asks for a drop goes by a clock of its own, which may be an hour ahead.
#[test]
fn the_hour_of_log_time_is_never_dropped() {
    const HOUR: u64 = 3_600_000_000_000;
    let mut fixture = Fixture::new();
    let spans: Vec<Span> = (1..=3).map(|number| simple_span(number, number, 1, 2)).collect();
    for (id, stamp, span) in [(1, 4 * HOUR, 0), (2, 5 * HOUR, 1)] {
        fixture.stamp = stamp;
        fixture.add(&[plain_batch(id, &tenant("a"), &spans[span..=span])]);
    }
    for bucket in [5, 6, u64::MAX] {
        fixture.add_entry(&encode_drop(Timestamp(5 * HOUR + 1), 1, CLASS_ORDINARY, bucket));
    }
    fixture.add(&[plain_batch(3, &tenant("a"), &spans[2..])]);
    let found: Vec<usize> = spans.iter().map(|span| spans_of(&fixture, span)).collect();
    assert_eq!(found, [0, 1, 1]);
}

/// A tenant for each customer's trial: those of which nothing is left make room for others.
#[test]
fn tenants_of_which_everything_was_dropped_make_room() {
    const HOUR: u64 = 3_600_000_000_000;
    let env = Arc::new(FaultEnv::new(1));
    let store = BlockStore::new(env, Arc::new(MemoryKv::new()), Path::new("/b"));
    let mut fixture = Fixture::new();
    fixture.shard = open_shard(&fixture.log, &fixture.cache, &store);
    fixture.stamp = HOUR;
    let of = |number: u64| {
        let span = simple_span(number + 1, number + 1, 1, 2);
        plain_batch(number, &tenant(&format!("t{number}")), &[span])
    };
    let tenants_max = TENANTS_MAX as u64;
    let all: Vec<Bytes> = (0..tenants_max).map(of).collect();
    for batches in all.chunks(512) {
        fixture.add(batches);
    }
    let refused = [BatchOutcome::Refused(Refusal::Tenants { tenants_max: TENANTS_MAX })];
    assert_eq!(fixture.add(&[of(tenants_max)]).batches, refused);
    // Two go on into the next hour; one of the others is purged.
    fixture.stamp = 2 * HOUR;
    fixture.add(&[of(tenants_max + 1)]);
    let again = |id, name: &str| plain_batch(id, &tenant(name), &[simple_span(7, id, 1, 2)]);
    fixture.add(&[again(90_000, "t0"), again(90_001, "t1")]);
    let entry = encode_purge(Timestamp(2 * HOUR), 1, &tenant("t2"));
    fixture.add_entry(&entry);
    fixture.shard.seal(&no_limit()).unwrap();
    fixture.stamp = 3 * HOUR;
    fixture.add_entry(&encode_drop(Timestamp(3 * HOUR), 1, CLASS_ORDINARY, 1));
    assert_eq!(fixture.shard.stats().tenants, 2);
    assert_eq!(fixture.add(&[of(tenants_max)]).batches, [added(1, 0)]);
    // A start finds the same, from the row and from the log.
    fixture.shard.seal(&no_limit()).unwrap();
    let opened = open_shard(&fixture.log, &fixture.cache, &store);
    opened.recover(None, &mut |_, _| {}).unwrap();
    assert_eq!(opened.stats().tenants, fixture.shard.stats().tenants);
    assert_eq!(fixture.recovered().stats().tenants, 3);
    let found = |name, id: u64| {
        let id = TraceId(u128::from(id).to_be_bytes());
        opened.trace(&tenant(name), id, usize::MAX, &no_limit()).unwrap().is_some()
    };
    assert!(found("t0", 7) && found("t1", 7) && !found("t0", 1) && !found("t2", 3));
}

#[test]
fn a_digest_is_the_sum_over_its_spans() {
    let span = |number| simple_span(number, number, 1, 2);
    let digest = |numbers: &[u64]| {
        let mut fixture = Fixture::new();
        let spans: Vec<Span> = numbers.iter().map(|number| span(*number)).collect();
        fixture.add(&[plain_batch(1, &tenant("a"), &spans)]);
        let mark = fixture.add_entry(&encode_mark(Timestamp(9), 1)).mark.unwrap();
        fixture.shard.digest_at(mark, &no_limit()).unwrap().unwrap()
    };
    let single = [1, 2, 3].map(|number| digest(&[number]));
    let sum = single.into_iter().fold(0_u128, u128::wrapping_add);
    assert_eq!(digest(&[1, 2, 3]), sum);
    assert_ne!(digest(&[1, 1]), digest(&[]), "a span is not cancelled by itself");
    assert_eq!(digest(&[1, 1]), single[0], "contents are a set");
}

#[test]
fn recovery_is_the_live_state() {
    for seed in 0..5 {
        let mut generator = Generator::new(seed);
        let mut random = Random::new(seed);
        let mut fixture = Fixture::new();
        let own = tenant("a");
        let spans: Vec<Span> = (0..40).flat_map(|_| generator.trace()).collect();
        write_scattered(&mut fixture, &mut generator, &mut random, &own, &spans);
        let recovered = fixture.recovered();
        assert_eq!(recovered.stats(), fixture.shard.stats(), "seed {seed}");
        for trace in traces_of(&spans) {
            let id = trace[0].trace_id;
            let found = recovered.trace(&own, id, usize::MAX, &no_limit()).unwrap().unwrap();
            assert_eq!(found.spans, trace, "seed {seed}");
        }
        // What was forgotten or remembered is the same, too.
        let last = fixture.next_index;
        let again = batch(u64::MAX, &own, &generator.requests(&spans));
        let entry = encode_data(Timestamp(fixture.stamp), 1, &[again]).unwrap();
        let live = fixture.shard.apply(LogIndex(last), &entry).unwrap();
        assert_eq!(recovered.apply(LogIndex(last), &entry).unwrap(), live, "seed {seed}");
    }
}

#[test]
fn recovery_misses_what_was_purged_too_far() {
    let mut fixture = Fixture::new();
    for number in 1..4 {
        fixture.add(&[plain_batch(number, &tenant("a"), &[simple_span(1, number, 1, 2)])]);
    }
    let log = &fixture.log;
    let upto = LogIndex(2);
    storage::log::LogEngine::purge(
        log.as_ref(),
        crate::fixture::GROUP,
        upto,
        Box::new(|result| result.unwrap()),
    )
    .unwrap();
    let cache = std::sync::Arc::clone(&fixture.cache);
    let engine = std::sync::Arc::clone(log) as std::sync::Arc<dyn storage::log::LogEngine>;
    let shard = storage::Shard::new(model::ShardId(1), crate::fixture::GROUP, engine, cache);
    let error = shard.recover(None, &mut |_, _| ()).unwrap_err();
    assert!(error.is_corruption(), "{error}");
}

#[test]
fn damage_is_an_error_of_the_reads_that_meet_it() {
    // Without a cache every read goes to the log.
    let mut fixture = Fixture::with_cache(0);
    let own = tenant("a");
    let (one, two) = (simple_span(1, 1, 1, 2), simple_span(2, 2, 5, 6));
    let mut large = one.clone();
    large.attributes = (0..200).map(|key: i64| Attribute::new(&*format!("k{key}"), key)).collect();
    fixture.add(&[plain_batch(1, &own, std::slice::from_ref(&large))]);
    fixture.add(&[plain_batch(2, &own, std::slice::from_ref(&two))]);
    let entry_bytes =
        { fixture.log.entry(crate::fixture::GROUP, LogIndex(1)).unwrap().unwrap().len() };
    for place in [32, 45, 200, entry_bytes - 10] {
        fixture.log.damage(LogIndex(1), place);
        let shard = &fixture.shard;
        let error = shard.trace(&own, one.trace_id, 10, &no_limit()).unwrap_err();
        assert!(error.is_corruption(), "byte {place}: {error:?}");
        assert!(error.to_string().contains("entry 1 of group 7"), "{error}");
        let other = shard.trace(&own, two.trace_id, 10, &no_limit()).unwrap().unwrap();
        assert_eq!(other.spans, std::slice::from_ref(&two), "the rest is served");
    }
}

#[test]
fn names_come_from_everything_that_is_there() {
    let mut generator = Generator::new(77);
    let mut random = Random::new(77);
    let mut fixture = Fixture::new();
    let own = tenant("a");
    let spans: Vec<Span> = (0..30).flat_map(|_| generator.trace()).collect();
    write_scattered(&mut fixture, &mut generator, &mut random, &own, &spans);
    let shard = &fixture.shard;
    let services = shard.services(&own, &no_limit()).unwrap();
    assert_eq!(services.value, spans.iter().map(effective::span_service).collect());
    let operation =
        |span: &Span| Operation { name: effective::span_operation(span), kind: span.kind };
    let all = shard.operations(&own, None, &no_limit()).unwrap();
    assert_eq!(all.value, spans.iter().map(operation).collect());
    for service in &services.value {
        let found = shard.operations(&own, Some(service), &no_limit()).unwrap();
        let of_service = spans.iter().filter(|span| effective::span_service(span) == *service);
        assert_eq!(found.value, of_service.map(operation).collect());
    }
    let mut keys = std::collections::BTreeSet::new();
    let mut values = std::collections::BTreeSet::new();
    for span in &spans {
        for scope in AttributeScope::PLACES {
            model::query::field::any_attribute(scope, span, &mut |attribute| {
                let form = model::string_form::string_form(attribute.value.as_ref());
                keys.insert((scope, attribute.key.clone()));
                values.insert((scope, attribute.key.clone(), Text::from(form)));
                false
            });
        }
    }
    assert!(keys.len() < SUGGESTIONS_MAX);
    let found = shard.keys(&own, &Text::EMPTY, &no_limit()).unwrap();
    assert_eq!((&found.value, found.completeness.sampled), (&keys, false));
    let found = shard.keys(&own, &"http".into(), &no_limit()).unwrap();
    let prefixed = keys.iter().filter(|(_, key)| key.as_bytes().starts_with(b"http"));
    assert_eq!(found.value, prefixed.cloned().collect());
    for (scope, key) in &keys {
        let found = shard.values(&own, *scope, key, &Text::EMPTY, &no_limit()).unwrap();
        let of_key = values.iter().filter(|(s, k, _)| s == scope && k == key);
        assert_eq!(found.value, of_key.map(|(.., form)| form.clone()).collect(), "{scope:?} {key}");
    }
}

#[test]
fn a_read_sees_at_least_what_was_applied_when_it_began() {
    const ENTRIES: u64 = 200;
    let fixture = Fixture::new();
    let own = tenant("a");
    let entries: Vec<(LogIndex, Bytes)> = (1..=ENTRIES)
        .map(|number| {
            let batches = [plain_batch(number, &own, &[simple_span(number, 1, number, number)])];
            (LogIndex(number), encode_data(Timestamp(number), 1, &batches).unwrap())
        })
        .collect();
    let done = Box::new(|result: Result<(), _>| result.unwrap());
    fixture.log.append(crate::fixture::GROUP, entries.clone(), done).unwrap();
    let query = TraceQuery {
        window: TimeRange::ALL,
        predicate: TracePredicate::True,
        order: Order::Newest,
        limit: u32::MAX,
        cursor: None,
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (index, entry) in &entries {
                fixture.shard.apply(*index, entry).unwrap();
            }
        });
        loop {
            let before = fixture.shard.applied().map_or(0, |index| index.0);
            let mut found = Vec::new();
            let shard = &fixture.shard;
            let end = shard.search(&own, &query, Detail::Summary, &no_limit(), &mut |hit| {
                found.push(hit.summary.start.0);
                ControlFlow::Continue(())
            });
            assert!(end.unwrap().completeness.is_complete());
            // Without a gap: all of the first so many entries.
            let count = found.len() as u64;
            assert!(count >= before);
            assert_eq!(found, (1..=count).rev().collect::<Vec<_>>());
            if before == ENTRIES {
                break;
            }
        }
    });
}

/// Where a request that came again lies, in the head or in a block of its own, makes no difference:
/// replicas with the same spans have the same digest.
#[test]
fn a_digest_counts_what_came_again_once() {
    let own = tenant("a");
    let request = Generator::new(9).trace();
    let rows = u32::try_from(request.len()).unwrap();
    // Before the repeat, behind it, and whether what that made is merged.
    let digest = |seals: [bool; 2], is_merged: bool| {
        let mut fixture = Fixture::sealing(3, 1 << 20);
        fixture.add(&[batch(1, &own, std::slice::from_ref(&request))]);
        if seals[0] {
            fixture.shard.seal(&no_limit()).unwrap();
        }
        let again = fixture.add(&[batch(2, &own, std::slice::from_ref(&request))]);
        assert_eq!(again.batches, [added(rows, rows)]);
        // Nor does it matter whether it is known to have come again.
        fixture.add(&[plain_batch(3, &own, &request)]);
        if seals[1] {
            fixture.shard.seal(&no_limit()).unwrap();
        }
        fixture.add(&[plain_batch(4, &own, &request)]);
        is_merged
            .then(|| fixture.shard.merge(Timestamp(fixture.stamp), true, &no_limit()).unwrap());
        let mark = fixture.add_entry(&encode_mark(Timestamp(fixture.stamp), 1)).mark.unwrap();
        fixture.shard.digest_at(mark, &no_limit()).unwrap().unwrap()
    };
    let expected = digest([false, false], false);
    for seals in [[true, false], [false, true], [true, true]] {
        for is_merged in [false, true] {
            assert_eq!(digest(seals, is_merged), expected, "{seals:?}, merged: {is_merged}");
        }
    }
}
