//! A file that traces are written to.
//!
//! It has its own name only once it is whole: until then it is called `NAME.partial`. Compressed
//! with zstd or gzip if its name ends with `.zst` or `.gz`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use flate2::write::GzEncoder;

use super::export::ExportFormat;
use crate::limits::JAEGER_DOCUMENT_BYTES;
use crate::outside;
use crate::wire::put_varint;

/// zstd's own middle way.
const ZSTD_LEVEL: i32 = 3;

/// Turns OTLP protobuf into another form.
pub type Rendering = fn(&[u8]) -> anyhow::Result<Vec<u8>>;

/// A file under construction.
pub(super) struct Output {
    writer: Writer,
    format: ExportFormat,
    path: PathBuf,
    partial: PathBuf,
    /// Bytes of the document of Jaeger's JSON that is open; none is, if zero.
    document_bytes: usize,
    /// What was gathered of one trace, for the forms that hold whole ones.
    trace: Vec<u8>,
}

enum Writer {
    Plain(BufWriter<File>),
    Zstd(zstd::stream::Encoder<'static, BufWriter<File>>),
    Gzip(GzEncoder<BufWriter<File>>),
}

impl Output {
    /// Makes the file. One of that name must not be there.
    pub(super) fn create(path: &Path, format: ExportFormat) -> anyhow::Result<Self> {
        ensure!(!outside::exists(path), "{} is there already", path.display());
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = BufWriter::new(outside::create_file(&partial)?);
        let writer = match path.extension().and_then(|ending| ending.to_str()) {
            Some("zst") => Writer::Zstd(zstd::stream::Encoder::new(file, ZSTD_LEVEL)?),
            Some("gz") => Writer::Gzip(GzEncoder::new(file, flate2::Compression::default())),
            _ => Writer::Plain(file),
        };
        let path = path.to_owned();
        Ok(Self { writer, format, path, partial, document_bytes: 0, trace: Vec::new() })
    }

    /// Adds a message of a trace.
    pub(super) fn message(&mut self, message: &[u8]) -> anyhow::Result<()> {
        match self.format {
            ExportFormat::OtlpProtobuf => {
                let mut head = Vec::new();
                put_varint(&mut head, message.len() as u64);
                self.write(&head)?;
                self.write(message)
            }
            ExportFormat::OtlpJson(render) => {
                let line = render(message)?;
                self.write(&line)?;
                self.write(b"\n")
            }
            // One message after another is one message that holds both.
            ExportFormat::JaegerJson(_) => {
                self.trace.extend_from_slice(message);
                Ok(())
            }
        }
    }

    /// The trace is whole, or to be forgotten where that is still possible. The answer says why
    /// it could not be written in this form, if it could not.
    pub(super) fn end_trace(&mut self, is_whole: bool) -> anyhow::Result<Option<String>> {
        let trace = std::mem::take(&mut self.trace);
        let ExportFormat::JaegerJson(render) = self.format else { return Ok(None) };
        if !is_whole || trace.is_empty() {
            return Ok(None);
        }
        let rendered = match render(&trace) {
            Ok(rendered) => rendered,
            Err(error) => return Ok(Some(format!("a trace of {} bytes: {error}", trace.len()))),
        };
        if self.document_bytes > 0 && self.document_bytes + rendered.len() > JAEGER_DOCUMENT_BYTES {
            self.end_document()?;
        }
        let head: &[u8] = if self.document_bytes == 0 { b"{\"data\":[\n" } else { b",\n" };
        self.write(head)?;
        self.write(&rendered)?;
        self.document_bytes += head.len() + rendered.len();
        Ok(None)
    }

    fn end_document(&mut self) -> anyhow::Result<()> {
        if self.document_bytes > 0 {
            self.write(b"\n]}\n")?;
        }
        self.document_bytes = 0;
        Ok(())
    }

    /// Writes what is left and gives the file its name.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        if matches!(self.format, ExportFormat::JaegerJson(_)) && self.document_bytes == 0 {
            self.write(b"{\"data\":[\n")?;
            self.document_bytes = 1;
        }
        self.end_document()?;
        let written = match self.writer {
            Writer::Plain(writer) => Ok(writer),
            Writer::Zstd(encoder) => encoder.finish(),
            Writer::Gzip(encoder) => encoder.finish(),
        };
        let flush = || -> std::io::Result<()> {
            let mut writer = written?;
            writer.flush()?;
            writer.get_ref().sync_all()
        };
        flush().with_context(|| format!("cannot write {}", self.partial.display()))?;
        outside::rename(&self.partial, &self.path)
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let written = match &mut self.writer {
            Writer::Plain(writer) => writer.write_all(bytes),
            Writer::Zstd(writer) => writer.write_all(bytes),
            Writer::Gzip(writer) => writer.write_all(bytes),
        };
        written.with_context(|| format!("cannot write {}", self.partial.display()))
    }
}
