//! Every bound of blocks, each with its reason.

/// Rows at which a page is closed. Larger pages pack better and cost a lookup more; the sizes of
/// batches by their rows stand in docs/adr/0004.
pub const PAGE_ROWS: usize = 4_096;

/// Rows below which a run of one page has no names, no zones and no rollup: to read the page takes
/// about as long as to read them, and they would be as long as its spans (a thousand tenants with a
/// few hundred spans each took 17 of 62 bytes a span for them).
pub const BARE_RUN_ROWS: usize = 1_024;

/// Payload bytes at which a page is closed, so that unpacking one stays cheap whatever spans hold.
/// What has no text is part of it ([`model::batch::Builder::payload_bytes`]): 131,072 empty events
/// or 262,144 numbers fill a page too. One span more may be on it.
pub const PAGE_PAYLOAD_BYTES: usize = 1 << 20;

/// How often that doubles as a run fills: 40 GiB fit, and a page stays one that can be read.
pub const PAGE_GROWTH_MAX: usize = 4;

/// Bytes of a page as stored: a span may be as large as an entry of the log.
pub const PAGE_BYTES_MAX: usize = 1 << 26;

/// Pages of one tenant in a block: what the trace table has bits for.
pub const RUN_PAGES_MAX: usize = 1 << 12;

/// Spans at which no further input joins a merge: larger blocks would only make merges longer.
pub const BLOCK_SPANS: u64 = 4_000_000;

/// Tenants in one block.
pub const BLOCK_TENANTS_MAX: usize = 4_096;

/// Bytes of a directory, unpacked: a block of the most pages is far below.
pub const DIRECTORY_BYTES_MAX: usize = 1 << 26;

/// Bytes of one section behind the pages, for the same reason.
pub const SECTION_BYTES_MAX: usize = 1 << 28;

/// Bytes of a section that are in memory while nothing but its checksum is looked at.
pub const CHECKED_BYTES: usize = 1 << 16;

/// Classes of spans that the zones of a run list. A run has hundreds; with ids in span names it has
/// any number, and pages of those are ruled out by other things.
pub const ZONE_CLASSES_MAX: usize = 4_096;

/// Keys of attributes that the zones of a run list, for the same reason.
pub const ZONE_KEYS_MAX: usize = 4_096;

/// Keys that zones tell of all classes of a run together: a few dozen of a class. With more, some
/// classes are said to have any key.
pub const ZONE_CLASS_KEYS_MAX: usize = 1 << 16;

/// Values under a key anywhere in the run that are listed, four bytes each: a key of more has ids
/// or texts, and pages are asked for those.
pub const ZONE_KEY_VALUES_MAX: usize = 256;

/// Values that zones list of all keys of a run together; of keys beyond it none.
pub const ZONE_VALUES_MAX: usize = 1 << 16;

/// Bytes of a name or key that zones list; longer ones are nobody's names.
pub const ZONE_NAME_BYTES_MAX: usize = 256;

/// Bits a row of the filter over a page's values: at most a byte a span.
pub const ZONE_FILTER_BITS_PER_ROW: usize = 8;

/// Bits of that filter at least, for pages of few rows.
pub const ZONE_FILTER_BITS_MIN: usize = 1_024;

/// Bits of that filter at most: of a full page. All pages of a run take as many as the one that
/// takes most.
pub const ZONE_FILTER_BITS_MAX: usize = PAGE_ROWS * ZONE_FILTER_BITS_PER_ROW;

/// Bits a value of that filter, if there is room: less than one page in a hundred is opened for a
/// value that is not on it.
pub const ZONE_FILTER_BITS_PER_VALUE: usize = 10;

/// Bits a value at least, or it is left out with all values of its key: about one page in twenty.
pub const ZONE_FILTER_BITS_PER_VALUE_MIN: usize = 6;

/// Bytes a span that the rollup of a run may take, compressed.
pub const ROLLUP_BYTES_PER_SPAN: usize = 1;

/// Different counts of a kind (class, minute and duration; minute and value; ...) that a rollup
/// gathers: at four million spans a block there is no room to write more.
pub const ROLLUP_CELLS_MAX: usize = 1 << 18;

/// Minutes times durations of a run: a run of more lies so thinly in time that its pages tell as
/// fast.
pub const ROLLUP_TOTALS_MAX: usize = 1 << 16;

/// Different sets of classes that traces of a run may have and still be told apart.
pub const ROLLUP_SHAPES_MAX: usize = 1 << 16;

/// Classes in all those sets.
pub const ROLLUP_SHAPE_CLASSES_MAX: usize = 1 << 19;

/// Minutes of all traces that lie in several.
pub const ROLLUP_TRACE_MINUTES_MAX: usize = 1 << 18;

/// Services between which calls are counted.
pub const ROLLUP_SERVICES_MAX: usize = 1 << 12;

/// Rows of a trace that goes on over pages that are kept to count its calls; of a larger one they
/// are counted when somebody asks.
pub const ROLLUP_TRACE_ROWS_MAX: usize = 1 << 16;

/// Keys whose values are counted.
pub const ROLLUP_VALUES_MAX: usize = 1 << 9;

/// Different values of a key that is counted: what people pick from a list.
pub const ROLLUP_FORMS_MAX: usize = 1 << 7;

/// Bytes of such a value; longer ones are text, and nobody's list.
pub const ROLLUP_FORM_BYTES_MAX: usize = 256;

/// Memory of the plan of a run and of the rows that are unpacked to be copied: of 48 MiB, the share
/// of sealing and merging in the memory table. The rest is for the page under construction and what
/// is told of the run.
pub const BUILD_BYTES_MAX: usize = 36 << 20;

/// Memory of rows that are unpacked, however small the plan is: more would hold more pages than
/// are due at the same time.
pub const BUILD_ROWS_BYTES_MAX: usize = 24 << 20;

/// The same, however large the plan is: a head that waited to be sealed has four times the traces.
pub const BUILD_ROWS_BYTES_MIN: usize = 16 << 20;

/// Pages of rows that are taken source by source where the sources do not fit the memory together:
/// as many as a merge has inputs. A page of an input is then unpacked twice at most, and a new page
/// spans no more time than one of an input does.
pub(crate) const STRETCH_PAGES: usize = 16;

/// What a part of a trace takes in the plan; a merge has one for each trace of each of its inputs.
pub(crate) const PLAN_PART_BYTES: usize = 32;

// A number takes eight bytes at most and counts as four; an event counts as eight. A span adds its
// own, and is smaller than an entry of the log.
const _: () = assert!(
    2 * (PAGE_PAYLOAD_BYTES << PAGE_GROWTH_MAX) + 2 * crate::limits::LOG_ENTRY_BYTES_MAX
        < model::batch::SECTION_BYTES_MAX
);
const _: () = assert!((PAGE_PAYLOAD_BYTES << PAGE_GROWTH_MAX) / 8 < model::batch::DETAIL_ROWS_MAX);

// A trace is not cut while a page has at most twice the rows.
const _: () = assert!(2 * PAGE_ROWS < model::batch::SPANS_MAX);

/// Rows of a trace that are put in the order of their start. What a merge has unpacked at a time
/// holds about as many; of a larger trace, every page would need every source again.
pub const START_ORDER_ROWS_MAX: usize = 64 * 1024;
