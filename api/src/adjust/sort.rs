//! Second adjuster: attributes by key, events by name.
//!
//! Jaeger rebuilds each attribute list as a map, so of attributes with one key only the last
//! remains. Events are sorted by *name*, not by time.

use std::sync::Arc;

use model::Attribute;
use model::pace::{self, Pace};

use super::EditableTrace;

/// Sorts every list of attributes by key and the events of each span by name.
pub fn sort_collections<P: Pace>(trace: &mut EditableTrace, pace: &P) -> Result<(), P::Stop> {
    for resource in &mut trace.resources {
        if !is_sorted(&resource.attributes) {
            sort_attributes(&mut Arc::make_mut(resource).attributes);
        }
    }
    for scope in &mut trace.scopes {
        if !is_sorted(&scope.attributes) {
            sort_attributes(&mut Arc::make_mut(scope).attributes);
        }
    }
    pace::for_each(&mut trace.spans, pace, |editable| {
        let span = &mut editable.span;
        sort_attributes(&mut span.attributes);
        span.events.sort_by(|left, right| left.name.cmp(&right.name));
        for event in &mut span.events {
            sort_attributes(&mut event.attributes);
        }
        for link in &mut span.links {
            sort_attributes(&mut link.attributes);
        }
    })
}

fn is_sorted(attributes: &[Attribute]) -> bool {
    attributes.is_sorted_by(|left, right| left.key < right.key)
}

/// Sorts by key; of equal keys the last one stays.
fn sort_attributes(attributes: &mut Vec<Attribute>) {
    if is_sorted(attributes) {
        return;
    }
    attributes.sort_by(|left, right| left.key.cmp(&right.key));
    attributes.dedup_by(|later, kept| {
        let same = later.key == kept.key;
        if same {
            std::mem::swap(&mut later.value, &mut kept.value);
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use model::pace::{Unhurried, unstopped};
    use model::span::{Event, Link};
    use model::testing::simple_span;
    use model::{Resource, Scope, Text, Timestamp};

    use super::*;

    fn unsorted() -> Vec<Attribute> {
        vec![Attribute::new("b", 1), Attribute::new("a", 2), Attribute::new("b", 3)]
    }

    fn event(name: &str, time: u64) -> Event {
        Event {
            time: Timestamp(time),
            name: name.into(),
            attributes: unsorted(),
            dropped_attributes_count: 0,
            unknown: Text::EMPTY,
        }
    }

    #[test]
    fn every_list_is_sorted_and_the_last_of_a_key_stays() {
        let mut span = simple_span(1, 1, 0, 1);
        span.resource = Arc::new(Resource { attributes: unsorted(), ..Resource::default() });
        span.scope = Arc::new(Scope { attributes: unsorted(), ..Scope::default() });
        span.attributes = unsorted();
        span.events = vec![event("z", 1), event("a", 3), event("a", 2)];
        span.links = vec![Link {
            trace_id: Text::EMPTY,
            span_id: Text::EMPTY,
            trace_state: Text::EMPTY,
            attributes: unsorted(),
            dropped_attributes_count: 0,
            flags: 0,
            unknown: Text::EMPTY,
        }];
        let mut trace = EditableTrace::from_spans(span.trace_id, vec![span]);
        unstopped(sort_collections(&mut trace, &Unhurried));
        let span = trace.into_spans().remove(0);
        let sorted = [Attribute::new("a", 2), Attribute::new("b", 3)];
        for attributes in [
            &span.resource.attributes,
            &span.scope.attributes,
            &span.attributes,
            &span.events[0].attributes,
            &span.links[0].attributes,
        ] {
            assert_eq!(*attributes, sorted);
        }
        // By name, and of one name as they were: not by time.
        let events: Vec<_> = span.events.iter().map(|e| (e.name.to_string(), e.time.0)).collect();
        assert_eq!(events, [("a".to_owned(), 3), ("a".to_owned(), 2), ("z".to_owned(), 1)]);
    }
}
