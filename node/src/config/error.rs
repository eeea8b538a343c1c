//! What is wrong with a configuration, each problem with the place it came from.

use std::fmt;
use std::path::PathBuf;

use super::resolve::Origin;

/// A configuration that cannot be used, with everything that is wrong with it.
#[derive(Debug)]
pub struct ConfigError {
    /// Never empty.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {reason}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The file is not a YAML mapping of keys to plain values.
    #[error("the configuration file {} is not as expected: {reason}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What the parser says, with the place.
        reason: String,
    },
    /// No setting has this key.
    #[error("{origin}: unknown key `{key}`{}", hint(*nearest))]
    UnknownKey {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
        /// The setting whose key is nearest, if one is near.
        nearest: Option<&'static str>,
    },
    /// A setting cannot take this value.
    #[error("{origin}: `{key}` cannot be `{value}`: {reason}")]
    BadValue {
        /// Where it stands.
        origin: Origin,
        /// The setting.
        key: &'static str,
        /// The value.
        value: String,
        /// Why not.
        reason: String,
    },
    /// What is said does not go together.
    #[error("{reason}")]
    Cluster {
        /// What does not, and what to say instead.
        reason: &'static str,
    },
    /// Other machines could reach the node, and nobody agreed to that.
    #[error(
        "{origin}: listening on {address} lets anyone who can reach this machine read and write \
         all traces, because there are no credentials yet; agree with --open-access (or \
         SKUA_OPEN_ACCESS=true), or listen on 127.0.0.1"
    )]
    NeedsOpenAccess {
        /// Where the address stands.
        origin: Origin,
        /// The address.
        address: std::net::IpAddr,
    },
    /// Two listeners were given one port.
    #[error("`{first}` and `{second}` are both {port}")]
    PortTwice {
        /// One setting.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// Their port.
        port: u16,
    },
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{problem}")?;
        }
        Ok(())
    }
}

fn hint(nearest: Option<&'static str>) -> String {
    match nearest {
        Some(key) => format!("; did you mean `{key}`?"),
        None => "; `skua config print` shows every key".to_owned(),
    }
}
