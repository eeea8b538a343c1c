//! Runs the system's tools (`ip`, `nft`, `mount`), and says what they said when they fail.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Runs a command given as one line of words without quotes; returns what it printed.
pub(crate) fn run(line: &str) -> Result<String> {
    words(&line.split_whitespace().collect::<Vec<_>>())
}

/// Runs a command given as words.
pub(crate) fn words(words: &[&str]) -> Result<String> {
    let (program, arguments) = words.split_first().context("no command")?;
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{program} cannot be run"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}", words.join(" "), said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The number behind a word of what a tool printed; 0 if there is none.
pub(crate) fn counted(printed: &str, word: &str) -> u64 {
    let mut words = printed.split_whitespace().skip_while(|other| *other != word);
    words.nth(1).and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Is there such a program?
pub(crate) fn exists(program: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"]
        .iter()
        .any(|folder| std::path::Path::new(folder).join(program).exists())
}
