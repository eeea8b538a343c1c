//! Writes owned spans to a store: the way for tests to write.

use crate::canonical;
use crate::sink::PartSize;
use crate::store::{Ack, RequestDigest};
use crate::tell::tell_spans;
use crate::{Span, SpanSink, StoreError, Tenant, TraceStore};

/// Writes the spans as one request and waits for the acknowledgement.
pub async fn write_spans<S: TraceStore>(
    store: &S,
    tenant: &Tenant,
    spans: &[Span],
) -> Result<Ack, StoreError> {
    begin_with_spans(store, tenant, spans)?.finish().await
}

/// A request to which all the spans are appended, not yet finished.
pub fn begin_with_spans<S: TraceStore>(
    store: &S,
    tenant: &Tenant,
    spans: &[Span],
) -> Result<S::Sink, StoreError> {
    let mut sink = store.begin(tenant, digest(spans))?;
    for partition in 0..sink.partition_count() {
        let part: Vec<&Span> =
            spans.iter().filter(|span| sink.partition_of(span.trace_id) == partition).collect();
        if part.is_empty() {
            continue;
        }
        let mut bytes = Vec::new();
        for span in &part {
            canonical::write_span(span, &mut bytes);
        }
        let size =
            PartSize { spans: u32::try_from(part.len()).unwrap_or(u32::MAX), bytes: bytes.len() };
        sink.append(partition, size, &mut |visitor| tell_spans(part.iter().copied(), visitor))?;
    }
    Ok(sink)
}

/// The digest of a request of these spans.
fn digest(spans: &[Span]) -> RequestDigest {
    let mut bytes = Vec::new();
    for span in spans {
        canonical::write_span(span, &mut bytes);
    }
    RequestDigest(twox_hash::XxHash3_128::oneshot(&bytes).to_be_bytes())
}
