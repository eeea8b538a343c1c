//! A trace that may be changed: spans that name their resource and scope by number.
//!
//! Stored spans share their resources by reference, and equal resources may come as different
//! references (they lie in different batches). Here each distinct resource and scope stands
//! once, so that a rule about a resource is applied once and seen by all its spans.
//!
//! Invariant: `EditableSpan::resource` and `scope` are valid indexes. The `resource` and
//! `scope` inside `EditableSpan::span` are those that were stored and are never read here.

use std::sync::Arc;

use model::pace::{self, Pace, Unhurried, unstopped};
use model::store::Trace;
use model::{Resource, Scope, Span, TraceId};

use super::intern::Interner;
use super::warnings::add_warning;

/// A trace under repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditableTrace {
    /// Its id.
    pub trace_id: TraceId,
    /// Its distinct resources, by first appearance.
    pub resources: Vec<Arc<Resource>>,
    /// Its distinct scopes, by first appearance.
    pub scopes: Vec<Arc<Scope>>,
    /// Its spans.
    pub spans: Vec<EditableSpan>,
}

/// A span under repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditableSpan {
    /// Index of its resource.
    pub resource: usize,
    /// Index of its scope.
    pub scope: usize,
    /// Everything else.
    pub span: Span,
}

impl EditableTrace {
    /// The trace as it was stored. A trace that was cut off gets Jaeger's warning about that on
    /// its first span.
    pub fn from_trace<P: Pace>(trace: Trace, pace: &P) -> Result<Self, P::Stop> {
        let shown = trace.spans.len();
        let mut editable = Self::within(trace.trace_id, trace.spans, pace)?;
        if let (Some(_), Some(first)) = (trace.truncated, editable.spans.first_mut()) {
            let warning =
                format!("trace has more than {shown} spans, showing first {shown} spans only");
            add_warning(&mut first.span, &warning);
        }
        Ok(editable)
    }

    /// A trace of these spans.
    pub fn from_spans(trace_id: TraceId, spans: Vec<Span>) -> Self {
        unstopped(Self::within(trace_id, spans, &Unhurried))
    }

    fn within<P: Pace>(trace_id: TraceId, spans: Vec<Span>, pace: &P) -> Result<Self, P::Stop> {
        let mut resources = Interner::default();
        let mut scopes = Interner::default();
        // Each span keeps its references, as the interners ask of their caller.
        let editable = |span: Span| EditableSpan {
            resource: resources.index_of(&span.resource),
            scope: scopes.index_of(&span.scope),
            span,
        };
        let spans = pace::collect(spans.into_iter().map(editable), pace)?;
        let (resources, scopes) = (resources.into_values(), scopes.into_values());
        Ok(Self { trace_id, resources, scopes, spans })
    }

    /// The spans with their repaired resources and scopes.
    pub fn into_spans(self) -> Vec<Span> {
        let Self { resources, scopes, spans, .. } = self;
        spans
            .into_iter()
            .map(|mut editable| {
                if let Some(resource) = resources.get(editable.resource) {
                    editable.span.resource = Arc::clone(resource);
                }
                if let Some(scope) = scopes.get(editable.scope) {
                    editable.span.scope = Arc::clone(scope);
                }
                editable.span
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use model::Attribute;
    use model::testing::simple_span;

    use super::*;
    use crate::adjust::take_warnings;

    #[test]
    fn equal_resources_become_one() {
        let named = |id: u64, name: &str| {
            let mut span = simple_span(1, id, 0, 1);
            let attributes = vec![Attribute::new("service.name", name)];
            span.resource = Arc::new(Resource { attributes, ..Resource::default() });
            span
        };
        let spans = vec![named(1, "a"), named(2, "b"), named(3, "a")];
        let trace = EditableTrace::from_spans(spans[0].trace_id, spans.clone());
        let resources: Vec<_> = trace.spans.iter().map(|span| span.resource).collect();
        assert_eq!((resources, trace.resources.len(), trace.scopes.len()), (vec![0, 1, 0], 2, 1));
        assert_eq!(trace.into_spans(), spans);
    }

    #[test]
    fn a_trace_cut_off_says_so_on_its_first_span() {
        let spans = vec![simple_span(1, 1, 0, 1), simple_span(1, 2, 0, 1)];
        let trace = Trace { trace_id: spans[0].trace_id, spans, truncated: Some(9) };
        let mut spans = unstopped(EditableTrace::from_trace(trace, &Unhurried)).into_spans();
        let warnings = take_warnings(&mut spans[0].attributes);
        assert_eq!(warnings[0], "trace has more than 2 spans, showing first 2 spans only");
        assert!(spans[1].attributes.is_empty());
    }
}
