// Links from attributes and traces to elsewhere, as the link patterns of Jaeger's configuration say:
// `{"type": "tags", "key": "customer", "url": "https://crm/#{customer}", "text": "Customer"}`.
// A configuration is JSON here, so a regular expression is written as text between slashes.

import type { Attribute } from "./details";
import { isWebLink } from "./ui-config";

/** Where an attribute stands. */
export type Place = "process" | "tags" | "logs" | "traces";

export interface PatternLink {
  readonly url: string;
  readonly text: string;
}

export interface LinkPattern {
  readonly isFor: (place: Place) => boolean;
  readonly hasKey: (text: string) => boolean;
  readonly hasValue: (text: string) => boolean;
  readonly url: Template;
  readonly text: Template;
}

/** A value by the name that a pattern gives it; undefined if there is none. */
export type LookUp = (name: string) => string | number | boolean | undefined;

interface Hole {
  readonly name: string;
  readonly formats: readonly (readonly string[])[];
}

/** Text with holes in it. */
interface Template {
  readonly parts: readonly (string | Hole)[];
}

const PLACES: Readonly<Record<string, Place>> = {
  process: "process",
  resource: "process",
  tags: "tags",
  attributes: "tags",
  logs: "logs",
  events: "logs",
  traces: "traces",
};

/** What is not a pattern is left out. */
export function readPatterns(json: readonly unknown[]): readonly LinkPattern[] {
  return json.flatMap((entry) => {
    if (typeof entry !== "object" || entry === null) return [];
    const { type, key, value, url, text } = entry as Record<string, unknown>;
    if (typeof url !== "string" || typeof text !== "string") return [];
    const [hasKey, hasValue] = [testOf(key), testOf(value)];
    const types = (Array.isArray(type) ? type : [type]).map((each) => PLACES[String(each)]);
    if (hasKey === undefined || hasValue === undefined) return [];
    return [
      {
        isFor: (place: Place) => types.includes(place),
        hasKey,
        hasValue,
        url: templateOf(url),
        text: templateOf(text),
      },
    ];
  });
}

/** One text, one of several, a regular expression between slashes, or anything. */
function testOf(wanted: unknown): ((text: string) => boolean) | undefined {
  if (wanted === undefined || wanted === null) return () => true;
  if (Array.isArray(wanted)) {
    const tests = wanted.map(testOf);
    return (text) => tests.some((test) => test?.(text) === true);
  }
  const written = String(wanted);
  const match = /^\/(.+)\/([ims]*)$/.exec(written);
  if (match === null) return (text) => text === written;
  try {
    const expression = new RegExp(match[1] ?? "", match[2]);
    return (text) => expression.test(text);
  } catch {
    return undefined;
  }
}

/** `#{name}` and `#{name | format with arguments | another}`. */
function templateOf(text: string): Template {
  const parts: (string | Hole)[] = [];
  let end = 0;
  for (const match of text.matchAll(/#\{([^{}]*)\}/g)) {
    parts.push(text.slice(end, match.index));
    const [name = "", ...formats] = (match[1] ?? "").split("|").map((each) => each.trim());
    parts.push({ name, formats: formats.map((each) => each.split(/\s+/)) });
    end = match.index + match[0].length;
  }
  parts.push(text.slice(end));
  return { parts };
}

type Value = string | number | boolean;

/** Undefined if a format is not known or cannot take the value. */
function formatted(value: Value, [name = "", ...args]: readonly string[]): Value | undefined {
  const [first = "", second = ""] = args;
  switch (name) {
    case "epoch_micros_to_date_iso": {
      const time = new Date(Number(value) / 1_000);
      return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
    }
    case "pad_start":
      return /^\d{1,3}$/.test(first) ? String(value).padStart(Number(first), second) : undefined;
    case "add": {
      const sum = Number(value) + Number(first);
      return Number.isNaN(sum) ? undefined : sum;
    }
    default:
      return undefined;
  }
}

/** Undefined if something that it names is not there. */
function filled(template: Template, lookUp: LookUp, encode: (text: string) => string) {
  let text = "";
  for (const part of template.parts) {
    if (typeof part === "string") {
      text += part;
      continue;
    }
    let value = lookUp(part.name);
    for (const format of part.formats)
      value = value === undefined ? value : formatted(value, format);
    if (value === undefined) return undefined;
    text += encode(String(value));
  }
  return text;
}

function linkOf(pattern: LinkPattern, lookUp: LookUp): readonly PatternLink[] {
  const url = filled(pattern.url, lookUp, encodeURIComponent);
  const text = filled(pattern.text, lookUp, (each) => each);
  return url !== undefined && text !== undefined && isWebLink(url) ? [{ url, text }] : [];
}

/** The patterns that are about an attribute. */
export function patternsFor(
  patterns: readonly LinkPattern[],
  place: Place,
  { key, value }: Attribute,
): readonly LinkPattern[] {
  return patterns.filter(
    (each) => each.isFor(place) && each.hasKey(key) && each.hasValue(String(value)),
  );
}

export function linksOf(patterns: readonly LinkPattern[], lookUp: LookUp): readonly PatternLink[] {
  return patterns.flatMap((pattern) => linkOf(pattern, lookUp));
}

/** Whether all that the patterns name is there. */
export function areFilled(patterns: readonly LinkPattern[], lookUp: LookUp): boolean {
  return patterns.every(({ url, text }) =>
    [...url.parts, ...text.parts].every(
      (part) => typeof part === "string" || lookUp(part.name) !== undefined,
    ),
  );
}

/** The first list that has a key counts. */
export function valueIn(lists: readonly (readonly Attribute[])[], key: string): Value | undefined {
  for (const list of lists) {
    const found = list.find((attribute) => attribute.key === key);
    if (found !== undefined) return found.value;
  }
  return undefined;
}
