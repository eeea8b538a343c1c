//! A node as a process of its own: started, watched, signalled, killed.
//!
//! Nothing here sleeps: what the process prints is gathered by threads, and who waits for a text
//! waits for its arrival, the end of the process or a deadline.
#![cfg(test)]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Longest wait for something that a node that is well does by itself.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a node prints last of all before it is used.
const BANNER_END: &str = "\nTry: ";

/// A node's process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// The banner and what is said to a person.
    pub(crate) out: Arc<Stream>,
    /// The log.
    pub(crate) log: Arc<Stream>,
    pub(crate) ports: Ports,
}

/// Where a node listens; zeros until it is ready.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ports {
    pub(crate) otlp_grpc: u16,
    pub(crate) otlp_http: u16,
    pub(crate) ui: u16,
    pub(crate) health: u16,
    pub(crate) metrics: u16,
    pub(crate) query_grpc: u16,
    pub(crate) remote_storage: u16,
    pub(crate) sampling_http: u16,
}

impl Server {
    /// Starts a node on `directory`/data and free ports, and waits until it is ready.
    pub(crate) fn start(directory: &Path, more: &[&str]) -> Self {
        let mut server = Self::spawn(directory, more);
        server.out.wait_for(BANNER_END);
        server.ports = Ports::told_in(directory);
        server
    }

    /// Starts one that may open so many descriptors, and waits until it is ready.
    pub(crate) fn start_with_descriptors(directory: &Path, descriptors: u32) -> Self {
        let limited = format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"");
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &limited, env!("CARGO_BIN_EXE_skua")]);
        let mut server = Self::spawn_as(shell, directory, &[]);
        server.out.wait_for(BANNER_END);
        server.ports = Ports::told_in(directory);
        server
    }

    /// The same without waiting.
    pub(crate) fn spawn(directory: &Path, more: &[&str]) -> Self {
        Self::spawn_as(Command::new(env!("CARGO_BIN_EXE_skua")), directory, more)
    }

    fn spawn_as(mut command: Command, directory: &Path, more: &[&str]) -> Self {
        let mut child = command
            .args(["serve", "--data-dir", "data", "--ports-file", "ports.json"])
            .args(["--otlp-grpc-port", "0", "--otlp-http-port", "0", "--ui-port", "0"])
            .args(["--health-port", "0", "--metrics-port", "0"])
            .args(["--jaeger-grpc-port", "0", "--jaeger-http-port", "0", "--zipkin-port", "0"])
            .args(["--jaeger-compact-port", "0", "--jaeger-binary-port", "0"])
            .args(["--query-grpc-port", "0", "--remote-storage-port", "0"])
            .args(["--sampling-http-port", "0", "--sampling-grpc-port", "0"])
            .args(more)
            .current_dir(directory)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = Stream::gather(child.stdout.take().unwrap());
        let log = Stream::gather(child.stderr.take().unwrap());
        Self { child, out, log, ports: Ports::default() }
    }

    /// Waits until the node says where it is to be found.
    pub(crate) fn wait_until_ready(&self) {
        self.out.wait_for(BANNER_END);
    }

    /// Ends the process as a power cut would, as far as a process can be told to.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by its short name.
    pub(crate) fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &process]).status().unwrap().success());
    }

    /// Waits for the end of the process; its exit code, and what it logged.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        self.out.wait_for_end();
        let log = self.log.wait_for_end();
        (self.child.wait().unwrap().code(), log)
    }

    /// The most memory that the process ever had resident, in KiB.
    pub(crate) fn resident_kib_max(&self) -> u64 {
        let status = read(Path::new(&format!("/proc/{}/status", self.child.id())));
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Ports {
    /// What a node that is ready wrote into its directory.
    pub(crate) fn told_in(directory: &Path) -> Self {
        let text = read(&directory.join("ports.json"));
        let ports: serde_json::Value = serde_json::from_str(&text).unwrap();
        let port = |name: &str| ports[name].as_u64().unwrap().try_into().unwrap();
        Self {
            otlp_grpc: port("otlp_grpc"),
            otlp_http: port("otlp_http"),
            ui: port("ui"),
            health: port("health"),
            metrics: port("metrics"),
            query_grpc: port("query_grpc"),
            remote_storage: port("remote_storage"),
            sampling_http: port("sampling_http"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came out of a pipe so far.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    gathered: Mutex<Gathered>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Gathered {
    text: String,
    has_ended: bool,
}

impl Stream {
    fn gather(pipe: impl Read + Send + 'static) -> Arc<Self> {
        let stream = Arc::<Self>::default();
        let gathering = Arc::clone(&stream);
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            loop {
                let mut line = String::new();
                let has_ended = pipe.read_line(&mut line).unwrap_or(0) == 0;
                let mut gathered = gathering.gathered.lock().unwrap();
                gathered.text.push_str(&line);
                gathered.has_ended = has_ended;
                gathering.changed.notify_all();
                if has_ended {
                    return;
                }
            }
        });
        stream
    }

    /// Waits until a text was printed.
    pub(crate) fn wait_for(&self, text: &str) {
        let is_waiting =
            |gathered: &mut Gathered| !gathered.has_ended && !gathered.text.contains(text);
        let gathered = self.gathered.lock().unwrap();
        let waited = self.changed.wait_timeout_while(gathered, PATIENCE, is_waiting).unwrap();
        assert!(waited.0.text.contains(text), "no {text:?} in {:?}", waited.0.text);
    }

    fn wait_for_end(&self) -> String {
        let gathered = self.gathered.lock().unwrap();
        let is_open = |gathered: &mut Gathered| !gathered.has_ended;
        let waited = self.changed.wait_timeout_while(gathered, PATIENCE, is_open).unwrap();
        assert!(waited.0.has_ended, "the node does not end: {:?}", waited.0.text);
        waited.0.text.clone()
    }

    /// All that was printed so far.
    pub(crate) fn text(&self) -> String {
        self.gathered.lock().unwrap().text.clone()
    }
}

#[expect(clippy::disallowed_methods, reason = "neither the ports nor /proc are Skua's data")]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
