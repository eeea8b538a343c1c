//! The lines of a history.
//!
//! They are JSON with one key that names the kind. (Not a field `type` beside the others: a parser
//! that keeps numbers exact cannot read those back.)

use serde::{Deserialize, Serialize};

use super::identity::{RequestId, TraceKey};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// What the run is; the first line.
    Run(Run),
    /// A client made a request; written before a byte of it is sent.
    Sent(Sent),
    /// What one attempt at a request came to.
    Attempt(Attempt),
    /// What one question was answered.
    Answer(Answer),
    /// A fault, written when it is over.
    Fault(Fault),
    /// What a node said about the replicas of the cluster's shards.
    Replicas(Replicas),
    /// Anything else that helps to understand the run; it is not judged.
    Note(String),
}

/// What everybody in the run knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What the run was made from.
    pub seed: u64,
    /// The first four bytes of every trace id.
    pub tag: u32,
    /// How many nodes there are; they count from 0.
    pub nodes: u16,
    /// How long spans are kept.
    pub retention_ns: u64,
    /// The writing clients.
    pub clients: Vec<Client>,
}

/// A client, and for whom it writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its number, from 1.
    pub client: u16,
    /// Its tenant.
    pub tenant: u16,
}

/// A request, before its first attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Who sends it.
    pub client: u16,
    /// The how-manieth it is.
    pub number: u32,
    /// When it was made.
    pub at_ns: u64,
    /// Where its spans' start times begin.
    pub base_us: u64,
    /// What its spans' contents are made from.
    pub content: u64,
    /// How many traces it begins.
    pub traces: u16,
    /// How many spans of each of them it carries.
    pub spans: u8,
    /// Does it also carry the last span of each trace of the client's request before it?
    pub late: bool,
}

impl Sent {
    /// Its identity.
    pub fn request(&self) -> RequestId {
        RequestId { client: self.client, number: self.number }
    }

    /// How many spans it carries.
    pub fn spans_in_all(&self) -> u64 {
        u64::from(self.traces) * (u64::from(self.spans) + u64::from(self.late))
    }
}

/// One attempt at a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Who sent it.
    pub client: u16,
    /// Which request.
    pub number: u32,
    /// To which node.
    pub node: u16,
    /// When it began.
    pub begun_ns: u64,
    /// When its outcome was known.
    pub ended_ns: u64,
    /// What came of it.
    pub outcome: Outcome,
    /// The status, 0 without one.
    pub status: u16,
    /// Was there a hint when to come back?
    pub hint: bool,
    /// How many spans were rejected by an answer that is a success.
    pub rejected: u64,
}

/// What a client knows of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// A success: every span of it must stay.
    Acked,
    /// A clear refusal, with its status.
    Refused,
    /// No answer that can be relied on: it may have been taken.
    Unknown,
    /// It never left the client.
    NotSent,
}

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Which node was asked.
    pub node: u16,
    /// For which tenant.
    pub tenant: u16,
    /// When the question was sent.
    pub begun_ns: u64,
    /// When the answer was there.
    pub ended_ns: u64,
    /// What was asked.
    pub asked: Asked,
    /// What the answer says of itself.
    pub claim: Claim,
    /// The traces in it.
    pub seen: Vec<Seen>,
    /// What is in it and is nothing that a client of this run made, or is there twice.
    pub odd: Vec<Odd>,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    /// One trace by its id.
    Trace {
        /// The client that made it.
        client: u16,
        /// The request that began it.
        number: u32,
        /// Which of the request's traces.
        trace: u16,
    },
    /// All traces that requests `from..until` of a client began, by an attribute.
    Search {
        /// The client that made them.
        client: u16,
        /// The first request.
        from: u32,
        /// The request after the last one.
        until: u32,
    },
    /// The same, after all faults were over and the cluster had settled: the last word.
    Final {
        /// The client that made them.
        client: u16,
        /// The first request.
        from: u32,
        /// The request after the last one.
        until: u32,
    },
}

impl Asked {
    /// The client and the requests that it is about.
    pub fn requests(&self) -> (u16, u32, u32) {
        match *self {
            Self::Trace { client, number, .. } => (client, number, number.saturating_add(1)),
            Self::Search { client, from, until } | Self::Final { client, from, until } => {
                (client, from, until)
            }
        }
    }
}

/// What an answer says of its completeness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Claim {
    /// Nothing is missing.
    Complete,
    /// Something is missing.
    Partial {
        /// Shards that it lacks.
        missing: Vec<u32>,
        /// Shards of which it may lack the latest.
        stale: Vec<u32>,
        /// What else it says.
        other: String,
    },
    /// There is no answer.
    Failed {
        /// The status, 0 without one.
        status: u16,
    },
}

/// A trace in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The client that made it.
    pub client: u16,
    /// The request that began it.
    pub number: u32,
    /// Which of the request's traces.
    pub trace: u16,
    /// A bit for each place of which the span was there.
    pub places: u64,
    /// The sum of the weights of those spans, as their contents came back.
    pub sum: u64,
}

impl Seen {
    /// Which trace it is.
    pub fn key(&self) -> TraceKey {
        let request = RequestId { client: self.client, number: self.number };
        TraceKey { request, trace: self.trace }
    }
}

/// A span that should not be in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Odd {
    /// Its trace id in hexadecimal digits.
    pub trace_id: String,
    /// Its span id in hexadecimal digits.
    pub span_id: String,
    /// Is it a second copy of one that is there too?
    pub repeat: bool,
    /// What is wrong with it.
    pub why: String,
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The how-manieth of the run.
    pub number: u32,
    /// What it was.
    pub kind: String,
    /// The nodes that cannot be expected to serve while it lasts.
    pub victims: Vec<u16>,
    /// When it was there.
    pub begun_ns: u64,
    /// When it was over: the node started again, the link mended.
    pub healed_ns: u64,
    /// When the next fault began, or the run ended: recovery is not looked for later.
    pub closed_ns: u64,
    /// Must the other nodes accept writes while it lasts?
    pub others_serve: bool,
    /// How long until writes are accepted again, from its beginning at the others and from its
    /// end at all.
    pub limit_ns: u64,
    /// How often it bit: packets dropped, processes ended, syncs refused.
    pub bites: u64,
    /// What was counted, and anything else to know of it.
    pub note: String,
}

/// The replicas as one node knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replicas {
    /// Who said so.
    pub node: u16,
    /// When.
    pub at_ns: u64,
    /// Was nothing being written any more?
    pub settled: bool,
    /// All replicas of all shards.
    pub replicas: Vec<Replica>,
}

/// One replica of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Of which shard.
    pub shard: u32,
    /// On which node, by its id.
    pub node: String,
    /// Up to which entry it has applied.
    pub applied: u64,
    /// How many spans it holds.
    pub spans: u64,
    /// What stands for the set of its spans, if it says so.
    pub digest: Option<String>,
}
