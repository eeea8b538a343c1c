//! Any bytes are a message or an error, and every error says what is wrong.

use std::collections::BTreeSet;

use bytes::{BufMut as _, Bytes, BytesMut};
use cluster::identity::ReplicaId;
use cluster::vouch::{Led, Vouch};
use cluster::wire::limits::{
    FRAME_BYTES_MAX, PATTERNS_MAX, PREDICATE_NODES_MAX, REQUEST_BYTES_MAX, SHARDS_MAX, VOTERS_MAX,
};
use cluster::wire::{
    AskedShard, BarrierReply, BarrierRequest, FrameReader, ReadEnd, ReadItem, ReadOperation,
    ReadRequest, StatusReply, StatusRequest, VouchReply, VouchRequest, WireError, WriteReply,
    WriteRequest,
};
use model::aggregate::{AggregateKind, AggregateQuery};
use model::query::{Field, PREDICATE_DEPTH_MAX, Pattern, SpanPredicate, ValueTest};
use model::store::TraceColumns;
use model::testing::Random;
use model::{ShardId, TimeRange};
use storage::log::LogIndex;

use crate::samples::{self, ROOM, SHARD, byte, frames, items, request, tenant};

/// A field of a message, as protobuf writes it.
fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint(u64::from(number << 3 | 2), &mut bytes);
    varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

fn number(field: u32, value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint(u64::from(field << 3), &mut bytes);
    varint(value, &mut bytes);
    bytes
}

fn varint(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

/// A question with this operation, written by hand.
fn question(operation: &[u8]) -> Result<ReadRequest, WireError> {
    ReadRequest::decode(Bytes::from([field(1, b"acme"), field(6, operation)].concat()))
}

/// A question for totals over the spans of a predicate, written by hand.
fn figures(predicate: &[u8]) -> Result<ReadRequest, WireError> {
    let query = [field(1, b""), field(2, predicate), number(3, 1)].concat();
    question(&[number(1, 4), field(6, &query)].concat())
}

fn over(predicate: SpanPredicate) -> ReadRequest {
    let (window, kind) = (TimeRange::ALL, AggregateKind::Totals);
    request(ReadOperation::Aggregate {
        query: AggregateQuery { window, predicate, kind },
        without: BTreeSet::new(),
    })
}

/// Every decoder takes the bytes. What it makes of them is its affair.
fn decode_all(bytes: &Bytes) {
    let _ = ReadRequest::decode(bytes.clone());
    let _ = BarrierRequest::decode(bytes.clone());
    let _ = BarrierReply::decode(bytes.clone());
    let _ = VouchRequest::decode(bytes.clone());
    let _ = VouchReply::decode(bytes.clone());
    let _ = WriteRequest::decode(bytes.clone());
    let _ = WriteReply::decode(bytes.clone());
    let _ = StatusRequest::decode(bytes.clone());
    let _ = StatusReply::decode(bytes.clone());
    let _ = FrameReader::new(tenant(), [SHARD], ROOM).accept(bytes.clone());
}

/// One of each message and frame.
fn all_messages() -> Vec<Bytes> {
    let mut messages = vec![
        samples::barrier_request().encode().unwrap(),
        samples::barrier_reply().encode().unwrap(),
        samples::write_request().encode().unwrap(),
        samples::write_reply().encode().unwrap(),
        samples::status_request().encode().unwrap(),
        samples::status_reply().encode().unwrap(),
    ];
    for (_, request) in samples::read_requests() {
        messages.push(request.encode().unwrap());
    }
    for (_, item) in samples::read_items() {
        messages.extend(frames(SHARD, &[item]));
    }
    messages
}

#[test]
fn cut_messages_do_no_harm() {
    for message in all_messages() {
        for length in 0..message.len() {
            decode_all(&message.slice(..length));
        }
    }
}

#[test]
fn changed_messages_do_no_harm() {
    let messages = all_messages();
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let mut bytes = BytesMut::from(&random.pick(&messages)[..]);
        for _ in 0..=random.below(3) {
            let place = random.index(bytes.len());
            match random.below(3) {
                0 => bytes[place] ^= 1 << random.below(8),
                1 => bytes[place] = 0xff,
                _ => bytes[place] = byte(&mut random),
            }
        }
        let caught = std::panic::catch_unwind(|| decode_all(&bytes.freeze()));
        assert!(caught.is_ok(), "seed {seed}");
    }
}

#[test]
fn random_bytes_do_no_harm() {
    for seed in 0..5_000 {
        let mut random = Random::new(seed);
        let bytes: Bytes = (0..random.below(80)).map(|_| byte(&mut random)).collect();
        let caught = std::panic::catch_unwind(|| decode_all(&bytes));
        assert!(caught.is_ok(), "seed {seed}");
    }
}

#[test]
fn frames_in_any_order_do_no_harm() {
    let all: Vec<Bytes> =
        samples::read_items().into_iter().flat_map(|(_, item)| frames(SHARD, &[item])).collect();
    for seed in 0..3_000 {
        let mut random = Random::new(seed);
        let mut reader = FrameReader::new(tenant(), [SHARD], ROOM);
        for _ in 0..10 {
            if reader.accept(random.pick(&all).clone()).is_err() {
                break;
            }
        }
    }
}

#[test]
fn fields_of_a_later_version_are_passed_over() {
    let later = field(1_000, b"from the future");
    for (name, request) in samples::read_requests() {
        let bytes = [request.encode().unwrap().to_vec(), later.clone()].concat();
        let read = ReadRequest::decode(bytes.into()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{request:?}"), "{name}");
    }
    for (name, item) in samples::read_items() {
        let frames = frames(SHARD, std::slice::from_ref(&item));
        let frames = frames.into_iter().map(|frame| [&frame[..], &later].concat().into());
        assert_eq!(items(SHARD, frames).unwrap(), [item], "{name}");
    }
    let reply = samples::write_reply();
    let bytes = [reply.encode().unwrap().to_vec(), later].concat();
    assert_eq!(WriteReply::decode(bytes.into()).unwrap(), reply);
}

#[test]
fn choices_of_a_later_version_are_refused_by_name() {
    let unknown = |what, number| WireError::Unknown { what, number };
    let error = question(&number(1, 18)).unwrap_err();
    assert_eq!(error, unknown("operation", 18));
    assert_eq!(error.to_string(), "operation 18 is not known to this version");
    assert!(error.is_of_another_version());
    let error = figures(&number(1, 8)).unwrap_err();
    assert_eq!(error, unknown("a predicate on spans of kind", 8));
    let predicate = [number(1, 5), field(3, &number(1, 20)), field(4, &number(1, 1))].concat();
    assert_eq!(figures(&predicate).unwrap_err(), unknown("a field", 20));
    let frame = [number(1, 7), number(2, 17)].concat();
    let error = FrameReader::new(tenant(), [SHARD], ROOM).accept(frame.into()).unwrap_err();
    assert_eq!(error, unknown("a frame of kind", 17));
    let outcome = field(1, &number(2, 7));
    assert_eq!(WriteReply::decode(outcome.into()).unwrap_err(), unknown("an outcome of kind", 7));
}

#[test]
fn what_must_be_there_is_missed() {
    let missing = |what| WireError::Missing { what };
    let no_operation = ReadRequest::decode(field(1, b"acme").into()).unwrap_err();
    assert_eq!(no_operation, missing("the operation of a read"));
    assert_eq!(question(b"").unwrap_err(), missing("operation"));
    assert_eq!(question(&number(1, 3)).unwrap_err(), missing("the query of a search"));
    assert_eq!(figures(&number(1, 5)).unwrap_err(), missing("the field of a predicate"));
    assert!(matches!(question(&number(1, 1)), Err(WireError::Invalid { what: "a trace id", .. })));
    let nobody = ReadRequest::decode(field(6, &number(1, 5)).into());
    assert!(matches!(nobody, Err(WireError::Invalid { what: "a tenant", .. })));
}

/// A predicate negated so many times, written by hand.
fn negated(times: usize) -> Vec<u8> {
    (0..times).fold(number(1, 1), |inner, _| [number(1, 4), field(2, &inner)].concat())
}

#[test]
fn nesting_is_bounded_on_both_sides() {
    let negate = |inner, _| SpanPredicate::Not(Box::new(inner));
    let deep = (0..PREDICATE_DEPTH_MAX).fold(SpanPredicate::True, negate);
    ReadRequest::decode(over(deep.clone()).encode().unwrap()).unwrap();
    let too_deep = WireError::TooDeep { depth_max: PREDICATE_DEPTH_MAX };
    assert_eq!(over(negate(deep, 0)).encode().unwrap_err(), too_deep);

    figures(&negated(PREDICATE_DEPTH_MAX)).unwrap();
    assert_eq!(figures(&negated(PREDICATE_DEPTH_MAX + 1)).unwrap_err(), too_deep);
    // Beyond what the parser itself goes into.
    assert!(matches!(figures(&negated(200)), Err(WireError::NotAMessage { .. })));
    assert!(matches!(figures(&negated(20_000)), Err(WireError::NotAMessage { .. })));
}

#[test]
fn parts_and_patterns_of_a_predicate_are_bounded_on_both_sides() {
    let wide = SpanPredicate::All(vec![SpanPredicate::True; PREDICATE_NODES_MAX]);
    assert!(matches!(over(wide).encode(), Err(WireError::TooMany { .. })));
    let parts = field(2, &number(1, 1)).repeat(PREDICATE_NODES_MAX);
    let wide = [number(1, 2), parts].concat();
    assert!(matches!(figures(&wide), Err(WireError::TooMany { .. })));

    let pattern = ValueTest::Matches(Pattern::unanchored("a").unwrap());
    let part = SpanPredicate::Field(Field::Service, pattern);
    let fine = over(SpanPredicate::All(vec![part.clone(); PATTERNS_MAX])).encode().unwrap();
    ReadRequest::decode(fine).unwrap();
    let many = over(SpanPredicate::All(vec![part; PATTERNS_MAX + 1])).encode();
    assert!(matches!(many, Err(WireError::TooMany { .. })));
}

#[test]
fn patterns_are_compiled_anew() {
    let matches = |pattern: &[u8]| {
        let test = [number(1, 3), field(4, pattern)].concat();
        figures(&[number(1, 5), field(3, &number(1, 1)), field(4, &test)].concat())
    };
    matches(b"^(?:GET|POST)$").unwrap();
    assert!(matches!(matches(b"(unclosed"), Err(WireError::Pattern(_))));
    assert!(matches!(matches(b"((a{1000}){1000}){1000}"), Err(WireError::Pattern(_))));
    assert!(matches!(matches(b"\xff"), Err(WireError::NotAMessage { .. })));
}

#[test]
fn a_negation_negates_one_thing() {
    let two = [number(1, 4), field(2, &number(1, 1)).repeat(2)].concat();
    assert!(matches!(figures(&two), Err(WireError::Invalid { .. })));
    assert!(matches!(figures(&number(1, 4)), Err(WireError::Invalid { .. })));
}

#[test]
fn sizes_and_counts_are_bounded() {
    let large = Bytes::from(field(1_000, &vec![0; REQUEST_BYTES_MAX]));
    assert!(matches!(ReadRequest::decode(large), Err(WireError::TooLarge { .. })));
    let mut frame = BytesMut::from(&number(1, 7)[..]);
    frame.put_bytes(0, FRAME_BYTES_MAX);
    let refused = FrameReader::new(tenant(), [SHARD], ROOM).accept(frame.freeze());
    assert!(matches!(refused, Err(WireError::TooLarge { .. })));

    let asked = AskedShard { shard: SHARD, applied_min: None };
    let mut many = request(ReadOperation::Services);
    many.shards = vec![asked; SHARDS_MAX];
    assert_eq!(ReadRequest::decode(many.encode().unwrap()).unwrap().shards.len(), SHARDS_MAX);
    many.shards.push(asked);
    assert!(matches!(many.encode(), Err(WireError::TooMany { .. })));
    let shards = field(2, &vec![1; SHARDS_MAX + 1]);
    assert!(matches!(BarrierRequest::decode(shards.into()), Err(WireError::TooMany { .. })));
    let shards = field(1, &vec![1; SHARDS_MAX + 1]);
    assert!(matches!(VouchRequest::decode(shards.into()), Err(WireError::TooMany { .. })));
    let voters = |count: u64| (0..count).map(ReplicaId).collect();
    let vouched = |voters| {
        let led = Some(Led { committed: LogIndex(1), voters });
        let vouch = Vouch { replica: ReplicaId(1), voted: None, led };
        VouchReply { vouches: vec![(SHARD, vouch)] }.encode()
    };
    let most = VOTERS_MAX as u64;
    VouchReply::decode(vouched(vec![voters(most), voters(most)]).unwrap()).unwrap();
    assert!(matches!(vouched(vec![voters(most + 1)]), Err(WireError::TooMany { .. })));
    assert!(matches!(vouched(vec![voters(1); 3]), Err(WireError::TooMany { .. })));
}

#[test]
fn figures_that_could_overflow_are_refused() {
    for kind in [1, 2, 3, 4] {
        let body = field(16, &number(kind, u64::MAX));
        let frame = [number(1, 7), number(2, 6), body].concat();
        let refused = FrameReader::new(tenant(), [SHARD], ROOM).accept(frame.into());
        assert!(matches!(refused, Err(WireError::TooMany { .. })), "{refused:?}");
    }
}

#[test]
fn columns_that_do_not_fit_each_other_are_refused() {
    let head = [number(1, 7), number(2, 4), number(3, 1), field(14, &field(1, b""))].concat();
    let rows = |rows: &[u8]| {
        let frame = [number(1, 7), number(2, 5), field(15, rows)].concat();
        items(SHARD, [head.clone().into(), frame.into()])
    };
    let nothing = ReadItem::Columns(Some(Box::new(TraceColumns::default())));
    assert_eq!(rows(b"").unwrap(), [nothing]);
    assert!(matches!(rows(&field(1, &[1; 9])), Err(WireError::Invalid { .. })), "half an id");
    assert!(matches!(rows(&field(1, &[1; 8])), Err(WireError::Invalid { .. })), "no parents");
    let row = [field(1, &[1; 8]), field(2, &[0]), field(3, &[0; 8]), field(4, &[0])].concat();
    let row = [row, field(5, &[0]), field(6, &[0]), field(7, &[0])].concat();
    assert!(matches!(rows(&row), Err(WireError::Invalid { .. })), "no names");
    assert!(rows(&[row, field(8, b"s"), field(9, b"o")].concat()).is_ok());
}

#[test]
fn found_rows_without_a_bit_each_are_refused() {
    let found = |rows: u64, bits: &[u8]| {
        let body = field(1, &[number(1, rows), field(2, bits)].concat());
        items(SHARD, [[number(1, 7), number(2, 16), field(26, &body)].concat().into()])
    };
    assert!(found(9, &[1, 1]).is_ok());
    for (rows, bits) in [(9, &[1][..]), (8, &[1, 0]), (u64::MAX, &[1]), (7, &[0b1000_0000])] {
        let refused = found(rows, bits);
        assert!(matches!(refused, Err(WireError::Invalid { .. })), "{rows}: {refused:?}");
    }
}

#[test]
fn frames_of_strangers_and_after_the_end_are_refused() {
    let end = frames(SHARD, &[ReadItem::End(ReadEnd::default())]).remove(0);
    let mut reader = FrameReader::new(tenant(), [SHARD], ROOM);
    let stranger = frames(ShardId(8), &[ReadItem::End(ReadEnd::default())]).remove(0);
    assert!(matches!(reader.accept(stranger), Err(WireError::OutOfPlace { .. })));
    assert!(reader.accept(end.clone()).unwrap().is_some());
    assert!(matches!(reader.accept(end), Err(WireError::OutOfPlace { .. })));
}

#[test]
fn an_item_that_never_ends_is_refused_at_the_readers_bound() {
    let names = field(17, &field(1, &[b'x'; 1_000]));
    let frame = Bytes::from([number(1, 7), number(2, 7), number(3, 1), names].concat());
    let mut reader = FrameReader::new(tenant(), [SHARD], 10_000);
    let taken = (0..100_000).take_while(|_| reader.accept(frame.clone()).is_ok()).count();
    assert_eq!(taken, 9);
    let piece = field(24, &[b'x'; 1_000]);
    let frame = Bytes::from([number(1, 7), number(2, 14), number(3, 1), piece].concat());
    let mut reader = FrameReader::new(tenant(), [SHARD], ROOM);
    let taken = (0..100_000).take_while(|_| reader.accept(frame.clone()).is_ok()).count();
    assert_eq!(taken, (16 << 20) / 1_000);
}
