// Where the trace page gets a trace from. The page knows this interface only; today a worker
// reads Jaeger's JSON behind it, and an endpoint that sends columns slots in beside it.

import type { Micros } from "../base/time";
import type { Completeness } from "../model/completeness";
import type { SpanDetails } from "../model/details";
import type { TraceColumns } from "../model/trace";
import { ApiError, apiUrl } from "./http";
import type { FromWorker, Reply, Request } from "./trace-worker";

/** The columns at once, everything else on demand. */
export interface TraceSource {
  readonly columns: TraceColumns;
  readonly completeness: Completeness;
  readonly elapsed: Micros;
  /** Of how many traces this is one; more than one only in files. */
  readonly traces: number;
  /** Everything about the spans of these rows, in their order. */
  details(rows: readonly number[]): Promise<readonly SpanDetails[]>;
  /** One byte a row: 1 where the span matches. */
  find(text: string): Promise<Uint8Array>;
  /** Rows that link to the span of `row` from within the trace. */
  linkedFrom(row: number): Promise<readonly number[]>;
  close(): void;
}

/** Opens a stored trace. */
export function openTrace(traceId: string, signal: AbortSignal): Promise<TraceSource> {
  const url = apiUrl(`api/traces/${encodeURIComponent(traceId)}`);
  return openInWorker({ kind: "open", url }, signal);
}

/** Opens one of the traces in a file: Jaeger's JSON or OTLP. */
export function openFile(file: File, index: number, signal: AbortSignal): Promise<TraceSource> {
  const transformUrl = apiUrl("api/transform");
  return openInWorker({ kind: "openFile", file, index, transformUrl }, signal);
}

async function openInWorker(
  request: Extract<Request, { kind: "open" | "openFile" }>,
  signal: AbortSignal,
): Promise<TraceSource> {
  const channel = new Channel();
  signal.addEventListener("abort", () => channel.close(), { once: true });
  try {
    const opened = await channel.ask(request, "opened");
    return {
      columns: opened.columns,
      completeness: opened.completeness,
      elapsed: opened.elapsed,
      traces: opened.traces,
      details: async (rows) => (await channel.ask({ kind: "details", rows }, "details")).details,
      find: async (text) => (await channel.ask({ kind: "find", text }, "found")).matches,
      linkedFrom: async (row) => (await channel.ask({ kind: "linkedFrom", row }, "rows")).rows,
      close: () => channel.close(),
    };
  } catch (error) {
    channel.close();
    throw error;
  }
}

let spare: Worker | undefined;

/** Starts a worker that the next trace will use: it loads while the page does. */
export function warmUp(): void {
  spare ??= startWorker();
}

function startWorker(): Worker {
  return new Worker(new URL("./trace-worker.ts", import.meta.url), {
    type: "module",
    name: "trace",
  });
}

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

/** Questions to one worker, each with its answer. */
class Channel {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #asked = 0;

  constructor() {
    this.#worker = spare ?? startWorker();
    spare = undefined;
    this.#worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => {
      const waiting = this.#waiting.get(data.question);
      this.#waiting.delete(data.question);
      if (data.reply.kind !== "failed") return waiting?.resolve(data.reply);
      const { failure, status, path, message } = data.reply;
      return waiting?.reject(new ApiError(failure, status, path, message));
    });
    this.#worker.addEventListener("error", () => this.#fail("The reader of the trace stopped."));
  }

  async ask<Kind extends Reply["kind"]>(
    request: Request,
    kind: Kind,
  ): Promise<Extract<Reply, { kind: Kind }>> {
    const question = this.#asked;
    this.#asked += 1;
    const reply = await new Promise<Reply>((resolve, reject) => {
      this.#waiting.set(question, { resolve, reject });
      this.#worker.postMessage({ question, request });
    });
    if (reply.kind !== kind) throw new ApiError("malformed", 0, "", "Unexpected reply.");
    return reply as Extract<Reply, { kind: Kind }>;
  }

  close(): void {
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
