//! Which packets of a session have come already: a sliding window over their counters.

use std::collections::BTreeMap;

use model::time::{Monotonic, Timestamp};

use super::Dropped;
use super::limits::{CLOCK_SKEW_MAX, REPLAY_WINDOW, SESSION_FORGOTTEN, SESSIONS_MAX};

/// The random name of a session, which is one start of a sender.
pub(crate) type SessionId = [u8; 16];

#[derive(Debug, Clone, Copy)]
struct Session {
    highest: u64,
    /// Bit `n` is the packet `n` before the highest.
    seen: u128,
    heard_at: Monotonic,
}

/// The sessions heard of lately.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    sessions: BTreeMap<SessionId, Session>,
}

impl Replay {
    /// Accepts a packet once. It must have been proven genuine before.
    pub(crate) fn accept(
        &mut self,
        id: SessionId,
        counter: u64,
        sent_at: Timestamp,
        now: super::Now,
    ) -> Result<(), Dropped> {
        if let Some(session) = self.sessions.get_mut(&id) {
            return session.accept(counter, now.monotonic);
        }
        let skew = sent_at.since(now.wall).max(now.wall.since(sent_at));
        if skew > CLOCK_SKEW_MAX {
            return Err(Dropped::Clock);
        }
        if self.sessions.len() >= SESSIONS_MAX {
            self.sessions.retain(|_, it| now.monotonic.since(it.heard_at) < SESSION_FORGOTTEN);
            if self.sessions.len() >= SESSIONS_MAX {
                return Err(Dropped::Full);
            }
        }
        self.sessions.insert(id, Session { highest: counter, seen: 1, heard_at: now.monotonic });
        Ok(())
    }
}

impl Session {
    fn accept(&mut self, counter: u64, now: Monotonic) -> Result<(), Dropped> {
        if let Some(ahead) = counter.checked_sub(self.highest).filter(|ahead| *ahead > 0) {
            let shift = u32::try_from(ahead).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(shift).unwrap_or(0) | 1;
            self.highest = counter;
        } else {
            let behind = self.highest - counter;
            if behind >= REPLAY_WINDOW || self.seen & (1 << behind) != 0 {
                return Err(Dropped::Replayed);
            }
            self.seen |= 1 << behind;
        }
        self.heard_at = now;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::Now;

    fn now(seconds: u64) -> Now {
        let nanos = seconds * 1_000_000_000;
        Now { monotonic: Monotonic(nanos), wall: Timestamp(nanos) }
    }

    #[test]
    fn each_counter_is_accepted_once_and_late_ones_only_within_the_window() {
        let mut replay = Replay::default();
        let mut accept = |counter| replay.accept([1; 16], counter, Timestamp(0), now(1)).is_ok();
        assert!(accept(10) && !accept(10));
        assert!(accept(9) && !accept(9) && accept(0) && !accept(0));
        assert!(accept(137) && accept(11) && !accept(10) && !accept(9));
        assert!(accept(u64::MAX) && !accept(137) && accept(u64::MAX - 127));
        assert!(!accept(u64::MAX - 128) && !accept(u64::MAX));
    }

    #[test]
    fn only_a_new_session_is_held_to_the_clock() {
        let mut replay = Replay::default();
        let sent = Timestamp(1_000_000_000_000);
        assert_eq!(replay.accept([1; 16], 0, sent, now(1_301)), Err(Dropped::Clock));
        assert_eq!(replay.accept([1; 16], 0, sent, now(699)), Err(Dropped::Clock));
        assert_eq!(replay.accept([1; 16], 0, sent, now(1_300)), Ok(()));
        assert_eq!(replay.accept([1; 16], 1, sent, now(9_000)), Ok(()));
    }

    #[test]
    fn sessions_are_bounded_and_forgotten_once_their_packets_are_too_old() {
        let mut replay = Replay::default();
        for number in 0..SESSIONS_MAX as u128 {
            replay.accept(number.to_le_bytes(), 0, now(1).wall, now(1)).unwrap();
        }
        let full = replay.accept([255; 16], 0, now(2).wall, now(2));
        assert_eq!(full, Err(Dropped::Full));
        let later = now(1 + 900);
        replay.accept([255; 16], 0, later.wall, later).unwrap();
        assert_eq!(replay.sessions.len(), 1);
        assert_eq!(replay.accept([0; 16], 0, now(1).wall, later), Err(Dropped::Clock));
    }
}
