//! What the doors for foreign formats share: from a request's bytes through the arena into the
//! receiver, and what is counted about it.
//!
//! Translating is bounded CPU work like the walk that follows: small bodies are translated where
//! they were received, large ones on the blocking pool, as many at a time as there are
//! processors.

use std::sync::Arc;

use bytes::Bytes;
use metrics::{counter, histogram};
use model::{Duration, Tenant, TraceStore};
use tokio::sync::Semaphore;

use super::arena::{Arena, TranslateError};
use crate::error::ApiError;
use crate::ingest::{
    Accepted, Admitted, BodyError, Encoding, Format, Receiver, Refused, WriteRequest, body,
};
use crate::tenant::Tenancy;
use crate::{limits, task};

/// Translates a whole body into an arena.
pub(crate) type Translate = fn(&[u8], &mut Arena) -> Result<(), TranslateError>;

/// A receiver and who may use it. Cloning shares.
pub(crate) struct Door<S: TraceStore> {
    pub(crate) receiver: Receiver<S>,
    pub(crate) tenancy: Tenancy,
    translators: Arc<Semaphore>,
}

impl<S: TraceStore> Clone for Door<S> {
    fn clone(&self) -> Self {
        Self {
            receiver: self.receiver.clone(),
            tenancy: self.tenancy.clone(),
            translators: Arc::clone(&self.translators),
        }
    }
}

/// A body whose tenant and encoding are known.
pub(crate) struct Foreign {
    pub(crate) tenant: Tenant,
    pub(crate) body: Bytes,
    pub(crate) encoding: Encoding,
    pub(crate) admitted: Admitted,
}

/// Why a body in a foreign format was not taken.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It could not be read to its end.
    Unread(BodyError),
    /// A header of it is not understood; in the words of the answer.
    Header(String),
    /// It is not what it should be.
    Malformed(ApiError),
    /// It was understood and refused.
    Refused(Refused),
}

impl Failure {
    /// Why, whatever it was.
    pub(crate) fn into_refused(self) -> Refused {
        match self {
            Self::Unread(error) => error.into(),
            Self::Header(what) => ApiError::Parameter { what }.into(),
            Self::Malformed(error) => error.into(),
            Self::Refused(refused) => refused,
        }
    }
}

impl<E: Into<ApiError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Refused(error.into().into())
    }
}

impl<S: TraceStore> Door<S> {
    pub(crate) fn new(receiver: Receiver<S>, tenancy: Tenancy) -> Self {
        let translators = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { receiver, tenancy, translators: Arc::new(Semaphore::new(translators)) }
    }

    /// Translates a body and answers when its spans are durable.
    pub(crate) async fn take(
        &self,
        foreign: Foreign,
        translate: Translate,
    ) -> Result<Accepted, Failure> {
        let is_small = match foreign.encoding {
            Encoding::Identity => foreign.body.len() <= limits::INLINE_WALK_BYTES_MAX,
            _ => foreign.body.len() <= limits::INLINE_DECOMPRESSION_BYTES_MAX,
        };
        let request = if is_small {
            translated(foreign, translate)
        } else {
            let _translator = self.translators.acquire().await.map_err(|_| ApiError::Internal)?;
            let work = task::blocking("translate", move || translated(foreign, translate));
            work.await.map_err(|task::Panicked| ApiError::Internal)?
        }?;
        self.receiver.receive(request).await.map_err(Failure::Refused)
    }
}

/// All the work on a body in a foreign format; it is gone when this returns.
fn translated(foreign: Foreign, translate: Translate) -> Result<WriteRequest, Failure> {
    let Foreign { tenant, body, encoding, mut admitted } = foreign;
    let plain = match encoding {
        Encoding::Identity => body,
        compressed => {
            let bytes_max = limits::DECOMPRESSED_BYTES_MAX;
            match body::decompress(compressed, &body, bytes_max, &mut admitted) {
                Ok(plain) => plain.into(),
                Err(BodyError::Overload(overload)) => return Err(overload.into()),
                Err(error) => return Err(Failure::Malformed(error.into())),
            }
        }
    };
    // The arena is about as large as what it is made of. Where it is larger it is charged
    // before it is walked; its own bound is a request's.
    admitted.charge(plain.len())?;
    let mut arena = Arena::for_body(plain.len());
    translate(&plain, &mut arena).map_err(|error| Failure::Malformed(error.into()))?;
    let message = arena.take();
    admitted.charge(message.len().saturating_sub(plain.len()))?;
    let (body, encoding) = (Bytes::from(message), Encoding::Identity);
    Ok(WriteRequest { tenant, body, encoding, format: Format::Protobuf, admitted })
}

/// How a request in a foreign format came in; the labels of its metrics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ForeignProtocol {
    pub(crate) name: &'static str,
    pub(crate) receiver: &'static str,
    pub(crate) transport: &'static str,
}

/// Counts one request and what became of it, under the names that OTLP's are counted under.
pub(crate) fn record(
    protocol: ForeignProtocol,
    result: &Result<Accepted, Refused>,
    body_bytes: usize,
    took: Duration,
) {
    let ForeignProtocol { name, receiver, transport } = protocol;
    let code = match result {
        Ok(_) => "ok",
        Err(refused) => code_name(refused.error.answer().code),
    };
    counter!("skua_ingest_requests_total", "protocol" => name, "code" => code).increment(1);
    counter!("skua_ingest_bytes_total", "protocol" => name).increment(body_bytes as u64);
    histogram!("skua_ingest_request_seconds", "protocol" => name).record(took.0 as f64 / 1e9);
    let (accepted, rejected, refused) = match result {
        Ok(accepted) => (accepted.spans, accepted.rejected, 0),
        Err(Refused { error: ApiError::AllRejected(rejected), .. }) => (0, rejected.count(), 0),
        Err(refused) => (0, 0, refused.spans),
    };
    for (outcome, spans) in [("accepted", accepted), ("rejected", rejected), ("refused", refused)] {
        if spans > 0 {
            let labels = [("protocol", name), ("outcome", outcome)];
            counter!("skua_ingest_spans_total", &labels).increment(spans);
        }
    }
    let labels = [("receiver", receiver), ("transport", transport)];
    if accepted > 0 {
        counter!("otelcol_receiver_accepted_spans", &labels).increment(accepted);
    }
    if rejected + refused > 0 {
        counter!("otelcol_receiver_refused_spans", &labels).increment(rejected + refused);
    }
}

/// The codes that [`ApiError::answer`] gives to a write.
fn code_name(code: tonic::Code) -> &'static str {
    match code {
        tonic::Code::Cancelled => "cancelled",
        tonic::Code::InvalidArgument => "invalid_argument",
        tonic::Code::DeadlineExceeded => "deadline_exceeded",
        tonic::Code::PermissionDenied => "permission_denied",
        tonic::Code::Unauthenticated => "unauthenticated",
        tonic::Code::ResourceExhausted => "resource_exhausted",
        tonic::Code::Unimplemented => "unimplemented",
        tonic::Code::Unavailable => "unavailable",
        tonic::Code::Internal => "internal",
        _ => "unknown",
    }
}
