//! Messages of Kafka put together into one message of OTLP.
//!
//! Pure. Messages of protobuf that are written one after another are one message that holds what
//! both hold, so the spans of many topics, partitions and messages become one request without being
//! decoded. A request that is refused for good is split in halves until the message is found that
//! spoils it.

use super::ledger::Place;
use super::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX};

/// Messages that are to be appended together.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    bytes: Vec<u8>,
    /// Each message's place, and where its bytes end.
    messages: Vec<(Place, usize)>,
}

impl Gathered {
    /// Adds a message, already OTLP.
    pub fn add(&mut self, place: Place, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.messages.push((place, self.bytes.len()));
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether it is time to append.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH_BYTES_MAX || self.messages.len() >= BATCH_MESSAGES_MAX
    }

    /// The message of OTLP.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many messages of Kafka it is made of.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Where they lie.
    pub fn into_places(self) -> Vec<Place> {
        self.messages.into_iter().map(|(place, _)| place).collect()
    }

    /// Both halves; nothing if it is one message.
    pub fn split(self) -> Result<[Self; 2], Self> {
        if self.messages.len() < 2 {
            return Err(self);
        }
        let Self { mut bytes, mut messages } = self;
        let mut right = messages.split_off(messages.len() / 2);
        let cut = messages.last().map_or(0, |(_, end)| *end);
        let right_bytes = bytes.split_off(cut);
        for (_, end) in &mut right {
            *end -= cut;
        }
        Ok([Self { bytes, messages }, Self { bytes: right_bytes, messages: right }])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kafka::ledger::Partition;

    fn place(offset: i64) -> Place {
        Place { partition: Partition { topic: Arc::from("t"), number: 0 }, term: 1, offset }
    }

    #[test]
    fn halves_hold_what_the_whole_held() {
        let mut gathered = Gathered::default();
        for (offset, message) in [&b"a"[..], b"", b"bcd", b"e", b"fg"].iter().enumerate() {
            gathered.add(place(i64::try_from(offset).unwrap()), message);
        }
        let mut rest = vec![gathered];
        let mut single = Vec::new();
        while let Some(some) = rest.pop() {
            match some.split() {
                Ok([left, right]) => rest.extend([right, left]),
                Err(one) => single.push((one.bytes().to_vec(), one.into_places()[0].offset)),
            }
        }
        let expected = [("a", 0), ("", 1), ("bcd", 2), ("e", 3), ("fg", 4)];
        assert_eq!(single, expected.map(|(text, offset)| (text.as_bytes().to_vec(), offset)));
    }

    #[test]
    fn it_is_full_by_count_and_by_size() {
        let mut many = Gathered::default();
        (0..BATCH_MESSAGES_MAX).for_each(|_| many.add(place(0), b""));
        assert!(many.is_full() && !many.is_empty());
        let mut large = Gathered::default();
        large.add(place(0), &vec![0; BATCH_BYTES_MAX]);
        assert!(large.is_full());
        assert!(!Gathered::default().is_full() && Gathered::default().is_empty());
    }
}
