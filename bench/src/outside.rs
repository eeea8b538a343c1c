//! The one file of this crate that touches files, clocks and the environment.
//!
//! The rest of the crate takes what it needs from here, so that one look tells what a load or a
//! measurement does to the machine.
#![expect(
    clippy::disallowed_methods,
    reason = "the load generator measures real time and reads files that are not Skua's; it has \
              no storage::env and no model clock"
)]

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};

/// The instant now, for durations.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Nanoseconds since 1970; zero if the machine's clock is before that.
pub(crate) fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A file's contents, refused beyond `bytes_max`.
pub(crate) fn read_file(path: &Path, bytes_max: u64) -> anyhow::Result<Vec<u8>> {
    let file = fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut bytes = Vec::new();
    let read = file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes);
    let read = read.with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(read as u64 <= bytes_max, "{} is larger than {bytes_max} bytes", path.display());
    Ok(bytes)
}

/// A small text file, such as one of `/proc`.
pub(crate) fn read_text(path: &Path) -> std::io::Result<String> {
    fs::read_to_string(path)
}

/// Opens a file for reading.
pub(crate) fn open_file(path: &Path) -> anyhow::Result<fs::File> {
    fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))
}

/// Makes a file that must not be there yet.
pub(crate) fn create_file(path: &Path) -> anyhow::Result<fs::File> {
    let file = fs::OpenOptions::new().write(true).create_new(true).open(path);
    file.with_context(|| format!("cannot make {}", path.display()))
}

/// Whether something is there.
pub(crate) fn exists(path: &Path) -> bool {
    path.exists()
}

/// Writes a file so that a reader sees either what it held or all of `bytes`.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// A file that is written and synced to see how long its disk takes: what no acknowledgement can be
/// faster than. It stays until its directory goes, for some disks take longer to discard the blocks
/// of a removed file than to write, and then the rest waits for that.
#[derive(Debug)]
pub(crate) struct SyncProbe(fs::File);

impl SyncProbe {
    /// Makes one in `directory`.
    pub(crate) fn make(directory: &Path, name: &str) -> anyhow::Result<Self> {
        let mut probe = Self(create_file(&directory.join(name))?);
        // The first one also pays for the file.
        probe.sync()?;
        Ok(probe)
    }

    /// Writes 4 KiB and syncs: when that began and when it ended.
    pub(crate) fn sync(&mut self) -> anyhow::Result<(Instant, Instant)> {
        let began = now();
        self.0.write_all(&[7; 4096])?;
        self.0.sync_data()?;
        Ok((began, now()))
    }
}

/// Gives a file another name.
pub(crate) fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    let renamed = fs::rename(from, to);
    renamed.with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))
}

/// Opens a file at its end, made if it is not there.
pub(crate) fn append_file(path: &Path) -> anyhow::Result<fs::File> {
    let file = fs::OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("cannot write {}", path.display()))
}

/// Appends one line to a file, which is made if it is not there.
pub(crate) fn append_line(path: &Path, line: &str) -> anyhow::Result<()> {
    let mut file = append_file(path)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    Ok(())
}

/// The directories in a directory.
pub(crate) fn directories(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))?;
    let directories = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    Ok(directories.filter(|path| path.is_dir()).collect())
}

/// A directory of its own for one run, removed with all that is in it when this value goes.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one below `parent`, or below the system's place for temporary files.
    pub(crate) fn make(parent: Option<&Path>, name: &str) -> anyhow::Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let path = parent.join(format!("skua-{name}-{}-{}", std::process::id(), unix_nanos()));
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to the system, as all temporary files are.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes a file, if it is there.
pub(crate) fn remove_file(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Removes a directory and all that is in it.
pub(crate) fn remove_directory(path: &Path) -> anyhow::Result<()> {
    fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))
}

/// Makes a directory and those above it, if they are not there.
pub(crate) fn make_directory(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))
}

/// What the files of a directory hold, and what they take on the disk, in bytes. Files that go
/// while it looks are left out.
pub(crate) fn directory_bytes(path: &Path) -> DirectoryBytes {
    use std::os::unix::fs::MetadataExt;
    let mut sum = DirectoryBytes::default();
    let Ok(entries) = fs::read_dir(path) else { return sum };
    for entry in entries.flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        // A server's ballast holds nothing, and does not grow with what is sent.
        if entry.file_name() == "ballast" {
            continue;
        }
        if metadata.is_dir() {
            let below = directory_bytes(&entry.path());
            sum.files += below.files;
            sum.held += below.held;
            sum.allocated += below.allocated;
        } else {
            sum.files += 1;
            sum.held += metadata.len();
            sum.allocated += metadata.blocks() * 512;
        }
    }
    sum
}

/// The size of a directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DirectoryBytes {
    /// How many files there are.
    pub(crate) files: u64,
    /// The sum of the files' lengths.
    pub(crate) held: u64,
    /// The sum of the blocks that the file system gave them.
    pub(crate) allocated: u64,
}
