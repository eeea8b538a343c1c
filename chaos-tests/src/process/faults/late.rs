//! Packets between nodes that come late, out of order or twice. Who does it: a [`Holder`] where the
//! kernel has queues for one, else netem; and rules that double packets.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::network::{CUT, shape, unshape};
use super::{Evidence, Fault, PAUSE_LIMIT, Scene, Terms};
use crate::process::chance::Chance;
use crate::process::holder::{Holder, Waits};
use crate::process::node::Node;
use crate::process::tool;

/// The packets of the leader, to others and from them, are late: all of them more or less, or some
/// of them so much that others overtake them.
#[derive(Debug)]
pub(crate) struct Late {
    node: usize,
    waits: Waits,
    holder: Option<Holder>,
}

impl Late {
    /// All are late, in order.
    pub(super) fn delay(scene: &Scene<'_>, chance: &mut Chance) -> Box<dyn Fault> {
        let delay_ms = 20 + chance.below(60);
        let waits = Waits { delay_ms, jitter_ms: delay_ms / 2, ..Waits::default() };
        Self::boxed(scene, Waits { seed: chance.next(), ..waits })
    }

    /// A fifth is overtaken by what comes behind it.
    pub(super) fn reorder(scene: &Scene<'_>, chance: &mut Chance) -> Box<dyn Fault> {
        let late_ms = 10 + chance.below(60);
        let waits = Waits { delay_ms: 2, late_percent: 20, late_ms, ..Waits::default() };
        Self::boxed(scene, Waits { seed: chance.next(), ..waits })
    }

    fn boxed(scene: &Scene<'_>, waits: Waits) -> Box<dyn Fault> {
        Box::new(Self { node: scene.leader, waits, holder: None })
    }

    /// The same in netem's words, which orders by time: what is late by chance is overtaken.
    fn netem(&self) -> String {
        let Waits { delay_ms, jitter_ms, late_percent, late_ms, .. } = self.waits;
        if late_percent == 0 {
            format!("netem delay {delay_ms}ms {jitter_ms}ms")
        } else {
            format!("netem delay {late_ms}ms reorder {}%", 100 - late_percent)
        }
    }

    fn note(&self) -> String {
        let Waits { delay_ms, jitter_ms, late_percent, late_ms, .. } = self.waits;
        if late_percent == 0 {
            format!("packets were {delay_ms} ms late, {jitter_ms} more or less")
        } else {
            format!("packets were overtaken, {late_ms} ms late")
        }
    }
}

impl Fault for Late {
    fn terms(&self) -> Terms {
        let victims = vec![self.node];
        Terms { victims, others_serve: true, limit: PAUSE_LIMIT, hold: CUT }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        if !Holder::is_possible() {
            return shape(scene, self.node, &self.netem());
        }
        let network = &scene.world().node(self.node)?.network;
        self.holder = Some(Holder::start(network, self.waits)?);
        Ok(())
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let note = self.note();
        let Some(holder) = self.holder.take() else {
            // Of netem the kernel tells how many bytes went through it.
            let bites = unshape(scene, self.node, "Sent")?;
            return Ok(Evidence { bites, note: format!("bytes; {note}") });
        };
        let held = holder.end()?;
        let is_order_kept = self.waits.late_percent == 0;
        let bites = if is_order_kept { held.packets } else { held.overtaken };
        Ok(Evidence { bites, note: format!("{note}; {} held", held.packets) })
    }
}

/// Three in ten packets between a node and others are there twice.
#[derive(Debug)]
pub(crate) struct Doubled {
    node: usize,
}

/// How the rules are called, at both ends of a cable.
const TABLE: &str = "netdev doubled";

impl Doubled {
    pub(super) fn boxed(scene: &Scene<'_>) -> Box<dyn Fault> {
        Box::new(Self { node: scene.leader })
    }

    /// Both ends of a node's cable: what goes before a command there, and the device.
    fn ends(node: &Node) -> [(Vec<String>, &str); 2] {
        let inside = vec!["nsenter".to_owned(), format!("--net=/run/netns/{}", node.network)];
        [(inside, "eth0"), (Vec::new(), &node.port)]
    }
}

/// Rules that double what goes out of a device.
fn doubling(device: &str) -> String {
    let doubled = format!("numgen random mod 100 < 30 counter name doubled dup to \"{device}\"");
    format!(
        "table {TABLE} {{
           counter doubled {{ }}
           chain out {{
             type filter hook egress device \"{device}\" priority 0; policy accept;
             tcp dport 7947 {doubled}
             tcp sport 7947 {doubled}
             udp dport 7946 {doubled}
           }}
         }}"
    )
}

/// Whether the kernel has such rules.
pub(super) fn can_double() -> bool {
    // In a network of its own, which goes with the command.
    tool::words(&["unshare", "--net", "nft", &doubling("lo")]).is_ok()
}

/// Runs `nft`, perhaps in another network.
fn nft(inside: &[String], command: &str) -> Result<String> {
    let mut words: Vec<&str> = inside.iter().map(String::as_str).collect();
    words.extend(["nft", command]);
    tool::words(&words)
}

impl Fault for Doubled {
    fn terms(&self) -> Terms {
        // What comes twice hurts nobody: every node has to serve all the time.
        let limit = PAUSE_LIMIT;
        Terms { victims: Vec::new(), others_serve: true, limit, hold: DOUBLED_FOR }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        for (inside, device) in Self::ends(scene.world().node(self.node)?) {
            nft(&inside, &doubling(device)).context("packets cannot be doubled")?;
        }
        Ok(())
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let mut bites = 0;
        for (inside, _) in Self::ends(scene.world().node(self.node)?) {
            let listed = nft(&inside, &format!("list counter {TABLE} doubled"))?;
            bites += tool::counted(&listed, "packets");
            nft(&inside, &format!("delete table {TABLE}"))?;
        }
        Ok(Evidence { bites, note: "packets came twice".to_owned() })
    }
}

/// How long packets are doubled: some rounds of gossip.
const DOUBLED_FOR: Duration = Duration::from_millis(3_500);
