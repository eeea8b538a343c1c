// The attributes of a trace as distinct pairs of key and value, so that a word is compared with
// each of them once, however many spans carry it.

import {
  type AttributeCondition,
  type Attributes,
  NEVER,
  passesText,
  STATUS_KEYS,
  type Test,
} from "./find";
import type { JaegerTag, JaegerTrace } from "./jaeger-json";

/** The attributes of all spans, every distinct pair once. */
interface PairIndex {
  readonly keys: readonly string[];
  /** Lower case. */
  readonly values: readonly string[];
  /** Pairs that words do not look into, because they are said in columns. */
  readonly isPlaced: Uint8Array;
  /** The pairs of row r are at offset[r] .. offset[r + 1] of `pair`. */
  readonly offset: Int32Array;
  readonly pair: Uint32Array;
}

/** Pairs that stand in columns, or that only their own condition asks for. */
const PLACED = new Set(["span.kind", "otel.status_code"]);

/** `spanOfRow` says which span of the JSON each row is, -1 for none. */
export function indexPairs(trace: JaegerTrace, spanOfRow: Int32Array): Attributes {
  const pairs = pairsOf(trace, spanOfRow);
  return {
    withWord: (words) => withWord(pairs, words),
    passing: (condition) => passing(pairs, condition),
  };
}

function withWord(pairs: PairIndex, words: readonly string[]): Test {
  const occurs = (text: string) => words.some((word) => text.includes(word));
  return anyPair(
    pairs,
    Uint8Array.from(pairs.keys, (key, index) =>
      pairs.isPlaced[index] !== 1 &&
      (occurs(key.toLowerCase()) || occurs(pairs.values[index] ?? ""))
        ? 1
        : 0,
    ),
  );
}

function passing(pairs: PairIndex, condition: AttributeCondition): Test {
  const key = STATUS_KEYS.has(condition.key) ? "otel.status_code" : condition.key;
  const isNot = condition.operator === "!=";
  const wanted = isNot ? { ...condition, operator: "=" as const } : condition;
  const passes = Uint8Array.from(pairs.keys, (of, index) =>
    of === key && passesText(wanted, pairs.values[index] ?? "") ? 1 : 0,
  );
  const has = anyPair(pairs, passes);
  return isNot ? (row) => !has(row) : has;
}

function anyPair(pairs: PairIndex, passes: Uint8Array): Test {
  if (!passes.includes(1)) return NEVER;
  return (row) => {
    const last = pairs.offset[row + 1] ?? 0;
    for (let at = pairs.offset[row] ?? 0; at < last; at += 1) {
      if (passes[pairs.pair[at] ?? 0] === 1) return true;
    }
    return false;
  };
}

function pairsOf(trace: JaegerTrace, spanOfRow: Int32Array): PairIndex {
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
