//! What a consumer is told.

use super::encoding::KafkaEncoding;

/// Which topics of which cluster, and how to get in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// Brokers to begin with, `HOST:PORT` each.
    pub brokers: Vec<String>,
    /// Topics.
    pub topics: Vec<String>,
    /// The consumer group; all nodes of a cluster use the same and share the partitions.
    pub group: String,
    /// What a message is.
    pub encoding: KafkaEncoding,
    /// Where a group begins that has committed nothing.
    pub start: KafkaStart,
    /// Encryption, if on.
    pub tls: Option<Tls>,
    /// A name and password, if wanted.
    pub sasl: Option<Sasl>,
}

/// Where a new group begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KafkaStart {
    /// At the oldest message there is: nothing that waits is lost.
    #[default]
    Earliest,
    /// At the end.
    Latest,
}

/// Encryption.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// Certificates of authorities that are trusted, as PEM; the system's if not given.
    pub authorities: Option<String>,
    /// This client's certificate, as PEM.
    pub certificate: Option<String>,
    /// Its key, as PEM.
    pub key: Option<String>,
}

/// Who this client is.
#[derive(Clone, PartialEq, Eq)]
pub struct Sasl {
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: String,
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Sasl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Sasl");
        shown.field("mechanism", &self.mechanism).field("username", &self.username);
        shown.finish_non_exhaustive()
    }
}
