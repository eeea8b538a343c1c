//! Which traces a tenant's pages hold: a sorted list of short hashes with the page of each.
//!
//! It is filter and index in one. Hashes of trace ids are sorted; the top bits of a hash are given
//! by the *bucket* (about [`BUCKET_TRACES`] traces each), the next [`REMAINDER_BITS`] are stored
//! together with the number of the page. A trace that is not there is reported once in some 2^16
//! lookups; whoever then reads the page finds that it is not on it.
//!
//! 4.25 bytes a trace. A probabilistic filter of the same accuracy takes 2 to 2.5 and needs the
//! pages beside it. Lookups read slices of it where it lies ([`super::table_slices`]).

use model::TraceId;
use model::columns::ColumnError;
use twox_hash::XxHash3_64;

use super::limits::RUN_PAGES_MAX;

pub(super) const PAGE_BITS: u32 = 12;
pub(super) const REMAINDER_BITS: u32 = 20;
const BUCKET_TRACES: usize = 16;
pub(super) const BUCKET_BITS_MAX: u32 = 64 - REMAINDER_BITS;
/// Bytes before the buckets.
pub(super) const HEAD_BYTES: usize = 8;

const _: () = assert!(1 << PAGE_BITS == RUN_PAGES_MAX);
const _: () = assert!(PAGE_BITS + REMAINDER_BITS == 32);

/// The table of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceTable {
    bucket_bits: u32,
    /// By bucket: where it ends in `entries`.
    ends: Vec<u32>,
    /// Remainder above, page below.
    entries: Vec<u32>,
}

/// Is told ids that may be in a table, and the pages on which they may begin.
pub(crate) type OnFound<'a> =
    &'a mut dyn FnMut(&mut dyn Iterator<Item = TraceId>, &mut dyn Iterator<Item = u32>);

/// Trace ids in the order of their hashes, so that a table can be asked for all of them at once.
#[derive(Debug, Default)]
pub(crate) struct SortedIds(Vec<(u64, TraceId)>);

impl SortedIds {
    pub(crate) fn new(ids: impl Iterator<Item = TraceId>) -> Self {
        let mut hashed: Vec<(u64, TraceId)> = ids.map(|id| (hash(id), id)).collect();
        hashed.sort_unstable();
        hashed.dedup();
        Self(hashed)
    }

    /// One of so many shares of the ids, a power of two, each of which asks a stretch of its own of
    /// a table.
    pub(crate) fn share_of(
        ids: impl Iterator<Item = TraceId>,
        share: usize,
        shares: usize,
    ) -> Self {
        let is_in = |id: &TraceId| parts(hash(*id), shares.trailing_zeros()).0 == share;
        Self::new(ids.filter(is_in))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Those that a table of so many buckets does not tell apart, together, with the hash of one.
    pub(super) fn alike(&self, bucket_bits: u32) -> impl Iterator<Item = (u64, &[(u64, TraceId)])> {
        let is_alike = move |left: &(u64, TraceId), right: &(u64, TraceId)| {
            parts(left.0, bucket_bits) == parts(right.0, bucket_bits)
        };
        let alike = self.0.chunk_by(is_alike);
        alike.filter_map(|alike| alike.first().map(|(hash, _)| (*hash, alike)))
    }
}

const MALFORMED: ColumnError = ColumnError::new("a table of traces does not add up");

impl TraceTable {
    /// The table of traces, of each of which is said its id and the page on which it begins. They
    /// are sorted where they lie: of a merge there are so many that another list would be felt.
    pub(super) fn of<T>(traces: &mut [T], facts: impl Fn(&T) -> (TraceId, u32)) -> Self {
        let hashed = |trace: &T| {
            let (id, page) = facts(trace);
            (hash(id), page)
        };
        traces.sort_unstable_by_key(&hashed);
        Self::of_sorted(traces.len(), traces.iter().map(hashed))
    }

    fn of_sorted(count: usize, hashed: impl Iterator<Item = (u64, u32)>) -> Self {
        let buckets = (count / BUCKET_TRACES).next_power_of_two();
        let bucket_bits = buckets.trailing_zeros();
        let mut ends = vec![0_u32; buckets];
        let mut entries = Vec::with_capacity(count);
        for (hash, page) in hashed {
            let (bucket, remainder) = parts(hash, bucket_bits);
            entries.push(remainder << PAGE_BITS | page & ((1 << PAGE_BITS) - 1));
            if let Some(end) = ends.get_mut(bucket) {
                *end += 1;
            }
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += *end;
            *end = sum;
        }
        Self { bucket_bits, ends, entries }
    }

    /// The pages on which the trace may begin, ascending; nearly always one or none. However many
    /// traces have its remainder, each page comes once.
    pub fn pages(&self, id: TraceId) -> Vec<u32> {
        let mut pages: Vec<u32> = pages_of(self.alike(hash(id))).collect();
        if pages.len() > 1 {
            pages.sort_unstable();
            pages.dedup();
        }
        pages
    }

    /// Tells of these ids those that may be here, and the pages on which they may begin. Ids that
    /// nothing here tells apart are told together: who makes them so makes nobody work for their
    /// square.
    pub(crate) fn among(&self, ids: &SortedIds, on_found: OnFound<'_>) {
        for (hash, alike) in ids.alike(self.bucket_bits) {
            let entries = self.alike(hash);
            if !entries.is_empty() {
                on_found(&mut alike.iter().map(|(_, id)| *id), &mut pages_of(entries));
            }
        }
    }

    /// The entries of all traces that have the bucket and the remainder of a hash.
    fn alike(&self, hash: u64) -> &[u32] {
        let (bucket, remainder) = parts(hash, self.bucket_bits);
        let start = bucket.checked_sub(1).and_then(|before| self.ends.get(before));
        let start = start.copied().unwrap_or(0) as usize;
        let end = self.ends.get(bucket).copied().unwrap_or(0) as usize;
        matching(self.entries.get(start..end).unwrap_or_default(), remainder)
    }

    /// By bucket: where it ends among the entries.
    pub(super) fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Remainders with pages, bucket by bucket.
    pub(super) fn entries(&self) -> &[u32] {
        &self.entries
    }

    /// Whether the trace may be among them: always if it is, rarely if it is not.
    pub fn may_contain(&self, id: TraceId) -> bool {
        !self.alike(hash(id)).is_empty()
    }

    /// How many traces there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of memory.
    pub fn memory_bytes(&self) -> usize {
        size_of_val(self.ends.as_slice()) + size_of_val(self.entries.as_slice())
    }

    /// The most that the table of so many traces takes.
    pub(crate) fn memory_bytes_max(trace_count: u64) -> usize {
        usize::try_from(trace_count.saturating_mul(5)).unwrap_or(usize::MAX).saturating_add(64)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let numbers = self.ends.len() + self.entries.len();
        let mut out = Vec::with_capacity(HEAD_BYTES + 4 * numbers);
        out.extend_from_slice(&self.bucket_bits.to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.entries.len()).unwrap_or(0).to_le_bytes());
        for number in self.ends.iter().chain(&self.entries) {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ColumnError> {
        let number = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes).map_err(|_| MALFORMED);
        let (head, rest) = bytes.split_at_checked(HEAD_BYTES).ok_or(MALFORMED)?;
        let (bits, count) = head.split_at(4);
        let (bucket_bits, entry_count) = (number(bits)?, number(count)? as usize);
        if bucket_bits > BUCKET_BITS_MAX || rest.len() % 4 != 0 {
            return Err(MALFORMED);
        }
        let bucket_count = 1_usize << bucket_bits;
        if rest.len() / 4 != bucket_count.saturating_add(entry_count) {
            return Err(MALFORMED);
        }
        let mut numbers = Vec::with_capacity(rest.len() / 4);
        for chunk in rest.chunks_exact(4) {
            numbers.push(number(chunk)?);
        }
        let entries = numbers.split_off(bucket_count);
        let ends = numbers;
        if !ends.is_sorted() || ends.last().copied() != u32::try_from(entry_count).ok() {
            return Err(MALFORMED);
        }
        let mut start = 0;
        for end in &ends {
            // Entries are found by their order.
            let of_bucket = entries.get(start..*end as usize).ok_or(MALFORMED)?;
            if !of_bucket.is_sorted_by_key(|entry| entry >> PAGE_BITS) {
                return Err(MALFORMED);
            }
            start = *end as usize;
        }
        Ok(Self { bucket_bits, ends, entries })
    }
}

/// The entries of a bucket that have the remainder: they stand in the order of whole hashes, and so
/// in that of remainders.
pub(super) fn matching(entries: &[u32], remainder: u32) -> &[u32] {
    let first = entries.partition_point(|entry| entry >> PAGE_BITS < remainder);
    let rest = entries.get(first..).unwrap_or_default();
    let count = rest.partition_point(|entry| entry >> PAGE_BITS == remainder);
    rest.get(..count).unwrap_or_default()
}

pub(super) fn pages_of(entries: &[u32]) -> impl Iterator<Item = u32> + '_ {
    entries.iter().map(|entry| entry & ((1 << PAGE_BITS) - 1))
}

pub(super) fn hash(id: TraceId) -> u64 {
    XxHash3_64::oneshot(id.as_bytes())
}

/// The bucket and the remainder of a hash.
#[expect(clippy::cast_possible_truncation, reason = "both parts are cut to their bits")]
pub(super) fn parts(hash: u64, bucket_bits: u32) -> (usize, u32) {
    let bucket = hash.checked_shr(64 - bucket_bits).unwrap_or(0);
    let below = hash << bucket_bits;
    (bucket as usize, (below >> (64 - REMAINDER_BITS)) as u32)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::block) fn id(number: u64) -> TraceId {
        TraceId((u128::from(number) << 64 | u128::from(number)).to_be_bytes())
    }

    pub(in crate::block) fn table(count: u64) -> TraceTable {
        let mut traces: Vec<u64> = (0..count).collect();
        TraceTable::of(&mut traces, |number| (id(*number), (number % 4_096) as u32))
    }

    #[test]
    fn every_trace_is_found_on_its_page_and_few_others_are() {
        for count in [0, 1, 15, 16, 17, 1_000, 50_000] {
            let table = table(count);
            for number in 0..count {
                let page = (number % 4_096) as u32;
                assert!(table.pages(id(number)).contains(&page), "{number}");
            }
            let absent = (1_000_000..1_200_000).filter(|number| table.may_contain(id(*number)));
            let absent = absent.count();
            assert!(absent <= 20, "{absent} of 200,000 lookups among {count}");
        }
    }

    #[test]
    fn many_ids_at_once_are_found_as_one_by_one() {
        for count in [0, 1, 17, 5_000] {
            let table = table(count);
            let asked: Vec<TraceId> = (count / 2..count + 200_000).map(id).collect();
            let mut found = std::collections::BTreeMap::new();
            table.among(&SortedIds::new(asked.iter().copied()), &mut |ids, pages| {
                let mut pages: Vec<u32> = pages.collect();
                pages.sort_unstable();
                pages.dedup();
                found.extend(ids.map(|id| (id, pages.clone())));
            });
            for id in asked {
                let pages = found.remove(&id).unwrap_or_default();
                assert_eq!(pages, table.pages(id), "{id} among {count}");
                assert_eq!(table.may_contain(id), !pages.is_empty());
            }
            assert!(found.is_empty());
        }
    }

    /// Hashes as of ids that were made to meet: the hash on the disk is public and has no seed.
    #[test]
    fn traces_that_nothing_tells_apart_are_looked_at_once() {
        let count = 100_000_u32;
        let hashes = (0..count).map(|number| (u64::from(number) | 7 << 40, number % 50));
        let table = TraceTable::of_sorted(count as usize, hashes);
        let ids =
            SortedIds((0..count).map(|at| (u64::from(at) | 7 << 40, id(at.into()))).collect());
        let (mut told, mut pages_told) = (0, 0);
        table.among(&ids, &mut |ids, pages| {
            told += ids.count();
            pages_told += pages.count();
        });
        assert_eq!((told, pages_told), (100_000, 100_000));
        let decoded = TraceTable::decode(&table.encode()).unwrap();
        assert_eq!(decoded, table);
    }

    #[test]
    fn tables_come_back_and_nonsense_is_refused() {
        let table = table(1_000);
        let bytes = table.encode();
        assert_eq!(TraceTable::decode(&bytes).unwrap(), table);
        for length in 0..bytes.len() {
            assert!(TraceTable::decode(&bytes[..length]).is_err());
        }
        let mut hostile = bytes.clone();
        hostile[0] = 60;
        assert!(TraceTable::decode(&hostile).is_err());
        let mut unsorted = bytes;
        unsorted[8] = 0xff;
        unsorted[11] = 0xff;
        assert!(TraceTable::decode(&unsorted).is_err());
        let mut swapped = table.clone();
        swapped.entries.swap(0, 1);
        assert!(TraceTable::decode(&swapped.encode()).is_err());
    }
}
