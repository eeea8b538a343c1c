//! What imports and exports have in common: which Jaeger, which part of its traces.

use std::str::FromStr;

use anyhow::{Context, anyhow};
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};

/// Which of its two gRPC contracts a Jaeger is asked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `jaeger.api_v3.QueryService`, which every Jaeger since 1.3x serves on port 16685.
    Query,
    /// `jaeger.storage.v2.TraceReader`, which Skua and Jaeger's remote storage serve on port
    /// 17271. Spans come as they were stored.
    Storage,
}

/// Where a Jaeger answers.
#[derive(Debug, Clone)]
pub struct JaegerAddress {
    /// `HOST:PORT` or `http://HOST:PORT`.
    pub address: String,
    /// By which contract.
    pub protocol: Protocol,
    /// Sent with every call.
    pub headers: Vec<Header>,
}

/// A header of a call: a tenant, a token.
#[derive(Debug, Clone)]
pub struct Header {
    pub(super) name: AsciiMetadataKey,
    pub(super) value: AsciiMetadataValue,
}

impl FromStr for Header {
    type Err = anyhow::Error;

    /// `NAME: VALUE`.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, value) =
            text.split_once(':').ok_or_else(|| anyhow!("a header is written NAME: VALUE"))?;
        let name = AsciiMetadataKey::from_str(&name.trim().to_ascii_lowercase())
            .with_context(|| format!("`{name}` is no name of a header"))?;
        let value = AsciiMetadataValue::from_str(value.trim())
            .with_context(|| format!("the value of `{name}` cannot be sent"))?;
        Ok(Self { name, value })
    }
}

/// Names and values, as a client takes them.
pub(crate) fn pairs(headers: &[Header]) -> Vec<(AsciiMetadataKey, AsciiMetadataValue)> {
    headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect()
}

/// Which traces.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// With a span that begins at this time or later, in nanoseconds since 1970.
    pub since: u64,
    /// And not after this one; now, if not given.
    pub until: Option<u64>,
    /// Of these services; of all, if there are none.
    pub services: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read() {
        let header: Header = "X-Tenant: shop".parse().unwrap();
        assert_eq!((header.name.as_str(), header.value.to_str().unwrap()), ("x-tenant", "shop"));
        for wrong in ["x-tenant", ": shop", "a b: c", "a: \u{1}"] {
            assert!(wrong.parse::<Header>().is_err(), "{wrong:?}");
        }
    }
}
