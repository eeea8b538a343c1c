//! What the nodes of a cluster tell each other of adaptive sampling, as bytes.
//!
//! Protobuf, so that a later version may say more. A note is cut where it would grow too large,
//! and what is read of one is bounded like what is counted here.

use model::NodeId;
use prost::Message;

use super::adaptive::Probabilities;
use super::limits::{
    NAME_BYTES_MAX, NOTE_BYTES_MAX, THROUGHPUT_OPERATIONS_MAX, THROUGHPUT_PROBABILITIES_MAX,
};
use super::throughput::Throughput;

/// What a node says of its last window, and what it computed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Note {
    /// The window that ended last; its number is the same on all nodes.
    pub window: u64,
    /// What the node counted in it.
    pub counts: Throughput,
    /// The first and the last window that the node computed probabilities of; none yet if it was
    /// just started.
    pub computed: Option<(u64, u64)>,
    /// What it computed last.
    pub probabilities: Probabilities,
}

#[derive(Clone, PartialEq, Message)]
struct NoteMessage {
    #[prost(uint64, tag = "1")]
    window: u64,
    #[prost(message, repeated, tag = "2")]
    counts: Vec<ServiceMessage>,
    #[prost(uint64, optional, tag = "3")]
    computed_first: Option<u64>,
    #[prost(uint64, optional, tag = "4")]
    computed_last: Option<u64>,
    #[prost(message, repeated, tag = "5")]
    probabilities: Vec<ServiceMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct ServiceMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    operations: Vec<OperationMessage>,
}

/// Of an operation, its counts or its probability.
#[derive(Clone, PartialEq, Message)]
struct OperationMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint64, tag = "2")]
    count: u64,
    #[prost(uint32, repeated, tag = "3")]
    samplers: Vec<u32>,
    #[prost(double, tag = "4")]
    probability: f64,
}

impl Note {
    /// The note as bytes, at most [`NOTE_BYTES_MAX`].
    pub fn encode(&self) -> Vec<u8> {
        let counts = self.counts.services.iter().map(|(service, operations)| {
            let operations = operations.iter().map(|(name, counts)| OperationMessage {
                name: name.clone(),
                count: counts.count,
                samplers: counts.probabilities.iter().copied().collect(),
                probability: 0.0,
            });
            ServiceMessage { name: service.clone(), operations: operations.collect() }
        });
        let probabilities = self.probabilities.services.iter().map(|(service, operations)| {
            let operations = operations.iter().map(|(name, probability)| OperationMessage {
                name: name.clone(),
                probability: *probability,
                ..OperationMessage::default()
            });
            ServiceMessage { name: service.clone(), operations: operations.collect() }
        });
        let message = NoteMessage {
            window: self.window,
            counts: cut(counts),
            computed_first: self.computed.map(|(first, _)| first),
            computed_last: self.computed.map(|(_, last)| last),
            probabilities: cut(probabilities),
        };
        message.encode_to_vec()
    }

    /// The note in these bytes; none if they are not one, or empty.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        let message = NoteMessage::decode(bytes).ok()?;
        let mut note = Self {
            window: message.window,
            computed: message.computed_first.zip(message.computed_last),
            ..Self::default()
        };
        for (service, operation) in operations(message.counts) {
            let counts = note.counts.services.entry(service).or_default();
            let counts = counts.entry(operation.name).or_default();
            counts.count = operation.count;
            let samplers = operation.samplers.into_iter().take(THROUGHPUT_PROBABILITIES_MAX);
            counts.probabilities.extend(samplers);
        }
        for (service, operation) in operations(message.probabilities) {
            if (0.0..=1.0).contains(&operation.probability) {
                let own = note.probabilities.services.entry(service).or_default();
                own.insert(operation.name, operation.probability);
            }
        }
        Some(note)
    }

    /// Who of two has computed for longer, and so leads: the lesser one.
    pub(super) fn seniority(&self, node: NodeId) -> Option<(u64, NodeId)> {
        self.computed.map(|(first, _)| (first, node))
    }
}

/// As many services as fit into half a note; the last one with as many operations as fit.
fn cut(services: impl Iterator<Item = ServiceMessage>) -> Vec<ServiceMessage> {
    let mut room = NOTE_BYTES_MAX / 2 - SCALARS_BYTES_MAX;
    let mut kept = Vec::new();
    for mut service in services {
        let mut bytes = service.name.len() + FRAME_BYTES_MAX;
        let fitting = service.operations.iter().take_while(|operation| {
            bytes += operation.encoded_len() + FRAME_BYTES_MAX;
            bytes <= room
        });
        let fitting = fitting.count();
        let is_whole = fitting == service.operations.len();
        service.operations.truncate(fitting);
        if fitting > 0 {
            kept.push(service);
        }
        if !is_whole {
            break;
        }
        room = room.saturating_sub(bytes);
    }
    kept
}

/// Tag and length of a message within another.
const FRAME_BYTES_MAX: usize = 16;
/// What a note has besides services, with room.
const SCALARS_BYTES_MAX: usize = 64;

/// The operations of services, no more and no longer than are counted on one node.
fn operations(services: Vec<ServiceMessage>) -> impl Iterator<Item = (String, OperationMessage)> {
    let fits = |name: &String| name.len() <= NAME_BYTES_MAX;
    let services = services.into_iter().filter(move |service| fits(&service.name));
    let all = services.flat_map(move |service| {
        let name = service.name;
        let operations = service.operations.into_iter().filter(move |it| fits(&it.name));
        operations.map(move |operation| (name.clone(), operation))
    });
    all.take(THROUGHPUT_OPERATIONS_MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use model::testing::Random;

    use super::*;
    use crate::sampling::OperationThroughput;

    fn note(operations: usize, name: &str) -> Note {
        let probabilities = BTreeSet::from([7, 1_000]);
        let counts = OperationThroughput { count: 3, probabilities };
        let names = || (0..operations).map(|number| format!("{name}{number}"));
        let counts = names().map(|name| (name, counts.clone())).collect();
        let computed = names().map(|name| (name, 0.25)).collect();
        Note {
            window: 12,
            counts: Throughput { services: BTreeMap::from([("shop".to_owned(), counts)]) },
            computed: Some((3, 11)),
            probabilities: Probabilities {
                services: BTreeMap::from([("shop".to_owned(), computed)]),
            },
        }
    }

    #[test]
    fn notes_come_back_and_what_is_no_note_is_none() {
        let note = note(3, "op");
        assert_eq!(Note::decode(&note.encode()), Some(note.clone()));
        let fresh = Note { window: 1, ..Note::default() };
        assert_eq!(Note::decode(&fresh.encode()), Some(fresh));
        assert_eq!(Note::decode(&[]), None);
        let seed = 5;
        let mut random = Random::new(seed);
        for _ in 0..2_000 {
            let mut bytes = note.encode();
            let at = random.index(bytes.len());
            bytes[at] = random.next_u64().to_le_bytes()[0];
            if let Some(read) = Note::decode(&bytes) {
                let all = read.probabilities.services.values().flat_map(BTreeMap::values);
                assert!(all.into_iter().all(|it| (0.0..=1.0).contains(it)), "seed {seed}");
            }
        }
    }

    #[test]
    fn a_note_is_cut_where_it_would_grow_too_large() {
        let large = note(THROUGHPUT_OPERATIONS_MAX, &"x".repeat(NAME_BYTES_MAX - 8));
        let bytes = large.encode();
        assert!(bytes.len() <= NOTE_BYTES_MAX, "{}", bytes.len());
        let read = Note::decode(&bytes).unwrap();
        assert!(read.counts.services["shop"].len() > 1_000);
        assert!(read.probabilities.services["shop"].len() > 1_000);
        let many = note(THROUGHPUT_OPERATIONS_MAX + 5, "");
        let read = Note::decode(&many.encode()).unwrap();
        assert_eq!(read.counts.services["shop"].len(), THROUGHPUT_OPERATIONS_MAX);
    }
}
