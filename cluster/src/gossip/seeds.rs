//! Where to begin: names that are resolved again and again until enough nodes are known.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use tokio::net::lookup_host;
use tokio::time::timeout;

use super::limits::{RESOLVE_DEADLINE, SEED_ADDRESSES_MAX};

/// Addresses of gossip, by name. One name may stand for many nodes.
#[derive(Debug, Clone, Default)]
pub struct Seeds {
    names: Vec<String>,
    expected_nodes: usize,
}

impl Seeds {
    /// Seeds given as hosts with or without a port (of whatever service): gossip is looked for at
    /// `gossip_port` of each. Resolved while fewer than `expected_nodes` are known, this one
    /// included.
    pub fn new(hosts: &[String], gossip_port: u16, expected_nodes: usize) -> Self {
        let names = hosts.iter().map(|host| format!("{}:{gossip_port}", without_port(host)));
        Self { names: names.collect(), expected_nodes }
    }

    /// Whether a node that knows `others` should look for more.
    pub(crate) fn are_wanted(&self, others: usize) -> bool {
        !self.names.is_empty() && others + 1 < self.expected_nodes
    }

    /// All addresses of all names. A name that cannot be resolved has none, for now.
    pub(crate) async fn resolve(&self) -> BTreeSet<SocketAddr> {
        let deadline = std::time::Duration::from_nanos(RESOLVE_DEADLINE.0);
        let lookups = self.names.iter().map(|name| async move {
            match timeout(deadline, lookup_host(name)).await {
                Ok(Ok(addresses)) => addresses.take(SEED_ADDRESSES_MAX).collect(),
                Ok(Err(error)) => {
                    tracing::debug!(%name, %error, "a seed cannot be resolved");
                    Vec::new()
                }
                Err(_) => {
                    tracing::debug!(%name, "a seed cannot be resolved in time");
                    Vec::new()
                }
            }
        });
        let resolved = futures_util::future::join_all(lookups).await;
        resolved.into_iter().flatten().take(SEED_ADDRESSES_MAX).collect()
    }
}

/// The host of `host`, `host:port`, `[v6]:port` or a bare IPv6 address, which is put in brackets.
fn without_port(host: &str) -> String {
    if host.parse::<std::net::Ipv6Addr>().is_ok() {
        return format!("[{host}]");
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name.to_owned(),
        _ => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_other_services_are_replaced() {
        for (host, expected) in [
            ("node-1.nodes", "node-1.nodes"),
            ("node-1.nodes:7947", "node-1.nodes"),
            ("127.0.0.2", "127.0.0.2"),
            ("127.0.0.2:7947", "127.0.0.2"),
            ("::1", "[::1]"),
            ("[::1]", "[::1]"),
            ("[::1]:7947", "[::1]"),
        ] {
            assert_eq!(without_port(host), expected);
        }
        let seeds = Seeds::new(&["a:1".into()], 7946, 3);
        assert!(seeds.are_wanted(1) && !seeds.are_wanted(2));
        assert!(!Seeds::new(&[], 7946, 3).are_wanted(0));
    }

    #[tokio::test]
    async fn what_cannot_be_resolved_has_no_address() {
        let hosts = ["127.0.0.7:1".to_owned(), "not a name".to_owned()];
        let found = Seeds::new(&hosts, 7946, 3).resolve().await;
        assert_eq!(found, BTreeSet::from(["127.0.0.7:7946".parse().unwrap()]));
    }
}
