//! Archives (RET-1): what is kept beyond its retention stays when everything else goes, in the head
//! and in blocks, over merges and starts, until its tenant is purged.

use model::testing::Generator;
use model::{Span, Tenant, Timestamp};
use storage::entry::{encode_data, encode_drop, encode_purge};
use storage::shard::{CLASS_ARCHIVE, CLASS_ORDINARY};

use crate::fixture::{Fixture, no_limit, plain_batch, tenant, traces_of};

const HOUR: u64 = 3_600_000_000_000;

fn add(fixture: &mut Fixture, stamp: u64, id: u64, owner: &Tenant, spans: &[Span]) {
    let batch = plain_batch(id, owner, spans);
    fixture.add_entry(&encode_data(Timestamp(stamp), 1, &[batch]).unwrap());
}

fn is_there(fixture: &Fixture, owner: &Tenant, spans: &[Span]) -> bool {
    traces_of(spans).iter().all(|expected| {
        let id = expected[0].trace_id;
        let found = fixture.shard.trace(owner, id, usize::MAX, &no_limit()).unwrap();
        found.is_some_and(|trace| trace.spans == *expected)
    })
}

fn is_gone(fixture: &Fixture, owner: &Tenant, spans: &[Span]) -> bool {
    traces_of(spans).iter().all(|expected| {
        let id = expected[0].trace_id;
        fixture.shard.trace(owner, id, usize::MAX, &no_limit()).unwrap().is_none()
    })
}

#[test]
fn an_archive_stays_when_its_hour_goes() {
    let own = tenant("own");
    let archive = own.archive();
    let mut generator = Generator::new(3);
    let early = generator.distinct_trace();
    let late = generator.distinct_trace();
    for seals_before in [false, true] {
        let mut fixture = Fixture::sealing(1, 1 << 20);
        add(&mut fixture, HOUR, 1, &own, &early);
        add(&mut fixture, HOUR + 1, 2, &archive, &early);
        if seals_before {
            fixture.shard.seal(&no_limit()).unwrap();
            assert_eq!(fixture.shard.oldest_bucket(CLASS_ARCHIVE), Some(1));
        }
        add(&mut fixture, 5 * HOUR, 3, &own, &late);
        fixture.add_entry(&encode_drop(Timestamp(5 * HOUR), 1, CLASS_ORDINARY, 4));
        for _ in 0..2 {
            assert!(is_gone(&fixture, &own, &early) && is_there(&fixture, &own, &late));
            assert!(is_there(&fixture, &archive, &early), "sealed before: {seals_before}");
            fixture.shard.seal(&no_limit()).unwrap();
            fixture.shard.merge(Timestamp(9 * HOUR), true, &no_limit()).unwrap();
            fixture.shard.sweep().unwrap();
        }
        assert_eq!(fixture.shard.oldest_bucket(CLASS_ORDINARY), Some(5));
        fixture.add_entry(&encode_purge(Timestamp(9 * HOUR), 1, &archive));
        assert!(is_gone(&fixture, &archive, &early) && is_there(&fixture, &own, &late));
    }
}
