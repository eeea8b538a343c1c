//! The names of what was promised, and one breach.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A promise, by its id in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Invariant {
    /// Acknowledged spans are never lost.
    Dur1,
    /// Nothing appears that was never sent.
    Dur2,
    /// Contents are a set.
    Set,
    /// Replicas hold the same.
    Rep2,
    /// An incomplete answer says so, and what it lacks.
    Qry2,
    /// What was acknowledged before a question is in its answer.
    Qry3,
    /// Refusals are classified.
    Api1,
    /// Nothing goes before its retention.
    Ret1,
    /// Tenants see nothing of each other.
    Ten1,
    /// It recovers by itself.
    Liv1,
}

impl fmt::Display for Invariant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Dur1 => "DUR-1",
            Self::Dur2 => "DUR-2",
            Self::Set => "SET",
            Self::Rep2 => "REP-2",
            Self::Qry2 => "QRY-2",
            Self::Qry3 => "QRY-3",
            Self::Api1 => "API-1",
            Self::Ret1 => "RET-1",
            Self::Ten1 => "TEN-1",
            Self::Liv1 => "LIV-1",
        })
    }
}

/// One breach of a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Of which promise.
    pub invariant: Invariant,
    /// When it was noticed.
    pub at_ns: u64,
    /// What happened.
    pub what: String,
}
