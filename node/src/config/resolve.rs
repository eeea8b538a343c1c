//! Puts the sources together: pure, so that every precedence can be tested without a process.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{ConfigError, Problem};
use super::file::FileLayer;
use super::settings::{SETTINGS, Setting};
use super::{NodeConfig, Ports, advertised_host};

/// Variables with our prefix that are no settings of a node.
const OTHER_VARIABLES: &[&str] = &["SKUA_CONFIG", "SKUA_HEADER"];

/// Names are near if this share of their letters agrees; less and the hint would puzzle.
const NEARNESS_LEAST: f64 = 0.6;

/// Everything that a configuration is made from.
#[derive(Debug, Default)]
pub struct Sources {
    /// Values of flags, by key.
    pub flags: BTreeMap<&'static str, String>,
    /// Variables of the environment that begin with `SKUA_`.
    pub environment: BTreeMap<String, String>,
    /// The file.
    pub file: Option<FileLayer>,
    /// What the machine is called.
    pub host_name: String,
}

/// A configuration and where it came from.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: NodeConfig,
    /// Where the value of each key came from.
    pub origins: BTreeMap<&'static str, Origin>,
    /// What is odd, but no error.
    pub warnings: Vec<String>,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A line of the file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },
    /// A variable.
    Environment(String),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File { path, line } => write!(formatter, "{}:{line}", path.display()),
            Self::Environment(variable) => formatter.write_str(variable),
            Self::Flag(key) => write!(formatter, "--{key}"),
        }
    }
}

/// Puts the sources together and checks the whole.
pub fn resolve(sources: &Sources) -> Result<Loaded, ConfigError> {
    let mut problems = unknown_keys(sources.file.as_ref());
    let mut config = NodeConfig { node_name: sources.host_name.clone(), ..NodeConfig::default() };
    let mut origins = BTreeMap::new();
    for setting in SETTINGS {
        let Some((text, origin)) = sources.value(setting) else {
            origins.insert(setting.key, Origin::Default);
            continue;
        };
        if let Err(reason) = (setting.apply)(&mut config, &text) {
            let origin = origin.clone();
            problems.push(Problem::BadValue { origin, key: setting.key, value: text, reason });
        }
        origins.insert(setting.key, origin);
    }
    settle_defaults(&mut config, &origins);
    problems.extend(contradictions(&config, &origins));
    if problems.is_empty() {
        let warnings = unknown_variables(&sources.environment);
        Ok(Loaded { config, origins, warnings })
    } else {
        Err(ConfigError { problems })
    }
}

impl Sources {
    /// The value of a setting from the strongest source that has one. An empty variable says
    /// nothing, because that is how scripts unset one.
    fn value(&self, setting: &'static Setting) -> Option<(String, Origin)> {
        if let Some(text) = self.flags.get(setting.key) {
            return Some((text.clone(), Origin::Flag(setting.key)));
        }
        let variable = setting.variable();
        if let Some(text) = self.environment.get(&variable).filter(|text| !text.is_empty()) {
            return Some((text.clone(), Origin::Environment(variable)));
        }
        let file = self.file.as_ref()?;
        let (text, line) = file.values.get(setting.key)?;
        Some((text.clone(), Origin::File { path: file.path.clone(), line: *line }))
    }
}

/// Defaults that depend on other settings.
fn settle_defaults(config: &mut NodeConfig, origins: &BTreeMap<&'static str, Origin>) {
    let unset = |key: &str| origins.get(key) == Some(&Origin::Default);
    if unset("drain-delay") && config.listen_address.is_loopback() {
        config.drain_delay = Duration::ZERO;
    }
    if unset("data-dir") && config.ephemeral {
        let name = format!("skua-ephemeral-{}", std::process::id());
        config.data_dir = std::env::temp_dir().join(name);
    }
}

/// What each setting allows alone, but not together.
fn contradictions(config: &NodeConfig, origins: &BTreeMap<&'static str, Origin>) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !config.listen_address.is_loopback() && !config.open_access {
        let origin = origins.get("listen-address").cloned().unwrap_or(Origin::Default);
        problems.push(Problem::NeedsOpenAccess { origin, address: config.listen_address });
    }
    problems.extend(cluster_problems(config).map(|reason| Problem::Cluster { reason }));
    problems.extend(together(config).map(|reason| Problem::Cluster { reason }));
    let named = named_ports(config.ports);
    for (index, (second, port)) in named.iter().enumerate() {
        let earlier = named.iter().take(index).find(|(_, other)| other == port && *port != 0);
        if let Some((first, port)) = earlier {
            problems.push(Problem::PortTwice { first, second, port: *port });
        }
    }
    problems
}

/// A configuration of the UI that is a script, by its name.
fn is_script(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "js")
}

/// What does not go together of what is said about other things.
fn together(config: &NodeConfig) -> impl Iterator<Item = &'static str> {
    let kafka = &config.kafka;
    let found = [
        (
            config.sampling_adaptive && config.sampling_strategies.is_some(),
            "`sampling-adaptive` and `sampling-strategies` do not go together: one says what the \
             other computes",
        ),
        (
            config.sampling_adaptive && config.tenancy.is_some(),
            "`sampling-adaptive` and `tenancy` do not go together: strategies are told to whoever \
             asks, and these would name the operations of all tenants",
        ),
        (
            config.ui_dir.is_none() && config.ui_config.as_deref().is_some_and(is_script),
            "a script as `ui-config` needs `ui-dir` with a stock Jaeger UI: Skua's own pages run \
             none but theirs and take JSON",
        ),
        (
            !kafka.brokers.is_empty() && config.tenancy.is_some(),
            "`kafka-brokers` and `tenancy` do not go together: a message names no tenant",
        ),
        (
            !config.tenants.is_empty() && config.tenancy.is_none(),
            "`tenants` needs `tenancy`: the header that names them",
        ),
        (
            kafka.sasl_username.is_some() != kafka.sasl_password_file.is_some(),
            "`kafka-sasl-username` and `kafka-sasl-password-file` need each other",
        ),
        (
            !kafka.tls
                && (kafka.tls_authorities.is_some()
                    || kafka.tls_certificate.is_some()
                    || kafka.tls_key.is_some()),
            "certificates for Kafka need `kafka-tls`",
        ),
    ];
    found.into_iter().filter(|(is_wrong, _)| *is_wrong).map(|(_, reason)| reason)
}

/// Whether other nodes would be told to find this one at an address that stands for all, which
/// leads each of them to itself.
fn advertises_no_address(config: &NodeConfig) -> bool {
    match &config.cluster.advertise_address {
        Some(advertised) => {
            let address = advertised_host(advertised).parse::<IpAddr>();
            address.is_ok_and(|address| address.is_unspecified())
        }
        None => config.listen_address.is_unspecified(),
    }
}

/// What does not go together of what is said about the cluster.
fn cluster_problems(config: &NodeConfig) -> impl Iterator<Item = &'static str> {
    let cluster = &config.cluster;
    let nodes = u32::try_from(cluster.expected_nodes).unwrap_or(u32::MAX);
    let found = [
        (
            config.is_clustered() && cluster.expected_nodes == 1 && !cluster.join_only,
            "`seeds` needs `expected-nodes` (how many nodes found the cluster) or `join-only`",
        ),
        (
            !config.is_clustered() && (cluster.expected_nodes > 1 || cluster.join_only),
            "`expected-nodes` and `join-only` need `seeds`, which says where the other nodes are",
        ),
        (
            cluster.replication_factor.is_some_and(|factor| factor > nodes) && !cluster.join_only,
            "`replication-factor` is larger than `expected-nodes`: there would be too few nodes",
        ),
        (
            config.is_clustered()
                && !config.listen_address.is_loopback()
                && cluster.key_file.is_none(),
            "a cluster whose nodes other machines can reach needs `cluster-key-file`",
        ),
        (
            config.is_clustered() && advertises_no_address(config),
            "a node of a cluster that listens on every address needs `advertise-address`: the \
             name or the address at which the other nodes reach this one",
        ),
    ];
    found.into_iter().filter(|(is_wrong, _)| *is_wrong).map(|(_, reason)| reason)
}

/// The ports of TCP; those of UDP may have the same numbers.
fn named_ports(ports: Ports) -> [(&'static str, u16); 12] {
    [
        ("otlp-grpc-port", ports.otlp_grpc),
        ("otlp-http-port", ports.otlp_http),
        ("ui-port", ports.ui),
        ("health-port", ports.health),
        ("metrics-port", ports.metrics),
        ("jaeger-grpc-port", ports.jaeger_grpc),
        ("jaeger-http-port", ports.jaeger_http),
        ("zipkin-port", ports.zipkin),
        ("query-grpc-port", ports.query_grpc),
        ("sampling-http-port", ports.sampling_http),
        ("sampling-grpc-port", ports.sampling_grpc),
        ("remote-storage-port", ports.remote_storage),
    ]
}

fn unknown_keys(file: Option<&FileLayer>) -> Vec<Problem> {
    let Some(file) = file else { return Vec::new() };
    let unknown = file.values.iter().filter(|(key, _)| Setting::of(key).is_none());
    unknown
        .map(|(key, (_, line))| Problem::UnknownKey {
            origin: Origin::File { path: file.path.clone(), line: *line },
            key: key.clone(),
            nearest: nearest_key(key),
        })
        .collect()
}

/// A variable of ours that is none, but nearly one. Only a warning: what else the prefix is used
/// for (Kubernetes makes up variables for a service called `skua`) is not ours to forbid.
fn unknown_variables(environment: &BTreeMap<String, String>) -> Vec<String> {
    let is_known = |name: &str| {
        OTHER_VARIABLES.contains(&name) || SETTINGS.iter().any(|setting| setting.variable() == name)
    };
    let mut warnings = Vec::new();
    for name in environment.keys().filter(|name| !is_known(name)) {
        let key = name.trim_start_matches("SKUA_").to_ascii_lowercase().replace('_', "-");
        if let Some(setting) = nearest_key(&key).and_then(Setting::of) {
            let meant = setting.variable();
            warnings.push(format!("the variable {name} is ignored; did you mean {meant}?"));
        }
    }
    warnings
}

fn nearest_key(key: &str) -> Option<&'static str> {
    let plain = key.to_ascii_lowercase().replace('_', "-");
    let near = |setting: &Setting| strsim::normalized_damerau_levenshtein(&plain, setting.key);
    SETTINGS
        .iter()
        .filter(|setting| !setting.hidden)
        .max_by(|one, other| near(one).total_cmp(&near(other)))
        .filter(|setting| near(setting) >= NEARNESS_LEAST)
        .map(|setting| setting.key)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn file(text: &str) -> FileLayer {
        FileLayer::parse(Path::new("skua.yaml"), text).unwrap()
    }

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_stronger_source_wins() {
        let in_file = "ui-port: 1\n";
        let in_environment = [("SKUA_UI_PORT", "2")];
        let in_flags = BTreeMap::from([("ui-port", "3".to_owned())]);
        let at_line = Origin::File { path: PathBuf::from("skua.yaml"), line: 1 };
        let variable = Origin::Environment("SKUA_UI_PORT".to_owned());
        for (has_file, has_environment, has_flag, port, origin) in [
            (false, false, false, 16686, Origin::Default),
            (true, false, false, 1, at_line),
            (false, true, false, 2, variable.clone()),
            (true, true, false, 2, variable),
            (false, false, true, 3, Origin::Flag("ui-port")),
            (true, false, true, 3, Origin::Flag("ui-port")),
            (false, true, true, 3, Origin::Flag("ui-port")),
            (true, true, true, 3, Origin::Flag("ui-port")),
        ] {
            let loaded = resolve(&Sources {
                file: has_file.then(|| file(in_file)),
                environment: environment(if has_environment { &in_environment } else { &[] }),
                flags: if has_flag { in_flags.clone() } else { BTreeMap::new() },
                host_name: String::new(),
            })
            .unwrap();
            assert_eq!(loaded.config.ports.ui, port);
            assert_eq!(loaded.origins.get("ui-port"), Some(&origin));
        }
    }

    #[test]
    fn unknown_keys_are_named_with_the_nearest() {
        for (text, expected) in [
            ("data-dri: x", "skua.yaml:1: unknown key `data-dri`; did you mean `data-dir`?"),
            ("data_dir: x", "skua.yaml:1: unknown key `data_dir`; did you mean `data-dir`?"),
            ("\nuiport: 1", "skua.yaml:2: unknown key `uiport`; did you mean `ui-port`?"),
            ("frobnicate: 1", "skua.yaml:1: unknown key `frobnicate`; `skua config print`"),
        ] {
            let sources = Sources { file: Some(file(text)), ..Sources::default() };
            let error = resolve(&sources).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let sources = Sources {
            file: Some(file("ui-port: many\nwhat: 1\n")),
            environment: environment(&[("SKUA_LISTEN_ADDRESS", "0.0.0.0")]),
            flags: BTreeMap::from([("shards", "0".to_owned())]),
            host_name: String::new(),
        };
        let error = resolve(&sources).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.problems.len(), 4, "{text}");
        for part in ["skua.yaml:1", "skua.yaml:2", "--shards", "SKUA_LISTEN_ADDRESS"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn what_is_said_about_the_cluster_goes_together() {
        let in_containers = [
            ("seeds", "one"),
            ("expected-nodes", "3"),
            ("listen-address", "0.0.0.0"),
            ("open-access", "true"),
            ("cluster-key-file", "keys"),
        ];
        let at = |address| [&in_containers[..], &[("advertise-address", address)]].concat();
        let cases: [(&[(&'static str, &str)], bool); 16] = [
            (&[("expected-nodes", "1")], true),
            (&[("expected-nodes", "3")], false),
            (&[("join-only", "true")], false),
            (&[("seeds", "one:7947")], false),
            (&[("seeds", "one,two"), ("expected-nodes", "3")], true),
            (&[("seeds", "one"), ("join-only", "true")], true),
            (&[("replication-factor", "3")], false),
            (&[("seeds", "one"), ("expected-nodes", "3"), ("replication-factor", "5")], false),
            (
                &[
                    ("seeds", "one"),
                    ("expected-nodes", "3"),
                    ("listen-address", "0.0.0.0"),
                    ("open-access", "true"),
                ],
                false,
            ),
            (&in_containers, false),
            (&at("0.0.0.0"), false),
            (&at("[::]:7947"), false),
            (&at("::"), false),
            (&at("10.0.0.7"), true),
            (&at("node-0.skua:7947"), true),
            (&at("[fd00::7]:7947"), true),
        ];
        for (pairs, fine) in cases {
            let flags = pairs.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
            let outcome = resolve(&Sources { flags, ..Sources::default() });
            assert_eq!(outcome.is_ok(), fine, "{pairs:?}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let cases: [(&[(&'static str, &str)], bool); 15] = [
            (&[("ui-config", "a.json")], true),
            (&[("ui-config", "a.js")], false),
            (&[("ui-config", "a.js"), ("ui-dir", "ui")], true),
            (&[("kafka-brokers", "one:9092")], true),
            (&[("kafka-brokers", "one:9092"), ("tenancy", "x-tenant")], false),
            (&[("tenants", "a,b")], false),
            (&[("tenants", "a,b"), ("tenancy", "x-tenant")], true),
            (&[("tenants", "a,b/c"), ("tenancy", "x-tenant")], false),
            (&[("kafka-sasl-username", "me")], false),
            (&[("kafka-tls-ca", "ca.pem")], false),
            (&[("kafka-tls-ca", "ca.pem"), ("kafka-tls", "true")], true),
            (&[("sampling-adaptive", "true"), ("sampling-strategies", "a.json")], false),
            (&[("sampling-adaptive", "true"), ("seeds", "one"), ("expected-nodes", "3")], true),
            (&[("sampling-adaptive", "true"), ("tenancy", "x-tenant")], false),
            (&[("sampling-strategies", "a.json"), ("tenancy", "x-tenant")], true),
        ];
        for (pairs, fine) in cases {
            let flags = pairs.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
            let outcome = resolve(&Sources { flags, ..Sources::default() });
            assert_eq!(outcome.is_ok(), fine, "{pairs:?}");
        }
    }

    #[test]
    fn defaults_follow_other_settings() {
        let with = |pairs: &[(&'static str, &str)]| {
            let flags = pairs.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
            resolve(&Sources { flags, ..Sources::default() }).unwrap().config
        };
        assert_eq!(with(&[]).drain_delay, Duration::ZERO);
        let open = with(&[("listen-address", "0.0.0.0"), ("open-access", "true")]);
        assert_eq!(open.drain_delay, Duration::from_secs(5));
        assert_eq!(with(&[("drain-delay", "2s")]).drain_delay, Duration::from_secs(2));
        assert_ne!(with(&[("ephemeral", "true")]).data_dir, NodeConfig::default().data_dir);
        let named = with(&[("ephemeral", "true"), ("data-dir", "here")]);
        assert_eq!(named.data_dir, PathBuf::from("here"));
    }

    #[test]
    fn ports_are_given_once() {
        let flags = BTreeMap::from([("ui-port", "4318".to_owned())]);
        let error = resolve(&Sources { flags, ..Sources::default() }).unwrap_err().to_string();
        assert_eq!(error, "`otlp-http-port` and `ui-port` are both 4318");
        let zeros = BTreeMap::from([("ui-port", "0".to_owned()), ("health-port", "0".to_owned())]);
        assert!(resolve(&Sources { flags: zeros, ..Sources::default() }).is_ok());
    }

    #[test]
    fn odd_variables_are_warned_of() {
        let environment = environment(&[
            ("SKUA_DATADIR", "x"),
            ("SKUA_CONFIG", "x"),
            ("SKUA_HEADER", "x"),
            ("SKUA_SERVICE_HOST", "x"),
            ("SKUA_SHARDS", ""),
        ]);
        let warnings = resolve(&Sources { environment, ..Sources::default() }).unwrap().warnings;
        assert_eq!(warnings, ["the variable SKUA_DATADIR is ignored; did you mean SKUA_DATA_DIR?"]);
    }
}
