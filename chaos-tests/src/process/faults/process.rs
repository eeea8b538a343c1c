//! Faults of processes: they end, stop, end politely one after the other, or are there twice.

use std::fmt::Write as _;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::{Evidence, Fault, KILL_LIMIT, PAUSE_LIMIT, RESTART_LIMIT, Scene, Terms};
use crate::process::chance::Chance;
use crate::process::tool;
use crate::process::world::{World, address};

/// `kill -9`, and a start after a while.
#[derive(Debug)]
pub(crate) struct Kill {
    nodes: Vec<usize>,
    all: bool,
    hold: Duration,
    killed: u64,
}

impl Kill {
    pub(super) fn one(node: usize, chance: &mut Chance) -> Box<dyn Fault> {
        let hold = Duration::from_millis(1_000 + chance.below(2_000));
        Box::new(Self { nodes: vec![node], all: false, hold, killed: 0 })
    }

    pub(super) fn all(scene: &Scene<'_>) -> Box<dyn Fault> {
        let nodes = (0..scene.world().nodes.len()).collect();
        Box::new(Self { nodes, all: true, hold: Duration::from_millis(300), killed: 0 })
    }
}

impl Fault for Kill {
    fn terms(&self) -> Terms {
        let limit = if self.all { RESTART_LIMIT } else { KILL_LIMIT };
        Terms { victims: self.nodes.clone(), others_serve: !self.all, limit, hold: self.hold }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let world = scene.world();
        for node in &self.nodes {
            world.node(*node)?.hold_down()?;
            world.node(*node)?.signal("KILL")?;
        }
        for node in &self.nodes {
            world.kill(world.node(*node)?)?;
            let exits = world.node(*node)?.exits()?;
            self.killed += u64::from(exits.last().is_some_and(|exit| exit.signal == Some(9)));
        }
        Ok(())
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let world = scene.world();
        self.nodes.iter().try_for_each(|node| world.node(*node)?.start(&world.settings))?;
        Ok(Evidence { bites: self.killed, note: "processes ended by signal 9".to_owned() })
    }
}

/// SIGSTOP, and SIGCONT after a while: what the process believes is old then.
#[derive(Debug)]
pub(crate) struct Pause {
    node: usize,
    hold: Duration,
    paused: u64,
}

impl Pause {
    pub(super) fn boxed(node: usize, chance: &mut Chance) -> Box<dyn Fault> {
        let hold = Duration::from_millis(500 + chance.below(3_500));
        Box::new(Self { node, hold, paused: 0 })
    }
}

impl Fault for Pause {
    fn terms(&self) -> Terms {
        Terms { victims: vec![self.node], others_serve: true, limit: PAUSE_LIMIT, hold: self.hold }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let node = scene.world().node(self.node)?;
        node.signal("STOP")?;
        scene.world().bell.until(Duration::from_secs(1), || node.is_paused());
        self.paused = u64::from(node.is_paused());
        Ok(())
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        scene.world().node(self.node)?.signal("CONT")?;
        let note = format!("seen stopped, for {} ms", self.hold.as_millis());
        Ok(Evidence { bites: self.paused, note })
    }
}

/// SIGTERM to each node in turn, as a rolling update does; the next one when it is ready again.
#[derive(Debug)]
pub(crate) struct Roll {
    ended: u64,
    note: String,
}

impl Roll {
    pub(super) fn boxed() -> Box<dyn Fault> {
        Box::new(Self { ended: 0, note: String::new() })
    }
}

/// How long a node may take to stop, and to be ready again.
const STOP_MAX: Duration = Duration::from_secs(20);

impl Fault for Roll {
    fn terms(&self) -> Terms {
        let victims = Vec::new();
        Terms { victims, others_serve: true, limit: PAUSE_LIMIT, hold: Duration::ZERO }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let world = scene.world();
        for node in &world.nodes {
            node.hold_down()?;
            node.signal("TERM")?;
            if !world.wait_end(node, STOP_MAX)? {
                write!(self.note, "{} did not stop; ", node.name)?;
                world.kill(node)?;
            }
            let exits = node.exits()?;
            let code = exits.last().and_then(|exit| exit.code);
            self.ended += u64::from(code == Some(0));
            if code != Some(0) {
                write!(self.note, "{} ended with {code:?}; ", node.name)?;
            }
            node.start(&world.settings)?;
            world.bell.until(STOP_MAX, || World::is_ready(node));
        }
        Ok(())
    }

    fn heal(&mut self, _scene: &Scene<'_>) -> Result<Evidence> {
        let note = format!("{}ends with code 0", self.note);
        Ok(Evidence { bites: self.ended, note })
    }
}

/// A second process with a copy of a node's data directory, at another address, while the first
/// one runs.
#[derive(Debug)]
pub(crate) struct Twice {
    node: usize,
    second: Option<Child>,
}

impl Twice {
    pub(super) fn boxed(scene: &Scene<'_>) -> Box<dyn Fault> {
        Box::new(Self { node: scene.victim, second: None })
    }
}

impl Fault for Twice {
    fn terms(&self) -> Terms {
        // The first of the two need not serve meanwhile: who is the right one is open until the
        // second has been refused.
        Terms {
            victims: vec![self.node],
            others_serve: true,
            limit: PAUSE_LIMIT,
            hold: Duration::from_secs(4),
        }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let world = scene.world();
        let node = world.node(self.node)?;
        let copy = node.disk.with_file_name("copy");
        let _ = std::fs::remove_dir_all(&copy);
        // A copy of a stopped node's directory is whole; the first one goes on afterwards.
        node.signal("STOP")?;
        let copied =
            tool::words(&["cp", "-a", &node.data().to_string_lossy(), &copy.to_string_lossy()]);
        node.signal("CONT")?;
        copied?;
        let _ = std::fs::remove_file(copy.join("LOCK"));
        let at = address(world.settings.nodes, 0);
        let mut command = node.command(&world.settings, "spare", at, &copy)?;
        self.second = Some(command.spawn().context("the second process cannot be started")?);
        Ok(())
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let Some(mut second) = self.second.take() else { bail!("there is no second process") };
        let ended = second.try_wait()?;
        if ended.is_none() {
            second.kill()?;
            second.wait()?;
        }
        let node = scene.world().node(self.node)?;
        let _ = std::fs::remove_dir_all(node.disk.with_file_name("copy"));
        let note = match ended {
            Some(status) => format!("the second ended by itself: {status}"),
            None => "the second ran to the end".to_owned(),
        };
        Ok(Evidence { bites: 1, note })
    }
}
