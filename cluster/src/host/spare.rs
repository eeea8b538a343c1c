//! A node that does not know any more who it was asks whether the others can do without it.
//!
//! The question is open to whoever holds the cluster's key, because the one who asks belongs to no
//! cluster. It changes nothing. Any member answers, from what all of them report at that moment.

use bytes::Bytes;
use futures_util::future::join_all;

use super::handle::Shared;
use super::limits::{SEEDS_MAX, SPARE_DEADLINE};
use super::messages::{SpareReply, SpareRequest, decode, encode};
use super::parts::ResolveSeeds;
use crate::plan::can_do_without;
use crate::transport::{Dial, Method, Reply};

impl Shared {
    /// Answers whether the member of a name can be done without.
    pub(super) async fn answer_spare(&self, request: &Bytes) -> Reply {
        let SpareRequest { name } = decode(request)?;
        let state = self.state();
        let reply = if state.cluster().is_some() {
            let facts = self.gather(&state).await;
            match can_do_without(&state, &facts, self.now(), &name) {
                Ok(node) => SpareReply::Spared { node: node.0 },
                Err(reason) => SpareReply::Needed(reason.to_string()),
            }
        } else {
            SpareReply::Needed("the node does not know its cluster yet".into())
        };
        Ok(encode(&reply)?)
    }
}

/// Asks every address of the seeds whether the member of a name can be done without: some member
/// has to say so, and none may say otherwise. Else says why not.
pub async fn ask_to_be_spared(
    dial: &dyn Dial,
    seeds: &ResolveSeeds,
    name: &str,
) -> Result<(), String> {
    let request = encode(&SpareRequest { name: name.to_owned() });
    let request = request.map_err(|error| error.to_string())?;
    let addresses = seeds().await;
    let asked = addresses.into_iter().take(SEEDS_MAX).map(|(_, address)| {
        let request = request.clone();
        async move {
            let address = address.to_string();
            let called = dial.call_address(&address, Method::Spare, request, SPARE_DEADLINE);
            called.await.0.ok().and_then(|reply| decode::<SpareReply>(&reply).ok())
        }
    });
    verdict(join_all(asked).await.into_iter().flatten())
}

fn verdict(replies: impl Iterator<Item = SpareReply>) -> Result<(), String> {
    let mut members = 0_usize;
    for reply in replies {
        match reply {
            SpareReply::Spared { .. } => members += 1,
            SpareReply::Needed(reason) => return Err(reason),
        }
    }
    if members > 0 { Ok(()) } else { Err("no member of the cluster answers".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_member_has_to_agree_and_none_may_object() {
        let spared = || SpareReply::Spared { node: [1; 16] };
        let needed = || SpareReply::Needed("group 3".into());
        assert_eq!(verdict([spared(), spared()].into_iter()), Ok(()));
        assert_eq!(verdict([spared(), needed()].into_iter()), Err("group 3".into()));
        assert!(verdict(std::iter::empty()).is_err(), "silence is no consent");
    }
}
