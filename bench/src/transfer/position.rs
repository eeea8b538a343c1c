//! How far an import has come, in a file beside it.
//!
//! A position names its source; one of another source is refused rather than taken for this one's.
//! It is replaced as a whole, so that whoever is cut off finds the one before.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::outside;

/// The form of the file.
const FORMAT: u32 = 1;

/// Most bytes of such a file: as many entries as anyone has files or services.
const BYTES_MAX: u64 = 64 << 20;

/// How often it is written at most.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// How far each part of a source has come.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
struct Kept {
    format: u32,
    /// What is imported.
    source: String,
    /// The end of the range of time, as the first run found it.
    until: Option<u64>,
    /// By file: messages done. By service: nanoseconds since 1970 up to which all is done.
    done: BTreeMap<String, u64>,
}

/// The position of an import, kept in a file if there is one.
#[derive(Debug)]
pub(super) struct Position {
    path: Option<PathBuf>,
    kept: Kept,
    written: Option<Instant>,
}

impl Position {
    /// Reads the file, if it is there.
    pub(super) fn open(path: Option<PathBuf>, source: &str) -> anyhow::Result<Self> {
        let fresh =
            Kept { format: FORMAT, source: source.to_owned(), until: None, done: BTreeMap::new() };
        let kept = match &path {
            Some(path) if outside::exists(path) => {
                let read = || -> anyhow::Result<Kept> {
                    let bytes = outside::read_file(path, BYTES_MAX)?;
                    let kept: Kept = serde_json::from_slice(&bytes)?;
                    ensure!(kept.format == FORMAT, "it has format {}", kept.format);
                    ensure!(kept.source == source, "it belongs to the import of {}", kept.source);
                    Ok(kept)
                };
                read().with_context(|| format!("cannot continue from {}", path.display()))?
            }
            _ => fresh,
        };
        Ok(Self { path, kept, written: None })
    }

    /// How far a part has come.
    pub(super) fn of(&self, part: &str) -> Option<u64> {
        self.kept.done.get(part).copied()
    }

    /// The end of the range of time: the first run's, or this one's if it is the first.
    pub(super) fn until(&mut self, until: u64) -> u64 {
        *self.kept.until.get_or_insert(until)
    }

    /// Notes how far a part has come, and writes it now and then.
    pub(super) fn advance(&mut self, part: &str, done: u64) -> anyhow::Result<()> {
        self.kept.done.insert(part.to_owned(), done);
        let now = outside::now();
        if self.written.is_none_or(|written| now.duration_since(written) >= WRITE_EVERY) {
            self.write()?;
            self.written = Some(now);
        }
        Ok(())
    }

    /// Writes it.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let text = serde_json::to_string_pretty(&self.kept)?;
        outside::replace_file(path, format!("{text}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_continued_and_nothing_else() {
        let scratch = outside::Scratch::make(None, "position").unwrap();
        let path = scratch.path().join("position.json");
        let mut first = Position::open(Some(path.clone()), "a").unwrap();
        assert_eq!((first.of("x"), first.until(9)), (None, 9));
        first.advance("x", 5).unwrap();
        first.advance("x", 6).unwrap();
        first.write().unwrap();
        let mut second = Position::open(Some(path.clone()), "a").unwrap();
        assert_eq!((second.of("x"), second.until(99)), (Some(6), 9));
        let other = Position::open(Some(path), "b").unwrap_err();
        assert!(format!("{other:#}").contains("belongs to the import of a"));
    }
}
