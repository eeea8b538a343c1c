//! The file through which the harness tells a node's preloaded library what to break.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::Result;

/// A number that both sides see; the order is that of `faults.c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    KillIn = 1,
    FailSyncs = 2,
    StallUs = 3,
    FailReads = 4,
    ClockNs = 5,
    Killed = 6,
    SyncsFailed = 7,
    SyncsStalled = 8,
    ReadsFailed = 9,
    ClocksRead = 10,
}

/// What is shared with one node, over all its lives.
#[derive(Debug)]
pub(crate) struct Control {
    file: File,
}

impl Control {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        file.set_len(4096)?;
        Ok(Self { file })
    }

    pub(crate) fn set(&self, slot: Slot, value: i64) -> Result<()> {
        Ok(self.file.write_all_at(&value.to_ne_bytes(), offset(slot))?)
    }

    pub(crate) fn get(&self, slot: Slot) -> Result<u64> {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, offset(slot))?;
        Ok(u64::try_from(i64::from_ne_bytes(bytes)).unwrap_or_default())
    }
}

fn offset(slot: Slot) -> u64 {
    8 * u64::from(slot as u8)
}
