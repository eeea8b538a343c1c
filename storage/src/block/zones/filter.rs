//! The filter of a page: which values stand under which keys, with few bits for each.
//!
//! A Bloom filter over hashes of (place, key, string form). At the eight to ten bits a value that
//! a page has for it, sorted truncated hashes would let half as many absent values through and
//! have to be walked; a binary fuse filter would be a quarter smaller, but is built by trial. Few
//! pages more or less decide nothing here: a page that is opened in vain is found to have nothing.

use model::query::AttributeScope;
use twox_hash::XxHash3_64;

use crate::block::names::scope_number;

/// Most probes of a lookup: more gain nothing at the bits that values have.
pub(super) const PROBES_MAX: u8 = 8;

/// The hash of a key in a place.
pub(crate) fn key_hash(scope: AttributeScope, key: &[u8]) -> u64 {
    mix(XxHash3_64::oneshot(key) ^ u64::from(scope_number(scope)))
}

/// The hash of a value by its string form, under the hash of its key.
pub(crate) fn value_hash(key_hash: u64, form: &[u8]) -> u64 {
    mix(XxHash3_64::oneshot(form).wrapping_add(key_hash))
}

/// Spreads bits, so that neither half of a hash follows from its parts.
fn mix(value: u64) -> u64 {
    let product = (value ^ value >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    product ^ product >> 29
}

/// How many probes are best for so many bits a value.
pub(super) fn probes_for(bits: usize, values: usize) -> u8 {
    let probes = bits * 7 / (values.max(1) * 10);
    u8::try_from(probes).unwrap_or(u8::MAX).clamp(1, PROBES_MAX)
}

/// Adds a hash.
pub(super) fn insert(filter: &mut [u8], probes: u8, hash: u64) {
    for bit in places(filter.len(), probes, hash) {
        if let Some(byte) = filter.get_mut(bit / 8) {
            *byte |= 1 << (bit % 8);
        }
    }
}

/// Whether a hash may have been added. An empty filter knows nothing.
pub(super) fn may_contain(filter: &[u8], probes: u8, hash: u64) -> bool {
    let is_set = |bit: usize| filter.get(bit / 8).is_none_or(|byte| byte >> (bit % 8) & 1 != 0);
    places(filter.len(), probes, hash).all(is_set)
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of a hash")]
pub(super) fn places(bytes: usize, probes: u8, hash: u64) -> impl Iterator<Item = usize> {
    let (mut place, step) = (hash as u32, (hash >> 32) as u32 | 1);
    (0..probes).map(move |_| {
        let bit = (u64::from(place) * (bytes as u64 * 8)) >> 32;
        place = place.wrapping_add(step);
        bit as usize
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_added_is_found_and_little_else() {
        let hash = |number: u32| value_hash(7, &number.to_le_bytes());
        for (count, bits_per_value, found_max) in [(40, 10, 200), (4_000, 10, 130), (4_000, 6, 800)]
        {
            let probes = probes_for(count as usize * bits_per_value, count as usize);
            let mut filter = vec![0; count as usize * bits_per_value / 8];
            (0..count).for_each(|number| insert(&mut filter, probes, hash(number)));
            assert!((0..count).all(|number| may_contain(&filter, probes, hash(number))));
            let absent = 1_000_000..1_010_000;
            let found = absent.filter(|number| may_contain(&filter, probes, hash(*number)));
            let found = found.count();
            assert!(found < found_max, "{found} of 10,000 among {count} at {bits_per_value} bits");
        }
        assert!(may_contain(&[], 3, 1), "no filter rules nothing out");
    }

    #[test]
    fn places_and_keys_are_told_apart() {
        let key = |scope, key: &str| key_hash(scope, key.as_bytes());
        let span = key(AttributeScope::Span, "a");
        assert_ne!(span, key(AttributeScope::Resource, "a"));
        assert_ne!(span, key(AttributeScope::Span, "b"));
        assert_ne!(value_hash(span, b"x"), value_hash(key(AttributeScope::Event, "a"), b"x"));
    }
}
