//! What a node is told: defaults < file < environment < flags, checked and typed.
//!
//! The rest of the program sees [`NodeConfig`] and nothing else; this is the one place that reads
//! the environment. [`settings`] is the table that every source, `--help`, `config print` and the
//! reference in `docs/operations/configuration.md` are made from.
//!
//! Invariants: a key that no setting has is an error and names the nearest one; every fault of a
//! configuration is reported at once, each with the place it came from; nothing is read twice.
//!
//! Not here: compile-time bounds (each crate's `limits.rs`) and what the data directory itself
//! remembers (its number of shards, its ids).

mod error;
mod file;
mod print;
mod reference;
mod resolve;
pub mod settings;
mod strategies_source;
pub mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use cluster::upkeep::DiskCap;
use model::Tenant;

pub use self::error::{ConfigError, Problem};
pub use self::file::FileLayer;
pub use self::print::to_yaml;
pub use self::reference::reference;
use api::kafka::{KafkaEncoding, KafkaStart};

pub(crate) use self::reference::wrap;
pub use self::resolve::{Loaded, Origin, Sources, resolve};
pub use self::strategies_source::StrategiesSource;
use crate::cli::SettingFlags;
use crate::files;

/// Most shards that one node is asked to hold: each has a builder and a head of its own, and
/// small batches are ruinous.
pub const SHARDS_MAX: u16 = 256;

/// A checked configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "settings that are switches")]
pub struct NodeConfig {
    /// Directory of all data.
    pub data_dir: PathBuf,
    /// Whether the data directory is removed when the node stops.
    pub ephemeral: bool,
    /// Address that every port binds to.
    pub listen_address: IpAddr,
    /// Whether listening beyond this machine without credentials was agreed to.
    pub open_access: bool,
    /// Label of the node.
    pub node_name: String,
    /// Number of shards of a new data directory.
    pub shards: Option<u16>,
    /// What it is told of its cluster.
    pub cluster: ClusterSettings,
    /// Ports as asked for; 0 is any free one.
    pub ports: Ports,
    /// Where to write the ports that were taken.
    pub ports_file: Option<PathBuf>,
    /// How long the node still serves after it said that it is not ready any more.
    pub drain_delay: Duration,
    /// The header that names the tenant of a request; none if there is one tenant.
    pub tenancy: Option<String>,
    /// Tenants there may be; none if any may.
    pub tenants: BTreeSet<Tenant>,
    /// Where sampling strategies are.
    pub sampling_strategies: Option<StrategiesSource>,
    /// How often they are read again; zero for only when told to.
    pub sampling_reload: Duration,
    /// Whether probabilities are computed from what comes in.
    pub sampling_adaptive: bool,
    /// Traces a second that they aim at for each operation.
    pub sampling_target: u32,
    /// Whether remote storage may be told to remove everything.
    pub allow_purge: bool,
    /// What every path of the UI's port begins with; empty for nothing.
    pub base_path: String,
    /// Where the files of a stock Jaeger UI are, if one is served.
    pub ui_dir: Option<PathBuf>,
    /// Its configuration.
    pub ui_config: Option<PathBuf>,
    /// What is consumed from Kafka.
    pub kafka: KafkaSettings,
    /// Whether the metrics tell rates, errors and durations of what is traced.
    pub red_metrics: bool,
    /// How long spans are kept after they were received.
    pub retention: model::Duration,
    /// How much of the disk data may take before the oldest go early.
    pub retention_disk: DiskCap,
    /// How often every block is read to its last byte.
    pub scrub_every: model::Duration,
    /// Form of the log.
    pub log_format: LogFormat,
    /// What is logged.
    pub log_filter: String,
}

/// An advertised address without its port, if it has one.
pub(crate) fn advertised_host(advertised: &str) -> &str {
    if advertised.parse::<IpAddr>().is_ok() {
        return advertised;
    }
    let host = advertised.rsplit_once(':').map_or(advertised, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// What a node is told of a Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// Where it is; nothing is consumed if this is empty.
    pub brokers: Vec<String>,
    /// What to consume.
    pub topics: Vec<String>,
    /// As whom.
    pub group: String,
    /// What a message is.
    pub encoding: KafkaEncoding,
    /// Where a new group begins.
    pub start: KafkaStart,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Who is trusted, if not whom the system trusts.
    pub tls_authorities: Option<PathBuf>,
    /// This client's certificate.
    pub tls_certificate: Option<PathBuf>,
    /// And its key.
    pub tls_key: Option<PathBuf>,
    /// How a password is proved.
    pub sasl_mechanism: String,
    /// A name, if one is wanted.
    pub sasl_username: Option<String>,
    /// Where the password is.
    pub sasl_password_file: Option<PathBuf>,
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            topics: vec!["jaeger-spans".to_owned()],
            group: "skua".to_owned(),
            encoding: KafkaEncoding::default(),
            start: KafkaStart::default(),
            tls: false,
            tls_authorities: None,
            tls_certificate: None,
            tls_key: None,
            sasl_mechanism: "PLAIN".to_owned(),
            sasl_username: None,
            sasl_password_file: None,
        }
    }
}

/// What a node that is not alone is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSettings {
    /// Where to find other nodes; none for a node that is alone.
    pub seeds: Vec<String>,
    /// With how many nodes a cluster is founded.
    pub expected_nodes: usize,
    /// Whether it may only join one.
    pub join_only: bool,
    /// Copies of each shard, if said.
    pub replication_factor: Option<u32>,
    /// Where others reach it, if said.
    pub advertise_address: Option<String>,
    /// Where the cluster's key is.
    pub key_file: Option<PathBuf>,
    /// What may fail together with it.
    pub zone: String,
    /// Bytes of the log that are kept for replicas that lag.
    pub log_kept_bytes: u64,
    /// Port for other nodes.
    pub rpc_port: u16,
    /// Port of gossip.
    pub gossip_port: u16,
}

impl Default for ClusterSettings {
    fn default() -> Self {
        Self {
            seeds: Vec::new(),
            expected_nodes: 1,
            join_only: false,
            replication_factor: None,
            advertise_address: None,
            key_file: None,
            zone: String::new(),
            log_kept_bytes: cluster::host::limits::LOG_KEPT_BYTES,
            rpc_port: 7947,
            gossip_port: 7946,
        }
    }
}

/// Copies of a shard unless said, if there are as many nodes.
const REPLICATION_FACTOR: u32 = 3;

/// Shards for each expected node unless said: few, because small batches are dear.
const SHARDS_PER_NODE: u16 = 2;

impl NodeConfig {
    /// Whether the node is to be one of several.
    pub fn is_clustered(&self) -> bool {
        !self.cluster.seeds.is_empty()
    }

    /// Shards of a new cluster, or of a new node alone.
    pub fn shard_count(&self) -> u16 {
        let nodes = u16::try_from(self.cluster.expected_nodes).unwrap_or(u16::MAX);
        self.shards.unwrap_or(nodes.saturating_mul(SHARDS_PER_NODE).min(SHARDS_MAX))
    }

    /// Copies of each shard of a new cluster.
    pub fn replication_factor(&self) -> u32 {
        let nodes = u32::try_from(self.cluster.expected_nodes).unwrap_or(u32::MAX);
        self.cluster.replication_factor.unwrap_or(REPLICATION_FACTOR.min(nodes))
    }
}

/// The ports of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Ports {
    /// OTLP over gRPC.
    pub otlp_grpc: u16,
    /// OTLP over HTTP.
    pub otlp_http: u16,
    /// UI, Jaeger's query API, Skua's own API.
    pub ui: u16,
    /// Health.
    pub health: u16,
    /// Metrics.
    pub metrics: u16,
    /// Jaeger's `api_v2` collector over gRPC.
    pub jaeger_grpc: u16,
    /// Jaeger's Thrift over HTTP.
    pub jaeger_http: u16,
    /// Jaeger's compact Thrift over UDP.
    pub jaeger_compact: u16,
    /// Jaeger's binary Thrift over UDP.
    pub jaeger_binary: u16,
    /// Zipkin.
    pub zipkin: u16,
    /// Jaeger's query services over gRPC.
    pub query_grpc: u16,
    /// Sampling strategies over HTTP.
    pub sampling_http: u16,
    /// Sampling strategies over gRPC.
    pub sampling_grpc: u16,
    /// Jaeger's remote storage.
    pub remote_storage: u16,
}

impl Default for Ports {
    /// Those of the doors themselves.
    fn default() -> Self {
        let api::Doors {
            otlp_grpc,
            otlp_http,
            ui,
            health,
            metrics,
            jaeger_grpc,
            jaeger_http,
            jaeger_compact,
            jaeger_binary,
            zipkin,
            query_grpc,
            sampling_http,
            sampling_grpc,
            remote_storage,
        } = api::Ports::default();
        Self {
            otlp_grpc,
            otlp_http,
            ui,
            health,
            metrics,
            jaeger_grpc,
            jaeger_http,
            jaeger_compact,
            jaeger_binary,
            zipkin,
            query_grpc,
            sampling_http,
            sampling_grpc,
            remote_storage,
        }
    }
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./skua-data"),
            ephemeral: false,
            listen_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            open_access: false,
            node_name: String::new(),
            shards: None,
            cluster: ClusterSettings::default(),
            ports: Ports::default(),
            tenancy: None,
            tenants: BTreeSet::new(),
            sampling_strategies: None,
            sampling_reload: Duration::from_mins(1),
            sampling_adaptive: false,
            sampling_target: 1,
            allow_purge: false,
            base_path: String::new(),
            ui_dir: None,
            ui_config: None,
            kafka: KafkaSettings::default(),
            red_metrics: true,
            ports_file: None,
            drain_delay: Duration::from_secs(5),
            retention: model::Duration::from_secs(7 * 24 * 60 * 60),
            retention_disk: DiskCap::default(),
            scrub_every: model::Duration::from_secs(24 * 3_600),
            log_format: LogFormat::Auto,
            // What consensus says of itself is for whoever looks for a bug in it.
            log_filter: "info,openraft=error".to_owned(),
        }
    }
}

impl LogFormat {
    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Json => "json",
        }
    }

    /// The form of a name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Auto, Self::Text, Self::Json].into_iter().find(|format| format.name() == name)
    }
}

/// Reads every source and puts them together.
pub fn load(flags: &SettingFlags) -> Result<Loaded, ConfigError> {
    let environment = environment();
    let path = flags
        .config
        .clone()
        .or_else(|| environment.get("SKUA_CONFIG").filter(|path| !path.is_empty()).map(Into::into));
    let file = path.map(|path| FileLayer::read(&path)).transpose()?;
    let flags = flags.values.clone();
    resolve(&Sources { flags, environment, file, host_name: files::host_name() })
}

/// The variables that begin with `SKUA_`. One that is not text is read with replacements, and its
/// value refused where it matters.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        })
        .filter(|(name, _)| name.starts_with("SKUA_"))
        .collect()
}
