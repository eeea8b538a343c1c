//! A handler whose answers tell what it saw.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cluster::transport::{CallError, FrameStream, Handler, Incarnation, Method, Peer, Reply};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::{Duration, NodeId};
use tokio::sync::Notify;

/// Answers a request with itself, refuses `refuse`, fails on `fail`, never answers `wait`, and
/// answers `who` with the caller's node id.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    pub(crate) calls: AtomicUsize,
    pub(crate) streams_open: Arc<AtomicUsize>,
    pub(crate) called: Notify,
    pub(crate) stream_ended: Arc<Notify>,
}

struct Open(Arc<AtomicUsize>, Arc<Notify>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
        self.1.notify_one();
    }
}

impl Handler for Echo {
    fn call(&self, from: Peer, _method: Method, request: Bytes) -> BoxFuture<'static, Reply> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.called.notify_one();
        async move {
            match request.as_ref() {
                b"refuse" => Err(CallError::Refused { reason: "as asked".into() }),
                b"fail" => Err(CallError::Unreachable { reason: "as asked".into() }),
                b"panic" => panic!("as asked"),
                b"wait" => std::future::pending().await,
                b"who" => Ok(Bytes::copy_from_slice(from.node.as_bytes())),
                _ => Ok(request),
            }
        }
        .boxed()
    }

    /// Sends every frame back, the first one too, until the caller ends.
    fn open(
        &self,
        _from: Peer,
        _method: Method,
        first: Bytes,
        mut stream: FrameStream,
    ) -> BoxFuture<'static, ()> {
        self.streams_open.fetch_add(1, Ordering::SeqCst);
        let open = Open(Arc::clone(&self.streams_open), Arc::clone(&self.stream_ended));
        async move {
            let _open = open;
            let mut frame = Ok(first);
            while let Ok(bytes) = frame {
                if stream.send.send(bytes).await.is_err() {
                    return;
                }
                let Some(next) = stream.receive.recv().await else { return };
                frame = next;
            }
        }
        .boxed()
    }
}

pub(crate) fn node(number: u8) -> NodeId {
    NodeId([number; 16])
}

pub(crate) fn life(start: u64) -> Incarnation {
    Incarnation { start, nonce: start.wrapping_mul(31) }
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
