//! What a question for figures may take from rollups: which minutes, which classes.
//!
//! A minute is *whole* for a question if every span that starts in it counts, and in one time bin.
//! Spans of whole minutes come from rollups, those of the others (a first, a last, one with an edge
//! of a bin in it) from columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::aggregate::{AggregateKind, AggregateQuery, time_bin};
use model::effective::SERVICE_NAME_KEY;
use model::query::{Field, SpanPredicate, span_matches};
use model::span::{ParentId, Status};
use model::{
    Attribute, AttributeValue, Duration, Resource, Scope, Span, SpanId, Text, TimeRange, Timestamp,
    TraceId,
};

use crate::block::PageInfo;
use crate::block::rollup::{MINUTE_NANOSECONDS, minute_of};
use crate::block::zones::ZoneClass;

/// Minutes of a page that are looked at one by one; a page over more is taken for one that is cut.
const PAGE_MINUTES_MAX: u64 = 4_096;

/// Which minutes are whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Minutes {
    window: TimeRange,
    step: Option<Duration>,
}

impl Minutes {
    /// Of a question without time bins.
    pub(super) fn within(window: TimeRange) -> Self {
        Self { window, step: None }
    }

    /// Of a question for figures.
    pub(super) fn of(query: &AggregateQuery) -> Self {
        let step = match query.kind {
            AggregateKind::Heatmap { step } | AggregateKind::Red { step, .. } => Some(step),
            AggregateKind::Totals | AggregateKind::TopValues { .. } => None,
        };
        Self { window: query.window, step }
    }

    /// The time bin of a minute, if it is whole.
    pub(super) fn bin(&self, minute: u64) -> Option<u64> {
        let start = Timestamp(minute.checked_mul(MINUTE_NANOSECONDS)?);
        let end = start.saturating_add(Duration(MINUTE_NANOSECONDS - 1));
        if !self.window.contains(start) || !self.window.contains(end) {
            return None;
        }
        let Some(step) = self.step else { return Some(0) };
        let bin = |moment| time_bin(moment, self.window.start, step);
        (bin(start) == bin(end)).then(|| bin(start))
    }

    /// Whether a moment lies in a whole minute.
    pub(super) fn has(&self, moment: Timestamp) -> bool {
        self.bin(minute_of(moment)).is_some()
    }

    /// Whether a moment lies in the window, and not in a whole minute.
    pub(super) fn cuts(&self, moment: Timestamp) -> bool {
        self.window.contains(moment) && !self.has(moment)
    }

    /// Whether every minute is whole but for those that the window's ends cut.
    fn is_regular(&self) -> bool {
        let is_even = |nanoseconds: u64| nanoseconds.is_multiple_of(MINUTE_NANOSECONDS);
        self.step.is_none_or(|step| is_even(step.0) && is_even(self.window.start.0))
    }

    /// Which kinds of minutes the spans of a page may be in.
    pub(super) fn of_page(&self, page: &PageInfo) -> PageMinutes {
        let start = page.start_min.max(self.window.start);
        let end = page.start_max.min(self.window.end);
        if end < start {
            return PageMinutes { has_whole: false, has_cut: false };
        }
        let (first, last) = (minute_of(start), minute_of(end));
        if self.is_regular() {
            let (first_is_whole, last_is_whole) =
                (self.bin(first).is_some(), self.bin(last).is_some());
            let has_whole = first_is_whole || last_is_whole || last - first >= 2;
            return PageMinutes { has_whole, has_cut: !first_is_whole || !last_is_whole };
        }
        if last - first >= PAGE_MINUTES_MAX {
            return PageMinutes { has_whole: true, has_cut: true };
        }
        let mut found = PageMinutes { has_whole: false, has_cut: false };
        for minute in first..=last {
            let is_whole = self.bin(minute).is_some();
            found.has_whole |= is_whole;
            found.has_cut |= !is_whole;
        }
        found
    }
}

/// Which kinds of minutes a page has.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageMinutes {
    pub(super) has_whole: bool,
    pub(super) has_cut: bool,
}

/// Whether classes decide a predicate.
pub(super) fn is_by_class(predicate: &SpanPredicate) -> bool {
    match predicate {
        SpanPredicate::True => true,
        SpanPredicate::All(parts) | SpanPredicate::Any(parts) => parts.iter().all(is_by_class),
        SpanPredicate::Not(inner) => is_by_class(inner),
        SpanPredicate::Field(field, _) => {
            matches!(field, Field::Service | Field::Operation | Field::Kind | Field::Status)
        }
        SpanPredicate::JaegerTag { .. } | SpanPredicate::Mentions(_) => false,
    }
}

/// Whether the spans of a class pass a predicate that classes decide.
pub(super) fn class_passes(predicate: &SpanPredicate, class: &ZoneClass) -> bool {
    *predicate == SpanPredicate::True || span_matches(predicate, &span_of(class))
}

/// A span that has the service, operation, kind and status of a class. Effective names are their
/// own effective names.
fn span_of(class: &ZoneClass) -> Span {
    let service = AttributeValue::String(class.service.clone());
    let service = Attribute { key: Text::from_static(SERVICE_NAME_KEY), value: service };
    Span {
        resource: Arc::new(Resource { attributes: vec![service], ..Resource::default() }),
        scope: Arc::new(Scope::default()),
        trace_id: TraceId::default(),
        span_id: SpanId::default(),
        parent: ParentId::None,
        trace_state: Text::EMPTY,
        flags: 0,
        name: class.operation.clone(),
        kind: class.kind,
        start: Timestamp(0),
        end: Timestamp(0),
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        dropped_attributes_count: 0,
        dropped_events_count: 0,
        dropped_links_count: 0,
        status: Some(Status { code: class.status, ..Status::default() }),
        unknown: Text::EMPTY,
    }
}

/// Numbers for things that come again and again. Grows only.
#[derive(Debug, Clone)]
pub(super) struct Numbered<T> {
    things: Vec<T>,
    numbers: BTreeMap<T, u32>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { things: Vec::new(), numbers: BTreeMap::new() }
    }
}

impl<T: Ord + Clone> Numbered<T> {
    /// The number of a thing; `own` makes the copy that is kept.
    pub(super) fn number(&mut self, thing: &T, own: impl FnOnce() -> T) -> u32 {
        if let Some(number) = self.numbers.get(thing) {
            return *number;
        }
        let number = u32::try_from(self.things.len()).unwrap_or(u32::MAX);
        let own = own();
        self.things.push(own.clone());
        self.numbers.insert(own, number);
        number
    }

    pub(super) fn things(&self) -> &[T] {
        &self.things
    }
}
