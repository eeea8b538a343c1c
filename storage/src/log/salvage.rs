//! Makes a damaged log one that opens, at the price of everything behind the damage.
//!
//! The log says where it is damaged; there it is cut, what follows is set aside, and it is asked
//! again. Nothing is removed: whole files go aside, of one that is cut a copy. Entries are lost,
//! also sound ones behind the damage, so this is never done without somebody who decided so.

use std::path::{Path, PathBuf};

use super::LogError;
use super::open::{LogOptions, open_log};
use super::segment::{TEMPORARY_SUFFIX, parse_name};
use crate::env::Env;

/// Bytes copied at a time.
const COPY_BYTES: usize = 1 << 20;

/// A place where the log was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The file.
    pub file: PathBuf,
    /// What is left of it; nothing if all of it was set aside.
    pub kept_bytes: u64,
    /// What was wrong there.
    pub reason: String,
}

/// Cuts the log in `directory` until it opens; what was cut off is in `aside`. Says where.
pub fn salvage(
    env: &dyn Env,
    directory: &Path,
    aside: &Path,
    options: &LogOptions,
) -> Result<Vec<Cut>, LogError> {
    let mut cuts: Vec<Cut> = Vec::new();
    // Each turn takes a file away or makes one shorter, so there is an end to it.
    loop {
        let (file, offset, reason) = match open_log(env, directory, options) {
            Ok(_) => return Ok(cuts),
            Err(error) => match &error {
                LogError::Corrupt { file, offset, damage } => {
                    (file.clone(), *offset, damage.to_string())
                }
                _ => return Err(error),
            },
        };
        let was_cut_before = cuts.iter().any(|cut| cut.file == file && cut.kept_bytes <= offset);
        let kept_bytes = if was_cut_before { 0 } else { offset };
        cut(env, &file, kept_bytes, aside)?;
        cuts.push(Cut { file, kept_bytes, reason });
    }
}

/// Sets aside what follows a place of a file, and all younger files.
fn cut(env: &dyn Env, file: &Path, kept_bytes: u64, aside: &Path) -> Result<(), LogError> {
    let (Some(directory), Some(name)) = (file.parent(), file.file_name().and_then(|n| n.to_str()))
    else {
        return Ok(());
    };
    env.create_directory(aside)?;
    let damaged = parse_name(name);
    for other in env.list(directory)? {
        let number = parse_name(&other);
        if number > damaged || number == damaged && kept_bytes == 0 {
            env.rename(&directory.join(&other), &aside.join(&other))?;
        }
    }
    if kept_bytes > 0 {
        copy(env, file, &aside.join(name), u64::MAX)?;
        env.sync_directory(aside)?;
        let shorter = directory.join(format!("salvaged{TEMPORARY_SUFFIX}"));
        copy(env, file, &shorter, kept_bytes)?;
        env.rename(&shorter, file)?;
    }
    env.sync_directory(aside)?;
    Ok(env.sync_directory(directory)?)
}

/// Copies the beginning of a file to another one, which is made anew.
fn copy(env: &dyn Env, from: &Path, to: &Path, bytes_max: u64) -> Result<(), LogError> {
    if let (Some(directory), Some(name)) = (to.parent(), to.file_name().and_then(|n| n.to_str()))
        && env.list(directory)?.iter().any(|there| there == name)
    {
        env.remove(to)?;
    }
    let source = env.open(from)?;
    let mut copy = env.create(to)?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut offset = 0;
    while offset < bytes_max {
        let left = usize::try_from(bytes_max - offset).unwrap_or(usize::MAX).min(COPY_BYTES);
        let read = source.read_at(offset, buffer.get_mut(..left).unwrap_or_default())?;
        if read == 0 {
            break;
        }
        copy.append(buffer.get(..read).unwrap_or_default())?;
        offset += read as u64;
    }
    Ok(copy.sync()?)
}
