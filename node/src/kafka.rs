//! What the consumer of Kafka is told: the settings, with the files that they name read.

use std::path::{Path, PathBuf};

use anyhow::Context;
use api::kafka::{KafkaConfig, Sasl, Tls};

use crate::config::KafkaSettings;
use crate::files;

/// Bytes of a file of certificates, or of a password.
const FILE_BYTES_MAX: usize = 1 << 20;

/// What to consume, if anything.
pub(crate) fn settings(settings: &KafkaSettings) -> anyhow::Result<Option<KafkaConfig>> {
    if settings.brokers.is_empty() {
        return Ok(None);
    }
    let text = |path: &PathBuf| read(path);
    let tls = settings.tls.then(|| -> anyhow::Result<Tls> {
        Ok(Tls {
            authorities: settings.tls_authorities.as_ref().map(text).transpose()?,
            certificate: settings.tls_certificate.as_ref().map(text).transpose()?,
            key: settings.tls_key.as_ref().map(text).transpose()?,
        })
    });
    let sasl = match (&settings.sasl_username, &settings.sasl_password_file) {
        (Some(username), Some(path)) => Some(Sasl {
            mechanism: settings.sasl_mechanism.clone(),
            username: username.clone(),
            password: read(path)?.trim_end_matches(['\r', '\n']).to_owned(),
        }),
        _ => None,
    };
    Ok(Some(KafkaConfig {
        brokers: settings.brokers.clone(),
        topics: settings.topics.clone(),
        group: settings.group.clone(),
        encoding: settings.encoding,
        start: settings.start,
        tls: tls.transpose()?,
        sasl,
    }))
}

fn read(path: &Path) -> anyhow::Result<String> {
    let read = || Ok(String::from_utf8(files::read_at_most(path, FILE_BYTES_MAX)?)?);
    let read: anyhow::Result<String> = read();
    read.with_context(|| format!("cannot read {} for Kafka", path.display()))
}
