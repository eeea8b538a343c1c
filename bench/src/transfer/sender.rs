//! Gathers spans and sends them in requests of a good size, several at once.
//!
//! Messages as they are read are of any size: one span, or more than a receiver takes at once. They
//! are taken apart and put together anew, each span byte for byte as it was. A flush returns when
//! every request was acknowledged, or refused for good and counted.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use tokio::task::JoinSet;

use super::options::{Header, pairs};
use super::report::TransferReport;
use crate::limits::{
    BACKOFF_MAX, BACKOFF_MIN, GATHERED_BYTES, GATHERED_SPANS, IMPORT_IN_FLIGHT,
    IMPORT_REQUEST_SPANS, RETRY_FOR,
};
use crate::outside;
use crate::recording::{Recording, RequestSpan, SpanRecord, assemble};
use crate::replay::{Client, Refusal, cut};
use crate::wire::WireError;

/// Sends spans to an OTLP/gRPC receiver.
#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
    gathered: Recording,
    gathered_bytes: usize,
}

impl Sender {
    /// Connects.
    pub(super) async fn connect(to: &str, headers: &[Header]) -> anyhow::Result<Self> {
        let client = Client::connect(to).await?.with_headers(pairs(headers));
        Ok(Self { client, gathered: Recording::default(), gathered_bytes: 0 })
    }

    /// Adds the spans of a message; how many it had.
    pub(super) fn add(&mut self, message: &[u8]) -> anyhow::Result<u64> {
        let before = self.gathered.spans().len();
        self.gathered.add(message)?;
        self.gathered_bytes += message.len();
        Ok((self.gathered.spans().len() - before) as u64)
    }

    /// Whether it is time to [`flush`](Self::flush).
    pub(super) fn is_full(&self) -> bool {
        self.gathered.spans().len() >= GATHERED_SPANS || self.gathered_bytes >= GATHERED_BYTES
    }

    /// Whether a flush would fill a few requests.
    pub(super) fn is_half_full(&self) -> bool {
        let spans = self.gathered.spans().len();
        spans >= GATHERED_SPANS / 2 || self.gathered_bytes >= GATHERED_BYTES / 2
    }

    /// Sends what was gathered. An error means that some of it may not have arrived.
    pub(super) async fn flush(&mut self, report: &mut TransferReport) -> anyhow::Result<()> {
        let gathered = Arc::new(std::mem::take(&mut self.gathered));
        self.gathered_bytes = 0;
        let pieces = cut(&gathered, 0..gathered.spans().len(), IMPORT_REQUEST_SPANS);
        let mut pieces = pieces.into_iter();
        let mut sending = JoinSet::new();
        loop {
            while sending.len() < IMPORT_IN_FLIGHT
                && let Some(piece) = pieces.next()
            {
                let spans = gathered.spans().get(piece).unwrap_or_default();
                let planned = spans.iter().map(|span| Unchanged { recording: &gathered, span });
                let body = Bytes::from(assemble(&gathered, planned)?);
                sending.spawn(send(self.client.clone(), body, spans.len() as u64));
            }
            let Some(sent) = sending.join_next().await else { return Ok(()) };
            let Sent { spans, retries, outcome } = sent?;
            report.retries += retries;
            match outcome {
                Ok(rejected) => {
                    let rejected = rejected.min(spans);
                    report.spans_done += spans - rejected;
                    report.spans_rejected += rejected;
                    if rejected > 0 {
                        report.problem(format!("the receiver rejected {rejected} spans for good"));
                    }
                }
                Err(refusal) if refusal.retryable => {
                    bail!("gave up after {} s: {}", RETRY_FOR.as_secs(), refusal.message)
                }
                Err(refusal) => {
                    report.spans_refused += spans;
                    let what = format!("a request of {spans} spans: {}", refusal.message);
                    report.problem(what);
                }
            }
        }
    }
}

/// What became of a request.
struct Sent {
    spans: u64,
    retries: u64,
    outcome: Result<u64, Refusal>,
}

/// Sends a request until it is acknowledged, refused for good, or out of time.
async fn send(mut client: Client, body: Bytes, spans: u64) -> Sent {
    let ends = outside::now() + RETRY_FOR;
    let (mut pause, mut retries) = (BACKOFF_MIN, 0);
    loop {
        let outcome = client.export(body.clone()).await;
        match outcome {
            Err(Refusal { retryable: true, retry_after, .. }) if outside::now() < ends => {
                retries += 1;
                tokio::time::sleep(retry_after.unwrap_or(pause).min(BACKOFF_MAX)).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
            outcome => return Sent { spans, retries, outcome },
        }
    }
}

/// A span as it was read.
struct Unchanged<'a> {
    recording: &'a Recording,
    span: &'a SpanRecord,
}

impl RequestSpan for Unchanged<'_> {
    fn group(&self) -> (u32, u32) {
        (self.span.resource, self.span.scope)
    }

    fn length(&self) -> usize {
        self.recording.span_bytes(self.span).len()
    }

    fn put(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        out.extend_from_slice(self.recording.span_bytes(self.span));
        Ok(())
    }
}
