// Finding spans within a trace.
//
// Words are alternatives, as in Jaeger: `checkout payment` finds both, and so do several span
// ids. Conditions must all hold: `http.status_code>=500 dur>10ms err -cache`. A phrase is in
// quotes. Case does not matter in texts.

import { parseDuration } from "../base/time";
import { Flag, KINDS, parseSpanId, type TraceColumns } from "./trace";

type Operator = "=" | "!=" | ">" | ">=" | "<" | "<=";

type Condition =
  | { readonly is: "error" }
  | { readonly is: "without"; readonly word: string }
  | { readonly is: "length"; readonly operator: Operator; readonly micros: number }
  | {
      readonly is: "attribute";
      readonly key: string;
      readonly operator: Operator;
      readonly value: string;
    };

export interface FindQuery {
  /** Lower case; one of them must occur, if there are any. */
  readonly words: readonly string[];
  /** Each of them must hold. */
  readonly conditions: readonly Condition[];
}

export function isEmptyFind(query: FindQuery): boolean {
  return query.words.length === 0 && query.conditions.length === 0;
}

const TOKEN = /"[^"]*"|(?:[^\s"]|"[^"]*")+/g;
const CONDITION = /^([\w.@/:-]+?)(!=|>=|<=|=|>|<)(.*)$/s;

export function parseFind(text: string): FindQuery {
  const words: string[] = [];
  const conditions: Condition[] = [];
  for (const [token] of text.matchAll(TOKEN)) {
    const condition = token.startsWith('"') ? undefined : parseCondition(token);
    if (condition) conditions.push(condition);
    else if (unquote(token) !== "") words.push(unquote(token).toLowerCase());
  }
  return { words, conditions };
}

function parseCondition(token: string): Condition | undefined {
  if (token === "err" || token === "error") return { is: "error" };
  if (token.length > 1 && token.startsWith("-")) {
    return { is: "without", word: unquote(token.slice(1)).toLowerCase() };
  }
  const [, key = "", operator = "=", written = ""] =
    CONDITION.exec(token) ?? /^(service|op|kind|status)(:)(.+)$/.exec(token) ?? [];
  if (key === "") return undefined;
  const sign = (operator === ":" ? "=" : operator) as Operator;
  const value = unquote(written);
  const length = key === "dur" || key === "duration" ? parseDuration(value) : undefined;
  if (length?.ok) return { is: "length", operator: sign, micros: length.value };
  return { is: "attribute", key, operator: sign, value: value.toLowerCase() };
}

function unquote(text: string): string {
  return text.replaceAll('"', "");
}

/** The attributes of all spans, every distinct pair once. */
export interface PairIndex {
  readonly keys: readonly string[];
  /** Lower case. */
  readonly values: readonly string[];
  /** Pairs that words do not look into, because they are said in columns. */
  readonly isPlaced: Uint8Array;
  /** The pairs of row r are at offset[r] .. offset[r + 1] of `pair`. */
  readonly offset: Int32Array;
  readonly pair: Uint32Array;
}

/** Does the query need more than columns to be answered in full? */
export function needsPairs({ words, conditions }: FindQuery): boolean {
  const asks = (condition: Condition) =>
    condition.is === "without" || (condition.is === "attribute" && !isColumn(condition));
  return words.length > 0 || conditions.some(asks);
}

/**
 * One byte a row: 1 where the span matches. Without the pairs only names, ids and what else
 * stands in columns are looked at. An empty query matches nothing.
 */
export function findRows(
  query: FindQuery,
  trace: TraceColumns,
  pairs: PairIndex | undefined,
): Uint8Array {
  const found = new Uint8Array(trace.count);
  if (isEmptyFind(query)) return found;
  const tests = query.conditions.map((condition) => testOf(condition, trace, pairs));
  if (query.words.length > 0) tests.push(anyWord(query.words, trace, pairs));
  const [first, ...others] = tests;
  for (let row = 0; row < found.length; row += 1) {
    if (first?.(row) === true && others.every((test) => test(row))) found[row] = 1;
  }
  return found;
}

type Test = (row: number) => boolean;

const NEVER: Test = () => false;

function testOf(condition: Condition, trace: TraceColumns, pairs: PairIndex | undefined): Test {
  switch (condition.is) {
    case "error":
      return (row) => ((trace.flags[row] ?? 0) & Flag.error) !== 0;
    case "without": {
      const has = anyWord([condition.word], trace, pairs);
      return (row) => !has(row);
    }
    case "length":
      return (row) => compare(trace.length[row] ?? 0, condition.operator, condition.micros);
    case "attribute":
      return isColumn(condition) ? columnTest(condition, trace) : pairTest(condition, pairs);
  }
}

type AttributeCondition = Extract<Condition, { is: "attribute" }>;

const STATUS_KEYS = new Set(["status", "otel.status_code"]);
const NAME_KEYS = new Set(["op", "operation", "name"]);
const KIND_KEYS = new Set(["kind", "span.kind"]);

function isColumn({ key, value }: AttributeCondition): boolean {
  if (STATUS_KEYS.has(key)) return value === "error";
  return key === "service" || NAME_KEYS.has(key) || KIND_KEYS.has(key);
}

/** Each distinct name is compared once. */
function columnTest(condition: AttributeCondition, trace: TraceColumns): Test {
  const { key } = condition;
  if (STATUS_KEYS.has(key)) {
    const wantsError = condition.operator === "=";
    return (row) => (((trace.flags[row] ?? 0) & Flag.error) !== 0) === wantsError;
  }
  const [column, names] = KIND_KEYS.has(key)
    ? [trace.kind, KINDS]
    : key === "service"
      ? [trace.service, trace.services]
      : [trace.operation, trace.operations];
  const passes = Uint8Array.from(names, (name) => (passesText(condition, name) ? 1 : 0));
  return (row) => passes[column[row] ?? 0] === 1;
}

function pairTest(condition: AttributeCondition, pairs: PairIndex | undefined): Test {
  if (pairs === undefined) return NEVER;
  const key = STATUS_KEYS.has(condition.key) ? "otel.status_code" : condition.key;
  const isNot = condition.operator === "!=";
  const wanted = isNot ? { ...condition, operator: "=" as const } : condition;
  const passes = Uint8Array.from(pairs.keys, (of, index) =>
    of === key && passesText(wanted, pairs.values[index] ?? "") ? 1 : 0,
  );
  const has = anyPair(pairs, passes);
  return isNot ? (row) => !has(row) : has;
}

function passesText({ operator, value }: AttributeCondition, text: string): boolean {
  if (operator === "=") return text.toLowerCase() === value;
  if (operator === "!=") return text.toLowerCase() !== value;
  return text !== "" && compare(Number(text), operator, Number(value));
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

/** Does one of the words occur in a name, a key or a value, or is it the span's id? */
function anyWord(
  words: readonly string[],
  trace: TraceColumns,
  pairs: PairIndex | undefined,
): Test {
  const occurs = (text: string) => {
    const lower = text.toLowerCase();
    return words.some((word) => lower.includes(word));
  };
  const operations = Uint8Array.from(trace.operations, (name) => (occurs(name) ? 1 : 0));
  const services = Uint8Array.from(trace.services, (name) => (occurs(name) ? 1 : 0));
  const ids = words.flatMap((word) => {
    const id = parseSpanId(word);
    return id === undefined ? [] : [id];
  });
  const inPairs =
    pairs === undefined
      ? NEVER
      : anyPair(
          pairs,
          Uint8Array.from(pairs.keys, (key, index) =>
            pairs.isPlaced[index] !== 1 && (occurs(key) || occurs(pairs.values[index] ?? ""))
              ? 1
              : 0,
          ),
        );
  return (row) =>
    operations[trace.operation[row] ?? 0] === 1 ||
    services[trace.service[row] ?? 0] === 1 ||
    ids.some(
      ([high, low]) => trace.spanId[2 * row + 1] === low && trace.spanId[2 * row] === high,
    ) ||
    inPairs(row);
}

function compare(left: number, operator: Operator, right: number): boolean {
  switch (operator) {
    case "=":
      return left === right;
    case "!=":
      return left !== right;
    case ">":
      return left > right;
    case ">=":
      return left >= right;
    case "<":
      return left < right;
    case "<=":
      return left <= right;
  }
}
