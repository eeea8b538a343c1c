//! Faults of names and addresses.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{Evidence, Fault, KILL_LIMIT, PAUSE_LIMIT, RESTART_LIMIT, Scene, Terms};
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

/// Nodes end, and come back at other addresses under their names.
#[derive(Debug)]
pub(crate) struct Moved {
    nodes: Vec<usize>,
    notes: Vec<String>,
}

impl Moved {
    pub(super) fn one(scene: &Scene<'_>) -> Box<dyn Fault> {
        Box::new(Self { nodes: vec![scene.victim], notes: Vec::new() })
    }

    /// What an orchestrator does with nodes that are all started anew.
    pub(super) fn all(scene: &Scene<'_>) -> Box<dyn Fault> {
        let nodes = (0..scene.world().nodes.len()).collect();
        Box::new(Self { nodes, notes: Vec::new() })
    }
}

impl Fault for Moved {
    fn terms(&self) -> Terms {
        let is_one = self.nodes.len() == 1;
        let limit = if is_one { KILL_LIMIT } else { RESTART_LIMIT };
        let hold = Duration::from_millis(500);
        Terms { victims: self.nodes.clone(), others_serve: is_one, limit, hold }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let world = scene.world();
        for number in &self.nodes {
            world.node(*number)?.hold_down()?;
        }
        for number in &self.nodes {
            world.kill(world.node(*number)?)?;
        }
        let moves = MOVES.fetch_add(1, Ordering::Relaxed) % 19 + 1;
        for number in &self.nodes {
            let node = world.node(*number)?;
            let old = node.address()?;
            let new = address(u16::try_from(*number).context("too many nodes")?, moves);
            tool::run(&format!("ip -n {} addr flush dev eth0", node.network))?;
            tool::run(&format!("ip -n {} addr add {new}/24 dev eth0", node.network))?;
            node.set_address(new)?;
            self.notes.push(format!("from {old} to {new}"));
        }
        Ok(())
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let world = scene.world();
        world.publish()?;
        for number in &self.nodes {
            world.node(*number)?.start(&world.settings)?;
        }
        let bites = self.nodes.len() as u64;
        Ok(Evidence { bites, note: std::mem::take(&mut self.notes).join(", ") })
    }
}
