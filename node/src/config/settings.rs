//! The table of settings: one row gives a setting its flag, its environment variable, its key in
//! the file, its default, its text in `--help` and in the reference, and its reader.
//!
//! Invariant: a setting's names follow from its key. `ui-port` is `--ui-port` on the command line,
//! `SKUA_UI_PORT` in the environment and `ui-port` in the file. A setting that has no effect yet
//! has no row; the few rows marked hidden exist to refuse what other rows will one day allow.

use api::kafka::KafkaStart;
use cluster::upkeep::DiskCap;
use model::Tenant;

use super::{LogFormat, NodeConfig, StrategiesSource, units};

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its key in the file; the other names follow from it.
    pub key: &'static str,
    /// What its value is called in `--help`.
    pub value_name: &'static str,
    /// Its default as one would write it; none if it is unset or found out at start.
    pub default: Option<&'static str>,
    /// The default in words, where `default` cannot say it.
    pub default_note: &'static str,
    /// What it does.
    pub help: &'static str,
    /// Whether `--help` and the reference leave it out.
    pub hidden: bool,
    /// Reads a value into the configuration; the error says what is wrong with it.
    pub apply: fn(&mut NodeConfig, &str) -> Result<(), String>,
    /// The value as one would write it; none if unset.
    pub show: fn(&NodeConfig) -> Option<String>,
}

impl Setting {
    /// The setting of a key.
    pub fn of(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// Its environment variable.
    pub fn variable(&self) -> String {
        format!("SKUA_{}", self.key.to_ascii_uppercase().replace('-', "_"))
    }

    /// Whether its flag may stand without a value.
    pub fn is_switch(&self) -> bool {
        self.value_name == SWITCH
    }
}

/// The value name of switches.
const SWITCH: &str = "BOOL";

/// A row with nothing set; the rows below fill in what is theirs.
const ROW: Setting = Setting {
    key: "",
    value_name: "",
    default: None,
    default_note: "",
    help: "",
    hidden: false,
    apply: |_, _| Ok(()),
    show: |_| None,
};

/// Every setting, in the order of `--help`, `config print` and the reference.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "data-dir",
        value_name: "DIR",
        default: Some("./skua-data"),
        default_note: "a new directory under the system's temporary one if `ephemeral` is on",
        help: "Directory that holds everything the node must not forget. It is created if it does \
               not exist, and locked: two nodes never share one.",
        apply: |config, text| {
            config.data_dir = non_empty(text)?.into();
            Ok(())
        },
        show: |config| Some(config.data_dir.display().to_string()),
        ..ROW
    },
    Setting {
        key: "ephemeral",
        value_name: SWITCH,
        default: Some("false"),
        help: "Remove the data directory when the node stops. Refused for a directory that holds \
               anything an ephemeral node did not put there.",
        apply: |config, text| switch(text).map(|value| config.ephemeral = value),
        show: |config| Some(config.ephemeral.to_string()),
        ..ROW
    },
    Setting {
        key: "listen-address",
        value_name: "IP",
        default: Some("127.0.0.1"),
        help: "Address that every port binds to. An address that other machines can reach needs \
               `open-access`.",
        apply: |config, text| {
            config.listen_address =
                text.parse().map_err(|_| "an IP address is expected".to_owned())?;
            Ok(())
        },
        show: |config| Some(config.listen_address.to_string()),
        ..ROW
    },
    Setting {
        key: "open-access",
        value_name: SWITCH,
        default: Some("false"),
        help: "Let anyone who can reach the node read and write all traces. There are no \
               credentials yet, so listening beyond this machine needs this consent.",
        apply: |config, text| switch(text).map(|value| config.open_access = value),
        show: |config| Some(config.open_access.to_string()),
        ..ROW
    },
    Setting {
        key: "node-name",
        value_name: "NAME",
        default_note: "the host's name",
        help: "Label of this node in its status. A label only: a node is known by an id of its \
               own.",
        apply: |config, text| {
            non_empty(text)?.clone_into(&mut config.node_name);
            Ok(())
        },
        show: |config| Some(config.node_name.clone()),
        ..ROW
    },
    Setting {
        key: "shards",
        value_name: "N",
        default_note: "two for each expected node",
        help: "Into how many shards a new cluster, or a new node alone, divides the trace ids. \
               What exists keeps the number that it was created with.",
        apply: |config, text| {
            config.shards = Some(number_within(text, 1, u64::from(super::SHARDS_MAX))?);
            Ok(())
        },
        show: |config| config.shards.map(|shards| shards.to_string()),
        ..ROW
    },
    Setting {
        key: "retention",
        value_name: "DURATION",
        default: Some("7d"),
        help: "How long spans are kept, counted from when they were received. They go by the hour, \
               when the whole hour is past; at least `1h`.",
        apply: |config, text| {
            let retention = units::parse_duration(text).map_err(|problem| problem.to_string())?;
            if retention < RETENTION_MIN {
                return Err("at least 1h is expected".to_owned());
            }
            let nanoseconds = u64::try_from(retention.as_nanos()).unwrap_or(u64::MAX);
            config.retention = model::Duration(nanoseconds);
            Ok(())
        },
        show: |config| {
            let retention = std::time::Duration::from_nanos(config.retention.0);
            Some(units::format_duration(retention))
        },
        ..ROW
    },
    Setting {
        key: "log-kept",
        value_name: "SIZE",
        default: Some("256 MiB"),
        help: "How much of a cluster node's log is kept for replicas that lag, when it is in \
               blocks already. A replica that lacks more gets whole blocks from another one.",
        apply: |config, text| {
            let size: units::ByteSize =
                text.parse().map_err(|problem: units::UnitError| problem.to_string())?;
            config.cluster.log_kept_bytes = size.0;
            Ok(())
        },
        show: |config| Some(units::ByteSize(config.cluster.log_kept_bytes).to_string()),
        ..ROW
    },
    Setting {
        key: "retention-disk",
        value_name: "SIZE",
        default_note: "80 % of the disk",
        help: "How much blocks and log may take on the disk. Beyond it the oldest hour goes before \
               its retention, with a warning; the hour that is being written never does.",
        apply: |config, text| {
            let size: units::ByteSize =
                text.parse().map_err(|problem: units::UnitError| problem.to_string())?;
            if size.0 < RETENTION_DISK_MIN {
                return Err("at least 64 MiB is expected".to_owned());
            }
            config.retention_disk = DiskCap::Bytes(size.0);
            Ok(())
        },
        show: |config| match config.retention_disk {
            DiskCap::MostOfTheDisk => None,
            DiskCap::Bytes(bytes) => Some(units::ByteSize(bytes).to_string()),
        },
        ..ROW
    },
    Setting {
        key: "scrub-every",
        value_name: "DURATION",
        default: Some("1d"),
        help: "How often every block is read to its last byte, so that damage is found while other \
               nodes have what it was; at least `1m`. It takes a fiftieth of a core at most.",
        apply: |config, text| {
            let every = units::parse_duration(text).map_err(|problem| problem.to_string())?;
            if every < SCRUB_EVERY_MIN {
                return Err("at least 1m is expected".to_owned());
            }
            let nanoseconds = u64::try_from(every.as_nanos()).unwrap_or(u64::MAX);
            config.scrub_every = model::Duration(nanoseconds);
            Ok(())
        },
        show: |config| {
            let every = std::time::Duration::from_nanos(config.scrub_every.0);
            Some(units::format_duration(every))
        },
        ..ROW
    },
    Setting {
        key: "otlp-grpc-port",
        value_name: "PORT",
        default: Some("4317"),
        help: "Port that takes OTLP over gRPC; 0 takes any free port.",
        apply: |config, text| port(text).map(|value| config.ports.otlp_grpc = value),
        show: |config| Some(config.ports.otlp_grpc.to_string()),
        ..ROW
    },
    Setting {
        key: "otlp-http-port",
        value_name: "PORT",
        default: Some("4318"),
        help: "Port that takes OTLP over HTTP, as protobuf and as JSON; 0 takes any free port.",
        apply: |config, text| port(text).map(|value| config.ports.otlp_http = value),
        show: |config| Some(config.ports.otlp_http.to_string()),
        ..ROW
    },
    Setting {
        key: "ui-port",
        value_name: "PORT",
        default: Some("16686"),
        help: "Port of the UI, of Jaeger's query API and of Skua's own; 0 takes any free port.",
        apply: |config, text| port(text).map(|value| config.ports.ui = value),
        show: |config| Some(config.ports.ui.to_string()),
        ..ROW
    },
    Setting {
        key: "health-port",
        value_name: "PORT",
        default: Some("13133"),
        help: "Port of `/livez`, `/readyz` and `/status`; 0 takes any free port.",
        apply: |config, text| port(text).map(|value| config.ports.health = value),
        show: |config| Some(config.ports.health.to_string()),
        ..ROW
    },
    Setting {
        key: "metrics-port",
        value_name: "PORT",
        default: Some("8888"),
        help: "Port of `/metrics`, in the form that Prometheus scrapes; 0 takes any free port.",
        apply: |config, text| port(text).map(|value| config.ports.metrics = value),
        show: |config| Some(config.ports.metrics.to_string()),
        ..ROW
    },
    Setting {
        key: "jaeger-grpc-port",
        value_name: "PORT",
        default: Some("14250"),
        help: "Port of Jaeger's collector over gRPC (`api_v2`); 0 takes any free port.",
        apply: |config, text| port(text).map(|value| config.ports.jaeger_grpc = value),
        show: |config| Some(config.ports.jaeger_grpc.to_string()),
        ..ROW
    },
    Setting {
        key: "jaeger-http-port",
        value_name: "PORT",
        default: Some("14268"),
        help: "Port that takes Jaeger's Thrift over HTTP, at `/api/traces`; 0 takes any free port.",
        apply: |config, text| port(text).map(|value| config.ports.jaeger_http = value),
        show: |config| Some(config.ports.jaeger_http.to_string()),
        ..ROW
    },
    Setting {
        key: "jaeger-compact-port",
        value_name: "PORT",
        default: Some("6831"),
        help: "UDP port that takes Jaeger's compact Thrift, as agents do; 0 takes any free port.",
        apply: |config, text| port(text).map(|value| config.ports.jaeger_compact = value),
        show: |config| Some(config.ports.jaeger_compact.to_string()),
        ..ROW
    },
    Setting {
        key: "jaeger-binary-port",
        value_name: "PORT",
        default: Some("6832"),
        help: "UDP port that takes Jaeger's binary Thrift, as agents do; 0 takes any free port.",
        apply: |config, text| port(text).map(|value| config.ports.jaeger_binary = value),
        show: |config| Some(config.ports.jaeger_binary.to_string()),
        ..ROW
    },
    Setting {
        key: "zipkin-port",
        value_name: "PORT",
        default: Some("9411"),
        help: "Port that takes Zipkin's spans, v1 and v2; 0 takes any free port.",
        apply: |config, text| port(text).map(|value| config.ports.zipkin = value),
        show: |config| Some(config.ports.zipkin.to_string()),
        ..ROW
    },
    Setting {
        key: "query-grpc-port",
        value_name: "PORT",
        default: Some("16685"),
        help: "Port of Jaeger's query services over gRPC (`api_v2` and `api_v3`); 0 takes any \
               free port.",
        apply: |config, text| port(text).map(|value| config.ports.query_grpc = value),
        show: |config| Some(config.ports.query_grpc.to_string()),
        ..ROW
    },
    Setting {
        key: "sampling-http-port",
        value_name: "PORT",
        default: Some("5778"),
        help: "Port that tells clients how to sample, over HTTP as Jaeger's agents do; 0 takes \
               any free port.",
        apply: |config, text| port(text).map(|value| config.ports.sampling_http = value),
        show: |config| Some(config.ports.sampling_http.to_string()),
        ..ROW
    },
    Setting {
        key: "sampling-grpc-port",
        value_name: "PORT",
        default: Some("5779"),
        help: "Port that tells clients how to sample, over gRPC; 0 takes any free port.",
        apply: |config, text| port(text).map(|value| config.ports.sampling_grpc = value),
        show: |config| Some(config.ports.sampling_grpc.to_string()),
        ..ROW
    },
    Setting {
        key: "remote-storage-port",
        value_name: "PORT",
        default: Some("17271"),
        help: "Port of Jaeger's remote storage (v2), for a Jaeger that keeps its traces here; 0 \
               takes any free port.",
        apply: |config, text| port(text).map(|value| config.ports.remote_storage = value),
        show: |config| Some(config.ports.remote_storage.to_string()),
        ..ROW
    },
    Setting {
        key: "allow-purge",
        value_name: SWITCH,
        default: Some("false"),
        help: "Let `POST /purge` on the port of remote storage remove all traces. For tests of a \
               Jaeger against this node.",
        apply: |config, text| switch(text).map(|value| config.allow_purge = value),
        show: |config| Some(config.allow_purge.to_string()),
        ..ROW
    },
    Setting {
        key: "sampling-strategies",
        value_name: "SOURCE",
        help: "Sampling strategies in Jaeger's format: a file, or a URL that begins with `http://` \
               (this program has no TLS client). They are read at the start, every \
               `sampling-reload` and at every SIGHUP; content that cannot be read keeps the former \
               and says so, once. A file that cannot be used ends the start. A URL that cannot \
               does not: until it answers, every trace is sampled with Jaeger's default \
               probability, 0.001. At most 1 MiB, within 5 s. In a cluster one node that is told \
               suffices: all nodes serve what any of them last found new, also after a restart of \
               all. Nodes with different content do not take turns: the one whose content changed \
               last wins, and `skua status` shows the digest of what is in force.",
        apply: |config, text| {
            config.sampling_strategies = Some(StrategiesSource::parse(non_empty(text)?)?);
            Ok(())
        },
        show: |config| config.sampling_strategies.as_ref().map(ToString::to_string),
        ..ROW
    },
    Setting {
        key: "sampling-reload",
        value_name: "DURATION",
        default: Some("1m"),
        help: "How often `sampling-strategies` are read again, at most once a second; `0` for at \
               SIGHUP only.",
        apply: |config, text| {
            let interval = units::parse_duration(text).map_err(|problem| problem.to_string())?;
            if !interval.is_zero() && interval < SAMPLING_RELOAD_MIN {
                return Err("0 or at least 1s is expected".to_owned());
            }
            config.sampling_reload = interval;
            Ok(())
        },
        show: |config| Some(units::format_duration(config.sampling_reload)),
        ..ROW
    },
    Setting {
        key: "sampling-adaptive",
        value_name: SWITCH,
        default: Some("false"),
        help: "Compute sampling probabilities from the root spans that come in, by Jaeger's rules, \
               so that every operation is sampled about equally often, counted over all nodes of \
               a cluster. On all of them alike, and without `sampling-strategies` and `tenancy`.",
        apply: |config, text| switch(text).map(|value| config.sampling_adaptive = value),
        show: |config| Some(config.sampling_adaptive.to_string()),
        ..ROW
    },
    Setting {
        key: "sampling-target",
        value_name: "N",
        default: Some("1"),
        help: "Traces a second that adaptive sampling aims at for each operation.",
        apply: |config, text| {
            config.sampling_target = number_within(text, 1, 1_000_000)?;
            Ok(())
        },
        show: |config| Some(config.sampling_target.to_string()),
        ..ROW
    },
    Setting {
        key: "tenancy",
        value_name: "HEADER",
        help: "Header that names the tenant of a request, such as `x-tenant`. Unset, there is one \
               tenant; set, a request without the header is refused, and UDP, which has no \
               headers, is not listened to.",
        apply: |config, text| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if text.is_empty() || !text.bytes().all(is_plain) {
                return Err("a header's name is expected".to_owned());
            }
            config.tenancy = Some(text.to_owned());
            Ok(())
        },
        show: |config| config.tenancy.clone(),
        ..ROW
    },
    Setting {
        key: "tenants",
        value_name: "NAME,...",
        help: "Tenants there may be; a request that names another one is refused. Unset, any name \
               is one. Needs `tenancy`.",
        apply: |config, text| {
            let names = list(non_empty(text)?);
            let tenants = names.iter().map(|name| {
                Tenant::new(name).map_err(|_| format!("`{name}` is no name of a tenant"))
            });
            config.tenants = tenants.collect::<Result<_, _>>()?;
            Ok(())
        },
        show: |config| {
            let names: Vec<&str> = config.tenants.iter().map(Tenant::as_str).collect();
            (!names.is_empty()).then(|| names.join(","))
        },
        ..ROW
    },
    Setting {
        key: "base-path",
        value_name: "PATH",
        default: Some("/"),
        help: "What every path of the UI's port begins with, such as `/jaeger`, for a proxy that \
               passes paths on as they are.",
        apply: |config, text| base_path(text).map(|path| config.base_path = path),
        show: |config| {
            let path = &config.base_path;
            Some(if path.is_empty() { "/".to_owned() } else { path.clone() })
        },
        ..ROW
    },
    Setting {
        key: "ui-dir",
        value_name: "DIR",
        help: "Directory with the built files of a stock Jaeger UI, or of another build of Skua's \
               own, which is served in the place of the one in the binary. It is read at the \
               start.",
        apply: |config, text| {
            config.ui_dir = Some(non_empty(text)?.into());
            Ok(())
        },
        show: |config| config.ui_dir.as_ref().map(|path| path.display().to_string()),
        ..ROW
    },
    Setting {
        key: "ui-config",
        value_name: "FILE",
        help: "Configuration of the UI, as Jaeger takes it: a `.json` file. A stock Jaeger UI in \
               `ui-dir` may have a `.js` file with the function `UIConfig` instead. It is read at \
               the start and at every SIGHUP.",
        apply: |config, text| {
            config.ui_config = Some(non_empty(text)?.into());
            Ok(())
        },
        show: |config| config.ui_config.as_ref().map(|path| path.display().to_string()),
        ..ROW
    },
    Setting {
        key: "kafka-brokers",
        value_name: "HOST:PORT,...",
        help: "Brokers of a Kafka cluster whose topics hold spans. All nodes consume as members of \
               one group. Unset, nothing is consumed.",
        apply: |config, text| {
            config.kafka.brokers = list(text);
            Ok(())
        },
        show: |config| {
            let brokers = &config.kafka.brokers;
            (!brokers.is_empty()).then(|| brokers.join(","))
        },
        ..ROW
    },
    Setting {
        key: "kafka-topics",
        value_name: "NAME,...",
        default: Some("jaeger-spans"),
        help: "Topics to consume.",
        apply: |config, text| {
            non_empty(text)?;
            config.kafka.topics = list(text);
            Ok(())
        },
        show: |config| Some(config.kafka.topics.join(",")),
        ..ROW
    },
    Setting {
        key: "kafka-group",
        value_name: "NAME",
        default: Some("skua"),
        help: "Consumer group. An offset is committed only when its spans are durable.",
        apply: |config, text| {
            non_empty(text)?.clone_into(&mut config.kafka.group);
            Ok(())
        },
        show: |config| Some(config.kafka.group.clone()),
        ..ROW
    },
    Setting {
        key: "kafka-encoding",
        value_name: "NAME",
        default: Some("otlp_proto"),
        help: "What a message is: `otlp_proto`, `otlp_json`, `jaeger_proto`, `jaeger_json`, \
               `zipkin_proto`, `zipkin_json` or `zipkin_thrift`.",
        apply: |config, text| {
            let encoding: Result<_, api::kafka::UnknownEncoding> = text.parse();
            config.kafka.encoding = encoding.map_err(|error| error.to_string())?;
            Ok(())
        },
        show: |config| Some(config.kafka.encoding.name().to_owned()),
        ..ROW
    },
    Setting {
        key: "kafka-start",
        value_name: "WHERE",
        default: Some("earliest"),
        help: "Where a group begins that has committed nothing: `earliest` or `latest`.",
        apply: |config, text| {
            config.kafka.start = match text {
                "earliest" => KafkaStart::Earliest,
                "latest" => KafkaStart::Latest,
                _ => return Err("one of earliest, latest is expected".to_owned()),
            };
            Ok(())
        },
        show: |config| {
            let name = match config.kafka.start {
                KafkaStart::Earliest => "earliest",
                KafkaStart::Latest => "latest",
            };
            Some(name.to_owned())
        },
        ..ROW
    },
    Setting {
        key: "kafka-tls",
        value_name: SWITCH,
        default: Some("false"),
        help: "Speak to the brokers over TLS. Like `SCRAM-...` below it needs a build with the \
               feature `kafka-tls`, as `make build` makes it; another one says so and ends.",
        apply: |config, text| switch(text).map(|value| config.kafka.tls = value),
        show: |config| Some(config.kafka.tls.to_string()),
        ..ROW
    },
    Setting {
        key: "kafka-tls-ca",
        value_name: "FILE",
        help: "Certificates of the authorities that the brokers are trusted by, as PEM; the \
               system's unless said.",
        apply: |config, text| {
            config.kafka.tls_authorities = Some(non_empty(text)?.into());
            Ok(())
        },
        show: |config| config.kafka.tls_authorities.as_ref().map(|path| path.display().to_string()),
        ..ROW
    },
    Setting {
        key: "kafka-tls-certificate",
        value_name: "FILE",
        help: "Certificate of this client, as PEM.",
        apply: |config, text| {
            config.kafka.tls_certificate = Some(non_empty(text)?.into());
            Ok(())
        },
        show: |config| config.kafka.tls_certificate.as_ref().map(|path| path.display().to_string()),
        ..ROW
    },
    Setting {
        key: "kafka-tls-key",
        value_name: "FILE",
        help: "Key of that certificate, as PEM.",
        apply: |config, text| {
            config.kafka.tls_key = Some(non_empty(text)?.into());
            Ok(())
        },
        show: |config| config.kafka.tls_key.as_ref().map(|path| path.display().to_string()),
        ..ROW
    },
    Setting {
        key: "kafka-sasl-mechanism",
        value_name: "NAME",
        default: Some("PLAIN"),
        help: "How a name and password are proved: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.",
        apply: |config, text| {
            if !["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"].contains(&text) {
                return Err("one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 is expected".to_owned());
            }
            text.clone_into(&mut config.kafka.sasl_mechanism);
            Ok(())
        },
        show: |config| Some(config.kafka.sasl_mechanism.clone()),
        ..ROW
    },
    Setting {
        key: "kafka-sasl-username",
        value_name: "NAME",
        help: "Name for the brokers. Needs `kafka-sasl-password-file`.",
        apply: |config, text| {
            config.kafka.sasl_username = Some(non_empty(text)?.to_owned());
            Ok(())
        },
        show: |config| config.kafka.sasl_username.clone(),
        ..ROW
    },
    Setting {
        key: "kafka-sasl-password-file",
        value_name: "FILE",
        help: "File that holds the password, so that it stands on no command line.",
        apply: |config, text| {
            config.kafka.sasl_password_file = Some(non_empty(text)?.into());
            Ok(())
        },
        show: |config| {
            config.kafka.sasl_password_file.as_ref().map(|path| path.display().to_string())
        },
        ..ROW
    },
    Setting {
        key: "red-metrics",
        value_name: SWITCH,
        default: Some("true"),
        help: "Tell rates, errors and durations of what is traced among the metrics: gauges over \
               the last whole minute for the 500 operations that are called most. Off where \
               `tenancy` is on.",
        apply: |config, text| switch(text).map(|value| config.red_metrics = value),
        show: |config| Some(config.red_metrics.to_string()),
        ..ROW
    },
    Setting {
        key: "ports-file",
        value_name: "FILE",
        help: "File that the node writes once it is ready: a JSON object with the port of each \
               listener. For scripts that let the node take free ports.",
        apply: |config, text| {
            config.ports_file = Some(non_empty(text)?.into());
            Ok(())
        },
        show: |config| config.ports_file.as_ref().map(|path| path.display().to_string()),
        ..ROW
    },
    Setting {
        key: "drain-delay",
        value_name: "DURATION",
        default: Some("5s"),
        default_note: "`0s` while only this machine can reach the node",
        help: "How long a node that was told to stop still serves after it said that it is no \
               longer ready, so that load balancers can turn away from it first.",
        apply: |config, text| {
            config.drain_delay =
                units::parse_duration(text).map_err(|problem| problem.to_string())?;
            Ok(())
        },
        show: |config| Some(units::format_duration(config.drain_delay)),
        ..ROW
    },
    Setting {
        key: "log-format",
        value_name: "FORMAT",
        default: Some("auto"),
        help: "How the log is written to standard error: `text`, `json`, or `auto`, which is text \
               on a terminal and JSON everywhere else.",
        apply: |config, text| {
            config.log_format = LogFormat::parse(text)
                .ok_or_else(|| "one of auto, text, json is expected".to_owned())?;
            Ok(())
        },
        show: |config| Some(config.log_format.name().to_owned()),
        ..ROW
    },
    Setting {
        key: "log-filter",
        value_name: "FILTER",
        default: Some("info,openraft=error"),
        help: "What is logged: a level, or levels by part, such as `info,storage=debug`.",
        apply: |config, text| {
            crate::telemetry::check_filter(text)?;
            text.clone_into(&mut config.log_filter);
            Ok(())
        },
        show: |config| Some(config.log_filter.clone()),
        ..ROW
    },
    Setting {
        key: "seeds",
        value_name: "HOST[:PORT],...",
        help: "Where to find the other nodes of the cluster: names or addresses of any of them, \
               port 7947 unless said. Names are resolved again and again, and one name may stand \
               for all nodes, as that of a headless service does. Needs `expected-nodes` or \
               `join-only`. Unset, the node is alone.",
        apply: |config, text| {
            config.cluster.seeds = text
                .split(',')
                .map(str::trim)
                .filter(|seed| !seed.is_empty())
                .map(Into::into)
                .collect();
            Ok(())
        },
        show: |config| {
            let seeds = &config.cluster.seeds;
            (!seeds.is_empty()).then(|| seeds.join(","))
        },
        ..ROW
    },
    Setting {
        key: "expected-nodes",
        value_name: "N",
        default: Some("1"),
        help: "With how many nodes a new cluster is founded: only when so many empty ones have \
               found each other. Every node of a cluster says the same; it means nothing to a \
               node that belongs to one.",
        apply: |config, text| {
            config.cluster.expected_nodes = number_within(text, 1, NODES_MAX)?;
            Ok(())
        },
        show: |config| Some(config.cluster.expected_nodes.to_string()),
        ..ROW
    },
    Setting {
        key: "join-only",
        value_name: SWITCH,
        default: Some("false"),
        help: "Join a cluster, never found one: for a node that is added later.",
        apply: |config, text| switch(text).map(|value| config.cluster.join_only = value),
        show: |config| Some(config.cluster.join_only.to_string()),
        ..ROW
    },
    Setting {
        key: "replication-factor",
        value_name: "N",
        default_note: "3, or as many as there are expected nodes if these are fewer",
        help: "On how many nodes each shard of a new cluster lies.",
        apply: |config, text| {
            config.cluster.replication_factor = Some(number_within(text, 1, REPLICAS_MAX)?);
            Ok(())
        },
        show: |config| config.cluster.replication_factor.map(|factor| factor.to_string()),
        ..ROW
    },
    Setting {
        key: "advertise-address",
        value_name: "HOST",
        default_note: "the listen address",
        help: "Where other nodes reach this one: a name, resolved at every connect, or an address. \
               Needed where `listen-address` stands for every address, as `0.0.0.0` does.",
        apply: |config, text| {
            config.cluster.advertise_address = Some(host_and_port(text)?.to_owned());
            Ok(())
        },
        show: |config| config.cluster.advertise_address.clone(),
        ..ROW
    },
    Setting {
        key: "cluster-key-file",
        value_name: "FILE",
        help: "File with the cluster's key: 32 random bytes, or one or two lines of 64 hexadecimal \
               digits (the first is used, both are accepted, so that keys can be changed). Nodes \
               prove it to each other and encrypt what they say. Needed beyond this machine.",
        apply: |config, text| {
            config.cluster.key_file = Some(non_empty(text)?.into());
            Ok(())
        },
        show: |config| config.cluster.key_file.as_ref().map(|path| path.display().to_string()),
        ..ROW
    },
    Setting {
        key: "zone",
        value_name: "NAME",
        help: "What may fail together with this node, such as a rack or a zone: replicas are \
               spread over zones.",
        apply: |config, text| {
            text.clone_into(&mut config.cluster.zone);
            Ok(())
        },
        show: |config| {
            let zone = &config.cluster.zone;
            (!zone.is_empty()).then(|| zone.clone())
        },
        ..ROW
    },
    Setting {
        key: "rpc-port",
        value_name: "PORT",
        default: Some("7947"),
        help: "Port where the nodes of a cluster speak to each other; a node alone does not take \
               it.",
        apply: |config, text| port(text).map(|value| config.cluster.rpc_port = value),
        show: |config| Some(config.cluster.rpc_port.to_string()),
        ..ROW
    },
    Setting {
        key: "gossip-port",
        value_name: "PORT",
        default: Some("7946"),
        help: "UDP port of the cluster's gossip; the same on all nodes. A node alone does not take \
               it.",
        apply: |config, text| port(text).map(|value| config.cluster.gossip_port = value),
        show: |config| Some(config.cluster.gossip_port.to_string()),
        ..ROW
    },
];

/// Nodes of a cluster: far more than a cluster of traces needs.
const NODES_MAX: u64 = 1_000;

/// Copies of a shard: more would cost more than they could save.
const REPLICAS_MAX: u64 = 7;

/// A cap below a segment of the log would drop everything that is not being written.
const RETENTION_DISK_MIN: u64 = 64 << 20;

/// Whatever changes more often than this is not a file that somebody edits.
const SAMPLING_RELOAD_MIN: std::time::Duration = std::time::Duration::from_secs(1);

/// Spans go by the hour: a shorter time could not be kept.
const RETENTION_MIN: std::time::Duration = std::time::Duration::from_hours(1);

/// More often is a load for its own sake.
const SCRUB_EVERY_MIN: std::time::Duration = std::time::Duration::from_mins(1);

fn non_empty(text: &str) -> Result<&str, String> {
    if text.is_empty() { Err("a value is expected".to_owned()) } else { Ok(text) }
}

/// A host that others could look up, or an address, perhaps with a port. Whether there is such a
/// host is another question, and one that may have another answer in a moment.
fn host_and_port(text: &str) -> Result<&str, String> {
    use std::net::{IpAddr, SocketAddr};
    if text.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok() {
        return Ok(text);
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(h, port)| (h, Some(port)));
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let is_label = |label: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    if is_port && host.len() <= 253 && host.split('.').all(is_label) {
        Ok(text)
    } else {
        Err("a host name or an address is expected, with or without a port".to_owned())
    }
}

/// The parts of a list with commas between them.
fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Into::into).collect()
}

/// A path that begins with a slash, without the one at its end.
fn base_path(text: &str) -> Result<String, String> {
    let path = text.strip_suffix('/').unwrap_or(text);
    if text.is_empty() || !(path.is_empty() || path.starts_with('/')) {
        return Err("a path that begins with a slash is expected".to_owned());
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    for segment in path.split('/').skip(1) {
        if segment.is_empty() || [".", ".."].contains(&segment) || !segment.bytes().all(is_plain) {
            return Err(format!("`{segment}` cannot stand between the slashes of a path"));
        }
    }
    Ok(path.to_owned())
}

fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("true or false is expected".to_owned()),
    }
}

fn port(text: &str) -> Result<u16, String> {
    // Kubernetes sets SKUA_UI_PORT=tcp://10.0.0.1:16686 for a service named skua-ui.
    if text.starts_with("tcp://") || text.starts_with("udp://") {
        return Err("a port number is expected; Kubernetes sets such a variable for a service of \
                    this name: say enableServiceLinks: false in the pod"
            .to_owned());
    }
    number_within(text, 0, u64::from(u16::MAX))
}

fn number_within<T: TryFrom<u64>>(text: &str, least: u64, most: u64) -> Result<T, String> {
    text.parse::<u64>()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| match most {
            u64::MAX => format!("a whole number of at least {least} is expected"),
            _ => format!("a whole number from {least} to {most} is expected"),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_distinct_and_plain() {
        for (index, setting) in SETTINGS.iter().enumerate() {
            let plain = setting.key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            assert!(plain && !setting.key.is_empty(), "{}", setting.key);
            let first = SETTINGS.iter().position(|other| other.key == setting.key);
            assert_eq!(first, Some(index), "{}", setting.key);
            assert!(setting.hidden || !setting.help.is_empty(), "{}", setting.key);
        }
    }

    #[test]
    fn defaults_in_the_table_are_the_defaults() {
        let mut config = NodeConfig::default();
        for setting in SETTINGS {
            let Some(default) = setting.default else { continue };
            assert_eq!((setting.show)(&config).as_deref(), Some(default), "{}", setting.key);
            assert_eq!((setting.apply)(&mut config, default), Ok(()), "{}", setting.key);
        }
        assert_eq!(config, NodeConfig::default());
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        for text in
            ["skua-2.skua.chaos", "skua_2:7947", "a.", "10.0.0.1", "10.0.0.1:5", "::1", "[::1]:9"]
        {
            assert_eq!(host_and_port(text), Ok(text));
        }
        let long = "a.".repeat(128);
        for wrong in [
            "", ":", "a b", "a..b", "-a", "a-", "a:", "a:0", "a:70000", "http://a", "[::1]", "ä",
            &long,
        ] {
            assert!(host_and_port(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn base_paths_are_plain() {
        for (text, path) in [("/", ""), ("/jaeger", "/jaeger"), ("/a/b-c/", "/a/b-c")] {
            assert_eq!(base_path(text).unwrap(), path);
        }
        for wrong in ["", "jaeger", "//", "/a//b", "/a/../b", "/a b", "/./"] {
            assert!(base_path(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn names_follow_from_the_key() {
        assert_eq!(Setting::of("ui-port").map(Setting::variable), Some("SKUA_UI_PORT".to_owned()));
    }
}
