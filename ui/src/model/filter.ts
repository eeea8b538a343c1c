// Conditions beside Jaeger's fields, and how people type them:
//
//   http.status_code>=500  error=true  http.method=GET|POST  url~"/cart"  cache.hit=*  -peer=redis
//
// A pair alone means what it means in Jaeger's tag field. Further operators: != < <= > >=, `~` for
// a regular expression that is found and `=~` for one that matches whole, each with ! before ~ for
// its opposite; `=*` means that there is a value, `!=*` that there is none. Values with a bar
// between are alternatives. A minus in front means: no span of the trace.

import type { Pairs } from "../base/logfmt";
import { err, ok, type Result } from "../base/result";

export const OPERATORS = [
  "=",
  "!=",
  "<",
  "<=",
  ">",
  ">=",
  "~",
  "!~",
  "=~",
  "exists",
  "absent",
] as const;
export type Operator = (typeof OPERATORS)[number];

export interface Filter {
  readonly key: string;
  readonly operator: Operator;
  /** One of them; empty for `exists` and `absent`. */
  readonly values: readonly string[];
  /** No span of the trace may pass. */
  readonly isExcluded: boolean;
}

/** What a text means: pairs as Jaeger knows them, and conditions that it does not. */
export interface Conditions {
  readonly tags: Pairs;
  readonly filters: readonly Filter[];
}

/** Names that are fields of a span or of its trace, not attributes. */
export const FIELD_KEYS = [
  "service",
  "operation",
  "kind",
  "status",
  "duration",
  "trace.duration",
  "trace.spans",
  "trace.errors",
  "root.service",
  "root.operation",
  "status_message",
  "event_name",
  "scope_name",
  "span_id",
  "parent_id",
] as const;

/** Those among them whose values are worth counting, beside what every span has. */
export const COUNTED_FIELDS = ["status_message", "event_name", "scope_name"] as const;

const FIELDS: ReadonlySet<string> = new Set(FIELD_KEYS);

export function isField(key: string): boolean {
  return FIELDS.has(key);
}

/** One token: minus, key, operator and values. */
const KEY = /-?(?:"((?:[^"\\]|\\.)*)"|([^\s"=!<>~|]+))/y;
const OPERATOR = /!=|=~|!~|>=|<=|=|<|>|~/y;
const VALUE = /"((?:[^"\\]|\\.)*)"|([^\s"|]*)/y;

export function parseConditions(text: string): Result<Conditions, string> {
  const tags = new Map<string, string>();
  const filters: Filter[] = [];
  let at = 0;
  const take = (pattern: RegExp) => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  for (;;) {
    take(/\s*/y);
    if (at >= text.length) return ok({ tags: [...tags], filters });
    const from = at;
    const key = take(KEY);
    if (key === null) return err(`cannot read “${text.slice(from).trim()}”`);
    const isExcluded = key[0].startsWith("-");
    const name = unquoted(key[1], key[2]);
    const written = take(OPERATOR)?.[0];
    const { values, isQuoted } = written === undefined ? NOTHING : takeValues(take, text, () => at);
    if (at < text.length && !/\s/.test(text[at] ?? "")) {
      return err(`cannot read “${text.slice(at).trim()}”`);
    }
    const filter = filterOf(name, written, values, isQuoted, isExcluded);
    if (typeof filter === "string") return err(filter);
    if (isPair(filter)) tags.set(filter.key, filter.values[0] ?? "");
    else filters.push(filter);
  }
}

const NOTHING = { values: ["true"], isQuoted: true };

function takeValues(
  take: (pattern: RegExp) => RegExpExecArray | null,
  text: string,
  at: () => number,
): { values: string[]; isQuoted: boolean } {
  const values: string[] = [];
  let isQuoted = false;
  do {
    const value = take(VALUE);
    isQuoted ||= value?.[1] !== undefined;
    values.push(unquoted(value?.[1], value?.[2]));
  } while (text[at()] === "|" && take(/\|/y) !== null);
  return { values, isQuoted };
}

function unquoted(quoted: string | undefined, bare: string | undefined): string {
  return quoted === undefined ? (bare ?? "") : quoted.replace(/\\(.)/g, "$1");
}

function filterOf(
  key: string,
  written: string | undefined,
  values: readonly string[],
  isQuoted: boolean,
  isExcluded: boolean,
): Filter | string {
  const isStar = values.length === 1 && values[0] === "*" && !isQuoted;
  if (isStar && written === "=") return { key, operator: "exists", values: [], isExcluded };
  if (isStar && written === "!=") return { key, operator: "absent", values: [], isExcluded };
  const operator = (written ?? "=") as Operator;
  const compares = /^[<>]/.test(operator);
  if (compares && values.length > 1) return `“${key}” can be compared with one value only`;
  if (compares && values[0] === "") return `“${key}” is compared with nothing`;
  return { key, operator, values, isExcluded };
}

/** Is it a condition that Jaeger's tags can say? */
function isPair({ key, operator, values, isExcluded }: Filter): boolean {
  return operator === "=" && values.length === 1 && !isExcluded && !isField(key);
}

export function printConditions({ tags, filters }: Conditions): string {
  const pairs = tags.map(([key, value]) => `${quoteKey(key)}=${quote(value)}`);
  return [...pairs, ...filters.map(printFilter)].join(" ");
}

export function printFilter({ key, operator, values, isExcluded }: Filter): string {
  const sign = isExcluded ? "-" : "";
  if (operator === "exists") return `${sign}${quoteKey(key)}=*`;
  if (operator === "absent") return `${sign}${quoteKey(key)}!=*`;
  return `${sign}${quoteKey(key)}${operator}${values.map(quote).join("|")}`;
}

function quoteKey(text: string): string {
  return text !== "" && !/^-|[\s"=!<>~|\\]/.test(text) ? text : quoted(text);
}

function quote(text: string): string {
  return text !== "" && text !== "*" && !/[\s"|\\]|^[=<>~]/.test(text) ? text : quoted(text);
}

function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
