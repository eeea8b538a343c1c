//! A key-value store in memory whose writes can be lost and can fail.

use std::ops::Range;
use std::sync::Mutex;

use storage::kv::{Family, Kv, KvError, MemoryKv, Visitor, WriteBatch};

/// A store that forgets what was not flushed, and fails from one of its changes on.
#[derive(Debug, Default)]
pub(crate) struct ForgetfulKv {
    inner: Mutex<Forgetful>,
}

#[derive(Debug, Default)]
struct Forgetful {
    written: Vec<WriteBatch>,
    flushed: usize,
    changes: u64,
    fail_at: Option<u64>,
    fail_once: Option<u64>,
}

impl ForgetfulKv {
    fn change(&self, change: impl FnOnce(&mut Forgetful)) -> Result<(), KvError> {
        let mut inner = self.inner.lock().unwrap();
        let number = inner.changes;
        inner.changes += 1;
        let fails_here = inner.fail_once == Some(number);
        if fails_here || inner.fail_at.is_some_and(|fail_at| number >= fail_at) {
            return Err(KvError::Io { reason: "injected".into() });
        }
        change(&mut inner);
        Ok(())
    }

    pub(crate) fn changes(&self) -> u64 {
        self.inner.lock().unwrap().changes
    }

    pub(crate) fn fail_at(&self, change: u64) {
        self.inner.lock().unwrap().fail_at = Some(change);
    }

    /// Only this one fails.
    pub(crate) fn fail_once(&self, change: u64) {
        self.inner.lock().unwrap().fail_once = Some(change);
    }

    /// What is there after a crash: all that was flushed and, if `keeps`, all that was written.
    pub(crate) fn restart(&self, keeps: bool) {
        let mut inner = self.inner.lock().unwrap();
        if !keeps {
            let flushed = inner.flushed;
            inner.written.truncate(flushed);
        }
        inner.fail_at = None;
    }

    fn picture(&self) -> MemoryKv {
        let kv = MemoryKv::new();
        for batch in &self.inner.lock().unwrap().written {
            kv.write(batch.clone()).unwrap();
        }
        kv
    }
}

impl Kv for ForgetfulKv {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.picture().get(family, key)
    }

    fn visit(
        &self,
        family: Family,
        range: Range<&[u8]>,
        each: &mut Visitor<'_>,
    ) -> Result<(), KvError> {
        self.picture().visit(family, range, each)
    }

    fn write(&self, batch: WriteBatch) -> Result<(), KvError> {
        self.change(|inner| inner.written.push(batch))
    }

    fn flush(&self) -> Result<(), KvError> {
        self.change(|inner| inner.flushed = inner.written.len())
    }
}
