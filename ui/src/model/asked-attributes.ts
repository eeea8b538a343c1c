// The attributes of a trace too large to be read as a whole: what a find asks of them is asked of
// the server, which answers with a bit a row.

import {
  type AttributeCondition,
  type Attributes,
  askedOfAttributes,
  type FindQuery,
  NEVER,
  STATUS_KEYS,
  type Test,
} from "./find";
import type { Predicate } from "./predicate";

/** A server compiles no more patterns for one question. */
const WORDS_ASKED_MAX = 64;

/** What has to be asked of the server before `findRows` can look into attributes. */
export function predicatesOf(query: FindQuery): readonly Predicate[] {
  const { words, passing } = askedOfAttributes(query);
  return [...words.map(predicateOfWords), ...passing.map(predicateOfCondition)];
}

/** The rows that passed each predicate, a byte a row. */
export function askedAttributes(asked: readonly (readonly [Predicate, Uint8Array])[]): Attributes {
  const answers = new Map(asked.map(([predicate, rows]) => [keyOf(predicate), rows]));
  const testOf = (predicate: Predicate): Test => {
    const rows = answers.get(keyOf(predicate));
    return rows === undefined ? NEVER : (row) => rows[row] === 1;
  };
  return {
    withWord: (words) => testOf(predicateOfWords(words)),
    passing: (condition) => testOf(predicateOfCondition(condition)),
  };
}

/** Can the server be asked for all of it at once? */
export function canBeAsked(query: FindQuery): boolean {
  return query.words.length <= WORDS_ASKED_MAX;
}

function keyOf(predicate: Predicate): string {
  return JSON.stringify(predicate);
}

function predicateOfWords(words: readonly string[]): Predicate {
  return { any: words.map((word) => ({ mentions: word })) };
}

/** What Jaeger shows as attributes, and the server knows as fields of a span. */
const FIELDS: Readonly<Record<string, string>> = {
  event: "event_name",
  "otel.scope.name": "scope_name",
  "otel.scope.version": "scope_version",
  "otel.library.name": "scope_name",
  "otel.library.version": "scope_version",
  "otel.status_description": "status_message",
  "w3c.tracestate": "trace_state",
};
const SCOPES = ["span_or_resource", "event", "scope"];
const NOTHING: Predicate = { any: [] };

function predicateOfCondition(condition: AttributeCondition): Predicate {
  const { key, operator, value } = condition;
  if (operator === "!=") {
    return { not: predicateOfCondition({ ...condition, operator: "=" }) };
  }
  if (STATUS_KEYS.has(key)) {
    const isKnown = operator === "=" && (value === "ok" || value === "error");
    return isKnown ? { field: "status", op: "=", value } : NOTHING;
  }
  if (key === "error") return operator === "=" ? { tag: key, value } : NOTHING;
  const field = FIELDS[key];
  const places =
    field === undefined ? SCOPES.map((scope) => ({ attribute: key, scope })) : [{ field }];
  if (operator === "=") {
    const pattern = `(?i)${escaped(value)}`;
    return {
      any: places.flatMap((place) => [
        { ...place, op: "=~", value: pattern },
        ...(field === undefined ? [{ ...place, op: "is", value }] : []),
      ]),
    };
  }
  const number = Number(value);
  if (field !== undefined || !Number.isFinite(number)) return NOTHING;
  return { any: places.map((place) => ({ ...place, op: operator, value: number })) };
}

/** A text as a pattern that finds just that. */
function escaped(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$#&\-~]/g, "\\$&");
}
