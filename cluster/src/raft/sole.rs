//! Makes a replica that does not run the only voter of its group, by hand.
//!
//! What Raft does with a configuration that was agreed on is done with one that was not: it is
//! written behind everything that the log holds, in a term that nobody has voted in. A replica
//! that starts on it elects itself, and commits all that is before it.
//!
//! Nothing here is safe while another voter may still act: whoever calls this has decided that the
//! others are gone for good.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use model::NodeId;
use openraft::EntryPayload;
use openraft::vote::RaftLeaderId as _;
use storage::log::{GroupId, LogEngine, LogIndex, Operation};

use super::log_handle::{damaged, failed};
use super::position;
use super::record;
use super::standing::held_by;
use super::types::{Command, Entry, Host, LeaderId, LogId, LogPosition, Membership, Vote};
use crate::identity::ReplicaId;

/// Writes the configuration, and a command behind it if there is one; says where the log ended
/// before. Blocks until it is durable.
pub fn make_sole_voter(
    log: &Arc<dyn LogEngine>,
    group: GroupId,
    (replica, node): (ReplicaId, NodeId),
    command: impl FnOnce(LogIndex) -> Option<Bytes>,
) -> io::Result<Option<LogPosition>> {
    let seen = held_by(log, group)?;
    let last_term = seen.last.map_or(0, |last| last.term);
    let term = seen.voted.max(last_term).saturating_add(1);
    let leader = LeaderId::new(term, replica.0);
    let mut next = seen.last.map_or(0, |last| last.index.0.saturating_add(1));
    let nodes = BTreeMap::from([(replica.0, Host { node })]);
    let membership = Membership::new(vec![BTreeSet::from([replica.0])], nodes);
    let membership = membership.map_err(|error| io::Error::other(error.to_string()))?;
    let mut payloads = vec![EntryPayload::Membership(membership)];
    let behind = LogIndex(next.saturating_add(1));
    payloads.extend(command(behind).map(|bytes| EntryPayload::Normal(Command::new(bytes))));
    let mut entries = Vec::new();
    for payload in payloads {
        let entry = Entry { log_id: LogId::new(leader, next), payload };
        entries.push((LogIndex(next), record::encode(&entry).map_err(damaged)?));
        next = next.saturating_add(1);
    }
    let value = position::encode_vote(&Vote::new(term, replica.0));
    log.submit_and_wait(Operation::PutState { group, slot: position::VOTE, value })
        .map_err(failed)?;
    log.submit_and_wait(Operation::Append { group, entries }).map_err(failed)?;
    Ok(seen.last)
}
