//! OTLP's bytes in the forms that people keep in files.
//!
//! Both functions take one message (`TracesData`) and say what it says; what a form cannot carry
//! is lost as it is on the query APIs of that form. Spans that no door would let in are left out.

use model::pace::{Unhurried, unstopped};

use crate::adjust::{EditableTrace, sanitize};
use crate::jaeger_http::transform::by_trace_of;
use crate::jaeger_http::{push_exact_resource_spans, push_trace, translate};
use crate::otlp::walk::CheckError;

/// One document of OTLP/JSON, on one line.
pub fn otlp_json(message: &[u8]) -> Result<Vec<u8>, CheckError> {
    let (traces, _) = by_trace_of(message)?;
    let mut out = b"{\"resourceSpans\":[".to_vec();
    for (trace_id, spans) in traces {
        push_exact_resource_spans(&mut out, EditableTrace::from_spans(trace_id, spans));
    }
    out.extend_from_slice(b"]}");
    Ok(out)
}

/// The traces in Jaeger's own JSON, with commas between them: items of the list that Jaeger's UI
/// opens as `{"data": [...]}`. The sanitizer runs, as it does before a Jaeger stores a span.
pub fn jaeger_json(message: &[u8]) -> Result<Vec<u8>, CheckError> {
    let (traces, _) = by_trace_of(message)?;
    let mut out = Vec::new();
    for (trace_id, spans) in traces {
        let mut trace = EditableTrace::from_spans(trace_id, spans);
        unstopped(sanitize(&mut trace, &Unhurried));
        if !out.is_empty() {
            out.push(b',');
        }
        push_trace(&mut out, &translate(trace));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::json::to_protobuf;

    const DOCUMENT: &str = concat!(
        r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","#,
        r#""value":{"stringValue":"shop"}}]},"scopeSpans":[{"scope":{},"spans":[{"#,
        r#""traceId":"0000000000000000000000000000000a","spanId":"000000000000000b","#,
        r#""name":"buy","startTimeUnixNano":"1000","endTimeUnixNano":"2000"}]}]}]}"#,
    );

    #[test]
    fn json_comes_back_as_it_was() {
        let message = to_protobuf(DOCUMENT.as_bytes()).unwrap();
        let written = otlp_json(&message).unwrap();
        assert_eq!(to_protobuf(&written).unwrap(), message);
        assert!(otlp_json(b"\x0a\x09").is_err());
        assert_eq!(otlp_json(b"").unwrap(), b"{\"resourceSpans\":[]}");
    }

    #[test]
    fn traces_are_items_of_a_list() {
        let mut message = to_protobuf(DOCUMENT.as_bytes()).unwrap();
        message.extend(to_protobuf(DOCUMENT.replace("0a\"", "0c\"").as_bytes()).unwrap());
        let list = [b"[", jaeger_json(&message).unwrap().as_slice(), b"]"].concat();
        let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
        assert_eq!(list.as_array().unwrap().len(), 2);
        assert_eq!(list[0]["processes"]["p1"]["serviceName"], "shop");
        assert_eq!(jaeger_json(b"").unwrap(), b"");
    }
}
