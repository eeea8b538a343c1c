//! The log of a data directory, for `skua inspect`: its segments, each read by itself.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use storage::env::{Env, OsEnv};
use storage::log::{SegmentNumber, check_segment};

use crate::config::units::ByteSize;

/// Largest segment that is read: entries may be larger than what a segment is closed at.
const SEGMENT_BYTES_MAX: u64 = 256 << 20;

/// A segment of the log.
#[derive(Debug, Serialize)]
pub(super) struct Segment {
    file: PathBuf,
    bytes: u64,
    /// Bytes of sound frames.
    sound_bytes: u64,
    /// Bytes of these that a later frame says were synced.
    confirmed_bytes: u64,
    /// Entries that the segment has and does not take back.
    entries: u64,
    groups: usize,
    /// What stands behind the sound frames, if anything: a write that was cut off, or one that is
    /// under way.
    behind: Option<String>,
}

/// The segments of a data directory, oldest first. Those that go meanwhile are left out.
pub(super) fn segments(data: &Path) -> anyhow::Result<Vec<Segment>> {
    let (env, directory) = (OsEnv::new(), data.join("log"));
    let mut segments = Vec::new();
    // A directory without a log has none to show.
    for name in env.list(&directory).unwrap_or_default() {
        let Some(number) = name.strip_suffix(".log").and_then(|it| it.parse().ok()) else {
            continue;
        };
        let path = directory.join(&name);
        let Ok(file) = env.open(&path) else { continue };
        let length = file.size_bytes()?;
        let read = usize::try_from(length.min(SEGMENT_BYTES_MAX))?;
        let mut bytes = vec![0; read];
        let read = file.read_at(0, &mut bytes)?;
        bytes.truncate(read);
        let summary = check_segment(SegmentNumber(number), &bytes);
        let summary = summary.with_context(|| format!("{} is damaged", path.display()))?;
        segments.push(Segment {
            file: path,
            bytes: length,
            sound_bytes: summary.end_bytes,
            confirmed_bytes: summary.confirmed_bytes,
            entries: summary.live_entries,
            groups: summary.groups,
            behind: summary.torn.map(|damage| damage.to_string()),
        });
    }
    segments.sort_by(|left, right| left.file.cmp(&right.file));
    Ok(segments)
}

/// As a table.
pub(super) fn render(segments: &[Segment]) -> String {
    let mut lines = vec!["LOG BYTES  SOUND      ENTRIES   GROUPS  SEGMENT".to_owned()];
    for Segment { file, bytes, sound_bytes, entries, groups, behind, .. } in segments {
        let (bytes, sound) = (ByteSize(*bytes).rounded(), ByteSize(*sound_bytes).rounded());
        let file = file.display();
        lines.push(format!("{bytes:<10} {sound:<10} {entries:<9} {groups:<7} {file}"));
        lines.extend(behind.as_ref().map(|what| format!("  behind its frames: {what}")));
    }
    lines.push(String::new());
    lines.join("\n")
}
