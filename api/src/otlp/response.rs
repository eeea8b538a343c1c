//! What OTLP clients are told: the answer to an export, and the two messages of `google.rpc`
//! that say why there is none.
//!
//! All of these are a few fields, so they are written by hand, in both encodings.

use std::fmt::Write;

use model::Duration;

use super::wire::Writer;
use crate::ingest::Accepted;

/// An `ExportTraceServiceResponse`; empty if every span was kept.
pub fn export_response(accepted: &Accepted) -> Vec<u8> {
    let mut writer = Writer::default();
    if accepted.rejected > 0 {
        let partial = writer.begin(1);
        writer.varint_field(1, accepted.rejected);
        writer.bytes_field(2, accepted.message.as_bytes());
        writer.end(partial);
    }
    writer.bytes
}

/// The same in JSON, where 64-bit integers are strings.
pub fn export_response_json(accepted: &Accepted) -> String {
    if accepted.rejected == 0 {
        return "{}".to_owned();
    }
    let message = json_string(&accepted.message);
    let rejected = accepted.rejected;
    format!(r#"{{"partialSuccess":{{"rejectedSpans":"{rejected}","errorMessage":{message}}}}}"#)
}

/// A `google.rpc.Status`. With a hint when to try again it carries a `google.rpc.RetryInfo`,
/// without which OpenTelemetry's exporters take RESOURCE_EXHAUSTED as final.
pub fn rpc_status(code: i32, message: &str, retry_after: Option<Duration>) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.varint_field(1, i64::from(code).cast_unsigned());
    writer.bytes_field(2, message.as_bytes());
    if let Some(delay) = retry_after {
        let any = writer.begin(3);
        writer.bytes_field(1, b"type.googleapis.com/google.rpc.RetryInfo");
        let retry_info = writer.begin(2);
        let duration = writer.begin(1);
        writer.varint_field(1, delay.0 / NANOS_PER_SECOND);
        writer.varint_field(2, delay.0 % NANOS_PER_SECOND);
        writer.end(duration);
        writer.end(retry_info);
        writer.end(any);
    }
    writer.bytes
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A `google.rpc.Status` in JSON, without details: HTTP says `Retry-After` in a header.
pub fn rpc_status_json(code: i32, message: &str) -> String {
    format!(r#"{{"code":{code},"message":{}}}"#, json_string(message))
}

fn json_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if control < ' ' => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
