//! The Monitor tab's endpoints, without a metrics store: latencies, calls and errors of
//! services, computed from the spans themselves, in Jaeger's `MetricFamily`.

use axum::extract::State;
use axum::response::Response;
use model::aggregate::{AggregateKind, AggregateQuery, GroupBy};
use model::query::{Comparison, Field, Literal, SpanPredicate, ValueTest};
use model::span::SpanKind;
use model::store::AggregateRequest;
use model::{Duration, Text, TimeRange, Timestamp, TraceStore};

use super::answer::{Gaps, envelope, json};
use super::error::{Old, ParameterError, QueryError};
use super::go_parse::{parse_f64, parse_i64};
use super::json_text::{push_comma, push_double, push_name, push_string};
use super::limits::{BINS_MAX, METRIC_SERVICES_MAX, POINTS_MAX};
use super::query_string::QueryString;
use super::red_series::{Figure, Grid, Series, series};
use super::router::Asked;
use super::search_params::{old_bool, unparsable};
use crate::adjust::format_rfc3339;
use crate::read_context::ReadContext;
use crate::task;

const LOOKBACK_MILLIS_DEFAULT: u64 = 3_600_000;
const STEP_MILLIS_DEFAULT: u64 = 5_000;
const RATE_MILLIS_DEFAULT: u64 = 600_000;
const NANOS_PER_MILLI: u64 = 1_000_000;

/// `GET /api/metrics/latencies`
pub(super) async fn latencies<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    asked: Asked,
) -> Result<Response, Old> {
    let quantile = parse_f64(asked.query.get("quantile")).map_err(unparsable("quantile"))?;
    Ok(family(&context, &asked, Figure::Latency(quantile)).await?)
}

/// `GET /api/metrics/calls`
pub(super) async fn calls<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    asked: Asked,
) -> Result<Response, Old> {
    Ok(family(&context, &asked, Figure::Calls).await?)
}

/// `GET /api/metrics/errors`
pub(super) async fn errors<S: TraceStore>(
    State(context): State<ReadContext<S>>,
    asked: Asked,
) -> Result<Response, Old> {
    Ok(family(&context, &asked, Figure::Errors).await?)
}

/// `GET /api/metrics/minstep`: the shortest step there is, in milliseconds.
pub(super) async fn minimal_step(asked: Asked) -> Response {
    envelope(&asked.query, &[b"1"], 0, Vec::new(), &Gaps::default())
}

async fn family<S: TraceStore>(
    context: &ReadContext<S>,
    asked: &Asked,
    figure: Figure,
) -> Result<Response, QueryError> {
    let params = Params::parse(&asked.query, context.clock.wall())?;
    let grid = params.grid;
    let read = asked.begin(context)?;
    let request = AggregateRequest { scope: read.scope.clone(), query: params.query() };
    let answer = context.store.aggregate(request).await?;
    let bytes_max = context.limits.response_bytes_max;
    let (aggregate, gaps) = (answer.value, Gaps::from(answer.completeness));
    let rendered = task::blocking("metrics", move || {
        let series = series(&aggregate, grid, figure);
        render(&series, &params, figure, bytes_max)
    });
    let body = rendered.await.map_err(|task::Panicked| QueryError::Internal)?;
    Ok(json(body.ok_or(QueryError::AnswerTooLarge { bytes_max })?, &gaps))
}

/// What is asked of all three.
#[derive(Debug)]
struct Params {
    services: Vec<String>,
    kinds: Vec<SpanKind>,
    group_by: GroupBy,
    grid: Grid,
}

impl Params {
    fn parse(query: &QueryString, now: Timestamp) -> Result<Self, ParameterError> {
        let services: Vec<String> = query.get_all("service").map(ToOwned::to_owned).collect();
        if services.is_empty() || services.len() > METRIC_SERVICES_MAX {
            return Err(ParameterError::MetricsServiceRequired);
        }
        let by_operation = old_bool(query, "groupByOperation")?;
        let mut kinds = query.get_all("spanKind").map(parse_kind).collect::<Result<Vec<_>, _>>()?;
        if kinds.is_empty() {
            kinds.push(SpanKind::SERVER);
        }
        let end = match query.get("endTs") {
            "" => now,
            text => {
                let millis = parse_i64(text).map_err(unparsable("endTs"))?;
                let millis = u64::try_from(millis).unwrap_or_default();
                Timestamp(millis.saturating_mul(NANOS_PER_MILLI))
            }
        };
        let lookback = positive(query, "lookback", LOOKBACK_MILLIS_DEFAULT)?;
        let step = positive(query, "step", STEP_MILLIS_DEFAULT)?;
        let rate = positive(query, "ratePer", RATE_MILLIS_DEFAULT)?;
        let group_by = if by_operation { GroupBy::Operation } else { GroupBy::Service };
        let grid = grid(end, lookback, step, rate)?;
        Ok(Self { services, kinds, group_by, grid })
    }

    /// The figures that every point's window is made of.
    fn query(&self) -> AggregateQuery {
        let is_service =
            |service: &String| equals(Field::Service, Literal::String(service.as_str().into()));
        let is_kind = |kind: &SpanKind| equals(Field::Kind, Literal::Int(kind.0.into()));
        let predicate = SpanPredicate::All(vec![
            SpanPredicate::Any(self.services.iter().map(is_service).collect()),
            SpanPredicate::Any(self.kinds.iter().map(is_kind).collect()),
        ]);
        let Grid { start, step_nanos, points, bin_nanos, .. } = self.grid;
        let last = step_nanos.saturating_mul(points.saturating_sub(1));
        let end = start.saturating_add(Duration(last));
        let window = TimeRange {
            start: start.saturating_sub(self.grid.window()),
            // The moment itself belongs to the bin behind it.
            end: end.saturating_sub(Duration(1)),
        };
        let kind = AggregateKind::Red { step: Duration(bin_nanos), group_by: self.group_by };
        AggregateQuery { window, predicate, kind }
    }
}

fn equals(field: Field, literal: Literal) -> SpanPredicate {
    SpanPredicate::Field(field, ValueTest::Compare(Comparison::Equal, literal))
}

fn parse_kind(text: &str) -> Result<SpanKind, ParameterError> {
    let name = text.to_ascii_lowercase();
    if name == "unspecified" {
        return Ok(SpanKind::UNSPECIFIED);
    }
    let unknown = || ParameterError::SpanKind { kind: text.to_owned() };
    SpanKind::from_name(&name).ok_or_else(unknown)
}

/// Milliseconds in nanoseconds.
fn positive(
    query: &QueryString,
    name: &'static str,
    default_millis: u64,
) -> Result<u64, ParameterError> {
    let millis = match query.get(name) {
        "" => default_millis,
        text => {
            let millis = parse_i64(text).map_err(unparsable(name))?;
            let millis = u64::try_from(millis).ok().filter(|millis| *millis > 0);
            millis.ok_or(ParameterError::Positive { name })?
        }
    };
    Ok(millis.saturating_mul(NANOS_PER_MILLI))
}

/// Moments from `end - lookback` to `end`. Bins are as wide as step and rate window allow: both
/// are whole numbers of bins, unless that would take too many.
fn grid(end: Timestamp, lookback: u64, step: u64, rate: u64) -> Result<Grid, ParameterError> {
    let points = lookback / step;
    if points >= POINTS_MAX {
        return Err(ParameterError::Points { points_max: POINTS_MAX });
    }
    let divisor = greatest_common_divisor(step, rate);
    let bins = lookback.saturating_add(rate) / divisor;
    let bin_nanos = if bins <= BINS_MAX { divisor } else { step };
    let window_bins = rate.div_ceil(bin_nanos);
    let (step_nanos, points) = (step, points + 1);
    let mut grid = Grid { start: Timestamp(0), step_nanos, points, bin_nanos, window_bins };
    // The first window may not begin before the epoch.
    grid.start = end.saturating_sub(Duration(lookback)).max(Timestamp(grid.window().0));
    Ok(grid)
}

fn greatest_common_divisor(mut left: u64, mut right: u64) -> u64 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left.max(1)
}

/// The `MetricFamily`; nothing if it were too large. What is empty is left out.
fn render(series: &[Series], params: &Params, figure: Figure, bytes_max: usize) -> Option<Vec<u8>> {
    let is_by_operation = params.group_by == GroupBy::Operation;
    let scope = if is_by_operation { "service_operation" } else { "service" };
    let suffix = if is_by_operation { " & operation" } else { "" };
    let (name, help) = match figure {
        Figure::Latency(quantile) => {
            ("latencies", format!("{quantile:.2}th quantile latency, grouped by service"))
        }
        Figure::Calls => ("call_rate", "calls/sec, grouped by service".to_owned()),
        Figure::Errors => (
            "error_rate",
            "error rate, computed as a fraction of errors/sec over calls/sec, grouped by service"
                .to_owned(),
        ),
    };
    let mut out = b"{".to_vec();
    push_name(&mut out, "name");
    push_string(&mut out, format!("{scope}_{name}").as_bytes());
    out.extend_from_slice(b",\"type\":\"GAUGE\"");
    push_name(&mut out, "help");
    // Plain JSON: the ampersand stays as it is.
    out.extend_from_slice(format!("\"{help}{suffix}\"").as_bytes());
    if !series.is_empty() {
        push_name(&mut out, "metrics");
        out.push(b'[');
        for series in series {
            push_comma(&mut out);
            push_series(&mut out, series, params.grid, is_by_operation);
            if out.len() > bytes_max {
                return None;
            }
        }
        out.push(b']');
    }
    out.push(b'}');
    Some(out)
}

fn push_series(out: &mut Vec<u8>, series: &Series, grid: Grid, is_by_operation: bool) {
    out.extend_from_slice(b"{\"labels\":[");
    push_label(out, "service_name", &series.service);
    if is_by_operation {
        push_label(out, "operation", &series.operation);
    }
    out.extend_from_slice(b"],\"metricPoints\":[");
    let mut time = grid.start;
    for value in &series.values {
        push_comma(out);
        out.extend_from_slice(b"{\"gaugeValue\":{\"doubleValue\":");
        if !push_double(out, *value) {
            out.extend_from_slice(b"\"NaN\"");
        }
        out.extend_from_slice(b"},\"timestamp\":\"");
        out.extend_from_slice(format_rfc3339(time).as_bytes());
        out.extend_from_slice(b"\"}");
        time = time.saturating_add(Duration(grid.step_nanos));
    }
    out.extend_from_slice(b"]}");
}

fn push_label(out: &mut Vec<u8>, name: &'static str, value: &Text) {
    push_comma(out);
    out.extend_from_slice(b"{\"name\":\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\",\"value\":");
    push_string(out, value.as_bytes());
    out.push(b'}');
}
