// Reads a trace off the main thread and keeps its details there: the page holds columns only.

/// <reference lib="webworker" />

import { MICROS_PER_MILLI, type Micros, micros } from "../base/time";
import { buildColumns, isFailed } from "../model/build";
import { COMPLETE, type Completeness } from "../model/completeness";
import { detailsOf, type SpanDetails } from "../model/details";
import { isEmptyFind, matches, parseFind } from "../model/find";
import type { JaegerTrace } from "../model/jaeger-json";
import { buffersOf, type TraceColumns } from "../model/trace";
import { ApiError, type FailureKind, getJson, postJson } from "./http";
import { readTraces } from "./jaeger";

export type Request =
  | { readonly kind: "open"; readonly url: string }
  | {
      readonly kind: "openFile";
      readonly file: File;
      /** Which of the traces in the file. */
      readonly index: number;
      /** Where OTLP is made Jaeger's JSON. */
      readonly transformUrl: string;
    }
  | { readonly kind: "details"; readonly rows: readonly number[] }
  | { readonly kind: "find"; readonly text: string }
  | { readonly kind: "linkedFrom"; readonly row: number };

export type Reply =
  | {
      readonly kind: "opened";
      readonly columns: TraceColumns;
      readonly completeness: Completeness;
      readonly elapsed: Micros;
      /** Of how many traces this is one; more than one only in files. */
      readonly traces: number;
    }
  | { readonly kind: "details"; readonly details: readonly SpanDetails[] }
  | { readonly kind: "found"; readonly matches: Uint8Array }
  | { readonly kind: "rows"; readonly rows: readonly number[] }
  | {
      readonly kind: "failed";
      readonly failure: FailureKind;
      readonly status: number;
      readonly path: string;
      readonly message: string;
    };

export interface FromWorker {
  readonly question: number;
  readonly reply: Reply;
}

interface Open {
  readonly trace: JaegerTrace;
  readonly spanOfRow: Int32Array;
}

let opened: Open | undefined;

async function answer(request: Request): Promise<Reply> {
  switch (request.kind) {
    case "open":
      return open(request.url);
    case "openFile":
      return openFile(request.file, request.index, request.transformUrl);
    case "details":
      return { kind: "details", details: request.rows.map(details) };
    case "find":
      return { kind: "found", matches: find(request.text) };
    case "linkedFrom":
      return { kind: "rows", rows: linkedFrom(request.row) };
  }
}

async function open(url: string): Promise<Reply> {
  const { value, completeness, elapsed } = await getJson(url, readTraces, undefined);
  return show(value, 0, completeness, elapsed, new URL(url).pathname);
}

/** Jaeger's JSON is read here; OTLP, one document or one a line, the server makes Jaeger's. */
async function openFile(file: File, index: number, transformUrl: string): Promise<Reply> {
  const began = performance.now();
  const traces = await tracesIn(file, transformUrl);
  const elapsed = micros((performance.now() - began) * MICROS_PER_MILLI);
  return show(traces, index, COMPLETE, elapsed, file.name);
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

function show(
  traces: readonly JaegerTrace[],
  index: number,
  completeness: Completeness,
  elapsed: Micros,
  where: string,
): Reply {
  const trace = traces[index];
  if (trace === undefined || trace.spans.length === 0) {
    throw new ApiError("not-found", 404, where, "trace not found");
  }
  const { columns, spanOfRow } = buildColumns(trace);
  opened = { trace, spanOfRow };
  return { kind: "opened", columns, completeness, elapsed, traces: traces.length };
}

function details(row: number): SpanDetails {
  const span = opened?.trace.spans[opened.spanOfRow[row] ?? -1];
  if (opened === undefined || span === undefined) throw new Error(`no span in row ${row}`);
  return detailsOf(span, opened.trace.processes[span.processID]);
}

function find(text: string): Uint8Array {
  const query = parseFind(text);
  const found = new Uint8Array(opened?.spanOfRow.length ?? 0);
  if (isEmptyFind(query)) return found;
  // What the columns can tell costs little, so it is asked first.
  const wantsError = query.conditions.some((condition) => condition.is === "error");
  for (let row = 0; row < found.length; row += 1) {
    if (wantsError && !hasError(row)) continue;
    if (matches(query, details(row))) found[row] = 1;
  }
  return found;
}

function hasError(row: number): boolean {
  const span = opened?.trace.spans[opened.spanOfRow[row] ?? -1];
  return span !== undefined && isFailed(span);
}

function linkedFrom(row: number): number[] {
  const target = details(row).spanId;
  const rows: number[] = [];
  opened?.spanOfRow.forEach((_, from) => {
    if (details(from).links.some((link) => link.spanId === target)) rows.push(from);
  });
  return rows;
}

function failed(error: unknown): Reply {
  if (error instanceof ApiError) {
    const { kind: failure, status, path, message } = error;
    return { kind: "failed", failure, status, path, message };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { kind: "failed", failure: "malformed", status: 0, path: "", message };
}

self.addEventListener(
  "message",
  async ({ data }: MessageEvent<{ question: number; request: Request }>) => {
    const reply = await answer(data.request).catch(failed);
    const transfer =
      reply.kind === "opened"
        ? buffersOf(reply.columns)
        : reply.kind === "found"
          ? [reply.matches.buffer as ArrayBuffer]
          : [];
    self.postMessage({ question: data.question, reply } satisfies FromWorker, { transfer });
  },
);
