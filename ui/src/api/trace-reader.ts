// What the worker does: reads a trace, keeps what the page asks for on demand, and answers.
//
// A stored trace comes as columns; its attributes come as Jaeger's JSON when first asked for. A
// server without the columns, and a file, give the JSON at once.

import { MICROS_PER_MILLI, type Micros, micros } from "../base/time";
import { askedAttributes, canBeAsked, predicatesOf } from "../model/asked-attributes";
import { type AttributeColumn, attributeColumn, attributeKeys } from "../model/attribute-column";
import { type Built, buildColumns, eventsOf } from "../model/build";
import { type Decoded, decodeColumns } from "../model/columns";
import { COMPLETE, type Completeness } from "../model/completeness";
import { type CriticalPath, criticalPath } from "../model/critical-path";
import { bareDetails, detailsOf, type SpanDetails } from "../model/details";
import { factsOf, type TraceFacts } from "../model/facts";
import {
  type Attributes,
  type FindQuery,
  findRows,
  needsAttributes,
  parseFind,
} from "../model/find";
import type { JaegerTrace } from "../model/jaeger-json";
import { type SortBy, sortedRows } from "../model/order";
import { indexPairs } from "../model/pair-index";
import type { Predicate } from "../model/predicate";
import { rowsOfSpans } from "../model/rows-of-spans";
import {
  copyOf,
  type EventColumns,
  Flag,
  lengthOf,
  spanIdOf,
  startTimeOf,
  type TraceColumns,
} from "../model/trace";
import { type FoundBits, readFound } from "./found";
import { type AnsweredBytes, ApiError, askJson, getJson, postJson } from "./http";
import { readTraces } from "./jaeger";

/**
 * A stored trace: its columns if the server has them, where its JSON is, where that of some of its
 * spans is, and where its attributes are searched.
 */
export interface Stored {
  readonly columns: AnsweredBytes | undefined;
  readonly json: string;
  readonly spans: string;
  readonly find: string;
}

export interface Opened {
  readonly columns: TraceColumns;
  readonly facts: TraceFacts;
  readonly completeness: Completeness;
  readonly elapsed: Micros;
  /** Of how many traces this is one; more than one only in files. */
  readonly traces: number;
  /** Can attributes and events of all spans be had? Of single ones they can. */
  readonly hasDetails: boolean;
  /** Which state of a stored trace this is; empty if the server does not say. */
  readonly revision: string;
}

/** Of a larger trace nobody waits for all attributes to see those of one span. */
const SPANS_WHOLE_MAX = 20_000;
/** A server takes no more at once. */
const SPANS_ASKED_MAX = 1_000;

/** Of a larger trace a node gives the first spans only, as JSON. */
const DETAILS_SPANS_MAX = 100_000;

export interface Found {
  /** One byte a row: 1 where the span matches. */
  readonly rows: Uint8Array;
  /** False while attributes were not looked into, although they can be. */
  readonly isWhole: boolean;
  /** More might be found in attributes, which cannot all be had. */
  readonly lacksAttributes: boolean;
}

interface Details {
  readonly trace: JaegerTrace;
  readonly spanOfRow: Int32Array;
}

export class TraceReader {
  #columns: TraceColumns | undefined;
  #detailsUrl: string | undefined;
  #spansUrl: string | undefined;
  #details: Promise<Details> | undefined;
  #attributes: Attributes | undefined;
  #findUrl: string | undefined;
  #sentRows: Int32Array | undefined;
  /** Stops the questions of a find that another one has overtaken. */
  #finding = new AbortController();
  /** The spans that link to others. */
  #linking: Promise<Details | undefined> | undefined;

  async open(stored: Stored): Promise<Opened> {
    if (stored.columns === undefined) return this.#openJson(stored.json);
    const began = performance.now();
    const { columns, completeness, revision, sentRows } = decode(stored.columns.value, stored.json);
    if (columns.count > SPANS_WHOLE_MAX) {
      this.#findUrl = stored.find;
      this.#sentRows = sentRows;
    }
    const hasDetails = columns.count <= DETAILS_SPANS_MAX;
    this.#detailsUrl = hasDetails ? stored.json : undefined;
    this.#spansUrl = stored.spans;
    this.#columns = columns;
    const elapsed = micros(stored.columns.elapsed + since(began));
    return {
      columns: copyOf(columns),
      facts: factsOf(columns),
      // A body that the browser had kept, and that is still of this revision, says what was so when
      // it came; the answer's head says what is so now.
      completeness: stored.columns.completeness ?? completeness,
      elapsed,
      traces: 1,
      hasDetails,
      revision,
    };
  }

  async #openJson(url: string): Promise<Opened> {
    const { value, completeness, elapsed } = await getJson(url, readTraces, undefined);
    return this.#show(value, 0, completeness, elapsed, new URL(url).pathname);
  }

  /** Jaeger's JSON is read here; OTLP, one document or one a line, the server makes Jaeger's. */
  async openFile(file: File, index: number, transformUrl: string): Promise<Opened> {
    const began = performance.now();
    const traces = await tracesIn(file, transformUrl);
    return this.#show(traces, index, COMPLETE, since(began), file.name);
  }

  #show(
    traces: readonly JaegerTrace[],
    index: number,
    completeness: Completeness,
    elapsed: Micros,
    where: string,
  ): Opened {
    const trace = traces[index];
    if (trace === undefined || trace.spans.length === 0) {
      throw new ApiError("not-found", 404, where, "trace not found");
    }
    const built: Built = buildColumns(trace);
    this.#columns = built.columns;
    this.#details = Promise.resolve({ trace, spanOfRow: built.spanOfRow });
    return {
      columns: copyOf(built.columns),
      facts: factsOf(built.columns),
      completeness,
      elapsed,
      traces: traces.length,
      hasDetails: true,
      revision: "",
    };
  }

  criticalPath(): CriticalPath {
    return criticalPath(this.#shown());
  }

  /** When events were; undefined if that cannot be had. */
  async events(): Promise<EventColumns | undefined> {
    const columns = this.#shown();
    const details = await this.#loaded();
    return details && eventsOf(details.trace.spans, details.spanOfRow, columns.origin);
  }

  async details(rows: readonly number[]): Promise<readonly SpanDetails[]> {
    const details = await this.#detailsFor(rows);
    return rows.map((row) => this.#detail(row, details));
  }

  /** All there is, where that is not much or at hand; else what is asked for alone. */
  async #detailsFor(rows: readonly number[]): Promise<Details | undefined> {
    const isSmall = this.#shown().count <= SPANS_WHOLE_MAX;
    if (isSmall || this.#details !== undefined) return this.#loaded();
    return (await this.#some(rows)) ?? (await this.#loaded());
  }

  #detail(row: number, details: Details | undefined): SpanDetails {
    const columns = this.#shown();
    const span = details?.trace.spans[details.spanOfRow[row] ?? -1];
    if (details === undefined || span === undefined) return bareDetails(columns, row);
    const whole = detailsOf(span, details.trace.processes[span.processID]);
    // The JSON has whole microseconds; the panel must not differ from the bar beside it.
    return { ...whole, start: startTimeOf(columns, row), length: lengthOf(columns, row) };
  }

  /** What can be had of these rows alone; undefined from a server that does not give single spans. */
  async #some(rows: readonly number[]): Promise<Details | undefined> {
    const columns = this.#shown();
    if (this.#spansUrl === undefined || rows.length === 0) return undefined;
    const url = new URL(this.#spansUrl);
    for (const row of rows.slice(0, SPANS_ASKED_MAX)) {
      url.searchParams.append("span_id", spanIdOf(columns, row));
    }
    try {
      const { value } = await getJson(url.href, readTraces, undefined);
      const trace = value[0];
      return trace && { trace, spanOfRow: rowsOfSpans(columns, trace, rows) };
    } catch (error) {
      // Every server answers for a trace that it has, unless it does not know the question.
      if (error instanceof ApiError && [404, 405, 501].includes(error.status)) return undefined;
      throw error;
    }
  }

  /**
   * Names, ids and durations are at hand, attributes may have to be fetched: without `isWhole` the
   * answer does not wait for them, and says so.
   */
  async find(text: string, isWhole: boolean): Promise<Found> {
    const columns = this.#shown();
    const query = parseFind(text);
    this.#finding.abort();
    this.#finding = new AbortController();
    const needs = needsAttributes(query);
    if (!needs || (this.#attributes === undefined && !isWhole)) {
      const canBeMore = needs && (this.#findUrl ?? this.#detailsUrl ?? this.#details) !== undefined;
      const rows = findRows(query, columns, undefined);
      return { rows, isWhole: !canBeMore, lacksAttributes: needs && !canBeMore };
    }
    const attributes = (await this.#asked(query)) ?? (await this.#indexed());
    return {
      rows: findRows(query, columns, attributes),
      isWhole: true,
      lacksAttributes: attributes === undefined,
    };
  }

  /** What the server finds in attributes; undefined if it is not to be asked, or does not know. */
  async #asked(query: FindQuery): Promise<Attributes | undefined> {
    const url = this.#findUrl;
    if (this.#attributes !== undefined || url === undefined || !canBeAsked(query)) return undefined;
    const { signal } = this.#finding;
    const ask = async (predicate: Predicate) => {
      const { value } = await askJson(url, { where: predicate }, readFound, signal);
      return [predicate, this.#rowsOf(value)] as const;
    };
    try {
      return askedAttributes(await Promise.all(predicatesOf(query).map(ask)));
    } catch (error) {
      if (error instanceof ApiError && [404, 405, 501].includes(error.status)) return undefined;
      throw error;
    }
  }

  /** The rows that the server means, if the trace is still the one that is shown. */
  #rowsOf({ spans, bits }: FoundBits): Uint8Array {
    const { count } = this.#shown();
    if (spans !== count) throw new ApiError("not-found", 404, "", "the trace has changed");
    return Uint8Array.from(this.#sentRows ?? [], (row) => ((bits[row >> 3] ?? 0) >> (row & 7)) & 1);
  }

  /** What is known from all attributes; undefined where they cannot all be had. */
  async #indexed(): Promise<Attributes | undefined> {
    if (this.#attributes === undefined) {
      const details = await this.#loaded();
      await breath();
      if (details !== undefined) {
        this.#attributes ??= indexPairs(details.trace, details.spanOfRow);
      }
    }
    return this.#attributes;
  }

  /** The keys of all attributes; undefined where they cannot all be had. */
  async keys(): Promise<readonly string[] | undefined> {
    const details = await this.#loaded();
    return details && attributeKeys(details.trace);
  }

  /** One attribute of all spans; undefined where they cannot all be had. */
  async attribute(key: string): Promise<AttributeColumn | undefined> {
    const details = await this.#loaded();
    return details && attributeColumn(details.trace, details.spanOfRow, key);
  }

  order(by: SortBy, isDescending: boolean): Int32Array<ArrayBuffer> {
    return sortedRows(this.#shown(), by, isDescending);
  }

  /** Rows that link to the span of `row` from within the trace. */
  async linkedFrom(row: number): Promise<readonly number[]> {
    const columns = this.#shown();
    const linking: number[] = [];
    for (let from = 0; from < columns.count; from += 1) {
      if (((columns.flags[from] ?? 0) & Flag.links) !== 0) linking.push(from);
    }
    if (linking.length === 0) return [];
    this.#linking ??= this.#detailsFor(linking);
    const details = await this.#linking;
    const target = spanIdOf(columns, row);
    return linking.filter((from) => {
      const span = details?.trace.spans[details.spanOfRow[from] ?? -1];
      return (
        span !== undefined &&
        detailsOf(span, undefined).links.some(({ spanId }) => spanId === target)
      );
    });
  }

  #shown(): TraceColumns {
    if (this.#columns === undefined) throw new Error("no trace is open");
    return this.#columns;
  }

  /** Fetched once, when first asked for; a failure is tried again the next time. */
  #loaded(): Promise<Details | undefined> {
    if (this.#details !== undefined) return this.#details;
    const url = this.#detailsUrl;
    if (url === undefined) return Promise.resolve(undefined);
    const columns = this.#shown();
    const loading = getJson(url, readTraces, undefined).then(async ({ value }) => {
      await breath();
      const trace = value[0] ?? { traceID: columns.traceId, spans: [], processes: {} };
      return { trace, spanOfRow: rowsOfSpans(columns, trace) };
    });
    this.#details = loading;
    loading.catch(() => {
      this.#details = undefined;
    });
    return loading;
  }
}

/** Lets questions be answered that came during a long step, before the next one. */
function breath(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

function decode(body: ArrayBuffer, where: string): Decoded {
  let decoded: Decoded;
  try {
    decoded = decodeColumns(body);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ApiError("malformed", 200, where, `Unexpected answer: ${reason}.`);
  }
  if (decoded.columns.count === 0) throw new ApiError("not-found", 404, where, "trace not found");
  return decoded;
}

async function tracesIn(file: File, transformUrl: string): Promise<readonly JaegerTrace[]> {
  let json: unknown;
  try {
    json = JSON.parse(await file.text());
  } catch {
    json = undefined;
  }
  if (typeof json === "object" && json !== null && "data" in json) return readTraces(json);
  return (await postJson(transformUrl, file, readTraces)).value;
}

function since(began: number): Micros {
  return micros((performance.now() - began) * MICROS_PER_MILLI);
}
