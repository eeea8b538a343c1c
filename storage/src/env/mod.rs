//! The seam between storage and the file system.
//!
//! Everything above works on [`Env`]: [`OsEnv`] is the real one and the only code that calls
//! `std::fs`; [`FaultEnv`] is a modelled disk that forgets what was not synced. The model is
//! stricter than most file systems: a file's bytes are durable after a sync of the file, its name
//! after a sync of the directory, and neither implies the other.
//!
//! What is absent on purpose: truncating, and overwriting what was appended. Files are appended to,
//! renamed and removed, nothing else. A file may be created with room, which is zeros that appends
//! replace, so a reader never sees bytes change under it but zeros behind the end.

mod error;
#[cfg(any(test, feature = "testing"))]
mod fault;
mod os;
mod seam;

pub use error::EnvError;
#[cfg(any(test, feature = "testing"))]
pub use fault::{Crash, Fault, FaultEnv};
pub use os::OsEnv;
pub use seam::{AppendFile, DirectoryLock, DiskSpace, Env, ReadFile};
