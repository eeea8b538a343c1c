//! Zipkin's v2 model becomes OTLP.
//!
//! The rules, after those of OpenTelemetry's translator that Jaeger's own receiver uses: the
//! local endpoint's service is the resource, with the tags that describe a service; the scope is
//! `otel.library.name` and `.version`; `otel.status_code`, an `error` of `true`, `w3c.tracestate`
//! and links (`otlp.link.0`) become fields; addresses become `net.*` and `peer.service`; other
//! tags become text attributes; a span without a timestamp begins at the epoch and says so.
//!
//! Where that translator would lose something, this one keeps it: each span has its own
//! resource's tags, and texts that only look encoded stay texts.

use super::draft::{Draft, Endpoint, Tag};
use super::encoded;
use super::resource_keys::is_resource_key;
use crate::jaeger_thrift::arena::{Arena, Attributes, TranslateError, Value, attributes_of};
use crate::jaeger_thrift::translate::nanos_of_micros;

/// Says that a span came without a timestamp.
pub(super) const ABSENT_START: &[u8] = b"otel.zipkin.absentField.startTime";
/// The resource attribute that the service's name was, if not `service.name`.
const SERVICE_NAME_SOURCE: &[u8] = b"otlp.service.name.source";
const LIBRARY_NAME: &[u8] = b"otel.library.name";
const LIBRARY_VERSION: &[u8] = b"otel.library.version";
const SERVICE_NAME: &[u8] = b"service.name";

const UNSET: u64 = 0;
const OK: u64 = 1;
const ERROR: u64 = 2;

/// Writes a span.
pub fn write(draft: &Draft, arena: &mut Arena) -> Result<(), TranslateError> {
    arena.resource(|attributes| {
        write_resource(draft, attributes);
        Ok::<_, TranslateError>(())
    })?;
    let library = draft.tag_text(LIBRARY_NAME).unwrap_or_default();
    let has_library = !library.is_empty();
    let version = draft.tag_text(LIBRARY_VERSION).filter(|_| has_library);
    arena.scope(library, version.unwrap_or_default());

    let status = Status::of(draft);
    let is_internal = draft.kind == 0 && draft.tag_text(b"span.kind") == Some(b"internal");
    let span = arena.begin_span();
    write_head(draft, if is_internal { 1 } else { draft.kind }, arena);
    let mut attributes = arena.attributes(attributes_of::SPAN);
    for tag in draft.tags() {
        let key = draft.text(tag.key);
        let is_told = match key {
            b"w3c.tracestate" | SERVICE_NAME_SOURCE | b"otel.status_code" => true,
            LIBRARY_NAME | LIBRARY_VERSION => has_library,
            b"span.kind" => is_internal,
            b"otel.status_description" => status.is_said,
            b"error" => draft.value(tag.value).text() == b"true",
            _ => is_resource_key(key),
        };
        if is_told {
            continue;
        }
        // Links are written behind the events and decoded again there: decoded ones are large.
        if link_of(draft, tag).is_none() {
            attributes.put(key, draft.value(tag.value));
        }
    }
    write_endpoint(draft, &draft.local, b"net.host.ip", b"net.host.port", &mut attributes);
    write_remote(draft, &draft.remote, &mut attributes);
    if draft.timestamp == 0 {
        attributes.put(ABSENT_START, Value::Bool(true));
    }
    write_events(draft, arena);
    for link in draft.tags().iter().filter_map(|tag| link_of(draft, tag)) {
        write_link(&link, arena);
    }
    status.write(arena);
    arena.end_span(span)
}

fn write_resource(draft: &Draft, attributes: &mut Attributes<'_>) {
    let service = draft.text(draft.local.service);
    let source = draft.tag_text(SERVICE_NAME_SOURCE).filter(|source| !source.is_empty());
    let key = source.unwrap_or(SERVICE_NAME);
    if !service.is_empty() && draft.tag_text(key).is_none() {
        attributes.put(key, Value::Text(service));
    }
    let of_service = |tag: &&Tag| is_resource_key(draft.text(tag.key));
    for tag in draft.tags().iter().filter(of_service) {
        attributes.put(draft.text(tag.key), draft.value(tag.value));
    }
}

/// Ids, name, kind and times.
fn write_head(draft: &Draft, kind: u64, arena: &mut Arena) {
    let writer = arena.writer();
    writer.bytes_field(1, &draft.trace_id);
    writer.bytes_field(2, &draft.span_id);
    if let Some(trace_state) = draft.tag_text(b"w3c.tracestate") {
        writer.bytes_field(3, trace_state);
    }
    if draft.parent != [0; 8] && draft.parent != draft.span_id {
        writer.bytes_field(4, &draft.parent);
    }
    writer.bytes_field(5, draft.text(draft.name));
    if kind != 0 {
        writer.varint_field(6, kind);
    }
    let (start, duration) = (i128::from(draft.timestamp), i128::from(draft.duration));
    writer.fixed64_field(7, nanos_of_micros(start));
    writer.fixed64_field(8, nanos_of_micros(start + duration));
}

/// The outcome that tags tell.
struct Status<'a> {
    code: u64,
    message: &'a [u8],
    /// Whether `otel.status_code` says it.
    is_said: bool,
}

impl<'a> Status<'a> {
    fn of(draft: &'a Draft) -> Self {
        let said = draft.tag_text(b"otel.status_code");
        let message = said.and_then(|_| draft.tag_text(b"otel.status_description"));
        let is_error = draft.tag_text(b"error") == Some(b"true");
        let code = if is_error { ERROR } else { said.map_or(UNSET, status_code) };
        Self { code, message: message.unwrap_or_default(), is_said: said.is_some() }
    }

    fn write(&self, arena: &mut Arena) {
        if self.code == UNSET && self.message.is_empty() {
            return;
        }
        let status = arena.writer().begin(15);
        if !self.message.is_empty() {
            arena.writer().bytes_field(2, self.message);
        }
        if self.code != UNSET {
            arena.writer().varint_field(3, self.code);
        }
        arena.writer().end(status);
    }
}

/// OTLP's number of a status, by its name there or as Zipkin exporters write it.
pub(super) fn status_code(name: &[u8]) -> u64 {
    let name = name.strip_prefix(b"STATUS_CODE_").unwrap_or(name);
    if name.eq_ignore_ascii_case(b"OK") {
        OK
    } else if name.eq_ignore_ascii_case(b"ERROR") {
        ERROR
    } else {
        UNSET
    }
}

/// The attributes of whoever was spoken to.
pub(super) fn write_remote(draft: &Draft, remote: &Endpoint, attributes: &mut Attributes<'_>) {
    if !remote.service.is_empty() {
        attributes.put(b"peer.service", Value::Text(draft.text(remote.service)));
    }
    write_endpoint(draft, remote, b"net.peer.ip", b"net.peer.port", attributes);
}

/// An endpoint's address and port. Of two addresses the second counts.
fn write_endpoint(
    draft: &Draft,
    endpoint: &Endpoint,
    ip_key: &[u8],
    port_key: &[u8],
    attributes: &mut Attributes<'_>,
) {
    let ip = if endpoint.ipv6.is_empty() { endpoint.ipv4 } else { endpoint.ipv6 };
    if !ip.is_empty() {
        attributes.put(ip_key, Value::Text(draft.text(ip)));
    }
    if endpoint.port > 0 {
        attributes.put(port_key, Value::Int(endpoint.port));
    }
}

fn write_events(draft: &Draft, arena: &mut Arena) {
    for annotation in draft.annotations() {
        let (name, encoded) = encoded::event(draft.text(annotation.value));
        let event = arena.writer().begin(11);
        arena.writer().fixed64_field(1, nanos_of_micros(i128::from(annotation.time)));
        arena.writer().bytes_field(2, name);
        if let Some(encoded) = encoded {
            encoded.put(&mut arena.attributes(attributes_of::EVENT));
            if encoded.dropped > 0 {
                arena.writer().varint_field(4, encoded.dropped);
            }
        }
        arena.writer().end(event);
    }
}

fn link_of<'a>(draft: &'a Draft, tag: &Tag) -> Option<encoded::EncodedLink<'a>> {
    encoded::link(draft.text(tag.key), draft.value(tag.value).text())
}

fn write_link(link: &encoded::EncodedLink<'_>, arena: &mut Arena) {
    let nested = arena.writer().begin(13);
    arena.writer().bytes_field(1, &link.trace_id);
    arena.writer().bytes_field(2, &link.span_id);
    if !link.trace_state.is_empty() {
        arena.writer().bytes_field(3, link.trace_state);
    }
    link.encoded.put(&mut arena.attributes(attributes_of::LINK));
    if link.encoded.dropped > 0 {
        arena.writer().varint_field(5, link.encoded.dropped);
    }
    arena.writer().end(nested);
}
