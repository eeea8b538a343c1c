//! How slow the machine is: limits on times are only as good as the clock they are held against.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::bell::Bell;
use super::workload::nanos;

/// What one write with a sync takes, measured before the run on a node's disk.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Syncs {
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
}

impl Syncs {
    pub(crate) fn measure(folder: &Path) -> Result<Self> {
        let path = folder.join("calibration");
        let mut file = File::create(&path)?;
        let mut times = Vec::new();
        for _ in 0..100 {
            let begun = Instant::now();
            file.write_all(&[7; 4096])?;
            file.sync_data()?;
            times.push(nanos(begun.elapsed()));
        }
        std::fs::remove_file(path)?;
        times.sort_unstable();
        let at = |index: usize| times.get(index).copied().unwrap_or_default();
        Ok(Self { p50_ns: at(50), p99_ns: at(98) })
    }
}

/// How late a thread is that wants to run, at worst since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Lateness {
    worst_ns: AtomicU64,
    worst_ever_ns: AtomicU64,
}

/// How often it is measured.
const TICK: Duration = Duration::from_millis(5);

impl Lateness {
    /// Measures until the bell rings.
    pub(crate) fn watch(&self, bell: &Bell) {
        loop {
            let begun = Instant::now();
            if bell.wait(TICK) {
                return;
            }
            let late = nanos(begun.elapsed().saturating_sub(TICK));
            self.worst_ns.fetch_max(late, Ordering::Relaxed);
            self.worst_ever_ns.fetch_max(late, Ordering::Relaxed);
        }
    }

    /// The worst since this was last called.
    pub(crate) fn take_ns(&self) -> u64 {
        self.worst_ns.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn worst_ever_ns(&self) -> u64 {
        self.worst_ever_ns.load(Ordering::Relaxed)
    }
}
