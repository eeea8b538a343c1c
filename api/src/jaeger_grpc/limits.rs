//! Bounds of the gRPC doors, each with its reason.

use std::time::Duration;

/// Largest request of a read: a few hundred tags. Jaeger's own clients send some hundred bytes.
pub(crate) const QUERY_BYTES_MAX: usize = 256 << 10;
/// Most reads of one port's service whose request is being taken at the same time. Requests come
/// with their heads, so a few are usual; so many need a dozen connections full of calls that never
/// send theirs, and cost some dozens of megabytes.
pub(crate) const QUERIES_MAX: usize = 4_096;
/// How long a request may take to come after its head. Clients send both at once.
pub(crate) const QUERY_DEADLINE: Duration = Duration::from_secs(10);
/// Most bytes of such requests in memory, as received and decompressed.
pub(crate) const QUERIES_BYTES_MAX: usize = 16 << 20;
/// Most spans of one `SpansResponseChunk`; Jaeger's own number, which some clients rely on.
pub(crate) const CHUNK_SPANS_MAX: usize = 10;
/// Bytes beyond which a message with several spans is split: clients refuse messages above 4 MiB
/// unless told otherwise.
pub(crate) const MESSAGE_BYTES_MAX: usize = 3 << 20;
/// Most summaries of one message: some 300 bytes each.
pub(crate) const SUMMARIES_MAX: usize = 100;
/// Most traces that one call of remote storage may name; Jaeger asks for those of one search.
pub(crate) const TRACE_IDS_MAX: usize = 10_000;
/// Traces of up to this many spans are written where they were received: some 200 us of work.
pub(crate) const INLINE_SPANS_MAX: usize = 200;
/// Chunks that are written between two looks at whether the caller is still there.
pub(super) const STRETCH_CHUNKS: usize = 25;
/// Most spans of a message of OTLP, and by that the work between two looks at whether the caller is
/// still there. A message of so many usual spans is about as large as clients take.
pub(super) const MESSAGE_SPANS_MAX: usize = 2_048;
/// How often it is looked whether a node is still ready, for whoever watches its health: balancers
/// that ask by themselves do so every few seconds.
pub(super) const READINESS_INTERVAL: Duration = Duration::from_secs(1);
