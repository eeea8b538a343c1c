//! What happened in a simulation, in numbers: whether it counts, and what it was worth.

use std::collections::BTreeMap;

/// Batches that have to be acknowledged for a run to count.
pub const ACKED_MIN: u64 = 200;

/// Faults that have to happen for a run to count.
pub const FAULTS_MIN: u64 = 10;

/// The numbers of one run, or of many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests that were acknowledged.
    pub acked: u64,
    /// Spans of these.
    pub acked_spans: u64,
    /// Requests of unknown outcome.
    pub unknown: u64,
    /// Requests that were sent again.
    pub repeated: u64,
    /// Reads that lacked nothing.
    pub reads: u64,
    /// Reads that said what they lacked.
    pub reads_partial: u64,
    /// Reads that failed.
    pub reads_failed: u64,
    /// Seals that made blocks.
    pub seals: u64,
    /// Merges that made a block.
    pub merges: u64,
    /// Leaders that were seen, beyond the first of each group.
    pub leader_changes: u64,
    /// Configurations of groups that were seen, beyond the first of each.
    pub membership_changes: u64,
    /// Snapshots that were received, as far as seen from outside.
    pub snapshots: u64,
    /// Runs in which one was received.
    pub runs_with_snapshots: u64,
    /// Runs in which members of groups changed.
    pub runs_with_membership_changes: u64,
    /// Logs that were damaged, and made room for empty ones.
    pub logs_set_aside: u64,
    /// Digests of replicas that were compared.
    pub digests_compared: u64,
    /// Entries compared between replicas.
    pub entries_compared: u64,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Processes that ended because their storage failed.
    pub failed_lives: u64,
    /// Starts that failed.
    pub failed_starts: u64,
    /// Messages and frames on the network.
    pub messages: u64,
    /// Changes of disks.
    pub disk_operations: u64,
    /// Simulated milliseconds.
    pub simulated_millis: u64,
    /// From the end of the faults until everything served and was equal: the longest time.
    pub heal_millis_max: u64,
}

impl Counters {
    /// How many faults there were.
    pub fn fault_count(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Counts a fault.
    pub fn fault(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }

    /// Why a run with these numbers does not count, if it does not.
    pub fn too_weak(&self) -> Option<String> {
        let needs = [
            ("acknowledged batches", self.acked, ACKED_MIN),
            ("seals", self.seals, 1),
            ("merges", self.merges, 1),
            ("changes of leaders", self.leader_changes, 1),
            ("faults", self.fault_count(), FAULTS_MIN),
        ];
        let lacking = needs.into_iter().find(|(_, had, needed)| had < needed);
        lacking.map(|(what, had, needed)| format!("{had} {what}, {needed} are needed"))
    }

    /// Adds another run's numbers.
    pub fn add(&mut self, other: &Self) {
        self.acked += other.acked;
        self.acked_spans += other.acked_spans;
        self.unknown += other.unknown;
        self.repeated += other.repeated;
        self.reads += other.reads;
        self.reads_partial += other.reads_partial;
        self.reads_failed += other.reads_failed;
        self.seals += other.seals;
        self.merges += other.merges;
        self.leader_changes += other.leader_changes;
        self.membership_changes += other.membership_changes;
        self.snapshots += other.snapshots;
        self.runs_with_snapshots += u64::from(other.snapshots > 0);
        self.runs_with_membership_changes += u64::from(other.membership_changes > 0);
        self.logs_set_aside += other.logs_set_aside;
        self.digests_compared += other.digests_compared;
        self.entries_compared += other.entries_compared;
        for (kind, count) in &other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.failed_lives += other.failed_lives;
        self.failed_starts += other.failed_starts;
        self.messages += other.messages;
        self.disk_operations += other.disk_operations;
        self.simulated_millis += other.simulated_millis;
        self.heal_millis_max = self.heal_millis_max.max(other.heal_millis_max);
    }

    /// The numbers by name, for a report.
    pub fn rows(&self) -> Vec<(String, u64)> {
        let mut rows: Vec<(String, u64)> = [
            ("acknowledged requests", self.acked),
            ("acknowledged spans", self.acked_spans),
            ("requests of unknown outcome", self.unknown),
            ("requests sent again", self.repeated),
            ("reads that lacked nothing", self.reads),
            ("reads that said what they lacked", self.reads_partial),
            ("reads that failed", self.reads_failed),
            ("seals", self.seals),
            ("merges", self.merges),
            ("changes of leaders", self.leader_changes),
            ("changes of memberships", self.membership_changes),
            ("runs in which memberships changed", self.runs_with_membership_changes),
            ("snapshots received", self.snapshots),
            ("runs in which snapshots were received", self.runs_with_snapshots),
            ("damaged logs that made room for empty ones", self.logs_set_aside),
            ("entries compared between replicas", self.entries_compared),
            ("digests of replicas compared", self.digests_compared),
            ("processes ended by failed storage", self.failed_lives),
            ("starts that failed", self.failed_starts),
            ("messages", self.messages),
            ("changes of disks", self.disk_operations),
            ("simulated milliseconds", self.simulated_millis),
            ("longest time to heal, milliseconds", self.heal_millis_max),
            ("faults", self.fault_count()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        rows.extend(self.faults.iter().map(|(kind, count)| (format!("faults: {kind}"), *count)));
        rows
    }
}
