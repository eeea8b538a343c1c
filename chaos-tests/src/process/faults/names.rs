//! Faults of names and addresses.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{Evidence, Fault, KILL_LIMIT, PAUSE_LIMIT, Scene, Terms};
use crate::process::dns::Mood;
use crate::process::tool;
use crate::process::world::address;

/// The name server does not do its work, while a node restarts: that one needs names.
#[derive(Debug)]
pub(crate) struct Names {
    mood: Mood,
    node: usize,
    before: u64,
}

impl Names {
    pub(super) fn boxed(scene: &Scene<'_>, mood: Mood) -> Box<dyn Fault> {
        Box::new(Self { mood, node: scene.victim, before: 0 })
    }
}

impl Fault for Names {
    fn terms(&self) -> Terms {
        Terms {
            victims: vec![self.node],
            others_serve: true,
            limit: PAUSE_LIMIT,
            hold: Duration::from_secs(3),
        }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let world = scene.world();
        self.before = world.names.denied.load(Ordering::Relaxed);
        world.names.be(self.mood);
        let node = world.node(self.node)?;
        world.kill(node)?;
        node.start(&world.settings)
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let names = &scene.world().names;
        names.be(Mood::Well);
        let bites = names.denied.load(Ordering::Relaxed).saturating_sub(self.before);
        Ok(Evidence {
            bites,
            note: format!("questions met a name server that was {:?}", self.mood),
        })
    }
}

/// How often nodes have moved in this process, so that no address comes twice in a row.
static MOVES: AtomicU8 = AtomicU8::new(0);

/// A node ends, and comes back at another address under its name.
#[derive(Debug)]
pub(crate) struct Moved {
    node: usize,
    note: String,
}

impl Moved {
    pub(super) fn boxed(scene: &Scene<'_>) -> Box<dyn Fault> {
        Box::new(Self { node: scene.victim, note: String::new() })
    }
}

impl Fault for Moved {
    fn terms(&self) -> Terms {
        Terms {
            victims: vec![self.node],
            others_serve: true,
            limit: KILL_LIMIT,
            hold: Duration::from_millis(500),
        }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let world = scene.world();
        let node = world.node(self.node)?;
        world.kill(node)?;
        let moves = MOVES.fetch_add(1, Ordering::Relaxed) % 19 + 1;
        let old = node.address()?;
        let new = address(u16::try_from(self.node).context("too many nodes")?, moves);
        tool::run(&format!("ip -n {} addr flush dev eth0", node.network))?;
        tool::run(&format!("ip -n {} addr add {new}/24 dev eth0", node.network))?;
        node.set_address(new)?;
        self.note = format!("from {old} to {new}");
        Ok(())
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let world = scene.world();
        world.publish()?;
        world.node(self.node)?.start(&world.settings)?;
        Ok(Evidence { bites: 1, note: std::mem::take(&mut self.note) })
    }
}
