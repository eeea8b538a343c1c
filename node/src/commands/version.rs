//! `skua version`: what this binary is.

use crate::cli::VersionArguments;
use crate::{build_info, output};

pub(super) fn run(arguments: &VersionArguments) -> anyhow::Result<()> {
    let text = if arguments.json {
        let commit = build_info::COMMIT;
        serde_json::json!({ "version": build_info::VERSION, "commit": commit }).to_string()
    } else {
        build_info::line()
    };
    output::answer(&format!("{text}\n"))?;
    Ok(())
}
