//! Every bound of the doors for formats other than OTLP, each with its reason.
//!
//! What these share with OTLP (bodies, spans, attributes, time) is in [`crate::limits`].

use crate::limits;

/// Deepest nesting of Thrift structures, lists and maps. A `jaeger.Batch` in a message is six
/// levels deep; more is only passed over, as an unknown field of a newer client.
pub const THRIFT_DEPTH_MAX: usize = 64;

/// Largest OTLP message that a request is translated into: what the walker takes anyway. An empty
/// tag is one byte in Thrift and eight in OTLP, so a request can grow on the way.
pub const ARENA_BYTES_MAX: usize = limits::DECOMPRESSED_BYTES_MAX;

/// Most attributes of a span, a resource or a scope that are translated: one more than the walker
/// accepts, so that it rejects the span or the group and nobody translates the rest.
pub const ATTRIBUTES_TRANSLATED_MAX: usize = limits::SPAN_ATTRIBUTES_MAX + 1;

/// Most events or links of a span that are translated: one more than the walker accepts.
pub const SPAN_ITEMS_TRANSLATED_MAX: usize = limits::SPAN_EVENTS_MAX + 1;

/// Most bytes of texts that a Zipkin span keeps while it is read. They come from its body, so only
/// a body made to grow (an error text for each of a million broken values) meets this bound; such
/// a span has more tags than the walker accepts.
pub const DRAFT_BYTES_MAX: usize = 2 * limits::DECOMPRESSED_BYTES_MAX;

/// Largest text in which attributes are looked for: four times the attributes that an SDK writes
/// into an event or a link, at a hundred bytes each. Decoded JSON takes a multiple of its text.
pub const ENCODED_BYTES_MAX: usize = 64 * 1024;

/// Largest datagram: what UDP can carry over IPv4. Jaeger's clients stop at 65,000.
pub const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Most sockets that share a UDP port. Taking a span in costs a few microseconds, so four
/// processors take in far more than a node can store.
pub const UDP_SOCKETS_MAX: usize = 4;

/// Most bytes of translated spans that wait at a UDP socket while earlier ones are being stored:
/// about 8,000 spans. With as many in each request under way it bridges a sync that takes most of
/// a second at 50,000 spans a second. This is the bounded queue; datagrams that find it full are
/// dropped and counted.
pub const UDP_PENDING_BYTES_MAX: usize = 4 << 20;

/// Most requests of one UDP socket that are being stored at the same time. Each waits for an
/// fsync of a few milliseconds, and with [`UDP_PENDING_BYTES_MAX`] each can be some full batches.
pub const UDP_REQUESTS_MAX: usize = 4;

/// Receive buffer asked of the system for a UDP socket: what arrives during 50 ms of a stall at
/// 80 MB/s. The system may grant less.
pub const UDP_RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// Most datagrams read in a row before the loop looks at anything else.
pub const UDP_DATAGRAMS_PER_TURN: usize = 64;

const _: () = {
    // One span more than the queue's bound is translated before the bound is looked at.
    assert!(UDP_PENDING_BYTES_MAX + 16 * DATAGRAM_BYTES_MAX < ARENA_BYTES_MAX);
    assert!(limits::SPAN_LINKS_MAX <= limits::SPAN_EVENTS_MAX);
};
