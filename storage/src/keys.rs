//! Every key of the key-value store, and its encoding.
//!
//! Column family `meta`:
//!
//! ```text
//!   node    what the node knows of itself; the value is `crate::meta`'s
//! ```
//!
//! Keys are plain bytes that sort as they are read; numbers in keys will be big-endian.

/// What the node knows of itself: one value, so that it is whole or absent.
pub(crate) const NODE: &[u8] = b"node";
