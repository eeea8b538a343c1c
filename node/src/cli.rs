//! The command line: what can be said, in the words of `--help`. What is done about it stands in
//! [`commands`](crate::commands).
//!
//! Commands and flags that do nothing yet are not here. The flags of `serve` are made from the
//! table of settings, so that a setting is described once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::config::settings::SETTINGS;
use crate::config::wrap;

/// Columns of a flag's text in `--help`, which stands ten columns in.
const HELP_COLUMNS: usize = 86;
/// Where `status` looks unless told otherwise.
const NODE_URL: &str = "http://127.0.0.1:16686";
/// Where `health` looks unless told otherwise.
const HEALTH_URL: &str = "http://127.0.0.1:13133";

/// A distributed trace database: OpenTelemetry in, Jaeger's API and UI out, nothing else to run.
///
/// Without a command, skua starts a node as `skua serve` does, with the same flags: data in
/// ./skua-data, OTLP on ports 4317 (gRPC) and 4318 (HTTP), the UI on port 16686, all of them for
/// this machine only.
#[derive(Debug, Parser)]
#[command(name = "skua", bin_name = "skua", version = crate::build_info::VERSION)]
#[command(args_conflicts_with_subcommands = true, verbatim_doc_comment)]
#[command(override_usage = "skua [FLAGS OF SERVE]\n       skua <COMMAND>")]
#[command(after_help = "Exit codes: 0 success, 1 failure, 2 bad usage or configuration.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of `serve`, without the word.
    #[command(flatten)]
    pub serve: SettingFlags,
}

/// What skua can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a node and run it until it is told to stop
    ///
    /// Every flag can also be given in the environment (--ui-port as SKUA_UI_PORT) and in a YAML
    /// file (ui-port: 16686). Flags win over the environment, the environment over the file. The
    /// first SIGTERM or SIGINT stops the node in good order: it says that it is not ready, finishes
    /// what it has begun and syncs its data. A second one stops it at once; what was acknowledged
    /// is on disk either way.
    #[command(verbatim_doc_comment)]
    Serve(SettingFlags),
    /// Send recorded traces to a node
    ///
    /// Reads recordings of OpenTelemetry requests, protobuf or JSON, plain or compressed with
    /// Zstandard, and sends them over OTLP as a collector would.
    #[command(verbatim_doc_comment)]
    Load(LoadArguments),
    /// Bring traces in: from a running Jaeger, or from files
    ///
    /// Files hold OTLP (protobuf or JSON) or what Jaeger's UI saves, plain or compressed with
    /// Zstandard or gzip. A running Jaeger is asked over gRPC, window by window, until it has told
    /// all its traces of a range of time. Spans keep their ids and times; what comes twice is
    /// stored once. With --position, an import that was cut off goes on where it was.
    #[command(verbatim_doc_comment)]
    Import(ImportArguments),
    /// Write traces to a file: OTLP, or what Jaeger's UI opens
    ///
    /// Asks a node, or a running Jaeger, over gRPC. What could not be read whole is reported and
    /// makes the exit code 1.
    #[command(verbatim_doc_comment)]
    Export(ExportArguments),
    /// Show the nodes and shards of a cluster as one of its nodes sees them.
    Status(StatusArguments),
    /// Show or check the configuration that a node would run with here.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Ask a node whether it is ready; exit code 0 if it is and 1 if not.
    ///
    /// Meant for scripts and for containers without a shell.
    Health(HealthArguments),
    /// Let a node seal and merge now, and purge what may go
    ///
    /// What it does by itself in time. Only the node that is asked does it.
    #[command(verbatim_doc_comment)]
    Compact(CompactArguments),
    /// Change which nodes a cluster has.
    #[command(subcommand)]
    Node(NodeCommand),
    /// Change how many replicas each shard has.
    #[command(subcommand)]
    Rf(FactorCommand),
    /// Change how many shards a cluster has.
    #[command(subcommand)]
    Shards(ShardsCommand),
    /// Let a node give away what it leads, before it is stopped
    ///
    /// A node that is told to stop does this by itself. It goes on serving, says that it is not
    /// ready, and leads again after its next start.
    #[command(verbatim_doc_comment)]
    Drain(DrainArguments),
    /// Show what the blocks and the log of a data directory hold
    ///
    /// Only reads; a node may run on the directory meanwhile. What is not in blocks yet, the newest
    /// minutes, is in the log, of which the entries are counted and not the spans.
    #[command(verbatim_doc_comment)]
    Inspect(InspectArguments),
    /// Read all blocks of a data directory and check them; exit code 1 if one is damaged
    ///
    /// Every checksum is compared; each problem is reported with its file and section. Only reads;
    /// a node may run on the directory meanwhile.
    #[command(verbatim_doc_comment)]
    Verify(VerifyArguments),
    /// Go on with what one data directory holds, when the rest is lost for good
    ///
    /// For a cluster whose majority will not come back: the node becomes a cluster of its own, with
    /// a new id, and empty nodes can join it. And for a damaged log whose contents no other node
    /// has: it is cut where the damage begins. Without --accept-loss it only says what would be
    /// left. The node must not run, nor may any other of the former cluster ever again.
    #[command(verbatim_doc_comment)]
    Recover(RecoverArguments),
    /// Print the version, and the commit it was built from.
    Version(VersionArguments),
    /// Print a completion script for a shell.
    ///
    /// For bash: skua completions bash > /etc/bash_completion.d/skua
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// What can be done with a configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting with its value and where the value came from
    ///
    /// The output is a configuration file that gives the same values again. Takes the flags of
    /// `skua serve`.
    #[command(verbatim_doc_comment)]
    Print(SettingFlags),
    /// Check the configuration without starting a node; exit code 2 if it cannot be used
    ///
    /// Every problem is reported, each with the file and line, the variable or the flag it came
    /// from. Takes the flags of `skua serve`.
    #[command(verbatim_doc_comment)]
    Validate(SettingFlags),
}

/// What to send, and where.
#[derive(Debug, Args)]
pub struct LoadArguments {
    /// Recordings to send, one after another.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// OTLP gRPC address of the node.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4317")]
    pub to: String,
    /// What to send with every request.
    #[command(flatten)]
    pub headers: HeaderArguments,
    /// Form of the recordings; told from their contents and names unless given.
    #[arg(long, value_enum)]
    pub format: Option<LoadFormat>,
    /// Spans a second at most; as fast as the node takes them unless given.
    #[arg(long, value_name = "SPANS", value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: Option<u64>,
    /// How often to send the recordings.
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Give every trace and span a new id, so that repeats are not dropped as repeats.
    #[arg(long)]
    pub fresh_ids: bool,
    /// Move all times so that the latest span ends now.
    #[arg(long)]
    pub shift_to_now: bool,
    /// Connections to send over.
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub connections: u32,
    /// Spans in a request; 0 sends requests as they were recorded.
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub spans_per_request: u32,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Form of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LoadFormat {
    /// OTLP requests as protobuf, each after its length.
    OtlpPb,
    /// OTLP requests as JSON, one a line.
    OtlpJson,
    /// What Jaeger's UI downloads.
    JaegerJson,
}

/// What to import, and where to.
#[derive(Debug, Args)]
pub struct ImportArguments {
    /// Files to import, one after another.
    #[arg(value_name = "FILE", required_unless_present_any = ["from", "from_storage"])]
    #[arg(conflicts_with_all = ["from", "from_storage"])]
    pub files: Vec<PathBuf>,
    /// A running Jaeger: the address of its query service, usually port 16685.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "from_storage")]
    pub from: Option<String>,
    /// A running remote storage of Jaeger's, or a node of skua: usually port 17271.
    #[arg(long, value_name = "ADDRESS")]
    pub from_storage: Option<String>,
    /// OTLP gRPC address of the node that takes the traces.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4317")]
    pub to: String,
    /// Form of the files; told from their contents unless given.
    #[arg(long, value_enum)]
    pub format: Option<LoadFormat>,
    /// Which traces of a Jaeger.
    #[command(flatten)]
    pub search: SearchArguments,
    /// File that keeps how far the import has come; continued from if it is there.
    #[arg(long, value_name = "FILE")]
    pub position: Option<PathBuf>,
    /// Header for the Jaeger that is asked, such as a token; may be given several times.
    #[arg(long = "from-header", value_name = "NAME: VALUE")]
    pub from_headers: Vec<String>,
    /// Header for the node, such as its tenant; may be given several times.
    #[arg(long = "to-header", value_name = "NAME: VALUE")]
    pub to_headers: Vec<String>,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which traces of a Jaeger.
#[derive(Debug, Args)]
pub struct SearchArguments {
    /// Only traces since then: a time such as 2026-01-31T00:00:00Z, or an age such as 12h
    /// [default: 30d for an import, everything for an export]
    #[arg(long, value_name = "TIME", verbatim_doc_comment)]
    pub since: Option<String>,
    /// Only traces up to then, likewise [default: now]
    #[arg(long, value_name = "TIME", verbatim_doc_comment)]
    pub until: Option<String>,
    /// Only traces of this service; may be given several times.
    #[arg(long = "service", value_name = "NAME")]
    pub services: Vec<String>,
}

/// What to export, and where to.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// File to write; compressed if its name ends with .zst or .gz. It must not be there yet.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Remote storage address of the node.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:17271")]
    pub from_storage: String,
    /// A running Jaeger instead: the address of its query service, usually port 16685.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "from_storage")]
    pub from: Option<String>,
    /// Form of the file.
    #[arg(long, value_enum, default_value = "otlp-json")]
    pub format: LoadFormat,
    /// Which traces of a Jaeger.
    #[command(flatten)]
    pub search: SearchArguments,
    /// Only this trace; may be given several times.
    #[arg(long = "trace", value_name = "ID")]
    pub trace_ids: Vec<String>,
    /// Header for whoever is asked, such as a tenant; may be given several times.
    #[arg(long = "from-header", value_name = "NAME: VALUE")]
    pub from_headers: Vec<String>,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// As whom a node is asked.
#[derive(Debug, Args)]
pub struct HeaderArguments {
    /// Header for the node, such as its tenant; may be given several times.
    #[arg(long = "header", value_name = "NAME: VALUE", env = "SKUA_HEADER")]
    pub headers: Vec<String>,
}

/// Whom to ask for the state of a cluster.
#[derive(Debug, Args)]
pub struct StatusArguments {
    /// Print JSON instead of tables.
    #[arg(long)]
    pub json: bool,
    /// Also compare what the replicas of each shard hold; exit code 1 unless all hold the same.
    ///
    /// Every replica is read whole, at a mark that its shard's leader sets: a minute or two for
    /// each hundred million spans, on two threads of each node. What is written meanwhile is not
    /// looked at, and nothing waits for it.
    #[arg(long)]
    pub digests: bool,
    /// Any node of the cluster: the address of its UI port.
    #[arg(long, value_name = "URL", default_value = NODE_URL)]
    pub node: String,
    /// What to send with the question.
    #[command(flatten)]
    pub headers: HeaderArguments,
}

/// Whom to ask to compact.
#[derive(Debug, Args)]
pub struct CompactArguments {
    /// Wait until it is done, and say how far it is.
    #[arg(long)]
    pub wait: bool,
    /// The node: the address of its UI port.
    #[arg(long, value_name = "URL", default_value = NODE_URL)]
    pub node: String,
    /// What to send with the question.
    #[command(flatten)]
    pub headers: HeaderArguments,
}

/// What can be done with the nodes of a cluster.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Remove a node for good: its replicas move to others first
    ///
    /// Refused if the others are too few for the replication factor. A removed node never comes
    /// back: start it with an empty directory.
    #[command(verbatim_doc_comment)]
    Remove(RemoveNodeArguments),
}

/// Which node to remove.
#[derive(Debug, Args)]
pub struct RemoveNodeArguments {
    /// The node: its id or the beginning of it, or its name, as `skua status` shows them.
    pub id: String,
    /// Any node of the cluster: the address of its UI port.
    #[arg(long, value_name = "URL", default_value = NODE_URL)]
    pub node: String,
    /// What to send with the question.
    #[command(flatten)]
    pub headers: HeaderArguments,
}

/// What can be done with the replication factor.
#[derive(Debug, Subcommand)]
pub enum FactorCommand {
    /// Set it; replicas come and go without an interruption
    Set(SetFactorArguments),
}

/// How many replicas.
#[derive(Debug, Args)]
pub struct SetFactorArguments {
    /// Replicas of each shard; at most one on a node.
    pub factor: u32,
    /// Any node of the cluster: the address of its UI port.
    #[arg(long, value_name = "URL", default_value = NODE_URL)]
    pub node: String,
    /// What to send with the question.
    #[command(flatten)]
    pub headers: HeaderArguments,
}

/// What can be done with shards.
#[derive(Debug, Subcommand)]
pub enum ShardsCommand {
    /// Add shards; writes and reads go on meanwhile
    ///
    /// New traces are spread over all shards from then on, and what is stored stays where it is.
    /// More shards use more cores and make smaller batches, which cost more: a few for each core of
    /// the cluster are enough. There is no way back to fewer.
    #[command(verbatim_doc_comment)]
    Add(AddShardsArguments),
}

/// How many shards.
#[derive(Debug, Args)]
pub struct AddShardsArguments {
    /// So many more than there are.
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub count: u32,
    /// Any node of the cluster: the address of its UI port.
    #[arg(long, value_name = "URL", default_value = NODE_URL)]
    pub node: String,
    /// What to send with the question.
    #[command(flatten)]
    pub headers: HeaderArguments,
}

/// Which node to drain.
#[derive(Debug, Args)]
pub struct DrainArguments {
    /// The node: the address of its UI port.
    #[arg(long, value_name = "URL", default_value = NODE_URL)]
    pub node: String,
    /// What to send with the question.
    #[command(flatten)]
    pub headers: HeaderArguments,
}

/// Whom to ask whether it is ready.
#[derive(Debug, Args)]
pub struct HealthArguments {
    /// The node: the address of its health port.
    #[arg(long, value_name = "URL", default_value = HEALTH_URL)]
    pub node: String,
}

/// What to show of the blocks.
#[derive(Debug, Args)]
pub struct InspectArguments {
    /// The data directory.
    #[arg(long, value_name = "DIR", default_value = "./skua-data")]
    pub data_dir: PathBuf,
    /// Read every page and tell bytes by section of pages and by column too.
    #[arg(long)]
    pub pages: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What to check.
#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// The data directory.
    #[arg(long, value_name = "DIR", default_value = "./skua-data")]
    pub data_dir: PathBuf,
}

/// What to go on with.
#[derive(Debug, Args)]
pub struct RecoverArguments {
    /// The data directory.
    #[arg(long, value_name = "DIR", default_value = "./skua-data")]
    pub data_dir: PathBuf,
    /// Do it: what is not in this directory is lost.
    #[arg(long)]
    pub accept_loss: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// How to print the version.
#[derive(Debug, Args)]
pub struct VersionArguments {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The flags that [`SETTINGS`] lists, as they were given.
#[derive(Debug, Default)]
pub struct SettingFlags {
    /// Where the configuration file is.
    pub config: Option<PathBuf>,
    /// Values of flags, by key.
    pub values: BTreeMap<&'static str, String>,
}

impl Args for SettingFlags {
    fn augment_args(command: clap::Command) -> clap::Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("YAML file with settings; a flag without its dashes is a key [env: SKUA_CONFIG]");
        SETTINGS.iter().fold(command.arg(config), |command, setting| {
            let default = match (setting.default, setting.default_note) {
                (Some(default), _) if !setting.is_switch() => format!(" [default: {default}]"),
                (None, note) if !note.is_empty() => format!(" [default: {note}]"),
                _ => String::new(),
            };
            let help = format!("{}{default} [env: {}]", setting.help, setting.variable());
            let arg = Arg::new(setting.key)
                .long(setting.key)
                .value_name(setting.value_name)
                .hide(setting.hidden)
                .help(wrap(&help.replace('`', ""), HELP_COLUMNS));
            command.arg(if setting.is_switch() {
                arg.num_args(0..=1).require_equals(true).default_missing_value("true")
            } else {
                arg
            })
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        if let Ok(Some(path)) = matches.try_get_one::<PathBuf>("config") {
            self.config = Some(path.clone());
        }
        for setting in SETTINGS {
            if let Ok(Some(value)) = matches.try_get_one::<String>(setting.key) {
                self.values.insert(setting.key, value.clone());
            }
        }
        Ok(())
    }
}

impl Cli {
    /// The command line as clap knows it. The flags of `serve` work without the word too, but are
    /// described there only, or the commands would drown in them.
    pub fn definition() -> clap::Command {
        Self::command().mut_args(|arg| match arg.get_id().as_str() {
            "help" | "version" => arg,
            _ => arg.hide(true),
        })
    }

    /// Reads a command line.
    pub fn read(
        arguments: impl IntoIterator<Item = std::ffi::OsString>,
    ) -> Result<Self, clap::Error> {
        let mut definition = Self::definition();
        let matches = definition.try_get_matches_from_mut(arguments)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut definition))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Cli, clap::Error> {
        Cli::read(line.split(' ').map(Into::into))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::definition().debug_assert();
    }

    #[test]
    fn flags_of_serve_need_not_the_word() {
        let with = read("skua serve --ui-port 1 --ephemeral").unwrap();
        let Some(Command::Serve(with)) = with.command else { panic!("not serve") };
        let without = read("skua --ui-port 1 --ephemeral").unwrap();
        assert!(without.command.is_none());
        assert_eq!(with.values, without.serve.values);
        assert_eq!(with.values.get("ephemeral").map(String::as_str), Some("true"));
        let off = read("skua --ephemeral=false").unwrap();
        assert_eq!(off.serve.values.get("ephemeral").map(String::as_str), Some("false"));
    }

    #[test]
    fn what_is_not_there_is_refused() {
        for line in ["skua frobnicate", "skua --frobnicate", "skua load", "skua --ui-port"] {
            assert_eq!(read(line).unwrap_err().exit_code(), 2, "{line}");
        }
        for line in ["skua --help", "skua serve --help", "skua --version"] {
            assert_eq!(read(line).unwrap_err().exit_code(), 0, "{line}");
        }
    }

    #[test]
    fn every_command_and_flag_says_what_it_does() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::definition());
    }
}
