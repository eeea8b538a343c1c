// The attributes of a trace as distinct pairs of key and value, so that a word is compared with
// each of them once, however many spans carry it.

import type { PairIndex } from "./find";
import type { JaegerTag, JaegerTrace } from "./jaeger-json";

/** Pairs that stand in columns, or that only their own condition asks for. */
const PLACED = new Set(["span.kind", "otel.status_code"]);

/** `spanOfRow` says which span of the JSON each row is, -1 for none. */
export function indexPairs(trace: JaegerTrace, spanOfRow: Int32Array): PairIndex {
  const pairs = new Pairs();
  const resources = new Map<string, readonly number[]>(
    Object.entries(trace.processes).map(([id, process]) => [
      id,
      (process.tags ?? []).map((tag) => pairs.index(tag)),
    ]),
  );
  const offset = new Int32Array(spanOfRow.length + 1);
  const pair: number[] = [];
  spanOfRow.forEach((index, row) => {
    const span = trace.spans[index];
    if (span !== undefined) {
      for (const tag of span.tags ?? []) pair.push(pairs.index(tag));
      for (const log of span.logs ?? []) {
        for (const field of log.fields) pair.push(pairs.index(field));
      }
      for (const each of resources.get(span.processID) ?? []) pair.push(each);
    }
    offset[row + 1] = pair.length;
  });
  return {
    keys: pairs.keys,
    values: pairs.values,
    isPlaced: Uint8Array.from(pairs.keys, (key) => (PLACED.has(key) ? 1 : 0)),
    offset,
    pair: Uint32Array.from(pair),
  };
}

class Pairs {
  readonly keys: string[] = [];
  readonly values: string[] = [];
  readonly #indexes = new Map<string, Map<unknown, number>>();

  index({ key, value }: JaegerTag): number {
    let ofKey = this.#indexes.get(key);
    if (ofKey === undefined) {
      ofKey = new Map();
      this.#indexes.set(key, ofKey);
    }
    const isObject = typeof value === "object" && value !== null;
    const plain = isObject ? JSON.stringify(value) : value;
    const known = ofKey.get(plain);
    if (known !== undefined) return known;
    const index = this.keys.length;
    this.keys.push(key);
    this.values.push(String(plain).toLowerCase());
    ofKey.set(plain, index);
    return index;
  }
}
