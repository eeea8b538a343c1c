//! The node's door: what peers ask, led to whoever answers it.
//!
//! It is there before the host is, because a transport wants a handler and a host wants a
//! transport. Until the host has come through it, everything is refused.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::handle::Shared;
use crate::raft::GroupRouterHandle;
use crate::transport::{CallError, FrameStream, Handler, Method, Peer, Reply};

/// Answers peers for a host, once there is one.
#[derive(Default)]
pub struct HostDoor {
    host: OnceLock<Weak<Shared>>,
}

impl fmt::Debug for HostDoor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HostDoor")
    }
}

impl HostDoor {
    /// A door behind which nobody is yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Lets callers through to a host; the first one stays.
    pub(crate) fn open_for(&self, host: &Arc<Shared>) {
        self.host.get_or_init(|| Arc::downgrade(host));
    }

    fn host(&self) -> Option<Arc<Shared>> {
        self.host.get()?.upgrade()
    }
}

impl Handler for HostDoor {
    fn call(&self, from: Peer, method: Method, request: Bytes) -> BoxFuture<'static, Reply> {
        let Some(host) = self.host() else {
            let reason = "the node is starting or stopping".to_owned();
            return std::future::ready(Err(CallError::Refused { reason })).boxed();
        };
        match method {
            Method::Hello => async move { host.hello().await }.boxed(),
            Method::Bootstrap => async move { host.consider(&request).await }.boxed(),
            Method::Join => async move { host.let_join(&request).await }.boxed(),
            Method::Spare => async move { host.answer_spare(&request).await }.boxed(),
            Method::Meta => async move { host.answer_meta(&request).await }.boxed(),
            Method::Barrier => async move { host.answer_barriers(request).await }.boxed(),
            Method::Vouch => std::future::ready(host.answer_vouches(request)).boxed(),
            Method::Write => async move { host.answer_write(request).await }.boxed(),
            Method::Status => async move { host.answer_status(request) }.boxed(),
            Method::Note => std::future::ready(Ok(host.note())).boxed(),
            Method::Raft | Method::RaftSnapshot | Method::FetchFile => {
                GroupRouterHandle(Arc::clone(&host.replicas.router)).call(from, method, request)
            }
            Method::RaftAppend | Method::Read => {
                let reason = "this method is a stream".to_owned();
                std::future::ready(Err(CallError::Refused { reason })).boxed()
            }
        }
    }

    fn open(
        &self,
        from: Peer,
        method: Method,
        first: Bytes,
        stream: FrameStream,
    ) -> BoxFuture<'static, ()> {
        // A stream that is dropped is ended.
        let Some(host) = self.host() else { return std::future::ready(()).boxed() };
        match method {
            Method::RaftAppend => {
                let router = GroupRouterHandle(Arc::clone(&host.replicas.router));
                drop(host);
                router.open(from, method, first, stream)
            }
            Method::Read => async move { host.serve_read(first, stream).await }.boxed(),
            _ => std::future::ready(()).boxed(),
        }
    }
}
