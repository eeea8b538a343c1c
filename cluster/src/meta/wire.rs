//! The protobuf messages that commands, plans and snapshots are made of.
//!
//! Field numbers are for ever: `docs/formats/meta-v1.md` lists them. Whatever is added needs a
//! number of its own and a later cluster version.

/// What a node says of itself.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireRecord {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, repeated, tag = "2")]
    pub(super) addresses: Vec<String>,
    #[prost(string, tag = "3")]
    pub(super) zone: String,
    #[prost(uint32, tag = "4")]
    pub(super) version: u32,
}

/// A founder.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireFounder {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) node: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub(super) record: Option<WireRecord>,
}

/// Where one shard lies.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WirePlacement {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(super) nodes: Vec<Vec<u8>>,
}

/// The plan of a cluster.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireFounding {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) cluster_id: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub(super) cluster_version: u32,
    #[prost(uint32, tag = "3")]
    pub(super) replication_factor: u32,
    #[prost(message, repeated, tag = "4")]
    pub(super) nodes: Vec<WireFounder>,
    #[prost(bytes = "vec", repeated, tag = "5")]
    pub(super) meta_voters: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "6")]
    pub(super) shards: Vec<WirePlacement>,
}

/// A replica to be added.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireAddition {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) node: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub(super) role: u32,
}

/// The age of a retention class.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireAge {
    #[prost(uint32, tag = "1")]
    pub(super) class: u32,
    #[prost(uint64, tag = "2")]
    pub(super) age_ns: u64,
}

/// Any command: which fields a kind has stands in the table of the format's document.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireCommand {
    #[prost(uint32, tag = "1")]
    pub(super) min_version: u32,
    #[prost(uint32, tag = "2")]
    pub(super) kind: u32,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) node: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) successor: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    pub(super) record: Option<WireRecord>,
    #[prost(uint64, tag = "6")]
    pub(super) at_ns: u64,
    #[prost(uint64, tag = "7")]
    pub(super) group: u64,
    #[prost(uint64, tag = "8")]
    pub(super) expected: u64,
    #[prost(uint64, repeated, tag = "9")]
    pub(super) replicas: Vec<u64>,
    #[prost(message, repeated, tag = "10")]
    pub(super) additions: Vec<WireAddition>,
    #[prost(uint32, tag = "11")]
    pub(super) number: u32,
    #[prost(message, repeated, tag = "12")]
    pub(super) placement: Vec<WirePlacement>,
    #[prost(string, tag = "13")]
    pub(super) tenant: String,
    #[prost(message, repeated, tag = "14")]
    pub(super) ages: Vec<WireAge>,
    #[prost(uint64, optional, tag = "15")]
    pub(super) disk_bytes_max: Option<u64>,
    #[prost(bytes = "vec", tag = "16")]
    pub(super) content: Vec<u8>,
    #[prost(message, optional, tag = "17")]
    pub(super) founding: Option<WireFounding>,
    #[prost(uint64, repeated, tag = "18")]
    pub(super) groups: Vec<u64>,
}

/// A node, present or removed.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireNode {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) node: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub(super) record: Option<WireRecord>,
    #[prost(uint32, tag = "3")]
    pub(super) standing: u32,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) successor: Vec<u8>,
    #[prost(uint64, tag = "5")]
    pub(super) joined_at_ns: u64,
    #[prost(uint64, tag = "6")]
    pub(super) joined: u64,
    #[prost(uint64, tag = "7")]
    pub(super) revision: u64,
}

/// A replica in a group's intent.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireReplica {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) node: Vec<u8>,
    #[prost(uint32, tag = "3")]
    pub(super) role: u32,
}

/// A group's intent.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireGroup {
    #[prost(uint64, tag = "1")]
    pub(super) group: u64,
    #[prost(uint32, tag = "2")]
    pub(super) epoch: u32,
    #[prost(bool, tag = "3")]
    pub(super) is_formed: bool,
    #[prost(message, repeated, tag = "4")]
    pub(super) replicas: Vec<WireReplica>,
    #[prost(uint64, tag = "5")]
    pub(super) revision: u64,
}

/// A removed replica.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireTombstone {
    #[prost(uint64, tag = "1")]
    pub(super) replica: u64,
    #[prost(uint64, tag = "2")]
    pub(super) group: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) node: Vec<u8>,
    #[prost(bool, tag = "4")]
    pub(super) is_confirmed: bool,
}

/// A ring epoch.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireEpoch {
    #[prost(uint32, tag = "1")]
    pub(super) id: u32,
    #[prost(uint32, tag = "2")]
    pub(super) shard_count: u32,
    #[prost(uint32, tag = "3")]
    pub(super) state: u32,
    #[prost(uint64, tag = "4")]
    pub(super) fenced_at_ns: u64,
    #[prost(uint64, tag = "5")]
    pub(super) activated_at_ns: u64,
}

/// A tenant.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireTenant {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(uint64, tag = "2")]
    pub(super) since: u64,
}

/// The whole state.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireState {
    #[prost(uint64, tag = "1")]
    pub(super) applied: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) cluster_id: Vec<u8>,
    #[prost(uint32, tag = "3")]
    pub(super) cluster_version: u32,
    #[prost(uint32, tag = "4")]
    pub(super) replication_factor: u32,
    #[prost(uint64, tag = "5")]
    pub(super) settings_revision: u64,
    #[prost(message, repeated, tag = "6")]
    pub(super) nodes: Vec<WireNode>,
    #[prost(uint64, tag = "7")]
    pub(super) last_replica: u64,
    #[prost(message, repeated, tag = "8")]
    pub(super) groups: Vec<WireGroup>,
    #[prost(message, repeated, tag = "9")]
    pub(super) tombstones: Vec<WireTombstone>,
    #[prost(message, repeated, tag = "10")]
    pub(super) epochs: Vec<WireEpoch>,
    #[prost(message, repeated, tag = "11")]
    pub(super) tenants: Vec<WireTenant>,
    #[prost(message, repeated, tag = "12")]
    pub(super) ages: Vec<WireAge>,
    #[prost(uint64, optional, tag = "13")]
    pub(super) disk_bytes_max: Option<u64>,
    #[prost(uint64, tag = "14")]
    pub(super) retention_revision: u64,
    #[prost(bytes = "vec", tag = "15")]
    pub(super) sampling: Vec<u8>,
    #[prost(uint64, tag = "16")]
    pub(super) sampling_revision: u64,
}
