//! The real file system: the only file of this crate that calls `std::fs`.
//!
//! Free space is asked through a probe that the binary plugs in, because the standard library has
//! no such call; without a probe the question is answered by an error, never by a guess.

#![expect(clippy::disallowed_methods, reason = "this file is the one that reaches the files")]

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{AppendFile, DirectoryLock, DiskSpace, Env, EnvError, ReadFile};

/// Bytes of room that are written at a time and synced before the next: whoever syncs another file
/// meanwhile waits for so much at most.
const ROOM_STEP_BYTES: usize = 1024 * 1024;

/// Zeros of as much as the page cache of the usual systems reads before it changes a part of it.
const PAGE: [u8; 4096] = [0; 4096];
const PAGE_BYTES: u64 = PAGE.len() as u64;

/// Name of the file that is locked inside a data directory.
const LOCK_FILE: &str = "LOCK";

/// Answers how many bytes are free at a path, or how many there are in all.
type FreeBytesProbe = Arc<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;

/// The operating system's files.
#[derive(Clone, Default)]
pub struct OsEnv {
    free_bytes: Option<FreeBytesProbe>,
    total_bytes: Option<FreeBytesProbe>,
}

impl OsEnv {
    /// Without a probe for free space.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a probe that says how many bytes are free at a path.
    pub fn with_free_bytes(
        probe: impl Fn(&Path) -> io::Result<u64> + Send + Sync + 'static,
    ) -> Self {
        Self { free_bytes: Some(Arc::new(probe)), total_bytes: None }
    }

    /// With a probe that says how many bytes the disk of a path has in all.
    #[must_use]
    pub fn with_total_bytes(
        self,
        probe: impl Fn(&Path) -> io::Result<u64> + Send + Sync + 'static,
    ) -> Self {
        Self { total_bytes: Some(Arc::new(probe)), ..self }
    }
}

impl fmt::Debug for OsEnv {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OsEnv").finish_non_exhaustive()
    }
}

impl Env for OsEnv {
    fn create(&self, path: &Path) -> Result<Box<dyn AppendFile>, EnvError> {
        Ok(Box::new(OsAppendFile::create(path)?))
    }

    fn create_with_room(
        &self,
        path: &Path,
        room_bytes: u64,
    ) -> Result<Box<dyn AppendFile>, EnvError> {
        let created = OsAppendFile::create(path)?;
        let failed = |error| EnvError::new("make room in", path, error);
        let zeros = vec![0; ROOM_STEP_BYTES];
        let mut written = 0;
        while written < room_bytes {
            let left = usize::try_from(room_bytes - written).unwrap_or(ROOM_STEP_BYTES);
            let step = zeros.get(..left).unwrap_or(&zeros);
            created.file.write_all_at(step, written).map_err(failed)?;
            created.file.sync_data().map_err(failed)?;
            written += step.len() as u64;
        }
        Ok(Box::new(OsAppendFile { room_bytes, ..created }))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn ReadFile>, EnvError> {
        let file = File::open(path).map_err(|error| EnvError::new("open", path, error))?;
        Ok(Arc::new(OsReadFile { file, path: path.to_path_buf() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), EnvError> {
        fs::rename(from, to).map_err(|error| EnvError::new("rename", from, error))
    }

    fn remove(&self, path: &Path) -> Result<(), EnvError> {
        fs::remove_file(path).map_err(|error| EnvError::new("remove", path, error))
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>, EnvError> {
        let failed = |error| EnvError::new("list", directory, error);
        let mut names = Vec::new();
        for item in fs::read_dir(directory).map_err(failed)? {
            if let Ok(name) = item.map_err(failed)?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_directory(&self, directory: &Path) -> Result<(), EnvError> {
        if directory.is_dir() {
            return Ok(());
        }
        let parent = match directory.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        self.create_directory(parent)?;
        match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(EnvError::new("create directory", directory, error));
            }
            Ok(()) | Err(_) => {}
        }
        self.sync_directory(parent)
    }

    fn sync_directory(&self, directory: &Path) -> Result<(), EnvError> {
        File::open(directory)
            .and_then(|file| file.sync_all())
            .map_err(|error| EnvError::new("sync directory", directory, error))
    }

    fn free_bytes(&self, directory: &Path) -> Result<u64, EnvError> {
        let Some(probe) = &self.free_bytes else {
            let unsupported = io::Error::from(io::ErrorKind::Unsupported);
            return Err(EnvError::new("ask the free space of", directory, unsupported));
        };
        probe(directory).map_err(|error| EnvError::new("ask the free space of", directory, error))
    }

    fn space(&self, directory: &Path) -> Result<DiskSpace, EnvError> {
        let free_bytes = self.free_bytes(directory)?;
        let total_bytes = self.total_bytes.as_ref().map(|probe| probe(directory)).transpose();
        let total_bytes = total_bytes
            .map_err(|error| EnvError::new("ask the size of the disk of", directory, error))?;
        Ok(DiskSpace { free_bytes, total_bytes: total_bytes.unwrap_or(0) })
    }

    fn lock(&self, directory: &Path) -> Result<Box<dyn DirectoryLock>, EnvError> {
        let path = directory.join(LOCK_FILE);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| EnvError::new("lock", &path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(OsDirectoryLock { _file: file })),
            Err(TryLockError::WouldBlock) => {
                Err(EnvError::new("lock", &path, io::Error::from(io::ErrorKind::ResourceBusy)))
            }
            Err(TryLockError::Error(error)) => Err(EnvError::new("lock", &path, error)),
        }
    }
}

#[derive(Debug)]
struct OsAppendFile {
    file: File,
    path: PathBuf,
    size_bytes: u64,
    room_bytes: u64,
}

impl OsAppendFile {
    fn create(path: &Path) -> Result<Self, EnvError> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|error| EnvError::new("create", path, error))?;
        Ok(Self { file, path: path.to_path_buf(), size_bytes: 0, room_bytes: 0 })
    }

    /// Writes the page in which an append will end, if that is the first to come to it: whoever
    /// changes a part of a page of room waits for the disk to read it, should the page cache have
    /// dropped it, and whoever writes all of it does not.
    fn write_last_page(&self, append_end: u64) -> io::Result<()> {
        let page = append_end - append_end % PAGE_BYTES;
        let is_inside = page + PAGE_BYTES <= self.room_bytes;
        if page == append_end || page < self.size_bytes || !is_inside {
            return Ok(());
        }
        self.file.write_all_at(&PAGE, page)
    }
}

impl AppendFile for OsAppendFile {
    fn append(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        let end = self.size_bytes + bytes.len() as u64;
        // At a place of its own, for there may be room behind it.
        self.write_last_page(end)
            .and_then(|()| self.file.write_all_at(bytes, self.size_bytes))
            .map_err(|error| EnvError::new("append to", &self.path, error))?;
        self.size_bytes = end;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), EnvError> {
        self.file.sync_data().map_err(|error| EnvError::new("sync", &self.path, error))
    }

    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

#[derive(Debug)]
struct OsReadFile {
    file: File,
    path: PathBuf,
}

impl ReadFile for OsReadFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, EnvError> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset.saturating_add(filled as u64)) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(EnvError::new("read", &self.path, error)),
            }
        }
        Ok(filled)
    }

    fn size_bytes(&self) -> Result<u64, EnvError> {
        let metadata =
            self.file.metadata().map_err(|error| EnvError::new("measure", &self.path, error))?;
        Ok(metadata.len())
    }
}

/// The lock lives as long as the open file.
#[derive(Debug)]
struct OsDirectoryLock {
    _file: File,
}

impl DirectoryLock for OsDirectoryLock {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_created_renamed_read_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("a/b");
        let env = OsEnv::new();
        env.create_directory(&root).unwrap();
        let mut file = env.create(&root.join("one.tmp")).unwrap();
        file.append(b"hello ").unwrap();
        file.append(b"disk").unwrap();
        file.sync().unwrap();
        assert_eq!(file.size_bytes(), 10);
        assert!(env.create(&root.join("one.tmp")).is_err());
        env.rename(&root.join("one.tmp"), &root.join("one")).unwrap();
        env.sync_directory(&root).unwrap();
        assert_eq!(env.list(&root).unwrap(), ["one"]);
        let reader = env.open(&root.join("one")).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(reader.read_at(6, &mut buffer).unwrap(), 4);
        assert_eq!(buffer.get(..4), Some(&b"disk"[..]));
        assert_eq!(reader.size_bytes().unwrap(), 10);
        env.remove(&root.join("one")).unwrap();
        assert_eq!(reader.read_at(0, &mut buffer).unwrap(), 8);
    }

    #[test]
    fn room_is_zeros_until_it_is_taken_and_more_than_it_is_taken_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("room");
        let env = OsEnv::new();
        let room = ROOM_STEP_BYTES + 3;
        let mut file = env.create_with_room(&path, room as u64).unwrap();
        assert!(env.create_with_room(&path, 1).is_err());
        let reader = env.open(&path).unwrap();
        file.append(b"one").unwrap();
        assert_eq!((file.size_bytes(), reader.size_bytes().unwrap()), (3, room as u64));
        let mut written = 3;
        for length in [2, 4091, 1, 4095, 5000, 3, ROOM_STEP_BYTES - 20_000] {
            file.append(&vec![7; length]).unwrap();
            written += length;
            let mut content = vec![9; room];
            assert_eq!(reader.read_at(0, &mut content).unwrap(), room);
            assert!(content.iter().take(written).skip(3).all(|byte| *byte == 7), "{length}");
            assert!(content.iter().skip(written).all(|byte| *byte == 0), "{length}");
        }
        file.append(&vec![7; room - written + 3]).unwrap();
        file.sync().unwrap();
        let grown = room as u64 + 3;
        assert_eq!((file.size_bytes(), reader.size_bytes().unwrap()), (grown, grown));
        let mut content = vec![9; room + 3];
        assert_eq!(reader.read_at(0, &mut content).unwrap(), room + 3);
        assert_eq!(content.split_first_chunk::<3>().unwrap().0, b"one");
        assert!(content.iter().skip(3).all(|byte| *byte == 7));
    }

    #[test]
    fn a_directory_is_locked_once() {
        let directory = tempfile::tempdir().unwrap();
        let env = OsEnv::new();
        let first = env.lock(directory.path()).unwrap();
        let second = env.lock(directory.path()).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::ResourceBusy);
        drop(first);
        env.lock(directory.path()).unwrap();
    }

    #[test]
    fn free_space_is_never_guessed() {
        let unknown = OsEnv::new().free_bytes(Path::new("/")).unwrap_err();
        assert_eq!(unknown.kind(), io::ErrorKind::Unsupported);
        let known = OsEnv::with_free_bytes(|_| Ok(7)).free_bytes(Path::new("/")).unwrap();
        assert_eq!(known, 7);
    }
}
