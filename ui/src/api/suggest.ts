// What could be meant: services, operations, keys and values that are there.

import type { Operation } from "../model/operation";
import { list, record, text } from "./guards";
import { type Answered, apiUrl, getJson } from "./http";

export interface Suggestions<T> {
  readonly items: readonly T[];
  /** The limit cut them off. */
  readonly hasMore: boolean;
}

export interface KeyPlace {
  readonly scope: string;
  readonly key: string;
}

export function suggestOperations(
  params: { readonly service: string; readonly prefix: string; readonly limit: number },
  signal?: AbortSignal,
): Promise<Answered<Suggestions<Operation>>> {
  return suggest("operations", params, signal, (json) => {
    const operation = record(json, "operation");
    return { name: text(operation["name"], "name"), kind: text(operation["kind"], "kind") };
  });
}

export function suggestKeys(
  params: { readonly prefix: string; readonly limit: number },
  signal?: AbortSignal,
): Promise<Answered<Suggestions<KeyPlace>>> {
  return suggest("keys", params, signal, (json) => {
    const place = record(json, "key");
    return { scope: text(place["scope"], "scope"), key: text(place["key"], "key") };
  });
}

export function suggestValues(
  params: {
    readonly key: string;
    readonly scope: string | undefined;
    readonly prefix: string;
    readonly limit: number;
  },
  signal?: AbortSignal,
): Promise<Answered<Suggestions<string>>> {
  return suggest("values", params, signal, (json) => text(json, "value"));
}

function suggest<T>(
  what: string,
  params: Readonly<Record<string, string | number | undefined>>,
  signal: AbortSignal | undefined,
  read: (json: unknown) => T,
): Promise<Answered<Suggestions<T>>> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== "") query.set(name, String(value));
  }
  return getJson(
    apiUrl(`api/skua/v1/suggest/${what}`, query),
    (json) => {
      const answer = record(json, "answer");
      return {
        items: list(answer["items"], "items").map(read),
        hasMore: answer["more"] === true,
      };
    },
    signal,
  );
}
