//! A section that is read in parts, where it lies. Only one that is stored as it is can be; whoever
//! reads it verifies the parts by checksums of their own.

use model::columns::ColumnError;

use super::directory::SectionRef;
use super::{BlockError, BlockFile};

/// A section of a block that is stored as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawSection<'a> {
    block: &'a BlockFile,
    section: &'a SectionRef,
}

impl<'a> RawSection<'a> {
    /// The section, if it is stored as it is.
    pub(super) fn new(block: &'a BlockFile, section: &'a SectionRef) -> Option<Self> {
        (section.length == 0).then_some(Self { block, section })
    }

    /// Its bytes.
    pub(super) fn length(self) -> usize {
        self.section.stored_length as usize
    }

    /// Fills the buffer with what stands from `start` on.
    pub(super) fn read(self, start: usize, buffer: &mut [u8]) -> Result<(), BlockError> {
        if start.saturating_add(buffer.len()) > self.length() {
            return Err(self.damaged());
        }
        let read = self.block.read_at(self.section.offset.saturating_add(start as u64), buffer)?;
        if read == buffer.len() { Ok(()) } else { Err(self.damaged()) }
    }

    /// The error that says that it is not what was written.
    pub(super) fn damaged(self) -> BlockError {
        BlockError::Checksum {
            path: self.block.path().to_path_buf(),
            section: self.section.kind,
            offset: self.section.offset,
        }
    }

    /// The error that says what of it does not add up.
    pub(super) fn malformed(self, reason: ColumnError) -> BlockError {
        let path = self.block.path().to_path_buf();
        BlockError::Malformed { path, section: self.section.kind, reason }
    }
}
