// Finding spans within a trace.
//
// Words are alternatives, as in Jaeger: `checkout payment` finds both, and so do several span
// ids. Conditions must all hold: `http.status_code>=500 dur>10ms err -cache`. A phrase is in
// quotes. Case does not matter in texts.

import { parseDuration } from "../base/time";
import { Flag, KINDS, parseSpanId, type TraceColumns } from "./trace";

export type Operator = "=" | "!=" | ">" | ">=" | "<" | "<=";

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

/** Does the row match? */
export type Test = (row: number) => boolean;

/** What is known of the attributes of all spans. */
export interface Attributes {
  /** Rows with one of the words in the key or the value of an attribute. */
  readonly withWord: (words: readonly string[]) => Test;
  /** Rows of which an attribute passes; of `!=` those of which none is equal. */
  readonly passing: (condition: AttributeCondition) => Test;
}

/** Does the query need more than columns to be answered in full? */
export function needsAttributes(query: FindQuery): boolean {
  const { words, passing } = askedOfAttributes(query);
  return words.length > 0 || passing.length > 0;
}

/** What a query asks of attributes, each thing that `findRows` will ask. */
export function askedOfAttributes({ words, conditions }: FindQuery): {
  readonly words: readonly (readonly string[])[];
  readonly passing: readonly AttributeCondition[];
} {
  const without = conditions.flatMap((each) => (each.is === "without" ? [[each.word]] : []));
  return {
    words: words.length > 0 ? [words, ...without] : without,
    passing: conditions.filter((each) => each.is === "attribute").filter((it) => !isColumn(it)),
  };
}

/**
 * One byte a row: 1 where the span matches. Without attributes only names, ids and what else
 * stands in columns are looked at. An empty query matches nothing.
 */
export function findRows(
  query: FindQuery,
  trace: TraceColumns,
  attributes: Attributes | undefined,
): Uint8Array {
  const found = new Uint8Array(trace.count);
  if (isEmptyFind(query)) return found;
  const tests = query.conditions.map((condition) => testOf(condition, trace, attributes));
  if (query.words.length > 0) tests.push(anyWord(query.words, trace, attributes));
  const [first, ...others] = tests;
  for (let row = 0; row < found.length; row += 1) {
    if (first?.(row) === true && others.every((test) => test(row))) found[row] = 1;
  }
  return found;
}

export const NEVER: Test = () => false;

function testOf(
  condition: Condition,
  trace: TraceColumns,
  attributes: Attributes | undefined,
): Test {
  switch (condition.is) {
    case "error":
      return (row) => ((trace.flags[row] ?? 0) & Flag.error) !== 0;
    case "without": {
      const has = anyWord([condition.word], trace, attributes);
      return (row) => !has(row);
    }
    case "length":
      return (row) => compare(trace.length[row] ?? 0, condition.operator, condition.micros);
    case "attribute":
      if (isColumn(condition)) return columnTest(condition, trace);
      return attributes === undefined ? NEVER : attributes.passing(condition);
  }
}

export type AttributeCondition = Extract<Condition, { is: "attribute" }>;

export const STATUS_KEYS = new Set(["status", "otel.status_code"]);
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

export function passesText({ operator, value }: AttributeCondition, text: string): boolean {
  if (operator === "=") return text.toLowerCase() === value;
  if (operator === "!=") return text.toLowerCase() !== value;
  return text !== "" && compare(Number(text), operator, Number(value));
}

/** Does one of the words occur in a name, a key or a value, or is it the span's id? */
function anyWord(
  words: readonly string[],
  trace: TraceColumns,
  attributes: Attributes | undefined,
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
  const inAttributes = attributes === undefined ? NEVER : attributes.withWord(words);
  return (row) =>
    operations[trace.operation[row] ?? 0] === 1 ||
    services[trace.service[row] ?? 0] === 1 ||
    ids.some(
      ([high, low]) => trace.spanId[2 * row + 1] === low && trace.spanId[2 * row] === high,
    ) ||
    inAttributes(row);
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
