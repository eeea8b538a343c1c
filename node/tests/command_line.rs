//! The binary as scripts see it: exit codes, what goes to which stream, and the words of problems.
#![cfg(test)]

use std::path::Path;
use std::process::{Command, Output};

/// A run of the binary with nothing of this test's own environment.
struct Run(Command);

impl Run {
    fn of(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skua"));
        command.args(arguments).env_clear();
        Self(command)
    }

    fn with(mut self, variable: &str, value: &str) -> Self {
        self.0.env(variable, value);
        self
    }

    fn within(mut self, directory: &Path) -> Self {
        self.0.current_dir(directory);
        self
    }

    fn end(mut self) -> Ended {
        let Output { status, stdout, stderr } = self.0.output().unwrap();
        Ended {
            code: status.code().unwrap(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }
}

#[derive(Debug)]
struct Ended {
    code: i32,
    out: String,
    err: String,
}

#[expect(clippy::disallowed_methods, reason = "a configuration file is not Skua's data")]
fn directory_with(file: &str, text: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(file), text).unwrap();
    directory
}

#[test]
fn bad_usage_ends_with_two() {
    for arguments in [
        &["frobnicate"][..],
        &["--frobnicate"],
        &["serve", "--ui-port"],
        &["load"],
        &["load", "x", "--rate", "0"],
        &["completions", "klingon"],
        &["config"],
    ] {
        let ended = Run::of(arguments).end();
        assert_eq!(ended.code, 2, "{arguments:?}: {ended:?}");
        assert!(ended.out.is_empty() && !ended.err.is_empty(), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn a_bad_configuration_ends_with_two_and_says_why() {
    for (arguments, reason) in [
        (&["--ui-port", "70000"][..], "a whole number from 0 to 65535 is expected"),
        (&["--listen-address", "0.0.0.0"], "agree with --open-access"),
        (&["--seeds", "a:7947"], "`seeds` needs `expected-nodes`"),
        (&["--expected-nodes", "3"], "need `seeds`"),
        (&["--join-only"], "need `seeds`"),
        (&["--replication-factor", "3"], "larger than `expected-nodes`"),
        (
            &[
                "--seeds",
                "skua",
                "--expected-nodes",
                "3",
                "--listen-address",
                "0.0.0.0",
                "--open-access",
                "--cluster-key-file",
                "key",
            ],
            "needs `advertise-address`",
        ),
        (&["--sampling-adaptive", "--tenancy", "x-tenant"], "do not go together"),
        (&["--drain-delay", "5"], "a unit is missing"),
        (&["--log-filter", "storage=loud"], "`log-filter` cannot be"),
        (&["--config", "nowhere.yaml"], "cannot read the configuration file nowhere.yaml"),
    ] {
        for command in [&["serve"][..], &["config", "validate"]] {
            let ended = Run::of(&[command, arguments].concat()).end();
            assert_eq!(ended.code, 2, "{arguments:?}: {ended:?}");
            assert!(ended.err.contains(reason), "{arguments:?}: {ended:?}");
        }
    }
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest() {
    let directory = directory_with("skua.yaml", "ui-port: 0\ndata-dri: x\n");
    for run in [
        Run::of(&["config", "validate", "--config", "skua.yaml"]),
        Run::of(&["config", "validate"]).with("SKUA_CONFIG", "skua.yaml"),
    ] {
        let ended = run.within(directory.path()).end();
        assert_eq!(ended.code, 2);
        let expected = "skua: skua.yaml:2: unknown key `data-dri`; did you mean `data-dir`?\n";
        assert_eq!(ended.err, expected);
    }
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let directory = directory_with(
        "skua.yaml",
        "otlp-grpc-port: 1\notlp-http-port: 2\nui-port: 3\nhealth-port: 0\n",
    );
    let ended = Run::of(&[
        "config",
        "print",
        "--config",
        "skua.yaml",
        "--otlp-grpc-port",
        "21",
        "--node-name",
        "a node",
        "--ephemeral",
        "--data-dir",
        "/tmp/x",
    ])
    .with("SKUA_OTLP_GRPC_PORT", "11")
    .with("SKUA_OTLP_HTTP_PORT", "12")
    .with("SKUA_SHARDS", "")
    .with("SKUA_UIPORT", "17")
    .within(directory.path())
    .end();
    let expected = "\
# What `skua serve` would run with here, and where each value came from.
data-dir: /tmp/x                        # --data-dir
ephemeral: true                         # --ephemeral
listen-address: 127.0.0.1               # default
open-access: false                      # default
node-name: \"a node\"                     # --node-name
# shards: (unset)                       # default
retention: \"7d\"                         # default
log-kept: \"256 MiB\"                     # default
# retention-disk: (unset)               # default
scrub-every: \"1d\"                       # default
otlp-grpc-port: 21                      # --otlp-grpc-port
otlp-http-port: 12                      # SKUA_OTLP_HTTP_PORT
ui-port: 3                              # skua.yaml:3
health-port: 0                          # skua.yaml:4
metrics-port: 8888                      # default
jaeger-grpc-port: 14250                 # default
jaeger-http-port: 14268                 # default
jaeger-compact-port: 6831               # default
jaeger-binary-port: 6832                # default
zipkin-port: 9411                       # default
query-grpc-port: 16685                  # default
sampling-http-port: 5778                # default
sampling-grpc-port: 5779                # default
remote-storage-port: 17271              # default
allow-purge: false                      # default
# sampling-strategies: (unset)          # default
sampling-reload: 1m                     # default
sampling-adaptive: false                # default
sampling-target: 1                      # default
# tenancy: (unset)                      # default
# tenants: (unset)                      # default
base-path: /                            # default
# ui-dir: (unset)                       # default
# ui-config: (unset)                    # default
# kafka-brokers: (unset)                # default
kafka-topics: jaeger-spans              # default
kafka-group: skua                       # default
kafka-encoding: otlp_proto              # default
kafka-start: earliest                   # default
kafka-tls: false                        # default
# kafka-tls-ca: (unset)                 # default
# kafka-tls-certificate: (unset)        # default
# kafka-tls-key: (unset)                # default
kafka-sasl-mechanism: PLAIN             # default
# kafka-sasl-username: (unset)          # default
# kafka-sasl-password-file: (unset)     # default
red-metrics: true                       # default
# ports-file: (unset)                   # default
drain-delay: 0s                         # default
log-format: auto                        # default
log-filter: \"info,openraft=error\"       # default
# seeds: (unset)                        # default
expected-nodes: 1                       # default
join-only: false                        # default
# replication-factor: (unset)           # default
# advertise-address: (unset)            # default
# cluster-key-file: (unset)             # default
# zone: (unset)                         # default
rpc-port: 7947                          # default
gossip-port: 7946                       # default
";
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.out, expected);
    let warning =
        "skua: warning: the variable SKUA_UIPORT is ignored; did you mean SKUA_UI_PORT?\n";
    assert_eq!(ended.err, warning);
}

#[test]
fn a_sound_configuration_is_said_to_be_valid() {
    let ended = Run::of(&["config", "validate"]).end();
    assert_eq!((ended.code, ended.out.as_str()), (0, "the configuration is valid\n"));
}

#[test]
fn the_version_is_printed() {
    let ended = Run::of(&["version", "--json"]).end();
    let version: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(ended.code, 0);
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert!(version["commit"].is_string() || version["commit"].is_null());
    let expected = format!("skua {}", env!("CARGO_PKG_VERSION"));
    for arguments in [&["version"][..], &["--version"]] {
        assert!(Run::of(arguments).end().out.starts_with(&expected), "{arguments:?}");
    }
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = Run::of(&["completions", shell]).end();
        assert_eq!(ended.code, 0, "{ended:?}");
        for word in ["skua", "serve", "ephemeral", "status"] {
            assert!(ended.out.contains(word), "{word} is not in the completions of {shell}");
        }
    }
}

#[test]
fn help_lists_what_exists() {
    let ended = Run::of(&["--help"]).end();
    assert_eq!(ended.code, 0);
    for command in [
        "serve",
        "load",
        "status",
        "config",
        "health",
        "compact",
        "node",
        "rf",
        "shards",
        "drain",
        "inspect",
        "verify",
        "recover",
        "version",
        "completions",
    ] {
        assert!(ended.out.contains(&format!("\n  {command} ")), "{}", ended.out);
    }
    let serve = Run::of(&["serve", "--help"]).end().out;
    assert!(serve.contains("--data-dir <DIR>") && serve.contains("SKUA_DATA_DIR"), "{serve}");
    assert!(serve.contains("--seeds <HOST[:PORT],...>"), "{serve}");
}

#[test]
fn nobody_there_is_a_failure() {
    // Port 1 of this machine: nothing that a test may run into listens there.
    for command in ["status", "health"] {
        let ended = Run::of(&[command, "--node", "http://127.0.0.1:1"]).end();
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.err.contains("cannot ask http://127.0.0.1:1/"), "{ended:?}");
    }
    let ended = Run::of(&["status", "--node", "not a url"]).end();
    assert_eq!(ended.code, 1, "{ended:?}");
}
