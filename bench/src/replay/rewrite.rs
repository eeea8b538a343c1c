//! Changes ids, times and values of one span's bytes in place.
//!
//! A new id is a hash of the old one and the pass's seed, so parents and links follow without a
//! table: whoever names the old id names the new one. Ids of other lengths than sixteen and eight
//! bytes, and ids that are all zero, stay: they are part of what is being replayed.

use twox_hash::{XxHash3_64, XxHash3_128};

use crate::redraw::{Survey, TraceTimes, redraw_values};
use crate::wire::{Field, WireError, WireType, fixed64, next_field};

/// What changes in a span.
#[derive(Debug)]
pub(super) struct Rewrite<'a> {
    /// What new ids are drawn from, if ids are new.
    pub(super) id_seed: Option<u64>,
    /// What is variable and what it is drawn from, if values are.
    pub(super) survey: Option<(&'a Survey, u64)>,
    /// How the span's trace is stretched.
    pub(super) times: TraceTimes,
    /// How far all times move then, in nanoseconds.
    pub(super) shift: i64,
}

impl Rewrite<'_> {
    /// Changes `span`, whose length stays.
    pub(super) fn apply(&self, span: &mut [u8]) -> Result<(), WireError> {
        if let Some((survey, seed)) = self.survey {
            redraw_values(span, survey, seed)?;
        }
        if let Some(seed) = self.id_seed {
            change_ids(span, seed)?;
        }
        self.change_times(span)
    }

    fn change_times(&self, span: &mut [u8]) -> Result<(), WireError> {
        let (mut start, mut end) = (0, 0);
        let mut position = 0;
        while let Some(field) = next_field(span, &mut position)? {
            let value = span.get(field.range()).unwrap_or_default();
            match field.number {
                7 => start = fixed64(value),
                8 => end = fixed64(value),
                _ => {}
            }
        }
        let (new_start, new_end) = self.times.span(start, end);
        let shifted = |time: u64| time.saturating_add_signed(self.shift);
        let mut position = 0;
        while let Some(field) = next_field(span, &mut position)? {
            match field.number {
                7 => put_time(span, field, shifted(new_start)),
                8 => put_time(span, field, shifted(new_end)),
                _ => {}
            }
        }
        change_event_times(span, |time| shifted(self.times.event(time, start, new_start)))
    }
}

/// Changes the times of a span's events; a time of zero is none and stays.
pub(crate) fn change_event_times(
    span: &mut [u8],
    change: impl Fn(u64) -> u64,
) -> Result<(), WireError> {
    let mut position = 0;
    while let Some(field) = next_field(span, &mut position)? {
        if field.is_bytes(11) {
            change_event_time(span.get_mut(field.range()).unwrap_or_default(), &change)?;
        }
    }
    Ok(())
}

fn change_event_time(event: &mut [u8], change: impl Fn(u64) -> u64) -> Result<(), WireError> {
    let mut position = 0;
    while let Some(field) = next_field(event, &mut position)? {
        let time = fixed64(event.get(field.range()).unwrap_or_default());
        if field.number == 1 && time != 0 {
            put_time(event, field, change(time));
        }
    }
    Ok(())
}

fn put_time(message: &mut [u8], field: Field, time: u64) {
    if field.wire_type == WireType::Fixed64
        && let Some(value) = message.get_mut(field.range())
    {
        value.copy_from_slice(&time.to_le_bytes());
    }
}

fn change_ids(span: &mut [u8], seed: u64) -> Result<(), WireError> {
    let mut position = 0;
    while let Some(field) = next_field(span, &mut position)? {
        let value = span.get_mut(field.range()).unwrap_or_default();
        match field.number {
            1 => fresh_trace_id(value, seed),
            2 | 4 => fresh_span_id(value, seed),
            13 => {
                let mut position = 0;
                while let Some(field) = next_field(value, &mut position)? {
                    let id = value.get_mut(field.range()).unwrap_or_default();
                    match field.number {
                        1 => fresh_trace_id(id, seed),
                        2 => fresh_span_id(id, seed),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Draws a trace id anew.
pub(super) fn fresh_trace_id(id: &mut [u8], seed: u64) {
    if id.len() == 16 && id.iter().any(|byte| *byte != 0) {
        let fresh = XxHash3_128::oneshot_with_seed(seed, id).max(1);
        id.copy_from_slice(&fresh.to_be_bytes());
    }
}

fn fresh_span_id(id: &mut [u8], seed: u64) {
    if id.len() == 8 && id.iter().any(|byte| *byte != 0) {
        let fresh = XxHash3_64::oneshot_with_seed(seed, id).max(1);
        id.copy_from_slice(&fresh.to_be_bytes());
    }
}
