//! What the kernel knows of this process, in the names that Prometheus' own libraries use, so that
//! dashboards made for them work.
//!
//! Read from `/proc/self` at each scrape. What cannot be read is left out: a missing figure is
//! better than a wrong one.

use std::fmt::{Display, Write};
use std::path::Path;

use model::Duration;
use model::admin::ProcessStatus;
use storage::env::{Env, OsEnv};

use crate::files;

/// Ticks of `/proc/self/stat` a second: what the kernel promises to programs on every machine that
/// Linux runs on today, whatever its own timer does.
const TICKS_A_SECOND: f64 = 100.0;

/// Longest file read here.
const FILE_BYTES_MAX: usize = 16 * 1_024;

/// Appends the figures to a text of metrics.
pub(crate) fn render(text: &mut String) {
    if let Some(ticks) = read("stat").as_deref().and_then(cpu_ticks) {
        let seconds = ticks as f64 / TICKS_A_SECOND;
        metric(text, "process_cpu_seconds_total", "counter", "CPU time used.", seconds);
    }
    if let Some(status) = read("status") {
        for (field, name, help) in [
            ("VmRSS:", "process_resident_memory_bytes", "Memory in use."),
            ("VmHWM:", "process_resident_memory_max_bytes", "Most memory ever in use."),
            ("VmSize:", "process_virtual_memory_bytes", "Memory mapped."),
        ] {
            if let Some(kibibytes) = figure(&status, field) {
                metric(text, name, "gauge", help, kibibytes.saturating_mul(1_024));
            }
        }
        if let Some(threads) = figure(&status, "Threads:") {
            metric(text, "process_threads", "gauge", "Threads.", threads);
        }
    }
    if let Ok(descriptors) = OsEnv::new().list(Path::new("/proc/self/fd")) {
        let count = descriptors.len();
        metric(text, "process_open_fds", "gauge", "Open file descriptors.", count);
    }
    if let Some(limit) = read("limits").as_deref().and_then(|limits| figure(limits, FILES_LIMIT)) {
        metric(text, "process_max_fds", "gauge", "Most open file descriptors.", limit);
    }
    if let Some(io) = read("io") {
        for (field, name, help) in [
            ("read_bytes:", "process_disk_read_bytes_total", "Bytes fetched from disks."),
            ("write_bytes:", "process_disk_written_bytes_total", "Bytes sent to disks."),
        ] {
            if let Some(bytes) = figure(&io, field) {
                metric(text, name, "counter", help, bytes);
            }
        }
    }
}

/// What people look at first. Nothing where the kernel does not say.
pub(crate) fn status() -> Option<ProcessStatus> {
    let stat = read("stat")?;
    let up = files::read_at_most(Path::new("/proc/uptime"), FILE_BYTES_MAX).ok()?;
    let resident = figure(&read("status")?, "VmRSS:")?;
    Some(ProcessStatus {
        uptime: running_for(&stat, &String::from_utf8_lossy(&up))?,
        cpu: Duration(cpu_ticks(&stat)?.saturating_mul(NANOS_A_TICK)),
        resident_bytes: resident.saturating_mul(1_024),
    })
}

/// Of the machine's seconds up, those since the process began: the 22nd field of `stat`, in ticks.
fn running_for(stat: &str, up: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let began: u64 = rest.split_whitespace().nth(19)?.parse().ok()?;
    let (seconds, hundredths) = up.split_whitespace().next()?.split_once('.')?;
    let (seconds, hundredths): (u64, u64) = (seconds.parse().ok()?, hundredths.parse().ok()?);
    let ticks = seconds.saturating_mul(100).saturating_add(hundredths).saturating_sub(began);
    Some(Duration(ticks.saturating_mul(NANOS_A_TICK)))
}

/// See [`TICKS_A_SECOND`].
const NANOS_A_TICK: u64 = 10_000_000;

const FILES_LIMIT: &str = "Max open files";

fn metric(text: &mut String, name: &str, kind: &str, help: &str, value: impl Display) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
}

fn read(file: &str) -> Option<String> {
    let bytes = files::read_at_most(&Path::new("/proc/self").join(file), FILE_BYTES_MAX).ok()?;
    String::from_utf8(bytes).ok()
}

/// User and system time: the 14th and 15th field of `stat`. The second is the program's name in
/// parentheses, in which anything may stand, so the count starts behind the last parenthesis.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

/// The first number behind a name at the start of a line.
fn figure(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// How busy the machine is: the share of its processors' time that was used between two looks.
#[derive(Debug, Default)]
pub(crate) struct MachineLoad {
    last: ProcessorTime,
}

impl MachineLoad {
    /// The share (0 to 1) since the last call; since the machine's start for the first one.
    pub(crate) fn next(&mut self) -> f32 {
        let text = files::read_at_most(Path::new("/proc/stat"), MACHINE_STAT_BYTES_MAX).ok();
        let now = text.and_then(|text| ProcessorTime::parse(&String::from_utf8_lossy(&text)));
        let Some(now) = now else { return 0.0 };
        let share = now.share_since(self.last);
        self.last = now;
        share
    }
}

/// Longest `/proc/stat`: a line for each processor, and one with a count for each interrupt.
const MACHINE_STAT_BYTES_MAX: usize = 256 * 1_024;

/// Ticks of all processors together.
#[derive(Debug, Clone, Copy, Default)]
struct ProcessorTime {
    used: u64,
    total: u64,
}

impl ProcessorTime {
    /// The first line: user, nice, system, idle, waiting for disks, interrupts, soft interrupts,
    /// stolen. What follows is contained in the first two.
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<u64> =
            line.split_whitespace().take(8).map_while(|ticks| ticks.parse().ok()).collect();
        let total = ticks.iter().fold(0, |sum: u64, ticks| sum.saturating_add(*ticks));
        let idle = ticks.get(3)?.saturating_add(*ticks.get(4)?);
        Some(Self { used: total.saturating_sub(idle), total })
    }

    #[expect(clippy::cast_possible_truncation, reason = "a share needs no more digits")]
    fn share_since(self, earlier: Self) -> f32 {
        let total = self.total.saturating_sub(earlier.total);
        let used = self.used.saturating_sub(earlier.used);
        if total == 0 { 0.0 } else { (used as f64 / total as f64).min(1.0) as f32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat = "7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 120 30 0 0 20 0 9 0";
        assert_eq!(cpu_ticks(stat), Some(150));
        assert_eq!(cpu_ticks("7 (a) S 1"), None);
        assert_eq!(cpu_ticks(""), None);
        let stat = "7 (a) S 1 2 3 4 5 6 7 8 9 10 120 30 0 0 20 0 9 0 4200 5 6";
        assert_eq!(running_for(stat, "43.50 80.00\n"), Some(Duration::from_millis(1_500)));
        assert_eq!(running_for(stat, "none"), None);
        assert_eq!(figure("VmPeak: 9 kB\nVmRSS:\t  12 kB\n", "VmRSS:"), Some(12));
        assert_eq!(figure("VmRSS: many\n", "VmRSS:"), None);
    }

    #[test]
    fn the_load_is_the_share_between_two_looks() {
        let stat = |text| ProcessorTime::parse(text).unwrap();
        let first = stat("cpu  10 0 10 70 10 0 0 0 5 5\ncpu0 1 1 1 1\n");
        let second = stat("cpu  40 0 10 80 10 0 0 0 9 9\n");
        assert!((first.share_since(ProcessorTime::default()) - 0.2).abs() < 1e-6);
        assert!((second.share_since(first) - 0.75).abs() < 1e-6);
        assert!(second.share_since(second).abs() < 1e-6);
        assert!(ProcessorTime::parse("cpu  1 2 3").is_none());
        assert!((0.0..=1.0).contains(&MachineLoad::default().next()));
    }

    #[test]
    fn this_process_is_seen() {
        let status = status().unwrap();
        assert!(status.resident_bytes > 1 << 20, "{status:?}");
        let mut text = String::new();
        render(&mut text);
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_threads",
            "process_open_fds",
        ] {
            assert!(text.contains(&format!("\n{name} ")), "{name} is missing in {text}");
        }
    }
}
