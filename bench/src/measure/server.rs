//! A server under measurement: one node with an empty data directory, ended with this value.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;
use tokio::process::Command;

use super::http::HttpClient;
use super::process::{Process, ProcessorTime};
use super::{Arguments, machine};
use crate::outside::{self, DirectoryBytes, Scratch};

/// How long a start may take.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// How often a starting server is looked at: the error of the start's time.
const POLL_EVERY: Duration = Duration::from_millis(1);

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    process: Process,
    address: String,
    ports: Ports,
    /// Goes after the process, whose data it holds.
    home: Home,
    /// From the start of the process to the first good answer of `/readyz`.
    pub(super) ready_after: Duration,
}

/// Where a server has its data.
#[derive(Debug)]
enum Home {
    /// Removed with this value.
    Scratch(Scratch),
    /// Kept.
    Kept(PathBuf),
}

impl Home {
    fn path(&self) -> &Path {
        match self {
            Self::Scratch(scratch) => scratch.path(),
            Self::Kept(path) => path,
        }
    }
}

/// What the server writes into its ports file.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Ports {
    otlp_grpc: u16,
    otlp_http: u16,
    ui: u16,
    health: u16,
    metrics: u16,
    /// Not where tenants are told apart: datagrams name none.
    #[serde(default)]
    jaeger_compact: u16,
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
        let scratch = Scratch::make(arguments.text("data-below").map(Path::new), "bench")?;
        Self::start_in(arguments, Home::Scratch(scratch)).await
    }

    /// The same in a directory that is kept, with what an earlier one left there.
    pub(super) async fn start_on(arguments: &Arguments, directory: &Path) -> anyhow::Result<Self> {
        outside::make_directory(directory)?;
        Self::start_in(arguments, Home::Kept(directory.to_path_buf())).await
    }

    async fn start_in(arguments: &Arguments, home: Home) -> anyhow::Result<Self> {
        let binary = arguments.text("skua").context("--skua BINARY is wanted")?;
        arguments.refuse_unknown()?;
        let ports_file = home.path().join("ports.json");
        // What an earlier server wrote there is not its.
        outside::remove_file(&ports_file)?;
        let address = own_loopback_address();
        let mut command = Command::new(binary);
        command.arg("serve").arg("--data-dir").arg(home.path().join("data"));
        command.arg("--ports-file").arg(&ports_file).args(["--listen-address", &address]);
        for port in PORTS {
            command.args([format!("--{port}-port"), String::from("0")]);
        }
        command.args(arguments.for_server());
        let started = outside::now();
        let mut process = Process::start(command)?;
        let ports = loop {
            ensure!(outside::now().duration_since(started) < START_TIMEOUT, "no start in time");
            process.still_runs()?;
            let written = outside::read_text(&ports_file).unwrap_or_default();
            match serde_json::from_str(&written) {
                Ok(ports) => break ports,
                Err(_) => tokio::time::sleep(POLL_EVERY).await,
            }
        };
        let ready_after = Duration::ZERO;
        let mut server = Self { process, address, ports, home, ready_after };
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

    /// Where OTLP over HTTP goes.
    pub(super) fn otlp_http(&self) -> String {
        format!("{}:{}", self.address, self.ports.otlp_http)
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

    /// Processor time of the threads that there are now, to the nanosecond.
    pub(super) fn thread_time(&self) -> anyhow::Result<Duration> {
        self.process.thread_time()
    }

    /// Processor time of all threads so far, in user and kernel mode.
    pub(super) fn processor_time(&self) -> anyhow::Result<ProcessorTime> {
        self.process.processor_time()
    }

    /// The most memory that was resident at once, in bytes.
    pub(super) fn resident_peak_bytes(&self) -> anyhow::Result<u64> {
        self.process.resident_peak_bytes()
    }

    /// The memory that is resident now, in bytes.
    pub(super) fn resident_bytes(&self) -> anyhow::Result<u64> {
        self.process.resident_bytes()
    }

    /// What the process had written to disk, in bytes; zero where the kernel does not tell.
    pub(super) fn written_bytes(&self) -> u64 {
        self.process.written_bytes()
    }

    /// What the log had written, in bytes, frames and headers included.
    pub(super) async fn log_written_bytes(&self) -> anyhow::Result<u64> {
        const NAME: &str = "skua_log_written_bytes_total ";
        let answer = HttpClient::connect(&self.metrics()).await?.get("/metrics").await?;
        let text = String::from_utf8_lossy(&answer.body);
        let value = text.lines().find_map(|line| line.strip_prefix(NAME));
        Ok(value.with_context(|| format!("no {NAME}"))?.trim().parse()?)
    }

    /// The size of the data directory.
    pub(super) fn data_bytes(&self) -> DirectoryBytes {
        outside::directory_bytes(&self.home.path().join("data"))
    }

    /// What the files of a directory in the data directory hold.
    pub(super) fn bytes_below(&self, name: &str) -> u64 {
        self.files_below(name).held
    }

    /// The files of a directory in the data directory.
    pub(super) fn files_below(&self, name: &str) -> DirectoryBytes {
        outside::directory_bytes(&self.home.path().join("data").join(name))
    }

    /// The file system under the data directory.
    pub(super) fn file_system(&self) -> String {
        machine::file_system(self.home.path())
    }

    /// Ends the process and removes its data, unless it is kept.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.process.kill().await
    }

    /// Asks the process to end, and waits until it did.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        self.process.end().await
    }
}

/// An address of 127.0.0.0/8 that no other process of this machine is likely to use.
pub(super) fn own_loopback_address() -> String {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    format!("127.{}.{middle}.{}", high % 64 + 64, low.clamp(1, 254))
}
