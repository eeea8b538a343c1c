//! What unmodified clients wrote: requests recorded on loopback from the clients whose names and
//! versions the files in `corpus/` carry. Each traced a call `parent` of the service `checkout`,
//! as a client, with an event `cache miss`; most also a `child`.

use api::jaeger_thrift::batch;
use api::jaeger_thrift::binary::Binary;
use api::jaeger_thrift::compact::Compact;
use api::{jaeger_grpc, zipkin};
use model::Span;
use model::span::SpanKind;

use crate::shown::{Translate, span_lines, walked};

/// A recorded request.
pub(crate) struct Recorded {
    pub(crate) name: &'static str,
    pub(crate) translate: Translate,
    pub(crate) body: &'static [u8],
    /// What the parent's line has to contain.
    parent: &'static [&'static str],
    /// What the child's line has to contain, if there is one.
    child: &'static [&'static str],
}

macro_rules! recorded {
    ($name:literal, $translate:expr, $parent:expr, $child:expr) => {
        Recorded {
            name: $name,
            translate: $translate,
            body: include_bytes!(concat!("corpus/", $name)),
            parent: $parent,
            child: $child,
        }
    };
}

const JAEGER_PARENT: &[&str] =
    &["http.status_code=404", "answer=42", "ratio=1.5", "ok=true", "status 2", "client flags 1"];
/// Every number of JavaScript is a double, and a double is no status code.
const NODE_PARENT: &[&str] =
    &["http.status_code=404.0", "answer=42.0", "ratio=1.5", "ok=true", "client flags 1"];
const JAEGER_CHILD: &[&str] = &["status 2", "text=\"grüße\""];
const OTEL_PARENT: &[&str] = &["n=5", "f=1.5", "b=true"];
const OTEL_CHILD: &[&str] = &["internal", "status 2 \"bad\""];
const ZIPKIN_PARENT: &[&str] =
    &["text=\"gr", "peer.service=\"db\"", "net.peer.ip=\"10.1.2.3\"", "net.peer.port=5432"];

/// All of them.
pub(crate) fn recorded() -> Vec<Recorded> {
    let compact_message: Translate = |b, a| batch::translate_message::<Compact<'_>>(b, a);
    let binary_message: Translate = |b, a| batch::translate_message::<Binary<'_>>(b, a);
    let binary: Translate = |b, a| batch::translate::<Binary<'_>>(b, a);
    let v1: Translate = zipkin::json::translate_v1;
    let v2: Translate = zipkin::json::translate_v2;
    let boom = &["error=\"boom\""];
    vec![
        recorded!(
            "jaeger-client-python-4.8.0.compact",
            compact_message,
            JAEGER_PARENT,
            JAEGER_CHILD
        ),
        recorded!(
            "jaeger-client-node-3.19.0.binary-message",
            binary_message,
            NODE_PARENT,
            JAEGER_CHILD
        ),
        recorded!("jaeger-client-node-3.19.0.binary", binary, NODE_PARENT, JAEGER_CHILD),
        recorded!(
            "opentelemetry-exporter-jaeger-1.21.0.compact",
            compact_message,
            OTEL_PARENT,
            OTEL_CHILD
        ),
        recorded!("opentelemetry-exporter-jaeger-1.21.0.binary", binary, OTEL_PARENT, OTEL_CHILD),
        recorded!(
            "opentelemetry-exporter-jaeger-1.21.0.post-spans",
            jaeger_grpc::batch::translate,
            OTEL_PARENT,
            OTEL_CHILD
        ),
        recorded!("py-zipkin-1.2.8.v1.json", v1, ZIPKIN_PARENT, boom),
        recorded!("py-zipkin-1.2.8.v2.json", v2, ZIPKIN_PARENT, boom),
        recorded!("py-zipkin-1.2.8.v2.protobuf", zipkin::protobuf::translate, ZIPKIN_PARENT, boom),
        recorded!(
            "opentelemetry-exporter-zipkin-1.45.1.v2.json",
            v2,
            &["n=\"5\""],
            &["status 2", "error=\"bad\""]
        ),
        recorded!("zipkin-js-0.22.0.v1.json", v1, ZIPKIN_PARENT, &[]),
        recorded!("zipkin-js-0.22.0.v2.json", v2, ZIPKIN_PARENT, &[]),
    ]
}

#[test]
fn every_recorded_request_is_understood() {
    for Recorded { name, translate, body, parent, child } in recorded() {
        let (spans, rejected) = walked(translate, body).unwrap();
        let count = if child.is_empty() { 1 } else { 2 };
        assert_eq!((spans.len(), rejected), (count, 0), "{name}");
        let of = |wanted: &str| spans.iter().find(|span| *span.name.to_str_lossy() == *wanted);
        let found = of("parent").unwrap();
        assert_eq!(found.kind, SpanKind::CLIENT, "{name}");
        assert!(found.events.len() == 1 && found.start <= found.end, "{name}");
        check(name, found, parent);
        if !child.is_empty() {
            let inner = of("child").unwrap();
            assert_eq!(inner.parent.span_id(), Some(found.span_id), "{name}");
            assert_eq!(inner.trace_id, found.trace_id, "{name}");
            check(name, inner, child);
        }
    }
}

fn check(name: &str, span: &Span, parts: &[&str]) {
    let lines = span_lines(span);
    assert!(lines[0].contains(" service.name=\"checkout\""), "{name}: {lines:#?}");
    for part in parts {
        assert!(lines[1].contains(part), "{name}: no {part} in {lines:#?}");
    }
}
