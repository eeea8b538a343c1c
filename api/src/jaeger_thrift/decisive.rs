//! What the tags of a Jaeger span decide about it: its kind, its status, its trace state.
//!
//! They are looked through before the span is written, because the last of equal tags counts and
//! because the status depends on the kind.

use super::arena::Value;
use super::translate::Tag;

/// OTLP's numbers of statuses.
pub(super) const UNSET: u64 = 0;
const OK: u64 = 1;
pub(super) const ERROR: u64 = 2;
/// OTLP's number of the kind `SERVER`.
const SERVER: u64 = 2;

/// What the tags of a span decide about it.
#[derive(Debug, Default)]
pub(super) struct Decisive<'a> {
    kind: Option<Value<'a>>,
    error: Option<Value<'a>>,
    status_code: Option<Value<'a>>,
    status_description: Option<Value<'a>>,
    http_code: Option<Value<'a>>,
    http_message: Option<Value<'a>>,
    pub(super) trace_state: Option<Value<'a>>,
}

impl<'a> Decisive<'a> {
    /// Reads all tags.
    pub(super) fn of<E>(tags: impl Iterator<Item = Result<Tag<'a>, E>>) -> Result<Self, E> {
        let mut found = Self::default();
        for tag in tags {
            let tag = tag?;
            let place = match tag.key {
                b"span.kind" => &mut found.kind,
                b"error" => &mut found.error,
                b"otel.status_code" => &mut found.status_code,
                b"otel.status_description" => &mut found.status_description,
                b"http.status_code" => &mut found.http_code,
                b"http.status_message" => &mut found.http_message,
                b"w3c.tracestate" => &mut found.trace_state,
                _ => continue,
            };
            *place = tag.known();
        }
        Ok(found)
    }

    /// The span's kind in OTLP's numbers.
    pub(super) fn span_kind(&self) -> u64 {
        self.kind.map_or(0, |kind| kind_of(kind.text()))
    }

    /// The span's status.
    pub(super) fn status(&self) -> Outcome<'a> {
        let text = |value: Option<Value<'a>>| value.map(Value::text).unwrap_or_default();
        let described = self.status_description.is_some();
        if self.error == Some(Value::Bool(true)) {
            let message = self.status_description.or(self.http_message);
            return Outcome { code: ERROR, message: text(message), takes_description: described };
        }
        if let Some(code) = self.status_code {
            let code = code.text();
            let code = if code.eq_ignore_ascii_case(b"OK") {
                OK
            } else if code.eq_ignore_ascii_case(b"ERROR") {
                ERROR
            } else {
                UNSET
            };
            let message = text(self.status_description);
            return Outcome { code, message, takes_description: described };
        }
        match self.http_code.and_then(integer).map(|code| self.status_of_http(code)) {
            Some(code) if code != UNSET => {
                Outcome { code, message: text(self.http_message), takes_description: false }
            }
            _ => Outcome { code: UNSET, message: b"", takes_description: false },
        }
    }

    fn status_of_http(&self, code: i64) -> u64 {
        match (code, self.span_kind()) {
            (100..400, _) | (400..500, SERVER) => UNSET,
            _ => ERROR,
        }
    }
}

/// A span's status.
pub(super) struct Outcome<'a> {
    pub(super) code: u64,
    pub(super) message: &'a [u8],
    /// Whether `otel.status_description` went into it.
    pub(super) takes_description: bool,
}

/// OTLP's number of a kind's name; 0 if it has none.
fn kind_of(name: &[u8]) -> u64 {
    match name {
        b"internal" => 1,
        b"server" => SERVER,
        b"client" => 3,
        b"producer" => 4,
        b"consumer" => 5,
        _ => 0,
    }
}

/// An integer, also one written as text.
fn integer(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Int(integer) => Some(integer),
        Value::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}
