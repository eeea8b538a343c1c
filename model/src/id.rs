//! Identifiers as newtypes, with their one text form each.
//!
//! All of them are plain values: ordering is by bytes (big-endian for the numeric ones), so that
//! "ties by id" means the same on every node.

use std::fmt;
use std::sync::Arc;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// A character outside `0-9a-fA-F`.
    #[error("not a hexadecimal number")]
    NotHexadecimal,
    /// More digits than the identifier holds, or none.
    #[error("{digits} hexadecimal digits where 1 to {digits_max} are allowed")]
    Length {
        /// How many digits were given.
        digits: usize,
        /// How many the identifier can hold.
        digits_max: usize,
    },
    /// A tenant name outside the rules of [`Tenant::new`].
    #[error("a tenant name has 1 to {bytes_max} bytes of printable ASCII without '/'")]
    Tenant {
        /// The longest name allowed.
        bytes_max: usize,
    },
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; $length]);

        impl $name {
            /// Length in bytes.
            pub const LENGTH: usize = $length;

            /// The identifier in `bytes`, if they are exactly [`Self::LENGTH`] many.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The raw bytes.
            pub fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }

            /// True for the all-zero value, which every protocol calls invalid or absent.
            pub fn is_zero(&self) -> bool {
                self.0 == [0; $length]
            }

            /// Parses hexadecimal text; shorter text is padded with zeros on the left, as
            /// Jaeger reads ids (it prints them without leading zeros in some places).
            pub fn from_hex(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; $length];
                parse_hex(text, &mut bytes)?;
                Ok(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }
    };
}

byte_id!(
    /// Sixteen bytes that name a trace (W3C Trace Context, big-endian).
    TraceId,
    16
);
byte_id!(
    /// Eight bytes that name a span within its trace.
    SpanId,
    8
);
byte_id!(
    /// The random name of a closed batch; a retry carries the same one, so that apply can drop it.
    BatchId,
    16
);
byte_id!(
    /// The random name of a node, kept on its disk.
    NodeId,
    16
);

impl TraceId {
    /// The upper 64 bits; Jaeger prints ids without them when they are zero.
    pub fn high(&self) -> u64 {
        (u128::from_be_bytes(self.0) >> 64) as u64
    }

    /// The lower 64 bits.
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
    pub fn low(&self) -> u64 {
        u128::from_be_bytes(self.0) as u64
    }
}

fn parse_hex(text: &str, bytes: &mut [u8]) -> Result<(), IdError> {
    let digits_max = bytes.len() * 2;
    let digits = text.len();
    if digits == 0 || digits > digits_max {
        return Err(IdError::Length { digits, digits_max });
    }
    for (place, character) in text.bytes().rev().enumerate() {
        let digit = match character {
            b'0'..=b'9' => character - b'0',
            b'a'..=b'f' => character - b'a' + 10,
            b'A'..=b'F' => character - b'A' + 10,
            _ => return Err(IdError::NotHexadecimal),
        };
        if let Some(byte) = bytes.iter_mut().rev().nth(place / 2) {
            *byte |= digit << ((place % 2) * 4);
        }
    }
    Ok(())
}

/// A slice of the trace-id space; the unit of replication and of parallel work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u32);

impl fmt::Display for ShardId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Whose data it is. Cheap to clone.
///
/// Invariant (TEN-1): every batch, page, dictionary and answer belongs to exactly one tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Arc<str>);

/// Longest tenant name: Jaeger and Tempo send it in a header, and it stands in every batch.
pub const TENANT_BYTES_MAX: usize = 150;

/// What the name of an archive ends with. No name from outside holds a slash.
const ARCHIVE: &str = "/archive";

impl Tenant {
    /// A tenant of the given name: 1 to [`TENANT_BYTES_MAX`] bytes of printable ASCII, no `/`.
    pub fn new(name: &str) -> Result<Self, IdError> {
        let printable = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
        if name.is_empty() || name.len() > TENANT_BYTES_MAX || !printable {
            return Err(IdError::Tenant { bytes_max: TENANT_BYTES_MAX });
        }
        Ok(Self(name.into()))
    }

    /// A tenant of a name that was written by us: one from outside, or that of an archive.
    pub fn stored(name: &str) -> Result<Self, IdError> {
        Self::new(name.strip_suffix(ARCHIVE).unwrap_or(name))?;
        Ok(Self(name.into()))
    }

    /// Where the traces lie that this tenant keeps beyond their retention. Data of its own, which
    /// no search of the tenant meets.
    #[must_use]
    pub fn archive(&self) -> Self {
        if self.is_archive() { self.clone() } else { Self(format!("{}{ARCHIVE}", self.0).into()) }
    }

    /// Whether it is an archive.
    pub fn is_archive(&self) -> bool {
        self.0.ends_with(ARCHIVE)
    }

    /// The tenant's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Tenant {
    /// The tenant of a node without tenancy.
    fn default() -> Self {
        Self("default".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_padded_on_the_left_and_read_in_either_case() {
        let id = TraceId::from_hex("Ab").unwrap();
        assert_eq!(id.low(), 0xab);
        assert_eq!(id.to_string(), "000000000000000000000000000000ab");
        assert_eq!(TraceId::from_hex(&id.to_string()), Ok(id));
        assert_eq!(SpanId::from_hex("x"), Err(IdError::NotHexadecimal));
        assert_eq!(SpanId::from_hex(""), Err(IdError::Length { digits: 0, digits_max: 16 }));
        assert!(SpanId::from_hex("00000000000000001").is_err());
    }

    #[test]
    fn tenant_names_are_bounded_and_printable() {
        assert!(Tenant::new("acme").is_ok());
        for bad in ["", "a/b", "a b", "a\n", &"x".repeat(TENANT_BYTES_MAX + 1)] {
            assert!(Tenant::new(bad).is_err(), "{bad:?}");
            assert!(Tenant::stored(bad).is_err(), "{bad:?}");
        }
        let longest = Tenant::new(&"x".repeat(TENANT_BYTES_MAX)).unwrap();
        for tenant in [Tenant::default(), longest] {
            let archive = tenant.archive();
            assert!(archive.is_archive() && !tenant.is_archive());
            assert_eq!(archive.archive(), archive);
            assert_eq!(Tenant::stored(archive.as_str()), Ok(archive.clone()));
            assert!(Tenant::new(archive.as_str()).is_err(), "from outside it has no name");
            assert_eq!(Tenant::stored(tenant.as_str()), Ok(tenant));
        }
        assert!(Tenant::stored("/archive").is_err());
        assert!(Tenant::stored("a/archive/archive").is_err());
    }
}
