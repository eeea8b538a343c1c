//! Zipkin's v1 model becomes OTLP.
//!
//! The rules, after those of OpenTelemetry's translator that Jaeger's own receiver uses: the
//! first core annotation (`cs cr ms mr ss sr`) says the kind, the first one with a service says
//! whose span it is (then a binary annotation, then `lc`, then `unknown-service`), and without a
//! timestamp the earliest and latest annotation say the times. Other annotations are events,
//! binary annotations are attributes, with their types where the format has types. The status
//! comes from `census.status_code`, else `otel.status_code`, else `error`, else
//! `http.status_code`.
//!
//! Where that translator would lose something, this one keeps it: an address annotation (`sa`,
//! `ca`, `ma`) becomes the remote endpoint's attributes, as in v2, and the text of an `error`
//! stays an attribute.

use super::draft::{Draft, Endpoint, Tag};
use super::v2::{ABSENT_START, status_code, write_remote};
use crate::jaeger_thrift::arena::{Arena, Attributes, TranslateError, Value, attributes_of};
use crate::jaeger_thrift::translate::nanos_of_micros;

const UNKNOWN_SERVICE: &[u8] = b"unknown-service";

const OK: i64 = 1;
const ERROR: i64 = 2;

/// Writes a span.
pub fn write(draft: &Draft, arena: &mut Arena) -> Result<(), TranslateError> {
    let core = Core::of(draft);
    let fallback = fallback_service(draft);
    arena.resource(|attributes| {
        let endpoint = core.endpoint.unwrap_or_default();
        let service = match core.endpoint {
            Some(endpoint) => draft.text(endpoint.service),
            None => fallback,
        };
        write_resource(draft, service, &endpoint, attributes);
        Ok::<_, TranslateError>(())
    })?;
    arena.scope(b"", b"");

    let status = Status::of(draft);
    let (start, end) = core.times(draft);
    let span = arena.begin_span();
    let writer = arena.writer();
    writer.bytes_field(1, &draft.trace_id);
    writer.bytes_field(2, &draft.span_id);
    if draft.parent != [0; 8] {
        writer.bytes_field(4, &draft.parent);
    }
    writer.bytes_field(5, draft.text(draft.name));
    if core.kind != 0 {
        writer.varint_field(6, core.kind);
    }
    writer.fixed64_field(7, start);
    writer.fixed64_field(8, end);
    let mut attributes = arena.attributes(attributes_of::SPAN);
    for tag in draft.tags() {
        let value = draft.value(tag.value);
        match draft.text(tag.key) {
            _ if is_address(draft, tag) => write_remote(draft, &tag.endpoint, &mut attributes),
            b"lc" => attributes.put(b"component", value),
            key if status.holds(key, value) => {}
            key => attributes.put(key, value),
        }
    }
    if start == 0 {
        attributes.put(ABSENT_START, Value::Bool(true));
    }
    for annotation in draft.annotations() {
        let value = draft.text(annotation.value);
        if value.is_empty() || core_kind(value).is_some() {
            continue;
        }
        let event = arena.writer().begin(11);
        arena.writer().fixed64_field(1, nanos_of_micros(i128::from(annotation.time)));
        arena.writer().bytes_field(2, value);
        arena.writer().end(event);
    }
    status.write(arena);
    arena.end_span(span)
}

fn write_resource(
    draft: &Draft,
    service: &[u8],
    endpoint: &Endpoint,
    attributes: &mut Attributes<'_>,
) {
    attributes.put(b"service.name", Value::Text(service));
    if !endpoint.ipv4.is_empty() {
        attributes.put(b"ipv4", Value::Text(draft.text(endpoint.ipv4)));
    }
    if !endpoint.ipv6.is_empty() {
        attributes.put(b"ipv6", Value::Text(draft.text(endpoint.ipv6)));
    }
    if endpoint.port != 0 {
        attributes.put(b"port", Value::Text(endpoint.port.to_string().as_bytes()));
    }
}

/// The kind that a core annotation says, in OTLP's numbers.
fn core_kind(value: &[u8]) -> Option<u64> {
    match value {
        b"ss" | b"sr" => Some(2),
        b"cs" | b"cr" => Some(3),
        b"ms" => Some(4),
        b"mr" => Some(5),
        _ => None,
    }
}

/// What the annotations say of a span.
#[derive(Default)]
struct Core {
    kind: u64,
    endpoint: Option<Endpoint>,
    /// Microseconds since the epoch.
    bounds: Option<(i64, i64)>,
}

impl Core {
    fn of(draft: &Draft) -> Self {
        let mut core = Self::default();
        for annotation in draft.annotations() {
            if annotation.value.is_empty() {
                continue;
            }
            if let Some(kind) = core_kind(draft.text(annotation.value)) {
                if core.kind == 0 {
                    core.kind = kind;
                }
                if core.endpoint.is_none() && !annotation.endpoint.service.is_empty() {
                    core.endpoint = Some(annotation.endpoint);
                }
            }
            let time = annotation.time;
            let (first, last) = core.bounds.unwrap_or((time, time));
            core.bounds = Some((first.min(time), last.max(time)));
        }
        core
    }

    /// Start and end in nanoseconds since the epoch.
    fn times(&self, draft: &Draft) -> (u64, u64) {
        let timestamp = i128::from(draft.timestamp);
        let (start, end) = match self.bounds {
            _ if draft.timestamp != 0 => (timestamp, timestamp + i128::from(draft.duration)),
            Some((first, last)) => (i128::from(first), i128::from(last)),
            None => (0, i128::from(draft.duration)),
        };
        (nanos_of_micros(start), nanos_of_micros(end))
    }
}

/// Whether a binary annotation says an address and nothing else.
fn is_address(draft: &Draft, tag: &Tag) -> bool {
    matches!(draft.text(tag.key), b"sa" | b"ca" | b"ma")
        && draft.value(tag.value) == Value::Bool(true)
        && tag.endpoint != Endpoint::default()
}

/// The service of a span without one: the last that a binary annotation names.
fn fallback_service(draft: &Draft) -> &[u8] {
    let (mut named, mut component): (&[u8], &[u8]) = (b"", b"");
    for tag in draft.tags().iter().filter(|tag| !is_address(draft, tag)) {
        if !tag.endpoint.service.is_empty() {
            named = draft.text(tag.endpoint.service);
        }
        if draft.text(tag.key) == b"lc" {
            component = draft.value(tag.value).text();
        }
    }
    [named, component].into_iter().find(|it| !it.is_empty()).unwrap_or(UNKNOWN_SERVICE)
}

/// The outcome that binary annotations tell.
#[derive(Default)]
struct Status<'a> {
    census: Option<i64>,
    census_message: &'a [u8],
    otel: Option<i64>,
    otel_message: &'a [u8],
    is_error: bool,
    http: Option<i64>,
    http_message: &'a [u8],
}

impl<'a> Status<'a> {
    fn of(draft: &'a Draft) -> Self {
        let mut status = Self::default();
        for tag in draft.tags() {
            let value = draft.value(tag.value);
            match draft.text(tag.key) {
                b"census.status_code" => {
                    let code = integer(value).map(|code| if code == 0 { OK } else { ERROR });
                    status.census = code.or(status.census);
                }
                b"census.status_description" | b"opencensus.status_description" => {
                    status.census_message = value.text();
                }
                b"otel.status_code" => status.otel = otel_code(value).or(status.otel),
                b"otel.status_description" => status.otel_message = value.text(),
                b"http.status_code" => status.http = integer(value).or(status.http),
                b"http.status_message" => status.http_message = value.text(),
                b"error" => status.is_error = true,
                _ => {}
            }
        }
        status
    }

    /// Whether a binary annotation need not be an attribute any more.
    fn holds(&self, key: &[u8], value: Value<'_>) -> bool {
        match key {
            b"census.status_code" => integer(value).is_some(),
            b"otel.status_code" => otel_code(value).is_some(),
            b"census.status_description"
            | b"opencensus.status_description"
            | b"otel.status_description" => self.outcome().1 == value.text(),
            b"error" => matches!(value, Value::Bool(_) | Value::Text(b"" | b"true")),
            _ => false,
        }
    }

    fn outcome(&self) -> (i64, &'a [u8]) {
        if let Some(code) = self.census {
            return (code, self.census_message);
        }
        if let Some(code) = self.otel {
            return (code, self.otel_message);
        }
        if self.is_error {
            let is_census = !self.census_message.is_empty();
            return (ERROR, if is_census { self.census_message } else { self.otel_message });
        }
        match self.http {
            Some(100..400) => (0, self.http_message),
            Some(_) => (ERROR, self.http_message),
            None => (0, b""),
        }
    }

    fn write(&self, arena: &mut Arena) {
        let (code, message) = self.outcome();
        if code == 0 && message.is_empty() {
            return;
        }
        let status = arena.writer().begin(15);
        if !message.is_empty() {
            arena.writer().bytes_field(2, message);
        }
        if code != 0 {
            arena.writer().varint_field(3, code.cast_unsigned());
        }
        arena.writer().end(status);
    }
}

/// A status of OTLP, by number or by name.
fn otel_code(value: Value<'_>) -> Option<i64> {
    let by_name = i64::try_from(status_code(value.text())).ok().filter(|code| *code != 0);
    integer(value).or(by_name)
}

/// An integer of 32 bits, also one written as text.
fn integer(value: Value<'_>) -> Option<i64> {
    let integer = match value {
        Value::Int(integer) => integer,
        Value::Text(text) => std::str::from_utf8(text).ok()?.parse().ok()?,
        _ => return None,
    };
    i32::try_from(integer).ok().map(i64::from)
}
