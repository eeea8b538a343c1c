//! Sixth adjuster: attributes of the telemetry library move from spans to their resource, where
//! the UI shows them once per process.

use std::sync::Arc;

use model::pace::{self, Pace};
use model::{Attribute, Span};

use super::{EditableTrace, add_warning};

const KEYS: [&str; 5] = [
    "telemetry.distro.name",
    "telemetry.distro.version",
    "telemetry.sdk.language",
    "telemetry.sdk.name",
    "telemetry.sdk.version",
];

/// Moves them. Where the resource already says something else, the span keeps its own and gets
/// a warning.
pub fn move_library_attributes<P: Pace>(
    trace: &mut EditableTrace,
    pace: &P,
) -> Result<(), P::Stop> {
    let EditableTrace { resources, spans, .. } = trace;
    pace::for_each(spans, pace, |editable| {
        if !editable.span.attributes.iter().any(is_library_attribute) {
            return;
        }
        if let Some(resource) = resources.get_mut(editable.resource) {
            let attributes = &mut Arc::make_mut(resource).attributes;
            move_attributes(&mut editable.span, attributes);
        }
    })
}

fn is_library_attribute(attribute: &Attribute) -> bool {
    KEYS.iter().any(|key| attribute.key == *key)
}

fn move_attributes(span: &mut Span, resource_attributes: &mut Vec<Attribute>) {
    for key in KEYS {
        let Some(position) = span.attributes.iter().position(|own| own.key == key) else {
            continue;
        };
        let Some(own) = span.attributes.get(position) else { continue };
        let existing = resource_attributes.iter().find(|existing| existing.key == key);
        match existing {
            Some(existing) if existing.value != own.value => {
                let warning =
                    format!("conflicting values between Span and Resource for attribute {key}");
                add_warning(span, &warning);
            }
            Some(_) => {
                span.attributes.remove(position);
            }
            None => resource_attributes.push(span.attributes.remove(position)),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::pace::{Unhurried, unstopped};
    use model::testing::simple_span;
    use model::{Resource, Text};

    use super::*;
    use crate::adjust::take_warnings;

    #[test]
    fn they_move_to_the_resource_unless_it_disagrees() {
        let mut span = simple_span(1, 1, 0, 1);
        let language = || Attribute::new("telemetry.sdk.language", "go");
        let version = |version: &str| Attribute::new("telemetry.sdk.version", version);
        let distribution = || Attribute::new("telemetry.distro.name", "d");
        let attributes = vec![language(), version("1")];
        span.resource = Arc::new(Resource { attributes, ..Resource::default() });
        span.attributes = vec![distribution(), language(), version("2"), Attribute::new("x", 1)];
        let mut trace = EditableTrace::from_spans(span.trace_id, vec![span]);
        unstopped(move_library_attributes(&mut trace, &Unhurried));
        let mut span = trace.into_spans().remove(0);
        assert_eq!(span.resource.attributes, [language(), version("1"), distribution()]);
        let warning = "conflicting values between Span and Resource for attribute \
                       telemetry.sdk.version";
        assert_eq!(take_warnings(&mut span.attributes), [Text::from(warning)]);
        assert_eq!(span.attributes, [version("2"), Attribute::new("x", 1)]);
    }
}
