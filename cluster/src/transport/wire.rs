//! How calls look on the wire: two gRPC methods, the caller in the headers, raw bytes as messages.
//!
//! ```text
//! /skua.node.v1.Node/Call      unary
//! /skua.node.v1.Node/Stream    bidirectional
//!
//! skua-method    number of the method
//! skua-cluster   cluster id, if the caller has one
//! skua-target    node that is meant, unless an address is
//! skua-node      node that speaks; answers carry it too, and the next two
//! skua-start     its incarnation
//! skua-nonce
//! skua-deadline  milliseconds that the caller waits
//! skua-refused   in a refusal: why, in a word
//! skua-known-start, skua-known-nonce
//!                in a refusal of an incarnation: the one that is known instead
//! ```
//!
//! Messages are not decoded here. Texts in headers are bounded.

use std::str::FromStr;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use model::NodeId;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;

use super::limits::REASON_BYTES_MAX;
use super::{
    CallError, ClusterId, Incarnation, Lane, LocalIdentity, Method, NotAdmitted, Peer, PeerGate,
};

/// The path of calls.
pub(crate) const CALL_PATH: &str = "/skua.node.v1.Node/Call";
/// The path of streams.
pub(crate) const STREAM_PATH: &str = "/skua.node.v1.Node/Stream";

const METHOD: &str = "skua-method";
const CLUSTER: &str = "skua-cluster";
const TARGET: &str = "skua-target";
const NODE: &str = "skua-node";
const START: &str = "skua-start";
const NONCE: &str = "skua-nonce";
const DEADLINE: &str = "skua-deadline";
const REFUSED: &str = "skua-refused";
const KNOWN_START: &str = "skua-known-start";
const KNOWN_NONCE: &str = "skua-known-nonce";

/// The word in [`REFUSED`] that says that the connection leads to another node.
pub(crate) const WRONG_TARGET: &str = "target";
/// The word that says that this life of the caller is not spoken with.
const WRONG_LIFE: &str = "incarnation";

/// Writes who speaks.
pub(crate) fn put_peer(metadata: &mut MetadataMap, peer: Peer) {
    put(metadata, NODE, &peer.node.to_string());
    put(metadata, START, &peer.incarnation.start.to_string());
    put(metadata, NONCE, &peer.incarnation.nonce.to_string());
}

/// Reads who speaks.
pub(crate) fn peer(metadata: &MetadataMap) -> Option<Peer> {
    let node = node_id(text(metadata, NODE)?)?;
    let incarnation =
        Incarnation { start: number(metadata, START)?, nonce: number(metadata, NONCE)? };
    Some(Peer { node, incarnation })
}

/// Writes a caller's headers.
pub(crate) fn put_call(
    metadata: &mut MetadataMap,
    local: &LocalIdentity,
    method: Method,
    target: Option<NodeId>,
    deadline: Option<Duration>,
) {
    put_peer(metadata, local.peer);
    put(metadata, METHOD, &(method as u16).to_string());
    if let Some(cluster) = local.cluster() {
        put(metadata, CLUSTER, &cluster.to_string());
    }
    if let Some(target) = target {
        put(metadata, TARGET, &target.to_string());
    }
    if let Some(deadline) = deadline {
        put(metadata, DEADLINE, &deadline.as_millis().to_string());
    }
}

/// A call that may be handled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admitted {
    pub(crate) from: Peer,
    pub(crate) method: Method,
    pub(crate) deadline: Option<Duration>,
}

/// Checks a caller's headers, before anything else of the call is read.
pub(crate) fn admit(
    metadata: &MetadataMap,
    local: &LocalIdentity,
    gate: &dyn PeerGate,
) -> Result<Admitted, Status> {
    let method = number(metadata, METHOD).and_then(|it| u16::try_from(it).ok());
    let Some(method) = method.and_then(Method::from_number) else {
        return Err(refusal("method", "this node does not know the method"));
    };
    let Some(from) = peer(metadata) else {
        return Err(refusal("caller", "the call does not say who calls"));
    };
    match text(metadata, TARGET).map(node_id) {
        Some(Some(target)) if target == local.peer.node => {}
        None if method.is_open() => {}
        Some(_) => return Err(refusal(WRONG_TARGET, "another node is here")),
        None => return Err(refusal(WRONG_TARGET, "the call does not say which node is meant")),
    }
    let cluster = text(metadata, CLUSTER).and_then(ClusterId::from_hex);
    let is_same_cluster = cluster.is_some() && cluster == local.cluster();
    if !is_same_cluster && !method.is_open() {
        let reason = match (cluster, local.cluster()) {
            (_, None) => "this node belongs to no cluster yet",
            (None, _) => "the caller belongs to no cluster yet",
            _ => "the caller belongs to another cluster",
        };
        return Err(refusal("cluster", reason));
    }
    if is_same_cluster && let Err(NotAdmitted { reason, known }) = gate.admit(from) {
        let mut refused = refusal(WRONG_LIFE, &reason);
        if let Some(known) = known {
            put(refused.metadata_mut(), KNOWN_START, &known.start.to_string());
            put(refused.metadata_mut(), KNOWN_NONCE, &known.nonce.to_string());
        }
        return Err(refused);
    }
    let deadline = number(metadata, DEADLINE).map(Duration::from_millis);
    Ok(Admitted { from, method, deadline })
}

/// A status that says that a call was not handled.
pub(crate) fn refusal(word: &'static str, reason: &str) -> Status {
    let mut status = Status::failed_precondition(bounded(reason));
    put(status.metadata_mut(), REFUSED, word);
    status
}

/// What a handler's error becomes on the wire.
pub(crate) fn status_of(error: &CallError) -> Status {
    match error {
        CallError::Refused { reason } => refusal("handler", reason),
        CallError::Unreachable { reason } | CallError::Lost { reason } => {
            Status::unavailable(bounded(reason))
        }
    }
}

/// The word of a refusal, if the status is one.
pub(crate) fn refused_word(status: &Status) -> Option<&str> {
    text(status.metadata(), REFUSED)
}

/// Who refused this life of the caller, and which one it knows instead, if that is what the status
/// says.
pub(crate) fn refused_life(status: &Status) -> Option<(NodeId, Incarnation)> {
    if refused_word(status) != Some(WRONG_LIFE) {
        return None;
    }
    let metadata = status.metadata();
    let known = Incarnation {
        start: number(metadata, KNOWN_START)?,
        nonce: number(metadata, KNOWN_NONCE)?,
    };
    Some((peer(metadata)?.node, known))
}

/// What a status from the other side, or of a connection that broke, means to the caller of a
/// call that was sent.
pub(crate) fn error_of(status: &Status) -> CallError {
    let reason = bounded(status.message());
    let was_refused = refused_word(status).is_some() || status.code() == tonic::Code::Unimplemented;
    if was_refused { CallError::Refused { reason } } else { CallError::Lost { reason } }
}

fn bounded(reason: &str) -> String {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.get(..end).unwrap_or_default().to_owned()
}

fn put(metadata: &mut MetadataMap, name: &'static str, value: &str) {
    if let Ok(value) = value.parse() {
        metadata.insert(name, value);
    }
}

fn text<'map>(metadata: &'map MetadataMap, name: &str) -> Option<&'map str> {
    metadata.get(name)?.to_str().ok()
}

fn number(metadata: &MetadataMap, name: &str) -> Option<u64> {
    u64::from_str(text(metadata, name)?).ok()
}

fn node_id(text: &str) -> Option<NodeId> {
    if text.len() == NodeId::LENGTH * 2 { NodeId::from_hex(text).ok() } else { None }
}

/// The names of methods and lanes in metrics.
impl Method {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Bootstrap => "bootstrap",
            Self::Join => "join",
            Self::Meta => "meta",
            Self::Spare => "spare",
            Self::Raft => "raft",
            Self::RaftAppend => "raft_append",
            Self::RaftSnapshot => "raft_snapshot",
            Self::FetchFile => "fetch_file",
            Self::Barrier => "barrier",
            Self::Vouch => "vouch",
            Self::Write => "write",
            Self::Read => "read",
            Self::Status => "status",
            Self::Note => "note",
        }
    }
}

impl Lane {
    /// Every lane.
    pub(crate) const ALL: [Self; 3] = [Self::Control, Self::Log, Self::Bulk];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Log => "log",
            Self::Bulk => "bulk",
        }
    }
}

/// The outcome of a call in metrics.
pub(crate) fn outcome_label<T>(result: &Result<T, CallError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(CallError::Unreachable { .. }) => "unreachable",
        Err(CallError::Refused { .. }) => "refused",
        Err(CallError::Lost { .. }) => "lost",
    }
}

/// Messages as the bytes that they are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(message.len());
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let bytes = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct From(u64);

    impl PeerGate for From {
        fn admit(&self, peer: Peer) -> Result<(), NotAdmitted> {
            let known = Some(Incarnation { start: self.0, nonce: 3 });
            let refused = NotAdmitted { reason: "old".into(), known };
            if peer.incarnation.start < self.0 { Err(refused) } else { Ok(()) }
        }
    }

    fn local(node: u8, start: u64, cluster: Option<u8>) -> LocalIdentity {
        let local = LocalIdentity::new(NodeId([node; 16]), Incarnation { start, nonce: u64::MAX });
        if let Some(cluster) = cluster {
            assert!(local.set_cluster(ClusterId([cluster; 16])));
        }
        local
    }

    fn refused(from: &LocalIdentity, to: &LocalIdentity, method: Method, target: u8) -> String {
        let mut metadata = MetadataMap::new();
        let target = (target > 0).then_some(NodeId([target; 16]));
        put_call(&mut metadata, from, method, target, Some(Duration::from_secs(2)));
        match admit(&metadata, to, &From(5)) {
            Ok(admitted) => {
                assert_eq!((admitted.from, admitted.method), (from.peer, method));
                assert_eq!(admitted.deadline, Some(Duration::from_secs(2)));
                String::new()
            }
            Err(status) => refused_word(&status).unwrap().to_owned(),
        }
    }

    #[test]
    fn only_who_may_and_who_is_meant_is_admitted() {
        let (one, two) = (local(1, 5, Some(9)), local(2, 1, Some(9)));
        assert_eq!(refused(&one, &two, Method::Raft, 2), "");
        assert_eq!(refused(&one, &two, Method::Raft, 3), "target");
        assert_eq!(refused(&one, &two, Method::Raft, 0), "target");
        assert_eq!(refused(&one, &two, Method::Hello, 3), "target");
        assert_eq!(refused(&one, &two, Method::Hello, 0), "");
        assert_eq!(refused(&local(1, 4, Some(9)), &two, Method::Hello, 0), "incarnation");
        assert_eq!(refused(&local(1, 5, Some(8)), &two, Method::Raft, 2), "cluster");
        assert_eq!(refused(&local(1, 5, None), &two, Method::Raft, 2), "cluster");
        assert_eq!(refused(&one, &local(2, 1, None), Method::Raft, 2), "cluster");
        assert_eq!(refused(&local(1, 1, Some(8)), &two, Method::Join, 0), "");
        let mut unknown = MetadataMap::new();
        assert_eq!(refused_word(&admit(&unknown, &two, &From(0)).unwrap_err()), Some("method"));
        unknown.insert(METHOD, "1".parse().unwrap());
        assert_eq!(refused_word(&admit(&unknown, &two, &From(0)).unwrap_err()), Some("caller"));
        assert!(!two.set_cluster(ClusterId([8; 16])));
    }

    #[test]
    fn who_is_refused_learns_of_the_life_that_is_known() {
        let (one, two) = (local(1, 4, Some(9)), local(2, 1, Some(9)));
        let mut metadata = MetadataMap::new();
        put_call(&mut metadata, &one, Method::Raft, Some(NodeId([2; 16])), None);
        let mut status = admit(&metadata, &two, &From(5)).unwrap_err();
        assert_eq!(refused_life(&status), None, "nobody says it");
        put_peer(status.metadata_mut(), two.peer);
        let known = Incarnation { start: 5, nonce: 3 };
        assert_eq!(refused_life(&status), Some((NodeId([2; 16]), known)));
        let mut other = refusal("target", "another node is here");
        put_peer(other.metadata_mut(), two.peer);
        assert_eq!(refused_life(&other), None);
    }

    #[test]
    fn errors_keep_their_meaning_and_a_bounded_text() {
        let long = "ä".repeat(REASON_BYTES_MAX);
        let refused = CallError::Refused { reason: long.clone() };
        let CallError::Refused { reason } = error_of(&status_of(&refused)) else { panic!() };
        assert!(reason.len() <= REASON_BYTES_MAX && long.starts_with(&reason));
        for error in
            [CallError::Lost { reason: "x".into() }, CallError::Unreachable { reason: "x".into() }]
        {
            assert_eq!(error_of(&status_of(&error)), CallError::Lost { reason: "x".into() });
        }
    }
}
