//! Seventh adjuster: links to nowhere go.

use model::TraceId;
use model::pace::{self, Pace};
use model::span::Link;

use super::{EditableTrace, add_warning};

const WARNING: &str = "Invalid span link removed";

/// Removes links without a valid trace id, with one warning for each.
pub fn remove_empty_links<P: Pace>(trace: &mut EditableTrace, pace: &P) -> Result<(), P::Stop> {
    pace::for_each(&mut trace.spans, pace, |editable| {
        let span = &mut editable.span;
        let before = span.links.len();
        span.links.retain(is_valid);
        for _ in span.links.len()..before {
            add_warning(span, WARNING);
        }
    })
}

/// Sixteen bytes that are not all zero. Jaeger never sees another length: its decoder refuses
/// the whole request, where Skua keeps what came.
fn is_valid(link: &Link) -> bool {
    TraceId::from_slice(link.trace_id.as_bytes()).is_some_and(|id| !id.is_zero())
}

#[cfg(test)]
mod tests {
    use model::Text;
    use model::pace::{Unhurried, unstopped};
    use model::testing::simple_span;

    use super::*;
    use crate::adjust::take_warnings;

    fn link(trace_id: &[u8]) -> Link {
        Link {
            trace_id: Text::copy_from(trace_id),
            span_id: Text::copy_from(&[1; 8]),
            trace_state: Text::EMPTY,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            flags: 0,
            unknown: Text::EMPTY,
        }
    }

    #[test]
    fn each_link_to_nowhere_is_one_warning() {
        let mut span = simple_span(1, 1, 0, 1);
        span.links = vec![link(&[0; 16]), link(&[1; 16]), link(&[]), link(&[1; 15])];
        let mut trace = EditableTrace::from_spans(span.trace_id, vec![span]);
        unstopped(remove_empty_links(&mut trace, &Unhurried));
        let mut span = trace.into_spans().remove(0);
        assert_eq!(span.links, [link(&[1; 16])]);
        assert_eq!(take_warnings(&mut span.attributes), [WARNING; 3].map(Text::from));
    }
}
