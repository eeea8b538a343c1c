//! The receiver's side of a snapshot: fetches what the machine lacks, then installs it.
//!
//! One task per replica does both, from one offer to its end; offers for the same snapshot follow
//! it, an offer for another replaces it unless it is installing. Invariant: one installation at a
//! time, and the next only after the core has taken note of the last.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration as StdDuration;

use bytes::Bytes;
use model::NodeId;
use storage::mutant::{self, Mutant};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::limits::{
    DOUBT_WITHIN, FILE_NAME_BYTES_MAX, OFFER_HELD_FOR, SNAPSHOT_FILES_MAX, STRETCH_ATTEMPTS_MAX,
    STRETCH_BYTES_MAX, STRETCH_WITHIN, STRETCHES_AT_ONCE,
};
use super::machine::{FileName, Machine, MachineError, MissingFile};
use super::messages::{
    Answer, Fetch, Offer, Offered, Request, Route, decode_answer, encode_request,
};
use super::router::Endpoint;
use super::state_machine::{Snapshot, SnapshotData};
use super::types::{LogId, Vote};
use crate::task::Task;
use crate::transport::{Method, Transport};
use crate::watch;

/// Room for stretches under way, shared by the replicas of a node. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct StretchRoom(Arc<Semaphore>);

impl Default for StretchRoom {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STRETCHES_AT_ONCE)))
    }
}

impl StretchRoom {
    /// Waits for room, in turn; nothing if there never will be any, which nobody brings about.
    async fn take(&self) -> Option<SemaphorePermit<'_>> {
        self.0.acquire().await.ok()
    }
}

/// Which snapshot is being received, if any.
#[derive(Debug, Default)]
pub(crate) struct Receiving {
    session: Mutex<Option<Session>>,
}

#[derive(Debug)]
struct Session {
    of: LogId,
    manifest: Bytes,
    /// The newest leader that offers it.
    vote: watch::Sender<Vote>,
    progress: watch::Receiver<Progress>,
    _task: Task,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Progress {
    Fetching { bytes: u64 },
    Installing { bytes: u64 },
    Done { vote: Vote },
    Failed { reason: String },
}

/// Answers an offer: starts or follows the transfer, and says after a while how far it is.
pub(crate) async fn receive(
    endpoint: &Arc<Endpoint>,
    leader: NodeId,
    route: Route,
    offer: Offer,
) -> Result<Offered, String> {
    let Some(of) = offer.meta.last_log_id else { return Err("a snapshot of nothing".into()) };
    let (own_vote, committed) = endpoint.standing();
    if own_vote > offer.vote {
        return Ok(Offered::Done { vote: own_vote });
    }
    if committed >= Some(of) {
        // Nothing need be fetched for what is there; openraft takes note and answers.
        let vote = install(endpoint, offer.vote, offer).await?;
        return Ok(Offered::Done { vote });
    }
    let (mut progress, is_this_one) = endpoint.receiving.follow(endpoint, leader, route, of, offer);
    let settled = progress
        .wait_for(|progress| matches!(progress, Progress::Done { .. } | Progress::Failed { .. }));
    let held = StdDuration::from_nanos(OFFER_HELD_FOR.0);
    // Time is up, or the task is gone: what was last said of it counts.
    let _ = tokio::time::timeout(held, settled).await;
    let reached = progress.borrow().clone();
    match reached {
        Progress::Fetching { .. } | Progress::Installing { .. } => {
            if progress.has_changed().is_err() {
                endpoint.receiving.forget();
                return Err("the transfer was given up".into());
            }
            reached.answer(is_this_one)
        }
        settled => {
            endpoint.receiving.forget();
            settled.answer(is_this_one)
        }
    }
}

impl Progress {
    /// What is said to the one whose offer was followed, or waited for another to end.
    ///
    /// Invariant (REP-2): only what is installed is said to be. The leader takes this for the
    /// place from which its log goes on; another snapshot's place is a gap in this replica.
    fn answer(self, is_this_one: bool) -> Result<Offered, String> {
        match self {
            Self::Fetching { bytes } | Self::Installing { bytes } => {
                Ok(Offered::Working { bytes_fetched: bytes })
            }
            Self::Done { .. } if !is_this_one && !mutant::is(Mutant::OfferOfAnother) => {
                Ok(Offered::Working { bytes_fetched: 0 })
            }
            Self::Done { vote } => Ok(Offered::Done { vote }),
            Self::Failed { reason } => Err(reason),
        }
    }
}

impl Receiving {
    /// The progress of what is under way, and whether that is the offered snapshot: one that is
    /// being installed is waited for.
    fn follow(
        &self,
        endpoint: &Arc<Endpoint>,
        leader: NodeId,
        route: Route,
        of: LogId,
        offer: Offer,
    ) -> (watch::Receiver<Progress>, bool) {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = session.as_ref() {
            let is_same = session.of == of && session.manifest == offer.manifest;
            let installs = matches!(*session.progress.borrow(), Progress::Installing { .. });
            if is_same || installs {
                session.vote.send_replace(offer.vote);
                return (session.progress.clone(), is_same);
            }
        }
        let (vote, newest_vote) = watch::channel(offer.vote);
        let (sender, progress) = watch::channel(Progress::Fetching { bytes: 0 });
        let manifest = offer.manifest.clone();
        let transfer = Transfer { endpoint: Arc::clone(endpoint), leader, route, sender };
        let task = Task::spawn("raft-snapshot", transfer.run(offer, newest_vote));
        let of_it = progress.clone();
        *session = Some(Session { of, manifest, vote, progress, _task: task });
        (of_it, true)
    }

    /// Ends what is under way.
    pub(crate) fn forget(&self) {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Dropped behind the lock: the task's end may drop what leads back here.
        drop(session);
    }
}

struct Transfer {
    endpoint: Arc<Endpoint>,
    leader: NodeId,
    route: Route,
    sender: watch::Sender<Progress>,
}

impl Transfer {
    async fn run(self, offer: Offer, newest_vote: watch::Receiver<Vote>) {
        let (group, of) = (self.route.group, offer.meta.last_log_id.map(|id| id.index));
        let result = async {
            // Invariant (REP-2): the log goes on where the machine will be.
            let asked = offer.manifest.clone();
            let cut = self.on_machine(move |machine| machine.cut_of(&asked)).await?;
            if of != Some(cut.0) {
                return Err(format!("its manifest is of entry {cut}"));
            }
            let bytes = self.fetch_all(&offer.manifest).await?;
            self.sender.send_replace(Progress::Installing { bytes });
            // What is remembered of requests is read, written and kept: megabytes of each group.
            let _room = self.endpoint.room.take().await;
            let vote = *newest_vote.borrow();
            install(&self.endpoint, vote, offer).await
        };
        let end = match result.await {
            Ok(vote) => {
                tracing::info!(%group, of, "a snapshot was received and installed");
                Progress::Done { vote }
            }
            Err(reason) => {
                tracing::warn!(%group, of, reason, "a snapshot was not received");
                Progress::Failed { reason }
            }
        };
        self.sender.send_replace(end);
    }

    /// Fetches what is missing and says how many bytes that were.
    async fn fetch_all(&self, manifest: &Bytes) -> Result<u64, String> {
        let asked = manifest.clone();
        let missing = self.on_machine(move |machine| machine.missing_files(&asked)).await?;
        if missing.len() > SNAPSHOT_FILES_MAX {
            return Err(format!("{} files are too many", missing.len()));
        }
        let mut bytes = 0;
        for MissingFile { file, bytes: length, bytes_present } in missing {
            if file.0.len() > FILE_NAME_BYTES_MAX {
                return Err("a file's name is too long".into());
            }
            let mut offset = bytes_present;
            while offset < length {
                let _room = self.endpoint.room.take().await;
                let fetch = Fetch { file: file.clone(), offset, length: STRETCH_BYTES_MAX };
                let stretch = self.fetch(fetch).await?;
                let end = offset.saturating_add(stretch.len() as u64);
                if stretch.is_empty() || end > length {
                    return Err("a stretch is empty or too long".into());
                }
                self.put(manifest, &file, offset, stretch).await?;
                bytes += end - offset;
                offset = end;
                self.sender.send_replace(Progress::Fetching { bytes });
            }
        }
        Ok(bytes)
    }

    /// Hands a stretch to the machine. If the file that it ends turns out damaged, the sender has
    /// to look at its own: one that does not know of the damage would offer it for ever.
    async fn put(
        &self,
        manifest: &Bytes,
        file: &FileName,
        offset: u64,
        stretch: Bytes,
    ) -> Result<(), String> {
        let machine = Arc::clone(&self.endpoint.machine);
        let (manifest, put) = (manifest.clone(), file.clone());
        let put = move || machine.put_stretch(&manifest, &put, offset, &stretch);
        match self.endpoint.blocking.run_alone(put).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(MachineError::BadSnapshot { reason })) => {
                let judged = self.ask(Request::Doubt(file.clone()), DOUBT_WITHIN).await;
                let judged = match judged {
                    Ok(Answer::Judged { is_sound: true }) => "the sender's is sound".to_owned(),
                    Ok(Answer::Judged { is_sound: false }) => "so is the sender's".to_owned(),
                    Ok(_) => "an answer to another question".to_owned(),
                    Err(error) => error,
                };
                Err(format!("{reason}; {judged}"))
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn fetch(&self, fetch: Fetch) -> Result<Bytes, String> {
        match self.ask(Request::Fetch(fetch), STRETCH_WITHIN).await? {
            Answer::Stretch(bytes) => Ok(bytes),
            _ => Err("an answer to another question".into()),
        }
    }

    /// Asks the sender, again if nothing comes back.
    async fn ask(&self, request: Request, within: model::Duration) -> Result<Answer, String> {
        let route = self.route.back();
        let request = encode_request(route, &request).map_err(|error| error.to_string())?;
        let transport: &dyn Transport = self.endpoint.transport.as_ref();
        let mut last = String::new();
        for _ in 0..STRETCH_ATTEMPTS_MAX {
            let call = transport.call(self.leader, Method::FetchFile, request.clone(), within);
            match call.await.map(decode_answer) {
                Ok(Ok((_, Answer::Refused { reason }))) => return Err(reason),
                Ok(Ok((from, answer))) if from == route.back() => return Ok(answer),
                Ok(Ok(_)) => return Err("an answer of another replica".into()),
                Ok(Err(error)) => last = error.to_string(),
                Err(error) => last = error.to_string(),
            }
        }
        Err(last)
    }

    async fn on_machine<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Machine) -> Result<T, super::machine::MachineError> + Send + 'static,
    ) -> Result<T, String> {
        let machine = Arc::clone(&self.endpoint.machine);
        let done = self.endpoint.blocking.run_alone(move || work(machine.as_ref())).await;
        done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}

/// Hands a snapshot whose files are here to the core, and waits until it is installed. The answer
/// is the replica's vote, by which a leader learns that it is none any more.
async fn install(endpoint: &Endpoint, vote: Vote, offer: Offer) -> Result<Vote, String> {
    let data = SnapshotData::Received(offer.manifest);
    let snapshot = Snapshot { meta: offer.meta, snapshot: data };
    let installed = endpoint.raft.install_full_snapshot(vote, snapshot).await;
    installed.map(|response| response.vote).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_one_snapshot_is_not_that_of_another() {
        let vote = Vote::new(1, 1);
        let done = || Progress::Done { vote };
        assert!(matches!(done().answer(true), Ok(Offered::Done { .. })));
        assert!(matches!(done().answer(false), Ok(Offered::Working { .. })));
        Progress::Failed { reason: "no room".into() }.answer(false).unwrap_err();
    }
}
