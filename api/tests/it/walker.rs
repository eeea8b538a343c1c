//! The walker means what protobuf means: compared with the reference decoder on recorded,
//! generated and mutated messages, and on every rare form by name.

use api::otlp::encode;
use api::otlp::schema::{self, Kind};
use api::otlp::walk::{CheckError, Partitioning, Plan, Rejection, check, tell, tell_piece};
use api::otlp::wire::{self, Reader, WireError, Writer};
use model::sink::{PART_BYTES_MAX, PART_SPANS_MAX};
use model::span::ParentId;
use model::testing::{Collector, Generator, Random};
use model::{AttributeValue, Span, Text};

use crate::recorded;
use crate::reference::{compare, partition_of, walk};

/// How many cases a fuzz body runs; more from the environment.
#[expect(clippy::disallowed_methods, reason = "how long to fuzz is not configuration of a node")]
pub(crate) fn fuzz_cases(default: u64) -> u64 {
    std::env::var("SKUA_FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn recorded_messages_are_told_as_the_reference_reads_them() {
    let mut spans = 0;
    for message in recorded::hipster().iter().chain(&recorded::astronomy()) {
        assert!(compare(message));
        spans += walk(message).unwrap().0.len();
    }
    assert_eq!(spans, 20_256 + 64_151);
}

#[test]
fn partitions_hold_every_span_once_and_in_order() {
    let mut plan = Plan::default();
    for message in recorded::hipster().iter().take(5) {
        check(message, &Partitioning { of: partition_of, count: 3 }, &mut plan).unwrap();
        let (all, _) = walk(message).unwrap();
        let mut seen = 0;
        for (partition, size) in plan.parts() {
            let mut collector = Collector::default();
            tell(message, &plan, partition, &mut collector);
            let told = collector.into_spans();
            let wanted: Vec<_> = all
                .iter()
                .filter(|span| partition_of(span.trace_id) == partition)
                .cloned()
                .collect();
            assert_eq!(told, wanted);
            assert_eq!(size.spans as usize, told.len());
            seen += told.len();
        }
        assert_eq!(seen, all.len());
    }
}

#[test]
fn pieces_of_a_partition_hold_its_spans_in_order_and_stay_small() {
    let messages = recorded::astronomy();
    let largest = messages.iter().max_by_key(|message| message.len()).unwrap();
    let mut plan = Plan::default();
    check(largest, &Partitioning { of: |_| 0, count: 1 }, &mut plan).unwrap();
    let (mut told, mut pieces) = (Vec::new(), 0);
    for piece in plan.pieces() {
        assert!(piece.size.bytes <= PART_BYTES_MAX && piece.size.spans as usize <= PART_SPANS_MAX);
        // Each piece begins with its resource and scope, so a visitor of its own understands it.
        let mut collector = Collector::default();
        tell_piece(largest, &plan, &piece, &mut collector);
        let spans = collector.into_spans();
        assert_eq!(spans.len(), piece.size.spans as usize);
        told.extend(spans);
        pieces += 1;
    }
    assert!(pieces >= largest.len() / PART_BYTES_MAX, "{pieces} pieces");
    assert_eq!(told, walk(largest).unwrap().0);
}

#[test]
fn generated_spans_come_back_whatever_is_in_them() {
    for seed in 0..20 {
        let spans = Generator::new(seed).spans(200);
        for span in &spans {
            let (told, rejected) = walk(&encode::traces_data(std::slice::from_ref(span))).unwrap();
            assert_eq!((told.as_slice(), rejected), (std::slice::from_ref(span), 0), "seed {seed}");
        }
        let (together, _) = walk(&encode::traces_data(&spans)).unwrap();
        let sorted = |mut spans: Vec<Span>| {
            spans.sort_by_cached_key(model::canonical::fingerprint);
            spans
        };
        assert_eq!(sorted(together), sorted(spans), "seed {seed}");
    }
}

#[test]
fn fuzz_flipped_cut_and_repeated_bytes_mean_what_the_reference_says() {
    let (mut accepted, cases) = (0, fuzz_cases(3_000));
    for seed in 0..cases {
        let mut random = Random::new(seed);
        let mut message = small_message(&mut random);
        for _ in 0..=random.below(3) {
            damage(&mut message, &mut random);
        }
        accepted += u64::from(compare_or_report(&message, seed));
    }
    assert!(accepted > cases / 20, "only {accepted} of {cases} messages were worth comparing");
}

#[test]
fn fuzz_reordered_repeated_and_split_fields_mean_what_the_reference_says() {
    let (mut accepted, cases) = (0, fuzz_cases(3_000));
    for seed in 0..cases {
        let mut random = Random::new(seed);
        let message = small_message(&mut random);
        let mut rare = Writer::default();
        rewrite(&schema::REQUEST, &message, &mut random, &mut rare);
        accepted += u64::from(compare_or_report(&rare.bytes, seed));
    }
    assert!(accepted > cases / 3, "only {accepted} of {cases} messages were worth comparing");
}

fn compare_or_report(message: &[u8], seed: u64) -> bool {
    let compared = std::panic::catch_unwind(|| compare(message));
    compared.unwrap_or_else(|_| panic!("seed {seed}: {message:02x?}"))
}

/// A message of a few generated spans whose text is UTF-8, or the reference would refuse it.
fn small_message(random: &mut Random) -> Vec<u8> {
    let mut generator = Generator::new(random.next_u64());
    let count = 1 + random.index(4);
    let mut spans = generator.spans(count);
    if !random.one_in(8) {
        spans.retain(|span| {
            let bytes = encode::traces_data(std::slice::from_ref(span));
            <opentelemetry_proto::tonic::trace::v1::TracesData as prost::Message>::decode(
                bytes.as_slice(),
            )
            .is_ok()
        });
    }
    encode::traces_data(&spans)
}

fn damage(message: &mut Vec<u8>, random: &mut Random) {
    if message.is_empty() {
        return;
    }
    let at = random.index(message.len());
    let end = (at + 1 + random.index(40)).min(message.len());
    match random.below(6) {
        0 | 1 => message[at] ^= 1 << random.below(8),
        2 => message[at] = u8::try_from(random.below(256)).unwrap(),
        3 => message.truncate(at),
        4 => drop(message.drain(at..end)),
        _ => {
            let piece = message[at..end].to_vec();
            let place = random.index(message.len());
            message.splice(place..place, piece);
        }
    }
}

/// Writes a message anew in one of the many ways that mean something to protobuf: fields moved,
/// repeated and split, unknown ones put between.
fn rewrite(
    message: &'static schema::Message,
    bytes: &[u8],
    random: &mut Random,
    writer: &mut Writer,
) {
    let mut fields: Vec<Vec<u8>> = Vec::new();
    let mut reader = Reader::new(bytes);
    while !reader.is_at_end() {
        let start = reader.position();
        let tag = reader.tag().unwrap();
        let nested = message.fields.iter().find_map(|field| match field.kind {
            Kind::One(inner) if tag == wire::tag(field.number, wire::LENGTH) => Some((inner, true)),
            Kind::Many(inner) if tag == wire::tag(field.number, wire::LENGTH) => {
                Some((inner, false))
            }
            _ => None,
        });
        let mut field = Writer::default();
        let Some((inner, is_single)) = nested else {
            reader.skip(tag).unwrap();
            fields.push(reader.since(start).to_vec());
            continue;
        };
        let payload = reader.bytes().unwrap();
        let mut rewritten = Writer::default();
        rewrite(inner, payload, random, &mut rewritten);
        if is_single && random.one_in(4) {
            // One message in two parts, which have to be merged.
            let (first, second) = split(&rewritten.bytes, random);
            field.bytes_field(tag >> 3, first);
            field.bytes_field(tag >> 3, second);
        } else {
            field.bytes_field(tag >> 3, &rewritten.bytes);
        }
        fields.push(field.bytes);
        if is_single && random.one_in(6) {
            // The same message again: its scalars repeat, its lists double.
            fields.push(fields[random.index(fields.len())].clone());
        }
    }
    if random.one_in(5) && !fields.is_empty() {
        fields.push(fields[random.index(fields.len())].clone());
    }
    for _ in 0..random.below(2) {
        let mut unknown = Writer::default();
        match random.below(4) {
            0 => unknown.varint_field(100, random.next_u64()),
            1 => unknown.bytes_field(2_000, b"unknown"),
            2 => unknown.fixed32_field(77, 7),
            _ => unknown.bytes.extend_from_slice(&[0xa3, 0x06, 0x08, 0x01, 0xa4, 0x06]),
        }
        fields.push(unknown.bytes);
    }
    if random.one_in(2) {
        for index in (1..fields.len()).rev() {
            fields.swap(index, random.index(index + 1));
        }
    }
    for field in fields {
        writer.bytes.extend_from_slice(&field);
    }
}

/// Splits a message between two of its fields.
fn split<'a>(message: &'a [u8], random: &mut Random) -> (&'a [u8], &'a [u8]) {
    let mut ends = vec![0];
    let mut reader = Reader::new(message);
    while !reader.is_at_end() {
        let tag = reader.tag().unwrap();
        reader.skip(tag).unwrap();
        ends.push(reader.position());
    }
    message.split_at(*random.pick(&ends))
}

/// A request of one span whose fields `fill` writes after valid ids.
fn request(fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    group(|writer| {
        let span = writer.begin(2);
        ids(writer);
        fill(writer);
        writer.end(span);
    })
}

fn ids(writer: &mut Writer) {
    writer.bytes_field(1, &[1; 16]);
    writer.bytes_field(2, &[2; 8]);
}

/// A request of one scope group whose fields `fill` writes.
fn group(fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    let resource_spans = writer.begin(1);
    let scope_spans = writer.begin(2);
    fill(&mut writer);
    writer.end(scope_spans);
    writer.end(resource_spans);
    writer.bytes
}

fn only_span(message: &[u8]) -> Span {
    compare(message);
    let (mut spans, rejected) = walk(message).unwrap();
    assert_eq!((spans.len(), rejected), (1, 0));
    spans.remove(0)
}

#[test]
fn the_last_scalar_counts() {
    let span = only_span(&request(|writer| {
        writer.bytes_field(5, b"first");
        writer.varint_field(6, 1);
        writer.bytes_field(5, b"last");
        writer.varint_field(6, 3);
        writer.bytes_field(4, b"odd");
    }));
    assert_eq!(span.name, "last");
    assert_eq!(span.kind.0, 3);
    assert_eq!(span.parent, ParentId::Odd(Text::from("odd")));
}

#[test]
fn singular_messages_merge() {
    let span = only_span(&request(|writer| {
        writer.bytes_field(15, &[0x12, 1, b'a', 0x18, 2]);
        writer.bytes_field(15, &[0x12, 1, b'b']);
    }));
    let status = span.status.unwrap();
    assert_eq!((status.code.0, status.message), (2, Text::from("b")));
    let span = only_span(&request(|writer| {
        writer.bytes_field(9, &[0x0a, 1, b'k', 0x12, 2, 0x18, 1, 0x12, 2, 0x18, 2]);
    }));
    assert_eq!(span.attributes[0].value, AttributeValue::Int(2));
}

#[test]
fn resources_and_scopes_merge_and_come_after_their_spans() {
    let mut writer = Writer::default();
    let resource_spans = writer.begin(1);
    writer.bytes_field(3, b"schema");
    let scope_spans = writer.begin(2);
    let span = writer.begin(2);
    ids(&mut writer);
    writer.end(span);
    writer.bytes_field(1, &[0x0a, 1, b'n']);
    writer.varint_field(9, 5);
    writer.bytes_field(1, &[0x12, 1, b'v']);
    writer.bytes_field(3, b"scope schema");
    writer.end(scope_spans);
    writer.bytes_field(1, &[0x0a, 3, 0x0a, 1, b'a', 0x10, 7]);
    writer.bytes_field(1, &[0x0a, 3, 0x0a, 1, b'b']);
    writer.end(resource_spans);
    let span = only_span(&writer.bytes);
    let keys: Vec<_> = span.resource.attributes.iter().map(|it| it.key.clone()).collect();
    assert_eq!(keys, [Text::from("a"), Text::from("b")]);
    assert_eq!(span.resource.dropped_attributes_count, 7);
    assert_eq!(span.resource.schema_url, "schema");
    assert_eq!((&span.scope.name, &span.scope.version), (&Text::from("n"), &Text::from("v")));
    assert_eq!(span.scope.schema_url, "scope schema");
    assert_eq!(span.scope.group_unknown.as_bytes(), [0x48, 5]);
}

#[test]
fn the_last_member_of_a_oneof_wins_and_lists_under_it_merge() {
    let value = |value: &[u8]| {
        let mut pair = Writer::default();
        pair.bytes_field(2, value);
        only_span(&request(|writer| writer.bytes_field(9, &pair.bytes))).attributes[0].value.clone()
    };
    assert_eq!(value(&[0x0a, 1, b'x', 0x18, 5]), AttributeValue::Int(5));
    assert_eq!(value(&[0x18, 5, 0x0a, 1, b'x']), AttributeValue::from("x"));
    let list = AttributeValue::Array(Text::copy_from(&[0x0a, 2, 0x18, 1, 0x0a, 2, 0x18, 2]));
    assert_eq!(value(&[0x2a, 4, 0x0a, 2, 0x18, 1, 0x2a, 4, 0x0a, 2, 0x18, 2]), list);
    assert_eq!(
        value(&[0x2a, 4, 0x0a, 2, 0x18, 1, 0x10, 1, 0x2a, 4, 0x0a, 2, 0x18, 2]),
        AttributeValue::Array(Text::copy_from(&[0x0a, 2, 0x18, 2])),
    );
    assert_eq!(value(&[]), AttributeValue::Empty);
}

#[test]
fn unknown_fields_are_kept_in_order_wherever_they_stand() {
    let span = only_span(&request(|writer| {
        writer.varint_field(100, 1);
        writer.bytes_field(5, b"name");
        writer.varint_field(101, 2);
        // A known field of another type is unknown.
        writer.bytes_field(6, b"kind");
        writer.bytes_field(9, &[0x0a, 1, b'k', 0x12, 4, 0x18, 1, 0x48, 9]);
        writer.bytes_field(9, &[0x0a, 1, b'p', 0x18, 3]);
    }));
    let mut unknown = Writer::default();
    unknown.varint_field(100, 1);
    unknown.varint_field(101, 2);
    unknown.bytes_field(6, b"kind");
    assert_eq!(span.unknown.as_bytes(), unknown.bytes);
    let values: Vec<_> = span.attributes.iter().map(|it| it.value.clone()).collect();
    assert_eq!(
        values,
        [
            AttributeValue::Opaque(Text::copy_from(&[0x18, 1, 0x48, 9])),
            AttributeValue::OpaquePair(Text::copy_from(&[0x0a, 1, b'p', 0x18, 3])),
        ]
    );
    assert_eq!(span.attributes[1].key, "p");
}

#[test]
fn text_that_is_not_utf_8_is_kept() {
    let span = only_span(&request(|writer| {
        writer.bytes_field(5, b"\xff");
        writer.bytes_field(9, &[0x0a, 1, 0xfe, 0x12, 3, 0x0a, 1, 0xfd]);
    }));
    assert_eq!(span.name.as_bytes(), b"\xff");
    assert_eq!(span.attributes[0].key.as_bytes(), b"\xfe");
}

#[test]
fn spans_without_usable_ids_or_over_a_limit_are_rejected_alone() {
    let long_key = vec![b'k'; api::limits::KEY_BYTES_MAX + 1];
    let mut pair = Writer::default();
    pair.bytes_field(1, &long_key);
    let message = group(|writer| {
        let mut span = |trace_id: &[u8], span_id: &[u8], rest: &dyn Fn(&mut Writer)| {
            let nested = writer.begin(2);
            writer.bytes_field(1, trace_id);
            writer.bytes_field(2, span_id);
            rest(writer);
            writer.end(nested);
        };
        span(&[1; 16], &[1; 8], &|_| {});
        span(&[0; 16], &[1; 8], &|_| {});
        span(&[1; 15], &[1; 8], &|_| {});
        span(&[1; 16], &[0; 8], &|_| {});
        span(&[1; 16], &[], &|_| {});
        span(&[1; 16], &[1; 8], &|writer| writer.bytes_field(9, &pair.bytes));
        span(&[1; 16], &[1; 8], &|writer| {
            writer.bytes_field(5, &vec![b'n'; api::limits::SPAN_BYTES_MAX]);
        });
        span(&[1; 16], &[1; 8], &|writer| {
            for _ in 0..=api::limits::SPAN_ATTRIBUTES_MAX {
                writer.bytes_field(9, &[]);
            }
        });
        span(&[2; 16], &[2; 8], &|_| {});
    });
    let (spans, rejected) = walk(&message).unwrap();
    assert_eq!((spans.len(), rejected), (2, 7));
    let mut plan = Plan::default();
    check(&message, &Partitioning { of: |_| 0, count: 1 }, &mut plan).unwrap();
    let text = plan.rejected().to_string();
    assert!(text.starts_with("7 spans rejected: 2 (trace id"), "{text}");
    for rejection in [Rejection::Key, Rejection::SpanBytes, Rejection::Attributes] {
        assert!(text.contains(&format!("1 ({rejection})")), "{text}");
    }
}

#[test]
fn a_resource_over_a_limit_takes_its_spans_with_it() {
    let mut writer = Writer::default();
    let resource_spans = writer.begin(1);
    let scope_spans = writer.begin(2);
    let span = writer.begin(2);
    ids(&mut writer);
    writer.end(span);
    writer.end(scope_spans);
    let resource = writer.begin(1);
    writer.bytes_field(9, &vec![0; api::limits::GROUP_BYTES_MAX]);
    writer.end(resource);
    writer.end(resource_spans);
    let small = request(|_| {});
    writer.bytes.extend_from_slice(&small);
    let (spans, rejected) = walk(&writer.bytes).unwrap();
    assert_eq!((spans.len(), rejected), (1, 1));
}

#[test]
fn values_nested_too_deep_are_refused_and_the_deepest_legal_ones_kept() {
    let nested = |depth: usize| {
        let mut value = vec![0x18, 1];
        for _ in 1..depth {
            let mut item = Writer::default();
            item.bytes_field(1, &value);
            let mut list = Writer::default();
            list.bytes_field(5, &item.bytes);
            value = list.bytes;
        }
        let mut pair = Writer::default();
        pair.bytes_field(2, &value);
        request(|writer| writer.bytes_field(9, &pair.bytes))
    };
    assert_eq!(walk(&nested(64)).map(|(spans, _)| spans.len()), Ok(1));
    let too_deep = CheckError::Malformed(WireError::Depth);
    assert_eq!(walk(&nested(65)).unwrap_err(), too_deep);
    assert_eq!(walk(&nested(10_000)).unwrap_err(), too_deep);
}

#[test]
fn an_empty_request_and_empty_groups_are_well_formed() {
    for message in [&[][..], &[0x0a, 0], &[0x0a, 2, 0x12, 0], &[0x0a, 4, 0x0a, 0, 0x12, 0]] {
        assert_eq!(walk(message).map(|(spans, _)| spans.len()), Ok(0));
        assert!(compare(message));
    }
}

#[test]
fn too_many_groups_or_spans_are_refused() {
    let one = request(|_| {});
    let many = one.repeat(api::limits::REQUEST_GROUPS_MAX / 2 + 1);
    assert_eq!(walk(&many).unwrap_err(), CheckError::TooManyGroups);
    let many = group(|writer| {
        for _ in 0..=api::limits::REQUEST_SPANS_MAX {
            let span = writer.begin(2);
            ids(writer);
            writer.end(span);
        }
    });
    assert_eq!(walk(&many).unwrap_err(), CheckError::TooManySpans);
}
