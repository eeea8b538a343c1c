// Finding spans within a trace.
//
// Words are alternatives, as in Jaeger: `checkout payment` finds both, and so do several span
// ids. Conditions must all hold: `http.status_code>=500 dur>10ms err -cache`. A phrase is in
// quotes. Case does not matter in texts.

import { parseDuration } from "../base/time";
import type { SpanDetails } from "./details";

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

/** Does the span match? An empty query matches nothing. */
export function matches(query: FindQuery, span: SpanDetails): boolean {
  if (isEmptyFind(query)) return false;
  return (
    query.conditions.every((condition) => holds(condition, span)) &&
    (query.words.length === 0 || query.words.some((word) => occurs(word, span)))
  );
}

function holds(condition: Condition, span: SpanDetails): boolean {
  switch (condition.is) {
    case "error":
      return span.status === "ERROR";
    case "without":
      return !occurs(condition.word, span);
    case "length":
      return compare(span.length, condition.operator, condition.micros);
    case "attribute":
      return holdsForAttribute(condition, span);
  }
}

function holdsForAttribute(
  { key, operator, value }: Extract<Condition, { is: "attribute" }>,
  span: SpanDetails,
): boolean {
  const found = valuesOf(key, span);
  if (operator === "!=") return !found.some((each) => each.toLowerCase() === value);
  if (operator === "=") return found.some((each) => each.toLowerCase() === value);
  const number = Number(value);
  return found.some((each) => each !== "" && compare(Number(each), operator, number));
}

function valuesOf(key: string, span: SpanDetails): string[] {
  if (key === "service") return [span.service];
  if (key === "op" || key === "operation" || key === "name") return [span.operation];
  if (key === "kind" || key === "span.kind") return [span.kind];
  if (key === "status" || key === "otel.status_code") return [span.status];
  const values: string[] = [];
  for (const attributes of attributeLists(span)) {
    for (const attribute of attributes) {
      if (attribute.key === key) values.push(String(attribute.value));
    }
  }
  return values;
}

function attributeLists(span: SpanDetails) {
  return [
    span.attributes,
    span.resource,
    span.scope,
    ...span.events.map((event) => event.attributes),
  ];
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

function occurs(word: string, span: SpanDetails): boolean {
  const has = (text: string) => text.toLowerCase().includes(word);
  if (span.spanId === word || span.spanId.replace(/^0+/, "") === word) return true;
  if (has(span.operation) || has(span.service) || has(span.statusMessage)) return true;
  if (span.events.some((event) => has(event.name))) return true;
  return attributeLists(span).some((attributes) =>
    attributes.some(({ key, value }) => has(key) || has(String(value))),
  );
}
