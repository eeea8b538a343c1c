//! The file with room that the next segment takes: made while the segment before it is written, by
//! another thread than the writer.

use crate::env::AppendFile;

/// How far the next file is.
#[derive(Debug, Default)]
pub(crate) enum Spare {
    /// Nobody needs one yet.
    #[default]
    Unwanted,
    /// The log is in use; somebody is to make it.
    Wanted,
    /// Somebody does.
    Making,
    /// Its room is durable.
    Ready(Box<dyn AppendFile>),
    /// The disk had no room for it. The next segment does without.
    Refused,
}

impl Spare {
    pub(crate) fn is_wanted(&self) -> bool {
        matches!(self, Self::Wanted)
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }

    /// Asks for one, if nobody did.
    pub(crate) fn want(&mut self) {
        if matches!(self, Self::Unwanted) {
            *self = Self::Wanted;
        }
    }

    /// True if the caller is to make it.
    pub(crate) fn begin(&mut self) -> bool {
        let is_wanted = self.is_wanted();
        if is_wanted {
            *self = Self::Making;
        }
        is_wanted
    }

    /// Takes the file for a segment that is about to be born, if it is there. A disk that had no
    /// room is asked again.
    pub(crate) fn take(&mut self) -> Option<Box<dyn AppendFile>> {
        match std::mem::take(self) {
            Self::Ready(file) => Some(file),
            Self::Unwanted | Self::Refused => None,
            under_way => {
                *self = under_way;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::env::{Env, FaultEnv};

    #[test]
    fn a_file_is_made_once_and_taken_once() {
        let mut spare = Spare::default();
        assert!(!spare.begin() && spare.take().is_none());
        spare.want();
        assert!(spare.take().is_none() && spare.begin() && !spare.begin());
        spare.want();
        assert!(spare.take().is_none() && !spare.is_wanted(), "it is under way");
        spare = Spare::Ready(FaultEnv::new(1).create(Path::new("spare")).unwrap());
        spare.want();
        assert!(spare.is_ready() && spare.take().is_some() && spare.take().is_none());
    }

    #[test]
    fn a_disk_without_room_is_asked_again_for_the_next_segment() {
        let mut spare = Spare::Refused;
        spare.want();
        assert!(!spare.is_wanted() && spare.take().is_none());
        spare.want();
        assert!(spare.begin());
    }
}
