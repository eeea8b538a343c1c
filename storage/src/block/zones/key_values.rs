//! Which values stand under a key anywhere in the run, for keys of few values: a value that is
//! nowhere is denied for all pages at once, and without the pages that a filter lets through.

use std::collections::BTreeSet;

use model::columns::ColumnError;
use model::columns::cursor::{Cursor, put_varint};

use super::encode::{MALFORMED, narrow};
use super::{Stretch, Zones, slice};
use crate::block::limits::{ZONE_KEY_VALUES_MAX, ZONE_KEYS_MAX, ZONE_VALUES_MAX};

/// Values of keys, by the number of their key, while a run is built.
#[derive(Debug, Default)]
pub(super) struct KeyValuesBuilder {
    /// Nothing of a key that has too many.
    keys: Vec<Option<BTreeSet<u32>>>,
    count: usize,
}

impl KeyValuesBuilder {
    /// Adds values of a key, by their hashes.
    pub(super) fn add(&mut self, key: u32, hashes: &[u64]) {
        let key = key as usize;
        if key >= ZONE_KEYS_MAX {
            return;
        }
        if key >= self.keys.len() {
            self.keys.resize_with(key + 1, || Some(BTreeSet::new()));
        }
        let Some(slot) = self.keys.get_mut(key) else { return };
        let Some(known) = slot else { return };
        let before = known.len();
        // As many as would be too many are enough to know it.
        let room = ZONE_KEY_VALUES_MAX.min(before + ZONE_VALUES_MAX - self.count);
        for hash in hashes {
            known.insert(short(*hash));
            if known.len() > room {
                self.count -= before;
                *slot = None;
                return;
            }
        }
        self.count += known.len() - before;
    }

    pub(super) fn finish(self, zones: &mut Zones) {
        for values in self.keys {
            let values = values.map(|values| {
                let start = zones.values.len();
                zones.values.extend(values);
                // Far below, by the bound of all of them.
                let end = |end: usize| u32::try_from(end).unwrap_or(u32::MAX);
                Stretch { start: end(start), end: end(zones.values.len()) }
            });
            zones.key_values.push(values);
        }
    }
}

impl Zones {
    /// Whether a value may stand anywhere in the run: that of a hash, under the key of a number.
    pub(crate) fn may_have_value(&self, key: u32, hash: u64) -> bool {
        let values = self.key_values.get(key as usize).copied().flatten();
        values.is_none_or(|values| slice(&self.values, values).binary_search(&short(hash)).is_ok())
    }

    pub(in crate::block) fn encode_key_values(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.key_values.len() as u64);
        for values in &self.key_values {
            let Some(values) = values else {
                put_varint(&mut out, 0);
                continue;
            };
            let values = slice(&self.values, *values);
            put_varint(&mut out, values.len() as u64 + 1);
            for value in values {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        out
    }

    /// Takes what the zones' run says of the values of its keys.
    pub(in crate::block) fn decode_key_values(&mut self, bytes: &[u8]) -> Result<(), ColumnError> {
        let mut cursor = Cursor::new(bytes);
        for _ in 0..cursor.count(self.keys.len())? {
            let count = cursor.count(ZONE_KEY_VALUES_MAX + 1)?;
            let Some(count) = count.checked_sub(1) else {
                self.key_values.push(None);
                continue;
            };
            let start = self.values.len();
            if start + count > ZONE_VALUES_MAX {
                return Err(MALFORMED);
            }
            for _ in 0..count {
                self.values.push(cursor.u32()?);
            }
            // They are found by their order.
            if !self.values.get(start..).unwrap_or_default().is_sorted() {
                return Err(MALFORMED);
            }
            let end = narrow(self.values.len())?;
            self.key_values.push(Some(Stretch { start: narrow(start)?, end }));
        }
        if cursor.is_empty() { Ok(()) } else { Err(MALFORMED) }
    }
}

/// The half of a hash that is listed.
fn short(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use model::query::AttributeScope;

    use super::*;

    fn zones(keys: usize, builder: KeyValuesBuilder) -> Zones {
        let key = |number: usize| (AttributeScope::Span, number.to_string().as_str().into());
        let mut zones = Zones { keys: (0..keys).map(key).collect(), ..Zones::default() };
        builder.finish(&mut zones);
        zones
    }

    /// Hashes that differ in their upper halves.
    fn hashes(numbers: std::ops::Range<u64>) -> Vec<u64> {
        numbers.map(|number| number << 32 | 7).collect()
    }

    #[test]
    fn a_key_of_few_values_has_these_and_no_other() {
        let mut builder = KeyValuesBuilder::default();
        let most = ZONE_KEY_VALUES_MAX as u64;
        builder.add(0, &hashes(0..3));
        builder.add(2, &hashes(0..most));
        builder.add(3, &hashes(0..most));
        builder.add(0, &hashes(2..5));
        builder.add(3, &hashes(1..most + 1));
        builder.add(3, &hashes(0..1));
        builder.add(u32::MAX, &hashes(0..1));
        let zones = zones(4, builder);
        let has = |key, number: u64| zones.may_have_value(key, number << 32);
        assert!((0..5).all(|number| has(0, number)) && !has(0, 5));
        assert!(!has(1, 0), "no page has a value under it");
        assert!((0..most).all(|number| has(2, number)) && !has(2, most));
        assert!(has(3, 1 << 20), "it has more than are listed");
        assert!(has(9, 0), "nothing is known of a key that is not listed");
        let bytes = zones.encode_key_values();
        let mut decoded = Zones { keys: zones.keys.clone(), ..Zones::default() };
        decoded.decode_key_values(&bytes).unwrap();
        assert_eq!(decoded, zones);
        for length in 0..bytes.len() {
            let mut decoded = Zones { keys: zones.keys.clone(), ..Zones::default() };
            assert!(decoded.decode_key_values(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn more_values_than_a_run_may_tell_are_neither_kept_nor_read() {
        let (most, keys) = (ZONE_KEY_VALUES_MAX as u64, ZONE_VALUES_MAX / ZONE_KEY_VALUES_MAX);
        let mut builder = KeyValuesBuilder::default();
        let last = u32::try_from(keys).unwrap();
        (0..last).for_each(|key| builder.add(key, &hashes(0..most)));
        builder.add(last, &hashes(0..1));
        let zones = zones(keys + 1, builder);
        assert_eq!(zones.values.len(), ZONE_VALUES_MAX);
        assert!(zones.may_have_value(last, 1 << 40), "there was no room for it");
        let mut bytes = zones.encode_key_values();
        let mut decoded = Zones { keys: zones.keys.clone(), ..Zones::default() };
        assert_eq!(decoded.decode_key_values(&bytes), Ok(()));
        // One value in the place of none told.
        assert_eq!(bytes.pop(), Some(0));
        bytes.extend_from_slice(&[2, 0, 0, 0, 0]);
        let mut decoded = Zones { keys: zones.keys.clone(), ..Zones::default() };
        assert_eq!(decoded.decode_key_values(&bytes), Err(MALFORMED));
    }

    #[test]
    fn values_out_of_order_are_refused() {
        let mut decoded = zones(1, KeyValuesBuilder::default());
        let bytes = [1, 3, 2, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(decoded.decode_key_values(&bytes), Err(MALFORMED));
    }
}
