//! The parameters of searches, old and api/v3, and what they mean as a [`TraceQuery`].
//!
//! Jaeger's rule: one span passes everything that is asked (service, operation, tags, duration,
//! start within the window), and its whole trace is the answer. One deviation: a search that
//! names no service searches all of them.

use std::collections::BTreeMap;

use model::query::{
    Comparison, Field, Literal, Order, SpanPredicate, TracePredicate, TraceQuery, ValueTest,
};
use model::{Duration, Text, TimeRange, Timestamp, TraceId};

use super::error::ParameterError;
use super::go_parse::{GoParseError, parse_atoi, parse_bool, parse_duration, parse_i32, parse_i64};
use super::go_time::parse_time;
use super::query_string::QueryString;
use super::string_map::parse_string_map;
use super::trace_id;

/// How far back the old API searches unless told.
const LOOKBACK_DEFAULT: Duration = Duration::from_secs(2 * 24 * 3_600);
/// How many traces a search returns unless told.
pub(crate) const LIMIT_DEFAULT: u32 = 100;
/// The shortest span in Jaeger: its sanitizer lengthens shorter ones. Stored spans may last
/// zero, so a lower bound up to here asks for nothing.
const DURATION_NANOS_MIN: i64 = 1;

/// A search as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SearchParams {
    /// Empty for all services.
    pub(crate) service: String,
    /// Empty for all operations.
    pub(crate) operation: String,
    /// When spans start.
    pub(crate) window: TimeRange,
    /// Tags, each of which some span has.
    pub(crate) tags: BTreeMap<String, String>,
    /// How many traces.
    pub(crate) limit: u32,
    /// Nanoseconds that a span lasts at least; zero asks for nothing.
    pub(crate) duration_nanos_min: i64,
    /// Nanoseconds that a span lasts at most; zero asks for nothing.
    pub(crate) duration_nanos_max: i64,
    /// Without adjusters.
    pub(crate) raw: bool,
    /// These traces instead of a search. Distinct.
    pub(crate) trace_ids: Vec<TraceId>,
}

impl SearchParams {
    /// Reads the parameters of `GET /api/traces`.
    pub(crate) fn parse_old(
        query: &QueryString,
        now: Timestamp,
        trace_ids_max: u32,
    ) -> Result<Self, ParameterError> {
        let start = micros(query, "start", now.saturating_sub(LOOKBACK_DEFAULT))?;
        let end = micros(query, "end", now)?;
        let tags = parse_tags(query)?;
        let limit = match query.get("limit") {
            "" => LIMIT_DEFAULT,
            text => limit_or_default(parse_i32(text).map_err(ParameterError::Bare)?.into()),
        };
        let duration_nanos_min = old_duration(query, "minDuration")?;
        let duration_nanos_max = old_duration(query, "maxDuration")?;
        let trace_ids = parse_trace_ids(query, trace_ids_max)?;
        let raw = old_bool(query, "raw")?;
        let both = duration_nanos_min != 0 && duration_nanos_max != 0;
        if both && duration_nanos_max < duration_nanos_min {
            return Err(ParameterError::Durations);
        }
        Ok(Self {
            service: query.get("service").to_owned(),
            operation: query.get("operation").to_owned(),
            window: TimeRange { start, end },
            tags,
            limit,
            duration_nanos_min,
            duration_nanos_max,
            raw,
            trace_ids,
        })
    }

    /// Reads the parameters of `GET /api/v3/traces` and `GET /api/v3/trace-summaries`.
    pub(crate) fn parse_v3(query: &QueryString) -> Result<Self, ParameterError> {
        let (service, _) = query.get_aliased(["query.serviceName", "query.service_name"]);
        let (operation, _) = query.get_aliased(["query.operationName", "query.operation_name"]);
        let tags = match query.get("query.attributes") {
            "" => BTreeMap::new(),
            text => parse_string_map(text)
                .map_err(|reason| ParameterError::Malformed { name: "query.attributes", reason })?,
        };
        if !query.get("query.filter").is_empty() {
            return Err(ParameterError::FilterUnsupported);
        }
        let min = query.get_aliased(["query.startTimeMin", "query.start_time_min"]);
        let max = query.get_aliased(["query.startTimeMax", "query.start_time_max"]);
        if min.0.is_empty() || max.0.is_empty() {
            return Err(ParameterError::WindowRequired);
        }
        let start = parse_time(min.0).map_err(malformed(min.1))?;
        let end = parse_time(max.0).map_err(malformed(max.1))?;
        if start >= end {
            return Err(ParameterError::WindowOrder);
        }
        let depth =
            query.get_aliased(["query.searchDepth", "query.search_depth", "query.num_traces"]);
        let limit = match depth.0 {
            "" => LIMIT_DEFAULT,
            text => limit_or_default(parse_atoi(text).map_err(malformed(depth.1))?),
        };
        let duration = |names| match query.get_aliased(names) {
            ("", _) => Ok(0),
            (text, name) => parse_duration(text).map_err(malformed(name)),
        };
        Ok(Self {
            service: service.to_owned(),
            operation: operation.to_owned(),
            window: TimeRange { start: timestamp(start), end: timestamp(end) },
            tags,
            limit,
            duration_nanos_min: duration(["query.durationMin", "query.duration_min"])?,
            duration_nanos_max: duration(["query.durationMax", "query.duration_max"])?,
            raw: v3_bool(query, ["query.rawTraces", "query.raw_traces"])?,
            trace_ids: Vec::new(),
        })
    }

    /// The search in the words of the store, for at most `limit_max` traces.
    pub(crate) fn to_query(&self, limit_max: u32) -> TraceQuery {
        let mut all = Vec::new();
        if !self.service.is_empty() {
            all.push(equals(Field::Service, &self.service));
        }
        if !self.operation.is_empty() {
            all.push(equals(Field::Operation, &self.operation));
        }
        if self.duration_nanos_min > DURATION_NANOS_MIN {
            all.push(duration(Comparison::GreaterOrEqual, self.duration_nanos_min));
        }
        if self.duration_nanos_max != 0 {
            all.push(duration(Comparison::LessOrEqual, self.duration_nanos_max));
        }
        all.extend(self.tags.iter().map(|(key, value)| SpanPredicate::JaegerTag {
            key: key.as_str().into(),
            value: value.as_str().into(),
        }));
        TraceQuery {
            window: self.window,
            predicate: TracePredicate::HasSpan(SpanPredicate::All(all)),
            order: Order::Newest,
            limit: self.limit.min(limit_max),
            cursor: None,
        }
    }
}

fn equals(field: Field, text: &str) -> SpanPredicate {
    let literal = Literal::String(Text::from(text));
    SpanPredicate::Field(field, ValueTest::Compare(Comparison::Equal, literal))
}

fn duration(comparison: Comparison, nanos: i64) -> SpanPredicate {
    let test = ValueTest::Compare(comparison, Literal::Int(nanos));
    SpanPredicate::Field(Field::Duration, test)
}

/// Jaeger passes zero and less on to its backends, which refuse it or take their default.
fn limit_or_default(limit: i64) -> u32 {
    if limit <= 0 { LIMIT_DEFAULT } else { u32::try_from(limit).unwrap_or(u32::MAX) }
}

/// A time in whole microseconds; before the epoch there are no spans.
pub(crate) fn micros(
    query: &QueryString,
    name: &'static str,
    default: Timestamp,
) -> Result<Timestamp, ParameterError> {
    match query.get(name) {
        "" => Ok(default),
        text => parse_i64(text)
            .map(|micros| Timestamp::from_micros(u64::try_from(micros).unwrap_or_default()))
            .map_err(unparsable(name)),
    }
}

/// A truth value of the old API; false if absent.
pub(crate) fn old_bool(query: &QueryString, name: &'static str) -> Result<bool, ParameterError> {
    match query.get(name) {
        "" => Ok(false),
        text => parse_bool(text).map_err(unparsable(name)),
    }
}

/// A truth value of api/v3; false if absent.
pub(crate) fn v3_bool<const N: usize>(
    query: &QueryString,
    names: [&'static str; N],
) -> Result<bool, ParameterError> {
    match query.get_aliased(names) {
        ("", _) => Ok(false),
        (text, name) => parse_bool(text).map_err(malformed(name)),
    }
}

/// Checks an optional time of api/v3, which is only a hint.
pub(crate) fn check_v3_time(
    query: &QueryString,
    names: [&'static str; 2],
) -> Result<(), ParameterError> {
    match query.get_aliased(names) {
        ("", _) => Ok(()),
        (text, name) => parse_time(text).map(drop).map_err(malformed(name)),
    }
}

fn old_duration(query: &QueryString, name: &'static str) -> Result<i64, ParameterError> {
    match query.get(name) {
        "" => Ok(0),
        text => parse_duration(text).map_err(unparsable(name)),
    }
}

/// Blames a parameter of the old API.
pub(crate) fn unparsable(name: &'static str) -> impl Fn(GoParseError) -> ParameterError {
    move |reason| ParameterError::Unparsable { name, reason }
}

/// Blames a parameter of api/v3.
pub(super) fn malformed(name: &'static str) -> impl Fn(GoParseError) -> ParameterError {
    move |reason| ParameterError::Malformed { name, reason: reason.to_string() }
}

/// A moment; before the epoch there are no spans.
pub(super) fn timestamp(nanos: i128) -> Timestamp {
    Timestamp(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
}

fn parse_trace_ids(query: &QueryString, count_max: u32) -> Result<Vec<TraceId>, ParameterError> {
    let mut ids = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for text in query.get_all("traceID") {
        let id = trace_id::parse_hex(text).map_err(ParameterError::SearchTraceId)?;
        if seen.insert(id) {
            ids.push(id);
        }
        if ids.len() > count_max as usize {
            return Err(ParameterError::TraceIds { count_max });
        }
    }
    Ok(ids)
}

/// `tag=key:value` and `tags={"key":"value"}`; what comes later wins, and `tags` over `tag`.
fn parse_tags(query: &QueryString) -> Result<BTreeMap<String, String>, ParameterError> {
    let mut tags = BTreeMap::new();
    for tag in query.get_all("tag") {
        let Some((key, value)) = tag.split_once(':') else {
            return Err(ParameterError::Tag { received: tag.to_owned() });
        };
        tags.insert(key.to_owned(), value.to_owned());
    }
    for text in query.get_all("tags") {
        tags.extend(parse_string_map(text).map_err(|reason| ParameterError::Tags { reason })?);
    }
    Ok(tags)
}

#[cfg(test)]
mod tests;
