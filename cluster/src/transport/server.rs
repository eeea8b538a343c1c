//! The side that is called: takes connections of peers and hands what they ask to the handler.
//!
//! Invariants:
//! - nothing of a call is read before its headers were admitted, nothing of HTTP before the
//!   handshake, if there is a key;
//! - a handler runs while its caller waits: when the caller or its connection has gone, or the
//!   deadline has passed, it is dropped at its next wait;
//! - every task, that of a handler included, ends with the server.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::frames::FrameSink;
use super::gather::Gather;
use super::limits::{
    CALL_DEADLINE_MAX, CONNECTION_WINDOW_BYTES, CONNECTIONS_MAX, HEADER_BYTES_MAX,
    HTTP2_STREAMS_MAX, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, OPEN_DEADLINE, RESETS_PENDING_MAX,
    SEND_BUFFER_BYTES_MAX, STREAM_WINDOW_BYTES,
};
use super::socket::Socket;
use super::tasks::{TaskOwner, TaskSet};
use super::wire::{self, Admitted, CALL_PATH, RawCodec, STREAM_PATH, outcome_label};
use super::{
    CallError, FRAME_BYTES_MAX, FrameStream, Handler, KeyRing, LocalIdentity, PeerGate, Reply,
    STREAM_FRAMES_MAX,
};
use crate::task::{Task, caught};

/// Serves peers until it is dropped.
#[derive(Debug)]
pub struct GrpcServer {
    address: SocketAddr,
    _accepting: Task,
    _connections: TaskOwner,
}

/// What every call on every connection needs.
#[derive(Debug)]
struct Served {
    local: Arc<LocalIdentity>,
    gate: Arc<dyn PeerGate>,
    keys: Option<Arc<KeyRing>>,
    handler: Arc<dyn Handler>,
}

impl GrpcServer {
    /// Serves on a listener.
    pub fn start(
        listener: TcpListener,
        local: Arc<LocalIdentity>,
        gate: Arc<dyn PeerGate>,
        keys: Option<Arc<KeyRing>>,
        handler: Arc<dyn Handler>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let served = Arc::new(Served { local, gate, keys, handler });
        let connections = TaskSet::new(CONNECTIONS_MAX);
        let accepting = Task::spawn("rpc accept", accept(listener, served, connections.clone()));
        Ok(Self { address, _accepting: accepting, _connections: TaskOwner(connections) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, served: Arc<Served>, connections: TaskSet) {
    loop {
        let outcome = match listener.accept().await {
            Ok((stream, _)) => {
                if connections.spawn("rpc peer", Arc::clone(&served).connection(stream)) {
                    "accepted"
                } else {
                    "too_many"
                }
            }
            Err(error) => {
                // Out of file descriptors, most likely: without a pause this would only burn.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(super::limits::BACKOFF_FIRST).await;
                "failed"
            }
        };
        metrics::counter!("skua_rpc_accepts_total", "outcome" => outcome).increment(1);
        metrics::gauge!("skua_rpc_peer_connections").set(connections.len() as f64);
    }
}

impl Served {
    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let socket = match Socket::accept(stream, self.keys.as_deref()).await {
            Ok(socket) => socket,
            Err(error) => return tracing::debug!(%error, "a connection was turned away"),
        };
        let service = service_fn(move |request: http::Request<Incoming>| {
            let served = Arc::clone(&self);
            async move { Ok::<_, Infallible>(served.answer(request).await) }
        });
        let ended = builder().serve_connection(TokioIo::new(Gather::new(socket)), service).await;
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection of a peer ended");
        }
    }

    async fn answer(self: Arc<Self>, request: http::Request<Incoming>) -> http::Response<Body> {
        let local = self.local.peer;
        let is_stream = match request.uri().path() {
            CALL_PATH => false,
            STREAM_PATH => true,
            _ => return Status::unimplemented("unknown service or method").into_http(),
        };
        // Only the headers are looked at; a clone of a few hundred bytes.
        let metadata = MetadataMap::from_headers(request.headers().clone());
        let admitted = match wire::admit(&metadata, &self.local, self.gate.as_ref()) {
            Ok(admitted) => admitted,
            Err(mut status) => {
                let word = wire::refused_word(&status).unwrap_or_default().to_owned();
                metrics::counter!("skua_rpc_refused_total", "reason" => word).increment(1);
                wire::put_peer(status.metadata_mut(), local);
                return status.into_http();
            }
        };
        let mut grpc = tonic::server::Grpc::new(RawCodec)
            .max_decoding_message_size(FRAME_BYTES_MAX)
            .max_encoding_message_size(FRAME_BYTES_MAX);
        if is_stream {
            grpc.streaming(Open { served: self, admitted }, request).await
        } else {
            let deadline = admitted.deadline.unwrap_or(CALL_DEADLINE_MAX).min(CALL_DEADLINE_MAX);
            let answer = grpc.unary(Call { served: self, admitted }, request);
            let late = || Status::deadline_exceeded("the caller no longer waits").into_http();
            timeout(deadline, answer).await.unwrap_or_else(|_| late())
        }
    }
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES_MAX)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    builder
}

/// One call, after its headers.
struct Call {
    served: Arc<Served>,
    admitted: Admitted,
}

impl Service<Request<Bytes>> for Call {
    type Response = Response<Bytes>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Bytes>, Status>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (served, Admitted { from, method, .. }) = (Arc::clone(&self.served), self.admitted);
        async move {
            let handled = served.handler.call(from, method, request.into_inner());
            let reply: Reply = caught("rpc call", handled).await.unwrap_or_else(|| {
                Err(CallError::Lost { reason: "the handler failed".to_owned() })
            });
            let labels = [("method", method.label()), ("outcome", outcome_label(&reply))];
            metrics::counter!("skua_rpc_served_total", &labels).increment(1);
            let mut result = reply.map(Response::new).map_err(|error| wire::status_of(&error));
            let metadata = match &mut result {
                Ok(response) => response.metadata_mut(),
                Err(status) => status.metadata_mut(),
            };
            wire::put_peer(metadata, served.local.peer);
            result
        }
        .boxed()
    }
}

/// One stream, after its headers.
struct Open {
    served: Arc<Served>,
    admitted: Admitted,
}

impl Service<Request<Streaming<Bytes>>> for Open {
    type Response = Response<ServedStream>;
    type Error = Status;
    type Future = std::future::Ready<Result<Response<ServedStream>, Status>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let (send, frames) = mpsc::channel(STREAM_FRAMES_MAX);
        let (done, is_done) = oneshot::channel();
        let served = Arc::clone(&self.served);
        let local = served.local.peer;
        let work = serve_stream(served, self.admitted, request.into_inner(), send);
        let task = Task::spawn("rpc served stream", async move {
            // Nobody listens if the caller has gone.
            let _ = done.send(work.await);
        });
        let mut response =
            Response::new(ServedStream { frames, is_done: Some(is_done), _task: task });
        wire::put_peer(response.metadata_mut(), local);
        std::future::ready(Ok(response))
    }
}

/// Waits for the first frame, then runs the handler beside whatever brings it the others.
async fn serve_stream(
    served: Arc<Served>,
    Admitted { from, method, .. }: Admitted,
    mut incoming: Streaming<Bytes>,
    send: mpsc::Sender<Bytes>,
) -> Result<(), Status> {
    let first = match timeout(OPEN_DEADLINE, incoming.message()).await {
        Ok(Ok(Some(first))) => first,
        Ok(Ok(None)) => return Err(Status::invalid_argument("a stream without a first frame")),
        Ok(Err(status)) => return Err(status),
        Err(_) => return Err(Status::deadline_exceeded("the first frame did not come")),
    };
    metrics::counter!("skua_rpc_served_streams_total", "method" => method.label()).increment(1);
    let (sink, receive) = FrameSink::new();
    let handled = served.handler.open(from, method, first, FrameStream { send, receive });
    let receiving = async {
        loop {
            match incoming.message().await {
                Ok(Some(frame)) => {
                    if !sink.send(frame).await {
                        return sink.finish();
                    }
                }
                Ok(None) => return sink.finish(),
                Err(status) => {
                    let reason = status.message().to_owned();
                    return sink.fail(CallError::Lost { reason });
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = handled => {}
        () = receiving.then(|()| std::future::pending()) => {}
    }
    Ok(())
}

/// The frames of a handler. The stream ends when the handler has; dropped, it ends the handler.
struct ServedStream {
    frames: mpsc::Receiver<Bytes>,
    is_done: Option<oneshot::Receiver<Result<(), Status>>>,
    _task: Task,
}

impl Stream for ServedStream {
    type Item = Result<Bytes, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(frame) = ready!(this.frames.poll_recv(context)) {
            return Poll::Ready(Some(Ok(frame)));
        }
        let Some(is_done) = &mut this.is_done else { return Poll::Ready(None) };
        let done = ready!(Pin::new(is_done).poll(context));
        this.is_done = None;
        match done {
            Ok(Ok(())) => Poll::Ready(None),
            Ok(Err(status)) => Poll::Ready(Some(Err(status))),
            Err(_) => Poll::Ready(Some(Err(Status::internal("the handler failed")))),
        }
    }
}
