//! Reads Jaeger's JSON: which spans are in an answer, and whether they are what was sent.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::history::content::weight;
use crate::history::{Claim, Content, Odd, Seen, SpanKey, TraceKey};

use super::http::Response;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    data: Vec<Trace<'a>>,
}

#[derive(Deserialize)]
struct Trace<'a> {
    #[serde(borrow)]
    spans: Vec<Span<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    #[serde(rename = "traceID", borrow)]
    trace_id: Cow<'a, str>,
    #[serde(rename = "spanID", borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    operation_name: Cow<'a, str>,
    start_time: u64,
    duration: u64,
    #[serde(borrow)]
    tags: Vec<Tag<'a>>,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    value: serde_json::Value,
}

/// What an answer holds.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) claim: Claim,
    pub(crate) seen: Vec<Seen>,
    pub(crate) odd: Vec<Odd>,
}

impl Observed {
    pub(crate) fn failed(status: u16) -> Self {
        Self { claim: Claim::Failed { status }, seen: Vec::new(), odd: Vec::new() }
    }

    /// Reads an answer. A trace that is not found is an empty answer, complete if it says so.
    pub(crate) fn of(response: &Response, tag: u32) -> Self {
        let not_found = response.status == 404;
        if response.status != 200 && !not_found {
            return Self::failed(response.status);
        }
        let claim = match response.header("skua-completeness") {
            Some(header) => claim(header),
            None => Claim::Complete,
        };
        if not_found {
            return Self { claim, seen: Vec::new(), odd: Vec::new() };
        }
        let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(&response.body) else {
            // Cut off, or no JSON: nothing can be concluded from it but that it failed.
            return Self::failed(response.status);
        };
        let mut traces: BTreeMap<TraceKey, (u64, u64)> = BTreeMap::new();
        let mut odd = Vec::new();
        for span in envelope.data.iter().flat_map(|trace| &trace.spans) {
            if let Err((repeat, why)) = place(span, tag, &mut traces) {
                odd.push(Odd {
                    trace_id: span.trace_id.to_string(),
                    span_id: span.id.to_string(),
                    repeat,
                    why,
                });
            }
        }
        let seen = traces.into_iter().map(|(key, (places, sum))| Seen {
            client: key.request.client,
            number: key.request.number,
            trace: key.trace,
            places,
            sum,
        });
        Self { claim, seen: seen.collect(), odd }
    }
}

/// `complete`, or `partial; missing=1,2; stale=3; ...`.
fn claim(header: &str) -> Claim {
    if header == "complete" {
        return Claim::Complete;
    }
    let (mut missing, mut stale, mut other) = (Vec::new(), Vec::new(), Vec::new());
    for part in header.split(';').map(str::trim).filter(|part| *part != "partial") {
        let numbers =
            |list: &str| list.split(',').filter_map(|number| number.parse().ok()).collect();
        match part.split_once('=') {
            Some(("missing", list)) => missing = numbers(list),
            Some(("stale", list)) => stale = numbers(list),
            _ => other.push(part),
        }
    }
    Claim::Partial { missing, stale, other: other.join("; ") }
}

/// Puts a span to its trace, or says what is odd about it.
fn place(
    span: &Span<'_>,
    tag: u32,
    traces: &mut BTreeMap<TraceKey, (u64, u64)>,
) -> Result<(), (bool, String)> {
    let odd = |why: &str| (false, why.to_owned());
    let trace_id = u128::from_str_radix(&span.trace_id, 16).map_err(|_| odd("no trace id"))?;
    let span_id = u64::from_str_radix(&span.id, 16).map_err(|_| odd("no span id"))?;
    let trace = TraceKey::from_id(trace_id.to_be_bytes(), tag)
        .ok_or_else(|| odd("its trace is not of this run"))?;
    let key = SpanKey::from_id(span_id.to_be_bytes());
    if key.trace != trace.trace || key.request != trace.carrier(key.place) {
        return Err(odd("its span id is not of its trace"));
    }
    let print = value(span, "chaos.print").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let print = print.ok_or_else(|| odd("it has no fingerprint"))?;
    let content = Content::of(print);
    if content.name != span.operation_name
        || content.duration_us != span.duration
        || value(span, "chaos.text") != Some(content.text.as_str())
    {
        return Err(odd("its content is not what its fingerprint says"));
    }
    let (places, sum) = traces.entry(trace).or_default();
    let bit = 1_u64 << key.place.min(63);
    if *places & bit != 0 {
        return Err((true, "it stands there twice".to_owned()));
    }
    *places |= bit;
    *sum = sum.wrapping_add(weight(print, span.start_time));
    Ok(())
}

fn value<'a>(span: &'a Span<'_>, key: &str) -> Option<&'a str> {
    span.tags.iter().find(|tag| tag.key == key).and_then(|tag| tag.value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completeness_is_read() {
        assert_eq!(claim("complete"), Claim::Complete);
        let partial = claim("partial; missing=1,4; stale=2; exhausted");
        let expected =
            Claim::Partial { missing: vec![1, 4], stale: vec![2], other: "exhausted".to_owned() };
        assert_eq!(partial, expected);
    }
}
