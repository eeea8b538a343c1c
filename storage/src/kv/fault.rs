//! A store in memory that forgets what was not flushed, for crash tests and simulations.
//!
//! It keeps the contract of [`Kv`] and no more: after a crash, what is there is what some prefix
//! of the batches made of it, at least those before the last flush that returned. Its power is the
//! power of a [`FaultEnv`]: its writes and flushes count among the changes of that disk, so that a
//! crash planned at one of them hits it, and its handles end when that disk is restarted.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Family, Kv, KvError, Visitor, WriteBatch, WriteOperation};
use crate::env::{Crash, FaultEnv};

type Pairs = BTreeMap<(Family, Vec<u8>), Vec<u8>>;

/// The store on a modelled disk. Clones are the same store.
#[derive(Debug, Clone)]
pub struct FaultKv {
    env: FaultEnv,
    contents: Arc<Mutex<Contents>>,
}

#[derive(Debug, Default)]
struct Contents {
    visible: Pairs,
    durable: Pairs,
    /// Batches that no flush has made durable.
    pending: Vec<WriteBatch>,
}

impl Contents {
    /// Makes the first batches durable.
    fn keep(&mut self, batches: usize) {
        for batch in self.pending.drain(..batches) {
            apply(&mut self.durable, batch);
        }
    }
}

fn apply(pairs: &mut Pairs, batch: WriteBatch) {
    for operation in batch.into_operations() {
        match operation {
            WriteOperation::Put(family, key, value) => pairs.insert((family, key), value),
            WriteOperation::Delete(family, key) => pairs.remove(&(family, key)),
        };
    }
}

impl FaultKv {
    /// An empty store with the power of a disk.
    pub fn new(env: &FaultEnv) -> Self {
        Self { env: env.clone(), contents: Arc::default() }
    }

    /// What a process opens: it works until the disk is restarted.
    pub fn open(&self) -> Arc<dyn Kv> {
        let generation = self.env.generation();
        Arc::new(OpenKv { store: self.clone(), generation })
    }

    /// What is left when the disk comes back; to be called with [`FaultEnv::restart`].
    pub fn restart(&self, crash: Crash) {
        let mut contents = self.contents();
        let kept = match crash {
            Crash::Process => return,
            Crash::Lost => 0,
            Crash::Kept => contents.pending.len(),
            Crash::Torn => self.env.draw(contents.pending.len()),
        };
        contents.keep(kept);
        contents.pending.clear();
        contents.visible = contents.durable.clone();
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The store as one process has it open.
#[derive(Debug)]
struct OpenKv {
    store: FaultKv,
    generation: u64,
}

fn failed(error: &io::Error) -> KvError {
    let reason = error.to_string();
    match error.kind() {
        io::ErrorKind::StorageFull => KvError::OutOfSpace { reason },
        _ => KvError::Io { reason },
    }
}

impl Kv for OpenKv {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.store.env.check_power(self.generation).map_err(|error| failed(&error))?;
        Ok(self.store.contents().visible.get(&(family, key.to_vec())).cloned())
    }

    fn visit(
        &self,
        family: Family,
        range: Range<&[u8]>,
        each: &mut Visitor<'_>,
    ) -> Result<(), KvError> {
        self.store.env.check_power(self.generation).map_err(|error| failed(&error))?;
        if range.start >= range.end {
            return Ok(());
        }
        let contents = self.store.contents();
        let range = (family, range.start.to_vec())..(family, range.end.to_vec());
        let _ = contents.visible.range(range).try_for_each(|((_, key), value)| each(key, value));
        Ok(())
    }

    fn write(&self, batch: WriteBatch) -> Result<(), KvError> {
        // Into memory: no room is needed yet, and no crash can fall between the writes of a batch.
        self.store.env.check_power(self.generation).map_err(|error| failed(&error))?;
        let mut contents = self.store.contents();
        apply(&mut contents.visible, batch.clone());
        contents.pending.push(batch);
        Ok(())
    }

    fn flush(&self) -> Result<(), KvError> {
        let pending = self.store.contents().pending.len() as u64;
        let flushed = self.store.env.change_elsewhere(self.generation, &pending.to_le_bytes());
        flushed.map_err(|error| failed(&error))?;
        let mut contents = self.store.contents();
        let all = contents.pending.len();
        contents.keep(all);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(kv: &dyn Kv, key: &[u8]) {
        let mut batch = WriteBatch::default();
        batch.put(Family::Meta, key, b"value");
        kv.write(batch).unwrap();
    }

    fn keys(store: &FaultKv) -> usize {
        store.open().scan(Family::Meta, b"a"..b"z", 100).unwrap().len()
    }

    #[test]
    fn what_was_flushed_survives_and_of_the_rest_a_prefix() {
        for (crash, least, most) in
            [(Crash::Lost, 1, 1), (Crash::Torn, 1, 3), (Crash::Kept, 3, 3), (Crash::Process, 3, 3)]
        {
            let env = FaultEnv::new(4);
            let store = FaultKv::new(&env);
            let kv = store.open();
            put(kv.as_ref(), b"a");
            kv.flush().unwrap();
            put(kv.as_ref(), b"b");
            put(kv.as_ref(), b"c");
            env.restart(crash);
            store.restart(crash);
            kv.get(Family::Meta, b"a").unwrap_err();
            assert!((least..=most).contains(&keys(&store)), "{crash:?}");
        }
    }

    #[test]
    fn a_crash_in_a_flush_leaves_what_no_flush_had_made_durable() {
        let env = FaultEnv::new(4);
        let store = FaultKv::new(&env);
        let kv = store.open();
        put(kv.as_ref(), b"a");
        env.crash_at(env.operations());
        kv.flush().unwrap_err();
        assert!(env.has_crashed());
        env.restart(Crash::Lost);
        store.restart(Crash::Lost);
        assert_eq!(keys(&store), 0);
    }
}
