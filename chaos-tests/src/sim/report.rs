//! What many seeds came to, for people and for programs.

use std::fmt::Write as _;

use super::counters::Counters;
use super::run::Outcome;

/// Seeds that failed are listed up to so many.
const LISTED_MAX: usize = 20;

/// The sum over many runs.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Runs that were made.
    pub seeds: u64,
    /// Of these, runs that did not reach what they were for, and why.
    pub weak: Vec<(u64, String)>,
    /// Of these, runs in which something happened that must not.
    pub failed: Vec<(u64, String)>,
    /// The numbers of all runs.
    pub counters: Counters,
    /// The fewest faults of a run that counts.
    pub faults_min: Option<u64>,
    /// Real time, in seconds.
    pub seconds: f64,
}

impl Report {
    /// Adds a run.
    pub fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.counters.add(&outcome.counters);
        if let Some(violation) = &outcome.violation {
            self.failed.push((outcome.seed, violation.clone()));
        } else if let Some(why) = outcome.too_weak() {
            self.weak.push((outcome.seed, why));
        } else {
            let faults = outcome.counters.fault_count();
            self.faults_min = Some(self.faults_min.map_or(faults, |least| least.min(faults)));
        }
    }

    /// Runs that count.
    pub fn counted(&self) -> u64 {
        self.seeds - self.weak.len() as u64 - self.failed.len() as u64
    }

    /// Seeds a minute of real time.
    pub fn seeds_a_minute(&self) -> f64 {
        if self.seconds > 0.0 { self.seeds as f64 * 60.0 / self.seconds } else { 0.0 }
    }

    fn simulated_seconds(&self) -> f64 {
        self.counters.simulated_millis as f64 / 1_000.0
    }

    /// One line.
    pub fn line(&self) -> String {
        format!(
            "{} seeds, {} counted, {} too weak, {} failed; {:.0} simulated seconds in {:.1} s, \
             {:.0} seeds a minute",
            self.seeds,
            self.counted(),
            self.weak.len(),
            self.failed.len(),
            self.simulated_seconds(),
            self.seconds,
            self.seeds_a_minute(),
        )
    }

    /// For people.
    pub fn markdown(&self) -> String {
        let mut text = format!("# Simulated clusters\n\n{}\n\n", self.line());
        text.push_str("| what | count |\n|---|---|\n");
        for (name, value) in self.counters.rows() {
            // Writing into a string does not fail.
            let _ = writeln!(text, "| {name} | {value} |");
        }
        for (title, listed) in [("Failed", &self.failed), ("Too weak", &self.weak)] {
            if !listed.is_empty() {
                let _ = writeln!(text, "\n## {title}\n");
            }
            for (seed, why) in listed.iter().take(LISTED_MAX) {
                let _ = writeln!(text, "- seed {seed}: {why}");
            }
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> String {
        let list = |listed: &[(u64, String)]| {
            let items = listed
                .iter()
                .map(|(seed, why)| format!("{{\"seed\":{seed},\"why\":\"{}\"}}", escaped(why)));
            items.collect::<Vec<_>>().join(",")
        };
        let rows = self.counters.rows();
        let rows = rows.iter().map(|(name, value)| format!("\"{}\":{value}", escaped(name)));
        format!(
            "{{\"seeds\":{},\"counted\":{},\"seconds\":{:.3},\"seeds_a_minute\":{:.1},\
             \"failed\":[{}],\"weak\":[{}],\"counters\":{{{}}}}}\n",
            self.seeds,
            self.counted(),
            self.seconds,
            self.seeds_a_minute(),
            list(&self.failed),
            list(&self.weak),
            rows.collect::<Vec<_>>().join(","),
        )
    }
}

fn escaped(text: &str) -> String {
    let escape = |letter: char| match letter {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        letter if letter.is_control() => format!("\\u{:04x}", u32::from(letter)),
        letter => letter.to_string(),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(seed: u64, violation: Option<&str>, acked: u64) -> Outcome {
        let mut counters = Counters { acked, seals: 1, merges: 1, ..Counters::default() };
        counters.leader_changes = 1;
        (0..10).for_each(|_| counters.fault("test"));
        let violation = violation.map(str::to_owned);
        Outcome { seed, violation, counters, history: 0, lines: Vec::new() }
    }

    #[test]
    fn weak_runs_do_not_count_and_failures_are_named() {
        let mut report = Report { seconds: 30.0, ..Report::default() };
        report.add(&outcome(1, None, 500));
        report.add(&outcome(2, None, 3));
        report.add(&outcome(3, Some("a \"span\" is lost"), 500));
        assert_eq!((report.seeds, report.counted()), (3, 1));
        assert!(report.markdown().contains("- seed 2: 3 acknowledged batches"));
        assert!(report.json().contains(r#"{"seed":3,"why":"a \"span\" is lost"}"#));
        assert!(report.line().contains("6 seeds a minute"));
    }
}
