//! Applying commands: the guard that all share, and the way to each kind.

use storage::log::LogIndex;

use super::founding::MalformedFounding;
use super::{Applied, MetaCommand, MetaOutcome, MetaState, Refusal};

/// What a kind of command comes to.
pub(super) type Done = Result<Applied, Refusal>;

impl MetaState {
    /// Applies the command at `index` of the meta group's log.
    ///
    /// Invariant: whoever refuses has changed nothing. Each kind checks all it has to check before
    /// its first change.
    pub fn apply(&mut self, index: LogIndex, command: &MetaCommand) -> MetaOutcome {
        if index <= self.applied {
            return MetaOutcome::Refused(Refusal::Repeated);
        }
        self.applied = index;
        match self.admit(command).and_then(|()| self.perform(index, command)) {
            Ok(applied) => MetaOutcome::Applied(applied),
            Err(refusal) => MetaOutcome::Refused(refusal),
        }
    }

    /// Notes that an entry which is no command (Raft's own) was applied.
    pub fn skip(&mut self, index: LogIndex) {
        self.applied = self.applied.max(index);
    }

    fn admit(&self, command: &MetaCommand) -> Result<(), Refusal> {
        if matches!(command, MetaCommand::Found { .. }) {
            return Ok(());
        }
        if self.cluster.is_none() {
            return Err(Refusal::NotFounded);
        }
        let (needed, version) = (command.min_version(), self.cluster_version);
        if needed > version {
            return Err(Refusal::NeedsVersion { needed, version });
        }
        Ok(())
    }

    fn perform(&mut self, index: LogIndex, command: &MetaCommand) -> Done {
        match command {
            MetaCommand::Found { founding, at } => self.found(index, founding, *at),
            MetaCommand::PutNode { node, record, at } => self.put_node(index, *node, record, *at),
            MetaCommand::RemoveNode { node } => self.remove_node(index, *node),
            MetaCommand::ReplaceNode { old, expected, new } => {
                self.replace_node(index, *old, *expected, *new)
            }
            MetaCommand::NodeGone { node } => self.node_gone(index, *node),
            MetaCommand::ChangeReplicas { group, expected, remove, add } => {
                self.change_replicas(index, *group, *expected, remove, add)
            }
            MetaCommand::GroupFormed { group, expected } => {
                self.group_formed(index, *group, *expected)
            }
            MetaCommand::ConfirmGone { replica } => self.confirm_gone(index, *replica),
            MetaCommand::ForgetReplica { replica } => self.forget_replica(index, *replica),
            MetaCommand::SetReplicationFactor { factor } => {
                self.set_replication_factor(index, *factor)
            }
            MetaCommand::AddShards { expected, placement } => {
                self.add_shards(index, *expected, placement)
            }
            MetaCommand::StartFence { epoch, at } => self.start_fence(index, *epoch, *at),
            MetaCommand::ActivateEpoch { epoch, at } => self.activate_epoch(index, *epoch, *at),
            MetaCommand::AbandonEpoch { epoch } => self.abandon_epoch(index, *epoch),
            MetaCommand::PutTenant { tenant } => self.put_tenant(index, tenant),
            MetaCommand::DropTenant { tenant } => Ok(self.drop_tenant(index, tenant)),
            MetaCommand::SetRetention { expected, ages, disk_bytes_max } => {
                self.set_retention(index, *expected, ages, *disk_bytes_max)
            }
            MetaCommand::SetSampling { expected, content } => {
                self.set_sampling(index, *expected, content)
            }
            MetaCommand::RaiseVersion { to } => self.raise_version(index, *to),
            MetaCommand::Recover { cluster, survivor, held } => {
                self.recover(index, *cluster, *survivor, held)
            }
        }
    }
}

/// What a change without further news comes to.
pub(super) fn changed(revision: LogIndex) -> Applied {
    Applied { revision, replicas: Vec::new() }
}

/// Refuses a command that was planned on another revision.
pub(super) fn check_revision(expected: LogIndex, found: LogIndex) -> Result<(), Refusal> {
    if expected == found { Ok(()) } else { Err(Refusal::Stale { expected, found }) }
}

impl From<MalformedFounding> for Refusal {
    fn from(malformed: MalformedFounding) -> Self {
        Self::Malformed { what: malformed.what }
    }
}
