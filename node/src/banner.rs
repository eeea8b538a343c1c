//! What a node that has become ready prints: where to look, where to send, what is not secure, and
//! a line that brings the first traces.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::build_info;
use crate::config::{NodeConfig, Ports};

/// A recording that every checkout holds.
const FIRST_RECORDING: &str = "bench/data/hipster-20k.pb.zst";

/// Where `skua load` sends unless told otherwise.
const LOAD_PORT: u16 = 4317;

/// The banner of a node that took these ports. `program` is the name skua was called by, so that
/// the line to try works where it is not installed.
pub(crate) fn banner(config: &NodeConfig, ports: Ports, program: &str) -> String {
    let host = reachable(config.listen_address);
    let at = |port: u16| SocketAddr::new(host, port);
    let removed = if config.ephemeral { " (removed at exit)" } else { "" };
    let mut text = format!(
        "{line} is ready\n\n\
         UI and queries   http://{ui}\n\
         OTLP over gRPC   http://{grpc}\n\
         OTLP over HTTP   http://{http}/v1/traces\n\
         health           http://{health}/readyz\n\
         metrics          http://{metrics}/metrics\n\
         data             {data}{removed}\n\n",
        line = build_info::line(),
        ui = at(ports.ui),
        grpc = at(ports.otlp_grpc),
        http = at(ports.otlp_http),
        health = at(ports.health),
        metrics = at(ports.metrics),
        data = config.data_dir.display(),
    );
    // Writing to a string cannot fail.
    let _ = write!(text, "Try: {}\n\n", first_step(config, ports, program));
    if !config.listen_address.is_loopback() {
        let _ = write!(
            text,
            "WARNING: open access on {}: anyone who can reach this machine can read and write all \
             traces.\n\n",
            config.listen_address
        );
    }
    text
}

/// The line that brings the first traces.
fn first_step(config: &NodeConfig, ports: Ports, program: &str) -> String {
    let host = reachable(config.listen_address);
    let is_where_load_looks =
        ports.otlp_grpc == LOAD_PORT && host == IpAddr::V4(Ipv4Addr::LOCALHOST);
    let to = if is_where_load_looks {
        String::new()
    } else {
        format!(" --to {}", SocketAddr::new(host, ports.otlp_grpc))
    };
    format!("{program} load {FIRST_RECORDING} --shift-to-now{to}")
}

/// An address at which this machine reaches what listens on `address`.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_where_to_look_and_what_to_try() {
        let config = NodeConfig::default();
        let text = banner(&config, config.ports, "skua");
        assert!(text.contains("UI and queries   http://127.0.0.1:16686\n"), "{text}");
        assert!(
            text.contains("\nTry: skua load bench/data/hipster-20k.pb.zst --shift-to-now\n"),
            "{text}"
        );
        assert!(!text.contains("WARNING"), "{text}");
    }

    #[test]
    fn it_warns_of_open_access() {
        let listen_address = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let config = NodeConfig { listen_address, ..NodeConfig::default() };
        let text = banner(&config, Ports { otlp_grpc: 7, ..config.ports }, "./skua");
        assert!(text.contains("http://[::1]:16686\n"), "{text}");
        assert!(text.contains(
            "Try: ./skua load bench/data/hipster-20k.pb.zst --shift-to-now --to [::1]:7\n"
        ));
        assert!(text.contains("WARNING: open access on ::"), "{text}");
    }
}
