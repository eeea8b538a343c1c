//! A gRPC call that writes: one message in, an answer when its spans are durable. What OTLP's and
//! Jaeger's collector have in common, which is everything but what their messages are.

use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use model::{Tenant, TraceStore};

use super::{Accepted, Admitted, Encoding, Protocol, Receiver, Refused, body, framing, record};
use crate::error::ApiError;
use crate::limits;
use crate::tenant::Tenancy;

/// The message of a call, out of its frame.
pub(crate) struct Unary {
    /// Whose spans it holds.
    pub(crate) tenant: Tenant,
    /// Its bytes.
    pub(crate) body: Bytes,
    /// How they are compressed.
    pub(crate) encoding: Encoding,
    /// Its room.
    pub(crate) admitted: Admitted,
}

/// Reads a call, has its message taken within the client's deadline, and counts it. What is not a
/// call, or was refused, is an answer already.
pub(crate) async fn write<S: TraceStore, F>(
    receiver: &Receiver<S>,
    tenancy: &Tenancy,
    protocol: Protocol,
    request: Request,
    take: impl FnOnce(Unary) -> F + Send,
) -> Result<Accepted, Response>
where
    F: Future<Output = Result<Accepted, Refused>> + Send,
{
    if let Some(answer) = framing::not_grpc(request.headers()) {
        return Err(answer);
    }
    let started = receiver.clock().monotonic();
    let mut body_bytes = 0;
    let deadline = framing::deadline_of(request.headers(), limits::WRITE_DEADLINE);
    let taking = async {
        let call = unframed(receiver, tenancy, request, &mut body_bytes).await?;
        take(call).await
    };
    let taken = tokio::time::timeout(deadline, taking).await;
    let result = taken.unwrap_or_else(|_| Err(ApiError::Deadline.into()));
    let took = receiver.clock().monotonic().since(started);
    record(protocol, &result, body_bytes, took);
    result.map_err(|refused| framing::refusal(&refused.error.to_status()))
}

async fn unframed<S: TraceStore>(
    receiver: &Receiver<S>,
    tenancy: &Tenancy,
    request: Request,
    body_bytes: &mut usize,
) -> Result<Unary, Refused> {
    let (head, body) = request.into_parts();
    let tenant = tenancy.tenant(&head.headers)?;
    let mut admitted = receiver.admission().enter()?;
    let bytes_max = limits::REQUEST_BYTES_MAX + framing::PREFIX_BYTES;
    let framed = body::read(body, bytes_max, framing::frame_bytes, &mut admitted).await?;
    *body_bytes = framed.len();
    let (body, encoding) = framing::unframe(&head.headers, &framed)?;
    Ok(Unary { tenant, body, encoding, admitted })
}
