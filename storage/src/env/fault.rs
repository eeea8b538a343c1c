//! A modelled disk in memory: what was not synced may be lost, and any call may fail.
//!
//! Every call that changes something (create, append, sync, rename, remove, directory sync, new
//! directory) has a number, counted from zero over the life of the disk. A test names the number
//! at which power goes or an error comes, runs, and then restarts the disk in one of the ways of
//! [`Crash`]. All of it follows from the seed.
//!
//! Invariant: bytes up to a sync that succeeded, and names up to a directory sync that succeeded,
//! survive every crash. After a sync that failed, the bytes it should have written are taken for
//! clean, as kernels do: they can still be read, a later sync says yes, and a power loss takes
//! some of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use twox_hash::XxHash3_64;

use super::{AppendFile, DirectoryLock, DiskSpace, Env, EnvError, ReadFile};

/// A disk writes sectors whole or not at all; tearing works on these.
const SECTOR_BYTES: usize = 512;

/// How the disk comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Power was lost: nothing that was not synced is there.
    Lost,
    /// Power was lost: of what was not synced, a seeded part is there: a prefix, some sectors,
    /// zeros, garbage, names up to some point.
    Torn,
    /// Power was lost, but everything had reached the disk by itself.
    Kept,
    /// Only the process ended: everything is readable, and still not durable.
    Process,
}

/// An injected failure of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full; an append may have written a part.
    OutOfSpace,
    /// The device reports an error; an append may have written a part.
    InputOutput,
}

impl Fault {
    fn error(self) -> io::Error {
        io::Error::from(match self {
            Self::OutOfSpace => io::ErrorKind::StorageFull,
            Self::InputOutput => io::ErrorKind::Other,
        })
    }
}

/// The modelled disk. Clones are handles on the same disk; [`FaultEnv::fork`] copies it.
#[derive(Clone, Debug)]
pub struct FaultEnv {
    disk: Arc<Mutex<Disk>>,
}

impl FaultEnv {
    /// An empty disk whose accidents follow from the seed.
    pub fn new(seed: u64) -> Self {
        let disk = Disk { random: seed, free_bytes: u64::MAX, ..Disk::default() };
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// An independent disk with the same contents, accidents and counters.
    pub fn fork(&self) -> Self {
        let disk = self.disk().clone();
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// Lets power go during the change with this number: it fails, and so does all after it.
    pub fn crash_at(&self, operation: u64) {
        self.disk().crash_at = Some(operation);
    }

    /// Lets the change with this number fail.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.disk().faults.insert(operation, fault);
    }

    /// Lets the read with this number fail; reads are counted apart.
    pub fn fail_read_at(&self, read: u64) {
        self.disk().read_faults.insert(read);
    }

    /// Changes begun so far: the number of the next one.
    pub fn operations(&self) -> u64 {
        self.disk().operations
    }

    /// Reads begun so far: the number of the next one.
    pub fn reads(&self) -> u64 {
        self.disk().reads
    }

    /// True between the crash and the restart.
    pub fn has_crashed(&self) -> bool {
        self.disk().crashed
    }

    /// What the disk answers when asked for free space.
    pub fn set_free_bytes(&self, bytes: u64) {
        self.disk().free_bytes = bytes;
    }

    /// What the disk answers when asked for its size; 0, as at first, if it does not know.
    pub fn set_total_bytes(&self, bytes: u64) {
        self.disk().total_bytes = bytes;
    }

    /// Lets appends fail from now on, each with a part written, or not any more.
    pub fn set_full(&self, is_full: bool) {
        self.disk().is_full = is_full;
    }

    /// A name for the history of the disk: the same calls in the same order, with the same bytes
    /// and the same accidents, give the same one.
    pub fn history(&self) -> u64 {
        self.disk().history
    }

    /// The life of the disk between two restarts; handles of an earlier one fail.
    pub(crate) fn generation(&self) -> u64 {
        self.disk().generation
    }

    /// Counts a change that somebody else models who shares the disk's power: a key-value store.
    pub(crate) fn change_elsewhere(&self, generation: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk();
        disk.note(b'k', bytes);
        match disk.begin(generation) {
            Verdict::Proceed if disk.is_full => Err(Fault::OutOfSpace.error()),
            Verdict::Proceed => Ok(()),
            Verdict::Fail(error) => Err(error),
            Verdict::Crash => Err(power_is_off()),
        }
    }

    /// Fails if the power is off, or was since.
    pub(crate) fn check_power(&self, generation: u64) -> io::Result<()> {
        let disk = self.disk();
        let is_on = !disk.crashed && disk.generation == generation;
        if is_on { Ok(()) } else { Err(power_is_off()) }
    }

    /// A number from zero up to and including the bound, from the disk's own seed.
    pub(crate) fn draw(&self, bound: usize) -> usize {
        self.disk().random_up_to(bound)
    }

    /// Ends the process and starts the next: handles of the old one fail from now on, locks are
    /// gone, planned faults are forgotten, and the contents are what the crash left.
    pub fn restart(&self, crash: Crash) {
        self.disk().restart(crash);
    }

    /// Bit rot: changes one byte where it lies, in memory and on the disk alike. Says whether the
    /// file has that byte.
    pub fn flip(&self, path: &Path, offset: usize, mask: u8) -> bool {
        let mut disk = self.disk();
        let Some(inode) = disk.names.get(path).copied() else { return false };
        let Some(inode) = disk.inodes.get_mut(&inode) else { return false };
        if let Some(byte) = inode.durable.get_mut(offset) {
            *byte ^= mask;
        }
        inode.volatile.get_mut(offset).map(|byte| *byte ^= mask).is_some()
    }

    /// The end of a file is lost, in memory and on the disk alike. Says whether it was longer.
    pub fn cut(&self, path: &Path, bytes_left: usize) -> bool {
        let mut disk = self.disk();
        let Some(inode) = disk.names.get(path).copied() else { return false };
        let Some(inode) = disk.inodes.get_mut(&inode) else { return false };
        let was_longer = inode.volatile.len() > bytes_left;
        inode.durable.truncate(bytes_left);
        inode.volatile.truncate(bytes_left);
        inode.appended = inode.appended.min(bytes_left);
        inode.synced = inode.synced.min(bytes_left);
        was_longer
    }

    /// What a reader sees in a file now.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let disk = self.disk();
        let inode = disk.names.get(path)?;
        disk.inodes.get(inode).map(|inode| inode.volatile.clone())
    }

    fn create_file(&self, path: &Path) -> Result<FaultAppendFile, EnvError> {
        let mut disk = self.disk();
        let inode = disk.inode_next;
        disk.change(|disk| {
            if disk.names.contains_key(path) {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            disk.inode_next += 1;
            disk.note(b'c', path.as_os_str().as_encoded_bytes());
            disk.inodes.insert(inode, Inode::default());
            let change = NameChange::Link { path: path.to_path_buf(), inode };
            change.apply(&mut disk.names);
            disk.name_changes.push(change);
            Ok(())
        })
        .map_err(|error| EnvError::new("create", path, error))?;
        Ok(FaultAppendFile {
            env: self.clone(),
            path: path.to_path_buf(),
            inode,
            generation: disk.generation,
            size_bytes: 0,
        })
    }

    /// The paths of all files, as a process sees them now.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.disk().names.keys().cloned().collect()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file's bytes, with the zeros of room that is left.
#[derive(Clone, Debug, Default)]
struct Inode {
    /// What can be read.
    volatile: Vec<u8>,
    durable: Vec<u8>,
    /// Bytes of `volatile` that were appended; the rest is room.
    appended: usize,
    /// Bytes of `durable` that were appended and synced, or are taken for it.
    synced: usize,
}

impl Inode {
    fn append(&mut self, bytes: &[u8]) {
        put(&mut self.volatile, self.appended, bytes);
        self.appended += bytes.len();
    }

    /// What was appended and not synced.
    fn unsynced(&self) -> Vec<u8> {
        self.volatile.get(self.synced..self.appended).unwrap_or_default().to_vec()
    }

    /// Makes bytes durable, behind those that are.
    fn keep(&mut self, bytes: &[u8]) {
        put(&mut self.durable, self.synced, bytes);
        self.synced += bytes.len();
    }
}

/// Writes bytes at a place, over what is there.
fn put(content: &mut Vec<u8>, place: usize, bytes: &[u8]) {
    let (over, behind) = bytes.split_at(bytes.len().min(content.len().saturating_sub(place)));
    content.iter_mut().skip(place).zip(over).for_each(|(target, byte)| *target = *byte);
    content.extend_from_slice(behind);
}

/// A change of names that the directory's sync has not made durable yet.
#[derive(Clone, Debug)]
enum NameChange {
    Link { path: PathBuf, inode: u64 },
    Unlink { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
}

impl NameChange {
    fn directory(&self) -> Option<&Path> {
        match self {
            Self::Link { path, .. } | Self::Unlink { path } => path.parent(),
            Self::Rename { to, .. } => to.parent(),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Link { path, inode } => {
                names.insert(path.clone(), *inode);
            }
            Self::Unlink { path } => {
                names.remove(path);
            }
            Self::Rename { from, to } => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }
}

/// What happens to a change that has been given its number.
enum Verdict {
    Proceed,
    /// The effect may be had in part; then the caller gets this error.
    Fail(io::Error),
    /// As above, and a failed sync takes the bytes for clean.
    Crash,
}

#[derive(Clone, Debug, Default)]
struct Disk {
    random: u64,
    generation: u64,
    operations: u64,
    reads: u64,
    crash_at: Option<u64>,
    crashed: bool,
    faults: BTreeMap<u64, Fault>,
    read_faults: BTreeSet<u64>,
    inodes: BTreeMap<u64, Inode>,
    inode_next: u64,
    directories: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    name_changes: Vec<NameChange>,
    locks: BTreeSet<PathBuf>,
    free_bytes: u64,
    total_bytes: u64,
    is_full: bool,
    history: u64,
}

fn power_is_off() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the modelled disk has no power")
}

fn not_found() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl Disk {
    /// Splitmix64: small, and good enough to choose accidents.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.random;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Adds a call to the history.
    fn note(&mut self, kind: u8, bytes: &[u8]) {
        let seed = self.history ^ self.operations.rotate_left(32) ^ u64::from(kind);
        self.history = XxHash3_64::oneshot_with_seed(seed, bytes);
    }

    /// A number from zero up to and including the bound.
    fn random_up_to(&mut self, bound: usize) -> usize {
        let span = bound as u64 + 1;
        usize::try_from(self.random() % span).unwrap_or(0)
    }

    fn begin(&mut self, generation: u64) -> Verdict {
        if self.crashed || generation != self.generation {
            return Verdict::Fail(power_is_off());
        }
        let number = self.operations;
        self.operations += 1;
        if self.crash_at == Some(number) {
            self.crashed = true;
            return Verdict::Crash;
        }
        match self.faults.remove(&number) {
            Some(fault) => Verdict::Fail(fault.error()),
            None => Verdict::Proceed,
        }
    }

    /// Runs a change that has its effect whole or not at all. A crash during it leaves the effect
    /// not yet durable; an injected error leaves none.
    fn change(
        &mut self,
        effect: impl FnOnce(&mut Self) -> Result<(), io::Error>,
    ) -> Result<(), io::Error> {
        match self.begin(self.generation) {
            Verdict::Proceed => effect(self),
            Verdict::Fail(error) => Err(error),
            Verdict::Crash => {
                effect(self)?;
                Err(power_is_off())
            }
        }
    }

    /// Begins a change that an interruption leaves undone.
    fn begin_whole(&mut self) -> Result<(), io::Error> {
        match self.begin(self.generation) {
            Verdict::Proceed => Ok(()),
            Verdict::Fail(error) => Err(error),
            Verdict::Crash => Err(power_is_off()),
        }
    }

    fn append(&mut self, inode: u64, generation: u64, bytes: &[u8]) -> Result<(), io::Error> {
        let verdict = self.begin(generation);
        if generation != self.generation {
            return Err(power_is_off());
        }
        self.note(b'a', bytes);
        let (written, result) = match verdict {
            Verdict::Proceed if self.is_full => {
                (self.random_up_to(bytes.len()), Err(Fault::OutOfSpace.error()))
            }
            Verdict::Proceed => (bytes.len(), Ok(())),
            // What a crash tears is decided at the restart.
            Verdict::Crash => (bytes.len(), Err(power_is_off())),
            Verdict::Fail(error) if self.crashed => (0, Err(error)),
            Verdict::Fail(error) => (self.random_up_to(bytes.len()), Err(error)),
        };
        let target = self.inodes.get_mut(&inode).ok_or_else(not_found)?;
        target.append(bytes.get(..written).unwrap_or_default());
        result
    }

    fn sync(&mut self, inode: u64, generation: u64) -> Result<(), io::Error> {
        self.note(b's', &inode.to_le_bytes());
        match self.begin(generation) {
            Verdict::Proceed => {
                let target = self.inodes.get_mut(&inode).ok_or_else(not_found)?;
                target.keep(&target.unsynced());
                Ok(())
            }
            Verdict::Fail(error) => {
                if !self.crashed && generation == self.generation {
                    self.write_back_some(inode);
                }
                Err(error)
            }
            Verdict::Crash => Err(power_is_off()),
        }
    }

    /// A failed sync: some sectors were written, the others never will be, all count as clean.
    fn write_back_some(&mut self, inode: u64) {
        let Some(mut target) = self.inodes.remove(&inode) else { return };
        for sector in target.unsynced().chunks(SECTOR_BYTES) {
            let is_written = self.random() & 1 == 0;
            if is_written {
                target.keep(sector);
            } else {
                target.keep(&vec![0; sector.len()]);
            }
        }
        self.inodes.insert(inode, target);
    }

    fn restart(&mut self, crash: Crash) {
        self.note(b'x', &[crash as u8]);
        self.generation += 1;
        self.crashed = false;
        self.crash_at = None;
        self.faults.clear();
        self.read_faults.clear();
        self.locks.clear();
        if crash == Crash::Process {
            return;
        }
        let mut inodes = std::mem::take(&mut self.inodes);
        for inode in inodes.values_mut() {
            match crash {
                Crash::Lost | Crash::Process => {}
                Crash::Kept => inode.keep(&inode.unsynced()),
                Crash::Torn => self.tear(inode),
            }
            inode.volatile = inode.durable.clone();
            inode.appended = inode.synced;
        }
        self.inodes = inodes;
        let changes = std::mem::take(&mut self.name_changes);
        let kept = match crash {
            Crash::Lost | Crash::Process => 0,
            Crash::Kept => changes.len(),
            Crash::Torn => self.random_up_to(changes.len()),
        };
        for change in changes.iter().take(kept) {
            change.apply(&mut self.durable_names);
        }
        self.names = self.durable_names.clone();
    }

    /// Keeps a seeded part of what was not synced.
    fn tear(&mut self, inode: &mut Inode) {
        let start = inode.synced;
        let mut rest = inode.unsynced();
        match self.random_up_to(4) {
            0 => rest.clear(),
            1 => {}
            2 => rest.truncate(self.random_up_to(rest.len())),
            3 => {
                // The length grew, the data did not come.
                rest.truncate(self.random_up_to(rest.len()));
                rest.fill(0);
            }
            _ => {
                let mut sector_left = SECTOR_BYTES - start % SECTOR_BYTES;
                let mut fate = self.random_up_to(3);
                for byte in &mut rest {
                    if sector_left == 0 {
                        sector_left = SECTOR_BYTES;
                        fate = self.random_up_to(3);
                    }
                    sector_left -= 1;
                    match fate {
                        0 => *byte = 0,
                        1 => *byte = self.random().to_le_bytes()[0],
                        _ => {}
                    }
                }
            }
        }
        inode.keep(&rest);
    }
}

impl Env for FaultEnv {
    fn create(&self, path: &Path) -> Result<Box<dyn AppendFile>, EnvError> {
        Ok(Box::new(self.create_file(path)?))
    }

    fn create_with_room(
        &self,
        path: &Path,
        room_bytes: u64,
    ) -> Result<Box<dyn AppendFile>, EnvError> {
        let mut file = self.create_file(path)?;
        let room = usize::try_from(room_bytes)
            .map_err(|_| EnvError::new("make room in", path, Fault::OutOfSpace.error()))?;
        file.append(&vec![0; room])?;
        file.sync()?;
        file.size_bytes = 0;
        if let Some(inode) = self.disk().inodes.get_mut(&file.inode) {
            (inode.appended, inode.synced) = (0, 0);
        }
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn ReadFile>, EnvError> {
        let disk = self.disk();
        if disk.crashed {
            return Err(EnvError::new("open", path, power_is_off()));
        }
        let inode = disk
            .names
            .get(path)
            .copied()
            .ok_or_else(|| EnvError::new("open", path, not_found()))?;
        Ok(Arc::new(FaultReadFile {
            env: self.clone(),
            path: path.to_path_buf(),
            inode,
            generation: disk.generation,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), EnvError> {
        self.disk()
            .change(|disk| {
                if !disk.names.contains_key(from) {
                    return Err(not_found());
                }
                disk.note(b'r', to.as_os_str().as_encoded_bytes());
                let change = NameChange::Rename { from: from.to_path_buf(), to: to.to_path_buf() };
                change.apply(&mut disk.names);
                disk.name_changes.push(change);
                Ok(())
            })
            .map_err(|error| EnvError::new("rename", from, error))
    }

    fn remove(&self, path: &Path) -> Result<(), EnvError> {
        self.disk()
            .change(|disk| {
                if !disk.names.contains_key(path) {
                    return Err(not_found());
                }
                disk.note(b'u', path.as_os_str().as_encoded_bytes());
                let change = NameChange::Unlink { path: path.to_path_buf() };
                change.apply(&mut disk.names);
                disk.name_changes.push(change);
                Ok(())
            })
            .map_err(|error| EnvError::new("remove", path, error))
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>, EnvError> {
        let disk = self.disk();
        if disk.crashed {
            return Err(EnvError::new("list", directory, power_is_off()));
        }
        if !disk.directories.contains(directory) {
            return Err(EnvError::new("list", directory, not_found()));
        }
        let inside = |path: &&PathBuf| path.parent() == Some(directory);
        let name = |path: &PathBuf| path.file_name()?.to_str().map(str::to_owned);
        let mut names: Vec<String> = disk
            .names
            .keys()
            .filter(inside)
            .chain(disk.directories.iter().filter(inside))
            .filter_map(name)
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn create_directory(&self, directory: &Path) -> Result<(), EnvError> {
        let mut disk = self.disk();
        if !disk.crashed && disk.directories.contains(directory) {
            return Ok(());
        }
        // The call promises durability by itself, so only its start can be interrupted.
        disk.begin_whole().map_err(|error| EnvError::new("create directory", directory, error))?;
        disk.directories.extend(directory.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn sync_directory(&self, directory: &Path) -> Result<(), EnvError> {
        let mut disk = self.disk();
        disk.begin_whole().map_err(|error| EnvError::new("sync directory", directory, error))?;
        let (synced, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut disk.name_changes)
            .into_iter()
            .partition(|change| change.directory() == Some(directory));
        for change in synced {
            change.apply(&mut disk.durable_names);
        }
        disk.name_changes = rest;
        Ok(())
    }

    fn free_bytes(&self, _directory: &Path) -> Result<u64, EnvError> {
        Ok(self.disk().free_bytes)
    }

    fn space(&self, _directory: &Path) -> Result<DiskSpace, EnvError> {
        let disk = self.disk();
        Ok(DiskSpace { free_bytes: disk.free_bytes, total_bytes: disk.total_bytes })
    }

    fn lock(&self, directory: &Path) -> Result<Box<dyn DirectoryLock>, EnvError> {
        let mut disk = self.disk();
        if !disk.locks.insert(directory.to_path_buf()) {
            let busy = io::Error::from(io::ErrorKind::ResourceBusy);
            return Err(EnvError::new("lock", directory, busy));
        }
        Ok(Box::new(FaultDirectoryLock {
            env: self.clone(),
            directory: directory.to_path_buf(),
            generation: disk.generation,
        }))
    }
}

#[derive(Debug)]
struct FaultAppendFile {
    env: FaultEnv,
    path: PathBuf,
    inode: u64,
    generation: u64,
    size_bytes: u64,
}

impl AppendFile for FaultAppendFile {
    fn append(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        self.env
            .disk()
            .append(self.inode, self.generation, bytes)
            .map_err(|error| EnvError::new("append to", &self.path, error))?;
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), EnvError> {
        self.env
            .disk()
            .sync(self.inode, self.generation)
            .map_err(|error| EnvError::new("sync", &self.path, error))
    }

    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

#[derive(Debug)]
struct FaultReadFile {
    env: FaultEnv,
    path: PathBuf,
    inode: u64,
    generation: u64,
}

impl FaultReadFile {
    fn with_content<R>(&self, read: impl FnOnce(&[u8]) -> R) -> Result<R, EnvError> {
        let mut disk = self.env.disk();
        let failed = |error| Err(EnvError::new("read", &self.path, error));
        if disk.crashed || disk.generation != self.generation {
            return failed(power_is_off());
        }
        let number = disk.reads;
        disk.reads += 1;
        if disk.read_faults.remove(&number) {
            return failed(Fault::InputOutput.error());
        }
        match disk.inodes.get(&self.inode) {
            Some(inode) => Ok(read(&inode.volatile)),
            None => failed(not_found()),
        }
    }
}

impl ReadFile for FaultReadFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, EnvError> {
        self.with_content(|content| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let rest = content.get(start..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            for (target, source) in buffer.iter_mut().zip(rest) {
                *target = *source;
            }
            count
        })
    }

    fn size_bytes(&self) -> Result<u64, EnvError> {
        self.with_content(|content| content.len() as u64)
    }
}

#[derive(Debug)]
struct FaultDirectoryLock {
    env: FaultEnv,
    directory: PathBuf,
    generation: u64,
}

impl DirectoryLock for FaultDirectoryLock {}

impl Drop for FaultDirectoryLock {
    fn drop(&mut self) {
        let mut disk = self.env.disk();
        if disk.generation == self.generation {
            disk.locks.remove(&self.directory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        Path::new("d").join(name)
    }

    fn disk_with_a_file() -> (FaultEnv, Box<dyn AppendFile>) {
        let env = FaultEnv::new(1);
        env.create_directory(Path::new("d")).unwrap();
        let mut file = env.create(&path("f")).unwrap();
        file.append(b"synced").unwrap();
        file.sync().unwrap();
        env.sync_directory(Path::new("d")).unwrap();
        file.append(b" not").unwrap();
        (env, file)
    }

    #[test]
    fn only_what_was_synced_survives() {
        let (env, _file) = disk_with_a_file();
        let kept = env.fork();
        env.restart(Crash::Lost);
        assert_eq!(env.content(&path("f")).unwrap(), b"synced");
        kept.restart(Crash::Kept);
        assert_eq!(kept.content(&path("f")).unwrap(), b"synced not");
    }

    #[test]
    fn a_torn_tail_never_touches_what_was_synced() {
        for seed in 0..200 {
            let (env, _file) = disk_with_a_file();
            env.disk().random = seed;
            env.restart(Crash::Torn);
            assert!(env.content(&path("f")).unwrap().starts_with(b"synced"), "seed {seed}");
        }
    }

    #[test]
    fn what_is_cut_off_is_gone_for_good() {
        let (env, _file) = disk_with_a_file();
        assert!(!env.cut(&path("f"), 100) && !env.cut(&path("g"), 0));
        assert!(env.cut(&path("f"), 3));
        assert_eq!(env.content(&path("f")).unwrap(), b"syn");
        env.restart(Crash::Kept);
        assert_eq!(env.content(&path("f")).unwrap(), b"syn");
    }

    #[test]
    fn room_is_durable_and_what_takes_it_only_once_it_is_synced() {
        for crash in [Crash::Lost, Crash::Torn, Crash::Kept] {
            let env = FaultEnv::new(3);
            env.create_directory(Path::new("d")).unwrap();
            let mut file = env.create_with_room(&path("f"), 10).unwrap();
            env.sync_directory(Path::new("d")).unwrap();
            file.append(b"abcd").unwrap();
            file.sync().unwrap();
            file.append(b"ef").unwrap();
            assert_eq!(file.size_bytes(), 6);
            assert_eq!(env.content(&path("f")).unwrap(), b"abcdef\0\0\0\0");
            env.restart(crash);
            let content = env.content(&path("f")).unwrap();
            assert_eq!(
                (content.len(), &content[..4], &content[6..]),
                (10, &b"abcd"[..], &[0; 4][..])
            );
            if crash != Crash::Torn {
                let kept = if crash == Crash::Kept { b"ef" } else { b"\0\0" };
                assert_eq!(&content[4..6], kept);
            }
        }
    }

    #[test]
    fn what_takes_more_than_the_room_grows_the_file() {
        let env = FaultEnv::new(4);
        env.create_directory(Path::new("d")).unwrap();
        let mut file = env.create_with_room(&path("f"), 3).unwrap();
        env.sync_directory(Path::new("d")).unwrap();
        file.append(b"ab").unwrap();
        file.append(b"cdef").unwrap();
        assert_eq!(env.content(&path("f")).unwrap(), b"abcdef");
        let lost = env.fork();
        lost.restart(Crash::Lost);
        assert_eq!(lost.content(&path("f")).unwrap(), [0; 3]);
        env.restart(Crash::Kept);
        assert_eq!(env.content(&path("f")).unwrap(), b"abcdef");
    }

    #[test]
    fn names_are_durable_after_the_directory_was_synced() {
        let (env, _file) = disk_with_a_file();
        env.rename(&path("f"), &path("g")).unwrap();
        env.create(&path("h")).unwrap().sync().unwrap();
        let synced = env.fork();
        env.restart(Crash::Lost);
        assert_eq!(env.list(Path::new("d")).unwrap(), ["f"]);
        synced.sync_directory(Path::new("d")).unwrap();
        synced.restart(Crash::Lost);
        assert_eq!(synced.list(Path::new("d")).unwrap(), ["g", "h"]);
    }

    #[test]
    fn after_a_failed_sync_later_syncs_lie() {
        let mut lied = false;
        for seed in 0..20 {
            let (env, mut file) = disk_with_a_file();
            env.disk().random = seed;
            env.fail_at(env.operations(), Fault::InputOutput);
            file.sync().unwrap_err();
            file.sync().unwrap();
            assert_eq!(env.content(&path("f")).unwrap(), b"synced not");
            env.restart(Crash::Kept);
            lied |= env.content(&path("f")).unwrap() != b"synced not";
        }
        assert!(lied);
    }

    #[test]
    fn a_crash_ends_everything_until_the_restart() {
        let (env, mut file) = disk_with_a_file();
        env.crash_at(env.operations());
        file.append(b"x").unwrap_err();
        assert!(env.has_crashed());
        file.sync().unwrap_err();
        env.open(&path("f")).unwrap_err();
        env.restart(Crash::Lost);
        file.append(b"y").unwrap_err();
        assert_eq!(env.content(&path("f")).unwrap(), b"synced");
        let reader = env.open(&path("f")).unwrap();
        env.fail_read_at(env.reads());
        reader.size_bytes().unwrap_err();
        assert_eq!(reader.size_bytes().unwrap(), 6);
    }

    #[test]
    fn a_full_disk_is_told_apart() {
        let (env, mut file) = disk_with_a_file();
        env.fail_at(env.operations(), Fault::OutOfSpace);
        assert!(file.append(b"x").unwrap_err().is_out_of_space());
        env.set_free_bytes(3);
        assert_eq!(env.free_bytes(Path::new("d")).unwrap(), 3);
        let lock = env.lock(Path::new("d")).unwrap();
        env.lock(Path::new("d")).unwrap_err();
        drop(lock);
        env.lock(Path::new("d")).unwrap();
    }
}
