//! What members tell each other about themselves and the cluster, as bytes.
//!
//! One byte for the format, then postcard. A format, a question or an answer that this version does
//! not know is refused and changes nothing; a later version gives what it adds a new number at the
//! end. Commands, plans and states of the meta group travel in their own encodings.

use bytes::Bytes;
use model::admin::{EventStatus, NodeFigures, ProcessStatus};
use model::{Duration, NodeId, ShardId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use storage::log::{GroupId, LogIndex};

use super::events::Event;
use super::limits::MESSAGE_BYTES_MAX;
use crate::identity::{ClusterId, ReplicaId};
use crate::meta::NodeRecord;
use crate::plan::{Hello, Told};
use crate::raft::{LogPosition, Seen};
use crate::transport::{CallError, Incarnation};

const FORMAT: u8 = 1;

/// Why bytes are not a message, or a value does not become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MessageError {
    #[error("the message is of a format that this version does not know")]
    Format,
    #[error("the message makes no sense")]
    Malformed,
    #[error("the message is too large")]
    TooLarge,
}

impl From<MessageError> for CallError {
    fn from(error: MessageError) -> Self {
        Self::Refused { reason: error.to_string() }
    }
}

/// A message as bytes.
pub(crate) fn encode<M: Serialize>(message: &M) -> Result<Bytes, MessageError> {
    let bytes = postcard::to_extend(message, vec![FORMAT]).map_err(|_| MessageError::Malformed)?;
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(MessageError::TooLarge);
    }
    Ok(Bytes::from(bytes))
}

/// The message in these bytes.
pub(crate) fn decode<M: DeserializeOwned>(bytes: &[u8]) -> Result<M, MessageError> {
    let (format, message) = bytes.split_first().ok_or(MessageError::Malformed)?;
    if *format != FORMAT {
        return Err(MessageError::Format);
    }
    let (message, rest) =
        postcard::take_from_bytes(message).map_err(|_| MessageError::Malformed)?;
    if rest.is_empty() { Ok(message) } else { Err(MessageError::Malformed) }
}

/// What came of a command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MetaApplied {
    pub(crate) revision: u64,
    pub(crate) replicas: Vec<u64>,
}

/// Who is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HelloMessage {
    node: [u8; 16],
    start: u64,
    nonce: u64,
    record: RecordMessage,
    told: ToldMessage,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RecordMessage {
    name: String,
    addresses: Vec<String>,
    zone: String,
    version: u32,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum ToldMessage {
    Empty,
    Promised([u8; 16]),
    Member([u8; 16]),
}

impl From<&NodeRecord> for RecordMessage {
    fn from(record: &NodeRecord) -> Self {
        let NodeRecord { name, addresses, zone, version } = record.clone();
        Self { name, addresses, zone, version }
    }
}

impl From<RecordMessage> for NodeRecord {
    fn from(message: RecordMessage) -> Self {
        let RecordMessage { name, addresses, zone, version } = message;
        Self { name, addresses, zone, version }
    }
}

impl From<&Hello> for HelloMessage {
    fn from(hello: &Hello) -> Self {
        Self {
            node: hello.node.0,
            start: hello.incarnation.start,
            nonce: hello.incarnation.nonce,
            record: (&hello.record).into(),
            told: match hello.told {
                Told::Empty => ToldMessage::Empty,
                Told::Promised(cluster) => ToldMessage::Promised(cluster.0),
                Told::Member(cluster) => ToldMessage::Member(cluster.0),
            },
        }
    }
}

impl From<HelloMessage> for Hello {
    fn from(message: HelloMessage) -> Self {
        Self {
            node: NodeId(message.node),
            incarnation: Incarnation { start: message.start, nonce: message.nonce },
            record: message.record.into(),
            told: match message.told {
                ToldMessage::Empty => Told::Empty,
                ToldMessage::Promised(cluster) => Told::Promised(ClusterId(cluster)),
                ToldMessage::Member(cluster) => Told::Member(ClusterId(cluster)),
            },
        }
    }
}

/// The answer to a plan that a founder asks a promise for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum PromiseReply {
    Promised,
    Declined(String),
}

/// Asks to be let in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct JoinRequest {
    pub(crate) node: [u8; 16],
    pub(crate) record: RecordMessage,
}

/// The answer to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum JoinReply {
    /// The node belongs to the cluster; the state is as the answering node knows it.
    Welcome { cluster: [u8; 16], state: Vec<u8> },
    /// Never.
    Refused(String),
    /// Ask again, here or elsewhere.
    NotNow(String),
}

/// Asks whether the member of a name can be done without.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SpareRequest {
    pub(crate) name: String,
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SpareReply {
    /// The others have all that this node held.
    Spared { node: [u8; 16] },
    /// It cannot, and why.
    Needed(String),
}

/// What members ask each other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum MetaRequest {
    /// Whether the node is there, and what its clock shows.
    Ping,
    /// Propose a command to the meta group, if the node leads it.
    Propose(Vec<u8>),
    /// The state of the cluster, if the node knows a later one.
    State { known: u64 },
    /// What the node knows of itself, and of what it leads.
    Report,
    /// A step of the plan.
    Work(Work),
    /// Remove all data of a tenant from a shard, if the node leads it.
    Purge { shard: u32, tenant: String },
    /// Commit a mark to a shard, if the node leads it.
    Mark { shard: u32 },
    /// What replicas of shards held at these marks.
    Digests { marks: Vec<(u32, u64)> },
    /// Drop the buckets of a class up to one from a shard, if the node leads it: a disk is full.
    Drop { shard: u32, class: u8, bucket: u64 },
    /// What the node has to tell people.
    Notice,
    /// What the node saw these replicas, each of a group, acknowledge.
    Witnessed { replicas: Vec<(u64, u64)> },
    /// What the node's process takes of its machine.
    Process,
    /// What the node does and what it keeps.
    Figures,
    /// What the node saw happen.
    Events,
}

/// What they answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum MetaReply {
    Done,
    /// The node's wall clock, in nanoseconds of Unix time, and whether its disk takes what clients
    /// send.
    Pong {
        wall: u64,
        takes_batches: bool,
    },
    Applied(MetaApplied),
    /// The mark's place in the log.
    Marked {
        index: u64,
    },
    /// By shard: the sum over its distinct spans, the highest byte first.
    Digests(Vec<(u32, [u8; 16])>),
    Refused(String),
    NotLeader {
        hint: Option<[u8; 16]>,
    },
    /// Nothing was done, or it is not known what; try again.
    Failed(String),
    State(Option<Vec<u8>>),
    Report(Box<Report>),
    Notice(Notice),
    Witnessed(Vec<SeenMessage>),
    Process(Option<ProcessMessage>),
    Figures(FiguresMessage),
    Events(Vec<EventMessage>),
}

/// Something that a node saw happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventMessage {
    pub(crate) at: u64,
    pub(crate) kind: String,
    pub(crate) text: String,
    pub(crate) shard: Option<u32>,
    pub(crate) node: Option<[u8; 16]>,
    pub(crate) term: Option<u64>,
}

impl From<&Event> for EventMessage {
    fn from(event: &Event) -> Self {
        let Event { at, kind, text, shard, node, term } = event;
        let (shard, node) = (shard.map(|shard| shard.0), node.map(|node| node.0));
        Self { at: at.0, kind: (*kind).to_owned(), text: text.clone(), shard, node, term: *term }
    }
}

impl From<EventMessage> for (EventStatus, Option<u64>) {
    fn from(message: EventMessage) -> Self {
        let EventMessage { at, kind, text, shard, node, term } = message;
        let (shard, node) = (shard.map(ShardId), node.map(NodeId));
        (EventStatus { at: Timestamp(at), kind, text, shard, node }, term)
    }
}

/// What a process takes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct ProcessMessage {
    uptime_nanos: u64,
    cpu_nanos: u64,
    resident_bytes: u64,
}

impl From<ProcessStatus> for ProcessMessage {
    fn from(status: ProcessStatus) -> Self {
        let ProcessStatus { uptime, cpu, resident_bytes } = status;
        Self { uptime_nanos: uptime.0, cpu_nanos: cpu.0, resident_bytes }
    }
}

impl From<ProcessMessage> for ProcessStatus {
    fn from(message: ProcessMessage) -> Self {
        let ProcessMessage { uptime_nanos, cpu_nanos, resident_bytes } = message;
        Self { uptime: Duration(uptime_nanos), cpu: Duration(cpu_nanos), resident_bytes }
    }
}

/// What a node does and what it keeps.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct FiguresMessage {
    queries: u64,
    query_p99_nanos: Option<u64>,
    oldest: Option<u64>,
    data_bytes_max: Option<u64>,
    spans_taken: u64,
}

impl From<NodeFigures> for FiguresMessage {
    fn from(figures: NodeFigures) -> Self {
        let NodeFigures { spans_taken, queries, query_p99, oldest, data_bytes_max } = figures;
        let (query_p99_nanos, oldest) = (query_p99.map(|took| took.0), oldest.map(|time| time.0));
        Self { queries, query_p99_nanos, oldest, data_bytes_max, spans_taken }
    }
}

impl From<FiguresMessage> for NodeFigures {
    fn from(message: FiguresMessage) -> Self {
        let FiguresMessage { queries, query_p99_nanos, oldest, data_bytes_max, spans_taken } =
            message;
        let (query_p99, oldest) = (query_p99_nanos.map(Duration), oldest.map(Timestamp));
        Self { spans_taken, queries, query_p99, oldest, data_bytes_max }
    }
}

/// What a member saw a replica acknowledge.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct SeenMessage {
    group: u64,
    /// Term, leader and index of the last entry.
    last: Option<(u64, u64, u64)>,
    voted: u64,
}

impl From<(GroupId, Seen)> for SeenMessage {
    fn from((group, seen): (GroupId, Seen)) -> Self {
        let last = seen.last.map(|last| (last.term, last.leader.0, last.index.0));
        Self { group: group.0, last, voted: seen.voted }
    }
}

impl From<SeenMessage> for (GroupId, Seen) {
    fn from(message: SeenMessage) -> Self {
        let last = message.last.map(|(term, leader, index)| LogPosition {
            term,
            leader: ReplicaId(leader),
            index: LogIndex(index),
        });
        (GroupId(message.group), Seen { last, voted: message.voted })
    }
}

/// Work on a replica of the asked node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Create a replica; with members, initialize its group with them.
    Create { group: u64, replica: u64, members: Vec<(u64, [u8; 16])> },
    /// Delete a replica and its data.
    Delete { group: u64, replica: u64 },
    /// Work that only the leader does, and only on this configuration.
    Lead { group: u64, expected: (u64, u64), work: LeaderWork },
}

/// Work of a leader.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum LeaderWork {
    AddLearner {
        replica: u64,
        node: [u8; 16],
    },
    SetVoters(Vec<u64>),
    RemoveLearner(u64),
    Transfer(u64),
    /// Make sure, by a read index, that no configuration has the replica.
    ConfirmGone(u64),
    /// Commit the fence of a ring epoch.
    Fence(u32),
}

/// What a node knows of itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) version: String,
    pub(crate) is_draining: bool,
    pub(crate) disk_used_bytes: u64,
    pub(crate) disk_free_bytes: u64,
    /// Group, replica, and whether something of it is damaged.
    pub(crate) held: Vec<(u64, u64, bool)>,
    /// Groups that the node leads.
    pub(crate) groups: Vec<GroupReport>,
    /// Members that it cannot reach, and for how many nanoseconds.
    pub(crate) unreachable: Vec<([u8; 16], u64)>,
}

/// What a node has to tell people.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Notice {
    /// The URL of its pages; empty if it has none.
    pub(crate) ui: String,
    /// What stands, if the node leads the meta group.
    pub(crate) alarms: Option<AlarmList>,
}

/// The alarms that the meta group's leader knows of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct AlarmList {
    /// The term in which it leads: of two that say they lead, the later counts.
    pub(crate) term: u64,
    /// Those that stand longest.
    pub(crate) alarms: Vec<AlarmMessage>,
}

/// An alarm that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AlarmMessage {
    /// Its kind, in a word.
    pub(crate) kind: String,
    pub(crate) text: String,
    pub(crate) shard: Option<u32>,
    pub(crate) stands_nanos: u64,
}

/// What a leader knows of its group.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct GroupReport {
    pub(crate) group: u64,
    pub(crate) term: u64,
    pub(crate) leader: u64,
    pub(crate) configuration: (u64, u64),
    pub(crate) is_committed: bool,
    pub(crate) voters: Vec<u64>,
    pub(crate) outgoing: Vec<u64>,
    pub(crate) learners: Vec<u64>,
    pub(crate) progress: Vec<ProgressReport>,
    /// The ring epoch of the last fence that it has applied; 0 if there was none.
    pub(crate) fenced: u32,
}

/// How far a follower is.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct ProgressReport {
    pub(crate) replica: u64,
    pub(crate) lag_bytes: u64,
    pub(crate) lag_nanos: u64,
    pub(crate) silent_nanos: u64,
    pub(crate) has_last: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_and_any_bytes_are_read_without_harm() {
        let request = MetaRequest::Purge { shard: 3, tenant: "acme".into() };
        let bytes = encode(&request).unwrap();
        let MetaRequest::Purge { shard, tenant } = decode(&bytes).unwrap() else { panic!() };
        assert_eq!((shard, tenant.as_str()), (3, "acme"));
        for end in 0..bytes.len() {
            assert!(decode::<MetaRequest>(&bytes[..end]).is_err());
        }
        // Questions and answers keep their numbers: nodes of two versions speak to each other.
        assert_eq!(encode(&MetaRequest::Notice).unwrap(), &[FORMAT, 9][..]);
        assert_eq!(encode(&MetaReply::Notice(Notice::default())).unwrap(), &[FORMAT, 10, 0, 0][..]);
        assert_eq!(encode(&MetaRequest::Process).unwrap(), &[FORMAT, 11][..]);
        assert_eq!(encode(&MetaReply::Process(None)).unwrap(), &[FORMAT, 12, 0][..]);
        assert_eq!(encode(&MetaRequest::Figures).unwrap(), &[FORMAT, 12][..]);
        let figures = NodeFigures { queries: 7, oldest: Some(Timestamp(5)), ..Default::default() };
        let told = MetaReply::Figures(figures.into());
        assert_eq!(encode(&told).unwrap(), &[FORMAT, 13, 7, 0, 1, 5, 0, 0][..]);
        assert_eq!(encode(&MetaRequest::Events).unwrap(), &[FORMAT, 13][..]);
        assert_eq!(encode(&MetaReply::Events(Vec::new())).unwrap(), &[FORMAT, 14, 0][..]);
        for byte in 0..=255_u8 {
            let _ = decode::<MetaReply>(&[FORMAT, byte, 255, 255, 255, 255, 15, 1]);
            let _ = decode::<HelloMessage>(&[byte; 60]);
        }
        assert_eq!(decode::<Report>(&[9, 0]).unwrap_err(), MessageError::Format);
    }
}
