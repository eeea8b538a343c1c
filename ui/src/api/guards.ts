// Checks at the border: JSON from a server is unknown until it has been looked at.

export type Json = Readonly<Record<string, unknown>>;

export function record(value: unknown, what: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error(`${what} is not an object`);
  }
  return value as Json;
}

/** A list; absent and `null` are empty. */
export function list(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new Error(`${what} is not a list`);
  return value;
}

/** A text; absent is empty. */
export function text(value: unknown, what: string): string {
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw new Error(`${what} is not a text`);
  return value;
}

/** A number; absent is zero. */
export function number(value: unknown, what: string): number {
  if (value === undefined || value === null) return 0;
  if (typeof value !== "number") throw new Error(`${what} is not a number`);
  return value;
}
