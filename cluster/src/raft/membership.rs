//! How a membership is written: who is in it, where, and in which configurations it votes.
//!
//! A count of configurations, a count of members, then for each member its replica id, its node,
//! and a bit per configuration. A member without bits is a learner.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, BytesMut};

use super::codec::{DecodeError, Reader, put_optional_log_id};
use super::limits::{CONFIGS_MAX, MEMBERS_MAX};
use super::types::{Host, Membership, StoredMembership};

/// Appends a membership, or says that it is too large to be one of ours.
pub(crate) fn put_membership(
    buffer: &mut BytesMut,
    membership: &Membership,
) -> Result<(), DecodeError> {
    let configs = membership.get_joint_config();
    let members = membership.nodes().count();
    if configs.len() > CONFIGS_MAX {
        return Err(DecodeError::TooLarge { what: "configurations" });
    }
    let Some(members) =
        u8::try_from(members).ok().filter(|&count| usize::from(count) <= MEMBERS_MAX)
    else {
        return Err(DecodeError::TooLarge { what: "members" });
    };
    buffer.put_u8(u8::try_from(configs.len()).unwrap_or(u8::MAX));
    buffer.put_u8(members);
    for (replica, host) in membership.nodes() {
        let votes = configs.iter().enumerate().filter(|(_, config)| config.contains(replica));
        buffer.put_u64_le(*replica);
        buffer.put_slice(host.node.as_bytes());
        buffer.put_u8(votes.fold(0, |bits, (number, _)| bits | 1_u8 << number));
    }
    Ok(())
}

/// Reads what [`put_membership`] wrote.
pub(crate) fn take_membership(reader: &mut Reader) -> Result<Membership, DecodeError> {
    let configs = usize::from(reader.u8()?);
    let members = usize::from(reader.u8()?);
    if configs > CONFIGS_MAX {
        return Err(DecodeError::TooLarge { what: "configurations" });
    }
    if members > MEMBERS_MAX {
        return Err(DecodeError::TooLarge { what: "members" });
    }
    let mut voters: Vec<BTreeSet<u64>> = vec![BTreeSet::new(); configs];
    let mut nodes: BTreeMap<u64, Host> = BTreeMap::new();
    for _ in 0..members {
        let replica = reader.u64()?;
        let node = reader.node()?;
        let bits = reader.u8()?;
        if u32::from(bits) >> configs != 0 {
            return Err(DecodeError::Malformed { what: "a vote in no configuration" });
        }
        for (_, config) in voters.iter_mut().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1) {
            config.insert(replica);
        }
        if nodes.last_key_value().is_some_and(|(last, _)| *last >= replica) {
            return Err(DecodeError::Malformed { what: "members are not in order" });
        }
        nodes.insert(replica, Host { node });
    }
    Membership::new(voters, nodes)
        .map_err(|_| DecodeError::Malformed { what: "a configuration without voters" })
}

pub(crate) fn put_stored_membership(
    buffer: &mut BytesMut,
    stored: &StoredMembership,
) -> Result<(), DecodeError> {
    put_optional_log_id(buffer, stored.log_id().as_ref());
    put_membership(buffer, stored.membership())
}

pub(crate) fn take_stored_membership(reader: &mut Reader) -> Result<StoredMembership, DecodeError> {
    let log_id = reader.optional_log_id()?;
    Ok(StoredMembership::new(log_id, take_membership(reader)?))
}
