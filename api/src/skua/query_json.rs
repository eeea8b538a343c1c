//! The free query in JSON: a question for traces, or for figures, in the words of
//! `model::query`.
//!
//! Pure. Every refusal names the place in the document. What is not known is refused, not
//! passed over: a misspelt member would otherwise widen the answer without a word.

use std::cell::Cell;
use std::fmt;

use model::query::{
    AttributeScope, Comparison, Field, Literal, NumberTest, Order, PATTERNS_MAX,
    PREDICATE_DEPTH_MAX, Pattern, PatternError, PatternRoom, Relation, SpanPredicate, Statistic,
    TracePredicate, TraceQuery, ValueTest,
};
use model::span::{SpanKind, StatusCode};
use model::{Duration, Text, TimeRange, Timestamp};
use serde_json::{Map, Value};

use super::cursor;
use super::limits::{LIMIT_DEFAULT, TERMS_MAX};
use super::problem::Problem;
use crate::jaeger_http::go_parse::parse_duration;
use crate::jaeger_http::go_time::parse_time;

/// A search as it was asked for.
#[derive(Debug, Clone)]
pub(super) struct Search {
    /// What is asked.
    pub(super) query: TraceQuery,
    /// Without waiting for the latest writes.
    pub(super) stale: bool,
}

/// Reads a search for at most `limit_max` traces.
pub(super) fn search(document: &Value, limit_max: u32) -> Result<Search, Problem> {
    let root = Place::ROOT;
    let members = object(document, &root)?;
    known(members, &root, &["window", "where", "order", "limit", "cursor", "stale"])?;
    let terms = Terms::of(document);
    let predicate = match present(members, "where") {
        None => TracePredicate::True,
        Some(value) => trace_predicate(value, &root.member("where"), &terms, 0)?,
    };
    let query = TraceQuery {
        window: window(members, &root)?,
        predicate,
        order: match present(members, "order") {
            None => Order::default(),
            Some(value) => named(value, &root.member("order"), ORDERS)?,
        },
        limit: match present(members, "limit") {
            None => LIMIT_DEFAULT.min(limit_max),
            Some(value) => limit(value, &root.member("limit"), limit_max)?,
        },
        cursor: match present(members, "cursor") {
            None => None,
            Some(value) => {
                let place = root.member("cursor");
                let text = string(value, &place)?;
                Some(cursor::parse(text).ok_or_else(|| place.problem("not a cursor"))?)
            }
        },
    };
    Ok(Search { query, stale: flag(members, &root, "stale")? })
}

const ORDERS: &[(&str, Order)] = &[
    ("newest", Order::Newest),
    ("oldest", Order::Oldest),
    ("longest", Order::Longest),
    ("shortest", Order::Shortest),
    ("most_spans", Order::MostSpans),
    ("most_errors", Order::MostErrors),
];

/// A place in a document, for refusals.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    step: Step<'a>,
    above: Option<&'a Place<'a>>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Root,
    Member(&'a str),
    Item(usize),
}

impl<'a> Place<'a> {
    /// The document itself.
    pub(super) const ROOT: Place<'static> = Place { step: Step::Root, above: None };

    /// A member of the object here.
    pub(super) fn member(&'a self, name: &'a str) -> Self {
        Self { step: Step::Member(name), above: Some(self) }
    }

    fn item(&'a self, number: usize) -> Self {
        Self { step: Step::Item(number), above: Some(self) }
    }

    /// A refusal of what is here.
    pub(super) fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::Query { path: self.to_string(), message: message.into() }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_below_root = self.above.is_some_and(|above| !matches!(above.step, Step::Root));
        if let Some(above) = self.above.filter(|_| is_below_root) {
            above.fmt(formatter)?;
        }
        match self.step {
            Step::Root => formatter.write_str("query"),
            Step::Member(name) if is_below_root => write!(formatter, ".{name}"),
            Step::Member(name) => formatter.write_str(name),
            Step::Item(number) => write!(formatter, "[{number}]"),
        }
    }
}

/// Whether compiling a document's patterns takes long enough that no other request should wait.
pub(super) fn has_patterns(document: &Value) -> bool {
    patterns_in(document) > 0
}

/// How many patterns a document has, or what looks like one where nothing is looked for.
fn patterns_in(document: &Value) -> usize {
    match document {
        Value::Array(items) => items.iter().map(patterns_in).sum(),
        Value::Object(members) => {
            let op = members.get("op").and_then(Value::as_str);
            let is_pattern =
                matches!(op, Some(ANCHORED | UNANCHORED)) || members.contains_key(MENTIONS);
            usize::from(is_pattern) + members.values().map(patterns_in).sum::<usize>()
        }
        _ => 0,
    }
}

/// How many terms and patterns a query has, and how large each pattern may be.
#[derive(Debug)]
pub(super) struct Terms {
    count: Cell<usize>,
    patterns: Cell<usize>,
    room: PatternRoom,
}

impl Terms {
    /// None yet, of this document's.
    pub(super) fn of(document: &Value) -> Self {
        let room = PatternRoom::of_each(patterns_in(document));
        Self { count: Cell::new(0), patterns: Cell::new(0), room }
    }

    /// Counts a pattern, before it is compiled.
    fn pattern(&self, place: &Place<'_>) -> Result<PatternRoom, Problem> {
        self.patterns.set(self.patterns.get() + 1);
        if self.patterns.get() > PATTERNS_MAX {
            let what = format!("a query has at most {PATTERNS_MAX} regular expressions");
            return Err(place.problem(what));
        }
        Ok(self.room)
    }

    /// Counts one at `depth`.
    fn enter(&self, place: &Place<'_>, depth: usize) -> Result<(), Problem> {
        self.count.set(self.count.get() + 1);
        if self.count.get() > TERMS_MAX {
            return Err(place.problem(format!("a query has at most {TERMS_MAX} terms")));
        }
        if depth > PREDICATE_DEPTH_MAX {
            return Err(place.problem(format!("nested deeper than {PREDICATE_DEPTH_MAX} levels")));
        }
        Ok(())
    }
}

fn trace_predicate(
    value: &Value,
    place: &Place<'_>,
    terms: &Terms,
    depth: usize,
) -> Result<TracePredicate, Problem> {
    terms.enter(place, depth)?;
    if *value == Value::Bool(true) {
        return Ok(TracePredicate::True);
    }
    let (name, value) = only_member(value, place)?;
    let place = place.member(name);
    let below = |value: &Value, place: &Place<'_>| trace_predicate(value, place, terms, depth + 1);
    Ok(match name {
        "all" => TracePredicate::All(list(value, &place, below)?),
        "any" => TracePredicate::Any(list(value, &place, below)?),
        "not" => TracePredicate::Not(Box::new(below(value, &place)?)),
        "span" => TracePredicate::HasSpan(span_predicate(value, &place, terms, depth + 1)?),
        "duration" => TracePredicate::Duration(number_test(value, &place, true)?),
        "span_count" => TracePredicate::SpanCount(number_test(value, &place, false)?),
        "error_count" => TracePredicate::ErrorCount(number_test(value, &place, false)?),
        "root_service" => TracePredicate::RootService(text_test(value, &place, terms)?),
        "root_operation" => TracePredicate::RootOperation(text_test(value, &place, terms)?),
        "structure" => structure(value, &place, terms, depth + 1)?,
        "aggregate" => aggregate(value, &place, terms, depth + 1)?,
        _ => {
            return Err(place.problem(
                "unknown; one of all, any, not, span, duration, span_count, error_count, \
                 root_service, root_operation, structure, aggregate",
            ));
        }
    })
}

fn structure(
    value: &Value,
    place: &Place<'_>,
    terms: &Terms,
    depth: usize,
) -> Result<TracePredicate, Problem> {
    const RELATIONS: &[(&str, Relation)] = &[
        ("child", Relation::Child),
        ("descendant", Relation::Descendant),
        ("parent", Relation::Parent),
        ("ancestor", Relation::Ancestor),
        ("sibling", Relation::Sibling),
    ];
    let members = object(value, place)?;
    known(members, place, &["left", "relation", "right"])?;
    let side = |name: &'static str| {
        let value = required(members, place, name)?;
        span_predicate(value, &place.member(name), terms, depth)
    };
    let relation = required(members, place, "relation")?;
    Ok(TracePredicate::Structure {
        left: side("left")?,
        relation: named(relation, &place.member("relation"), RELATIONS)?,
        right: side("right")?,
    })
}

fn aggregate(
    value: &Value,
    place: &Place<'_>,
    terms: &Terms,
    depth: usize,
) -> Result<TracePredicate, Problem> {
    let members = object(value, place)?;
    known(members, place, &["of", "statistic", "field", "op", "value"])?;
    let of = match present(members, "of") {
        None => SpanPredicate::True,
        Some(value) => span_predicate(value, &place.member("of"), terms, depth)?,
    };
    let field = || {
        let value = required(members, place, "field")?;
        aggregate_field(value, &place.member("field"))
    };
    let name = string(required(members, place, "statistic")?, &place.member("statistic"))?;
    let statistic = match name {
        "count" => Statistic::Count,
        "sum" => Statistic::Sum(field()?),
        "min" => Statistic::Min(field()?),
        "max" => Statistic::Max(field()?),
        "mean" => Statistic::Mean(field()?),
        _ => {
            let place = place.member("statistic");
            return Err(place.problem("unknown; one of count, sum, min, max, mean"));
        }
    };
    let is_time = matches!(
        statistic,
        Statistic::Sum(Field::Duration)
            | Statistic::Min(Field::Duration)
            | Statistic::Max(Field::Duration)
            | Statistic::Mean(Field::Duration)
    );
    Ok(TracePredicate::Aggregate { of, statistic, test: number(members, place, is_time)? })
}

/// The name of a field, or an attribute's key and place.
fn aggregate_field(value: &Value, place: &Place<'_>) -> Result<Field, Problem> {
    if let Value::Object(members) = value {
        known(members, place, &["attribute", "scope"])?;
        return attribute_field(members, place);
    }
    named_field(value, place)
}

/// Reads a predicate on one span.
pub(super) fn span_predicate(
    value: &Value,
    place: &Place<'_>,
    terms: &Terms,
    depth: usize,
) -> Result<SpanPredicate, Problem> {
    terms.enter(place, depth)?;
    if *value == Value::Bool(true) {
        return Ok(SpanPredicate::True);
    }
    let members = object(value, place)?;
    if members.contains_key("field") {
        known(members, place, &["field", "op", "value"])?;
        let field_place = place.member("field");
        let field = named_field(required(members, place, "field")?, &field_place)?;
        let test = value_test(members, place, &field, terms)?;
        return Ok(SpanPredicate::Field(field, test));
    }
    if members.contains_key("attribute") {
        known(members, place, &["attribute", "scope", "op", "value"])?;
        let field = attribute_field(members, place)?;
        let test = value_test(members, place, &field, terms)?;
        return Ok(SpanPredicate::Field(field, test));
    }
    if members.contains_key("tag") {
        known(members, place, &["tag", "value"])?;
        let text = |name: &'static str| {
            string(required(members, place, name)?, &place.member(name)).map(Text::from)
        };
        return Ok(SpanPredicate::JaegerTag { key: text("tag")?, value: text("value")? });
    }
    if members.contains_key(MENTIONS) {
        known(members, place, &[MENTIONS])?;
        let words = required(members, place, MENTIONS)?;
        let place = place.member(MENTIONS);
        let words = string(words, &place)?;
        let compiled = Pattern::words_within(words, terms.pattern(&place)?);
        let pattern = compiled.map_err(|error| place.problem(error.to_string()))?;
        return Ok(SpanPredicate::Mentions(pattern));
    }
    let (name, value) = only_member(value, place)?;
    let place = place.member(name);
    let below = |value: &Value, place: &Place<'_>| span_predicate(value, place, terms, depth + 1);
    match name {
        "all" => Ok(SpanPredicate::All(list(value, &place, below)?)),
        "any" => Ok(SpanPredicate::Any(list(value, &place, below)?)),
        "not" => Ok(SpanPredicate::Not(Box::new(below(value, &place)?))),
        _ => Err(place.problem("unknown; one of all, any, not, field, attribute, tag, mentions")),
    }
}

/// A field of a span that is no attribute.
pub(super) fn named_field(value: &Value, place: &Place<'_>) -> Result<Field, Problem> {
    Ok(match string(value, place)? {
        "service" => Field::Service,
        "operation" => Field::Operation,
        "kind" => Field::Kind,
        "status" => Field::Status,
        "status_message" => Field::StatusMessage,
        "duration" => Field::Duration,
        "start" => Field::Start,
        "end" => Field::End,
        "trace_id" => Field::TraceId,
        "span_id" => Field::SpanId,
        "parent_id" => Field::ParentId,
        "trace_state" => Field::TraceState,
        "scope_name" => Field::ScopeName,
        "scope_version" => Field::ScopeVersion,
        "event_name" => Field::EventName,
        "event_time_since_start" => Field::EventTimeSinceStart,
        "link_trace_id" => Field::LinkTraceId,
        "link_span_id" => Field::LinkSpanId,
        _ => {
            return Err(place.problem(
                "unknown; one of service, operation, kind, status, status_message, duration, \
                 start, end, trace_id, span_id, parent_id, trace_state, scope_name, \
                 scope_version, event_name, event_time_since_start, link_trace_id, link_span_id; \
                 attributes go into \"attribute\"",
            ));
        }
    })
}

fn attribute_field(members: &Map<String, Value>, place: &Place<'_>) -> Result<Field, Problem> {
    let key = string(required(members, place, "attribute")?, &place.member("attribute"))?;
    let scope = match present(members, "scope") {
        None => AttributeScope::SpanOrResource,
        Some(value) => named(value, &place.member("scope"), SCOPES)?,
    };
    Ok(Field::Attribute(scope, key.into()))
}

/// Where attributes stand, by name.
pub(super) const SCOPES: &[(&str, AttributeScope)] = &[
    ("span_or_resource", AttributeScope::SpanOrResource),
    ("span", AttributeScope::Span),
    ("resource", AttributeScope::Resource),
    ("scope", AttributeScope::Scope),
    ("event", AttributeScope::Event),
    ("link", AttributeScope::Link),
];

const COMPARISONS: &[(&str, Comparison)] = &[
    ("=", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<", Comparison::Less),
    ("<=", Comparison::LessOrEqual),
    (">", Comparison::Greater),
    (">=", Comparison::GreaterOrEqual),
];

/// The whole text matches a regular expression.
const ANCHORED: &str = "=~";
/// Words that some text of the span has in it.
const MENTIONS: &str = "mentions";
/// A regular expression is found in it.
const UNANCHORED: &str = "~";

/// `op` and `value` of a test of one value.
fn value_test(
    members: &Map<String, Value>,
    place: &Place<'_>,
    field: &Field,
    terms: &Terms,
) -> Result<ValueTest, Problem> {
    let op_place = place.member("op");
    let op = string(required(members, place, "op")?, &op_place)?;
    let value_place = place.member("value");
    if op == "exists" {
        return match present(members, "value") {
            None => Ok(ValueTest::Exists),
            Some(_) => Err(value_place.problem("\"exists\" takes no value")),
        };
    }
    let value = required(members, place, "value")?;
    let pattern = |compile: fn(&str, PatternRoom) -> Result<Pattern, PatternError>| {
        let text = string(value, &value_place)?;
        let compiled = compile(text, terms.pattern(&value_place)?);
        compiled.map(ValueTest::Matches).map_err(|error| value_place.problem(error.to_string()))
    };
    if let Some((_, comparison)) = COMPARISONS.iter().find(|(name, _)| *name == op) {
        return Ok(ValueTest::Compare(*comparison, literal(value, &value_place, field)?));
    }
    match op {
        ANCHORED => pattern(Pattern::anchored_within),
        UNANCHORED => pattern(Pattern::unanchored_within),
        "is" => Ok(ValueTest::StringForm(string(value, &value_place)?.into())),
        _ => Err(op_place.problem("unknown; one of =, !=, <, <=, >, >=, exists, =~, ~, is")),
    }
}

/// A test of a name.
fn text_test(value: &Value, place: &Place<'_>, terms: &Terms) -> Result<ValueTest, Problem> {
    let members = object(value, place)?;
    known(members, place, &["op", "value"])?;
    value_test(members, place, &Field::Service, terms)
}

/// Kinds of spans, by name.
const KINDS: &[(&str, SpanKind)] = &[
    ("unspecified", SpanKind::UNSPECIFIED),
    ("internal", SpanKind::INTERNAL),
    ("server", SpanKind::SERVER),
    ("client", SpanKind::CLIENT),
    ("producer", SpanKind::PRODUCER),
    ("consumer", SpanKind::CONSUMER),
];

/// Codes of a status, by name.
const STATUSES: &[(&str, StatusCode)] =
    &[("unset", StatusCode::UNSET), ("ok", StatusCode::OK), ("error", StatusCode::ERROR)];

/// The word for a value of a field, where queries have one.
pub(super) fn word_of(field: &Field, form: &[u8]) -> Option<&'static str> {
    let number: i32 = std::str::from_utf8(form).ok()?.parse().ok()?;
    match field {
        Field::Kind => KINDS.iter().find(|(_, kind)| kind.0 == number).map(|(word, _)| *word),
        Field::Status => STATUSES.iter().find(|(_, code)| code.0 == number).map(|(word, _)| *word),
        _ => None,
    }
}

/// A constant, in the words of what it is compared with.
fn literal(value: &Value, place: &Place<'_>, field: &Field) -> Result<Literal, Problem> {
    match (field, value) {
        (Field::Kind, Value::String(_)) => {
            named(value, place, KINDS).map(|kind| Literal::Int(kind.0.into()))
        }
        (Field::Status, Value::String(_)) => {
            named(value, place, STATUSES).map(|code| Literal::Int(code.0.into()))
        }
        (Field::Duration | Field::EventTimeSinceStart, _) => {
            duration(value, place).map(Literal::Int)
        }
        (Field::Start | Field::End, _) => {
            let nanos = time(value, place)?.0;
            let nanos = i64::try_from(nanos);
            nanos.map(Literal::Int).map_err(|_| place.problem("a time after the year 2262"))
        }
        (_, Value::String(text)) => Ok(Literal::String(text.as_str().into())),
        (_, Value::Bool(truth)) => Ok(Literal::Bool(*truth)),
        (_, Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Literal::Int(whole)),
            (None, Some(double)) if double.is_finite() => Ok(Literal::Double(double)),
            _ => Err(place.problem("a number beyond what a double holds")),
        },
        _ => Err(place.problem("not a string, a number, true or false")),
    }
}

/// A test of a number, or of nanoseconds.
fn number_test(value: &Value, place: &Place<'_>, is_time: bool) -> Result<NumberTest, Problem> {
    let members = object(value, place)?;
    known(members, place, &["op", "value"])?;
    number(members, place, is_time)
}

fn number(
    members: &Map<String, Value>,
    place: &Place<'_>,
    is_time: bool,
) -> Result<NumberTest, Problem> {
    let comparison = named(required(members, place, "op")?, &place.member("op"), COMPARISONS)?;
    let value = required(members, place, "value")?;
    let place = place.member("value");
    let number = match value {
        Value::Number(number) => number.as_f64().filter(|number| number.is_finite()),
        Value::String(_) if is_time => Some(duration(value, &place)? as f64),
        _ => None,
    };
    let number = number.ok_or_else(|| place.problem("not a number"))?;
    Ok(NumberTest { comparison, number })
}

/// `window`, each end of which may be absent.
pub(super) fn window(
    members: &Map<String, Value>,
    place: &Place<'_>,
) -> Result<TimeRange, Problem> {
    let Some(value) = present(members, "window") else { return Ok(TimeRange::ALL) };
    let place = place.member("window");
    let members = object(value, &place)?;
    known(members, &place, &["start", "end"])?;
    let end = |name: &'static str, default: Timestamp| match present(members, name) {
        None => Ok(default),
        Some(value) => time(value, &place.member(name)),
    };
    let range = TimeRange {
        start: end("start", TimeRange::ALL.start)?,
        end: end("end", TimeRange::ALL.end)?,
    };
    if range.start > range.end {
        return Err(place.problem("start is after end"));
    }
    Ok(range)
}

/// Nanoseconds since the epoch, as text or as a number, or RFC 3339.
fn time(value: &Value, place: &Place<'_>) -> Result<Timestamp, Problem> {
    let wrong = || {
        place.problem("not a time: nanoseconds since the epoch, or such as 2024-12-13T12:00:00Z")
    };
    match value {
        Value::Number(number) => number.as_u64().map(Timestamp).ok_or_else(wrong),
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().map(Timestamp).map_err(|_| wrong())
        }
        Value::String(text) => {
            let nanos = parse_time(text).map_err(|_| wrong())?;
            u64::try_from(nanos).map(Timestamp).map_err(|_| wrong())
        }
        _ => Err(wrong()),
    }
}

/// Nanoseconds as a number, or text such as `1.5s`.
fn duration(value: &Value, place: &Place<'_>) -> Result<i64, Problem> {
    let wrong = || place.problem("not a duration: nanoseconds, or such as 1.5s or 200ms");
    match value {
        Value::Number(number) => number.as_i64().ok_or_else(wrong),
        Value::String(text) => parse_duration(text).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

/// A step of time: at least one nanosecond.
pub(super) fn step(value: &Value, place: &Place<'_>) -> Result<Duration, Problem> {
    let nanos = duration(value, place)?;
    let nanos = u64::try_from(nanos).ok().filter(|nanos| *nanos > 0);
    nanos.map(Duration).ok_or_else(|| place.problem("a step has to be longer than nothing"))
}

/// A whole number from 1 to `max`.
pub(super) fn limit(value: &Value, place: &Place<'_>, max: u32) -> Result<u32, Problem> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    let number = number.filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| place.problem(format!("not a whole number from 1 to {max}")))
}

/// `true` or `false`, false if absent.
pub(super) fn flag(
    members: &Map<String, Value>,
    place: &Place<'_>,
    name: &'static str,
) -> Result<bool, Problem> {
    match present(members, name) {
        None => Ok(false),
        Some(Value::Bool(truth)) => Ok(*truth),
        Some(_) => Err(place.member(name).problem("neither true nor false")),
    }
}

/// One of some names.
pub(super) fn named<T: Copy>(
    value: &Value,
    place: &Place<'_>,
    names: &[(&str, T)],
) -> Result<T, Problem> {
    let text = string(value, place)?;
    let found = names.iter().find(|(name, _)| *name == text);
    found.map(|(_, it)| *it).ok_or_else(|| {
        let all: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        place.problem(format!("unknown; one of {}", all.join(", ")))
    })
}

/// The members of an object.
pub(super) fn object<'v>(
    value: &'v Value,
    place: &Place<'_>,
) -> Result<&'v Map<String, Value>, Problem> {
    value.as_object().ok_or_else(|| place.problem("not an object"))
}

/// Refuses members that are not among these.
pub(super) fn known(
    members: &Map<String, Value>,
    place: &Place<'_>,
    names: &[&str],
) -> Result<(), Problem> {
    match members.keys().find(|key| !names.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            Err(place.member(key).problem(format!("unknown; one of {}", names.join(", "))))
        }
    }
}

/// A member that is there and not `null`.
pub(super) fn present<'v>(members: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    members.get(name).filter(|value| !value.is_null())
}

/// A member that has to be there.
pub(super) fn required<'v>(
    members: &'v Map<String, Value>,
    place: &Place<'_>,
    name: &'static str,
) -> Result<&'v Value, Problem> {
    present(members, name).ok_or_else(|| place.member(name).problem("missing"))
}

/// Text.
pub(super) fn string<'v>(value: &'v Value, place: &Place<'_>) -> Result<&'v str, Problem> {
    value.as_str().ok_or_else(|| place.problem("not a string"))
}

/// The one member of an object.
fn only_member<'v>(value: &'v Value, place: &Place<'_>) -> Result<(&'v str, &'v Value), Problem> {
    let members = object(value, place)?;
    let mut all = members.iter();
    match (all.next(), all.next()) {
        (Some((name, value)), None) => Ok((name, value)),
        (None, _) => Err(place.problem("empty; use true for \"everything\"")),
        (Some(_), Some(_)) => Err(place.problem("more than one member; combine with \"all\"")),
    }
}

fn list<T>(
    value: &Value,
    place: &Place<'_>,
    item: impl Fn(&Value, &Place<'_>) -> Result<T, Problem>,
) -> Result<Vec<T>, Problem> {
    let items = value.as_array().ok_or_else(|| place.problem("not a list"))?;
    let items = items.iter().enumerate();
    items.map(|(number, value)| item(value, &place.item(number))).collect()
}

#[cfg(test)]
#[path = "query_json/tests.rs"]
mod tests;
