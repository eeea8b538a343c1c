//! Values inside values: lists as owned items, and the string form of any value.

use model::value::ValueRef;
use model::{AttributeValue, Text, nested, string_form as form};

/// The items of a list (the content of [`AttributeValue::Array`]).
pub fn list_items(list: &Text) -> Vec<AttributeValue> {
    nested::array_items(list.as_bytes()).map(|item| item.to_owned()).collect()
}

/// The string form of a value, as `model::string_form` defines it.
pub fn string_form(value: &AttributeValue) -> Text {
    if let AttributeValue::String(text) = value {
        return text.clone();
    }
    let mut out = Vec::new();
    form::write_string_form(value.as_ref(), &mut out);
    out.into()
}

/// Appends a text to a list under construction.
pub(super) fn push_text_item(list: &mut Vec<u8>, text: &[u8]) {
    nested::encode_array([ValueRef::String(text)], list);
}
