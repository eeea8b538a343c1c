//! Faults of single calls, made by the library that nodes load first.

use std::time::Duration;

use anyhow::Result;

use super::{Evidence, Fault, KILL_LIMIT, PAUSE_LIMIT, Scene, Terms};
use crate::process::chance::Chance;
use crate::process::control::Slot;

/// The process ends in the middle of a sync: before the disk has it.
#[derive(Debug)]
pub(crate) struct KillAtSync {
    node: usize,
    sync: u64,
    before: u64,
}

impl KillAtSync {
    pub(super) fn boxed(scene: &Scene<'_>, chance: &mut Chance) -> Box<dyn Fault> {
        Box::new(Self { node: scene.leader, sync: 1 + chance.below(40), before: 0 })
    }
}

impl Fault for KillAtSync {
    fn terms(&self) -> Terms {
        Terms {
            victims: vec![self.node],
            others_serve: true,
            limit: KILL_LIMIT,
            hold: Duration::from_secs(2),
        }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let world = scene.world();
        let node = world.node(self.node)?;
        self.before = node.control.get(Slot::Killed)?;
        node.hold_down()?;
        node.control.set(Slot::KillIn, i64::try_from(self.sync)?)?;
        world.wait_end(node, Duration::from_secs(5))?;
        Ok(())
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let world = scene.world();
        let node = world.node(self.node)?;
        node.control.set(Slot::KillIn, 0)?;
        let bites = node.control.get(Slot::Killed)?.saturating_sub(self.before);
        world.kill(node)?;
        node.start(&world.settings)?;
        Ok(Evidence { bites, note: format!("ended in its sync number {}", self.sync) })
    }
}

/// A sync returns EIO: nobody knows what the disk holds, and the process has to end.
#[derive(Debug)]
pub(crate) struct SyncFails {
    node: usize,
    before: u64,
    starts: u32,
}

impl SyncFails {
    pub(super) fn boxed(scene: &Scene<'_>) -> Box<dyn Fault> {
        Box::new(Self { node: scene.leader, before: 0, starts: 0 })
    }
}

impl Fault for SyncFails {
    fn terms(&self) -> Terms {
        Terms {
            victims: vec![self.node],
            others_serve: true,
            limit: KILL_LIMIT,
            hold: Duration::from_millis(1_500),
        }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let node = scene.world().node(self.node)?;
        self.before = node.control.get(Slot::SyncsFailed)?;
        self.starts = node.starts()?;
        node.control.set(Slot::FailSyncs, 1)
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let node = scene.world().node(self.node)?;
        node.control.set(Slot::FailSyncs, 0)?;
        let bites = node.control.get(Slot::SyncsFailed)?.saturating_sub(self.before);
        let exits = node.exits()?;
        let code = exits.last().and_then(|exit| exit.code);
        let again = node.starts()? - self.starts;
        Ok(Evidence {
            bites,
            note: format!("syncs failed; started again {again} times, last exit code {code:?}"),
        })
    }
}

/// Every sync takes long.
#[derive(Debug)]
pub(crate) struct SlowSyncs {
    node: usize,
    stall_us: u64,
    before: u64,
}

impl SlowSyncs {
    pub(super) fn boxed(scene: &Scene<'_>, chance: &mut Chance) -> Box<dyn Fault> {
        Box::new(Self { node: scene.leader, stall_us: 50_000 + chance.below(250_000), before: 0 })
    }
}

impl Fault for SlowSyncs {
    fn terms(&self) -> Terms {
        Terms {
            victims: vec![self.node],
            others_serve: true,
            limit: PAUSE_LIMIT,
            hold: Duration::from_secs(3),
        }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let node = scene.world().node(self.node)?;
        self.before = node.control.get(Slot::SyncsStalled)?;
        node.control.set(Slot::StallUs, i64::try_from(self.stall_us)?)
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let node = scene.world().node(self.node)?;
        node.control.set(Slot::StallUs, 0)?;
        let bites = node.control.get(Slot::SyncsStalled)?.saturating_sub(self.before);
        let stall_ms = self.stall_us / 1_000;
        Ok(Evidence { bites, note: format!("syncs took {stall_ms} ms longer") })
    }
}

/// Reads of files return EIO for a while.
#[derive(Debug)]
pub(crate) struct ReadsFail {
    node: usize,
    before: u64,
}

impl ReadsFail {
    pub(super) fn boxed(scene: &Scene<'_>) -> Box<dyn Fault> {
        Box::new(Self { node: scene.victim, before: 0 })
    }
}

impl Fault for ReadsFail {
    fn terms(&self) -> Terms {
        Terms {
            victims: vec![self.node],
            others_serve: true,
            limit: PAUSE_LIMIT,
            hold: Duration::from_secs(3),
        }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let node = scene.world().node(self.node)?;
        self.before = node.control.get(Slot::ReadsFailed)?;
        node.control.set(Slot::FailReads, 50)
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let node = scene.world().node(self.node)?;
        node.control.set(Slot::FailReads, 0)?;
        let bites = node.control.get(Slot::ReadsFailed)?.saturating_sub(self.before);
        Ok(Evidence { bites, note: "reads of files failed".to_owned() })
    }
}

/// The wall clock of a node jumps, and jumps back at the end.
#[derive(Debug)]
pub(crate) struct Clock {
    node: usize,
    seconds: i64,
    before: u64,
}

impl Clock {
    pub(super) fn boxed(scene: &Scene<'_>, seconds: i64) -> Box<dyn Fault> {
        Box::new(Self { node: scene.leader, seconds, before: 0 })
    }
}

impl Fault for Clock {
    fn terms(&self) -> Terms {
        // Nothing may depend on the wall clock: everybody serves.
        Terms {
            victims: Vec::new(),
            others_serve: true,
            limit: PAUSE_LIMIT,
            hold: Duration::from_secs(3),
        }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let node = scene.world().node(self.node)?;
        self.before = node.control.get(Slot::ClocksRead)?;
        node.control.set(Slot::ClockNs, self.seconds * 1_000_000_000)
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let node = scene.world().node(self.node)?;
        node.control.set(Slot::ClockNs, 0)?;
        let bites = node.control.get(Slot::ClocksRead)?.saturating_sub(self.before);
        Ok(Evidence {
            bites,
            note: format!("readings of a clock that was off by {} s", self.seconds),
        })
    }
}
