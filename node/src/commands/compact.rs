//! `skua compact`: a node seals and merges now, and purges what may go.

use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::cli::CompactArguments;
use crate::config::units::ByteSize;
use crate::http::Server;
use crate::output;

/// Where a node takes the request, and says how it stands.
const PATH: &str = "/api/skua/v1/admin/compact";

/// How often a node is asked how far it is.
const PERIOD: Duration = Duration::from_millis(250);

/// What is read of the answer.
#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Progress {
    is_running: bool,
    shards: u64,
    shards_done: u64,
    sealed_spans: u64,
    merged_spans: u64,
    written_bytes: u64,
    failure: Option<String>,
}

pub(super) fn run(arguments: &CompactArguments) -> anyhow::Result<()> {
    let node = Server::with(&arguments.node, &arguments.headers.headers)?;
    let mut progress = read(node.post_json(PATH, &serde_json::json!({}))?)?;
    if !arguments.wait {
        return Ok(output::answer("asked for; `skua compact --wait` tells when it is done\n")?);
    }
    while progress.is_running {
        std::thread::park_timeout(PERIOD);
        let now = read(node.get(PATH)?)?;
        if now.is_running && now != progress {
            output::answer(&line("compacting", &now))?;
        }
        progress = now;
    }
    if let Some(failure) = progress.failure {
        bail!("the compaction failed: {failure}");
    }
    output::answer(&line("compacted", &progress))?;
    Ok(())
}

fn read((status, body): (hyper::StatusCode, Vec<u8>)) -> anyhow::Result<Progress> {
    if !status.is_success() {
        bail!("the node answered {status}: {}", String::from_utf8_lossy(&body).trim());
    }
    serde_json::from_slice(&body).context("the answer is not what this version knows")
}

fn line(what: &str, progress: &Progress) -> String {
    format!(
        "{what}: {} of {} shards, {} spans sealed, {} merged, {} written\n",
        progress.shards_done,
        progress.shards,
        progress.sealed_spans,
        progress.merged_spans,
        ByteSize(progress.written_bytes).rounded(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_a_line() {
        let json = br#"{"is_running": true, "runs": 1, "shards": 2, "shards_done": 1,
            "sealed_spans": 7, "merged_spans": 8, "written_bytes": 2048, "failure": null}"#;
        let progress = read((hyper::StatusCode::OK, json.to_vec())).unwrap();
        let expected = "compacting: 1 of 2 shards, 7 spans sealed, 8 merged, 2.0 KiB written\n";
        assert_eq!(line("compacting", &progress), expected);
        assert!(read((hyper::StatusCode::NOT_IMPLEMENTED, Vec::new())).is_err());
    }
}
