//! Every bound of gossip, each with its reason.

use model::Duration;

/// Bytes of one datagram: fits every network without being cut in pieces.
pub const PACKET_BYTES_MAX: usize = 1_400;

/// Bytes of one node's facts on the wire, so that a packet carries at least two beside its own.
pub const FACTS_BYTES_MAX: usize = 512;

/// Bytes of the address in facts: a DNS name may be long.
pub const ADDRESS_BYTES_MAX: usize = 280;

/// Bytes of a node's name, zone or version in facts; what is longer is cut.
pub const LABEL_BYTES_MAX: usize = 63;

/// Nodes that are known, those that are down included. Beyond it packets are dropped.
pub const MEMBERS_MAX: usize = 1_024;

/// How long a probed node may take to answer. Far more than a network takes: a node whose two
/// cores are busy is slow, not dead.
pub const PROBE_ANSWER: Duration = Duration::from_millis(600);

/// How often a node probes another; the rest of it is left for asking through others.
pub const PROBE_PERIOD: Duration = Duration::from_secs(2);

/// How long a suspect may take to speak up.
pub const SUSPECT_TO_DOWN: Duration = Duration::from_secs(6);

/// How often news is passed on beyond what rides on probes.
pub const GOSSIP_PERIOD: Duration = Duration::from_millis(500);

/// How often a node asks another for all that it knows.
pub const ANNOUNCE_PERIOD: Duration = Duration::from_secs(10);

/// How often nodes that are down are asked whether they are: heals partitions.
pub const ANNOUNCE_TO_DOWN_PERIOD: Duration = Duration::from_secs(15);

/// How long a node that is down is remembered.
pub const DOWN_REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// Times that news is passed on at least; the library's own figure for three nodes is two, which
/// a lossy network eats.
pub const TRANSMISSIONS_MIN: u8 = 6;

/// Shortest time between two versions of a node's own facts.
pub const FACTS_PERIOD_MIN: Duration = Duration::from_secs(1);

/// Longest time between them: those who came late have missed the last one.
pub const FACTS_PERIOD_MAX: Duration = Duration::from_secs(10);

/// How far the clock of a node may be off when its first packet comes. Later packets of the same
/// session are known by their counters alone.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(300);

/// Silence after which a session is forgotten. A packet repeated later is too old to open it again,
/// even if its sender's clock was ahead as far as it may be.
pub const SESSION_FORGOTTEN: Duration = Duration::from_secs(900);

/// Sessions, one for each start of a node, that are remembered.
pub const SESSIONS_MAX: usize = 2 * MEMBERS_MAX;

/// Packets of one session that may overtake each other.
pub const REPLAY_WINDOW: u64 = 128;

/// How often seeds are resolved and knocked at while too few nodes are known.
pub const SEEDS_PERIOD: Duration = Duration::from_secs(10);

/// How long resolving one name may take.
pub const RESOLVE_DEADLINE: Duration = Duration::from_secs(5);

/// Addresses of all seeds together that are knocked at.
pub const SEED_ADDRESSES_MAX: usize = 256;

/// Datagrams read in one turn before timers are looked at.
pub const DATAGRAMS_PER_TURN_MAX: usize = 256;

/// How long a datagram may wait for room in the system's buffer before it is dropped.
pub const SEND_WAIT: Duration = Duration::from_millis(20);

/// Commands that may wait for the task.
pub const COMMANDS_MAX: usize = 64;

const _: () = assert!(SESSION_FORGOTTEN.0 > 2 * CLOCK_SKEW_MAX.0);
const _: () = assert!(PROBE_PERIOD.0 > 2 * PROBE_ANSWER.0);
