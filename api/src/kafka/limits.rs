//! Every bound of the consumer, each with its reason.
#![cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "they bound the consumer"))]

use std::time::Duration;

/// Bytes of OTLP that are gathered before they are appended: a full entry's worth.
pub(super) const BATCH_BYTES_MAX: usize = 512 << 10;
/// Messages that are gathered before they are appended; of the encodings with one span a message,
/// as many as fill a batch.
pub(super) const BATCH_MESSAGES_MAX: usize = 2_000;
/// Batches on their way at once: while one waits for its disk, others are gathered and sent.
pub(super) const BATCHES_IN_FLIGHT_MAX: usize = 4;
/// The first pause before a batch is appended again.
pub(super) const RETRY_PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest one.
pub(super) const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long to wait after Kafka reported an error; librdkafka tries again by itself meanwhile.
pub(super) const ERROR_PAUSE: Duration = Duration::from_secs(1);
/// Kibibytes that librdkafka may read ahead; its own default is 64 MiB a partition.
pub(super) const READ_AHEAD_KIB: usize = 16 << 10;
/// Bytes of one fetch from one partition.
pub(super) const FETCH_BYTES_MAX: usize = 1 << 20;
/// How often offsets are committed.
pub(super) const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// How often a message that is passed over is named in the log; the counter counts each.
pub(super) const REFUSAL_WARNING_INTERVAL: Duration = Duration::from_secs(10);
