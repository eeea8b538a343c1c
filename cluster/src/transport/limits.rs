//! Every bound of the real transport, each with its reason.

use std::time::Duration;

use super::FRAME_BYTES_MAX;

/// Addresses of one name that are tried at a connect; a name of a node has one or two.
pub const ADDRESSES_TRIED_MAX: usize = 8;

/// How long resolving, connecting and both handshakes may take together.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(3);

/// How long one address of several may take to answer, so that a dead one leaves time for others.
pub const CONNECT_ONE_DEADLINE: Duration = Duration::from_secs(1);

/// How long a client may take for its side of the handshake. On a starved processor a handshake
/// takes tens of milliseconds; a stranger holds a place for no longer than this.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(3);

/// Pause after the first failed connect; doubled with each further one.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(50);

/// Longest pause between connects: a node that is back is noticed within this and
/// [`CONNECT_ONE_DEADLINE`].
pub const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// How long bytes may stay unconfirmed by the other side's kernel. The kernel repeats them at twice
/// the distance each time, so that a connection that outlived a cut of some seconds would be silent
/// for as long again; a new one is there at once. The kernel of a process that is paused or starved
/// confirms for it until its buffers are full; then a connection is lost that served nobody.
pub const UNCONFIRMED_DEADLINE: Duration = Duration::from_millis(1_500);

/// Silence after which the other side is asked for a sign of life.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);

/// How long that sign may take. Long enough for a stalled processor, short enough that calls do
/// not sit on a connection to a machine that is gone.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(6);

/// How long the other side may take to accept or refuse a stream, its first frame included.
pub const OPEN_DEADLINE: Duration = Duration::from_secs(5);

/// The longest deadline of a call that is served.
pub const CALL_DEADLINE_MAX: Duration = Duration::from_mins(5);

/// Calls under way on one connection; more wait, within their deadlines.
pub const CALLS_PER_LANE_MAX: usize = 256;

/// Votes and heartbeats under way on one connection, beside other calls: a heartbeat that waits for
/// the seats of questions comes too late, and groups that are well lose their leaders. One for each
/// group that two nodes share, with some to spare.
pub const RAFT_CALLS_PER_LANE_MAX: usize = 128;

/// Open streams on one connection: two for each group that two nodes share, with much to spare.
pub const STREAMS_PER_LANE_MAX: usize = 256;

/// What a server allows on one connection at a time.
pub const HTTP2_STREAMS_MAX: u32 = 512;

/// Bytes of requests under way on one connection, calls only: what a server has to hold at once.
pub const REQUEST_BYTES_PER_LANE_MAX: usize = 32 << 20;

/// Bytes that may be on their way unread in one stream. A frame larger than this needs several
/// turns, which on a network of milliseconds costs next to nothing.
pub const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// The same for all streams of a connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// Bytes of one stream that wait to be written.
pub const SEND_BUFFER_BYTES_MAX: usize = 1 << 20;

/// Bytes that are gathered into one write to a connection: what the shards of two nodes have to say
/// to each other at a time. Larger writes go past, for they need no company.
pub const GATHERED_BYTES_MAX: usize = 64 << 10;

/// Turns of a connection's task after which what was gathered leaves, though more may come: one for
/// those who were ready to run, and one for those whom they woke.
pub const GATHER_TURNS_MAX: u32 = 2;

/// Bytes of headers of one request or answer; ours are a few hundred.
pub const HEADER_BYTES_MAX: u32 = 16 << 10;

/// Calls given up by their callers that a server may find in one go, after it stood still.
pub const RESETS_PENDING_MAX: usize = 1_024;

/// Connections that a server keeps: three from each of some hundred peers, and strangers that are
/// still in their handshake.
pub const CONNECTIONS_MAX: usize = 512;

/// Peers with connections of ours.
pub const PEERS_MAX: usize = 256;

/// Connects, connections and streams of ours at a time.
pub const CLIENT_TASKS_MAX: usize = PEERS_MAX * 3 * 8;

/// Calls to addresses under way, each on a connection of its own.
pub const DIALS_MAX: usize = 32;

/// Bytes of a reason that travels with a refusal.
pub const REASON_BYTES_MAX: usize = 512;

const _: () = assert!(REQUEST_BYTES_PER_LANE_MAX > FRAME_BYTES_MAX);
const _: () = assert!(HTTP2_STREAMS_MAX as usize >= CALLS_PER_LANE_MAX + STREAMS_PER_LANE_MAX);
