//! A machine as openraft wants it: entries in, outcomes and snapshots out.
//!
//! Thin on purpose: the machine does the work, [`Standing`] knows where it stands, and this hands
//! both to threads that may block. Invariant: an adapter whose generation has ended applies
//! nothing, and its successor waits for what it has begun.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::type_config::alias::SnapshotOf;
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use storage::log::LogIndex;
use storage::mutant::{self, Mutant};

use super::fence::Pass;
use super::limits::{APPLY_BYTES_MAX, APPLY_ENTRIES_MAX};
use super::machine::{MachineError, MachineSnapshot, Pin};
use super::position::Position;
use super::standing::Standing;
use super::types::{Consensus, Entry, LogId, SnapshotMeta, StoredMembership};

/// What a snapshot is besides its position: a manifest, and on the side that offers it a hold on
/// the files.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotData {
    pub(crate) manifest: Bytes,
    pub(crate) pin: Option<Pin>,
}

pub(crate) type Snapshot = SnapshotOf<Consensus, SnapshotData>;

/// The state machine of one generation of a replica; also what builds its snapshots.
#[derive(Clone, Debug)]
pub(crate) struct StateMachine {
    standing: Arc<Standing>,
    pass: Pass,
}

impl StateMachine {
    pub(crate) fn new(standing: Arc<Standing>, pass: Pass) -> Self {
        Self { standing, pass }
    }

    /// Runs work on the machine where it may block. The generation's end waits for it.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Standing) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        self.standing.handle.blocking.run(self.on_machine(work)).await?
    }

    fn on_machine<T, W>(&self, work: W) -> impl FnOnce() -> io::Result<T> + use<T, W>
    where
        W: FnOnce(&Standing) -> io::Result<T>,
    {
        let own = self.clone();
        move || {
            own.pass.check()?;
            work(&own.standing)
        }
    }

    async fn save(&self, position: Option<Position>) -> io::Result<()> {
        match position {
            Some(position) => self.standing.save(&self.pass, position).await,
            None => Ok(()),
        }
    }

    /// The machine's snapshot, if it has one; of a machine that hands none on, its position alone,
    /// which is offered to nobody. Its position is in the log's state when this
    /// returns, so the log may be purged up to it.
    async fn snapshot(&self, checkpoint: bool) -> io::Result<Option<Snapshot>> {
        let found = self.run(move |standing| {
            if checkpoint {
                standing.machine.checkpoint().map_err(io::Error::other)?;
            }
            let (cut, data) = match standing.machine.snapshot() {
                Ok(MachineSnapshot { index, manifest, pin }) => {
                    (index, SnapshotData { manifest, pin: Some(pin) })
                }
                // What is damaged is not handed on. But the log is purged up to its cut, and a
                // core needs to know what is in the log's place.
                Err(MachineError::NotYet) => {
                    let Some(cut) = standing.machine.cut() else { return Ok(None) };
                    (cut, SnapshotData { manifest: Bytes::new(), pin: None })
                }
                Err(error) => return Err(io::Error::other(error)),
            };
            let applied = standing.applied().0.map(|applied| LogIndex(applied.index));
            let beyond = applied.filter(|_| mutant::is(Mutant::PurgePastSealCut));
            let position = standing.position_at(beyond.unwrap_or(cut))?;
            Ok(position.map(|position| (data, position)))
        });
        let Some((data, position)) = found.await? else { return Ok(None) };
        self.save(Some(position.clone())).await?;
        let meta = SnapshotMeta {
            last_log_id: Some(position.log_id),
            last_membership: position.membership,
        };
        Ok(Some(Snapshot { meta, snapshot: data }))
    }
}

impl RaftStateMachine<Consensus> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        self.pass.check()?;
        Ok(self.standing.applied())
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Consensus>>> + Unpin + OptionalSend,
    {
        let mut ended = false;
        while !ended {
            let Some(first) = entries.next().await else { break };
            let (entry, responder) = first?;
            let mut bytes = payload_bytes(&entry);
            let (mut chunk, mut responders) = (vec![entry], vec![responder]);
            while chunk.len() < APPLY_ENTRIES_MAX && bytes < APPLY_BYTES_MAX {
                match entries.next().now_or_never() {
                    Some(Some(next)) => {
                        let (entry, responder) = next?;
                        bytes += payload_bytes(&entry);
                        chunk.push(entry);
                        responders.push(responder);
                    }
                    Some(None) => {
                        ended = true;
                        break;
                    }
                    None => break,
                }
            }
            self.standing.handle.noted.committed(chunk.last().map(|entry| &entry.log_id));
            let applied = self.run(move |standing| {
                let outcomes: io::Result<Vec<_>> =
                    chunk.iter().map(|entry| standing.apply(entry)).collect();
                standing.announce();
                Ok((outcomes?, standing.unsaved_position()?))
            });
            let (outcomes, position) = applied.await?;
            for (outcome, responder) in outcomes.into_iter().zip(responders) {
                if let Some(responder) = responder {
                    responder.send(outcome);
                }
            }
            self.save(position).await?;
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Self> {
        Some(self.clone())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        data: SnapshotData,
    ) -> io::Result<()> {
        let Some(log_id) = meta.last_log_id else {
            return Err(io::Error::other("a snapshot of nothing"));
        };
        let position = Position { log_id, membership: meta.last_membership.clone() };
        self.standing.announce_install(&self.pass, &position).await?;
        let reached = position.clone();
        let install = self.on_machine(move |standing| {
            standing.machine.install(&data.manifest).map_err(io::Error::other)?;
            standing.jump(&reached);
            Ok(())
        });
        self.standing.handle.blocking.run_alone(install).await??;
        self.save(Some(position)).await
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        self.snapshot(false).await
    }
}

impl RaftSnapshotBuilder<Consensus> for StateMachine {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let nothing = Snapshot {
            meta: SnapshotMeta::default(),
            snapshot: SnapshotData { manifest: Bytes::new(), pin: None },
        };
        // An error here would be the end of the core. "Nothing" changes nothing, and is not sent.
        Ok(self.snapshot(true).await?.unwrap_or(nothing))
    }
}

fn payload_bytes(entry: &Entry) -> usize {
    match &entry.payload {
        EntryPayload::Normal(command) => command.payload.len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    }
}
