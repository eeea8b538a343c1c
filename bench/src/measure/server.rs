//! A server under measurement: started with an empty data directory, read through `/proc`, ended
//! with this value.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use tokio::process::{Child, Command};

use super::http::HttpClient;
use super::{Arguments, machine};
use crate::outside::{self, DirectoryBytes, Scratch};

/// How long a start may take.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// How often a starting server is looked at: the error of the start's time.
const POLL_EVERY: Duration = Duration::from_millis(1);

/// The kernel counts processor time in hundredths of a second on every platform Linux has.
const MICROSECONDS_PER_TICK: u64 = 10_000;

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    process: u32,
    address: String,
    ports: Ports,
    /// Goes after the process, whose data it holds.
    scratch: Scratch,
    /// From the start of the process to the first good answer of `/readyz`.
    pub(super) ready_after: Duration,
}

/// What the server writes into its ports file.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Ports {
    otlp_grpc: u16,
    ui: u16,
    health: u16,
    metrics: u16,
    jaeger_compact: u16,
}

/// Processor time of a process.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ProcessorTime {
    pub(super) user_microseconds: u64,
    pub(super) system_microseconds: u64,
}

impl ProcessorTime {
    /// What was used since `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            user_microseconds: self.user_microseconds - before.user_microseconds,
            system_microseconds: self.system_microseconds - before.system_microseconds,
        }
    }

    pub(super) fn total_microseconds(self) -> u64 {
        self.user_microseconds + self.system_microseconds
    }
}

/// The doors of a node, each with a port of its own.
const PORTS: [&str; 14] = [
    "otlp-grpc",
    "otlp-http",
    "ui",
    "health",
    "metrics",
    "jaeger-grpc",
    "jaeger-http",
    "jaeger-compact",
    "jaeger-binary",
    "zipkin",
    "query-grpc",
    "sampling-http",
    "sampling-grpc",
    "remote-storage",
];

impl Server {
    /// Starts the binary that `--skua` names, with its data below `--data-below` (else the system's
    /// place for temporary files), and waits until it is ready. These options are the last that a
    /// measurement asks for.
    pub(super) async fn start(arguments: &Arguments) -> anyhow::Result<Self> {
        let binary = arguments.text("skua").context("--skua BINARY is wanted")?;
        let scratch = Scratch::make(arguments.text("data-below").map(Path::new), "bench")?;
        arguments.refuse_unknown()?;
        let ports_file = scratch.path().join("ports.json");
        let address = own_loopback_address();
        let mut command = Command::new(binary);
        command.arg("serve").arg("--data-dir").arg(scratch.path().join("data"));
        command.arg("--ports-file").arg(&ports_file).args(["--listen-address", &address]);
        for port in PORTS {
            command.args([format!("--{port}-port"), String::from("0")]);
        }
        command.args(arguments.for_server());
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let started = outside::now();
        let mut child = command.spawn().with_context(|| format!("cannot start {binary}"))?;
        let process = child.id().context("the server ended at once")?;
        let ports = loop {
            ensure!(outside::now().duration_since(started) < START_TIMEOUT, "no start in time");
            if let Some(status) = child.try_wait()? {
                bail!("the server ended at its start: {status}");
            }
            let written = outside::read_text(&ports_file).unwrap_or_default();
            match serde_json::from_str(&written) {
                Ok(ports) => break ports,
                Err(_) => tokio::time::sleep(POLL_EVERY).await,
            }
        };
        let ready_after = Duration::ZERO;
        let mut server = Self { child, process, address, ports, scratch, ready_after };
        while !server.is_ready().await {
            ensure!(outside::now().duration_since(started) < START_TIMEOUT, "not ready in time");
            tokio::time::sleep(POLL_EVERY).await;
        }
        server.ready_after = outside::now().duration_since(started);
        Ok(server)
    }

    async fn is_ready(&self) -> bool {
        let health = format!("{}:{}", self.address, self.ports.health);
        let Ok(mut client) = HttpClient::connect(&health).await else { return false };
        client.get("/readyz").await.is_ok_and(|answer| answer.status == 200)
    }

    /// Where OTLP/gRPC goes.
    pub(super) fn otlp_grpc(&self) -> String {
        format!("{}:{}", self.address, self.ports.otlp_grpc)
    }

    /// Where queries go.
    pub(super) fn ui(&self) -> String {
        format!("{}:{}", self.address, self.ports.ui)
    }

    /// Where its metrics are read.
    pub(super) fn metrics(&self) -> String {
        format!("{}:{}", self.address, self.ports.metrics)
    }

    /// Where Jaeger's datagrams in compact Thrift go.
    pub(super) fn jaeger_compact(&self) -> String {
        format!("{}:{}", self.address, self.ports.jaeger_compact)
    }

    /// The port of that.
    pub(super) fn jaeger_compact_port(&self) -> u16 {
        self.ports.jaeger_compact
    }

    /// The address of all its ports.
    pub(super) fn host(&self) -> &str {
        &self.address
    }

    /// Processor time of all threads so far, in user and kernel mode.
    pub(super) fn processor_time(&self) -> anyhow::Result<ProcessorTime> {
        let stat = self.read_proc("stat")?;
        parse_stat(&stat).with_context(|| format!("cannot read {stat}"))
    }

    /// The most memory that was resident at once, in bytes.
    pub(super) fn resident_peak_bytes(&self) -> anyhow::Result<u64> {
        let kibibytes = number_after(&self.read_proc("status")?, "VmHWM:");
        Ok(kibibytes.context("no VmHWM")? * 1024)
    }

    /// What the process had written to disk, in bytes; zero where the kernel does not tell.
    pub(super) fn written_bytes(&self) -> u64 {
        let io = self.read_proc("io").unwrap_or_default();
        number_after(&io, "write_bytes:").unwrap_or_default()
    }

    /// The size of the data directory.
    pub(super) fn data_bytes(&self) -> DirectoryBytes {
        outside::directory_bytes(&self.scratch.path().join("data"))
    }

    /// The file system under the data directory.
    pub(super) fn file_system(&self) -> String {
        machine::file_system(self.scratch.path())
    }

    fn read_proc(&self, name: &str) -> anyhow::Result<String> {
        let path = PathBuf::from(format!("/proc/{}/{name}", self.process));
        outside::read_text(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Ends the process and removes its data.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// An address of 127.0.0.0/8 that no other process of this machine is likely to use.
fn own_loopback_address() -> String {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    format!("127.{}.{middle}.{}", high % 64 + 64, low.clamp(1, 254))
}

/// The times in `/proc/PID/stat`; the command's name before them may hold anything but `)` last.
fn parse_stat(stat: &str) -> Option<ProcessorTime> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let mut microseconds = || Some(fields.next()?.parse::<u64>().ok()? * MICROSECONDS_PER_TICK);
    Some(ProcessorTime { user_microseconds: microseconds()?, system_microseconds: microseconds()? })
}

fn number_after(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        let stat = "12 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 9 0 1 2 3";
        let time = parse_stat(stat).unwrap();
        assert_eq!((time.user_microseconds, time.system_microseconds), (1_500_000, 250_000));
        assert_eq!(number_after("VmPeak: 1 kB\nVmHWM:\t  77 kB\n", "VmHWM:"), Some(77));
    }
}
