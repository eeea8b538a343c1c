//! What this binary is: version and commit, fixed when it was built.

/// The version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit it was built from; none if it was built outside a checkout.
pub const COMMIT: Option<&str> = option_env!("SKUA_BUILD_COMMIT");

/// Version and commit in one line.
pub fn line() -> String {
    match COMMIT {
        Some(commit) => format!("skua {VERSION} ({commit})"),
        None => format!("skua {VERSION}"),
    }
}
