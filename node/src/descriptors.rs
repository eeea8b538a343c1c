//! How many descriptors the process may open, and how many of them clients get.
//!
//! The customary limit of 1,024 is meant for programs that would break beyond; the hard limit is
//! the administrator's. Runs out whoever opens the next file, and if that is the log, the node
//! ends: so clients' connections are bounded by what the rest leaves.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are not for clients: the log, the key-value store, open blocks (one each), the
/// listeners, peers, and the connections of health and metrics.
const RESERVED: u64 = 1_024;

/// Of a limit that is not much larger, this share is reserved, in quarters: some clients get in.
const RESERVED_QUARTERS: u64 = 3;

/// A limit below which a node is told to be short: what is reserved and a full port.
const ENOUGH: u64 = RESERVED + api::limits::CONNECTIONS_MAX as u64;

/// Raises the limit as far as this process may, and says how many connections clients may have.
pub(crate) fn connections_max() -> usize {
    let limit = raised();
    let connections = of_clients(limit);
    if limit < ENOUGH {
        tracing::warn!(
            limit,
            connections,
            "few descriptors may be open: raise the hard limit (`ulimit -Hn`, `LimitNOFILE`) to \
             {ENOUGH} or more, or clients and blocks run short of them"
        );
    }
    connections
}

/// The limit, raised to the hard one.
fn raised() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Nothing stands for no limit.
    let (soft, hard) = (current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX));
    if soft >= hard {
        return soft;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => hard,
        Err(error) => {
            tracing::warn!(%error, soft, hard, "the limit of open descriptors cannot be raised");
            soft
        }
    }
}

/// How many descriptors of so many are for clients' connections.
fn of_clients(limit: u64) -> usize {
    let reserved = RESERVED.min(limit / 4 * RESERVED_QUARTERS);
    let most = tokio::sync::Semaphore::MAX_PERMITS;
    usize::try_from(limit - reserved).unwrap_or(most).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_what_is_left() {
        for (limit, clients) in [
            (0, 0),
            (256, 64),
            (1_024, 256),
            (1_365, 342),
            (1_368, 344),
            (4_096, 3_072),
            (1_048_576, 1_047_552),
        ] {
            assert_eq!(of_clients(limit), clients, "{limit}");
        }
        assert_eq!(of_clients(u64::MAX), tokio::sync::Semaphore::MAX_PERMITS);
    }

    #[test]
    fn the_limit_is_the_hard_one() {
        let limit = raised();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
        assert_eq!(current.unwrap_or(u64::MAX), limit);
    }
}
