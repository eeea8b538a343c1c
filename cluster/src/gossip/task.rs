//! The task around the core: owns the socket, reads the clocks, knocks at seeds.
//!
//! In each turn what has arrived is read before timers are looked at: after a stall the answers to
//! probes lie in the socket, and a node that was itself asleep must not suspect others for it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use model::Clock;
use model::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

use super::limits::{
    COMMANDS_MAX, DATAGRAMS_PER_TURN_MAX, PACKET_BYTES_MAX, SEEDS_PERIOD, SEND_WAIT,
};
use super::{CoreParts, Facts, GossipCore, Members, Now, Seeds};
use crate::task::Task;
use crate::watch;

/// What gossip is made of.
#[derive(Debug)]
pub struct GossipParts {
    /// The node, its cluster and its keys.
    pub core: CoreParts,
    /// The socket, bound.
    pub socket: UdpSocket,
    /// Both clocks.
    pub clock: Arc<dyn Clock>,
    /// Where to begin.
    pub seeds: Seeds,
}

/// Gossip of this node, until it is dropped.
#[derive(Debug)]
pub struct Gossip {
    members: watch::Receiver<Arc<Members>>,
    commands: mpsc::Sender<Command>,
    _seeds: Task,
    _task: Task,
}

#[derive(Debug)]
enum Command {
    SetFacts(Box<Facts>),
    Knock(Vec<SocketAddr>),
    Leave(oneshot::Sender<()>),
}

impl Gossip {
    /// Starts to listen and to speak.
    pub fn start(parts: GossipParts) -> Self {
        let (publish, members) = watch::channel(Arc::new(Members::default()));
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let now = read(parts.clock.as_ref());
        let agent = Agent {
            core: GossipCore::new(parts.core, now),
            socket: parts.socket,
            clock: parts.clock,
            publish,
            inbox,
        };
        let seeds = look_for_seeds(parts.seeds, members.clone(), commands.clone());
        let seeds = Task::spawn("gossip seeds", seeds);
        Self { members, commands, _seeds: seeds, _task: Task::spawn("gossip", agent.run()) }
    }

    /// The opinion now.
    pub fn members(&self) -> Arc<Members> {
        Arc::clone(&self.members.borrow())
    }

    /// The opinion as it changes.
    pub fn watch(&self) -> watch::Receiver<Arc<Members>> {
        self.members.clone()
    }

    /// Changes what this node says of itself.
    pub async fn set_facts(&self, facts: Facts) {
        // Fails only once the task is gone, with this.
        let _ = self.commands.send(Command::SetFacts(Box::new(facts))).await;
    }

    /// Makes this node known at addresses that were learned elsewhere.
    pub async fn knock(&self, addresses: Vec<SocketAddr>) {
        let _ = self.commands.send(Command::Knock(addresses)).await;
    }

    /// Tells others that this node goes. Returns when that was sent.
    pub async fn leave(&self) {
        let (done, is_done) = oneshot::channel();
        if self.commands.send(Command::Leave(done)).await.is_ok() {
            let _ = is_done.await;
        }
    }
}

fn read(clock: &dyn Clock) -> Now {
    Now { monotonic: clock.monotonic(), wall: clock.wall() }
}

fn std(duration: Duration) -> std::time::Duration {
    std::time::Duration::from_nanos(duration.0)
}

async fn look_for_seeds(
    seeds: Seeds,
    members: watch::Receiver<Arc<Members>>,
    commands: mpsc::Sender<Command>,
) {
    loop {
        let others = members.borrow().active();
        if seeds.are_wanted(others) {
            let addresses = seeds.resolve().await.into_iter().collect();
            if commands.send(Command::Knock(addresses)).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(std(SEEDS_PERIOD)).await;
    }
}

struct Agent {
    core: GossipCore,
    socket: UdpSocket,
    clock: Arc<dyn Clock>,
    publish: watch::Sender<Arc<Members>>,
    inbox: mpsc::Receiver<Command>,
}

impl Agent {
    async fn run(mut self) {
        loop {
            self.read_datagrams();
            self.core.advance(read(self.clock.as_ref()));
            self.send_datagrams().await;
            self.publish();
            let now = self.clock.monotonic();
            let pause = std(self.core.wakes_at().since(now));
            tokio::select! {
                biased;
                command = self.inbox.recv() => {
                    let Some(command) = command else { return };
                    self.obey(command).await;
                }
                // An error shows itself at the read.
                _ = self.socket.readable() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        let now = read(self.clock.as_ref());
        match command {
            Command::SetFacts(facts) => self.core.set_facts(*facts, now),
            Command::Knock(addresses) => {
                addresses.into_iter().for_each(|address| self.core.knock(address, now));
            }
            Command::Leave(done) => {
                self.core.leave(now);
                self.send_datagrams().await;
                // Whoever asked may have gone.
                let _ = done.send(());
            }
        }
    }

    fn read_datagrams(&mut self) {
        // One byte more than allowed, so that what is too long is not taken for what is whole.
        let mut buffer = [0; PACKET_BYTES_MAX + 1];
        for _ in 0..DATAGRAMS_PER_TURN_MAX {
            match self.socket.try_recv_from(&mut buffer) {
                Ok((length, _)) => {
                    metrics::counter!("skua_gossip_received_total").increment(1);
                    let packet = buffer.get(..length).unwrap_or_default();
                    // What is wrong with it has been counted.
                    let _ = self.core.receive(packet, read(self.clock.as_ref()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // A peer's host said that nobody listens; nothing that this node could do.
                Err(_) => {}
            }
        }
    }

    async fn send_datagrams(&mut self) {
        for (to, packet) in self.core.take_outgoing() {
            let sent = tokio::time::timeout(std(SEND_WAIT), self.socket.send_to(&packet, to)).await;
            // The protocol repeats what is lost.
            let outcome = if matches!(sent, Ok(Ok(_))) { "sent" } else { "failed" };
            metrics::counter!("skua_gossip_sent_total", "outcome" => outcome).increment(1);
        }
    }

    fn publish(&self) {
        let members = self.core.members();
        self.publish.send_if_modified(|published| {
            let is_news = published.as_ref() != members;
            if is_news {
                *published = Arc::new(members.clone());
                metrics::gauge!("skua_gossip_members_active").set(members.active() as f64);
            }
            is_news
        });
    }
}
