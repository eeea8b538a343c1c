// The thread beside the page that reads a trace and answers questions about it.

/// <reference lib="webworker" />

import type { AttributeColumn } from "../model/attribute-column";
import type { CriticalPath } from "../model/critical-path";
import type { SpanDetails } from "../model/details";
import type { SortBy } from "../model/order";
import { buffersOf, type EventColumns } from "../model/trace";
import { ApiError, type FailureKind } from "./http";
import { NOTHING_TOLD, type Told } from "./told";
import { type Found, type Opened, type Stored, TraceReader } from "./trace-reader";

/** What can be asked, and what the answer is. */
export interface Questions {
  open: { readonly ask: Stored; readonly answer: Opened };
  openFile: {
    readonly ask: {
      readonly file: File;
      /** Which of the traces in the file. */
      readonly index: number;
      /** Where OTLP is made Jaeger's JSON. */
      readonly transformUrl: string;
    };
    readonly answer: Opened;
  };
  criticalPath: { readonly ask: object; readonly answer: CriticalPath };
  events: { readonly ask: object; readonly answer: EventColumns | undefined };
  details: {
    readonly ask: { readonly rows: readonly number[] };
    readonly answer: readonly SpanDetails[];
  };
  find: {
    /** `isWhole` waits for the attributes, if what is looked for may be in them. */
    readonly ask: { readonly text: string; readonly isWhole: boolean };
    readonly answer: Found;
  };
  order: {
    readonly ask: { readonly by: SortBy; readonly isDescending: boolean };
    readonly answer: Int32Array<ArrayBuffer>;
  };
  keys: { readonly ask: object; readonly answer: readonly string[] | undefined };
  attribute: {
    readonly ask: { readonly key: string };
    readonly answer: AttributeColumn | undefined;
  };
  linkedFrom: { readonly ask: { readonly row: number }; readonly answer: readonly number[] };
}

export type Kind = keyof Questions;
export type Request = { [K in Kind]: { readonly kind: K } & Questions[K]["ask"] }[Kind];

export interface Failed {
  readonly failure: FailureKind;
  readonly status: number;
  readonly path: string;
  readonly message: string;
  readonly told: Told;
}

export type FromWorker =
  | { readonly question: number; readonly answer: unknown }
  | { readonly question: number; readonly failed: Failed };

const reader = new TraceReader();

function answer(request: Request): unknown {
  switch (request.kind) {
    case "open":
      return reader.open(request);
    case "openFile":
      return reader.openFile(request.file, request.index, request.transformUrl);
    case "criticalPath":
      return reader.criticalPath();
    case "events":
      return reader.events();
    case "details":
      return reader.details(request.rows);
    case "find":
      return reader.find(request.text, request.isWhole);
    case "order":
      return reader.order(request.by, request.isDescending);
    case "keys":
      return reader.keys();
    case "attribute":
      return reader.attribute(request.key);
    case "linkedFrom":
      return reader.linkedFrom(request.row);
  }
}

/** What is made for the page alone goes there without being copied. */
function transferred(kind: Kind, value: unknown): ArrayBuffer[] {
  if (kind === "open" || kind === "openFile") return buffersOf((value as Opened).columns);
  if (kind === "criticalPath") return buffersOf(value as CriticalPath);
  if (kind === "find") return [(value as Found).rows.buffer as ArrayBuffer];
  if (kind === "order") return [(value as Int32Array).buffer as ArrayBuffer];
  return [];
}

function failed(error: unknown): Failed {
  if (error instanceof ApiError) {
    const { kind: failure, status, path, message, told } = error;
    return { failure, status, path, message, told };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { failure: "malformed", status: 0, path: "", message, told: NOTHING_TOLD };
}

self.addEventListener(
  "message",
  async ({ data }: MessageEvent<{ question: number; request: Request }>) => {
    const { question, request } = data;
    try {
      const value = await answer(request);
      const transfer = transferred(request.kind, value);
      self.postMessage({ question, answer: value } satisfies FromWorker, { transfer });
    } catch (error) {
      self.postMessage({ question, failed: failed(error) } satisfies FromWorker);
    }
  },
);
