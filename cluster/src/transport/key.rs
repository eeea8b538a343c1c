//! The secret that all nodes of a cluster share, and what is derived from it.
//!
//! Invariants: a key never appears in a log, a message or a debug print; no two uses share the
//! bytes they work with.

use std::fmt;

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// Why the content of a key file is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Neither of the two forms.
    #[error("a key file holds 32 bytes, or one or two lines of 64 hexadecimal digits")]
    Form,
    /// A key that nobody has drawn.
    #[error("a key of nothing but zeros protects nothing")]
    Zero,
}

/// What a derived key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The handshake of node connections.
    Connection,
    /// Sealing gossip packets.
    Gossip,
    /// Naming the key of a gossip packet; not secret.
    GossipKeyName,
}

/// One key of a cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterKey([u8; KEY_BYTES]);

/// The keys of a cluster: the first is used, all are accepted. With two of them a key is replaced
/// node by node: first `old, new` everywhere, then `new, old`, then `new`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRing {
    first: ClusterKey,
    second: Option<ClusterKey>,
}

impl ClusterKey {
    /// The key of these bytes.
    pub fn new(bytes: [u8; KEY_BYTES]) -> Result<Self, KeyError> {
        if bytes == [0; KEY_BYTES] { Err(KeyError::Zero) } else { Ok(Self(bytes)) }
    }

    /// A key for one purpose: the stream that the cipher gives under a nonce kept for it. The
    /// cluster's key is used for nothing else.
    pub(crate) fn derive(&self, purpose: Purpose) -> [u8; KEY_BYTES] {
        let label: &[u8; 12] = match purpose {
            Purpose::Connection => b"skua node v1",
            Purpose::Gossip => b"skua goss v1",
            Purpose::GossipKeyName => b"skua name v1",
        };
        let cipher = ChaCha20Poly1305::new(Key::from_slice(&self.0));
        let mut derived = [0; KEY_BYTES];
        // Fails only for messages of many gigabytes.
        let _ = cipher.encrypt_in_place_detached(Nonce::from_slice(label), &[], &mut derived);
        derived
    }
}

impl fmt::Debug for ClusterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClusterKey(***)")
    }
}

impl KeyRing {
    /// A ring of one key or two.
    pub fn new(first: ClusterKey, second: Option<ClusterKey>) -> Self {
        Self { first, second }
    }

    /// Reads the content of a key file: 32 bytes as they are, or one or two lines of 64
    /// hexadecimal digits, the key to be used first.
    pub fn parse(content: &[u8]) -> Result<Self, KeyError> {
        if let Ok(bytes) = <[u8; KEY_BYTES]>::try_from(content) {
            return Ok(Self::new(ClusterKey::new(bytes)?, None));
        }
        let text = std::str::from_utf8(content).map_err(|_| KeyError::Form)?;
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = parse_line(lines.next().ok_or(KeyError::Form)?)?;
        let second = lines.next().map(parse_line).transpose()?;
        if lines.next().is_some() {
            return Err(KeyError::Form);
        }
        Ok(Self::new(first, second))
    }

    /// All keys, the one to be used first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &ClusterKey> {
        std::iter::once(&self.first).chain(&self.second)
    }

    /// The key to be used.
    pub(crate) fn first(&self) -> &ClusterKey {
        &self.first
    }
}

fn parse_line(line: &str) -> Result<ClusterKey, KeyError> {
    let digits = line.as_bytes();
    let mut bytes = [0; KEY_BYTES];
    if digits.len() != KEY_BYTES * 2 {
        return Err(KeyError::Form);
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let value = pair.iter().try_fold(0, |value, digit| {
            let digit = char::from(*digit).to_digit(16)?;
            Some(value * 16 + digit)
        });
        *byte = value.and_then(|value| u8::try_from(value).ok()).ok_or(KeyError::Form)?;
    }
    ClusterKey::new(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_bytes_or_digits() {
        let digits = "0f".repeat(32);
        let key = ClusterKey::new([0x0f; 32]).unwrap();
        assert_eq!(KeyRing::parse(&[0x0f; 32]), Ok(KeyRing::new(key.clone(), None)));
        assert_eq!(
            KeyRing::parse(format!("{digits}\n").as_bytes()),
            Ok(KeyRing::new(key.clone(), None))
        );
        let two = format!("\n{digits}\r\n  {}\n\n", "A1".repeat(32));
        let other = ClusterKey::new([0xa1; 32]).unwrap();
        assert_eq!(KeyRing::parse(two.as_bytes()), Ok(KeyRing::new(key, Some(other))));
        let three = format!("{digits}\n{digits}\n{digits}");
        for bad in [&b""[..], &[1; 31], &[1; 33], &[0xff; 64], b"0g", three.as_bytes()] {
            assert_eq!(KeyRing::parse(bad), Err(KeyError::Form));
        }
        assert_eq!(KeyRing::parse(&[0; 32]), Err(KeyError::Zero));
    }

    #[test]
    fn derived_keys_differ_and_no_key_is_printed() {
        let key = ClusterKey::new([7; 32]).unwrap();
        let derived =
            [Purpose::Connection, Purpose::Gossip, Purpose::GossipKeyName].map(|it| key.derive(it));
        assert!(derived[0] != derived[1] && derived[1] != derived[2] && derived[0] != derived[2]);
        assert!(derived.iter().all(|it| *it != [0; 32] && *it != [7; 32]));
        let printed = format!("{:?}", KeyRing::new(key, None));
        assert!(!printed.contains('7'), "{printed}");
    }
}
