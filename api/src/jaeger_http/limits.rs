//! Bounds of Jaeger's HTTP APIs besides those of a read, each with its reason.

/// Largest body of a posted search: some thousand attributes.
pub(super) const SEARCH_BODY_BYTES_MAX: usize = 256 << 10;
/// Newest traces whose paths make the deep graph: more would change its look, not its sense.
pub(super) const PATH_TRACES_MAX: u32 = 200;
/// Spans of one trace that its paths are read from.
pub(super) const PATH_SPANS_MAX: usize = 20_000;
/// Longest path; a longer one is a loop of calls, of which the end nearest to the leaf is shown.
pub(super) const PATH_STEPS_MAX: usize = 64;
/// Most distinct paths of one answer: a picture of more is no picture.
pub(super) const PATHS_MAX: usize = 1_000;
/// Most moments of one series, as Prometheus bounds them: more than a screen has columns.
pub(super) const POINTS_MAX: u64 = 11_000;
/// Most time bins that figures are asked for in, where step and rate window do not divide.
pub(super) const BINS_MAX: u64 = 100_000;
/// Most services that metrics may be asked for at once.
pub(super) const METRIC_SERVICES_MAX: usize = 1_000;
