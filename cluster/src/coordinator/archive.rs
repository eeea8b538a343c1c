//! Archiving: a trace is copied to where nothing drops it.
//!
//! The copy is an ordinary write, under the tenant's archive ([`Tenant::archive`]): as durable as
//! any other, on the same shard (the id is the same), in blocks of a retention class of its own.
//! Archiving the same trace again adds what it has gained since; what is equal counts once.

use std::sync::Arc;

use model::budget::Budget;
use model::sink::{PART_BYTES_MAX, PART_SPANS_MAX, PartSize};
use model::store::{ReadScope, RequestDigest, TraceRequest};
use model::tell::tell_spans;
use model::{Duration, Span, SpanSink, StoreError, Tenant, TraceId, TraceStore};
use twox_hash::XxHash3_128;

use super::Coordinator;
use crate::limits::{
    ARCHIVE_READ_BYTES_MAX, ARCHIVE_READ_SECONDS, ARCHIVED_SPANS_MAX, RETRY_AFTER_MS,
};

impl Coordinator {
    /// Copies a trace into the tenant's archive; whether it is known at all.
    pub(super) async fn archive_trace(
        &self,
        tenant: &Tenant,
        trace_id: TraceId,
    ) -> Result<bool, StoreError> {
        let (request, _guard) = self.archive_request(tenant.clone(), trace_id);
        let found = self.live_trace(request).await?;
        if !found.completeness.is_complete() {
            let what = "a part of the trace".to_owned();
            return Err(StoreError::Unavailable { what, retry_after_ms: RETRY_AFTER_MS });
        }
        let Some(trace) = found.value else {
            let (request, _guard) = self.archive_request(tenant.archive(), trace_id);
            return Ok(self.live_trace(request).await?.value.is_some());
        };
        if trace.truncated.is_some() {
            let what = format!("a trace of more than {ARCHIVED_SPANS_MAX} spans is not archived");
            return Err(StoreError::Invalid { what });
        }
        let mut sink = self.begin(&tenant.archive(), digest_of(trace_id, trace.spans.len()))?;
        let partition = sink.partition_of(trace_id);
        for spans in parts(&trace.spans) {
            let bytes = spans.iter().map(span_bytes).sum();
            let size = PartSize { spans: u32::try_from(spans.len()).unwrap_or(u32::MAX), bytes };
            sink.append(partition, size, &mut |visitor| tell_spans(spans, visitor))?;
        }
        sink.finish().await.map(|_| true)
    }

    fn archive_request(
        &self,
        tenant: Tenant,
        trace_id: TraceId,
    ) -> (TraceRequest, model::budget::CancelOnDrop) {
        let clock = Arc::clone(&self.core.clock);
        let deadline = clock.monotonic().plus(Duration::from_secs(ARCHIVE_READ_SECONDS));
        let budget = Budget::new(clock, deadline, ARCHIVE_READ_BYTES_MAX);
        let guard = budget.cancel_on_drop();
        let scope = ReadScope { tenant, budget, stale: false };
        (TraceRequest { scope, trace_id, spans_max: ARCHIVED_SPANS_MAX }, guard)
    }
}

/// Names the content. The same digest with other rows is no repeat, so it may say little.
fn digest_of(trace_id: TraceId, spans: usize) -> RequestDigest {
    let named = [trace_id.as_bytes().as_slice(), &(spans as u64).to_le_bytes()].concat();
    RequestDigest(XxHash3_128::oneshot(&named).to_be_bytes())
}

/// Runs of spans that one append takes.
fn parts(spans: &[Span]) -> impl Iterator<Item = &[Span]> {
    let mut rest = spans;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |span: &&Span| {
            bytes += span_bytes(span);
            bytes <= PART_BYTES_MAX
        };
        // One span may be larger than a part.
        let count = rest.iter().take(PART_SPANS_MAX).take_while(fits).count().max(1);
        let (part, after) = rest.split_at_checked(count)?;
        rest = after;
        Some(part)
    })
}

/// About as many bytes as the span has on the wire.
fn span_bytes(span: &Span) -> usize {
    let mut bytes = Vec::new();
    model::canonical::write_span(span, &mut bytes);
    bytes.len()
}

#[cfg(test)]
mod tests {
    use model::testing::simple_span;

    use super::*;

    #[test]
    fn every_span_is_in_one_part() {
        let spans: Vec<Span> = (1..20_000).map(|at| simple_span(1, at, at, at + 1)).collect();
        let parts: Vec<usize> = parts(&spans).map(<[Span]>::len).collect();
        assert_eq!(parts.iter().sum::<usize>(), spans.len());
        assert!(parts.iter().all(|part| *part <= PART_SPANS_MAX) && parts.len() > 2);
        assert_eq!(super::parts(&[]).count(), 0);
    }
}
