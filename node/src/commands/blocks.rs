//! `skua inspect` and `skua verify`: what the blocks and the log of a data directory hold, and
//! whether blocks are what was written. Both only read, so a node may run on the directory
//! meanwhile; blocks that it merges away while they are listed are passed over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;
use storage::block::{BlockError, BlockFile};
use storage::env::{Env, OsEnv};

use super::columns::Columns;
use super::segments::{self, segments};
use crate::cli::{InspectArguments, VerifyArguments};
use crate::config::units::ByteSize;
use crate::output;

/// How a page's bytes are named, by section of the batch that it is.
const PAGE_SECTIONS: [&str; 6] =
    ["index", "index_raw", "values", "values_raw", "details", "details_raw"];

/// A block, as `inspect` shows it.
#[derive(Debug, Serialize)]
struct Block {
    file: PathBuf,
    shard: u32,
    bucket: u64,
    class: u8,
    spans: u64,
    traces: u64,
    pages: usize,
    bytes: u64,
    bytes_per_span: f64,
    /// The checksum of the directory, in which those of the sections stand.
    checksum: String,
    /// Stored bytes by section, over all tenants.
    sections: BTreeMap<String, u64>,
    /// Stored bytes by column of attributes and rarer fields, over all tenants, if pages were read.
    columns: BTreeMap<String, u64>,
    tenants: Vec<Tenant>,
}

#[derive(Debug, Serialize)]
struct Tenant {
    name: String,
    spans: u64,
    traces: u64,
    pages: usize,
}

pub(super) fn inspect(arguments: &InspectArguments) -> anyhow::Result<()> {
    let mut blocks = Vec::new();
    for path in files(&arguments.data_dir)? {
        match open(&path)? {
            Some(file) => blocks.push(describe(&path, &file, arguments.pages)?),
            None => output::note(&format!("{} is gone: merged or dropped", path.display())),
        }
    }
    let log = segments(&arguments.data_dir)?;
    if arguments.json {
        let found = serde_json::json!({"blocks": blocks, "log": log});
        output::answer(&format!("{}\n", serde_json::to_string_pretty(&found)?))?;
    } else {
        output::answer(&format!("{}\n{}", render(&blocks), segments::render(&log)))?;
    }
    Ok(())
}

pub(super) fn verify(arguments: &VerifyArguments) -> anyhow::Result<()> {
    let (mut damaged, mut bytes, mut count) = (0_usize, 0_u64, 0_usize);
    for path in files(&arguments.data_dir)? {
        let mut problems = Vec::new();
        match BlockFile::open(&OsEnv::new(), &path) {
            Ok(file) => {
                file.verify(&mut |error| problems.push(error), &mut |read| bytes += read);
            }
            Err(error) => problems.push(error),
        }
        count += 1;
        // A block that was merged away while it was read is no damage.
        if problems.is_empty() || !exists(&path) {
            continue;
        }
        damaged += 1;
        for problem in problems {
            output::error(&anyhow::Error::new(problem));
        }
    }
    let summary =
        format!("{count} blocks, {} read, {damaged} damaged\n", ByteSize(bytes).rounded());
    output::answer(&summary)?;
    if damaged > 0 {
        bail!("{damaged} of {count} blocks are damaged");
    }
    Ok(())
}

/// The blocks below a data directory.
fn files(data: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let env = OsEnv::new();
    let blocks = data.join("blocks");
    let shards = env.list(&blocks);
    let shards = shards.with_context(|| format!("{} has no blocks", data.display()))?;
    let mut files = Vec::new();
    for shard in shards.iter().filter(|name| name.starts_with("shard-")) {
        let directory = blocks.join(shard);
        for name in env.list(&directory)?.iter().filter(|name| is_block(name)) {
            files.push(directory.join(name));
        }
    }
    Ok(files)
}

/// Names of blocks are ours: lower case, as they were written.
fn is_block(name: &str) -> bool {
    name.strip_suffix(".block").is_some()
}

fn exists(path: &Path) -> bool {
    OsEnv::new().open(path).is_ok()
}

/// The block, unless it has gone since it was listed.
fn open(path: &Path) -> anyhow::Result<Option<BlockFile>> {
    match BlockFile::open(&OsEnv::new(), path) {
        Ok(file) => Ok(Some(file)),
        Err(BlockError::Env { .. }) if !exists(path) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn describe(path: &Path, file: &BlockFile, pages: bool) -> anyhow::Result<Block> {
    let directory = file.directory();
    let mut columns = Columns::default();
    let mut sections: BTreeMap<String, u64> = BTreeMap::new();
    let mut add = |name: String, bytes: u64| *sections.entry(name).or_default() += bytes;
    for run in &directory.runs {
        for (kind, bytes) in run.section_lengths() {
            add(format!("{kind:?}"), bytes);
        }
        for page in &run.pages {
            if !pages {
                add("pages".to_owned(), page.length.into());
                continue;
            }
            let page = file.page(page)?;
            columns.add(&page)?;
            let lengths = page.section_lengths();
            for (name, length) in PAGE_SECTIONS.iter().zip(lengths) {
                add(format!("page_{name}"), length as u64);
            }
        }
    }
    let spans = directory.span_count();
    Ok(Block {
        file: path.to_path_buf(),
        shard: directory.info.shard.0,
        bucket: directory.info.bucket,
        class: directory.info.class,
        spans,
        traces: directory.runs.iter().map(|run| run.trace_count).sum(),
        pages: directory.runs.iter().map(|run| run.pages.len()).sum(),
        bytes: file.size_bytes(),
        bytes_per_span: file.size_bytes() as f64 / spans.max(1) as f64,
        checksum: format!("{:08x}", file.checksum()),
        sections,
        columns: columns.rounded(),
        tenants: directory
            .runs
            .iter()
            .map(|run| Tenant {
                name: run.tenant.as_str().to_owned(),
                spans: run.span_count(),
                traces: run.trace_count,
                pages: run.pages.len(),
            })
            .collect(),
    })
}

fn render(blocks: &[Block]) -> String {
    let header = "SHARD  BUCKET    SPANS     TRACES   PAGES  BYTES      B/SPAN  FILE".to_owned();
    let mut lines = vec![header];
    for block in blocks {
        let Block { shard, bucket, spans, traces, pages, bytes, bytes_per_span, .. } = block;
        let bytes = ByteSize(*bytes).rounded();
        let file = block.file.display();
        lines.push(format!(
            "{shard:<6} {bucket:<9} {spans:<9} {traces:<8} {pages:<6} {bytes:<10} \
             {bytes_per_span:<7.1} {file}"
        ));
    }
    let spans: u64 = blocks.iter().map(|block| block.spans).sum();
    let bytes: u64 = blocks.iter().map(|block| block.bytes).sum();
    let mut sections: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, bytes) in blocks.iter().flat_map(|block| &block.sections) {
        *sections.entry(name).or_default() += bytes;
    }
    let per_span = |bytes: u64| bytes as f64 / spans.max(1) as f64;
    lines.push(String::new());
    lines.push(format!("{} blocks, {spans} spans, {:.2} B/span", blocks.len(), per_span(bytes)));
    for (name, bytes) in sections {
        lines.push(format!("  {name:<16} {:>8.3} B/span", per_span(bytes)));
    }
    let mut columns = Columns::default();
    blocks.iter().for_each(|block| columns.add_all(&block.columns));
    lines.extend(columns.render(spans));
    lines.push(String::new());
    lines.join("\n")
}
