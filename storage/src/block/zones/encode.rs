//! Zones as bytes; the layout is told in `docs/formats/block-v1.md`.

use model::Text;
use model::columns::ColumnError;
use model::columns::cursor::{Cursor, put_bytes, put_varint, unzigzag, zigzag};
use model::span::{SpanKind, StatusCode};

use super::filter::PROBES_MAX;
use super::{Page, PageClass, PageKey, Stretch, ZoneClass, Zones, slice};
use crate::block::limits::{RUN_PAGES_MAX, ZONE_CLASSES_MAX, ZONE_KEYS_MAX};
use crate::block::names::{scope_number, scope_of};

pub(super) const MALFORMED: ColumnError = ColumnError::new("zones do not add up");

impl Zones {
    pub(in crate::block) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.memory_bytes());
        put_varint(&mut out, self.classes.len() as u64);
        for class in &self.classes {
            put_bytes(&mut out, class.service.as_bytes());
            put_bytes(&mut out, class.operation.as_bytes());
            put_varint(&mut out, zigzag(class.kind.0.into()));
            put_varint(&mut out, zigzag(class.status.0.into()));
        }
        put_varint(&mut out, self.keys.len() as u64);
        for (scope, key) in &self.keys {
            out.push(scope_number(*scope));
            put_bytes(&mut out, key.as_bytes());
        }
        put_varint(&mut out, self.pages.len() as u64);
        for page in &self.pages {
            self.put_page(page, &mut out);
        }
        out.extend_from_slice(&self.filters);
        out
    }

    fn put_page(&self, page: &Page, out: &mut Vec<u8>) {
        out.push(page.flags);
        let classes = slice(&self.page_classes, page.classes);
        put_varint(out, classes.len() as u64);
        let mut next = 0;
        for class in classes {
            let number = u32::from(class.class);
            put_varint(out, u64::from(number - next));
            next = number + 1;
            out.extend_from_slice(&[class.shortest, class.longest]);
        }
        let keys = slice(&self.page_keys, page.keys);
        put_varint(out, keys.len() as u64);
        let mut next = 0;
        for key in keys {
            put_varint(out, u64::from(key.key() - next) << 1 | u64::from(key.is_open()));
            next = key.key() + 1;
        }
        out.push(page.probes);
        put_varint(out, u64::from(page.filter.end - page.filter.start));
    }

    pub(in crate::block) fn decode(bytes: &[u8]) -> Result<Self, ColumnError> {
        let mut cursor = Cursor::new(bytes);
        let mut zones = Self::default();
        for _ in 0..cursor.count(ZONE_CLASSES_MAX)? {
            zones.classes.push(ZoneClass {
                service: Text::copy_from(cursor.bytes()?),
                operation: Text::copy_from(cursor.bytes()?),
                kind: SpanKind(take_i32(&mut cursor)?),
                status: StatusCode(take_i32(&mut cursor)?),
            });
        }
        for _ in 0..cursor.count(ZONE_KEYS_MAX)? {
            let scope = scope_of(cursor.byte()?).ok_or(MALFORMED)?;
            zones.keys.push((scope, Text::copy_from(cursor.bytes()?)));
        }
        let mut filters_end = 0;
        for _ in 0..cursor.count(RUN_PAGES_MAX)? {
            let page = zones.take_page(&mut cursor, filters_end)?;
            filters_end = page.filter.end;
            zones.pages.push(page);
        }
        zones.filters = cursor.take(filters_end as usize)?.to_vec();
        zones.sum_up();
        if cursor.is_empty() { Ok(zones) } else { Err(MALFORMED) }
    }

    fn take_page(
        &mut self,
        cursor: &mut Cursor<'_>,
        filter_start: u32,
    ) -> Result<Page, ColumnError> {
        let flags = cursor.byte()?;
        let start = narrow(self.page_classes.len())?;
        let mut next = 0_u32;
        for _ in 0..cursor.count(self.classes.len() + 1)? {
            let class = next.checked_add(cursor.varint_u32()?).ok_or(MALFORMED)?;
            if class as usize > self.classes.len() {
                return Err(MALFORMED);
            }
            let [shortest, longest] = cursor.array()?;
            next = class + 1;
            let class = u16::try_from(class).map_err(|_| MALFORMED)?;
            self.page_classes.push(PageClass { class, shortest, longest });
        }
        let classes = Stretch { start, end: narrow(self.page_classes.len())? };
        let start = narrow(self.page_keys.len())?;
        let mut next = 0_u32;
        for _ in 0..cursor.count(self.keys.len())? {
            let number = cursor.varint_u32()?;
            let key = next.checked_add(number >> 1).ok_or(MALFORMED)?;
            if key as usize >= self.keys.len() {
                return Err(MALFORMED);
            }
            self.page_keys.push(PageKey::new(key, number & 1 != 0).ok_or(MALFORMED)?);
            next = key + 1;
        }
        let keys = Stretch { start, end: narrow(self.page_keys.len())? };
        let probes = cursor.byte()?;
        if probes == 0 || probes > PROBES_MAX {
            return Err(MALFORMED);
        }
        let end = filter_start.checked_add(cursor.varint_u32()?).ok_or(MALFORMED)?;
        Ok(Page { flags, classes, keys, filter: Stretch { start: filter_start, end }, probes })
    }
}

fn take_i32(cursor: &mut Cursor<'_>) -> Result<i32, ColumnError> {
    i32::try_from(unzigzag(cursor.varint()?)).map_err(|_| MALFORMED)
}

pub(super) fn narrow(count: usize) -> Result<u32, ColumnError> {
    u32::try_from(count).map_err(|_| MALFORMED)
}

#[cfg(test)]
mod tests {
    use model::batch::{Batch, Builder, encode};
    use model::testing::{Generator, Random, tell_spans};
    use model::{BatchId, Tenant};

    use super::*;
    use crate::block::zones::ZonesBuilder;

    fn zones(seed: u64, pages: usize) -> Zones {
        let mut generator = Generator::new(seed);
        let mut zones = ZonesBuilder::default();
        for _ in 0..pages {
            let mut builder = Builder::new(Tenant::default());
            tell_spans(&generator.trace(), &mut builder);
            let batch = Batch::open(encode(&builder, BatchId::default()).into()).unwrap();
            let index = batch.index().unwrap();
            let details = batch.details(&index).unwrap();
            zones.add(&index, &batch.values(&index).unwrap(), &details).unwrap();
        }
        zones.finish().0
    }

    #[test]
    fn zones_come_back_and_nonsense_is_no_panic() {
        for (seed, pages) in [(1, 0), (2, 1), (3, 30)] {
            let zones = zones(seed, pages);
            assert_eq!(zones.page(pages).map(|_| ()), None);
            let bytes = zones.encode();
            let keys = zones.encode_class_keys();
            let without = Zones::decode(&bytes).unwrap();
            let mut decoded = without.clone();
            decoded.decode_class_keys(&keys).unwrap();
            decoded.decode_key_values(&zones.encode_key_values()).unwrap();
            assert_eq!(decoded, zones);
            for length in 0..bytes.len() {
                assert!(Zones::decode(&bytes[..length]).is_err(), "{length}");
            }
            for length in 0..keys.len() {
                assert!(without.clone().decode_class_keys(&keys[..length]).is_err(), "{length}");
            }
            let mut random = Random::new(seed);
            for _ in 0..2_000 {
                let mut damaged = keys.clone();
                let place = random.index(damaged.len());
                damaged[place] ^= 1 << random.index(8);
                let mut decoded = without.clone();
                if decoded.decode_class_keys(&damaged).is_ok() {
                    assert!(decoded.may_have_key(zones.classes().len(), 0));
                }
                let mut damaged = bytes.clone();
                let place = random.index(damaged.len());
                damaged[place] ^= 1 << random.index(8);
                if let Ok(zones) = Zones::decode(&damaged) {
                    let pages = (0..pages).filter_map(|page| zones.page(page));
                    for page in pages {
                        assert!(page.classes().len() <= zones.classes().len() + 1);
                        page.may_have_value(7);
                        page.key(Some(0));
                    }
                }
            }
        }
    }
}
