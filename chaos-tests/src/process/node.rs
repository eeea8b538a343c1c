//! One node: a process in a network of its own, on a disk of its own, started again when it ends.

use std::fs::{self, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard};

use anyhow::{Context as _, Result, anyhow};

use super::control::Control;
use super::settings::Settings;
use super::tool;

/// Ports of a node.
pub(crate) const OTLP_PORT: u16 = 4318;
pub(crate) const UI_PORT: u16 = 16686;
pub(crate) const HEALTH_PORT: u16 = 13133;

/// The name that all nodes share, as that of a headless service.
pub(crate) const SERVICE: &str = "skua.chaos";

/// How one life of the process ended.
#[derive(Debug, Clone)]
pub(crate) struct Exit {
    pub(crate) at_ns: u64,
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
}

/// A node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) index: usize,
    /// Its name in the cluster, which is also that of its pod.
    pub(crate) name: String,
    /// Its end of the cable that is plugged into the bridge.
    pub(crate) port: String,
    /// Its network.
    pub(crate) network: String,
    /// Where its disk is mounted.
    pub(crate) disk: PathBuf,
    /// The file that is its disk.
    pub(crate) image: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) control: Control,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    child: Option<Child>,
    address: Ipv4Addr,
    /// Is somebody to start it again when it ends?
    wanted: bool,
    starts: u32,
    exits: Vec<Exit>,
}

impl Node {
    /// A node that is not started: its folder is made, its network and disk are not.
    pub(crate) fn new(index: usize, address: Ipv4Addr, folder: &Path) -> Result<Self> {
        let folder = folder.join(format!("node-{index}"));
        let disk = folder.join("disk");
        fs::create_dir_all(&disk)?;
        Ok(Self {
            index,
            name: format!("skua-{index}"),
            port: format!("cable{index}"),
            network: format!("skua{index}"),
            image: folder.join("disk.image"),
            log: folder.join("log"),
            control: Control::create(&folder.join("control"))?,
            disk,
            state: Mutex::new(State {
                child: None,
                address,
                wanted: false,
                starts: 0,
                exits: Vec::new(),
            }),
        })
    }

    /// Its name for other nodes.
    pub(crate) fn host(&self) -> String {
        format!("{}.{SERVICE}", self.name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.disk.join("data")
    }

    fn state(&self) -> Result<MutexGuard<'_, State>> {
        self.state.lock().map_err(|_| anyhow!("a thread panicked beside node {}", self.index))
    }

    pub(crate) fn address(&self) -> Result<Ipv4Addr> {
        Ok(self.state()?.address)
    }

    pub(crate) fn socket(&self, port: u16) -> Result<SocketAddr> {
        Ok((self.address()?, port).into())
    }

    pub(crate) fn set_address(&self, address: Ipv4Addr) -> Result<()> {
        self.state()?.address = address;
        Ok(())
    }

    pub(crate) fn pid(&self) -> Result<Option<u32>> {
        Ok(self.state()?.child.as_ref().map(Child::id))
    }

    pub(crate) fn exits(&self) -> Result<Vec<Exit>> {
        Ok(self.state()?.exits.clone())
    }

    pub(crate) fn starts(&self) -> Result<u32> {
        Ok(self.state()?.starts)
    }

    /// Starts the process, and from now on again whenever it ends.
    pub(crate) fn start(&self, settings: &Settings) -> Result<()> {
        let mut state = self.state()?;
        state.wanted = true;
        self.spawn(&mut state, settings)
    }

    fn spawn(&self, state: &mut State, settings: &Settings) -> Result<()> {
        if state.child.is_some() {
            return Ok(());
        }
        let address = state.address;
        let mut command = self.command(settings, &self.network, address, &self.data())?;
        state.child = Some(command.spawn().context("the node cannot be started")?);
        state.starts += 1;
        Ok(())
    }

    /// The command that starts a node like this one, perhaps elsewhere.
    pub(crate) fn command(
        &self,
        settings: &Settings,
        network: &str,
        address: Ipv4Addr,
        data: &Path,
    ) -> Result<Command> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{network}"))
            .arg("--")
            .arg(&settings.binary)
            .args(["serve", "--data-dir"])
            .arg(data)
            .args(["--listen-address", &address.to_string()])
            .args(["--advertise-address", &self.host(), "--node-name", &self.name])
            .args(["--seeds", SERVICE, "--expected-nodes", &settings.nodes.to_string()])
            .arg("--cluster-key-file")
            .arg(settings.folder.join("cluster.key"))
            .args(["--open-access", "--tenancy", "x-tenant", "--drain-delay", "500ms"])
            // So little that a node which was away for a while needs blocks.
            .args(["--log-kept", "4 MiB", "--scrub-every", "1m"])
            .args(["--log-format", "text"])
            .args(&settings.flags)
            .env("CHAOS_CONTROL", self.disk.with_file_name("control"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        if settings.preload.exists() {
            command.env("LD_PRELOAD", &settings.preload);
        }
        if let Some(mutant) = &settings.mutant {
            command.env("SKUA_MUTANT", mutant);
        }
        Ok(command)
    }

    /// Nobody starts it again until [`Node::start`].
    pub(crate) fn hold_down(&self) -> Result<()> {
        self.state()?.wanted = false;
        Ok(())
    }

    /// Sends the process a signal; says whether there was one.
    pub(crate) fn signal(&self, signal: &str) -> Result<bool> {
        let state = self.state()?;
        let Some(child) = &state.child else { return Ok(false) };
        // A process that has just ended takes no signal, which is as good.
        Ok(tool::run(&format!("kill -{signal} {}", child.id())).is_ok())
    }

    /// Waits for the end of the process without holding anybody up; `None` while it runs.
    pub(crate) fn reap(&self, at_ns: u64) -> Result<Option<Exit>> {
        let mut state = self.state()?;
        let Some(child) = state.child.as_mut() else {
            return Ok(state.exits.last().cloned());
        };
        let Some(status) = child.try_wait()? else { return Ok(None) };
        let exit = exit(status, at_ns);
        state.child = None;
        state.exits.push(exit.clone());
        Ok(Some(exit))
    }

    /// Starts it again if it has ended and nobody holds it down.
    pub(crate) fn supervise(&self, settings: &Settings, at_ns: u64) -> Result<()> {
        self.reap(at_ns)?;
        let mut state = self.state()?;
        let ended_ns = state.exits.last().map_or(0, |exit| exit.at_ns);
        if state.wanted && state.child.is_none() && at_ns.saturating_sub(ended_ns) > BACK_OFF_NS {
            self.spawn(&mut state, settings)?;
        }
        Ok(())
    }

    /// Memory that the process holds, in bytes.
    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        let pid = self.pid().ok()??;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().split(' ').next()?.parse::<u64>().ok().map(|kib| kib << 10)
    }

    /// Is the process stopped by a signal?
    pub(crate) fn is_paused(&self) -> bool {
        let Ok(Some(pid)) = self.pid() else { return false };
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:") && line.contains('T'))
    }
}

/// How long a node that ended by itself stays down, as a supervisor's back-off.
const BACK_OFF_NS: u64 = 300_000_000;

fn exit(status: ExitStatus, at_ns: u64) -> Exit {
    Exit { at_ns, code: status.code(), signal: status.signal() }
}
