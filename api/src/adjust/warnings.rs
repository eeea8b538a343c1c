//! Jaeger's warnings on a span: a list of texts under one reserved attribute, so that they
//! travel through OTLP; in Jaeger's own JSON they become the span's `warnings`.

use model::{Attribute, AttributeValue, Span, Text};

use super::values::{list_items, push_text_item, string_form};

/// The attribute under which warnings travel.
pub const WARNINGS_KEY: &str = "@jaeger@warnings";

/// Adds a warning to the span.
pub fn add_warning(span: &mut Span, warning: &str) {
    let position = span.attributes.iter().position(|attribute| attribute.key == WARNINGS_KEY);
    let current = position.and_then(|position| span.attributes.get_mut(position));
    let Some(attribute) = current else {
        let mut items = Vec::new();
        push_text_item(&mut items, warning.as_bytes());
        span.attributes.push(Attribute {
            key: Text::from_static(WARNINGS_KEY),
            value: AttributeValue::Array(items.into()),
        });
        return;
    };
    let mut items = match &attribute.value {
        AttributeValue::Array(items) => items.as_bytes().to_vec(),
        // A client may send the reserved key itself; what it said stays the first warning.
        other => {
            let mut items = Vec::new();
            push_text_item(&mut items, string_form(other).as_bytes());
            items
        }
    };
    push_text_item(&mut items, warning.as_bytes());
    attribute.value = AttributeValue::Array(items.into());
}

/// Takes the warnings out of the attributes. An empty list stays where it is, as Jaeger leaves
/// it.
pub fn take_warnings(attributes: &mut Vec<Attribute>) -> Vec<Text> {
    let Some(position) = attributes.iter().position(|attribute| attribute.key == WARNINGS_KEY)
    else {
        return Vec::new();
    };
    let warnings = match attributes.get(position).map(|attribute| &attribute.value) {
        Some(AttributeValue::Array(items)) => list_items(items)
            .into_iter()
            .map(|item| item.as_text().cloned().unwrap_or_default())
            .collect(),
        Some(other) => vec![string_form(other)],
        None => Vec::new(),
    };
    if !warnings.is_empty() {
        attributes.retain(|attribute| attribute.key != WARNINGS_KEY);
    }
    warnings
}

#[cfg(test)]
mod tests {
    use model::testing::simple_span;

    use super::*;

    #[test]
    fn warnings_gather_in_one_attribute_and_come_out_in_order() {
        let mut span = simple_span(1, 1, 0, 1);
        span.attributes.push(Attribute::new("a", "b"));
        add_warning(&mut span, "first");
        add_warning(&mut span, "");
        add_warning(&mut span, "third");
        assert_eq!(span.attributes.len(), 2);
        assert_eq!(take_warnings(&mut span.attributes), ["first", "", "third"].map(Text::from));
        assert_eq!(span.attributes, [Attribute::new("a", "b")]);
    }

    #[test]
    fn what_a_client_put_there_is_the_first_warning() {
        let mut span = simple_span(1, 1, 0, 1);
        span.attributes.push(Attribute::new(WARNINGS_KEY, 7));
        add_warning(&mut span, "second");
        assert_eq!(take_warnings(&mut span.attributes), ["7", "second"].map(Text::from));
        span.attributes.push(Attribute::new(WARNINGS_KEY, "text"));
        assert_eq!(take_warnings(&mut span.attributes), ["text"].map(Text::from));
        span.attributes.push(Attribute::new(WARNINGS_KEY, AttributeValue::Array(Text::EMPTY)));
        assert!(take_warnings(&mut span.attributes).is_empty());
        assert_eq!(span.attributes.len(), 1, "an empty list stays");
    }
}
