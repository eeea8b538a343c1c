//! A shard as a replicated state machine.
//!
//! Storage seals by itself and says how far; so the cut is the shard's seal cut, and there is
//! nothing to do at a checkpoint.

use std::sync::Arc;

use bytes::Bytes;
use model::batch::Batch;
use storage::entry::{self, Body};
use storage::log::LogIndex;
use storage::mutant::{self, Mutant};
use storage::shard::{
    Applied, BatchOutcome, BlockName, MissingBlock, Scrubbed, Shard, ShardSnapshot,
};

use super::limits::{APPLY_AT_ONCE_SPANS_MAX, APPLY_AT_ONCE_UNPACKED_BYTES_MAX};
use super::machine::{FileName, Machine, MachineError, MachineSnapshot, MissingFile};
use super::types::Outcome;

/// A shard's state, replicated.
#[derive(Debug)]
pub struct ShardMachine {
    shard: Arc<Shard>,
}

impl ShardMachine {
    /// Over a shard whose log records are unwrapped by [`super::unwrap`].
    pub fn new(shard: Arc<Shard>) -> Self {
        Self { shard }
    }

    /// Whether entries before this one never came. A leader whose log is purged while it sends may
    /// leave some out; a replica that went on would lack acknowledged spans and not know it.
    fn leaves_gap(&self, index: LogIndex) -> bool {
        self.shard.applied().map_or(LogIndex(0), LogIndex::next) < index
    }

    /// The shard.
    pub fn shard(&self) -> &Arc<Shard> {
        &self.shard
    }
}

impl Machine for ShardMachine {
    fn apply(&self, index: LogIndex, entry: &Bytes) -> Result<Outcome, MachineError> {
        if self.leaves_gap(index) {
            let reason = format!("entries are missing before entry {index}");
            return Err(MachineError::Failed { reason });
        }
        let applied = self.shard.apply(index, entry)?;
        if let Some(reason) = refusal(&applied) {
            return Ok(Outcome::Refused { reason: reason.into() });
        }
        if let Some(epoch) = fenced(&applied) {
            return Ok(Outcome::Fenced { epoch });
        }
        let mark = applied.mark.map(|mark| mark.0.to_be_bytes().to_vec());
        Ok(Outcome::Applied(mark.unwrap_or_default().into()))
    }

    fn is_brief(&self, entry: &Bytes) -> bool {
        adds_little(entry)
    }

    fn pass(&self, index: LogIndex) {
        // Behind a gap nothing is passed over: the next entry of the shard's then tells of it.
        if !self.leaves_gap(index) {
            self.shard.pass(index);
        }
    }

    fn cut(&self) -> Option<LogIndex> {
        self.shard.seal_cut()
    }

    fn checkpoint(&self) -> Result<(), MachineError> {
        Ok(())
    }

    fn purgeable(&self) -> Option<LogIndex> {
        self.shard.purgeable()
    }

    fn snapshot(&self) -> Result<MachineSnapshot, MachineError> {
        let snapshot = self.shard.snapshot_at_cut()?.ok_or(MachineError::NotYet)?;
        let ShardSnapshot { cut, manifest, pin } = snapshot;
        Ok(MachineSnapshot { index: cut, manifest, pin: Arc::new(pin) })
    }

    fn read_stretch(
        &self,
        file: &FileName,
        offset: u64,
        length: usize,
    ) -> Result<Bytes, MachineError> {
        let name = BlockName::from_bytes(&file.0).ok_or(MachineError::NoSuchFile)?;
        let stretch = self.shard.read_snapshot_block(name, offset, length)?;
        stretch.ok_or(MachineError::NoSuchFile)
    }

    fn is_sound(&self, file: &FileName) -> Result<bool, MachineError> {
        if mutant::is(Mutant::DamageOffered) {
            return Ok(true);
        }
        let name = BlockName::from_bytes(&file.0).ok_or(MachineError::NoSuchFile)?;
        let scrubbed = self.shard.scrub_snapshot_block(name).ok_or(MachineError::NoSuchFile)?;
        Ok(scrubbed != Scrubbed::Damaged)
    }

    fn cut_of(&self, manifest: &Bytes) -> Result<LogIndex, MachineError> {
        self.shard.snapshot_cut(manifest).map_err(bad_snapshot)
    }

    fn missing_files(&self, manifest: &Bytes) -> Result<Vec<MissingFile>, MachineError> {
        let missing = self.shard.missing_blocks(manifest).map_err(bad_snapshot)?;
        let file = |block: MissingBlock| MissingFile {
            file: FileName(Bytes::copy_from_slice(&block.name.to_bytes())),
            bytes: block.name.bytes,
            bytes_present: block.bytes_present,
        };
        Ok(missing.into_iter().map(file).collect())
    }

    fn put_stretch(
        &self,
        _: &Bytes,
        file: &FileName,
        offset: u64,
        bytes: &Bytes,
    ) -> Result<(), MachineError> {
        let name = BlockName::from_bytes(&file.0).ok_or(MachineError::NoSuchFile)?;
        self.shard.put_snapshot_block(name, offset, bytes).map_err(bad_snapshot)
    }

    fn install(&self, manifest: &Bytes) -> Result<(), MachineError> {
        self.shard.install_snapshot(manifest).map_err(bad_snapshot)
    }
}

/// What is wrong with what was received is the sender's; the rest is this storage's.
fn bad_snapshot(error: storage::Error) -> MachineError {
    match error {
        storage::Error::Manifest { .. } => MachineError::BadSnapshot { reason: error.to_string() },
        storage::Error::Block(block) if block.is_corruption() => {
            MachineError::BadSnapshot { reason: block.to_string() }
        }
        error => MachineError::Storage(error),
    }
}

/// Whether an entry adds spans, and few of them. What removes data frees all of it, and a mark
/// counts it; and a few bytes may be much when they are unpacked.
fn adds_little(entry: &Bytes) -> bool {
    let Ok(Body::Data(batches)) = entry::decode(entry).map(|entry| entry.body) else {
        return false;
    };
    let (mut spans, mut bytes) = (0_usize, 0_usize);
    for slice in batches {
        let Ok(batch) = Batch::open(slice.bytes) else { return false };
        let [index, index_raw, ..] = batch.unpacked_lengths();
        spans = spans.saturating_add(batch.header().span_count as usize);
        bytes = bytes.saturating_add(index).saturating_add(index_raw);
    }
    spans <= APPLY_AT_ONCE_SPANS_MAX && bytes <= APPLY_AT_ONCE_UNPACKED_BYTES_MAX
}

/// Why the shard refused a batch of an entry, if it did.
fn refusal(applied: &Applied) -> Option<String> {
    applied.batches.iter().find_map(|outcome| match outcome {
        BatchOutcome::Refused(refusal) => Some(refusal.to_string()),
        _ => None,
    })
}

/// The epoch that a batch of an entry came too late for, if one did. An entry has one batch.
fn fenced(applied: &Applied) -> Option<u32> {
    applied.batches.iter().find_map(|outcome| match outcome {
        BatchOutcome::Fenced { epoch } => Some(*epoch),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use model::batch::{Builder, encode};
    use model::store::RequestDigest;
    use model::testing::{Generator, tell_spans};
    use model::{BatchId, Span, Tenant, Timestamp};

    use super::*;
    use crate::raft::limits::APPLY_AT_ONCE_BYTES_MAX;

    fn entry_of(spans: &[Span]) -> Bytes {
        let mut builder = Builder::new(Tenant::new("acme").unwrap());
        builder.begin_request(RequestDigest([1; 16]));
        tell_spans(spans, &mut builder);
        let batch = Bytes::from(encode(&builder, BatchId([1; 16])));
        entry::encode_data(Timestamp(1), 1, &[batch]).unwrap()
    }

    #[test]
    fn what_is_small_only_as_it_is_packed_is_not_brief() {
        let mut spans = Generator::new(7).spans(5);
        assert!(adds_little(&entry_of(&spans)));
        assert!(!adds_little(&entry_of(&vec![spans[0].clone(); APPLY_AT_ONCE_SPANS_MAX + 1])));
        spans[0].name = "long".repeat(APPLY_AT_ONCE_UNPACKED_BYTES_MAX / 4).into();
        let entry = entry_of(&spans);
        assert!(entry.len() <= APPLY_AT_ONCE_BYTES_MAX, "{} bytes", entry.len());
        assert!(!adds_little(&entry));
        assert!(!adds_little(&entry::encode_mark(Timestamp(1), 1)));
        assert!(!adds_little(&Bytes::from_static(b"no entry")));
    }
}
