//! What a run is asked to do, and its command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::holder::Waits;

/// The command line in words.
pub(crate) const USAGE: &str = "\
Real nodes under faults, judged by what clients were promised.

Usage: chaos-processes --binary PATH [OPTIONS]
       chaos-processes --judge HISTORY

Options:
  --binary PATH      the skua binary
  --seed N           what the run is made from; drawn and printed if not given
  --duration TIME    how long faults go on, such as 420s or 7m [default: 60s]
  --nodes N          3 to 5 [default: 3]
  --rate N           spans a second that clients aim at [default: 4000]
  --only KIND,...    only these kinds of faults
  --known N          also so many of the kinds that are known to fail, each in a cluster of its
                     own [default: 0]
  --report DIR       where the report goes [default: chaos-report]
  --slack FACTOR     limits on times are multiplied by this [default: 1]
  --spans-min N      a run with fewer acknowledged spans does not count [default: 0]
  --none-skipped     a run that lacks a kind of fault, because the machine cannot make it, does not
                     count
  --mutant NAME      hand SKUA_MUTANT=NAME to the nodes, and expect that a promise is broken
  --flag FLAG        hand a flag to every node; may be repeated
  --list             print the kinds of faults, and which can be made here
  --judge HISTORY    judge a history again, offline
";

/// What a run is asked to do.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Settings {
    pub(crate) binary: PathBuf,
    pub(crate) seed: u64,
    pub(crate) duration: Duration,
    pub(crate) nodes: u16,
    pub(crate) rate: u64,
    pub(crate) only: Vec<String>,
    pub(crate) known: usize,
    pub(crate) report: PathBuf,
    pub(crate) slack: f64,
    pub(crate) spans_min: u64,
    /// Does a run that lacks a kind of fault not count?
    pub(crate) none_skipped: bool,
    pub(crate) mutant: Option<String>,
    pub(crate) flags: Vec<String>,
    pub(crate) list: bool,
    pub(crate) judge: Option<PathBuf>,
    /// Is this only about packets that wait, in the network that we are in?
    pub(crate) hold: Option<Waits>,
    /// Are we in namespaces of our own already?
    pub(crate) inside: bool,
    /// Is this about one kind that is known to fail? Then it is not waited for as long.
    pub(crate) alone: bool,
    /// Where everything of the run lies; removed at its end.
    pub(crate) folder: PathBuf,
    /// The library that nodes load first.
    pub(crate) preload: PathBuf,
}

impl Settings {
    /// Reads the command line.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut settings = Self {
            binary: PathBuf::new(),
            seed: 0,
            duration: Duration::from_mins(1),
            nodes: 3,
            rate: 4_000,
            only: Vec::new(),
            known: 0,
            report: PathBuf::from("chaos-report"),
            slack: 1.0,
            spans_min: 0,
            none_skipped: false,
            mutant: None,
            flags: Vec::new(),
            list: false,
            judge: None,
            hold: None,
            inside: false,
            alone: false,
            folder: PathBuf::new(),
            preload: PathBuf::new(),
        };
        let mut seed = None;
        let mut rest = arguments.iter();
        while let Some(flag) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("{flag} needs a value"));
            match flag.as_str() {
                "--list" => settings.list = true,
                "--alone" => settings.alone = true,
                "--none-skipped" => settings.none_skipped = true,
                "--inside" => settings.inside = true,
                "--binary" => settings.binary = std::path::absolute(value()?)?,
                "--seed" => seed = Some(value()?.parse()?),
                "--duration" => settings.duration = duration(value()?)?,
                "--nodes" => settings.nodes = value()?.parse()?,
                "--known" => settings.known = value()?.parse()?,
                "--rate" => settings.rate = value()?.parse()?,
                "--only" => settings.only = value()?.split(',').map(str::to_owned).collect(),
                "--report" => settings.report = std::path::absolute(value()?)?,
                "--slack" => settings.slack = value()?.parse()?,
                "--spans-min" => settings.spans_min = value()?.parse()?,
                "--mutant" => settings.mutant = Some(value()?.clone()),
                "--flag" => settings.flags.push(value()?.clone()),
                "--judge" => settings.judge = Some(PathBuf::from(value()?)),
                "--hold" => settings.hold = Some(value()?.parse()?),
                "--folder" => settings.folder = PathBuf::from(value()?),
                _ => bail!("unknown argument {flag}\n\n{USAGE}"),
            }
        }
        settings.seed = match seed {
            Some(seed) => seed,
            None => drawn()?,
        };
        if settings.folder.as_os_str().is_empty() {
            let name = format!("skua-chaos-{}-{}", settings.seed, std::process::id());
            settings.folder = std::env::temp_dir().join(name);
        }
        settings.preload = settings.folder.join("faults.so");
        if !(3..=5).contains(&settings.nodes) {
            bail!("--nodes takes 3 to 5");
        }
        let is_run = !settings.list && settings.judge.is_none() && settings.hold.is_none();
        if is_run && !settings.binary.is_file() {
            bail!("--binary has to name the skua binary\n\n{USAGE}");
        }
        Ok(settings)
    }

    /// The command that makes the same run again, with the binary by its name: where it lies is
    /// the machine's.
    pub(crate) fn replay(&self) -> String {
        let name = self.binary.file_name().unwrap_or_default();
        let mut words = vec![
            "chaos-processes".to_owned(),
            format!("--binary {}", name.to_string_lossy()),
            format!("--seed {}", self.seed),
            format!("--duration {}s", self.duration.as_secs()),
            format!("--nodes {} --rate {}", self.nodes, self.rate),
        ];
        if !self.only.is_empty() {
            words.push(format!("--only {}", self.only.join(",")));
        }
        words.extend(self.mutant.iter().map(|mutant| format!("--mutant {mutant}")));
        words.extend(self.flags.iter().map(|flag| format!("--flag {flag}")));
        words.join(" ")
    }
}

/// A number from the system, for a run that was given none.
fn drawn() -> Result<u64> {
    use std::io::Read as _;
    let mut bytes = [0; 4];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from(u32::from_le_bytes(bytes)))
}

/// `90`, `90s`, `7m` or `12h`.
fn duration(text: &str) -> Result<Duration> {
    let (digits, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(end) => text.split_at(end),
        None => (text, "s"),
    };
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => bail!("`{text}` is no duration: 90s, 7m, 12h"),
    };
    let seconds: u64 = digits.parse().with_context(|| format!("`{text}` is no duration"))?;
    Ok(Duration::from_secs(seconds * factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        assert_eq!(duration("90").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("7m").unwrap(), Duration::from_mins(7));
        assert_eq!(duration("2h").unwrap(), Duration::from_hours(2));
        assert!(duration("x").is_err() && duration("3d").is_err());
    }

    #[test]
    fn a_run_can_be_made_again() {
        let arguments = ["--list", "--seed", "7", "--duration", "2m", "--only", "kill,pause"];
        let settings = Settings::parse(&arguments.map(str::to_owned)).unwrap();
        assert_eq!((settings.seed, settings.only.len()), (7, 2));
        assert!(settings.replay().contains("--seed 7 --duration 120s"));
        assert!(Settings::parse(&["--nonsense".to_owned()]).is_err());
        assert!(Settings::parse(&["--nodes".to_owned(), "2".to_owned()]).is_err());
    }
}
