//! The messages of Jaeger's two gRPC contracts, as far as moving traces needs them.
//!
//! Written and read by hand like everything of this crate. Field numbers are the contracts'.

use std::fmt::Write as _;

use super::options::Protocol;
use super::windows::Window;
use crate::wire::{WireError, fields, put_bytes, put_integer, read_varint};

/// `GetServices` takes nothing.
pub(super) const NOTHING: &[u8] = &[];

impl Protocol {
    /// The path of the call that names services.
    pub(super) fn services(self) -> &'static str {
        match self {
            Self::Query => "/jaeger.api_v3.QueryService/GetServices",
            Self::Storage => "/jaeger.storage.v2.TraceReader/GetServices",
        }
    }

    /// The path of the call that returns traces by id.
    pub(super) fn traces(self) -> &'static str {
        match self {
            Self::Query => "/jaeger.api_v3.QueryService/GetTrace",
            Self::Storage => "/jaeger.storage.v2.TraceReader/GetTraces",
        }
    }
}

/// The path of the call that searches for whole traces.
pub(super) const FIND_TRACES: &str = "/jaeger.api_v3.QueryService/FindTraces";
/// The path of the call that searches for ids.
pub(super) const FIND_TRACE_IDS: &str = "/jaeger.storage.v2.TraceReader/FindTraceIDs";
/// The path of the call that tells what a store can do.
pub(super) const GET_CAPABILITIES: &str = "/jaeger.storage.v2.Capabilities/GetCapabilities";

/// `FindTracesRequest` of either contract: a service (empty for any) in a window.
pub(super) fn find(protocol: Protocol, service: &str, window: Window) -> Vec<u8> {
    let mut query = Vec::new();
    if !service.is_empty() {
        put_bytes(&mut query, 1, service.as_bytes());
    }
    put_bytes(&mut query, 4, &timestamp(window.from));
    put_bytes(&mut query, 5, &timestamp(window.to));
    put_integer(&mut query, 8, u64::from(window.limit));
    if protocol == Protocol::Query {
        // As they were stored, without what Jaeger repairs for people.
        put_integer(&mut query, 9, 1);
    }
    let mut request = Vec::new();
    put_bytes(&mut request, 1, &query);
    request
}

/// The request for traces by id: one with api_v3, any number with remote storage.
pub(super) fn by_ids(protocol: Protocol, ids: &[[u8; 16]]) -> Vec<u8> {
    let mut request = Vec::new();
    for id in ids {
        match protocol {
            Protocol::Query => {
                put_bytes(&mut request, 1, hex(id).as_bytes());
                put_integer(&mut request, 4, 1);
            }
            Protocol::Storage => {
                let mut params = Vec::new();
                put_bytes(&mut params, 1, id);
                put_bytes(&mut request, 1, &params);
            }
        }
    }
    request
}

/// Hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// `google.protobuf.Timestamp`.
fn timestamp(nanos: u64) -> Vec<u8> {
    let mut message = Vec::new();
    put_integer(&mut message, 1, nanos / 1_000_000_000);
    put_integer(&mut message, 2, nanos % 1_000_000_000);
    message
}

/// The names in `GetServicesResponse`.
pub(super) fn names(response: &[u8]) -> Result<Vec<String>, WireError> {
    let mut names = Vec::new();
    for field in fields(response) {
        let (field, value) = field?;
        if field.is_bytes(1) {
            names.push(String::from_utf8_lossy(value).into_owned());
        }
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// The ids in `FindTraceIDsResponse`.
pub(super) fn found_ids(response: &[u8]) -> Result<Vec<[u8; 16]>, WireError> {
    let mut ids = Vec::new();
    for field in fields(response) {
        let (field, found) = field?;
        if !field.is_bytes(1) {
            continue;
        }
        for field in fields(found) {
            let (field, id) = field?;
            if field.is_bytes(1) {
                ids.push(whole_id(id));
            }
        }
    }
    Ok(ids)
}

/// Whether `GetCapabilitiesResponse` says that a search need not name a service.
pub(super) fn searches_without_service(response: &[u8]) -> Result<bool, WireError> {
    let mut without = false;
    for field in fields(response) {
        let (field, search) = field?;
        if !field.is_bytes(1) {
            continue;
        }
        for field in fields(search) {
            let (field, value) = field?;
            if field.number == 1 {
                without = read_varint(value, &mut 0).is_ok_and(|truth| truth != 0);
            }
        }
    }
    Ok(without)
}

/// The trace of the first span of a `TracesData`; none if it has no span.
pub(super) fn trace_of(message: &[u8]) -> Result<Option<[u8; 16]>, WireError> {
    for resource in fields(message) {
        let (field, resource) = resource?;
        if !field.is_bytes(1) {
            continue;
        }
        for scope in fields(resource) {
            let (field, scope) = scope?;
            if !field.is_bytes(2) {
                continue;
            }
            for span in fields(scope) {
                let (field, span) = span?;
                if !field.is_bytes(2) {
                    continue;
                }
                for part in fields(span) {
                    let (field, id) = part?;
                    if field.is_bytes(1) {
                        return Ok(Some(whole_id(id)));
                    }
                }
            }
        }
    }
    Ok(None)
}

/// An id of sixteen bytes; a shorter one has zeros before it.
pub(super) fn whole_id(bytes: &[u8]) -> [u8; 16] {
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().rev().zip(bytes.iter().rev()) {
        *to = *from;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_written_as_the_contracts_say() {
        let window = Window { from: 1_000_000_001, to: 2_000_000_000, limit: 300 };
        let expected =
            b"\x0a\x12\x0a\x01s\x22\x04\x08\x01\x10\x01\x2a\x04\x08\x02\x10\x00\x40\xac\x02";
        assert_eq!(find(Protocol::Storage, "s", window), expected);
        let query = find(Protocol::Query, "", window);
        assert!(query.ends_with(b"\x40\xac\x02\x48\x01"));
        assert_eq!(by_ids(Protocol::Storage, &[[7; 16]])[..4], [0x0a, 18, 0x0a, 16]);
        assert_eq!(by_ids(Protocol::Query, &[[0xab; 16]])[2..4], *b"ab");
    }

    #[test]
    fn answers_are_read() {
        assert_eq!(names(b"\x0a\x01b\x0a\x01a\x0a\x01b").unwrap(), ["a", "b"]);
        assert_eq!(found_ids(b"\x0a\x04\x0a\x02\x01\x02").unwrap(), [whole_id(&[1, 2])]);
        assert!(searches_without_service(b"\x0a\x02\x08\x01").unwrap());
        assert!(!searches_without_service(b"").unwrap());
        let message = b"\x0a\x09\x12\x07\x12\x05\x0a\x03\x01\x02\x03";
        assert_eq!(trace_of(message).unwrap(), Some(whole_id(&[1, 2, 3])));
        assert_eq!(trace_of(b"\x0a\x00").unwrap(), None);
        assert!(trace_of(b"\x0a\x09").is_err() && found_ids(b"\xff").is_err());
    }
}
