// Which rows of a trace the server found, a bit each.

import { number, record, text } from "./guards";

export interface FoundBits {
  /** Of how many spans. */
  readonly spans: number;
  /** A bit a row of the server's, the lowest bit of the first byte first. */
  readonly bits: Uint8Array;
}

export function readFound(json: unknown): FoundBits {
  const found = record(json, "answer");
  const bytes = atob(text(found["rows"], "rows"));
  return {
    spans: number(found["spans"], "spans"),
    bits: Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)),
  };
}
