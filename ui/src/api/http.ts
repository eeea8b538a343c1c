// The only place that fetches. Addresses are relative to the page's base, so the UI works below
// any path prefix; answers come with what they lack and how long they took.

import { MICROS_PER_MILLI, type Micros, micros } from "../base/time";
import { type Completeness, parseCompleteness } from "../model/completeness";

/** A value, and the answer to: how complete, how long? */
export interface Answered<T> {
  readonly value: T;
  readonly completeness: Completeness;
  readonly elapsed: Micros;
}

export type FailureKind = "network" | "not-found" | "refused" | "unavailable" | "malformed";

/** A request that failed, in words for people. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly kind: FailureKind;
  /** HTTP status; 0 if there was no answer. */
  readonly status: number;
  /** What was asked for. */
  readonly path: string;

  constructor(kind: FailureKind, status: number, path: string, message: string) {
    super(message);
    this.kind = kind;
    this.status = status;
    this.path = path;
  }
}

const COMPLETENESS_HEADER = "skua-completeness";

/** The address of an API path, for links and workers. */
export function apiUrl(path: string, params?: URLSearchParams): string {
  const query = params === undefined || params.size === 0 ? "" : `?${params}`;
  return new URL(`${path}${query}`, document.baseURI).href;
}

/** Sends a document and reads the JSON that comes back, as `getJson` does. */
export function postJson<T>(
  url: string,
  body: Blob,
  read: (json: unknown) => T,
): Promise<Answered<T>> {
  const headers = { accept: "application/json", "content-type": "application/json" };
  return exchange(url, { method: "POST", headers, body }, read);
}

/** Fetches JSON and lets `read` make a value of it; `read` throws on what it does not know. */
export function getJson<T>(
  url: string,
  read: (json: unknown) => T,
  signal: AbortSignal | undefined,
): Promise<Answered<T>> {
  const headers = { accept: "application/json" };
  return exchange(url, { headers, ...(signal === undefined ? {} : { signal }) }, read);
}

async function exchange<T>(
  url: string,
  request: RequestInit,
  read: (json: unknown) => T,
): Promise<Answered<T>> {
  const { response, began } = await send(url, request);
  let json: unknown;
  try {
    json = await response.json();
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError("malformed", response.status, pathOf(url), "The answer is not JSON.");
  }
  const elapsed = micros((performance.now() - began) * MICROS_PER_MILLI);
  const completeness = parseCompleteness(response.headers.get(COMPLETENESS_HEADER));
  try {
    return { value: read(json), completeness, elapsed };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ApiError("malformed", response.status, pathOf(url), `Unexpected answer: ${reason}.`);
  }
}

async function send(
  url: string,
  request: RequestInit,
): Promise<{ response: Response; began: number }> {
  const began = performance.now();
  let response: Response;
  try {
    response = await fetch(url, request);
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError("network", 0, pathOf(url), "The node does not answer.");
  }
  if (!response.ok) throw await failure(response, url);
  return { response, began };
}

async function failure(response: Response, url: string): Promise<ApiError> {
  const text = await response.text().catch(() => "");
  const kinds: Partial<Record<number, FailureKind>> = { 404: "not-found", 503: "unavailable" };
  const kind = kinds[response.status] ?? "refused";
  const message = messageOf(text) || `The node answered ${response.status}.`;
  return new ApiError(kind, response.status, pathOf(url), message);
}

/** The message within either API's error envelope, or the text itself. */
function messageOf(text: string): string {
  try {
    const body = JSON.parse(text) as {
      errors?: { msg?: unknown }[];
      error?: { message?: unknown };
    };
    const message = body.errors?.[0]?.msg ?? body.error?.message;
    return typeof message === "string" ? message : "";
  } catch {
    return text.trim().startsWith("<") ? "" : text.trim().slice(0, 300);
  }
}

function pathOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
