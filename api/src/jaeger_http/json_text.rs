//! The smallest pieces of JSON, written as Go's `encoding/json` writes them: the same escapes,
//! the same numbers, the same indentation. Everything goes straight into one buffer.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Appends a string. Bytes that are not UTF-8 become U+FFFD; `<`, `>` and `&` are escaped, so
/// that the text is harmless inside HTML.
pub(crate) fn push_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let repaired = String::from_utf8_lossy(bytes);
    let mut rest = repaired.as_bytes();
    out.push(b'"');
    while let Some(at) = rest.iter().position(|byte| is_special(*byte)) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        rest = push_special(out, special);
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Whether a byte needs a closer look. The last is the first byte of U+2028 and U+2029, which
/// end a line in JavaScript but not in JSON.
fn is_special(byte: u8) -> bool {
    matches!(byte, 0..0x20 | b'"' | b'\\' | b'<' | b'>' | b'&' | 0xe2)
}

/// Appends the special byte at the start of `text`, escaped if need be, and returns what
/// follows.
fn push_special<'a>(out: &mut Vec<u8>, text: &'a [u8]) -> &'a [u8] {
    let Some((byte, rest)) = text.split_first() else { return text };
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0c => out.extend_from_slice(b"\\f"),
        0xe2 => match rest.split_first_chunk() {
            Some(([0x80, last @ (0xa8 | 0xa9)], behind)) => {
                let _ = write!(out, "\\u202{:x}", last & 0x0f);
                return behind;
            }
            _ => out.push(*byte),
        },
        _ => {
            let _ = write!(out, "\\u{byte:04x}");
        }
    }
    rest
}

/// Appends lower-case hexadecimal digits, two a byte.
pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
    for byte in bytes {
        out.extend_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
    }
}

/// Appends bytes as a string in base64.
pub(crate) fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
    out.push(b'"');
}

/// Appends an integer.
pub(crate) fn push_int(out: &mut Vec<u8>, number: i64) {
    let _ = write!(out, "{number}");
}

/// Appends an unsigned integer.
pub(crate) fn push_uint(out: &mut Vec<u8>, number: u64) {
    let _ = write!(out, "{number}");
}

/// Appends a finite number in the shortest form that reads back the same; false, and nothing
/// appended, for `NaN` and the infinities, which JSON does not have.
pub(crate) fn push_double(out: &mut Vec<u8>, number: f64) -> bool {
    if !number.is_finite() {
        return false;
    }
    let magnitude = number.abs();
    // The bounds are Go's; zero is written plainly.
    if magnitude > 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{number:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                let _ = write!(out, "{digits}e+{exponent}");
            }
            _ => out.extend_from_slice(text.as_bytes()),
        }
    } else {
        let _ = write!(out, "{number}");
    }
    true
}

/// Appends a separator unless nothing stands before it in its list or object.
pub(crate) fn push_comma(out: &mut Vec<u8>) {
    if !matches!(out.last(), Some(b'[' | b'{') | None) {
        out.push(b',');
    }
}

/// Appends `"name":`, with a separator if needed. Names need no escapes.
pub(crate) fn push_name(out: &mut Vec<u8>, name: &'static str) {
    push_comma(out);
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// The same JSON, laid out for people with four spaces a level.
pub(crate) fn indent(compact: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(compact.len() * 2);
    Indenter::default().push(compact, &mut out);
    out
}

/// Lays out JSON that comes in pieces.
#[derive(Debug, Default)]
pub(crate) struct Indenter {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// A list or an object has begun, and it is not known whether it is empty.
    has_begun: bool,
}

impl Indenter {
    /// Appends what follows.
    pub(crate) fn push(&mut self, compact: &[u8], out: &mut Vec<u8>) {
        for byte in compact.iter().copied() {
            if self.in_string {
                out.push(byte);
                self.in_string = self.escaped || byte != b'"';
                self.escaped = !self.escaped && byte == b'\\';
                continue;
            }
            let has_begun = std::mem::take(&mut self.has_begun);
            match byte {
                b'}' | b']' => {
                    if !has_begun {
                        self.depth = self.depth.saturating_sub(1);
                        push_line(out, self.depth);
                    }
                    out.push(byte);
                    continue;
                }
                _ if has_begun => {
                    self.depth += 1;
                    push_line(out, self.depth);
                }
                _ => {}
            }
            match byte {
                b'{' | b'[' => {
                    out.push(byte);
                    self.has_begun = true;
                }
                b',' => {
                    out.push(byte);
                    push_line(out, self.depth);
                }
                b':' => out.extend_from_slice(b": "),
                _ => {
                    self.in_string = byte == b'"';
                    out.push(byte);
                }
            }
        }
    }
}

fn push_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b' ', depth * 4));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_go_escapes_them() {
        for (bytes, json) in [
            (b"".as_slice(), r#""""#),
            (b"plain", r#""plain""#),
            (b"a\"b\\c\n\r\t\x08\x0c\x00\x1f", r#""a\"b\\c\n\r\t\b\f\u0000\u001f""#),
            (b"<a href=\"x\">&</a>", r#""\u003ca href=\"x\"\u003e\u0026\u003c/a\u003e""#),
            ("ü€😀\u{7f}".as_bytes(), "\"ü€😀\u{7f}\""),
            ("a\u{2028}b\u{2029}".as_bytes(), r#""a\u2028b\u2029""#),
            (b"\xff\xfe", "\"\u{fffd}\u{fffd}\""),
        ] {
            let written = text(|out| push_string(out, bytes));
            assert_eq!(written, json);
            let read: String = serde_json::from_str(&written).unwrap();
            assert_eq!(read, String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn doubles_are_written_as_go_writes_them() {
        for (number, json) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (72.5, "72.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (1e-6, "0.000001"),
            (1.25e-7, "1.25e-7"),
            (-2.5, "-2.5"),
        ] {
            assert_eq!(text(|out| assert!(push_double(out, number))), json);
        }
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(text(|out| assert!(!push_double(out, number))), "");
        }
    }

    #[test]
    fn indentation_leaves_strings_and_empty_containers_alone() {
        let compact = br#"{"a":[],"b":{},"c":[1,{"d":"x,{\"}[\\"}],"e":null}"#;
        let pretty = r#"{
    "a": [],
    "b": {},
    "c": [
        1,
        {
            "d": "x,{\"}[\\"
        }
    ],
    "e": null
}"#;
        assert_eq!(String::from_utf8(indent(compact)).unwrap(), pretty);
    }
}
