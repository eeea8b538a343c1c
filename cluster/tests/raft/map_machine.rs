//! A machine that keeps a map: `key=value` sets, `!` refuses, and a checkpoint keeps all of it in
//! one file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use bytes::Bytes;
use cluster::raft::{FileName, Machine, MachineError, MachineSnapshot, MissingFile, Outcome};
use storage::log::LogIndex;

/// The map; clones share it. What is behind `durable` survives a restart.
#[derive(Clone, Debug, Default)]
pub(crate) struct MapMachine {
    state: Arc<Mutex<State>>,
    gate: Arc<Gate>,
}

/// Closed, it lets nothing be applied.
#[derive(Debug, Default)]
struct Gate {
    is_closed: Mutex<bool>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    map: BTreeMap<String, String>,
    applied: Option<LogIndex>,
    /// How often each index was applied since the start.
    applications: BTreeMap<u64, u32>,
    /// File contents by cut; all of them stay.
    files: BTreeMap<u64, Bytes>,
    cut: Option<LogIndex>,
    incoming: BTreeMap<FileName, Vec<u8>>,
    /// The threads that applied anything.
    threads: BTreeSet<String>,
    installs: u32,
    /// Its files are damaged: it hands on no snapshots.
    withholds: bool,
    /// Snapshots made since the start.
    made: u32,
    /// Its cut moves on before the next snapshot is made.
    moves_on: bool,
    /// Its storage cannot read what a snapshot is made of.
    cannot_read: bool,
}

impl MapMachine {
    pub(crate) fn map(&self) -> BTreeMap<String, String> {
        self.state().map.clone()
    }

    pub(crate) fn get(&self, key: &str) -> Option<String> {
        self.state().map.get(key).cloned()
    }

    /// The names of the threads that applied anything since this was asked last.
    pub(crate) fn threads(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.state().threads)
    }

    pub(crate) fn installs(&self) -> u32 {
        self.state().installs
    }

    /// How often its snapshot was made, which is work for a machine that is large.
    pub(crate) fn made(&self) -> u32 {
        self.state().made
    }

    /// Lets the cut move on when the snapshot is asked for, between its position and itself.
    pub(crate) fn move_on(&self) {
        self.state().moves_on = true;
    }

    /// No snapshot can be made any more.
    pub(crate) fn fail_to_read(&self) {
        self.state().cannot_read = true;
    }

    /// The most often that any index was applied.
    pub(crate) fn applications_max(&self) -> u32 {
        self.state().applications.values().copied().max().unwrap_or(0)
    }

    /// The machine after a restart: what the last checkpoint kept.
    pub(crate) fn restarted(&self) -> Self {
        let old = self.state();
        let withholds = old.withholds;
        let (files, cut) = (old.files.clone(), old.cut);
        let mut state = State { files, cut, withholds, ..State::default() };
        if let Some(cut) = state.cut {
            state.map = parse(&state.files[&cut.0]);
            state.applied = state.cut;
        }
        Self { state: Arc::new(Mutex::new(state)), gate: Arc::default() }
    }

    /// Hands on no snapshots any more, nor after a restart.
    pub(crate) fn withhold(&self) {
        self.state().withholds = true;
    }

    /// Applies nothing from now on, or goes on with it. Needs threads for work that blocks.
    pub(crate) fn hold(&self, hold: bool) {
        *self.gate.is_closed.lock().unwrap() = hold;
        self.gate.changed.notify_all();
    }

    /// Makes the state durable without telling anybody.
    pub(crate) fn seal(&self) {
        self.checkpoint().unwrap();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn parse(file: &[u8]) -> BTreeMap<String, String> {
    let text = std::str::from_utf8(file).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn manifest(cut: LogIndex, length: usize) -> Bytes {
    format!("{} {length}", cut.0).into_bytes().into()
}

fn parse_manifest(manifest: &[u8]) -> Result<(LogIndex, usize), MachineError> {
    let bad = || MachineError::BadSnapshot { reason: "not a manifest".into() };
    let text = std::str::from_utf8(manifest).map_err(|_| bad())?;
    let (cut, length) = text.split_once(' ').ok_or_else(bad)?;
    Ok((LogIndex(cut.parse().map_err(|_| bad())?), length.parse().map_err(|_| bad())?))
}

fn name(cut: LogIndex) -> FileName {
    FileName(format!("map-{}", cut.0).into_bytes().into())
}

impl Machine for MapMachine {
    fn apply(&self, index: LogIndex, entry: &Bytes) -> Result<Outcome, MachineError> {
        let closed = self.gate.is_closed.lock().unwrap();
        drop(self.gate.changed.wait_while(closed, |closed| *closed).unwrap());
        let mut state = self.state();
        *state.applications.entry(index.0).or_default() += 1;
        state.threads.insert(std::thread::current().name().unwrap_or_default().to_owned());
        if state.applied >= Some(index) {
            return Ok(Outcome::Passed);
        }
        state.applied = Some(index);
        let text = std::str::from_utf8(entry).unwrap();
        let Some((key, value)) = text.split_once('=') else {
            return Ok(Outcome::Refused { reason: "no pair".into() });
        };
        let old = state.map.insert(key.to_owned(), value.to_owned());
        Ok(Outcome::Applied(old.unwrap_or_default().into_bytes().into()))
    }

    fn is_brief(&self, entry: &Bytes) -> bool {
        entry.starts_with(b"brief")
    }

    fn pass(&self, index: LogIndex) {
        let mut state = self.state();
        state.applied = state.applied.max(Some(index));
    }

    fn cut(&self) -> Option<LogIndex> {
        self.state().cut
    }

    fn checkpoint(&self) -> Result<(), MachineError> {
        let mut state = self.state();
        let Some(applied) = state.applied else { return Ok(()) };
        let lines: Vec<String> =
            state.map.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        state.files.insert(applied.0, lines.concat().into_bytes().into());
        state.cut = Some(applied);
        Ok(())
    }

    fn snapshot(&self) -> Result<MachineSnapshot, MachineError> {
        if std::mem::take(&mut self.state().moves_on) {
            self.checkpoint()?;
        }
        let mut state = self.state();
        if state.cannot_read {
            return Err(MachineError::Failed { reason: "nothing can be read".into() });
        }
        state.made += 1;
        let index = state.cut.filter(|_| !state.withholds).ok_or(MachineError::NotYet)?;
        let manifest = manifest(index, state.files[&index.0].len());
        Ok(MachineSnapshot { index, manifest, pin: Arc::new(()) })
    }

    fn read_stretch(
        &self,
        file: &FileName,
        offset: u64,
        length: usize,
    ) -> Result<Bytes, MachineError> {
        let state = self.state();
        let found = state.files.iter().find(|(cut, _)| name(LogIndex(**cut)) == *file);
        let (_, bytes) = found.ok_or(MachineError::NoSuchFile)?;
        let start = usize::try_from(offset).unwrap().min(bytes.len());
        // Short stretches, so that one file takes several.
        let length = length.min(100);
        Ok(bytes.slice(start..bytes.len().min(start + length)))
    }

    fn cut_of(&self, manifest: &Bytes) -> Result<LogIndex, MachineError> {
        parse_manifest(manifest).map(|(cut, _)| cut)
    }

    fn missing_files(&self, manifest: &Bytes) -> Result<Vec<MissingFile>, MachineError> {
        let (cut, length) = parse_manifest(manifest)?;
        let file = name(cut);
        let bytes_present = self.state().incoming.get(&file).map_or(0, Vec::len) as u64;
        let bytes = length as u64;
        let is_missing = bytes_present < bytes;
        Ok(is_missing.then_some(MissingFile { file, bytes, bytes_present }).into_iter().collect())
    }

    fn put_stretch(
        &self,
        _: &Bytes,
        file: &FileName,
        offset: u64,
        bytes: &Bytes,
    ) -> Result<(), MachineError> {
        let mut state = self.state();
        let incoming = state.incoming.entry(file.clone()).or_default();
        if incoming.len() as u64 != offset {
            return Err(MachineError::BadSnapshot { reason: "a gap".into() });
        }
        incoming.extend_from_slice(bytes);
        Ok(())
    }

    fn install(&self, manifest: &Bytes) -> Result<(), MachineError> {
        let (cut, length) = parse_manifest(manifest)?;
        let mut state = self.state();
        let file = state.incoming.remove(&name(cut)).unwrap_or_default();
        if file.len() != length {
            return Err(MachineError::BadSnapshot { reason: "a file is not whole".into() });
        }
        state.map = parse(&file);
        state.files.insert(cut.0, file.into());
        (state.cut, state.applied) = (Some(cut), Some(cut));
        state.installs += 1;
        Ok(())
    }
}
