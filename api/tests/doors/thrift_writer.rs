//! Thrift values and both of its encodings, written for the tests from the protocol's
//! description.

/// A value.
#[derive(Debug, Clone)]
pub(crate) enum V {
    Bool(bool),
    I16(i16),
    I32(i32),
    I64(i64),
    Double(f64),
    Bytes(Vec<u8>),
    Struct(Vec<(i16, V)>),
    List(Vec<V>),
}

pub(crate) fn text(text: &str) -> V {
    V::Bytes(text.as_bytes().to_vec())
}

/// A bare value in the binary protocol.
pub(crate) fn binary(value: &V) -> Vec<u8> {
    let mut out = Vec::new();
    write_binary(value, &mut out);
    out
}

/// A bare value in the compact protocol.
pub(crate) fn compact(value: &V) -> Vec<u8> {
    let mut out = Vec::new();
    write_compact(value, &mut out);
    out
}

/// A oneway message in the binary protocol.
pub(crate) fn binary_message(name: &str, arguments: &V) -> Vec<u8> {
    let mut out = vec![0x80, 0x01, 0, 4];
    write_binary(&text(name), &mut out);
    out.extend(7_i32.to_be_bytes());
    write_binary(arguments, &mut out);
    out
}

/// A oneway message in the compact protocol.
pub(crate) fn compact_message(name: &str, arguments: &V) -> Vec<u8> {
    let mut out = vec![0x82, 1 | (4 << 5)];
    varint(300, &mut out);
    write_compact(&text(name), &mut out);
    write_compact(arguments, &mut out);
    out
}

fn binary_kind(value: &V) -> u8 {
    match value {
        V::Bool(_) => 2,
        V::Double(_) => 4,
        V::I16(_) => 6,
        V::I32(_) => 8,
        V::I64(_) => 10,
        V::Bytes(_) => 11,
        V::Struct(_) => 12,
        V::List(_) => 15,
    }
}

fn write_binary(value: &V, out: &mut Vec<u8>) {
    let length = |length: usize| i32::try_from(length).unwrap().to_be_bytes();
    match value {
        V::Bool(truth) => out.push(u8::from(*truth)),
        V::Double(double) => out.extend(double.to_be_bytes()),
        V::I16(integer) => out.extend(integer.to_be_bytes()),
        V::I32(integer) => out.extend(integer.to_be_bytes()),
        V::I64(integer) => out.extend(integer.to_be_bytes()),
        V::Bytes(bytes) => {
            out.extend(length(bytes.len()));
            out.extend(bytes);
        }
        V::Struct(fields) => {
            for (id, value) in fields {
                out.push(binary_kind(value));
                out.extend(id.to_be_bytes());
                write_binary(value, out);
            }
            out.push(0);
        }
        V::List(items) => {
            out.push(items.first().map_or(0, binary_kind));
            out.extend(length(items.len()));
            items.iter().for_each(|item| write_binary(item, out));
        }
    }
}

fn compact_kind(value: &V) -> u8 {
    match value {
        V::Bool(true) => 1,
        V::Bool(false) => 2,
        V::I16(_) => 4,
        V::I32(_) => 5,
        V::I64(_) => 6,
        V::Double(_) => 7,
        V::Bytes(_) => 8,
        V::List(_) => 9,
        V::Struct(_) => 12,
    }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
}

fn zigzag(value: i64, out: &mut Vec<u8>) {
    varint(((value << 1) ^ (value >> 63)).cast_unsigned(), out);
}

fn write_compact(value: &V, out: &mut Vec<u8>) {
    match value {
        // Only in lists: in a field the type says it.
        V::Bool(truth) => out.push(if *truth { 1 } else { 2 }),
        V::Double(double) => out.extend(double.to_le_bytes()),
        V::I16(integer) => zigzag((*integer).into(), out),
        V::I32(integer) => zigzag((*integer).into(), out),
        V::I64(integer) => zigzag(*integer, out),
        V::Bytes(bytes) => {
            varint(bytes.len() as u64, out);
            out.extend(bytes);
        }
        V::Struct(fields) => {
            let mut last = 0;
            for (id, value) in fields {
                let step = id - last;
                if (1..=15).contains(&step) {
                    out.push(u8::try_from(step).unwrap() << 4 | compact_kind(value));
                } else {
                    out.push(compact_kind(value));
                    zigzag((*id).into(), out);
                }
                last = *id;
                if !matches!(value, V::Bool(_)) {
                    write_compact(value, out);
                }
            }
            out.push(0);
        }
        V::List(items) => {
            let kind = items.first().map_or(12, compact_kind);
            if items.len() < 15 {
                out.push(u8::try_from(items.len()).unwrap() << 4 | kind);
            } else {
                out.push(0xf0 | kind);
                varint(items.len() as u64, out);
            }
            items.iter().for_each(|item| write_compact(item, out));
        }
    }
}
