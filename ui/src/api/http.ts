// The only place that fetches. Addresses are relative to the page's base, so the UI works below
// any path prefix; answers come with what they lack and how long they took.

import { MICROS_PER_MILLI, type Micros, micros, wallClock } from "../base/time";
import { type Completeness, parseCompleteness } from "../model/completeness";
import { NOTHING_TOLD, type Told, toldBy } from "./told";

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
  readonly told: Told;

  constructor(
    kind: FailureKind,
    status: number,
    path: string,
    message: string,
    told: Told = NOTHING_TOLD,
  ) {
    super(message);
    this.kind = kind;
    this.status = status;
    this.path = path;
    this.told = told;
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

export interface AnsweredBytes {
  readonly value: ArrayBuffer;
  /** What the head of the answer says; undefined if it says nothing. */
  readonly completeness: Completeness | undefined;
  readonly elapsed: Micros;
}

/** Fetches bytes. */
export async function getBuffer(url: string, signal: AbortSignal): Promise<AnsweredBytes> {
  const { response, began } = await send(url, { signal });
  const value = await response.arrayBuffer();
  const said = response.headers.get(COMPLETENESS_HEADER);
  const completeness = said === null ? undefined : parseCompleteness(said);
  return { value, completeness, elapsed: micros((performance.now() - began) * MICROS_PER_MILLI) };
}

/**
 * How an answer begins if it is another than the one with this tag. The rest is left where it is;
 * what cannot be asked is taken for no.
 */
export async function beginningOf(
  url: string,
  tag: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const headers = { "if-none-match": `W/"${tag}"` };
  try {
    const response = await fetch(url, { headers, cache: "no-store", signal });
    if (response.status !== 200 || response.body === null) return undefined;
    const reader = response.body.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    return new TextDecoder().decode(value);
  } catch {
    return undefined;
  }
}

/** Fetches a text as it is. */
export async function getText(url: string, signal: AbortSignal): Promise<Answered<string>> {
  const headers = { accept: "application/json" };
  const { response, began } = await send(url, { headers, signal });
  const value = await response.text();
  const completeness = parseCompleteness(response.headers.get(COMPLETENESS_HEADER));
  return { value, completeness, elapsed: micros((performance.now() - began) * MICROS_PER_MILLI) };
}

/** Sends JSON and fetches JSON. */
export function askJson<T>(
  url: string,
  question: object,
  read: (json: unknown) => T,
  signal: AbortSignal | undefined,
): Promise<Answered<T>> {
  return exchange(url, requestOf(question, signal), read);
}

function requestOf(question: object, signal: AbortSignal | undefined): RequestInit {
  return {
    method: "POST",
    headers: { accept: "application/json", "content-type": "application/json" },
    body: JSON.stringify(question),
    ...(signal === undefined ? {} : { signal }),
  };
}

/** The longest line that is waited for; a trace's summary has a few hundred bytes. */
const LINE_CHARACTERS_MAX = 4_000_000;

/** Sends JSON and hands over lines of JSON as they come, as many at a time as there are. */
export async function postLines(
  url: string,
  question: object,
  signal: AbortSignal,
  onLines: (lines: readonly unknown[]) => void,
): Promise<void> {
  const { response } = await send(url, requestOf(question, signal));
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) return;
  let rest = "";
  const take = (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LINE_CHARACTERS_MAX) throw malformed(response, url, "a line does not end");
    onLines(lines.filter((line) => line.trim() !== "").map((line) => parsed(line, response, url)));
  };
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      take(value);
    }
    if (rest.trim() !== "") take("\n");
  } catch (error) {
    await reader.cancel().catch(() => undefined);
    if (isAbort(error) || error instanceof ApiError) throw error;
    if (error instanceof TypeError) {
      throw new ApiError("network", 0, pathOf(url), "The answer was cut off on its way.");
    }
    throw malformed(response, url, error instanceof Error ? error.message : String(error));
  }
}

function parsed(line: string, response: Response, url: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw malformed(response, url, "a line is not JSON");
  }
}

function malformed(response: Response, url: string, reason: string): ApiError {
  return new ApiError("malformed", response.status, pathOf(url), `Unexpected answer: ${reason}.`);
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
  const told = toldBy(response.headers, wallClock());
  return new ApiError(kind, response.status, pathOf(url), message, told);
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
