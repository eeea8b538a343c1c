//! Calls to an address instead of a node: for whoever does not know yet who is there.

use std::fmt;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use model::Duration;

use super::{Method, Peer, Reply};

/// Reaches whoever listens at an address. Only [`Method::is_open`] methods travel this way: the
/// cluster and the node they are meant for need not be known, so they are not checked.
pub trait Dial: fmt::Debug + Send + Sync + 'static {
    /// One question to `address` (host and port), and who answered it, if anybody did.
    fn call_address(
        &self,
        address: &str,
        method: Method,
        request: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, (Reply, Option<Peer>)>;
}

impl Method {
    /// Whether the method is served to a caller that is not, or not yet, of the same cluster.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Hello | Self::Bootstrap | Self::Join | Self::Spare)
    }
}
