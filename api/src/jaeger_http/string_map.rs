//! A JSON object of strings, the form in which tags are asked for, with Go's words for what is
//! not one.

use std::collections::BTreeMap;

use super::go_parse::quote;

/// Reads one. As in Go, `null` is an empty string or an empty map.
pub(super) fn parse_string_map(text: &str) -> Result<BTreeMap<String, String>, String> {
    let parsed = serde_json::from_str(text).map_err(|error| json_words(text, &error))?;
    let members = match parsed {
        serde_json::Value::Null => return Ok(BTreeMap::new()),
        serde_json::Value::Object(members) => members,
        other => {
            let found = json_type(&other);
            return Err(format!(
                "json: cannot unmarshal {found} into Go value of type map[string]string"
            ));
        }
    };
    members
        .into_iter()
        .map(|(key, value)| match value {
            serde_json::Value::String(text) => Ok((key, text)),
            serde_json::Value::Null => Ok((key, String::new())),
            other => Err(format!(
                "json: cannot unmarshal {} into Go value of type string",
                json_type(&other)
            )),
        })
        .collect()
}

fn json_type(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "bool",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Array(_) => "array",
        serde_json::Value::Object(_) => "object",
    }
}

/// Go's words for JSON that is none, as far as they can be told from the place of the error.
fn json_words(text: &str, error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    let line = text.split('\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let at = error.column().saturating_sub(1);
    let behind = line.get(at..).and_then(|rest| rest.chars().next());
    let before = line.get(..at).unwrap_or_default().trim_end();
    let Some(character) = behind else { return error.to_string() };
    let place = match before.chars().next_back() {
        Some('{') => "looking for beginning of object key string",
        Some('"') if before.contains(':') => "after object key:value pair",
        Some('"') => "after object key",
        Some('}' | ']') => "after top-level value",
        _ => "looking for beginning of value",
    };
    let quoted = quote(&character.to_string());
    let inner = quoted.trim_start_matches('"').trim_end_matches('"');
    format!("invalid character '{inner}' {place}")
}
