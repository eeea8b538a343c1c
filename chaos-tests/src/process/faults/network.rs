//! Faults between nodes. Clients reach every node all the time: they are on the bridge itself, and
//! what is forwarded over it is cut or lost, not what begins or ends there.

use std::time::Duration;

use anyhow::Result;

use super::{Evidence, Fault, PAUSE_LIMIT, Scene, Terms};
use crate::process::tool;
use crate::process::world::World;

/// How long a cut lasts: longer than elections and the timeouts of calls.
pub(super) const CUT: Duration = Duration::from_millis(3_500);

/// Directions that are cut, of everything or of one port.
#[derive(Debug)]
pub(crate) struct Cut {
    set: &'static str,
    /// From whom to whom.
    pairs: Vec<(usize, usize)>,
    victims: Vec<usize>,
    before: u64,
}

impl Cut {
    fn boxed(set: &'static str, pairs: Vec<(usize, usize)>, victims: Vec<usize>) -> Box<dyn Fault> {
        Box::new(Self { set, pairs, victims, before: 0 })
    }

    /// One node against all others.
    pub(super) fn isolate(scene: &Scene<'_>, node: usize) -> Box<dyn Fault> {
        let others = scene.others(node);
        let pairs = others.iter().flat_map(|other| [(node, *other), (*other, node)]).collect();
        Self::boxed("cuts", pairs, vec![node])
    }

    /// The leader is heard and does not hear, or hears and is not heard.
    pub(super) fn one_way(scene: &Scene<'_>, out: bool) -> Box<dyn Fault> {
        let node = scene.leader;
        let others = scene.others(node);
        let pair = |other: usize| if out { (node, other) } else { (other, node) };
        Self::boxed("cuts", others.into_iter().map(pair).collect(), vec![node])
    }

    /// Two nodes do not reach each other; all others reach everybody.
    pub(super) fn partial(scene: &Scene<'_>) -> Box<dyn Fault> {
        let leader = scene.leader;
        let other = scene.others(leader).first().copied().unwrap_or_default();
        Self::boxed("cuts", vec![(leader, other), (other, leader)], vec![leader, other])
    }

    /// One node's traffic of one kind only, both ways.
    pub(super) fn port(scene: &Scene<'_>, set: &'static str) -> Box<dyn Fault> {
        let node = scene.leader;
        let others = scene.others(node);
        let pairs = others.iter().flat_map(|other| [(node, *other), (*other, node)]).collect();
        // Without gossip everybody has to serve; without calls the node is as good as gone.
        let victims = if set == "gossip_cuts" { Vec::new() } else { vec![node] };
        Self::boxed(set, pairs, victims)
    }

    fn apply(&self, scene: &Scene<'_>, verb: &str) -> Result<()> {
        let world = scene.world();
        let mut elements = Vec::new();
        for (from, to) in &self.pairs {
            let (from, to) = (&world.node(*from)?.port, &world.node(*to)?.port);
            elements.push(format!("\"{from}\" . \"{to}\""));
        }
        let command =
            format!("{verb} element bridge chaos {} {{ {} }}", self.set, elements.join(", "));
        tool::words(&["nft", &command])?;
        Ok(())
    }
}

impl Fault for Cut {
    fn terms(&self) -> Terms {
        Terms { victims: self.victims.clone(), others_serve: true, limit: PAUSE_LIMIT, hold: CUT }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        self.before = World::dropped("cut");
        self.apply(scene, "add")
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        self.apply(scene, "delete")?;
        let bites = World::dropped("cut").saturating_sub(self.before);
        Ok(Evidence { bites, note: "packets dropped".to_owned() })
    }
}

/// A fifth of all packets of all nodes is lost.
#[derive(Debug)]
pub(crate) struct Loss {
    ports: Vec<String>,
    before: u64,
}

impl Loss {
    pub(super) fn boxed(scene: &Scene<'_>) -> Box<dyn Fault> {
        let ports = scene.world().nodes.iter().map(|node| format!("\"{}\"", node.port)).collect();
        Box::new(Self { ports, before: 0 })
    }

    fn apply(&self, verb: &str) -> Result<()> {
        let ports = self.ports.join(", ");
        tool::words(&["nft", &format!("{verb} element bridge chaos lossy {{ {ports} }}")])?;
        Ok(())
    }
}

impl Fault for Loss {
    fn terms(&self) -> Terms {
        // A fifth lost is beyond what can be served in time; afterwards all has to be well.
        let limit = PAUSE_LIMIT;
        Terms { victims: Vec::new(), others_serve: false, limit, hold: CUT }
    }

    fn inject(&mut self, _scene: &Scene<'_>) -> Result<()> {
        self.before = World::dropped("lost");
        self.apply("add")
    }

    fn heal(&mut self, _scene: &Scene<'_>) -> Result<Evidence> {
        self.apply("delete")?;
        let bites = World::dropped("lost").saturating_sub(self.before);
        Ok(Evidence { bites, note: "packets lost".to_owned() })
    }
}

/// A queue in front of a node's cable, and the kernel's count of what it did.
pub(super) fn shape(scene: &Scene<'_>, node: usize, queue: &str) -> Result<()> {
    let node = scene.world().node(node)?;
    tool::run(&format!("tc qdisc add dev {} root {queue}", node.port))?;
    tool::run(&format!("ip netns exec {} tc qdisc add dev eth0 root {queue}", node.network))?;
    Ok(())
}

/// Takes it away; `what` is the word before the number in the kernel's list.
pub(super) fn unshape(scene: &Scene<'_>, node: usize, what: &str) -> Result<u64> {
    let node = scene.world().node(node)?;
    let inside = format!("ip netns exec {} ", node.network);
    let mut count = 0;
    for (prefix, device) in [("", node.port.as_str()), (inside.as_str(), "eth0")] {
        let listed = tool::run(&format!("{prefix}tc -s qdisc show dev {device}"))?;
        count += tool::counted(&listed.replace([',', '(', ')'], " "), what);
        tool::run(&format!("{prefix}tc qdisc del dev {device} root"))?;
    }
    Ok(count)
}

/// A cable of eight megabits a second.
#[derive(Debug)]
pub(crate) struct Slow {
    node: usize,
}

impl Slow {
    pub(super) fn boxed(scene: &Scene<'_>) -> Box<dyn Fault> {
        Box::new(Self { node: scene.leader })
    }
}

impl Fault for Slow {
    fn terms(&self) -> Terms {
        let victims = vec![self.node];
        Terms { victims, others_serve: true, limit: PAUSE_LIMIT, hold: CUT }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        shape(scene, self.node, "tbf rate 8mbit burst 32k latency 200ms")
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let bites = unshape(scene, self.node, "overlimits")?;
        Ok(Evidence { bites, note: "packets held back at 8 Mbit/s".to_owned() })
    }
}

/// The cable is pulled out: nobody reaches the node, clients neither.
#[derive(Debug)]
pub(crate) struct Unplugged {
    node: usize,
    seen: u64,
}

impl Unplugged {
    pub(super) fn boxed(scene: &Scene<'_>) -> Box<dyn Fault> {
        Box::new(Self { node: scene.victim, seen: 0 })
    }
}

impl Fault for Unplugged {
    fn terms(&self) -> Terms {
        let victims = vec![self.node];
        Terms { victims, others_serve: true, limit: PAUSE_LIMIT, hold: CUT }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let port = &scene.world().node(self.node)?.port;
        tool::run(&format!("ip link set {port} down"))?;
        self.seen = u64::from(tool::run(&format!("ip link show {port}"))?.contains("DOWN"));
        Ok(())
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        tool::run(&format!("ip link set {} up", scene.world().node(self.node)?.port))?;
        Ok(Evidence { bites: self.seen, note: "cable seen down".to_owned() })
    }
}
