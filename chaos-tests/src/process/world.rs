//! Everything that the nodes of a run live in: networks, a bridge, names, disks.
//!
//! The run has namespaces of its own for networks, mounts and processes. When it ends, by itself or
//! by force, the kernel takes all of it away: nothing is left on the machine but a folder.
//!
//! ```text
//!   clients, name server            10.99.0.1 on the bridge
//!        │
//!   ═════╪══════════╪══════════╪═══ bridge: cuts and losses are made here
//!      cable0     cable1     cable2
//!      skua-0     skua-1     skua-2      each a network, each on an ext4 of its own in a file
//! ```

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::bell::Bell;
use super::dns::Names;
use super::http::{Connection, Request, get};
use super::node::{HEALTH_PORT, Node, SERVICE, UI_PORT};
use super::settings::Settings;
use super::tool;

/// Where clients and the name server are.
pub(crate) const HUB: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

/// Rules of the bridge: who is cut off from whom, and whose packets get lost.
const RULES: &str = "
table bridge chaos {
  set cuts { type ifname . ifname; }
  set call_cuts { type ifname . ifname; }
  set gossip_cuts { type ifname . ifname; }
  set lossy { type ifname; }
  counter cut { }
  counter lost { }
  chain forward {
    type filter hook forward priority 0; policy accept;
    iifname . oifname @cuts counter name cut drop
    iifname . oifname @call_cuts tcp dport 7947 counter name cut drop
    iifname . oifname @call_cuts tcp sport 7947 counter name cut drop
    iifname . oifname @gossip_cuts udp dport 7946 counter name cut drop
    iifname @lossy numgen random mod 100 < 20 counter name lost drop
  }
}
";

/// How long the digests of all replicas may take: every span is read.
const DIGESTS_MAX: Duration = Duration::from_mins(2);

/// Size of a node's disk.
const DISK_BYTES: u64 = 3 << 30;

/// A file that is an ext4, is made and mounted like this.
const MKFS: &str = "mkfs.ext4 -F -q -m 0 -E lazy_itable_init=1,lazy_journal_init=1";

/// Everything that the nodes of a run live in.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) nodes: Vec<Node>,
    pub(crate) names: Arc<Names>,
    pub(crate) bell: Bell,
}

/// A cluster as one of its nodes sees it.
#[derive(Debug, Deserialize)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Member>,
    pub(crate) shards: Vec<Shard>,
    #[serde(default)]
    pub(crate) epochs: Vec<Epoch>,
}

/// A version of the ring.
#[derive(Debug, Deserialize)]
pub(crate) struct Epoch {
    pub(crate) shards: u32,
    pub(crate) state: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Shard {
    pub(crate) id: u32,
    pub(crate) leader: Option<String>,
    pub(crate) replicas: Vec<ShardReplica>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ShardReplica {
    pub(crate) node: String,
    /// This and what follows is missing while nobody tells of it.
    pub(crate) applied: Option<u64>,
    pub(crate) lag: Option<u64>,
    #[serde(default)]
    pub(crate) spans: u64,
    #[serde(default)]
    pub(crate) digest: Option<String>,
}

impl World {
    /// Makes networks, names and disks. No node is started.
    pub(crate) fn build(settings: Settings, folder: &Path) -> Result<Self> {
        let names = Arc::new(Names::default());
        tool::run("ip link set lo up")?;
        tool::run("ip link add chaos type bridge")?;
        tool::run(&format!("ip addr add {HUB}/24 dev chaos"))?;
        tool::run("ip link set chaos up")?;
        let rules = folder.join("rules.nft");
        fs::write(&rules, RULES)?;
        tool::words(&["nft", "-f", &rules.to_string_lossy()])?;
        let mut nodes = Vec::new();
        for index in 0..settings.nodes {
            let node = Node::new(usize::from(index), address(index, 0), folder)?;
            plug(&node.network, &node.port, node.address()?)?;
            make_disk(&node)?;
            nodes.push(node);
        }
        // A network without a node, for a second life of somebody's identity.
        plug("spare", "cable-spare", address(settings.nodes, 0))?;
        let world = Self { settings, nodes, names, bell: Bell::new() };
        world.publish()?;
        Ok(world)
    }

    /// Tells the name server where the nodes are.
    pub(crate) fn publish(&self) -> Result<()> {
        let addresses = self.nodes.iter().map(Node::address).collect::<Result<Vec<_>>>()?;
        for (node, address) in self.nodes.iter().zip(&addresses) {
            self.names.set(&node.host(), vec![*address]);
        }
        self.names.set(SERVICE, addresses);
        Ok(())
    }

    pub(crate) fn node(&self, index: usize) -> Result<&Node> {
        self.nodes.get(index).with_context(|| format!("there is no node {index}"))
    }

    pub(crate) fn start_all(&self) -> Result<()> {
        self.nodes.iter().try_for_each(|node| node.start(&self.settings))
    }

    /// Has a node said that it is ready?
    pub(crate) fn is_ready(node: &Node) -> bool {
        let Ok(to) = node.socket(HEALTH_PORT) else { return false };
        let request = get("/readyz", "tenant-0", Duration::from_millis(800));
        Connection::default().send(to, &request).is_ok_and(|response| response.status == 200)
    }

    /// Waits until all nodes are ready.
    pub(crate) fn wait_ready(&self, most: Duration) -> bool {
        self.bell.until(most, || self.nodes.iter().all(Self::is_ready))
    }

    /// The cluster as a node sees it.
    pub(crate) fn cluster(node: &Node) -> Option<Cluster> {
        Self::told(node, "/api/skua/v1/cluster", Duration::from_secs(5))
    }

    /// The same with digests, for which every replica is read whole.
    pub(crate) fn cluster_with_digests(node: &Node) -> Option<Cluster> {
        Self::told(node, "/api/skua/v1/cluster?digest=true", DIGESTS_MAX)
    }

    /// Has a node seal and merge now, in the middle of whatever happens to it next.
    pub(crate) fn compact(node: &Node) {
        let Ok(to) = node.socket(UI_PORT) else { return };
        let request = Request {
            method: "POST",
            content_type: "application/json",
            ..get("/api/skua/v1/admin/compact", "tenant-0", Duration::from_secs(2))
        };
        // A node that does not answer seals when it is due.
        let _ = Connection::default().send(to, &request);
    }

    /// Asks a node for so many shards more. Says what it answered, unless it will do that.
    pub(crate) fn add_shards(node: &Node, count: u32) -> Result<(), String> {
        let to = node.socket(UI_PORT).map_err(|error| error.to_string())?;
        let body = format!("{{\"count\":{count}}}").into_bytes();
        let request = Request {
            method: "POST",
            content_type: "application/json",
            body: &body,
            ..get("/api/skua/v1/admin/add-shards", "tenant-0", Duration::from_secs(5))
        };
        let response = Connection::default().send(to, &request);
        let response = response.map_err(|failure| format!("{failure:?}"))?;
        let said = || String::from_utf8_lossy(&response.body).into_owned();
        if response.status == 202 { Ok(()) } else { Err(said()) }
    }

    fn told(node: &Node, path: &str, most: Duration) -> Option<Cluster> {
        let to = node.socket(UI_PORT).ok()?;
        let request = get(path, "tenant-0", most);
        let response = Connection::default().send(to, &request).ok()?;
        serde_json::from_slice(&response.body).ok().filter(|_| response.status == 200)
    }

    /// The node that leads most shards, and the one that leads fewest.
    pub(crate) fn leaders(&self) -> Option<(usize, usize)> {
        let cluster = self.nodes.iter().find_map(Self::cluster)?;
        let mut led = vec![0; self.nodes.len()];
        for shard in &cluster.shards {
            let Some(leader) = &shard.leader else { continue };
            let member = cluster.nodes.iter().find(|member| member.id == *leader);
            let node = self.nodes.iter().find(|node| member.is_some_and(|m| m.name == node.name));
            if let Some(count) = node.and_then(|node| led.get_mut(node.index)) {
                *count += 1;
            }
        }
        let most = (0..led.len()).max_by_key(|node| led.get(*node))?;
        let least = (0..led.len()).min_by_key(|node| led.get(*node))?;
        Some((most, least))
    }

    /// Starts nodes again that ended, until the bell rings.
    pub(crate) fn supervise(&self) -> Result<()> {
        while !self.bell.wait(Duration::from_millis(50)) {
            for node in &self.nodes {
                node.supervise(&self.settings, self.bell.now_ns())?;
            }
        }
        Ok(())
    }

    /// Waits until a node's process has ended.
    pub(crate) fn wait_end(&self, node: &Node, most: Duration) -> Result<bool> {
        let mut failure = None;
        let ended = self.bell.until(most, || match node.reap(self.bell.now_ns()) {
            Ok(_) => node.pid().is_ok_and(|pid| pid.is_none()),
            Err(error) => {
                failure = Some(error);
                true
            }
        });
        failure.map_or(Ok(ended), Err)
    }

    /// Ends a node's process at once and waits until it is gone.
    pub(crate) fn kill(&self, node: &Node) -> Result<()> {
        node.hold_down()?;
        node.signal("KILL")?;
        self.wait_end(node, Duration::from_secs(10))?;
        Ok(())
    }

    /// Packets that the bridge has dropped, cut and lost.
    pub(crate) fn dropped(counter: &str) -> u64 {
        let listed = tool::run(&format!("nft list counter bridge chaos {counter}"));
        tool::counted(&listed.unwrap_or_default(), "packets")
    }
}

/// Where a node is, after having moved so often.
pub(crate) fn address(index: u16, moves: u8) -> Ipv4Addr {
    let host = 10 + u8::try_from(index).unwrap_or_default() + 10 * (moves % 20);
    Ipv4Addr::new(10, 99, 0, host)
}

/// Makes a network and plugs it into the bridge.
fn plug(network: &str, port: &str, address: Ipv4Addr) -> Result<()> {
    tool::run(&format!("ip netns add {network}"))?;
    tool::run(&format!("ip link add {port} type veth peer name eth0 netns {network}"))?;
    tool::run(&format!("ip link set {port} master chaos up"))?;
    tool::run(&format!("ip -n {network} addr add {address}/24 dev eth0"))?;
    tool::run(&format!("ip -n {network} link set eth0 up"))?;
    tool::run(&format!("ip -n {network} link set lo up"))?;
    Ok(())
}

/// Makes a node's disk and mounts it.
fn make_disk(node: &Node) -> Result<()> {
    fs::File::create(&node.image)?.set_len(DISK_BYTES)?;
    tool::run(&format!("{MKFS} {}", node.image.display()))?;
    mount(node)
}

/// Mounts a node's disk.
pub(crate) fn mount(node: &Node) -> Result<()> {
    tool::run(&format!("mount -o loop {} {}", node.image.display(), node.disk.display()))?;
    Ok(())
}

/// Takes it away.
pub(crate) fn unmount(node: &Node) -> Result<()> {
    tool::run(&format!("umount {}", node.disk.display()))?;
    Ok(())
}
