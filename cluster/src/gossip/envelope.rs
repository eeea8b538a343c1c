//! What is around a packet: who may have written it, and that it is heard once.
//!
//! ```text
//! sealed (there is a key)              plain (there is none: loopback only)
//!  0  u8   1                            0  u8   2
//!  1  [4]  name of the key              1  [16] cluster id
//!  5  [16] session of the sender       17  u8   kind
//! 21  u64  counter in it               18  ...  payload
//! 29  ...  sealed with XChaCha20-Poly1305, session and counter being its nonce:
//!          u64 milliseconds since the epoch, u8 kind, payload; then 16 bytes of tag
//! ```
//!
//! Numbers are big-endian. The tag covers the cluster id too, which is not sent. A session is
//! random for every start of a node and a counter is used once, so no nonce ever comes twice.
//!
//! Known and accepted: for some minutes after its start a node can be told once more what was sent
//! just before. Gossip is used to hearing things late.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use model::time::Timestamp;

use super::Now;
use super::limits::PACKET_BYTES_MAX;
use super::replay::{Replay, SessionId};
use crate::transport::{ClusterId, KeyRing, Purpose};

const SEALED: u8 = 1;
const PLAIN: u8 = 2;
const KEY_NAME_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const SEALED_HEAD_BYTES: usize = 1 + KEY_NAME_BYTES + NONCE_BYTES;

/// What an envelope adds to a payload, at most.
pub(crate) const OVERHEAD_BYTES: usize = SEALED_HEAD_BYTES + 8 + 1 + TAG_BYTES;

/// Why a packet had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Dropped {
    /// Too short, too long, or of a form that is not known.
    Malformed,
    /// Sealed where there is no key, or not sealed where there is one.
    WrongForm,
    /// Sealed with a key that this node does not have.
    UnknownKey,
    /// Not sealed by who it claims to be from, changed on its way, or of another cluster.
    Forged,
    /// Of another cluster.
    OtherCluster,
    /// Heard before.
    Replayed,
    /// From a node whose clock is far off, or an old packet repeated.
    Clock,
    /// More nodes or sessions than are remembered.
    Full,
    /// Genuine, and refused by the protocol inside: for another life of this node, for instance.
    Protocol,
}

impl Dropped {
    /// A word for metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::WrongForm => "wrong_form",
            Self::UnknownKey => "unknown_key",
            Self::Forged => "forged",
            Self::OtherCluster => "other_cluster",
            Self::Replayed => "replayed",
            Self::Clock => "clock",
            Self::Full => "full",
            Self::Protocol => "protocol",
        }
    }
}

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A message of the membership protocol.
    Protocol,
    /// Somebody who knows nobody asks to be greeted.
    Knock,
}

struct SealingKey {
    name: [u8; KEY_NAME_BYTES],
    cipher: XChaCha20Poly1305,
}

/// Wraps and unwraps packets.
pub(crate) struct Envelope {
    cluster: ClusterId,
    /// The first seals; none means plain packets.
    keys: Vec<SealingKey>,
    session: SessionId,
    counter: u64,
    replay: Replay,
}

impl fmt::Debug for Envelope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Envelope").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Envelope {
    pub(crate) fn new(cluster: ClusterId, keys: Option<&KeyRing>, session: SessionId) -> Self {
        let sealing = |key: &crate::transport::ClusterKey| {
            let [a, b, c, d, ..] = key.derive(Purpose::GossipKeyName);
            let secret = key.derive(Purpose::Gossip);
            let cipher = XChaCha20Poly1305::new(Key::from_slice(&secret));
            SealingKey { name: [a, b, c, d], cipher }
        };
        let keys = keys.map(|ring| ring.keys().map(sealing).collect()).unwrap_or_default();
        Self { cluster, keys, session, counter: 0, replay: Replay::default() }
    }

    /// The packet of a payload. `None` if it does not fit, or counters have run out.
    pub(crate) fn seal(&mut self, kind: Kind, payload: &[u8], now: Now) -> Option<Vec<u8>> {
        if payload.len() + OVERHEAD_BYTES > PACKET_BYTES_MAX {
            return None;
        }
        let kind = match kind {
            Kind::Protocol => 0,
            Kind::Knock => 1,
        };
        let Some(key) = self.keys.first() else {
            return Some([&[PLAIN], &self.cluster.0[..], &[kind], payload].concat());
        };
        self.counter = self.counter.checked_add(1)?;
        let nonce = nonce(self.session, self.counter);
        let millis = now.wall.0 / 1_000_000;
        let plain = [&millis.to_be_bytes()[..], &[kind], payload].concat();
        let associated = associated(self.cluster, key.name);
        let payload = Payload { msg: &plain, aad: &associated };
        let sealed = key.cipher.encrypt(&nonce, payload).ok()?;
        Some([&[SEALED], &key.name[..], nonce.as_slice(), &sealed].concat())
    }

    /// What is in a packet, if it is genuine and new.
    pub(crate) fn open(&mut self, packet: &[u8], now: Now) -> Result<(Kind, Vec<u8>), Dropped> {
        if packet.len() > PACKET_BYTES_MAX {
            return Err(Dropped::Malformed);
        }
        let (form, rest) = packet.split_first().ok_or(Dropped::Malformed)?;
        let (kind, payload) = match (*form, self.keys.is_empty()) {
            (PLAIN, true) => {
                let (cluster, rest) = rest.split_first_chunk().ok_or(Dropped::Malformed)?;
                if *cluster != self.cluster.0 {
                    return Err(Dropped::OtherCluster);
                }
                let (kind, payload) = rest.split_first().ok_or(Dropped::Malformed)?;
                (*kind, payload.to_vec())
            }
            (SEALED, false) => self.open_sealed(rest, now)?,
            (PLAIN | SEALED, _) => return Err(Dropped::WrongForm),
            _ => return Err(Dropped::Malformed),
        };
        match kind {
            0 => Ok((Kind::Protocol, payload)),
            1 => Ok((Kind::Knock, payload)),
            _ => Err(Dropped::Malformed),
        }
    }

    fn open_sealed(&mut self, packet: &[u8], now: Now) -> Result<(u8, Vec<u8>), Dropped> {
        let (name, rest) = packet.split_first_chunk().ok_or(Dropped::Malformed)?;
        let (session, rest) = rest.split_first_chunk().ok_or(Dropped::Malformed)?;
        let (counter, sealed) = rest.split_first_chunk().ok_or(Dropped::Malformed)?;
        let counter = u64::from_be_bytes(*counter);
        let key = self.keys.iter().find(|key| key.name == *name).ok_or(Dropped::UnknownKey)?;
        let associated = associated(self.cluster, key.name);
        let payload = Payload { msg: sealed, aad: &associated };
        let plain = key.cipher.decrypt(&nonce(*session, counter), payload);
        let plain = plain.map_err(|_| Dropped::Forged)?;
        let (millis, rest) = plain.split_first_chunk().ok_or(Dropped::Malformed)?;
        let (kind, payload) = rest.split_first().ok_or(Dropped::Malformed)?;
        let sent_at = Timestamp(u64::from_be_bytes(*millis).saturating_mul(1_000_000));
        self.replay.accept(*session, counter, sent_at, now)?;
        Ok((*kind, payload.to_vec()))
    }
}

fn nonce(session: SessionId, counter: u64) -> XNonce {
    let mut nonce = [0; NONCE_BYTES];
    let bytes = session.into_iter().chain(counter.to_be_bytes());
    nonce.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    nonce.into()
}

fn associated(cluster: ClusterId, key: [u8; KEY_NAME_BYTES]) -> Vec<u8> {
    [&b"skua gossip"[..], &[SEALED], &key, &cluster.0].concat()
}
