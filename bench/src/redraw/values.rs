//! Draws the variable attribute values of one span anew, in place.

use std::collections::HashSet;

use super::survey::Home;
use super::text::redraw_text;
use super::{Random, Survey};
use crate::limits::VALUE_DEPTH_MAX;
use crate::wire::{WireError, WireType, fixed64, next_field, read_varint};

/// Changes the values of `span` that `survey` found variable. Its length stays.
pub fn redraw_values(span: &mut [u8], survey: &Survey, seed: u64) -> Result<(), WireError> {
    redraw_attributes(span, 9, Home::Span, survey, seed)?;
    let mut position = 0;
    while let Some(field) = next_field(span, &mut position)? {
        for (holder, attributes, home) in Home::NESTED {
            if field.is_bytes(holder) {
                let nested = span.get_mut(field.range()).unwrap_or_default();
                redraw_attributes(nested, attributes, home, survey, seed)?;
            }
        }
    }
    Ok(())
}

fn redraw_attributes(
    holder: &mut [u8],
    number: u32,
    home: Home,
    survey: &Survey,
    seed: u64,
) -> Result<(), WireError> {
    let mut position = 0;
    while let Some(field) = next_field(holder, &mut position)? {
        if field.is_bytes(number) {
            redraw_attribute(
                holder.get_mut(field.range()).unwrap_or_default(),
                home,
                survey,
                seed,
            )?;
        }
    }
    Ok(())
}

fn redraw_attribute(
    attribute: &mut [u8],
    home: Home,
    survey: &Survey,
    seed: u64,
) -> Result<(), WireError> {
    let (mut key, mut value) = (0..0, 0..0);
    let mut position = 0;
    while let Some(field) = next_field(attribute, &mut position)? {
        if field.is_bytes(1) {
            key = field.range();
        } else if field.is_bytes(2) {
            value = field.range();
        }
    }
    let key = attribute.get(key).unwrap_or_default();
    let Some(template) = survey.template(home, key) else { return Ok(()) };
    let value = attribute.get_mut(value).unwrap_or_default();
    if template.keeps(value) {
        return Ok(());
    }
    redraw_value(value, &template.tokens, seed, 0)
}

/// Changes an `AnyValue`.
fn redraw_value(
    value: &mut [u8],
    template: &HashSet<u64>,
    seed: u64,
    depth: u32,
) -> Result<(), WireError> {
    if depth > VALUE_DEPTH_MAX {
        return Ok(());
    }
    let mut position = 0;
    while let Some(field) = next_field(value, &mut position)? {
        let bytes = value.get_mut(field.range()).unwrap_or_default();
        match (field.number, field.wire_type) {
            (1, WireType::Bytes) => redraw_text(bytes, template, seed),
            (3, WireType::Varint) => redraw_integer(bytes, seed)?,
            (4, WireType::Fixed64) => redraw_double(bytes, seed),
            (5 | 6, WireType::Bytes) => {
                redraw_elements(bytes, field.number, template, seed, depth)?;
            }
            (7, WireType::Bytes) => redraw_opaque(bytes, seed),
            _ => {}
        }
    }
    Ok(())
}

/// The elements of an array, or the values of a list of key and value.
fn redraw_elements(
    list: &mut [u8],
    form: u32,
    template: &HashSet<u64>,
    seed: u64,
    depth: u32,
) -> Result<(), WireError> {
    let mut position = 0;
    while let Some(field) = next_field(list, &mut position)? {
        let element = list.get_mut(field.range()).unwrap_or_default();
        if field.is_bytes(1) && form == 5 {
            redraw_value(element, template, seed, depth + 1)?;
        } else if field.is_bytes(1) {
            let mut position = 0;
            while let Some(field) = next_field(element, &mut position)? {
                if field.is_bytes(2) {
                    let value = element.get_mut(field.range()).unwrap_or_default();
                    redraw_value(value, template, seed, depth + 1)?;
                }
            }
        }
    }
    Ok(())
}

/// Another integer of as many bits, and so of as many bytes. Negative ones, which all take ten
/// bytes, stay.
fn redraw_integer(bytes: &mut [u8], seed: u64) -> Result<(), WireError> {
    let integer = read_varint(bytes, &mut 0)?;
    if integer < 2 || integer >> 63 == 1 {
        return Ok(());
    }
    let highest = 1 << integer.ilog2();
    let drawn = highest | Random::of(seed, &integer.to_le_bytes()).below(highest);
    let last = bytes.len().saturating_sub(1);
    for (at, byte) in bytes.iter_mut().enumerate() {
        let group = (drawn >> (7 * at).min(63)).to_le_bytes()[0] & 0x7f;
        *byte = if at < last { group | 0x80 } else { group };
    }
    Ok(())
}

/// Another number of the same magnitude and with as many bits of mantissa.
fn redraw_double(bytes: &mut [u8], seed: u64) {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = fixed64(bytes);
    if bits & MANTISSA == 0 {
        return;
    }
    let lowest = bits.trailing_zeros();
    let variable = MANTISSA & !((2 << lowest) - 1);
    let drawn = (bits & !variable) | (Random::of(seed, bytes).draw() & variable);
    bytes.copy_from_slice(&drawn.to_le_bytes());
}

fn redraw_opaque(bytes: &mut [u8], seed: u64) {
    let mut random = Random::of(seed, bytes);
    for byte in bytes {
        *byte = random.draw().to_le_bytes()[0];
    }
}
