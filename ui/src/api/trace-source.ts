// Where the trace page gets a trace from. The page knows this interface only; a worker reads the
// trace behind it.

import type { AttributeColumn } from "../model/attribute-column";
import type { CriticalPath } from "../model/critical-path";
import type { SpanDetails } from "../model/details";
import type { SortBy } from "../model/order";
import type { EventColumns } from "../model/trace";
import { ApiError, apiUrl, beginningOf, getBuffer } from "./http";
import type { Found, Opened } from "./trace-reader";
import type { FromWorker, Kind, Questions } from "./trace-worker";

/** The columns at once, everything else on demand. */
export interface TraceSource extends Opened {
  /** What the trace was waiting for. */
  criticalPath(): Promise<CriticalPath>;
  /** When events were; undefined if that cannot be had. */
  events(): Promise<EventColumns | undefined>;
  /** Everything about the spans of these rows, in their order. */
  details(rows: readonly number[]): Promise<readonly SpanDetails[]>;
  /** With `isWhole` it waits for the attributes, without it says whether they are still to come. */
  find(text: string, isWhole: boolean): Promise<Found>;
  /** All rows in the order of a column. */
  order(by: SortBy, isDescending: boolean): Promise<Int32Array>;
  /** The keys of all attributes; undefined where they cannot all be had. */
  keys(): Promise<readonly string[] | undefined>;
  /** One attribute of all spans; undefined where they cannot all be had. */
  attribute(key: string): Promise<AttributeColumn | undefined>;
  /** Rows that link to the span of `row` from within the trace. */
  linkedFrom(row: number): Promise<readonly number[]>;
  close(): void;
}

interface Early {
  readonly traceId: string;
  readonly source: Promise<TraceSource>;
}

let early: Early | undefined;

/** Opens a stored trace before the page that will show it is there. */
export function openEarly(traceId: string): void {
  const source = openStored(traceId, new AbortController().signal);
  // The page that takes it over reports the failure.
  source.catch(() => undefined);
  early = { traceId, source };
}

/** Opens a stored trace. */
export function openTrace(traceId: string, signal: AbortSignal): Promise<TraceSource> {
  const begun = early;
  early = undefined;
  if (begun?.traceId === traceId) return begun.source;
  return openStored(traceId, signal);
}

function openStored(traceId: string, signal: AbortSignal): Promise<TraceSource> {
  const json = apiUrl(`api/traces/${encodeURIComponent(traceId)}`);
  const spans = apiUrl(`api/skua/v1/traces/${encodeURIComponent(traceId)}/spans`);
  const find = apiUrl(`api/skua/v1/traces/${encodeURIComponent(traceId)}/find`);
  // Asked for here, the columns are on their way while the worker starts.
  const columns = getBuffer(columnsUrl(traceId), signal).catch(asJson);
  return opened(signal, async (channel) => {
    const answer = await columns;
    const transfer = answer === undefined ? [] : [answer.value];
    return channel.ask("open", { columns: answer, json, spans, find }, transfer);
  });
}

/** A server that has no columns, or not of this trace, may have its JSON. */
function asJson(error: unknown): undefined {
  if (error instanceof ApiError && [404, 405, 501].includes(error.status)) return undefined;
  throw error;
}

/**
 * How many spans the trace has more than when it was at this revision. Another revision alone says
 * little: it can change with writes to other traces.
 */
export async function countNewSpans(
  traceId: string,
  known: { readonly revision: string; readonly spans: number },
  signal: AbortSignal,
): Promise<number> {
  const line = await beginningOf(columnsUrl(traceId), known.revision, signal);
  const spans = /"spans":(\d+)/.exec(line ?? "")?.[1];
  return spans === undefined ? 0 : Math.max(0, Number(spans) - known.spans);
}

function columnsUrl(traceId: string): string {
  return apiUrl(`api/skua/v1/traces/${encodeURIComponent(traceId)}/columns`);
}

/** Opens one of the traces in a file: Jaeger's JSON or OTLP. */
export function openFile(file: File, index: number, signal: AbortSignal): Promise<TraceSource> {
  const transformUrl = apiUrl("api/transform");
  return opened(signal, (channel) => channel.ask("openFile", { file, index, transformUrl }));
}

async function opened(
  signal: AbortSignal,
  ask: (channel: Channel) => Promise<Opened>,
): Promise<TraceSource> {
  const channel = new Channel();
  signal.addEventListener("abort", () => channel.close(), { once: true });
  try {
    const answer = await ask(channel);
    performance.clearMarks("trace read");
    performance.mark("trace read");
    return {
      ...answer,
      criticalPath: () => channel.ask("criticalPath", {}),
      events: () => channel.ask("events", {}),
      details: (rows) => channel.ask("details", { rows }),
      find: (text, isWhole) => channel.ask("find", { text, isWhole }),
      order: (by, isDescending) => channel.ask("order", { by, isDescending }),
      keys: () => channel.ask("keys", {}),
      attribute: (key) => channel.ask("attribute", { key }),
      linkedFrom: (row) => channel.ask("linkedFrom", { row }),
      close: () => channel.close(),
    };
  } catch (error) {
    channel.close();
    throw error;
  }
}

function startWorker(): Worker {
  return new Worker(new URL("./trace-worker.ts", import.meta.url), {
    type: "module",
    name: "trace",
  });
}

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Questions to one worker, each with its answer. */
class Channel {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #asked = 0;
  #isClosed = false;

  constructor() {
    this.#worker = startWorker();
    this.#worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => {
      const waiting = this.#waiting.get(data.question);
      this.#waiting.delete(data.question);
      if ("answer" in data) return waiting?.resolve(data.answer);
      const { failure, status, path, message, told } = data.failed;
      return waiting?.reject(new ApiError(failure, status, path, message, told));
    });
    this.#worker.addEventListener("error", () => this.#fail("The reader of the trace stopped."));
  }

  ask<K extends Kind>(
    kind: K,
    ask: Questions[K]["ask"],
    transfer: ArrayBuffer[] = [],
  ): Promise<Questions[K]["answer"]> {
    const question = this.#asked;
    this.#asked += 1;
    if (this.#isClosed) return Promise.reject(new ApiError("malformed", 0, "", "closed"));
    return new Promise((resolve, reject) => {
      this.#waiting.set(question, { resolve: resolve as Waiting["resolve"], reject });
      this.#worker.postMessage({ question, request: { kind, ...ask } }, transfer);
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#worker.terminate();
    this.#fail("closed");
  }

  #fail(message: string): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    const error = new ApiError("malformed", 0, "", message);
    for (const { reject } of waiting) reject(error);
  }
}
