// A search, and its form in URLs. The names and meanings are those of Jaeger's UI, so that its
// bookmarks open the same search here and ours open there.

import { type Pairs, parseLogfmt } from "../base/logfmt";
import { err, ok, type Result } from "../base/result";
import { type EpochMicros, earlier, epochMicros, type Micros, parseDuration } from "../base/time";
import { type Filter, parseConditions, printConditions } from "./filter";
import { isTraceId } from "./links";
import { isOrder, type Order } from "./orders";

/** A window that moves with the clock, or one that stands still. */
export type Window =
  | { readonly kind: "lookback"; readonly lookback: string }
  | { readonly kind: "range"; readonly start: EpochMicros; readonly end: EpochMicros };

export interface SearchQuery {
  /** Empty for all. */
  readonly service: string;
  /** Empty for all. */
  readonly operation: string;
  readonly tags: Pairs;
  /** Conditions that Jaeger's fields cannot say. */
  readonly filters: readonly Filter[];
  readonly window: Window;
  /** As typed, such as `1.2s`; empty for no bound. */
  readonly minDuration: string;
  readonly maxDuration: string;
  /** How many traces at a time. */
  readonly limit: number;
  readonly order: Order;
  /** These traces instead of a search. */
  readonly traceIds: readonly string[];
  /** Of these traces, the spans that the link is about. */
  readonly spans: readonly MarkedSpans[];
}

export interface MarkedSpans {
  readonly traceId: string;
  readonly spanIds: readonly string[];
}

/** A query and whether a page that opens with it runs it at once. */
export interface ParsedSearch {
  readonly query: SearchQuery;
  readonly runs: boolean;
}

export const LOOKBACKS = [
  "5m",
  "15m",
  "30m",
  "1h",
  "2h",
  "3h",
  "6h",
  "12h",
  "24h",
  "2d",
  "3d",
  "5d",
  "7d",
  "2w",
  "3w",
  "4w",
] as const;

export const LIMIT_DEFAULT = 20;
export const LIMIT_MAX = 1_500;

export const EMPTY_QUERY: SearchQuery = {
  service: "",
  operation: "",
  tags: [],
  filters: [],
  window: { kind: "lookback", lookback: "1h" },
  minDuration: "",
  maxDuration: "",
  limit: LIMIT_DEFAULT,
  order: "newest",
  traceIds: [],
  spans: [],
};

/** What Jaeger's links say when they mean any. */
const ANY_SERVICE = new Set(["", "__all_services__", "-"]);
const ANY_OPERATION = new Set(["", "all", "__all_operations__", "-"]);

/**
 * Reads a search from the parameters of a URL; of repeated parameters the first counts. `lookback`
 * is meant where the URL says nothing of time.
 */
export function parseSearch(
  params: URLSearchParams,
  lookback: string | undefined = undefined,
): ParsedSearch {
  const text = (name: string) => params.get(name) ?? "";
  const service = text("service");
  const operation = text("operation");
  const traceIds = traceIdsOf(params);
  const more = moreOf(params);
  const sort = text("sort");
  const query: SearchQuery = {
    service: ANY_SERVICE.has(service) ? "" : service,
    operation: ANY_OPERATION.has(operation) ? "" : operation,
    tags: merged(tagsOf(params), more.tags),
    filters: more.filters,
    window: windowOf(params, lookback),
    minDuration: text("minDuration").trim(),
    maxDuration: text("maxDuration").trim(),
    limit: limitOf(text("limit")),
    order: isOrder(sort) ? sort : EMPTY_QUERY.order,
    traceIds,
    spans: spansOf(params),
  };
  const asks = ["service", "start", "end", "lookback", "tags", "tag", "minDuration", "q"];
  return { query, runs: traceIds.length > 0 || asks.some((name) => params.has(name)) };
}

function limitOf(text: string): number {
  const limit = Number.parseInt(text, 10);
  return Number.isFinite(limit) && limit > 0 ? Math.min(limit, LIMIT_MAX) : LIMIT_DEFAULT;
}

function windowOf(params: URLSearchParams, otherwise: string | undefined): Window {
  const lookback = params.get("lookback") ?? "";
  const isRelative = lookback !== "" && lookback !== "custom" && parseDuration(lookback).ok;
  const start = epochOf(params.get("start"));
  const end = epochOf(params.get("end"));
  // Jaeger writes start and end into every link; with a preset beside them it still means the
  // moment at which the link was made.
  if (start !== undefined && end !== undefined && start < end) return { kind: "range", start, end };
  if (isRelative) return { kind: "lookback", lookback };
  return otherwise === undefined ? EMPTY_QUERY.window : { kind: "lookback", lookback: otherwise };
}

function epochOf(text: string | null): EpochMicros | undefined {
  return text !== null && /^\d{1,17}$/.test(text) ? epochMicros(Number(text)) : undefined;
}

/** `tags` is a JSON object; old links have `tag=key:value`, several joined by a bar. */
function tagsOf(params: URLSearchParams): Pairs {
  const tags = new Map<string, string>();
  for (const tag of params.getAll("tag").flatMap((each) => each.split("|"))) {
    const colon = tag.indexOf(":");
    if (colon > 0) tags.set(tag.slice(0, colon), tag.slice(colon + 1));
  }
  const written = params.get("tags") ?? "";
  for (const [key, value] of parseTagsJson(written)) tags.set(key, value);
  return [...tags];
}

function parseTagsJson(text: string): Pairs {
  if (text === "") return [];
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) {
      return Object.entries(parsed).map(([key, value]) => [key, String(value)] as const);
    }
  } catch {
    // People also write links by hand.
    const pairs = parseLogfmt(text);
    if (pairs.ok) return pairs.value;
  }
  return [];
}

/** `q` is ours; `f` and `fs` are how the first version wrote two of its conditions. */
function moreOf(params: URLSearchParams): { tags: Pairs; filters: readonly Filter[] } {
  const failed = params.get("f") === "err" ? ["trace.errors>=1"] : [];
  const services = params.getAll("fs").map((name) => ({
    key: "service",
    operator: "=" as const,
    values: [name],
    isExcluded: false,
  }));
  const parsed = parseConditions([params.get("q") ?? "", ...failed].join(" "));
  if (!parsed.ok) return { tags: [], filters: services };
  return { tags: parsed.value.tags, filters: [...parsed.value.filters, ...services] };
}

function merged(first: Pairs, second: Pairs): Pairs {
  return second.length === 0 ? first : [...new Map([...first, ...second])];
}

/** `traceID=…`, and `span=ids@traceID` of links to certain spans. */
function traceIdsOf(params: URLSearchParams): string[] {
  const ids = params.getAll("traceID");
  const spans = params.getAll("span").map((each) => each.slice(each.indexOf("@") + 1));
  return [...new Set([...ids, ...spans])].filter(isTraceId).map((id) => id.toLowerCase());
}

/** `span=ids@traceID`, the ids with spaces between. */
function spansOf(params: URLSearchParams): MarkedSpans[] {
  return params.getAll("span").flatMap((each) => {
    const [ids = "", traceId = ""] = each.split("@");
    const spanIds = ids.split(" ").filter((id) => /^[0-9a-f]{1,16}$/i.test(id));
    return spanIds.length > 0 && isTraceId(traceId)
      ? [{ traceId: traceId.toLowerCase(), spanIds }]
      : [];
  });
}

/** The parameters of a search's URL, in Jaeger's order and with nothing that says the default. */
export function printSearch(query: SearchQuery): URLSearchParams {
  const params = new URLSearchParams();
  for (const id of query.traceIds) params.append("traceID", id);
  for (const { traceId, spanIds } of query.spans) {
    params.append("span", `${spanIds.join(" ")}@${traceId}`);
  }
  if (query.traceIds.length > 0) return params;
  if (query.window.kind === "range") params.set("end", String(query.window.end));
  if (query.limit !== LIMIT_DEFAULT) params.set("limit", String(query.limit));
  params.set("lookback", query.window.kind === "lookback" ? query.window.lookback : "custom");
  if (query.maxDuration !== "") params.set("maxDuration", query.maxDuration);
  if (query.minDuration !== "") params.set("minDuration", query.minDuration);
  if (query.operation !== "") params.set("operation", query.operation);
  if (query.filters.length > 0) {
    params.set("q", printConditions({ tags: [], filters: query.filters }));
  }
  if (query.service !== "") params.set("service", query.service);
  if (query.order !== EMPTY_QUERY.order) params.set("sort", query.order);
  if (query.window.kind === "range") params.set("start", String(query.window.start));
  if (query.tags.length > 0) {
    params.set("tags", JSON.stringify(Object.fromEntries(query.tags)));
  }
  return params;
}

/** A stretch of time with both ends. */
export interface TimeSpan {
  readonly start: EpochMicros;
  readonly end: EpochMicros;
}

/** The window as two points in time. */
export function resolveWindow(window: Window, now: EpochMicros): TimeSpan {
  if (window.kind === "range") return window;
  const length = parseDuration(window.lookback);
  const fallback = 3_600_000_000 as Micros;
  return { start: earlier(now, length.ok ? length.value : fallback), end: now };
}

/** What people type into the form. */
export interface SearchDraft {
  readonly service: string;
  readonly operation: string;
  readonly tags: string;
  readonly window: Window;
  readonly minDuration: string;
  readonly maxDuration: string;
  readonly limit: string;
  readonly order: Order;
}

export type DraftErrors = Partial<Record<keyof SearchDraft, string>>;

export function draftOf(query: SearchQuery): SearchDraft {
  return {
    service: query.service,
    operation: query.operation,
    tags: printConditions(query),
    window: query.window,
    minDuration: query.minDuration,
    maxDuration: query.maxDuration,
    limit: String(query.limit),
    order: query.order,
  };
}

/** The query that a draft means, or what is wrong with which field. */
export function queryOf(
  draft: SearchDraft,
  limitMax = LIMIT_MAX,
): Result<SearchQuery, DraftErrors> {
  const errors: DraftErrors = {};
  const conditions = parseConditions(draft.tags);
  if (!conditions.ok) errors.tags = conditions.error;
  const bounds = { minDuration: Number.NaN, maxDuration: Number.NaN };
  for (const name of ["minDuration", "maxDuration"] as const) {
    if (draft[name].trim() === "") continue;
    const parsed = parseDuration(draft[name]);
    if (parsed.ok) bounds[name] = parsed.value;
    else errors[name] = parsed.error;
  }
  if (bounds.minDuration > bounds.maxDuration) errors.maxDuration = "is below the minimum";
  const limit = Number(draft.limit);
  if (!Number.isInteger(limit) || limit < 1 || limit > limitMax) {
    errors.limit = `must be 1 to ${limitMax}`;
  }
  if (draft.window.kind === "range" && draft.window.start >= draft.window.end) {
    errors.window = "the end must be after the start";
  }
  if (!conditions.ok || Object.keys(errors).length > 0) return err(errors);
  return ok({
    service: draft.service.trim(),
    operation: draft.operation.trim(),
    ...conditions.value,
    window: draft.window,
    minDuration: draft.minDuration.trim(),
    maxDuration: draft.maxDuration.trim(),
    limit,
    order: draft.order,
    traceIds: [],
    spans: [],
  });
}
