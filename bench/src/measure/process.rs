//! A process under measurement, read through `/proc` and ended with this value.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::process::{Child, Command};

use crate::outside;

/// The kernel counts processor time in hundredths of a second on every platform Linux has.
const MICROSECONDS_PER_TICK: u64 = 10_000;

/// How long a process may take to end when it is asked to: its drain takes ten seconds at most.
const END_TIMEOUT: Duration = Duration::from_mins(1);

/// A process that was started here.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    id: u32,
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
            user_microseconds: self.user_microseconds.saturating_sub(before.user_microseconds),
            system_microseconds: self
                .system_microseconds
                .saturating_sub(before.system_microseconds),
        }
    }

    pub(super) fn total_microseconds(self) -> u64 {
        self.user_microseconds + self.system_microseconds
    }
}

impl Process {
    /// Starts a command that tells nothing on its standard streams.
    pub(super) fn start(mut command: Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let id = child.id().context("the process ended at once")?;
        Ok(Self { child, id })
    }

    /// An error if it has ended.
    pub(super) fn still_runs(&mut self) -> anyhow::Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "the server ended at its start: {ended:?}");
        Ok(())
    }

    /// Processor time of all threads so far, in user and kernel mode.
    pub(super) fn processor_time(&self) -> anyhow::Result<ProcessorTime> {
        let stat = self.read_proc("stat")?;
        parse_stat(&stat).with_context(|| format!("cannot read {stat}"))
    }

    /// Processor time of the threads that there are now, to the nanosecond.
    pub(super) fn thread_time(&self) -> anyhow::Result<Duration> {
        let threads = outside::directories(&PathBuf::from(format!("/proc/{}/task", self.id)))?;
        let mut nanoseconds: u64 = 0;
        for thread in threads {
            // One that has ended meanwhile counts no more.
            let stat = outside::read_text(&thread.join("schedstat")).unwrap_or_default();
            let ran = stat.split_ascii_whitespace().next().and_then(|ran| ran.parse::<u64>().ok());
            nanoseconds += ran.unwrap_or_default();
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// The most memory that was resident at once, in bytes.
    pub(super) fn resident_peak_bytes(&self) -> anyhow::Result<u64> {
        let kibibytes = number_after(&self.read_proc("status")?, "VmHWM:");
        Ok(kibibytes.context("no VmHWM")? * 1024)
    }

    /// The memory that is resident now, in bytes.
    pub(super) fn resident_bytes(&self) -> anyhow::Result<u64> {
        let kibibytes = number_after(&self.read_proc("status")?, "VmRSS:");
        Ok(kibibytes.context("no VmRSS")? * 1024)
    }

    /// What the process had written to disk, in bytes; zero where the kernel does not tell.
    pub(super) fn written_bytes(&self) -> u64 {
        let io = self.read_proc("io").unwrap_or_default();
        number_after(&io, "write_bytes:").unwrap_or_default()
    }

    fn read_proc(&self, name: &str) -> anyhow::Result<String> {
        let path = PathBuf::from(format!("/proc/{}/{name}", self.id));
        outside::read_text(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Ends it at once.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to end, and waits until it did.
    pub(super) async fn end(mut self) -> anyhow::Result<()> {
        let asked = Command::new("kill").args(["-TERM", &self.id.to_string()]).status().await?;
        ensure!(asked.success(), "process {} cannot be asked to end", self.id);
        let ended = tokio::time::timeout(END_TIMEOUT, self.child.wait()).await;
        let status = ended.context("the process does not end")??;
        ensure!(status.success(), "the process ended with {status}");
        Ok(())
    }
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
