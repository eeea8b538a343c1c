//! Which traces a tenant's pages hold: a sorted list of short hashes with the page of each.
//!
//! It is filter and index in one. Hashes of trace ids are sorted; the top bits of a hash are given
//! by the *bucket* (about [`BUCKET_TRACES`] traces each), the next [`REMAINDER_BITS`] are stored
//! together with the number of the page. A trace that is not there is reported once in some 2^16
//! lookups; whoever then reads the page finds that it is not on it.
//!
//! 4.25 bytes a trace. A probabilistic filter of the same accuracy takes 2 to 2.5 and needs the
//! pages beside it.

use model::TraceId;
use model::columns::ColumnError;
use twox_hash::XxHash3_64;

use super::limits::RUN_PAGES_MAX;

const PAGE_BITS: u32 = 12;
const REMAINDER_BITS: u32 = 20;
const BUCKET_TRACES: usize = 16;
const BUCKET_BITS_MAX: u32 = 64 - REMAINDER_BITS;

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

const MALFORMED: ColumnError = ColumnError::new("a table of traces does not add up");

impl TraceTable {
    /// The table of these traces, each with the page on which it begins.
    pub(crate) fn new(traces: impl Iterator<Item = (TraceId, u32)>) -> Self {
        let mut hashed: Vec<(u64, u32)> = traces.map(|(id, page)| (hash(id), page)).collect();
        hashed.sort_unstable();
        let buckets = (hashed.len() / BUCKET_TRACES).next_power_of_two();
        let bucket_bits = buckets.trailing_zeros();
        let mut ends = vec![0_u32; buckets];
        let mut entries = Vec::with_capacity(hashed.len());
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

    /// The pages on which the trace may begin, ascending; nearly always one or none.
    pub fn pages(&self, id: TraceId) -> impl Iterator<Item = u32> + '_ {
        let (bucket, remainder) = parts(hash(id), self.bucket_bits);
        let start = bucket.checked_sub(1).and_then(|before| self.ends.get(before));
        let start = start.copied().unwrap_or(0) as usize;
        let end = self.ends.get(bucket).copied().unwrap_or(0) as usize;
        let entries = self.entries.get(start..end).unwrap_or_default();
        let of_trace = move |entry: &&u32| **entry >> PAGE_BITS == remainder;
        entries.iter().filter(of_trace).map(|entry| entry & ((1 << PAGE_BITS) - 1))
    }

    /// Whether the trace may be among them: always if it is, rarely if it is not.
    pub fn may_contain(&self, id: TraceId) -> bool {
        self.pages(id).next().is_some()
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

    pub(super) fn encode(&self) -> Vec<u8> {
        let numbers = self.ends.len() + self.entries.len();
        let mut out = Vec::with_capacity(8 + 4 * numbers);
        out.extend_from_slice(&self.bucket_bits.to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.entries.len()).unwrap_or(0).to_le_bytes());
        for number in self.ends.iter().chain(&self.entries) {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ColumnError> {
        let number = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes).map_err(|_| MALFORMED);
        let (head, rest) = bytes.split_at_checked(8).ok_or(MALFORMED)?;
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
        Ok(Self { bucket_bits, ends, entries })
    }
}

fn hash(id: TraceId) -> u64 {
    XxHash3_64::oneshot(id.as_bytes())
}

/// The bucket and the remainder of a hash.
#[expect(clippy::cast_possible_truncation, reason = "both parts are cut to their bits")]
fn parts(hash: u64, bucket_bits: u32) -> (usize, u32) {
    let bucket = hash.checked_shr(64 - bucket_bits).unwrap_or(0);
    let below = hash << bucket_bits;
    (bucket as usize, (below >> (64 - REMAINDER_BITS)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> TraceId {
        TraceId((u128::from(number) << 64 | u128::from(number)).to_be_bytes())
    }

    fn table(count: u64) -> TraceTable {
        TraceTable::new((0..count).map(|number| (id(number), (number % 4_096) as u32)))
    }

    #[test]
    fn every_trace_is_found_on_its_page_and_few_others_are() {
        for count in [0, 1, 15, 16, 17, 1_000, 50_000] {
            let table = table(count);
            for number in 0..count {
                let page = (number % 4_096) as u32;
                assert!(table.pages(id(number)).any(|found| found == page), "{number}");
            }
            let absent = (1_000_000..1_200_000).filter(|number| table.may_contain(id(*number)));
            let absent = absent.count();
            assert!(absent <= 20, "{absent} of 200,000 lookups among {count}");
        }
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
    }
}
