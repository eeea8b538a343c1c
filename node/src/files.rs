//! The few files that the binary itself touches, all through [`storage::env`].
//!
//! What belongs to the data goes through `storage`; this is for what surrounds it: the
//! configuration file, the file of ports, and what the kernel says in `/proc`.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use storage::env::{Env, OsEnv};

/// Longest host name the kernel keeps, with room.
const HOST_NAME_BYTES_MAX: usize = 256;

/// Reads a whole file of at most `bytes_max` bytes. Asks for no size, so that files of `/proc`,
/// which have none, are read too.
pub(crate) fn read_at_most(path: &Path, bytes_max: usize) -> anyhow::Result<Vec<u8>> {
    let file = OsEnv::new().open(path)?;
    let mut bytes = vec![0; bytes_max];
    let count = file.read_at(0, &mut bytes)?;
    bytes.truncate(count);
    let is_whole = count < bytes_max || file.read_at(count as u64, &mut [0])? == 0;
    ensure!(is_whole, "it has more than {bytes_max} bytes");
    Ok(bytes)
}

/// Writes a file so that a reader sees either nothing or all of it.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let env = OsEnv::new();
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = PathBuf::from(name);
    // A process that was killed in the middle may have left one.
    let _ = env.remove(&temporary);
    let mut file = env.create(&temporary)?;
    file.append(bytes)?;
    file.sync()?;
    env.rename(&temporary, path)?;
    Ok(())
}

/// Random bytes from the kernel, for the names of what must not share one.
pub(crate) fn random_bytes() -> anyhow::Result<[u8; 16]> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; 16];
    let count = OsEnv::new().open(path)?.read_at(0, &mut bytes)?;
    ensure!(count == bytes.len(), "{} gave {count} bytes", path.display());
    Ok(bytes)
}

/// Bytes that an ordinary user may still write to the file system at a path.
pub(crate) fn free_bytes(path: &Path) -> std::io::Result<u64> {
    let stats = rustix::fs::statvfs(path)?;
    Ok(stats.f_bavail.saturating_mul(stats.f_frsize))
}

/// Bytes of the whole disk that a path lies on.
pub(crate) fn total_bytes(path: &Path) -> std::io::Result<u64> {
    let stats = rustix::fs::statvfs(path)?;
    Ok(stats.f_blocks.saturating_mul(stats.f_frsize))
}

/// What this machine is called.
pub(crate) fn host_name() -> String {
    let bytes = read_at_most(Path::new("/proc/sys/kernel/hostname"), HOST_NAME_BYTES_MAX);
    let name = bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    name.ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ports.json");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"three").unwrap();
        assert_eq!(read_at_most(&path, 5).unwrap(), b"three");
        assert!(read_at_most(&path, 4).is_err());
        assert_eq!(OsEnv::new().list(directory.path()).unwrap(), ["ports.json"]);
    }

    #[test]
    fn the_kernel_is_read_too() {
        assert_ne!(random_bytes().unwrap(), random_bytes().unwrap());
        assert!(!read_at_most(Path::new("/proc/self/stat"), 4_096).unwrap().is_empty());
        assert!(!host_name().is_empty());
    }
}
