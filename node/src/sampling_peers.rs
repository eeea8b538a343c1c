//! Adaptive sampling's way to other nodes: the notes of the cluster.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use api::sampling::Peers;
use cluster::host::Host;
use hyper::body::Bytes;
use model::NodeId;

/// The other nodes of a host's cluster. The note of a node says what it counted.
#[derive(Debug)]
pub(crate) struct SamplingPeers(pub(crate) Arc<Host>);

impl Peers for SamplingPeers {
    fn own(&self) -> NodeId {
        self.0.node()
    }

    fn say(&self, note: Bytes) {
        if !self.0.say(note) {
            tracing::error!("what was counted for adaptive sampling is too large to be told");
        }
    }

    fn ask(&self) -> Pin<Box<dyn Future<Output = BTreeMap<NodeId, Option<Bytes>>> + Send>> {
        let host = Arc::clone(&self.0);
        Box::pin(async move { host.notes().await })
    }
}
