//! Fourth adjuster: children of other hosts that do not fit into their parents are moved.
//!
//! Clocks of hosts differ, so a child may seem to start before its parent. Where a child and
//! its parent come from different hosts (or the host is not known), the child is placed within
//! its parent; spans of the child's own host below it move along. Jaeger's default is a maximum
//! of zero: nothing moves, and each span that would have moved says so in a warning.
//!
//! The walk is iterative (a trace may be one chain of a million spans) and starts at roots, so
//! spans on a cycle are left alone.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use model::pace::{self, Pace, STRETCH_ROWS};
use model::{AttributeValue, Duration, Resource, SpanId, Text, Timestamp};

use super::go_text::format_duration;
use super::values::{list_items, string_form};
use super::{EditableTrace, add_warning};

const DUPLICATE_SPAN_ID: &str = "duplicate span IDs; skipping clock skew adjustment";

/// Corrects skew of at most `delta_max`, and warns of what is beyond it.
pub fn correct_clock_skew<P: Pace>(
    trace: &mut EditableTrace,
    delta_max: Duration,
    pace: &P,
) -> Result<(), P::Stop> {
    let hosts: Vec<Text> = trace.resources.iter().map(|resource| host_key(resource)).collect();
    let forest = Forest::build(trace, pace)?;
    let mut pending: Vec<Visit<'_>> = forest
        .roots
        .iter()
        .map(|root| Visit { row: *root, parent: None, skew: Skew { delta: 0, host: None } })
        .collect();
    let mut visited = 0_usize;
    while let Some(visit) = pending.pop() {
        if visited.is_multiple_of(STRETCH_ROWS) {
            pace.go_on()?;
        }
        visited += 1;
        let host = trace.spans.get(visit.row).and_then(|editable| hosts.get(editable.resource));
        let Some(host) = host else { continue };
        let mut skew = visit.skew;
        if let Some(parent) = visit.parent {
            if skew.host != Some(host) || host.is_empty() {
                skew =
                    Skew { delta: delta_into_parent(trace, visit.row, parent), host: Some(host) };
            }
        } else {
            skew.host = Some(host);
        }
        shift(trace, visit.row, skew.delta, delta_max);
        let children = forest.children.get(&visit.row).into_iter().flatten();
        pending.extend(children.map(|child| Visit { row: *child, parent: Some(visit.row), skew }));
    }
    Ok(())
}

/// A span to look at, its adjusted parent, and the skew that holds for the parent's host.
#[derive(Debug, Clone, Copy)]
struct Visit<'a> {
    row: usize,
    parent: Option<usize>,
    skew: Skew<'a>,
}

#[derive(Debug, Clone, Copy)]
struct Skew<'a> {
    delta: i64,
    host: Option<&'a Text>,
}

/// Who is whose child, by row. Later spans of a repeated id are in no tree.
#[derive(Debug, Default)]
struct Forest {
    roots: Vec<usize>,
    children: BTreeMap<usize, Vec<usize>>,
}

impl Forest {
    fn build<P: Pace>(trace: &mut EditableTrace, pace: &P) -> Result<Self, P::Stop> {
        let mut rows: BTreeMap<SpanId, usize> = BTreeMap::new();
        let mut members = Vec::with_capacity(trace.spans.len());
        pace::for_each(trace.spans.iter_mut().enumerate(), pace, |(row, editable)| {
            match rows.entry(editable.span.span_id) {
                Entry::Vacant(vacant) => {
                    vacant.insert(row);
                    members.push(row);
                }
                Entry::Occupied(_) => add_warning(&mut editable.span, DUPLICATE_SPAN_ID),
            }
        })?;
        let mut forest = Self::default();
        pace::for_each(members, pace, |row| {
            let Some(editable) = trace.spans.get_mut(row) else { return };
            let Some(parent) = editable.span.parent.span_id() else {
                forest.roots.push(row);
                return;
            };
            if let Some(parent_row) = rows.get(&parent) {
                forest.children.entry(*parent_row).or_default().push(row);
            } else {
                let warning = format!(
                    "parent span ID={parent} is not in the trace; skipping clock skew adjustment"
                );
                add_warning(&mut editable.span, &warning);
                forest.roots.push(row);
            }
        })?;
        Ok(forest)
    }
}

/// What tells hosts apart: `host.id`, else the first `host.ip`, else `host.name`.
fn host_key(resource: &Resource) -> Text {
    let value = |key: &str| {
        let attribute = resource.attributes.iter().find(|attribute| attribute.key == key);
        attribute.map(|attribute| &attribute.value)
    };
    if let Some(id) = value("host.id") {
        return id.as_text().cloned().unwrap_or_default();
    }
    match value("host.ip") {
        Some(AttributeValue::String(ip)) => return ip.clone(),
        Some(AttributeValue::Array(items)) => {
            if let Some(first) = list_items(items).first() {
                return string_form(first);
            }
        }
        _ => {}
    }
    value("host.name").and_then(AttributeValue::as_text).cloned().unwrap_or_default()
}

/// How far the child has to move to fit into its parent.
fn delta_into_parent(trace: &EditableTrace, child: usize, parent: usize) -> i64 {
    let times = |row: usize| {
        let span = trace.spans.get(row).map(|editable| &editable.span);
        span.map_or((0, 0), |span| (i128::from(span.start.0), i128::from(span.end.0)))
    };
    let (child_start, child_end) = times(child);
    let (parent_start, parent_end) = times(parent);
    let (child_duration, parent_duration) = (child_end - child_start, parent_end - parent_start);
    let delta = if child_duration > parent_duration {
        // Asynchronous, or the parent gave up waiting: only its start is certain.
        (parent_start - child_start).max(0)
    } else if child_start >= parent_start && child_end <= parent_end {
        0
    } else {
        // The way there is taken to be as long as the way back.
        parent_start + (parent_duration - child_duration) / 2 - child_start
    };
    i64::try_from(delta).unwrap_or(if delta < 0 { i64::MIN } else { i64::MAX })
}

fn shift(trace: &mut EditableTrace, row: usize, delta: i64, delta_max: Duration) {
    let Some(editable) = trace.spans.get_mut(row) else { return };
    if delta == 0 {
        return;
    }
    let span = &mut editable.span;
    let delta_text = format_duration(delta);
    if delta.unsigned_abs() > delta_max.0 {
        let warning = if delta_max.0 == 0 {
            format!("clock skew adjustment disabled; not applying calculated delta of {delta_text}")
        } else {
            let max_text = format_duration(i64::try_from(delta_max.0).unwrap_or(i64::MAX));
            format!(
                "max clock skew adjustment delta of {max_text} exceeded; \
                 not applying calculated delta of {delta_text}"
            )
        };
        add_warning(span, &warning);
        return;
    }
    let moved = |time: Timestamp| Timestamp(time.0.saturating_add_signed(delta));
    span.start = moved(span.start);
    span.end = moved(span.end);
    for event in &mut span.events {
        event.time = moved(event.time);
    }
    add_warning(span, &format!("This span's timestamps were adjusted by {delta_text}"));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::pace::{Unhurried, unstopped};
    use model::span::{Event, ParentId};
    use model::testing::simple_span;
    use model::{Attribute, Span};

    use super::super::values::push_text_item;
    use super::*;
    use crate::adjust::take_warnings;

    const SECOND: Duration = Duration::from_secs(1);

    fn span(id: u64, parent: u64, host: &str, start: u64, end: u64) -> Span {
        let mut span = simple_span(1, id, start, end);
        if parent != 0 {
            span.parent = ParentId::Id(SpanId(parent.to_be_bytes()));
        }
        let attributes = vec![Attribute::new("host.name", host)];
        span.resource = Arc::new(Resource { attributes, ..Resource::default() });
        span
    }

    /// Starts, ends and warnings after correction.
    fn corrected(spans: Vec<Span>, delta_max: Duration) -> Vec<(u64, u64, Vec<String>)> {
        let mut trace = EditableTrace::from_spans(spans[0].trace_id, spans);
        unstopped(correct_clock_skew(&mut trace, delta_max, &Unhurried));
        let spans = trace.into_spans().into_iter();
        spans
            .map(|mut span| {
                let warnings = take_warnings(&mut span.attributes);
                let warnings = warnings.iter().map(ToString::to_string).collect();
                (span.start.0, span.end.0, warnings)
            })
            .collect()
    }

    fn moved(by: &str) -> Vec<String> {
        vec![format!("This span's timestamps were adjusted by {by}")]
    }

    #[test]
    fn a_child_of_another_host_is_centred_in_its_parent() {
        let spans = vec![span(1, 0, "a", 100, 200), span(2, 1, "b", 50, 110)];
        assert_eq!(corrected(spans, SECOND)[1], (120, 180, moved("70ns")));
    }

    #[test]
    fn a_child_that_fits_or_is_of_the_same_host_stays() {
        let times = [(100, 200), (100, 200), (50, 110)];
        let spans = vec![
            span(1, 0, "a", times[0].0, times[0].1),
            span(2, 1, "b", times[1].0, times[1].1),
            span(3, 1, "a", times[2].0, times[2].1),
        ];
        assert_eq!(corrected(spans, SECOND), times.map(|(start, end)| (start, end, Vec::new())));
    }

    #[test]
    fn unknown_hosts_are_never_the_same_host() {
        let spans = vec![span(1, 0, "", 100, 200), span(2, 1, "", 50, 110)];
        assert_eq!(corrected(spans, SECOND)[1], (120, 180, moved("70ns")));
    }

    #[test]
    fn a_child_longer_than_its_parent_only_must_not_start_before_it() {
        let spans =
            vec![span(1, 0, "a", 100, 200), span(2, 1, "b", 50, 250), span(3, 1, "c", 150, 350)];
        let found = corrected(spans, SECOND);
        assert_eq!(found[1], (100, 300, moved("50ns")));
        assert_eq!(found[2], (150, 350, Vec::new()));
    }

    #[test]
    fn spans_of_the_childs_host_move_along_with_their_events() {
        let mut grandchild = span(3, 2, "b", 60, 70);
        grandchild.events.push(Event {
            time: Timestamp(65),
            name: Text::EMPTY,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            unknown: Text::EMPTY,
        });
        let spans = vec![span(1, 0, "a", 100, 200), span(2, 1, "b", 50, 110), grandchild];
        let mut trace = EditableTrace::from_spans(spans[0].trace_id, spans);
        unstopped(correct_clock_skew(&mut trace, SECOND, &Unhurried));
        let grandchild = &trace.spans[2].span;
        assert_eq!((grandchild.start.0, grandchild.end.0), (130, 140));
        assert_eq!(grandchild.events[0].time, Timestamp(135));
    }

    #[test]
    fn beyond_the_maximum_nothing_moves() {
        let spans = || vec![span(1, 0, "a", 5_000, 6_000), span(2, 1, "b", 1_000, 1_500)];
        let disabled = "clock skew adjustment disabled; not applying calculated delta of 4.25µs";
        assert_eq!(corrected(spans(), Duration(0))[1], (1_000, 1_500, vec![disabled.to_owned()]));
        let exceeded = "max clock skew adjustment delta of 1µs exceeded; \
                        not applying calculated delta of 4.25µs";
        assert_eq!(corrected(spans(), Duration(1_000))[1].2, [exceeded]);
    }

    #[test]
    fn a_missing_parent_and_a_repeated_id_are_warned_of() {
        let spans =
            vec![span(1, 9, "a", 100, 200), span(2, 1, "b", 50, 110), span(2, 0, "b", 50, 110)];
        let found = corrected(spans, SECOND);
        let missing = "parent span ID=0000000000000009 is not in the trace; \
                       skipping clock skew adjustment";
        assert_eq!(found[0].2, [missing]);
        assert_eq!(found[1].2, moved("70ns"));
        assert_eq!(found[2].2, [DUPLICATE_SPAN_ID]);
    }

    #[test]
    fn cycles_and_chains_end() {
        let spans = vec![span(1, 2, "a", 100, 200), span(2, 1, "b", 0, 1), span(3, 3, "c", 0, 1)];
        assert!(corrected(spans, SECOND).iter().all(|(_, _, warnings)| warnings.is_empty()));
        let chain = (1..=50_000).map(|id| span(id, id - 1, "", 10, 20)).collect();
        assert!(corrected(chain, SECOND).iter().all(|(_, _, warnings)| warnings.is_empty()));
    }

    #[test]
    fn absurd_times_do_not_overflow() {
        let spans = vec![span(1, 0, "a", 0, 1), span(2, 1, "b", u64::MAX - 1, u64::MAX)];
        assert_eq!(corrected(spans, Duration(u64::MAX)).len(), 2);
    }

    #[test]
    fn hosts_are_told_apart_by_id_then_address_then_name() {
        let resource = |attributes: Vec<Attribute>| Resource { attributes, ..Resource::default() };
        let mut addresses = Vec::new();
        push_text_item(&mut addresses, b"10.0.0.1");
        let addresses = AttributeValue::Array(addresses.into());
        let name = || Attribute::new("host.name", "n");
        for (attributes, key) in [
            (vec![name(), Attribute::new("host.id", "i")], "i"),
            (vec![name(), Attribute::new("host.id", 5)], ""),
            (vec![name(), Attribute::new("host.ip", "10.0.0.2")], "10.0.0.2"),
            (vec![name(), Attribute::new("host.ip", addresses)], "10.0.0.1"),
            (vec![name(), Attribute::new("host.ip", AttributeValue::Array(Text::EMPTY))], "n"),
            (vec![name()], "n"),
            (Vec::new(), ""),
        ] {
            assert_eq!(host_key(&resource(attributes)), key);
        }
    }
}
