//! Ids that say where they come from, so that nobody has to remember a million of them.
//!
//! ```text
//! trace id   run tag (4) | client (2) | request (4) | trace (2) | check (4)
//! span id                  client (2) | request (4) | trace (10 bits), place (6 bits)
//! ```
//!
//! The request of a trace id is the one that began the trace. The request of a span id is the one
//! that carried the span: a trace gets its last span, at [`LATE_PLACE`], with the client's next
//! request, so that traces are put together from several writes.

/// The place of the span that comes with the client's next request.
pub const LATE_PLACE: u8 = 62;

/// Most spans of a trace in the request that begins it; their places are `0..OWN_PLACES`.
pub const OWN_PLACES: u8 = 62;

/// Most traces that a request can begin: the index has ten bits for them.
pub const TRACES_MAX: u16 = 1 << TRACE_BITS;

const TRACE_BITS: u32 = 10;
const PLACE_BITS: u32 = 6;
const PLACE_MASK: u16 = (1 << PLACE_BITS) - 1;

/// A request of a client. Clients count from 1, so that no id is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId {
    /// Who sent it.
    pub client: u16,
    /// The how-manieth of that client it is, from 0.
    pub number: u32,
}

/// A trace, by the request that began it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceKey {
    /// The request that began it.
    pub request: RequestId,
    /// The how-manieth trace of that request it is, from 0.
    pub trace: u16,
}

/// A span, by the request that carried it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpanKey {
    /// The request that carried it.
    pub request: RequestId,
    /// Its trace, counted in the request that began the trace.
    pub trace: u16,
    /// Its place in the trace.
    pub place: u8,
}

impl TraceKey {
    /// The trace id, as sixteen bytes.
    pub fn id(self, tag: u32) -> [u8; 16] {
        let head = u128::from(tag) << 96
            | u128::from(self.request.client) << 80
            | u128::from(self.request.number) << 48
            | u128::from(self.trace) << 32;
        (head | u128::from(check(head))).to_be_bytes()
    }

    /// What the id encodes; nothing if this run did not make it.
    pub fn from_id(id: [u8; 16], tag: u32) -> Option<Self> {
        let id = u128::from_be_bytes(id);
        let head = id >> 32 << 32;
        if low_32(id) != check(head) || low_32(id >> 96) != tag {
            return None;
        }
        let client = u16::try_from(id >> 80 & 0xffff).ok()?;
        let trace = u16::try_from(id >> 32 & 0xffff).ok()?;
        let request = RequestId { client, number: low_32(id >> 48) };
        Some(Self { request, trace })
    }

    /// The request that carries the span at `place`.
    pub fn carrier(self, place: u8) -> RequestId {
        let later = u32::from(place == LATE_PLACE);
        RequestId { number: self.request.number.wrapping_add(later), ..self.request }
    }

    /// The span of this trace at `place`.
    pub fn span(self, place: u8) -> SpanKey {
        SpanKey { request: self.carrier(place), trace: self.trace, place }
    }
}

impl SpanKey {
    /// The span id, as eight bytes.
    pub fn id(self) -> [u8; 8] {
        let id = u64::from(self.request.client) << 48
            | u64::from(self.request.number) << 16
            | u64::from(self.index());
        id.to_be_bytes()
    }

    /// What the id encodes.
    pub fn from_id(id: [u8; 8]) -> Self {
        let id = u64::from_be_bytes(id);
        let [client_high, client_low, ..] = id.to_be_bytes();
        let number = u32::try_from(id >> 16 & 0xffff_ffff).unwrap_or_default();
        let index = u16::try_from(id & 0xffff).unwrap_or_default();
        Self {
            request: RequestId { client: u16::from_be_bytes([client_high, client_low]), number },
            trace: index >> PLACE_BITS,
            place: u8::try_from(index & PLACE_MASK).unwrap_or_default(),
        }
    }

    /// Trace and place as one number, unique within a request.
    pub fn index(self) -> u16 {
        self.trace << PLACE_BITS | u16::from(self.place) & PLACE_MASK
    }
}

fn low_32(value: u128) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or_default()
}

fn check(head: u128) -> u32 {
    let high = u64::try_from(head >> 64).unwrap_or_default();
    let low = u64::try_from(head & u128::from(u64::MAX)).unwrap_or_default();
    low_32(u128::from(mix(high ^ mix(low))))
}

/// A bijection of 64 bits that leaves no pattern (splitmix64's last step).
pub(crate) fn mix(value: u64) -> u64 {
    let mut value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back() {
        for number in [0, 1, 77, u32::MAX - 1] {
            let request = RequestId { client: 3, number };
            let trace = TraceKey { request, trace: 19 };
            assert_eq!(TraceKey::from_id(trace.id(5), 5), Some(trace));
            assert_eq!(TraceKey::from_id(trace.id(5), 6), None);
            for place in [0, 3, LATE_PLACE] {
                let span = trace.span(place);
                assert_eq!(SpanKey::from_id(span.id()), span);
                assert_ne!(span.id(), [0; 8]);
            }
            assert_eq!(trace.span(LATE_PLACE).request.number, number.wrapping_add(1));
        }
        let mut id = TraceKey { request: RequestId { client: 1, number: 1 }, trace: 1 }.id(9);
        id[9] ^= 1;
        assert_eq!(TraceKey::from_id(id, 9), None);
    }
}
