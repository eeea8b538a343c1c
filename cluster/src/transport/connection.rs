//! One HTTP/2 connection to a node, and calls over it.
//!
//! Invariant: an error says whether the request may have left. Before that nobody can have
//! handled it; afterwards only the other side can say that it did not.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http::uri::PathAndQuery;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::timeout;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codegen::Service;
use tonic::{Request, Response, Status, Streaming};

use super::gather::Gather;
use super::limits::{
    CONNECT_DEADLINE, CONNECTION_WINDOW_BYTES, HEADER_BYTES_MAX, KEEPALIVE_INTERVAL,
    KEEPALIVE_TIMEOUT, RESETS_PENDING_MAX, SEND_BUFFER_BYTES_MAX, STREAM_WINDOW_BYTES,
};
use super::socket::{ConnectError, Socket};
use super::wire::{CALL_PATH, RawCodec, STREAM_PATH, error_of};
use super::{CallError, FRAME_BYTES_MAX, KeyRing};

/// Sends requests; clones share the connection, which ends with the last of them.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    sender: SendRequest<Body>,
}

/// Drives a connection until it ends.
pub(crate) type Driver = Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>;

/// What happened to a request that has no answer.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("the connection closed before the request was sent")]
    NotSent(#[source] hyper::Error),
    #[error("the connection broke: {0}")]
    Broken(#[source] hyper::Error),
}

impl Connection {
    /// Connects and greets.
    pub(crate) async fn open(
        address: &str,
        keys: Option<&KeyRing>,
    ) -> Result<(Self, Driver), ConnectError> {
        let opened = timeout(CONNECT_DEADLINE, async {
            let socket = Socket::connect(address, keys).await?;
            let (sender, driver) = builder()
                .handshake::<_, Body>(TokioIo::new(Gather::new(socket)))
                .await
                .map_err(ConnectError::Http)?;
            Ok((Self { sender }, Box::pin(driver) as Driver))
        });
        opened.await.unwrap_or(Err(ConnectError::Deadline))
    }

    /// Whether no request can be sent any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// One call. The status is that of the other side, or tells how the connection failed.
    pub(crate) async fn call(self, request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
        self.grpc().unary(request, PathAndQuery::from_static(CALL_PATH), RawCodec).await
    }

    /// Opens a stream.
    pub(crate) async fn stream(
        self,
        request: Request<impl Stream<Item = Bytes> + Send + 'static>,
    ) -> Result<Response<Streaming<Bytes>>, Status> {
        self.grpc().streaming(request, PathAndQuery::from_static(STREAM_PATH), RawCodec).await
    }

    fn grpc(self) -> Grpc<Self> {
        Grpc::with_origin(self, http::Uri::from_static("http://node"))
            .max_decoding_message_size(FRAME_BYTES_MAX)
            .max_encoding_message_size(FRAME_BYTES_MAX)
    }
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES_MAX)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    builder
}

/// What a failed call means to the caller.
pub(crate) fn call_error(status: &Status) -> CallError {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if let Some(SendError::NotSent(error)) = error.downcast_ref() {
            return CallError::Unreachable { reason: error.to_string() };
        }
        source = error.source();
    }
    error_of(status)
}

impl Service<http::Request<Body>> for Connection {
    type Response = http::Response<Incoming>;
    type Error = tonic::codegen::StdError;
    type Future =
        Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send + 'static>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // A closed connection gives the request back, see below.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let response = self.sender.try_send_request(request);
        Box::pin(async move {
            response.await.map_err(|mut error| {
                let was_sent = error.take_message().is_none();
                let error = error.into_error();
                let error =
                    if was_sent { SendError::Broken(error) } else { SendError::NotSent(error) };
                error.into()
            })
        })
    }
}
