//! Which keys spans of a class have, so that a conjunction of two that are everywhere, but on no
//! span both, rules out pages. Told of the whole run: what spans of a service and operation carry
//! seldom changes, and a list for each page would cost a hundred times as much.

use std::collections::BTreeSet;

use model::columns::ColumnError;
use model::columns::cursor::{Cursor, put_varint};

use super::encode::{MALFORMED, narrow};
use super::{Stretch, Zones, slice};
use crate::block::limits::{ZONE_CLASS_KEYS_MAX, ZONE_CLASSES_MAX, ZONE_KEYS_MAX};

/// Keys of the attributes of spans, by the number of their class, while a run is built.
#[derive(Debug, Default)]
pub(super) struct ClassKeysBuilder {
    /// Nothing of a class that has keys which are not listed, or too many.
    classes: Vec<Option<BTreeSet<u32>>>,
    count: usize,
}

impl ClassKeysBuilder {
    /// Adds keys of spans of a class, by their numbers; nothing stands for one without a number.
    pub(super) fn add(&mut self, class: u32, keys: impl Iterator<Item = Option<u32>>) {
        let class = class as usize;
        if class >= ZONE_CLASSES_MAX {
            return;
        }
        if class >= self.classes.len() {
            self.classes.resize_with(class + 1, || Some(BTreeSet::new()));
        }
        let Some(slot) = self.classes.get_mut(class) else { return };
        for key in keys {
            let Some(known) = slot else { return };
            if key.is_some_and(|key| known.contains(&key)) {
                continue;
            }
            if let Some(key) = key.filter(|_| self.count < ZONE_CLASS_KEYS_MAX) {
                known.insert(key);
                self.count += 1;
            } else {
                self.count -= known.len();
                *slot = None;
            }
        }
    }

    pub(super) fn finish(self, zones: &mut Zones) {
        for keys in self.classes {
            let keys = keys.map(|keys| {
                let start = zones.class_key_numbers.len();
                zones.class_key_numbers.extend(keys);
                // Far below, by the bound of all of them.
                let end = |end: usize| u32::try_from(end).unwrap_or(u32::MAX);
                Stretch { start: end(start), end: end(zones.class_key_numbers.len()) }
            });
            zones.class_keys.push(keys);
        }
    }
}

impl Zones {
    /// Whether a span of a class may have an attribute of its own with this key, both by number.
    pub(crate) fn may_have_key(&self, class: usize, key: u32) -> bool {
        let keys = self.class_keys.get(class).copied().flatten();
        keys.is_none_or(|keys| slice(&self.class_key_numbers, keys).binary_search(&key).is_ok())
    }

    pub(in crate::block) fn encode_class_keys(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.class_keys.len() as u64);
        for keys in &self.class_keys {
            let Some(keys) = keys else {
                put_varint(&mut out, 0);
                continue;
            };
            let keys = slice(&self.class_key_numbers, *keys);
            put_varint(&mut out, keys.len() as u64 + 1);
            let mut next = 0;
            for key in keys {
                put_varint(&mut out, u64::from(key - next));
                next = key + 1;
            }
        }
        out
    }

    /// Takes what the zones' run says of the keys of its classes.
    pub(in crate::block) fn decode_class_keys(&mut self, bytes: &[u8]) -> Result<(), ColumnError> {
        let mut cursor = Cursor::new(bytes);
        for _ in 0..cursor.count(self.classes.len())? {
            let count = cursor.count(ZONE_KEYS_MAX + 1)?;
            let Some(count) = count.checked_sub(1) else {
                self.class_keys.push(None);
                continue;
            };
            if self.class_key_numbers.len() + count > ZONE_CLASS_KEYS_MAX {
                return Err(MALFORMED);
            }
            let start = narrow(self.class_key_numbers.len())?;
            let mut next = 0_u32;
            for _ in 0..count {
                let key = next.checked_add(cursor.varint_u32()?).ok_or(MALFORMED)?;
                if key as usize >= self.keys.len() {
                    return Err(MALFORMED);
                }
                self.class_key_numbers.push(key);
                next = key + 1;
            }
            let end = narrow(self.class_key_numbers.len())?;
            self.class_keys.push(Some(Stretch { start, end }));
        }
        if cursor.is_empty() { Ok(()) } else { Err(MALFORMED) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(builder: ClassKeysBuilder) -> Zones {
        let mut zones = Zones::default();
        builder.finish(&mut zones);
        zones
    }

    #[test]
    fn a_class_has_the_keys_of_all_its_spans() {
        let mut builder = ClassKeysBuilder::default();
        builder.add(1, [Some(7), Some(3)].into_iter());
        builder.add(0, [Some(3)].into_iter());
        builder.add(1, [Some(5), Some(7)].into_iter());
        builder.add(2, std::iter::empty());
        builder.add(u32::MAX, [Some(1)].into_iter());
        let zones = zones(builder);
        let keys = |class| (0..9).filter(|key| zones.may_have_key(class, *key)).collect::<Vec<_>>();
        assert_eq!(keys(0), [3]);
        assert_eq!(keys(1), [3, 5, 7]);
        assert_eq!(keys(2), []);
        assert_eq!(keys(3).len(), 9, "nothing is known of a class that is not listed");
    }

    #[test]
    fn more_keys_than_a_run_may_tell_are_not_read() {
        let mut zones = Zones::default();
        for number in 0..ZONE_KEYS_MAX {
            let class = |name: &str| format!("{name} {number}").as_str().into();
            zones.keys.push((model::query::AttributeScope::Span, class("key")));
        }
        let classes = u32::try_from(ZONE_CLASS_KEYS_MAX / ZONE_KEYS_MAX).unwrap();
        for number in 0..=classes {
            zones.classes.push(crate::block::zones::ZoneClass {
                service: "s".into(),
                operation: number.to_string().as_str().into(),
                kind: model::span::SpanKind::UNSPECIFIED,
                status: model::span::StatusCode::UNSET,
            });
        }
        let mut builder = ClassKeysBuilder::default();
        let most = u32::try_from(ZONE_KEYS_MAX).unwrap();
        (0..classes).for_each(|class| builder.add(class, (0..most).map(Some)));
        let mut full = zones.clone();
        builder.finish(&mut full);
        let bytes = full.encode_class_keys();
        assert_eq!(zones.clone().decode_class_keys(&bytes), Ok(()));
        // One more class with one key.
        let mut more = bytes;
        more[0] += 1;
        more.extend_from_slice(&[2, 0]);
        assert_eq!(zones.decode_class_keys(&more), Err(MALFORMED));
    }

    #[test]
    fn a_class_with_a_key_without_number_or_too_many_may_have_any() {
        let mut builder = ClassKeysBuilder::default();
        builder.add(0, [Some(3), None].into_iter());
        builder.add(0, [Some(3)].into_iter());
        // Each within the bound, together beyond: the last one is not told, and nothing is charged
        // for it.
        let most = u32::try_from(ZONE_KEYS_MAX).unwrap();
        let full = u32::try_from(ZONE_CLASS_KEYS_MAX / ZONE_KEYS_MAX).unwrap();
        for class in 1..full {
            builder.add(class, (0..most).map(Some));
        }
        builder.add(full, (1..most).map(Some));
        builder.add(full + 1, [Some(1), Some(2)].into_iter());
        builder.add(full + 2, [Some(2)].into_iter());
        let zones = zones(builder);
        assert!(zones.may_have_key(0, 8));
        assert!(zones.may_have_key(1, 8) && !zones.may_have_key(1, most));
        assert!(!zones.may_have_key(full as usize, 0));
        assert!(zones.may_have_key(full as usize + 1, 8));
        assert!(!zones.may_have_key(full as usize + 2, 8));
        assert_eq!(zones.class_key_numbers.len(), ZONE_CLASS_KEYS_MAX);
    }
}
