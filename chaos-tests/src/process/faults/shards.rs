//! The number of shards changes, and whoever leads is killed in the middle of it.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{Evidence, Fault, PAUSE_LIMIT, Scene, Terms};
use crate::process::chance::Chance;
use crate::process::world::{Cluster, World};

/// Ring epochs that a run brings in at most: small machines have enough of the shards by then, and
/// later rounds are kills like others.
const EPOCHS_MAX: usize = 5;

/// How long an epoch may take to come into force, a new leader of the meta group included.
const ACTIVE_WITHIN: Duration = Duration::from_mins(1);

/// A shard is added; the node that leads most is killed at some step of it and comes back.
#[derive(Debug)]
pub(crate) struct Added {
    leader: usize,
    asked: usize,
    pause: Duration,
    hold: Duration,
    shards: usize,
    killed: u64,
}

impl Added {
    pub(super) fn boxed(scene: &Scene<'_>, chance: &mut Chance) -> Box<dyn Fault> {
        Box::new(Self {
            leader: scene.leader,
            asked: scene.follower,
            pause: Duration::from_millis(chance.below(2_500)),
            hold: Duration::from_millis(1_000 + chance.below(1_000)),
            shards: 0,
            killed: 0,
        })
    }
}

impl Fault for Added {
    fn terms(&self) -> Terms {
        // Between the first fence and the new ring nothing is acknowledged, and that takes as long
        // as the death of who drives it.
        Terms {
            victims: vec![self.leader],
            others_serve: true,
            limit: PAUSE_LIMIT,
            hold: self.hold,
        }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let world = scene.world();
        let node = world.node(self.asked)?;
        let Some(before) = World::cluster(node) else { bail!("the cluster is not told of") };
        if before.epochs.len() < EPOCHS_MAX {
            // A replica that is being made good elsewhere makes room for none.
            let is_begun = world.bell.until(ACTIVE_WITHIN, || World::add_shards(node, 1).is_ok());
            if !is_begun {
                let refusal = World::add_shards(node, 1).err().unwrap_or_default();
                bail!("no shard was added: {refusal}");
            }
            self.shards = before.shards.len() + 1;
        }
        world.bell.wait(self.pause);
        world.node(self.leader)?.hold_down()?;
        world.node(self.leader)?.signal("KILL")?;
        world.kill(world.node(self.leader)?)?;
        let exits = world.node(self.leader)?.exits()?;
        self.killed = u64::from(exits.last().is_some_and(|exit| exit.signal == Some(9)));
        Ok(())
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let world = scene.world();
        world.node(self.leader)?.start(&world.settings)?;
        let shards = self.shards;
        if shards == 0 {
            let note = "enough shards: a leader was killed".to_owned();
            return Ok(Evidence { bites: self.killed, note });
        }
        let is_active = |cluster: Cluster| {
            let last = cluster.epochs.last();
            last.is_some_and(|last| last.state == "active" && last.shards as usize >= shards)
        };
        let node = world.node(self.asked)?;
        let came = world.bell.until(ACTIVE_WITHIN, || World::cluster(node).is_some_and(is_active));
        if !came && !world.bell.has_rung() {
            bail!("shard {shards} was begun and never came into force");
        }
        let note = format!(
            "{shards} shards from then on; the leader was killed after {} ms",
            self.pause.as_millis()
        );
        Ok(Evidence { bites: self.killed, note })
    }
}
