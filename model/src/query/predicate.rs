//! Predicates on spans and on whole traces, as plain data.

use std::fmt;

use crate::{AttributeValue, SpanId, Text, TraceId};

/// Deepest nesting of `All`, `Any` and `Not` that a query may have; Jaeger's structured filters
/// allow 20, TraceQL in practice less. Checked by whoever builds a query from outside text.
pub const PREDICATE_DEPTH_MAX: usize = 32;

/// What must hold of one span.
#[derive(Debug, Clone, PartialEq)]
pub enum SpanPredicate {
    /// Holds of every span.
    True,
    /// Each of these holds.
    All(Vec<SpanPredicate>),
    /// At least one of these holds.
    Any(Vec<SpanPredicate>),
    /// This does not hold.
    Not(Box<SpanPredicate>),
    /// Some value of the field passes the test. A field may have several values (a key may
    /// stand in several events, or twice in one span) or none, of which no test holds.
    Field(Field, ValueTest),
    /// Jaeger's tag match (`jaeger` "memory" storage semantics): the string form of some value
    /// under `key` in the span, its scope, its resource, an event or a link equals `value`; and
    /// Jaeger's special keys (`error`, `span.kind`, `span.status`, `scope.name`,
    /// `scope.version`, prefix `resource.`).
    JaegerTag {
        /// The key.
        key: Text,
        /// The string form.
        value: Text,
    },
    /// The pattern is found in one of the span's texts: the effective service or operation, the
    /// status message, the trace state, the scope's name or version, an event's name, or the key
    /// or the string form ([`crate::string_form`]) of an attribute, wherever it stands.
    Mentions(Pattern),
}

/// Something of a span that has values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Field {
    /// The effective service ([`crate::effective`]).
    Service,
    /// The effective operation ([`crate::effective`]).
    Operation,
    /// The kind's number.
    Kind,
    /// The status code's number; 0 where there is no status.
    Status,
    /// The status message; no value where it is empty.
    StatusMessage,
    /// Nanoseconds from start to end, 0 for negative durations.
    Duration,
    /// Start in nanoseconds since the epoch.
    Start,
    /// End in nanoseconds since the epoch.
    End,
    /// Trace id as 32 lower-case hexadecimal digits.
    TraceId,
    /// Span id as 16 lower-case hexadecimal digits.
    SpanId,
    /// Parent's span id as 16 lower-case hexadecimal digits; no value for a root.
    ParentId,
    /// W3C trace state; no value where it is empty.
    TraceState,
    /// Scope name; no value where it is empty.
    ScopeName,
    /// Scope version; no value where it is empty.
    ScopeVersion,
    /// The name of each event.
    EventName,
    /// Nanoseconds from the span's start to each event, 0 for events before it.
    EventTimeSinceStart,
    /// Trace id of each link, hexadecimal.
    LinkTraceId,
    /// Span id of each link, hexadecimal.
    LinkSpanId,
    /// The values under a key.
    Attribute(AttributeScope, Text),
}

/// Where an attribute may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttributeScope {
    /// On the span or on its resource (TraceQL's unscoped `.key`).
    SpanOrResource,
    /// On the span itself.
    Span,
    /// On its resource.
    Resource,
    /// On its scope.
    Scope,
    /// On one of its events.
    Event,
    /// On one of its links.
    Link,
}

/// A test of one value.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueTest {
    /// There is a value. A pair that stands there without a value counts as one.
    Exists,
    /// The value compares to the literal as said. Numbers compare across integer and double;
    /// text by bytes; other pairs of types never pass, except that `NotEqual` between a string
    /// and a string, a number and a number or a bool and a bool means just that.
    Compare(Comparison, Literal),
    /// The value is a string in which the pattern is found (`Pattern` says anchored or not).
    Matches(Pattern),
    /// The value's string form (decimal integers, shortest doubles, `true`/`false`, base64
    /// bytes, JSON lists and maps) equals this text.
    StringForm(Text),
}

/// How a value compares to a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A constant in a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// Text.
    String(Text),
    /// An integer; also nanoseconds.
    Int(i64),
    /// A double.
    Double(f64),
    /// A truth value.
    Bool(bool),
}

/// Why a pattern was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a regular expression: {reason}")]
pub struct PatternError {
    /// The parser's words.
    pub reason: String,
}

/// A compiled regular expression (RE2 syntax: linear time, no back-references).
#[derive(Clone)]
pub struct Pattern {
    regex: regex::bytes::Regex,
}

/// Most patterns of one query: each is compiled before the query begins, and tried on every value.
/// Checked by whoever builds a query from outside text, and by nodes that are asked by others.
pub const PATTERNS_MAX: usize = 64;

/// How large the patterns of one query may be when they are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatternRoom {
    /// Bytes of one compiled form.
    bytes_max: usize,
}

impl PatternRoom {
    /// Largest compiled form of a pattern in bytes: enough for long alternations of names.
    const ONE_BYTES_MAX: usize = 1 << 20;

    /// Bytes of all compiled forms of a query: a pattern has two, forwards and backwards, and what
    /// matching keeps beside them is as much again. So a query stays within the memory for
    /// requests, however many patterns it has.
    const ALL_BYTES_MAX: usize = 4 << 20;

    /// The room of a pattern that is alone, or that was measured before.
    pub const ALONE: Self = Self { bytes_max: Self::ONE_BYTES_MAX };

    /// The room of each of so many patterns.
    pub fn of_each(patterns: usize) -> Self {
        let share = Self::ALL_BYTES_MAX / patterns.max(1);
        Self { bytes_max: share.min(Self::ONE_BYTES_MAX) }
    }
}

impl Pattern {
    /// A pattern found anywhere in the text.
    pub fn unanchored(pattern: &str) -> Result<Self, PatternError> {
        Self::unanchored_within(pattern, PatternRoom::ALONE)
    }

    /// A pattern found in any text that has these words in it, whatever the case of their letters.
    pub fn words(text: &str) -> Result<Self, PatternError> {
        Self::words_within(text, PatternRoom::ALONE)
    }

    /// The same, compiled within `room`.
    pub fn words_within(text: &str, room: PatternRoom) -> Result<Self, PatternError> {
        Self::unanchored_within(&format!("(?i){}", regex::escape(text)), room)
    }

    /// A pattern that must match the whole text (TraceQL's `=~`).
    pub fn anchored(pattern: &str) -> Result<Self, PatternError> {
        Self::anchored_within(pattern, PatternRoom::ALONE)
    }

    /// A pattern found anywhere in the text, compiled within `room`.
    pub fn unanchored_within(pattern: &str, room: PatternRoom) -> Result<Self, PatternError> {
        let mut builder = regex::bytes::RegexBuilder::new(pattern);
        // What matching keeps is at most twice the compiled form, as it is by default.
        builder.size_limit(room.bytes_max).dfa_size_limit(2 * room.bytes_max);
        match builder.build() {
            Ok(regex) => Ok(Self { regex }),
            Err(error) => Err(PatternError { reason: error.to_string() }),
        }
    }

    /// A pattern that must match the whole text, compiled within `room`.
    pub fn anchored_within(pattern: &str, room: PatternRoom) -> Result<Self, PatternError> {
        Self::unanchored_within(pattern, room)?;
        Self::unanchored_within(&format!("^(?:{pattern})$"), room)
    }

    /// Whether the pattern is found in `text`.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "/{}/", self.regex.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str()
    }
}

/// What must hold of a whole trace. Predicates on spans look only at the spans that start
/// within the query's window; figures of the trace are those of all its distinct spans.
#[derive(Debug, Clone, PartialEq)]
pub enum TracePredicate {
    /// Holds of every trace.
    True,
    /// Each of these holds.
    All(Vec<TracePredicate>),
    /// At least one of these holds.
    Any(Vec<TracePredicate>),
    /// This does not hold.
    Not(Box<TracePredicate>),
    /// Some span passes.
    HasSpan(SpanPredicate),
    /// Nanoseconds from the earliest start to the latest end.
    Duration(NumberTest),
    /// Distinct spans.
    SpanCount(NumberTest),
    /// Distinct spans with status error.
    ErrorCount(NumberTest),
    /// The effective service of the root ([`crate::effective`]) passes.
    RootService(ValueTest),
    /// The effective operation of the root passes.
    RootOperation(ValueTest),
    /// Some span passes `left`, some span passes `right`, and they stand in this relation.
    Structure {
        /// What the first span must pass.
        left: SpanPredicate,
        /// What the second span is to the first.
        relation: Relation,
        /// What the second span must pass.
        right: SpanPredicate,
    },
    /// A figure over the spans that pass.
    Aggregate {
        /// Which spans.
        of: SpanPredicate,
        /// Which figure.
        statistic: Statistic,
        /// What must hold of it; fails if the figure does not exist (no number at all).
        test: NumberTest,
    },
}

/// A test of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumberTest {
    /// How the figure compares.
    pub comparison: Comparison,
    /// To what.
    pub number: f64,
}

/// What one span is to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// The right span's parent is the left span.
    Child,
    /// The left span is an ancestor of the right one.
    Descendant,
    /// The right span is the left one's parent.
    Parent,
    /// The right span is an ancestor of the left one.
    Ancestor,
    /// Both have the same parent, and are not the same span.
    Sibling,
}

/// A figure over some spans of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Statistic {
    /// How many.
    Count,
    /// Sum of the field's numbers.
    Sum(Field),
    /// Smallest of the field's numbers.
    Min(Field),
    /// Largest of the field's numbers.
    Max(Field),
    /// Mean of the field's numbers.
    Mean(Field),
}

impl From<SpanId> for Literal {
    fn from(id: SpanId) -> Self {
        Self::String(id.to_string().into())
    }
}

impl From<TraceId> for Literal {
    fn from(id: TraceId) -> Self {
        Self::String(id.to_string().into())
    }
}

impl Literal {
    /// The literal as an attribute value.
    pub fn to_value(&self) -> AttributeValue {
        match self {
            Self::String(text) => AttributeValue::String(text.clone()),
            Self::Int(number) => AttributeValue::Int(*number),
            Self::Double(number) => AttributeValue::Double(*number),
            Self::Bool(value) => AttributeValue::Bool(*value),
        }
    }
}
