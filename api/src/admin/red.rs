//! Rates, errors and durations of what is traced, among the node's metrics: for a Prometheus that
//! would otherwise need a collector in between.
//!
//! Gauges over the last whole minute, of the whole cluster whichever node is asked, computed at
//! most once for each minute. Only the operations that are called most are told
//! ([`GROUPS_MAX`]); how many were left out is told too.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use model::aggregate::{Aggregate, AggregateKind, AggregateQuery, GroupBy, Red};
use model::budget::Budget;
use model::query::SpanPredicate;
use model::store::{AggregateRequest, ReadScope};
use model::{Duration, Tenant, TimeRange, Timestamp, TraceStore};

use crate::read_context::ReadContext;

/// Most groups of service, operation and kind that are told: a scrape stays below 200 KiB.
const GROUPS_MAX: usize = 500;

/// What the figures are over.
const MINUTE: u64 = 60_000_000_000;

/// How long a scrape waits for them; the node's own metrics come in any case.
const DEADLINE: Duration = Duration(5_000_000_000);

/// Quantiles of durations.
const QUANTILES: [(f64, &str); 3] = [(0.5, "0.5"), (0.95, "0.95"), (0.99, "0.99")];

/// The figures of a store. Cloning shares.
#[derive(Debug, Clone)]
pub(crate) struct RedMetrics<S: TraceStore> {
    context: ReadContext<S>,
    /// The minute that was computed last, and its text.
    last: Arc<Mutex<Option<(u64, String)>>>,
}

impl<S: TraceStore> RedMetrics<S> {
    /// Nothing is computed before somebody asks.
    pub(crate) fn new(context: ReadContext<S>) -> Self {
        Self { context, last: Arc::default() }
    }

    /// The figures of the last whole minute as Prometheus reads them; nothing if they cannot be
    /// had.
    pub(crate) async fn text(&self) -> String {
        let minute = (self.context.clock.wall().0 / MINUTE).saturating_sub(1);
        {
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, text)) = last.as_ref().filter(|(of, _)| *of == minute) {
                return text.clone();
            }
        }
        let Some(text) = self.compute(minute).await else { return String::new() };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((minute, text.clone()));
        text
    }

    async fn compute(&self, minute: u64) -> Option<String> {
        let clock = Arc::clone(&self.context.clock);
        let deadline = clock.monotonic().plus(DEADLINE);
        let budget = Budget::new(clock, deadline, self.context.limits.bytes_max);
        let _guard = budget.cancel_on_drop();
        let scope = ReadScope { tenant: Tenant::default(), budget, stale: false };
        let start = Timestamp(minute.saturating_mul(MINUTE));
        let end = Timestamp(start.0.saturating_add(MINUTE - 1));
        let query = AggregateQuery {
            window: TimeRange { start, end },
            predicate: SpanPredicate::True,
            kind: AggregateKind::Red { step: Duration(MINUTE), group_by: GroupBy::Operation },
        };
        let answer = self.context.store.aggregate(AggregateRequest { scope, query }).await;
        match answer {
            Ok(answer) if answer.completeness.is_complete() => Some(lines(&answer.value)),
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(%error, "no figures for the metrics");
                None
            }
        }
    }
}

/// The figures, most called first.
fn lines(aggregate: &Aggregate) -> String {
    let mut groups: Vec<(String, Red)> = Vec::with_capacity(aggregate.red.len());
    for (group, bins) in &aggregate.red {
        let mut sum = Red::default();
        for red in bins.values() {
            sum.counts.add(red.counts);
            sum.durations.merge(&red.durations);
        }
        let labels = format!(
            "service_name=\"{}\",operation=\"{}\",span_kind=\"{}\"",
            escaped(group.service.as_bytes()),
            escaped(group.operation.as_bytes()),
            crate::jaeger_http::kind_or_internal(group.kind),
        );
        groups.push((labels, sum));
    }
    groups.sort_by(|(one, left), (other, right)| {
        right.counts.spans.cmp(&left.counts.spans).then_with(|| one.cmp(other))
    });
    let left_out = groups.len().saturating_sub(GROUPS_MAX);
    groups.truncate(GROUPS_MAX);
    let seconds = MINUTE as f64 / 1e9;
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(out, "# TYPE skua_red_calls_per_second gauge");
    for (labels, red) in &groups {
        let rate = red.counts.spans as f64 / seconds;
        let _ = writeln!(out, "skua_red_calls_per_second{{{labels}}} {rate}");
    }
    let _ = writeln!(out, "# TYPE skua_red_errors_per_second gauge");
    for (labels, red) in &groups {
        let rate = red.counts.errors as f64 / seconds;
        let _ = writeln!(out, "skua_red_errors_per_second{{{labels}}} {rate}");
    }
    let _ = writeln!(out, "# TYPE skua_red_duration_seconds gauge");
    for (labels, red) in &groups {
        for (quantile, name) in QUANTILES {
            let Some(duration) = red.durations.quantile(quantile) else { continue };
            let duration = duration.0 as f64 / 1e9;
            let labels = format!("{labels},quantile=\"{name}\"");
            let _ = writeln!(out, "skua_red_duration_seconds{{{labels}}} {duration}");
        }
    }
    let _ = writeln!(out, "# TYPE skua_red_groups_left_out gauge");
    let _ = writeln!(out, "skua_red_groups_left_out {left_out}");
    out
}

/// The value of a label.
fn escaped(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use model::aggregate::Group;
    use model::span::SpanKind;
    use model::{Text, aggregate::Counts};

    use super::*;

    fn group(operation: &str) -> Group {
        Group {
            service: Text::from("a\"b"),
            operation: Text::from(operation),
            kind: SpanKind::SERVER,
        }
    }

    fn red(spans: u64, errors: u64) -> Red {
        let mut red = Red { counts: Counts { spans, errors }, ..Red::default() };
        (0..spans).for_each(|_| red.durations.add(Duration(2_000_000_000)));
        red
    }

    #[test]
    fn the_most_called_are_told_first_and_the_rest_counted() {
        let mut aggregate = Aggregate::default();
        let of = |spans| [(0, red(spans, 1))].into();
        for number in 0..600 {
            aggregate.red.insert(group(&format!("op{number}")), of(1));
        }
        aggregate.red.insert(group("busy"), of(120));
        let text = lines(&aggregate);
        let first = text.lines().nth(1).unwrap();
        let labels = r#"service_name="a\"b",operation="busy",span_kind="server""#;
        assert_eq!(first, format!("skua_red_calls_per_second{{{labels}}} 2"));
        assert!(text.contains("skua_red_groups_left_out 101\n"));
        let line = text.lines().find(|line| line.contains("quantile=\"0.99\"")).unwrap();
        assert!(line.starts_with(&format!("skua_red_duration_seconds{{{labels}")), "{line}");
        assert!(lines(&Aggregate::default()).ends_with("skua_red_groups_left_out 0\n"));
    }
}
