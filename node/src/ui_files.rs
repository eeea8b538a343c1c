//! The files of a UI that is not the one in the binary, and the configuration of either: read at
//! the start, the configuration again at every SIGHUP.
//!
//! What cannot be used ends the start, because whoever named it wants it; later it is reported, and
//! what was in force stays.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use api::assets::{UiConfig, UiConfigHandle, UiFiles};

use crate::config::NodeConfig;
use crate::files;

/// Bytes of all files together. A built Jaeger UI has some 20 MB with its maps.
const FILES_BYTES_MAX: usize = 256 << 20;

/// How deep folders lie; a built UI has three levels.
const DEPTH_MAX: usize = 8;

/// Bytes of a configuration.
const CONFIG_BYTES_MAX: usize = 1 << 20;

/// The UI that is configured.
pub(crate) fn load(config: &NodeConfig) -> anyhow::Result<UiFiles> {
    let handle = UiConfigHandle::default();
    if let Some(path) = &config.ui_config {
        handle.replace(read_config(path)?);
    }
    let Some(directory) = &config.ui_dir else {
        return Ok(UiFiles { files: None, config: handle });
    };
    let mut found = BTreeMap::new();
    let mut room = FILES_BYTES_MAX;
    gather(directory, "", DEPTH_MAX, &mut room, &mut found)
        .with_context(|| format!("the UI in {} cannot be used", directory.display()))?;
    ensure!(found.contains_key("index.html"), "there is no index.html in {}", directory.display());
    Ok(UiFiles { files: Some(Arc::new(found)), config: handle })
}

/// Reads the configuration again.
pub(crate) fn reload(config: &NodeConfig, ui: &UiFiles) {
    let Some(path) = &config.ui_config else { return };
    match read_config(path) {
        Ok(read) => {
            ui.config.replace(read);
            tracing::info!(file = %path.display(), "read the UI's configuration again");
        }
        Err(error) => tracing::error!("{error:#}; the former configuration stays in force"),
    }
}

fn read_config(path: &Path) -> anyhow::Result<UiConfig> {
    let context = || format!("the UI configuration in {} cannot be used", path.display());
    let content = files::read_at_most(path, CONFIG_BYTES_MAX).with_context(context)?;
    UiConfig::read(&path.to_string_lossy(), &content).with_context(context)
}

/// The files below a folder, by their paths with slashes.
#[expect(clippy::disallowed_methods, reason = "the UI's files are not Skua's data")]
fn gather(
    folder: &Path,
    prefix: &str,
    depth: usize,
    room: &mut usize,
    found: &mut BTreeMap<String, Vec<u8>>,
) -> anyhow::Result<()> {
    ensure!(depth > 0, "its folders are nested more than {DEPTH_MAX} deep");
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().with_context(|| format!("{} is not text", name.display()))?;
        let path = entry.path();
        if path.is_dir() {
            gather(&path, &format!("{prefix}{name}/"), depth - 1, room, found)?;
            continue;
        }
        let length = usize::try_from(entry.metadata()?.len())?;
        ensure!(length <= *room, "its files have more than {FILES_BYTES_MAX} bytes");
        let content = files::read_at_most(&path, length)?;
        *room -= content.len();
        found.insert(format!("{prefix}{name}"), content);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "the UI's files are not Skua's data")]
    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn a_ui_is_gathered_with_its_folders() {
        let directory = tempfile::tempdir().unwrap();
        let mut config =
            NodeConfig { ui_dir: Some(directory.path().to_path_buf()), ..NodeConfig::default() };
        let missing = load(&config).unwrap_err().to_string();
        assert!(missing.starts_with("there is no index.html"), "{missing}");
        write(&directory.path().join("index.html"), "page");
        write(&directory.path().join("static/js/main.js"), "main");
        let ui = load(&config).unwrap();
        let names: Vec<_> = ui.files.as_ref().unwrap().keys().cloned().collect();
        assert_eq!(names, ["index.html", "static/js/main.js"]);

        let path = directory.path().join("config.json");
        write(&path, "[]");
        config.ui_config = Some(path.clone());
        assert!(load(&config).is_err());
        write(&path, "{}");
        assert!(load(&config).is_ok());
        assert!(load(&NodeConfig::default()).unwrap().files.is_none());
    }
}
