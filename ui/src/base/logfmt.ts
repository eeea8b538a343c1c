// Key=value text as Jaeger's tag field takes it: `http.status_code=200 error="not found"`.

import { err, ok, type Result } from "./result";

export type Pairs = readonly (readonly [key: string, value: string])[];

/** Reads pairs. A key alone means `true`, as in Jaeger. */
export function parseLogfmt(text: string): Result<Pairs, string> {
  const pairs: [string, string][] = [];
  const pattern = /\s*(?:"((?:[^"\\]|\\.)*)"|([^\s="]+))(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*)))?/y;
  let at = 0;
  while (at < text.length) {
    if (text.slice(at).trim() === "") break;
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (!match) return err(`cannot read “${text.slice(at).trim()}”`);
    const key = match[1] === undefined ? (match[2] ?? "") : unescaped(match[1]);
    const quoted = match[3] === undefined ? undefined : unescaped(match[3]);
    const isBare = match[3] === undefined && match[4] === undefined;
    pairs.push([key, quoted ?? match[4] ?? (isBare ? "true" : "")]);
    at = pattern.lastIndex;
  }
  return ok(pairs);
}

export function printLogfmt(pairs: Pairs): string {
  return pairs.map(([key, value]) => `${quote(key)}=${quote(value)}`).join(" ");
}

function quote(text: string): string {
  if (text !== "" && !/[\s="\\]/.test(text)) return text;
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, "$1");
}
