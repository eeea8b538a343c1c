//! gRPC calls to a router, and their answers printed for people by the committed descriptions.
#![cfg(test)]

use std::fmt::Write as _;
use std::sync::LazyLock;

use api::jaeger_grpc::reflection::DESCRIPTORS;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use prost::Message;
use protox::prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, Value};
use tower::ServiceExt as _;

pub(crate) static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).unwrap());

/// What came back.
pub(crate) struct Called {
    pub(crate) messages: Vec<Bytes>,
    pub(crate) code: i32,
    pub(crate) message: String,
    pub(crate) completeness: String,
}

/// Calls a method with these bytes as its message.
pub(crate) async fn call_bytes(router: &Router, method: &str, message: &[u8]) -> Called {
    call_with(router, method, message, HeaderMap::new()).await
}

pub(crate) async fn call_with(
    router: &Router,
    method: &str,
    message: &[u8],
    headers: HeaderMap,
) -> Called {
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend_from_slice(message);
    call_framed(router, method, framed, headers).await
}

pub(crate) async fn call_framed(
    router: &Router,
    method: &str,
    framed: Vec<u8>,
    headers: HeaderMap,
) -> Called {
    let mut request = Request::post(format!("/{method}"))
        .header("content-type", "application/grpc")
        .body(Body::from(framed))
        .unwrap();
    request.headers_mut().extend(headers);
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    assert_eq!(parts.status, 200, "{method}");
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let bytes = collected.to_bytes();
    let header = |name: &str| {
        let value = trailers.get(name).or(parts.headers.get(name));
        value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    Called {
        messages: unframe(bytes),
        code: header("grpc-status").parse().unwrap(),
        message: header("grpc-message"),
        completeness: header("skua-completeness"),
    }
}

fn unframe(mut bytes: Bytes) -> Vec<Bytes> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let prefix = bytes.split_to(5);
        assert_eq!(prefix[0], 0);
        let length = u32::from_be_bytes(prefix[1..5].try_into().unwrap());
        messages.push(bytes.split_to(length as usize));
    }
    messages
}

/// Calls a method.
pub(crate) async fn call(router: &Router, method: &str, message: &impl Message) -> Called {
    call_bytes(router, method, &message.encode_to_vec()).await
}

impl Called {
    /// All of it, as text.
    pub(crate) fn print(&self, method: &str) -> String {
        let mut out = format!("status {}", self.code);
        if !self.message.is_empty() {
            let _ = write!(out, " {}", self.message);
        }
        if !self.completeness.is_empty() {
            let _ = write!(out, " [{}]", self.completeness);
        }
        out.push('\n');
        for bytes in &self.messages {
            let message = DynamicMessage::decode(output_of(method), bytes.clone()).unwrap();
            assert_eq!(message.unknown_fields().count(), 0);
            out.push_str("message\n");
            print(&message, 1, &mut out);
        }
        out
    }

    /// The messages as a type of this test.
    pub(crate) fn decoded<M: Message + Default>(&self) -> Vec<M> {
        self.messages.iter().map(|bytes| M::decode(bytes.clone()).unwrap()).collect()
    }
}

fn output_of(method: &str) -> MessageDescriptor {
    let (service, method) = method.split_once('/').unwrap();
    let service = POOL.get_service_by_name(service).unwrap();
    let found = service.methods().find(|it| it.name() == method).unwrap();
    found.output()
}

fn print(message: &DynamicMessage, depth: usize, out: &mut String) {
    for (field, value) in message.fields() {
        match value {
            Value::List(items) => {
                for item in items {
                    print_value(field.name(), item, depth, out);
                }
            }
            other => print_value(field.name(), other, depth, out),
        }
    }
}

fn print_value(name: &str, value: &Value, depth: usize, out: &mut String) {
    let _ = write!(out, "{}{name}", "  ".repeat(depth));
    match value {
        Value::Message(nested) => {
            out.push('\n');
            print(nested, depth + 1, out);
        }
        Value::Bytes(bytes) => {
            out.push_str(": 0x");
            for byte in bytes {
                let _ = write!(out, "{byte:02x}");
            }
            out.push('\n');
        }
        Value::String(text) => {
            let _ = writeln!(out, ": {text:?}");
        }
        Value::Bool(value) => {
            let _ = writeln!(out, ": {value}");
        }
        Value::I32(value) | Value::EnumNumber(value) => {
            let _ = writeln!(out, ": {value}");
        }
        Value::I64(value) => {
            let _ = writeln!(out, ": {value}");
        }
        Value::U32(value) => {
            let _ = writeln!(out, ": {value}");
        }
        Value::U64(value) => {
            let _ = writeln!(out, ": {value}");
        }
        Value::F64(value) => {
            let _ = writeln!(out, ": {value}");
        }
        other => panic!("no field has {other:?}"),
    }
}
