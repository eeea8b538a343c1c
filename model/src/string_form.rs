//! The string form of a value: what Jaeger shows for it and compares a tag in a search with.
//!
//! The form is that of OpenTelemetry's Go library: decimal integers, `true` and `false`, doubles
//! with the fewest digits that read back (exponents only below 1e-6 and from 1e21), bytes in
//! base64, lists and maps as JSON with keys sorted and `<`, `>`, `&` escaped. A list or map with
//! a number that JSON cannot carry (`NaN`, the infinities) has the empty form, as there. Parts
//! of a value that this version does not know are skipped.
//!
//! Text is taken as it is: a string's form is its bytes, UTF-8 or not. Descends at most
//! [`nested::DEPTH_MAX`] levels; what lies deeper is `null`.

use std::collections::BTreeMap;
use std::io::Write;

use crate::nested;
use crate::value::ValueRef;

/// Appends the string form of `value` to `out`.
pub fn write_string_form(value: ValueRef<'_>, out: &mut Vec<u8>) {
    match nested::known_part(value) {
        ValueRef::String(text) => out.extend_from_slice(text),
        ValueRef::Bool(truth) => out.extend_from_slice(bool_form(truth)),
        ValueRef::Int(number) => write_int(number, out),
        ValueRef::Double(number) => write_double(number, out),
        ValueRef::Bytes(bytes) => write_base64(bytes, out),
        nested @ (ValueRef::Array(_) | ValueRef::KeyValueList(_)) => {
            let length_before = out.len();
            if write_json(nested, nested::DEPTH_MAX, out).is_err() {
                out.truncate(length_before);
            }
        }
        ValueRef::Missing
        | ValueRef::Empty
        // A known part is never opaque.
        | ValueRef::Opaque(_)
        | ValueRef::OpaquePair(_) => {}
    }
}

/// The string form of `value`.
pub fn string_form(value: ValueRef<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_string_form(value, &mut out);
    out
}

/// Whether the string form of `value` is `text`. Does not allocate for strings and truth values.
pub fn equals_string_form(value: ValueRef<'_>, text: &[u8]) -> bool {
    match nested::known_part(value) {
        ValueRef::String(own) => own == text,
        ValueRef::Bool(truth) => bool_form(truth) == text,
        ValueRef::Missing | ValueRef::Empty => text.is_empty(),
        other => string_form(other) == text,
    }
}

fn bool_form(truth: bool) -> &'static [u8] {
    if truth { b"true" } else { b"false" }
}

fn write_int(number: i64, out: &mut Vec<u8>) {
    // Writing to memory cannot fail.
    let _ = write!(out, "{number}");
}

fn write_double(number: f64, out: &mut Vec<u8>) {
    if number.is_finite() {
        write_finite_double(number, out);
        return;
    }
    let name = if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    };
    let _ = write!(out, "json: unsupported value: {name}");
}

/// JSON's form of a number, with the exponent as `e+21` or `e-7`.
fn write_finite_double(number: f64, out: &mut Vec<u8>) {
    let size = number.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        let _ = write!(out, "{number}");
        return;
    }
    let form = format!("{number:e}");
    match form.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => {
            let _ = write!(out, "{digits}e+{exponent}");
        }
        _ => out.extend_from_slice(form.as_bytes()),
    }
}

const BASE64_DIGITS: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[expect(clippy::indexing_slicing, reason = "six bits index 64 digits")]
fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(group);
        for place in 0..4 {
            if place <= chunk.len() {
                let digit = (bits >> (18 - 6 * place)) & 0x3f;
                out.push(BASE64_DIGITS[digit as usize]);
            } else {
                out.push(b'=');
            }
        }
    }
}

/// A number stands in the value that JSON cannot carry.
struct NotJson;

fn write_json(value: ValueRef<'_>, depth_left: usize, out: &mut Vec<u8>) -> Result<(), NotJson> {
    let Some(depth_left) = depth_left.checked_sub(1) else {
        out.extend_from_slice(b"null");
        return Ok(());
    };
    match nested::known_part(value) {
        ValueRef::String(text) => write_json_string(text, out),
        ValueRef::Bool(truth) => out.extend_from_slice(bool_form(truth)),
        ValueRef::Int(number) => write_int(number, out),
        ValueRef::Double(number) if number.is_finite() => write_finite_double(number, out),
        ValueRef::Double(_) => return Err(NotJson),
        ValueRef::Bytes(bytes) => {
            out.push(b'"');
            write_base64(bytes, out);
            out.push(b'"');
        }
        ValueRef::Array(message) => write_json_array(message, depth_left, out)?,
        ValueRef::KeyValueList(message) => write_json_object(message, depth_left, out)?,
        ValueRef::Missing | ValueRef::Empty | ValueRef::Opaque(_) | ValueRef::OpaquePair(_) => {
            out.extend_from_slice(b"null");
        }
    }
    Ok(())
}

fn write_json_array(message: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), NotJson> {
    out.push(b'[');
    for (place, item) in nested::array_items(message).enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_json(item, depth, out)?;
    }
    out.push(b']');
    Ok(())
}

/// Keys sorted by bytes; of equal keys the last counts.
fn write_json_object(message: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), NotJson> {
    let pairs: BTreeMap<&[u8], ValueRef<'_>> = nested::pairs(message).collect();
    out.push(b'{');
    for (place, (key, value)) in pairs.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_json_string(key, out);
        out.push(b':');
        write_json(value, depth, out)?;
    }
    out.push(b'}');
    Ok(())
}

/// A JSON string that is also safe inside HTML; each invalid byte becomes `\ufffd`.
fn write_json_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            write_json_character(character, out);
        }
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.push(b'"');
}

fn write_json_character(character: char, out: &mut Vec<u8>) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
            let _ = write!(out, "\\u{:04x}", u32::from(character));
        }
        plain => out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(value: ValueRef<'_>) -> String {
        let form = string_form(value);
        assert!(equals_string_form(value, &form));
        assert!(!equals_string_form(value, b"something else"));
        String::from_utf8(form).unwrap()
    }

    #[test]
    fn plain_values() {
        assert_eq!(form(ValueRef::Missing), "");
        assert_eq!(form(ValueRef::Empty), "");
        assert_eq!(form(ValueRef::String(b"a<b")), "a<b");
        assert_eq!(form(ValueRef::Bool(true)), "true");
        assert_eq!(form(ValueRef::Int(i64::MIN)), "-9223372036854775808");
        assert_eq!(form(ValueRef::Bytes(b"")), "");
        assert_eq!(form(ValueRef::Bytes(b"f")), "Zg==");
        assert_eq!(form(ValueRef::Bytes(b"fo")), "Zm8=");
        assert_eq!(form(ValueRef::Bytes(b"\xff\xfe\xfd")), "//79");
    }

    #[test]
    fn doubles_have_the_fewest_digits() {
        for (number, expected) in [
            (72.5, "72.5"),
            (100.0, "100"),
            (0.0, "0"),
            (-0.0, "-0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.5e300, "-1.5e+300"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (5e-324, "5e-324"),
            (f64::NAN, "json: unsupported value: NaN"),
            (f64::INFINITY, "json: unsupported value: +Inf"),
            (f64::NEG_INFINITY, "json: unsupported value: -Inf"),
        ] {
            assert_eq!(form(ValueRef::Double(number)), expected);
        }
    }

    #[test]
    fn lists_and_maps_are_json() {
        let mut list = Vec::new();
        nested::encode_array(
            [
                ValueRef::String(b"<a&\"\\\n\x01\xff\xe2\x82\xe2\x80\xa8\xc3\xa4"),
                ValueRef::Double(1e21),
                ValueRef::Empty,
                ValueRef::Bytes(b"f"),
            ],
            &mut list,
        );
        let list_form =
            r#"["\u003ca\u0026\"\\\n\u0001\ufffd\ufffd\ufffd\u2028ä",1e+21,null,"Zg=="]"#;
        assert_eq!(form(ValueRef::Array(&list)), list_form);
        let mut map = Vec::new();
        nested::encode_pairs(
            [
                (b"z".as_slice(), ValueRef::Int(1)),
                (b"a".as_slice(), ValueRef::Array(b"")),
                (b"z".as_slice(), ValueRef::Int(2)),
            ],
            &mut map,
        );
        assert_eq!(form(ValueRef::KeyValueList(&map)), r#"{"a":[],"z":2}"#);
        nested::encode_pairs([(b"n".as_slice(), ValueRef::Double(f64::NAN))], &mut map);
        assert_eq!(form(ValueRef::KeyValueList(&map)), "");
    }

    #[test]
    fn unknown_parts_are_skipped() {
        assert_eq!(form(ValueRef::Opaque(b"\x0a\x01x\xc0\x0c\x01")), "x");
        assert_eq!(form(ValueRef::OpaquePair(b"\x0a\x01k\x12\x02\x18\x05\xc0\x0c\x01")), "5");
    }

    #[test]
    fn descends_a_bounded_number_of_levels() {
        let mut message = Vec::new();
        for _ in 0..1_000 {
            let mut outer = Vec::new();
            nested::encode_array([ValueRef::Array(&message)], &mut outer);
            message = outer;
        }
        let form = form(ValueRef::Array(&message));
        assert_eq!(form.matches('[').count(), nested::DEPTH_MAX);
        assert!(form.contains("null"));
    }
}
