//! What a number was measured on: a figure without its machine and commit says nothing.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::outside;

/// Processor, cores, memory and kernel of this machine, and the commit of the working tree.
pub(super) fn describe() -> Value {
    json!({
        "cpu": proc_value("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "memory": proc_value("/proc/meminfo", "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease"),
        "commit": output("git", &["describe", "--always", "--dirty", "--abbrev=12"]),
        "time": output("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
    })
}

/// The file system a directory lies on: a sync costs nothing in memory.
pub(super) fn file_system(directory: &Path) -> String {
    output("stat", &["-f", "-c", "%T", &directory.to_string_lossy()])
}

fn read(path: &str) -> String {
    outside::read_text(Path::new(path)).unwrap_or_default().trim().to_owned()
}

/// The value of the first `name : value` line of a file of `/proc`.
fn proc_value(path: &str, name: &str) -> String {
    let text = read(path);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
    line.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}

/// The first line that a program prints; empty if it cannot run.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
}
