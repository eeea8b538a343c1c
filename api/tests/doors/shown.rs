//! Spans as lines of text, for tables of what becomes what.

use std::fmt::Write;

use api::adjust::string_form;
use api::jaeger_thrift::arena::{Arena, TranslateError};
use api::otlp::walk::{Partitioning, Plan, check, tell};
use model::span::ParentId;
use model::testing::Collector;
use model::value::AttributeValue;
use model::{Attribute, Span};

pub(crate) type Translate = fn(&[u8], &mut Arena) -> Result<(), TranslateError>;

/// What the walker tells of a translated body, and how many spans it rejected.
pub(crate) fn walked(translate: Translate, body: &[u8]) -> Result<(Vec<Span>, u64), String> {
    let mut arena = Arena::default();
    translate(body, &mut arena).map_err(|error| error.to_string())?;
    let message = arena.take();
    let mut plan = Plan::default();
    let partitioning = Partitioning { of: |_| 0, count: 1 };
    check(&message, &partitioning, &mut plan).expect("an arena is always well-formed OTLP");
    let mut collector = Collector::default();
    tell(&message, &plan, 0, &mut collector);
    Ok((collector.into_spans(), plan.rejected().count()))
}

/// The lines of all spans of a body.
pub(crate) fn lines(translate: Translate, body: &[u8]) -> Vec<String> {
    let (spans, rejected) = walked(translate, body).unwrap();
    assert_eq!(rejected, 0);
    spans.iter().flat_map(span_lines).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn attributes(list: &[Attribute]) -> String {
    let shown = |value: &AttributeValue| match value {
        AttributeValue::String(text) => format!("{:?}", text.to_str_lossy()),
        AttributeValue::Bool(truth) => truth.to_string(),
        AttributeValue::Int(integer) => integer.to_string(),
        AttributeValue::Double(double) => format!("{double:?}"),
        AttributeValue::Bytes(bytes) => format!("0x{}", hex(bytes.as_bytes())),
        other => string_form(other).to_str_lossy().into_owned(),
    };
    list.iter().fold(String::new(), |mut text, it| {
        write!(text, " {}={}", it.key.to_str_lossy(), shown(&it.value)).unwrap();
        text
    })
}

/// One line for the resource (and scope), one for the span, one for each event and link.
pub(crate) fn span_lines(span: &Span) -> Vec<String> {
    let mut lines = Vec::new();
    let mut resource = format!("resource{}", attributes(&span.resource.attributes));
    if span.scope.present {
        let (name, version) = (&span.scope.name, &span.scope.version);
        let (name, version) = (name.to_str_lossy(), version.to_str_lossy());
        write!(resource, " scope {name}@{version}").unwrap();
    }
    lines.push(resource);
    let mut line = format!(
        "{} {} {:?} {}..{}",
        hex(&span.trace_id.0),
        hex(&span.span_id.0),
        span.name.to_str_lossy(),
        span.start.0,
        span.end.0
    );
    match &span.parent {
        ParentId::None => {}
        ParentId::Id(id) => write!(line, " parent {}", hex(&id.0)).unwrap(),
        ParentId::Odd(bytes) => write!(line, " odd parent {}", hex(bytes.as_bytes())).unwrap(),
    }
    if span.kind.0 != 0 {
        write!(line, " {}", span.kind.name()).unwrap();
    }
    if span.flags != 0 {
        write!(line, " flags {}", span.flags).unwrap();
    }
    if !span.trace_state.is_empty() {
        write!(line, " state {}", span.trace_state.to_str_lossy()).unwrap();
    }
    if let Some(status) = &span.status {
        write!(line, " status {} {:?}", status.code.0, status.message.to_str_lossy()).unwrap();
    }
    lines.push(line + &attributes(&span.attributes));
    for event in &span.events {
        let (time, name) = (event.time.0, event.name.to_str_lossy());
        let dropped = event.dropped_attributes_count;
        let mut line = format!("event {time} {name:?}{}", attributes(&event.attributes));
        if dropped > 0 {
            write!(line, " dropped {dropped}").unwrap();
        }
        lines.push(line);
    }
    for link in &span.links {
        let (trace, span) = (hex(link.trace_id.as_bytes()), hex(link.span_id.as_bytes()));
        lines.push(format!("link {trace} {span}{}", attributes(&link.attributes)));
    }
    lines
}
