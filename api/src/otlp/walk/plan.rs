//! What the check found: where each span and its groups lie, and what was rejected.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use model::sink::{PART_BYTES_MAX, PART_SPANS_MAX, PartSize};

use crate::limits;
use crate::otlp::wire::Writer;

/// The spans of a checked request, by partition. Reusable: a second check keeps its memory.
#[derive(Debug, Default)]
pub struct Plan {
    pub(super) spans: Vec<SpanPlace>,
    pub(super) scopes: Vec<ScopePlace>,
    pub(super) resources: Vec<GroupPlace>,
    pub(super) parts: Vec<Part>,
    /// Rewritten messages. A [`Range`] at or beyond `request_bytes` lies here.
    pub(super) scratch: Writer,
    pub(super) request_bytes: u32,
    pub(super) rejected: Rejected,
}

/// A stretch of the request or, beyond its end, of the scratch space.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// Where a span lies, in the chain of its partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpanPlace {
    pub(super) message: Range,
    pub(super) parts: SpanParts,
    pub(super) scope: u32,
    pub(super) partition: u32,
    /// The partition's next span; [`NONE`] after the last.
    pub(super) next: u32,
}

/// Where the lists of a span stand within its message, each in one piece.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpanParts {
    pub(super) attributes: Range,
    pub(super) events: Range,
    pub(super) links: Range,
}

/// Where a scope and the parts of its head lie.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ScopePlace {
    pub(super) resource: u32,
    pub(super) group: GroupPlace,
    pub(super) name: Range,
    pub(super) version: Range,
}

/// Where a resource, or what a scope has in common with one, lies.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct GroupPlace {
    /// Everything in the group but its spans.
    pub(super) identity: Range,
    /// The resource or scope message.
    pub(super) message: Range,
    pub(super) present: bool,
    pub(super) schema_url: Range,
    pub(super) unknown: Range,
    pub(super) group_unknown: Range,
    pub(super) dropped_attributes_count: u32,
}

impl Range {
    /// How many bytes there are.
    pub(super) fn length(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// The bytes of a range within `message`.
    #[inline]
    pub(super) fn of(self, message: &[u8]) -> &[u8] {
        message.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// Some spans of a partition, in the order of the request.
#[derive(Debug, Clone, Copy)]
pub struct PartPiece {
    /// The partition.
    pub partition: u32,
    /// How much it is.
    pub size: PartSize,
    /// The first span.
    pub(super) first: u32,
}

/// No span.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) size: PartSize,
}

impl Plan {
    /// How many spans were accepted.
    pub fn span_count(&self) -> usize {
        self.spans.len()
    }

    /// How much each partition gets, the empty ones left out.
    pub fn parts(&self) -> impl Iterator<Item = (u32, PartSize)> {
        (0_u32..)
            .zip(&self.parts)
            .filter(|(_, part)| part.size.spans > 0)
            .map(|(partition, part)| (partition, part.size))
    }

    /// Every partition's spans in pieces that one critical section may hold.
    pub fn pieces(&self) -> impl Iterator<Item = PartPiece> {
        (0_u32..).zip(&self.parts).flat_map(move |(partition, part)| {
            let mut next = part.first;
            std::iter::from_fn(move || self.piece(partition, &mut next))
        })
    }

    /// The piece of a partition that begins at span `next`, which moves behind it.
    fn piece(&self, partition: u32, next: &mut u32) -> Option<PartPiece> {
        let mut piece =
            PartPiece { partition, first: *next, size: PartSize { spans: 0, bytes: 0 } };
        let mut scope = NONE;
        while let Some(span) = self.spans.get(*next as usize) {
            let mut bytes = span.message.length();
            if span.scope != scope {
                bytes += self.group_bytes(span.scope);
            }
            let is_full = piece.size.spans as usize >= PART_SPANS_MAX
                || piece.size.bytes + bytes > PART_BYTES_MAX;
            // A span that is too large for any piece travels alone.
            if is_full && piece.size.spans > 0 {
                break;
            }
            scope = span.scope;
            piece.size.spans += 1;
            piece.size.bytes += bytes;
            *next = span.next;
        }
        (piece.size.spans > 0).then_some(piece)
    }

    /// Bytes of a scope and its resource.
    fn group_bytes(&self, scope: u32) -> usize {
        let Some(scope) = self.scopes.get(scope as usize) else { return 0 };
        let resource = self.resources.get(scope.resource as usize);
        scope.group.identity.length() + resource.map_or(0, |group| group.identity.length())
    }

    /// What was rejected.
    pub fn rejected(&self) -> &Rejected {
        &self.rejected
    }

    /// The bytes of `range`.
    #[inline]
    pub(super) fn slice<'a>(&'a self, request: &'a [u8], range: Range) -> &'a [u8] {
        let (bytes, base) = if range.start >= self.request_bytes {
            (self.scratch.bytes.as_slice(), self.request_bytes)
        } else {
            (request, 0)
        };
        let start = range.start.saturating_sub(base) as usize;
        let end = range.end.saturating_sub(base) as usize;
        bytes.get(start..end).unwrap_or_default()
    }

    pub(super) fn clear(&mut self, request_bytes: u32) {
        self.spans.clear();
        self.scopes.clear();
        self.resources.clear();
        self.parts.clear();
        self.scratch.bytes.clear();
        self.request_bytes = request_bytes;
        self.rejected = Rejected::default();
    }

    fn memory_bytes(&self) -> usize {
        self.spans.capacity() * size_of::<SpanPlace>()
            + self.scopes.capacity() * size_of::<ScopePlace>()
            + self.resources.capacity() * size_of::<GroupPlace>()
            + self.scratch.bytes.capacity()
    }
}

/// Why a well-formed span cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// The trace id does not have sixteen bytes, or is zero.
    TraceId,
    /// The span id does not have eight bytes, or is zero.
    SpanId,
    /// The span is larger than [`limits::SPAN_BYTES_MAX`].
    SpanBytes,
    /// It has more attributes than [`limits::SPAN_ATTRIBUTES_MAX`].
    Attributes,
    /// It has more events than [`limits::SPAN_EVENTS_MAX`].
    Events,
    /// It has more links than [`limits::SPAN_LINKS_MAX`].
    Links,
    /// A key is longer than [`limits::KEY_BYTES_MAX`].
    Key,
    /// Its resource or scope is larger than [`limits::GROUP_BYTES_MAX`] or breaks another limit.
    Group,
}

impl Rejection {
    const ALL: [Self; 8] = [
        Self::TraceId,
        Self::SpanId,
        Self::SpanBytes,
        Self::Attributes,
        Self::Events,
        Self::Links,
        Self::Key,
        Self::Group,
    ];
}

impl fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TraceId => formatter.write_str("trace id is not 16 bytes or zero"),
            Self::SpanId => formatter.write_str("span id is not 8 bytes or zero"),
            Self::SpanBytes => {
                write!(formatter, "span is larger than {} bytes", limits::SPAN_BYTES_MAX)
            }
            Self::Attributes => {
                write!(formatter, "more than {} attributes", limits::SPAN_ATTRIBUTES_MAX)
            }
            Self::Events => write!(formatter, "more than {} events", limits::SPAN_EVENTS_MAX),
            Self::Links => write!(formatter, "more than {} links", limits::SPAN_LINKS_MAX),
            Self::Key => {
                write!(formatter, "an attribute key is longer than {} bytes", limits::KEY_BYTES_MAX)
            }
            Self::Group => write!(
                formatter,
                "resource or scope is larger than {} bytes or has too many attributes",
                limits::GROUP_BYTES_MAX
            ),
        }
    }
}

/// How many spans were rejected, and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rejected {
    counts: [u64; Rejection::ALL.len()],
}

impl Rejected {
    /// How many.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(super) fn add(&mut self, rejection: Rejection, spans: u64) {
        if let Some(count) = self.counts.get_mut(rejection as usize) {
            *count += spans;
        }
    }
}

impl fmt::Display for Rejected {
    /// For people: `3 spans rejected: 2 (trace id is not 16 bytes or zero), 1 (...)`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} spans rejected", self.count())?;
        let mut separator = ": ";
        for (rejection, count) in Rejection::ALL.iter().zip(self.counts) {
            if count > 0 {
                write!(formatter, "{separator}{count} ({rejection})")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

/// Plans waiting to be used again.
#[derive(Debug, Default)]
pub struct PlanPool {
    plans: Mutex<Vec<Plan>>,
}

impl PlanPool {
    /// A plan, used before if there is one.
    pub fn take(&self) -> Plan {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.pop().unwrap_or_default()
    }

    /// Gives a plan back; one that grew beyond [`limits::POOLED_PLAN_BYTES_MAX`] is dropped.
    pub fn give(&self, plan: Plan) {
        if plan.memory_bytes() > limits::POOLED_PLAN_BYTES_MAX {
            return;
        }
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if plans.len() < limits::POOLED_PLANS_MAX {
            plans.push(plan);
        }
    }
}
