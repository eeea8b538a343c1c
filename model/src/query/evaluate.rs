//! The meaning of a query, on owned spans: the reference evaluator.
//!
//! Whatever answers queries faster (columns, indexes, rollups, many nodes) must answer what this
//! module answers. It is written to be read; nothing is cached, nothing is pruned.
//!
//! Everywhere here "the spans of a trace" are all its distinct spans in the order of a trace
//! ([`crate::trace::distinct`]); a slice with repeats in it has no meaning.

use super::field::{any_attribute, any_value};
use super::jaeger_tag::JaegerTag;
use super::{
    AttributeScope, Field, FieldValue, Number, Order, OrderKey, Pattern, Relation, SpanPredicate,
    Statistic, TracePredicate, TraceQuery,
};
use crate::pace::{self, Pace, Unhurried, unstopped};
use crate::store::TraceSummary;
use crate::summary::summarize_within;
use crate::tree::Tree;
use crate::value::ValueRef;
use crate::{Attribute, Span, TimeRange};

/// Whether the predicate holds of one span.
pub fn span_matches(predicate: &SpanPredicate, span: &Span) -> bool {
    match predicate {
        SpanPredicate::True => true,
        SpanPredicate::All(parts) => parts.iter().all(|part| span_matches(part, span)),
        SpanPredicate::Any(parts) => parts.iter().any(|part| span_matches(part, span)),
        SpanPredicate::Not(inner) => !span_matches(inner, span),
        SpanPredicate::Field(field, test) => {
            any_value(field, span, &mut |value| test.passes(value))
        }
        SpanPredicate::JaegerTag { key, value } => JaegerTag::new(key, value).matches(span),
        SpanPredicate::Mentions(pattern) => mentions(pattern, span),
    }
}

/// Whether the pattern is found in one of the span's texts.
fn mentions(pattern: &Pattern, span: &Span) -> bool {
    let is_in_field =
        |field: &Field| any_value(field, span, &mut |value| is_in_form(pattern, value));
    let is_in_attribute = |attribute: &Attribute| {
        pattern.is_match(attribute.key.as_bytes())
            || is_in_form(pattern, FieldValue::Value(attribute.value.as_ref()))
    };
    Field::TEXTS.iter().any(is_in_field)
        || AttributeScope::PLACES
            .into_iter()
            .any(|place| any_attribute(place, span, &mut |attribute| is_in_attribute(attribute)))
}

/// Whether the pattern is found in the string form of a value. Nothing is copied for a string.
pub fn is_in_form(pattern: &Pattern, value: FieldValue<'_>) -> bool {
    match value {
        FieldValue::Value(ValueRef::String(text)) => pattern.is_match(text),
        other => pattern.is_match(other.string_form().as_bytes()),
    }
}

/// Whether a trace matches: some span starts within the window, and the predicate holds.
pub fn trace_matches(window: TimeRange, predicate: &TracePredicate, spans: &[Span]) -> bool {
    TraceFacts::new(spans).matches(window, predicate)
}

/// The place of a trace in an order.
pub fn order_key(order: Order, summary: &TraceSummary) -> OrderKey {
    let duration = summary.end.since(summary.start).0;
    let rank = match order {
        Order::Newest => u64::MAX - summary.start.0,
        Order::Oldest => summary.start.0,
        Order::Longest => u64::MAX - duration,
        Order::Shortest => duration,
        Order::MostSpans => u64::MAX - summary.span_count,
        Order::MostErrors => u64::MAX - summary.error_count,
    };
    OrderKey { rank, trace_id: summary.trace_id }
}

/// The answer to a query over all `traces`: the places and numbers of the first `limit` traces
/// that match and come after the cursor, in order. Traces without spans do not count.
pub fn evaluate<'a>(
    query: &TraceQuery,
    traces: impl IntoIterator<Item = &'a [Span]>,
) -> Vec<(OrderKey, usize)> {
    let evaluator = Evaluator::new(query);
    let mut hits: Vec<_> = traces
        .into_iter()
        .enumerate()
        .filter_map(|(number, spans)| Some((evaluator.hit(spans)?, number)))
        .collect();
    hits.sort_unstable();
    hits.truncate(query.limit as usize);
    hits
}

/// A query, as a thing that is asked about one trace after another. It remembers nothing.
#[derive(Debug, Clone, Copy)]
pub struct Evaluator<'a> {
    query: &'a TraceQuery,
}

impl<'a> Evaluator<'a> {
    /// An evaluator of this query.
    pub fn new(query: &'a TraceQuery) -> Self {
        Self { query }
    }

    /// The trace's place in the answer, if it matches and comes after the cursor.
    pub fn hit(&self, spans: &[Span]) -> Option<OrderKey> {
        let facts = TraceFacts::new(spans);
        let key = order_key(self.query.order, facts.summary());
        let is_new = self.query.cursor.as_ref().is_none_or(|cursor| key > cursor.last);
        (is_new && facts.matches(self.query.window, &self.query.predicate)).then_some(key)
    }
}

/// The spans of one trace with what predicates on whole traces look at.
#[derive(Debug)]
pub struct TraceFacts<'a> {
    spans: &'a [Span],
    tree: Tree,
    summary: TraceSummary,
}

impl<'a> TraceFacts<'a> {
    /// The facts of the trace of these spans.
    pub fn new(spans: &'a [Span]) -> Self {
        unstopped(Self::within(spans, &Unhurried))
    }

    /// The same, as long as the pace lets it go on.
    pub fn within<P: Pace>(spans: &'a [Span], pace: &P) -> Result<Self, P::Stop> {
        let tree = Tree::of_spans_within(spans, pace)?;
        let summary = summarize_within(spans, &tree, pace)?;
        Ok(Self { spans, tree, summary })
    }

    /// The trace's summary.
    pub fn summary(&self) -> &TraceSummary {
        &self.summary
    }

    /// Whether some span starts within the window and the predicate holds.
    pub fn matches(&self, window: TimeRange, predicate: &TracePredicate) -> bool {
        unstopped(self.matches_within(window, predicate, &Unhurried))
    }

    /// The same, as long as the pace lets it go on.
    pub fn matches_within<P: Pace>(
        &self,
        window: TimeRange,
        predicate: &TracePredicate,
        pace: &P,
    ) -> Result<bool, P::Stop> {
        let is_within = pace::any(self.spans, pace, |span| window.contains(span.start))?;
        Ok(is_within && self.holds(window, predicate, pace)?)
    }

    fn holds<P: Pace>(
        &self,
        window: TimeRange,
        predicate: &TracePredicate,
        pace: &P,
    ) -> Result<bool, P::Stop> {
        Ok(match predicate {
            TracePredicate::True => true,
            TracePredicate::All(parts) => {
                for part in parts {
                    if !self.holds(window, part, pace)? {
                        return Ok(false);
                    }
                }
                true
            }
            TracePredicate::Any(parts) => {
                for part in parts {
                    if self.holds(window, part, pace)? {
                        return Ok(true);
                    }
                }
                false
            }
            TracePredicate::Not(inner) => !self.holds(window, inner, pace)?,
            TracePredicate::HasSpan(of) => {
                pace::any(self.spans, pace, |span| passes(window, of, span))?
            }
            TracePredicate::Duration(test) => {
                test.passes(self.summary.end.since(self.summary.start).0)
            }
            TracePredicate::SpanCount(test) => test.passes(self.summary.span_count),
            TracePredicate::ErrorCount(test) => test.passes(self.summary.error_count),
            // Effective names are never empty, so an empty one means that there is no root.
            TracePredicate::RootService(test) => {
                let service = &self.summary.root_service;
                !service.is_empty() && test.passes_text(service)
            }
            TracePredicate::RootOperation(test) => {
                let operation = &self.summary.root_operation;
                !operation.is_empty() && test.passes_text(operation)
            }
            TracePredicate::Structure { left, relation, right } => {
                let left = self.marks(window, left, pace)?;
                self.related(&left, *relation, &self.marks(window, right, pace)?, pace)?
            }
            TracePredicate::Aggregate { of, statistic, test } => {
                let mut figure = Figure::default();
                pace::for_each(self.spans, pace, |span| {
                    if passes(window, of, span) {
                        add_figure(statistic, span, &mut figure);
                    }
                })?;
                figure.value(statistic).is_some_and(|value| test.passes(value))
            }
        })
    }

    /// For each row whether it lies within the window and the predicate holds of it.
    fn marks<P: Pace>(
        &self,
        window: TimeRange,
        predicate: &SpanPredicate,
        pace: &P,
    ) -> Result<Marks, P::Stop> {
        let mark = |span: &Span| passes(window, predicate, span);
        Ok(Marks(pace::collect(self.spans.iter().map(mark), pace)?))
    }

    /// Whether a left row and a right row stand in the relation.
    fn related<P: Pace>(
        &self,
        left: &Marks,
        relation: Relation,
        right: &Marks,
        pace: &P,
    ) -> Result<bool, P::Stop> {
        match relation {
            Relation::Child => self.has_child(left, right, pace),
            Relation::Parent => self.has_child(right, left, pace),
            Relation::Descendant => self.has_descendant(left, right, pace),
            Relation::Ancestor => self.has_descendant(right, left, pace),
            Relation::Sibling => self.has_siblings(left, right, pace),
        }
    }

    fn has_child<P: Pace>(
        &self,
        parents: &Marks,
        children: &Marks,
        pace: &P,
    ) -> Result<bool, P::Stop> {
        let is_parent = |child| self.tree.parent(child).is_some_and(|row| parents.has(row));
        pace::any(children.rows(), pace, is_parent)
    }

    /// Walks the tree from the roots and hands down whether an ancestor was marked, so that deep
    /// traces cost no more than flat ones.
    fn has_descendant<P: Pace>(
        &self,
        ancestors: &Marks,
        descendants: &Marks,
        pace: &P,
    ) -> Result<bool, P::Stop> {
        let mut below = Marks(vec![false; self.spans.len()]);
        pace::any(self.tree.depth_first(), pace, |row| {
            let parent = self.tree.parent(row);
            let is_below = parent.is_some_and(|row| ancestors.has(row) || below.has(row));
            below.set(row, is_below);
            is_below && descendants.has(row)
        })
    }

    /// Counts the right rows under each parent; a left row needs one that is not itself.
    fn has_siblings<P: Pace>(
        &self,
        left: &Marks,
        right: &Marks,
        pace: &P,
    ) -> Result<bool, P::Stop> {
        let mut right_children = vec![0_usize; self.spans.len()];
        pace::for_each(right.rows().filter_map(|row| self.tree.parent(row)), pace, |parent| {
            if let Some(count) = right_children.get_mut(parent as usize) {
                *count += 1;
            }
        })?;
        pace::any(left.rows(), pace, |row| {
            let parent = self.tree.parent(row).map(|parent| parent as usize);
            let count = parent.and_then(|parent| right_children.get(parent));
            count.is_some_and(|count| *count > usize::from(right.has(row)))
        })
    }
}

/// Whether the span starts within the window and the predicate holds of it.
fn passes(window: TimeRange, predicate: &SpanPredicate, span: &Span) -> bool {
    window.contains(span.start) && span_matches(predicate, span)
}

/// Adds to the figure what the statistic takes of a span.
fn add_figure(statistic: &Statistic, span: &Span, figure: &mut Figure) {
    let field = match statistic {
        Statistic::Count => return figure.add(0_u64.into()),
        Statistic::Sum(field)
        | Statistic::Min(field)
        | Statistic::Max(field)
        | Statistic::Mean(field) => field,
    };
    any_value(field, span, &mut |value| {
        if let Some(number) = value.number() {
            figure.add(number);
        }
        false
    });
}

/// Numbers added up, smallest and largest. Whole numbers are added exactly; doubles in the order
/// in which they are told, which has to be that of the trace's spans for equal answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figure {
    count: u64,
    whole_sum: i128,
    double_sum: f64,
    extremes: Option<(Number, Number)>,
}

impl Figure {
    /// Takes in one more number. `NaN` counts towards sum and mean, never as an extreme.
    pub fn add(&mut self, number: Number) {
        self.count += 1;
        match number {
            Number::Int(whole) => self.whole_sum = self.whole_sum.saturating_add(whole),
            Number::Double(double) => self.double_sum += double,
        }
        if number.compare(number).is_some() {
            let (min, max) = self.extremes.unwrap_or((number, number));
            let is_less = number.compare(min).is_some_and(std::cmp::Ordering::is_lt);
            let is_more = number.compare(max).is_some_and(std::cmp::Ordering::is_gt);
            let min = if is_less { number } else { min };
            self.extremes = Some((min, if is_more { number } else { max }));
        }
    }

    /// The statistic over the numbers taken in; nothing if there were none.
    pub fn value(&self, statistic: &Statistic) -> Option<Number> {
        let sum = if self.double_sum == 0.0 {
            Number::Int(self.whole_sum)
        } else {
            Number::Double(self.whole_sum as f64 + self.double_sum)
        };
        match statistic {
            Statistic::Count => Some(self.count.into()),
            _ if self.count == 0 => None,
            Statistic::Sum(_) => Some(sum),
            Statistic::Min(_) => self.extremes.map(|(min, _)| min),
            Statistic::Max(_) => self.extremes.map(|(_, max)| max),
            Statistic::Mean(_) => Some(Number::Double(sum.to_f64() / self.count as f64)),
        }
    }
}

/// A truth value for each row of a trace.
struct Marks(Vec<bool>);

impl Marks {
    fn has(&self, row: u32) -> bool {
        self.0.get(row as usize).copied().unwrap_or(false)
    }

    fn set(&mut self, row: u32, mark: bool) {
        if let Some(own) = self.0.get_mut(row as usize) {
            *own = mark;
        }
    }

    fn rows(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.0).filter(|(_, mark)| **mark).map(|(row, _)| row)
    }
}

#[cfg(test)]
mod tests;
