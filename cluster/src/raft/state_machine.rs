//! A machine as openraft wants it: entries in, outcomes and snapshots out.
//!
//! Thin on purpose: the machine does the work, [`Standing`] knows where it stands, and this hands
//! both to threads that may block, but for what is done sooner than handed on. Invariant: an
//! adapter whose generation has ended applies nothing, and its successor waits for what it has
//! begun.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::type_config::alias::SnapshotOf;
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use storage::log::LogIndex;
use storage::mutant::{self, Mutant};

use super::blocking::Blocking;
use super::fence::Pass;
use super::limits::{APPLY_BYTES_MAX, APPLY_ENTRIES_MAX};
use super::pace::Pace;
use super::position::Position;
use super::standing::Standing;
use super::types::{Consensus, Entry, LogId, SnapshotMeta, StoredMembership};

/// What a snapshot is besides its position. Consensus asks for snapshots far more often than one is
/// handed on: at every start and after every seal, to know their positions. Manifests are large, so
/// that of a machine's own is made by who offers it.
#[derive(Clone, Debug)]
pub(crate) enum SnapshotData {
    /// The machine's own, of which there is nothing yet.
    Own,
    /// A manifest that came from elsewhere.
    Received(Bytes),
}

pub(crate) type Snapshot = SnapshotOf<Consensus, SnapshotData>;

/// The state machine of one generation of a replica; also what builds its snapshots.
#[derive(Clone, Debug)]
pub(crate) struct StateMachine {
    standing: Arc<Standing>,
    pass: Pass,
    pace: Pace,
}

impl StateMachine {
    pub(crate) fn new(standing: Arc<Standing>, pass: Pass) -> Self {
        Self { standing, pass, pace: Pace::new() }
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

    /// The position of the machine's snapshot, if it has one. It is in the log's state when this
    /// returns, so the log may be purged up to it.
    async fn snapshot(&self, checkpoint: bool) -> io::Result<Option<Snapshot>> {
        let found = self.run(move |standing| {
            if checkpoint {
                standing.machine.checkpoint().map_err(io::Error::other)?;
            }
            // One that is damaged has a cut as well. It is handed on to nobody, but the log is
            // purged up to there, and a core needs to know what is in the log's place.
            let Some(cut) = standing.machine.cut() else { return Ok(None) };
            let applied = standing.applied().0.map(|applied| LogIndex(applied.index));
            let beyond = applied.filter(|_| mutant::is(Mutant::PurgePastSealCut));
            standing.position_at(beyond.unwrap_or(cut))
        });
        let Some(position) = found.await? else { return Ok(None) };
        self.save(Some(position.clone())).await?;
        let meta = SnapshotMeta {
            last_log_id: Some(position.log_id),
            last_membership: position.membership,
        };
        Ok(Some(Snapshot { meta, snapshot: SnapshotData::Own }))
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
            let noted = &self.standing.handle.noted;
            noted.committed(chunk.last().map(|entry| &entry.log_id));
            if responders.iter().all(Option::is_none) {
                self.pace.moment(noted).await;
            }
            let place = if self.standing.is_brief(&chunk) {
                Blocking::Inline
            } else {
                self.standing.handle.blocking
            };
            let apply = self.on_machine(move |standing| {
                let outcomes: io::Result<Vec<_>> =
                    chunk.iter().map(|entry| standing.apply(entry)).collect();
                standing.announce();
                Ok((outcomes?, standing.unsaved_position()?))
            });
            let (outcomes, position) = place.run_brief(apply).await??;
            for (outcome, responder) in outcomes.into_iter().zip(responders) {
                if let Some(responder) = responder {
                    responder.send(outcome);
                }
            }
            self.save(position).await?;
            self.pace.applied();
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
        let SnapshotData::Received(manifest) = data else {
            return Err(io::Error::other("a snapshot without a manifest"));
        };
        let position = Position { log_id, membership: meta.last_membership.clone() };
        self.standing.announce_install(&self.pass, &position).await?;
        let reached = position.clone();
        let install = self.on_machine(move |standing| {
            standing.machine.install(&manifest).map_err(io::Error::other)?;
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
        let nothing = Snapshot { meta: SnapshotMeta::default(), snapshot: SnapshotData::Own };
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
