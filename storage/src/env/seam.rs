//! The traits of the file-system seam.
//!
//! Invariant: a call that returned an error may have had any part of its effect; only a sync that
//! returned success makes a promise, and after a sync that failed no later sync of that file does.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use super::EnvError;

/// A file system as storage needs it.
pub trait Env: Debug + Send + Sync {
    /// Creates a file that must not exist, for appending.
    fn create(&self, path: &Path) -> Result<Box<dyn AppendFile>, EnvError>;

    /// Creates a file that must not exist, with durable zeros where this many bytes will be
    /// appended. A sync of bytes that fit this room need not wait until the file system has noted
    /// that the file grew; behind it, the file grows as any other. A reader sees the zeros.
    fn create_with_room(
        &self,
        path: &Path,
        room_bytes: u64,
    ) -> Result<Box<dyn AppendFile>, EnvError>;

    /// Opens a file for reading at any place. The handle stays good when the file is removed.
    fn open(&self, path: &Path) -> Result<Arc<dyn ReadFile>, EnvError>;

    /// Gives a file another name, replacing what had it; atomic, durable after a directory sync.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), EnvError>;

    /// Removes a file's name; durable after a directory sync.
    fn remove(&self, path: &Path) -> Result<(), EnvError>;

    /// The names in a directory, sorted. Names that are not UTF-8 are left out: none is ours.
    fn list(&self, directory: &Path) -> Result<Vec<String>, EnvError>;

    /// Creates a directory and its parents, durably, if they do not exist.
    fn create_directory(&self, directory: &Path) -> Result<(), EnvError>;

    /// Makes the names in a directory durable.
    fn sync_directory(&self, directory: &Path) -> Result<(), EnvError>;

    /// Bytes that an unprivileged writer may still add.
    fn free_bytes(&self, directory: &Path) -> Result<u64, EnvError>;

    /// The room on the disk below a directory.
    fn space(&self, directory: &Path) -> Result<DiskSpace, EnvError> {
        Ok(DiskSpace { free_bytes: self.free_bytes(directory)?, total_bytes: 0 })
    }

    /// Takes the directory for this process until the guard is dropped, or fails at once if
    /// another process has it.
    fn lock(&self, directory: &Path) -> Result<Box<dyn DirectoryLock>, EnvError>;
}

/// The room on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// Bytes that an unprivileged writer may still add.
    pub free_bytes: u64,
    /// Bytes of the whole; 0 if nobody knows.
    pub total_bytes: u64,
}

/// A file being written, from its creation on.
pub trait AppendFile: Debug + Send {
    /// Writes all bytes behind those appended before.
    fn append(&mut self, bytes: &[u8]) -> Result<(), EnvError>;

    /// Makes all bytes appended so far, and the length, durable.
    fn sync(&mut self) -> Result<(), EnvError>;

    /// Bytes appended so far; room that is left does not count.
    fn size_bytes(&self) -> u64;
}

/// A file being read.
pub trait ReadFile: Debug + Send + Sync {
    /// Fills the buffer from the offset on and says how many bytes it got: fewer than asked only
    /// at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, EnvError>;

    /// The file's length now, with the room that is left.
    fn size_bytes(&self) -> Result<u64, EnvError>;
}

/// Holds a directory for this process; dropping it lets go.
pub trait DirectoryLock: Debug + Send + Sync {}
