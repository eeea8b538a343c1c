//! A call of a read: its one request message, and its answer, one message or many; and the
//! methods that such calls are ([`one`], [`many`]).
//!
//! An answer of many messages is a source that is asked for one after another, so nothing is
//! computed that the client does not take, and a client that leaves drops the source and with it
//! the read. What the answer lacks (QRY-2) is only known at its end and stands in the trailers.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{MethodRouter, any};
use bytes::Bytes;
use futures_util::stream;
use http::{Extensions, HeaderMap, HeaderValue};
use http_body::Frame;
use http_body_util::StreamBody;
use model::{Answer, TraceStore};
use prost::Message;
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

use super::limits;
use crate::error::ApiError;
use crate::ingest::{Admission, Encoding, body, framing};
use crate::jaeger_http::COMPLETENESS_HEADER;
use crate::jaeger_http::answer::Gaps;
use crate::read_context::{MissingTenant, ReadContext, ReadRoom};
use crate::tenant::{Tenancy, determined};

/// Room for the requests of one port's reads.
pub(super) fn admission() -> Admission {
    Admission::new(limits::QUERIES_MAX, limits::QUERIES_BYTES_MAX)
}

/// Puts the tenant into the request's extensions, or refuses as Jaeger does over gRPC.
pub(crate) async fn determine(
    State(tenancy): State<Tenancy>,
    request: Request,
    next: Next,
) -> Response {
    let refuse = |error| framing::refusal(&ApiError::from(error).to_status());
    determined(&tenancy, request, next, refuse).await
}

/// Refuses what is not gRPC.
pub(super) async fn only_grpc(request: Request, next: Next) -> Response {
    match framing::not_grpc(request.headers()) {
        Some(answer) => answer,
        None => next.run(request).await,
    }
}

/// What the calls of a service share.
#[derive(Debug, Clone)]
pub(super) struct Door<S: TraceStore> {
    /// Where answers come from.
    pub(super) context: ReadContext<S>,
    /// Room for requests.
    pub(super) admission: Admission,
}

impl<S: TraceStore> Door<S> {
    /// A door of its own room.
    pub(super) fn new(context: ReadContext<S>) -> Self {
        Self { context, admission: admission() }
    }

    /// Reads the one message of a read, and waits for the read's place among all of the node's.
    pub(super) async fn ask<M: Message + Default>(
        &self,
        request: Request,
    ) -> Result<Asked<M>, Status> {
        let asked = ask(&self.admission, request).await?;
        Ok(Asked { _place: Some(place(&self.context.room).await?), ..asked })
    }
}

/// Waits for a read's place, to be held until its answer begins.
pub(super) async fn place(room: &ReadRoom) -> Result<OwnedSemaphorePermit, Status> {
    room.enter().await.map_err(|error| error.to_status())
}

/// A method that is answered with one message.
pub(super) fn one<S, M, F>(
    call: impl Fn(Door<S>, Request) -> F + Clone + Send + Sync + 'static,
) -> MethodRouter<Door<S>>
where
    S: TraceStore,
    M: Message,
    F: Future<Output = Result<Answer<M>, Status>> + Send + 'static,
{
    any(move |State(door): State<Door<S>>, request: Request| {
        let answer = call(door, request);
        async move { unary(answer.await) }
    })
}

/// A method that is answered with a stream.
pub(super) fn many<S, M, F>(
    call: impl Fn(Door<S>, Request) -> F + Clone + Send + Sync + 'static,
) -> MethodRouter<Door<S>>
where
    S: TraceStore,
    M: Source,
    F: Future<Output = Result<M, Status>> + Send + 'static,
{
    any(move |State(door): State<Door<S>>, request: Request| {
        let answer = call(door, request);
        async move { streamed(answer.await) }
    })
}

/// A request's message and what middlewares left with it.
#[derive(Debug)]
pub(super) struct Asked<M> {
    /// The message.
    pub(super) message: M,
    /// The request's extensions.
    pub(super) extensions: Extensions,
    /// Of a read: its place, for as long as this is kept.
    _place: Option<OwnedSemaphorePermit>,
}

/// Reads the one message of a call. A client that does not send it is not waited for: it holds
/// room that others need.
pub(super) async fn ask<M: Message + Default>(
    admission: &Admission,
    request: Request,
) -> Result<Asked<M>, Status> {
    let (head, body) = request.into_parts();
    let deadline = framing::deadline_of(&head.headers, limits::QUERY_DEADLINE);
    let read = async {
        let mut admitted = admission.enter()?;
        let bytes_max = limits::QUERY_BYTES_MAX + framing::PREFIX_BYTES;
        let framed = body::read(body, bytes_max, framing::frame_bytes, &mut admitted).await?;
        let (message, encoding) = framing::unframe(&head.headers, &framed)?;
        Ok::<Bytes, ApiError>(match encoding {
            Encoding::Identity => message,
            compressed => {
                let bytes_max = limits::QUERY_BYTES_MAX;
                body::decompress(compressed, &message, bytes_max, &mut admitted)?.into()
            }
        })
    };
    let read = tokio::time::timeout(deadline, read).await;
    let bytes = read.unwrap_or(Err(ApiError::Deadline)).map_err(|error| error.to_status())?;
    let message = M::decode(bytes)
        .map_err(|error| Status::invalid_argument(format!("malformed request: {error}")))?;
    Ok(Asked { message, extensions: head.extensions, _place: None })
}

/// The answer of a unary call, and what it lacks.
pub(super) fn unary<M: Message>(answer: Result<Answer<M>, Status>) -> Response {
    let answer = match answer {
        Ok(answer) => answer,
        Err(status) => return framing::refusal(&status),
    };
    let trailers = trailers(&Gaps::from(answer.completeness).header());
    let frames = [
        Ok::<_, Infallible>(Frame::data(framing::frame(&answer.value.encode_to_vec()))),
        Ok(Frame::trailers(trailers)),
    ];
    framing::streaming(Body::new(StreamBody::new(stream::iter(frames))))
}

/// Messages one after another.
pub(super) trait Source: Send + 'static {
    /// The next message, encoded; nothing at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<u8>>, Status>> + Send;

    /// What the whole answer lacked, once it has ended.
    fn completeness(&self) -> String;
}

/// The answer of a call that is answered with a stream.
pub(super) fn streamed(answer: Result<impl Source, Status>) -> Response {
    let source = match answer {
        Ok(source) => source,
        Err(status) => return framing::refusal(&status),
    };
    let frames = stream::unfold(Some(source), |source| async {
        let mut source = source?;
        let frame = match source.next().await {
            Ok(Some(message)) => {
                return Some((Ok(Frame::data(framing::frame(&message))), Some(source)));
            }
            Ok(None) => Frame::trailers(trailers(&source.completeness())),
            Err(status) => Frame::trailers(refusal(&status)),
        };
        Some((Ok::<_, Infallible>(frame), None))
    });
    framing::streaming(Body::new(StreamBody::new(frames)))
}

fn trailers(completeness: &str) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    if let Ok(value) = HeaderValue::try_from(completeness) {
        trailers.insert(COMPLETENESS_HEADER, value);
    }
    trailers
}

fn refusal(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", HeaderValue::from_static("13"));
    }
    trailers
}

impl From<MissingTenant> for Status {
    fn from(_: MissingTenant) -> Self {
        tracing::error!("a read without a tenant");
        Self::internal("internal error")
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::limits::READS_MAX;

    #[tokio::test(start_paused = true)]
    async fn a_read_for_which_there_is_no_place_is_told_to_come_again() {
        let room = ReadRoom::default();
        let mut places = Vec::new();
        for _ in 0..READS_MAX {
            places.push(place(&room).await.unwrap());
        }
        let refused = place(&room).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(!refused.details().is_empty(), "it says when to ask again");
        places.pop();
        assert!(place(&room).await.is_ok());
    }
}
