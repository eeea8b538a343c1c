//! Packets that wait: a process in a node's network that the kernel hands every packet between
//! nodes to, and that lets each go when its time has come.
//!
//! ```text
//!   packets between nodes ──iptables (mangle: INPUT, OUTPUT)──▶ NFQUEUE ──▶ holder
//!   packets go on         ◀──────────────── verdicts, when they are due ───────┘
//! ```
//!
//! It is this program again, under a flag of its own: a thread that changes its network would have
//! to be unsafe. Nothing that happens to it cuts a node off:
//!
//! - the kernel keeps at most [`HELD_MAX`] packets, and lets go on what comes beyond them;
//! - where no holder listens, the rules let everything pass (`--queue-bypass`);
//! - when its input ends, a holder lets go of all that it has, says what it did, and ends.
//!
//! What is absent on purpose: looking into packets. The kernel keeps them; a holder has their
//! numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Error, Result, bail};
use nfq::{Message, Queue};
use serde::{Deserialize, Serialize};

use super::bell::Bell;
use super::chance::Chance;
use super::tool;

/// The queue of the kernel, one in each network.
const QUEUE: u16 = 7;

/// Packets that wait at a time: half a second of a leader's, as big as they come.
const HELD_MAX: u32 = 4_096;

/// How often it is looked who has waited long enough. A wait is longer by so much, not each packet.
const TICK: Duration = Duration::from_millis(1);

/// What a holder says when its queue is there.
const READY: &str = "holding";

/// What is between nodes, in the words of rules: calls, answers to them, and gossip.
const BETWEEN_NODES: [&str; 3] = ["tcp --dport 7947", "tcp --sport 7947", "udp --dport 7946"];

/// How long packets wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    /// Every packet, more or less so much, in the order in which they came.
    pub(crate) delay_ms: u64,
    pub(crate) jitter_ms: u64,
    /// So many of a hundred wait longer than that, and are overtaken.
    pub(crate) late_percent: u64,
    pub(crate) late_ms: u64,
    /// What chance is drawn from.
    pub(crate) seed: u64,
}

impl fmt::Display for Waits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { delay_ms, jitter_ms, late_percent, late_ms, seed } = self;
        write!(formatter, "{delay_ms},{jitter_ms},{late_percent},{late_ms},{seed}")
    }
}

impl FromStr for Waits {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split(',').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        let [delay_ms, jitter_ms, late_percent, late_ms, seed] = numbers.as_slice() else {
            bail!("`{text}` does not say how long packets wait");
        };
        Ok(Self {
            delay_ms: *delay_ms,
            jitter_ms: *jitter_ms,
            late_percent: *late_percent,
            late_ms: *late_ms,
            seed: *seed,
        })
    }
}

/// What a holder did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Packets that waited.
    pub(crate) packets: u64,
    /// Those of them that went on after one that had come later.
    pub(crate) overtaken: u64,
}

/// A holder in a node's network.
#[derive(Debug)]
pub(crate) struct Holder {
    network: String,
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Holder {
    /// Whether the kernel has such queues, and rules that lead to them.
    pub(crate) fn is_possible() -> bool {
        let own = std::env::current_exe().map(|path| path.to_string_lossy().into_owned());
        let Ok(own) = own else { return false };
        // In networks of their own, which go with the commands.
        tool::exists("iptables")
            && tool::words(&["unshare", "--net", &own, "--hold", &Waits::default().to_string()])
                .is_ok()
            && tool::run(&format!("unshare --net {}", rule("-A", "OUTPUT", "tcp --dport 1")))
                .is_ok()
    }

    /// Lets what comes to a node from others, and goes from it to them, wait from now on.
    pub(crate) fn start(network: &str, waits: Waits) -> Result<Self> {
        let mut child = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{network}"))
            .arg("--")
            .arg(std::env::current_exe()?)
            .args(["--hold", &waits.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("nsenter cannot be run")?;
        let output = child.stdout.take().context("a holder that cannot be heard")?;
        let mut holder = Self { network: network.to_owned(), child, says: BufReader::new(output) };
        let mut line = String::new();
        holder.says.read_line(&mut line)?;
        if line.trim() != READY {
            bail!("a holder did not begin to hold packets");
        }
        holder.rules("-A")?;
        Ok(holder)
    }

    /// Lets go of everything, and says what was held.
    pub(crate) fn end(mut self) -> Result<Held> {
        self.rules("-D")?;
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.says.read_to_string(&mut said)?;
        self.child.wait()?;
        serde_json::from_str(&said).context("a holder ended before its time")
    }

    fn rules(&self, verb: &str) -> Result<()> {
        for hook in ["INPUT", "OUTPUT"] {
            for packets in BETWEEN_NODES {
                let rule = rule(verb, hook, packets);
                tool::run(&format!("nsenter --net=/run/netns/{} {rule}", self.network))?;
            }
        }
        Ok(())
    }
}

/// The command that adds a rule, or deletes it.
fn rule(verb: &str, hook: &str, packets: &str) -> String {
    let target = format!("NFQUEUE --queue-num {QUEUE} --queue-bypass");
    format!("iptables -w -t mangle {verb} {hook} -p {packets} -j {target}")
}

/// The holder's whole life: until its input ends.
pub(crate) fn hold(waits: Waits) -> Result<()> {
    let bell = Bell::new();
    let mut queue = open().context("no queue of packets can be had")?;
    println!("{READY}");
    let held = std::thread::scope(|threads| {
        threads.spawn(|| {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            bell.ring();
        });
        let held = pass_on(&mut queue, waits, &bell);
        if held.is_err() {
            // Nobody waits for the end of the input then: without a listener all packets pass.
            drop(queue);
        }
        held
    })?;
    println!("{}", serde_json::to_string(&held)?);
    Ok(())
}

fn open() -> std::io::Result<Queue> {
    let mut queue = Queue::open()?;
    queue.bind(QUEUE)?;
    queue.set_queue_max_len(QUEUE, HELD_MAX)?;
    queue.set_fail_open(QUEUE, true)?;
    // Nothing of a packet is looked at, and a large one need not be cut up for it.
    queue.set_copy_range(QUEUE, 0)?;
    queue.set_recv_gso(QUEUE, true)?;
    queue.set_nonblocking(true);
    Ok(queue)
}

/// Takes packets in and lets them go, all that are due at a time, until the bell rings.
fn pass_on(queue: &mut Queue, waits: Waits, bell: &Bell) -> Result<Held> {
    let mut waiting = Waiting::new(waits);
    loop {
        let is_over = bell.wait(TICK);
        for _ in 0..HELD_MAX {
            match queue.recv() {
                Ok(packet) => waiting.take(bell.now_ns(), packet.get_hook(), packet),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let now_ns = if is_over { u64::MAX } else { bell.now_ns() };
        while let Some(packet) = waiting.next_due(now_ns) {
            queue.verdict(packet)?;
        }
        if is_over {
            return Ok(waiting.held);
        }
    }
}

/// Packets that wait, by when they are due.
#[derive(Debug)]
struct Waiting<P = Message> {
    waits: Waits,
    chance: Chance,
    /// By time, and among equals as they came.
    due: BTreeMap<(u64, u64), P>,
    /// When the last one of each direction is due that keeps the order.
    last_due_ns: BTreeMap<u8, u64>,
    newest_gone: u64,
    held: Held,
}

impl<P> Waiting<P> {
    fn new(waits: Waits) -> Self {
        Self {
            waits,
            chance: Chance::new(waits.seed),
            due: BTreeMap::new(),
            last_due_ns: BTreeMap::new(),
            newest_gone: 0,
            held: Held::default(),
        }
    }

    /// Takes a packet in that goes in some direction.
    fn take(&mut self, now_ns: u64, direction: u8, packet: P) {
        const MS: u64 = 1_000_000;
        self.held.packets += 1;
        let waits = self.waits;
        let spread = self.chance.below(2 * waits.jitter_ms * MS + 1);
        let wait_ns = (waits.delay_ms * MS + spread).saturating_sub(waits.jitter_ms * MS);
        let last_ns = self.last_due_ns.entry(direction).or_default();
        let mut due_ns = (now_ns + wait_ns).max(*last_ns);
        if self.chance.below(100) < waits.late_percent {
            due_ns += waits.late_ms * MS;
        } else {
            *last_ns = due_ns;
        }
        self.due.insert((due_ns, self.held.packets), packet);
    }

    /// A packet that has waited long enough.
    fn next_due(&mut self, now_ns: u64) -> Option<P> {
        let first = self.due.first_entry().filter(|first| first.key().0 <= now_ns)?;
        let (_, number) = *first.key();
        self.held.overtaken += u64::from(number < self.newest_gone);
        self.newest_gone = self.newest_gone.max(number);
        Some(first.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Packets that come in the one direction, a millisecond apart, and how they go on.
    fn order(waits: Waits, packets: u64) -> (Vec<u64>, Held) {
        let mut waiting = Waiting::new(waits);
        for packet in 0..packets {
            waiting.take(packet * MS, 1, packet);
        }
        let gone = std::iter::from_fn(|| waiting.next_due(u64::MAX)).collect();
        (gone, waiting.held)
    }

    #[test]
    fn packets_wait_and_keep_their_order() {
        let waits = Waits { delay_ms: 20, jitter_ms: 10, seed: 3, ..Waits::default() };
        let (gone, held) = order(waits, 500);
        assert!(gone.is_sorted());
        assert_eq!(held, Held { packets: 500, overtaken: 0 });
        let mut waiting = Waiting::new(waits);
        waiting.take(0, 1, ());
        assert_eq!(waiting.next_due(9 * MS), None, "20 ms less 10 at least");
        assert_eq!(waiting.next_due(30 * MS), Some(()), "20 ms and 10 more at most");
    }

    #[test]
    fn late_packets_are_overtaken_and_counted() {
        let waits = Waits { late_percent: 20, late_ms: 50, seed: 3, ..Waits::default() };
        let (gone, held) = order(waits, 500);
        assert!(!gone.is_sorted());
        assert_eq!((gone.len(), held.packets), (500, 500));
        assert!((60..=140).contains(&held.overtaken), "{held:?}");
    }

    #[test]
    fn directions_do_not_wait_for_each_other() {
        let waits = Waits { delay_ms: 20, jitter_ms: 20, seed: 1, ..Waits::default() };
        let mut waiting = Waiting::new(waits);
        (0..200).for_each(|packet| waiting.take(0, u8::from(packet % 2 == 0), packet));
        let gone: Vec<u64> = std::iter::from_fn(|| waiting.next_due(u64::MAX)).collect();
        let one_way: Vec<u64> = gone.iter().copied().filter(|packet| packet % 2 == 0).collect();
        assert!(one_way.is_sorted());
    }

    #[test]
    fn waits_are_read_as_they_are_written() {
        let waits =
            Waits { delay_ms: 1, jitter_ms: 2, late_percent: 3, late_ms: 4, seed: u64::MAX };
        assert_eq!(waits.to_string().parse::<Waits>().unwrap(), waits);
        assert!("1,2".parse::<Waits>().is_err());
    }
}
