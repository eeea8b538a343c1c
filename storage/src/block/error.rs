//! What can be wrong with a block.

use std::path::{Path, PathBuf};

use model::batch::BatchError;
use model::columns::ColumnError;

use super::SectionKind;
use crate::env::EnvError;

/// Why a block, or a part of it, cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The file system refused.
    #[error("block {}", path.display())]
    Env {
        /// The file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: EnvError,
    },
    /// The file is not a block.
    #[error("{} is not a block: {reason}", path.display())]
    NotABlock {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: &'static str,
    },
    /// A later version of Skua wrote it.
    #[error("{} has block version {version}, which is newer than this program", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version found.
        version: u8,
    },
    /// A section does not have its checksum, or lies outside the file.
    #[error("{}: section {section:?} at byte {offset} is damaged", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Which section.
        section: SectionKind,
        /// Where it begins.
        offset: u64,
    },
    /// A section has its checksum but makes no sense.
    #[error("{}: section {section:?} makes no sense: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Which section.
        section: SectionKind,
        /// What does not add up.
        reason: ColumnError,
    },
    /// A page cannot be read.
    #[error("{}: the page at byte {offset}", path.display())]
    Page {
        /// The file.
        path: PathBuf,
        /// Where the page begins.
        offset: u64,
        /// What is wrong with it.
        #[source]
        source: BatchError,
    },
}

impl BlockError {
    /// The file.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Env { path, .. }
            | Self::NotABlock { path, .. }
            | Self::Version { path, .. }
            | Self::Checksum { path, .. }
            | Self::Malformed { path, .. }
            | Self::Page { path, .. } => Some(path),
        }
    }

    /// True if bytes on the disk are not what was written. A version that nobody has written yet
    /// is that too: whether data are a newer program's stands in [`crate::meta::NodeMeta`], which
    /// every start looks at first.
    pub fn is_corruption(&self) -> bool {
        match self {
            Self::Env { .. } => false,
            Self::NotABlock { .. }
            | Self::Version { .. }
            | Self::Checksum { .. }
            | Self::Malformed { .. }
            | Self::Page { .. } => true,
        }
    }

    /// True if the disk is full.
    pub fn is_out_of_space(&self) -> bool {
        matches!(self, Self::Env { source, .. } if source.is_out_of_space())
    }
}
