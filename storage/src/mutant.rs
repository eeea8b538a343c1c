//! Deliberate defects, to find out whether the tests would notice a real one.
//!
//! Without the cargo feature `mutants`, which no release build has, [`is`] is `false` at compile
//! time and nothing of a defect is left. With it, a process is sound until [`choose`] names a
//! defect. Each place that asks says by the name of the defect what it breaks.

/// The variable of the environment that names the defect of a process that chooses none.
pub const VARIABLE: &str = "SKUA_MUTANT";

/// A defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mutant {
    /// The log reports a batch durable without a sync.
    AckBeforeSync = 1,
    /// A vote is answered before it is durable.
    VoteNotSynced,
    /// Entries after a conflict stay in the log.
    ConflictKeepsTail,
    /// A batch that was applied is applied again.
    BatchIdIgnored,
    /// The log is purged beyond the seal cut.
    PurgePastSealCut,
    /// The manifest names a block that was not synced.
    BlockNotSynced,
    /// What a start finds in the manifest is taken for less than it is: the cut is one too high.
    SealCutTooHigh,
    /// A read does not wait for its barrier.
    BarrierSkipped,
    /// A leader answers a barrier without asking a majority.
    BarrierWithoutMajority,
    /// A barrier covers what the leader has applied, although others are ahead of that.
    BarrierBehindOthers,
    /// An answer that lacks a shard does not say so.
    PartialNotSaid,
    /// A write is acknowledged when the leader has taken it, before it is committed.
    AckBeforeCommit,
    /// A merge leaves out the spans of one of its inputs.
    MergeDropsInput,
    /// The names of new blocks are not synced.
    DirectoryNotSynced,
    /// A leader that was started again leads on without an election.
    LeaderRestored,
    /// An answer from a replica that may be behind does not say so.
    StaleNotSaid,
    /// Blocks are named before the log is durable up to where they go.
    SealBeforeLog,
    /// A shard takes batches that were routed by a ring epoch before its fence.
    EpochFenceSkipped,
    /// What is left of a dead core goes on touching what its successor uses.
    FenceSkipped,
    /// One clock is enough for spans to be past their retention.
    FastClockDrops,
    /// A digest adds by exclusive or, so that what is there twice is not there.
    DigestXors,
    /// A follower that refuses entries is taken for one that has them.
    ConflictAcknowledged,
    /// The end of one snapshot answers the offer of another.
    OfferOfAnother,
    /// Entries are sent although those before them were purged.
    SentBehindGap,
    /// A replica whose log was damaged begins anew under its old id.
    ReplicaReused,
    /// A log that is shorter than the blocks is taken for sound.
    ShortLogTaken,
    /// A damaged log ends where the damage is.
    DamageCutOff,
    /// A section of a block is served whatever its checksum says.
    ChecksumIgnored,
    /// A block that was found damaged counts as sound after a start.
    DamageForgotten,
    /// Whoever offers a damaged block never looks at it.
    DamageOffered,
    /// A block does not know some of its traces when asked for them by id.
    FilterLies,
    /// A block that has nothing of a tenant shows another's.
    TenantIgnored,
    /// A snapshot is installed without one of its blocks.
    SnapshotWithoutBlock,
    /// A snapshot is said to be installed, and is not.
    SnapshotNotInstalled,
}

impl Mutant {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::AckBeforeSync,
        Self::VoteNotSynced,
        Self::ConflictKeepsTail,
        Self::BatchIdIgnored,
        Self::PurgePastSealCut,
        Self::BlockNotSynced,
        Self::SealCutTooHigh,
        Self::BarrierSkipped,
        Self::BarrierWithoutMajority,
        Self::BarrierBehindOthers,
        Self::PartialNotSaid,
        Self::AckBeforeCommit,
        Self::MergeDropsInput,
        Self::DirectoryNotSynced,
        Self::LeaderRestored,
        Self::StaleNotSaid,
        Self::SealBeforeLog,
        Self::EpochFenceSkipped,
        Self::FenceSkipped,
        Self::FastClockDrops,
        Self::DigestXors,
        Self::ConflictAcknowledged,
        Self::OfferOfAnother,
        Self::SentBehindGap,
        Self::ReplicaReused,
        Self::ShortLogTaken,
        Self::DamageCutOff,
        Self::ChecksumIgnored,
        Self::DamageForgotten,
        Self::DamageOffered,
        Self::FilterLies,
        Self::TenantIgnored,
        Self::SnapshotWithoutBlock,
        Self::SnapshotNotInstalled,
    ];

    /// Its name, as it is chosen by.
    pub fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }

    /// The one of a name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mutant| mutant.name() == name)
    }
}

#[cfg(feature = "mutants")]
mod chosen {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Mutant;

    /// What the environment names, if nobody chooses: how a test that is run by name gets a defect.
    #[expect(clippy::disallowed_methods, reason = "no product has this; tests have no settings")]
    static CHOSEN: LazyLock<AtomicU8> = LazyLock::new(|| {
        let named = std::env::var(super::VARIABLE).ok();
        let mutant = named.and_then(|name| Mutant::by_name(&name));
        AtomicU8::new(mutant.map_or(0, |mutant| mutant as u8))
    });

    /// Whether the process has this defect.
    pub fn is(mutant: Mutant) -> bool {
        CHOSEN.load(Ordering::Relaxed) == mutant as u8
    }

    /// Gives the process a defect, or makes it sound.
    pub fn choose(mutant: Option<Mutant>) {
        CHOSEN.store(mutant.map_or(0, |mutant| mutant as u8), Ordering::Relaxed);
    }
}

#[cfg(feature = "mutants")]
pub use chosen::{choose, is};

/// Whether the process has this defect: it has none.
#[cfg(not(feature = "mutants"))]
#[inline]
pub const fn is(_: Mutant) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for mutant in Mutant::ALL {
            assert_eq!(Mutant::by_name(&mutant.name()), Some(*mutant));
        }
        assert_eq!(Mutant::AckBeforeSync.name(), "ack-before-sync");
    }
}
