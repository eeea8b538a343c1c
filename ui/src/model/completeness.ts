// What an answer lacks, as the server says in the header `skua-completeness`: `complete`, or
// `partial` and why.

export interface Completeness {
  readonly isComplete: boolean;
  /** Shards that did not answer. */
  readonly missing: readonly string[];
  /** Shards that may lack the latest spans. */
  readonly stale: readonly string[];
  /** The search stopped before it had looked at everything. */
  readonly isExhausted: boolean;
  /** Why it stopped, in the server's words; empty if it does not say. */
  readonly reason: string;
  /** More matched than one answer holds. */
  readonly limit: number | undefined;
  /** The answer was cut off at so many bytes or spans. */
  readonly cutAt: string | undefined;
}

export const COMPLETE: Completeness = {
  isComplete: true,
  missing: [],
  stale: [],
  isExhausted: false,
  reason: "",
  limit: undefined,
  cutAt: undefined,
};

/** A server that says nothing, as Jaeger's, is believed to have answered in full. */
export function parseCompleteness(header: string | null): Completeness {
  const [state, ...parts] = (header ?? "complete").split(";").map((part) => part.trim());
  if (state !== "partial") return COMPLETE;
  const values = new Map(
    parts.map((part) => {
      const [name = "", value = ""] = part.split("=", 2);
      return [name, value] as const;
    }),
  );
  const list = (name: string) => (values.get(name) ?? "").split(",").filter((each) => each !== "");
  const limit = values.get("limit");
  const bytes = values.get("bytes");
  const spans = values.get("truncated");
  return {
    isComplete: false,
    missing: list("missing"),
    stale: list("stale"),
    isExhausted: values.has("exhausted"),
    reason: "",
    limit: limit === undefined ? undefined : Number(limit),
    cutAt:
      bytes !== undefined ? `${bytes} bytes` : spans !== undefined ? `${spans} spans` : undefined,
  };
}

/** The same from the members of an answer of Skua's own API. */
export function completenessOf(
  header: string,
  missing: readonly string[] = [],
  stale: readonly string[] = [],
  exhausted = "",
): Completeness {
  const parsed = parseCompleteness(header === "" ? null : header);
  const isComplete =
    parsed.isComplete && missing.length === 0 && stale.length === 0 && exhausted === "";
  if (isComplete) return COMPLETE;
  return {
    ...parsed,
    isComplete,
    missing: missing.length > 0 ? missing : parsed.missing,
    stale: stale.length > 0 ? stale : parsed.stale,
    isExhausted: parsed.isExhausted || exhausted !== "",
    reason: exhausted,
  };
}

/** One sentence for each gap. */
export function explain(of: Completeness): string[] {
  if (of.isComplete) return [];
  const shards = (numbers: readonly string[]) =>
    numbers.length === 1 ? `Shard ${numbers[0]}` : `Shards ${numbers.join(", ")}`;
  const sentences: string[] = [];
  if (of.missing.length > 0) {
    sentences.push(`${shards(of.missing)} did not answer; traces may be missing.`);
  }
  if (of.stale.length > 0) sentences.push(`${shards(of.stale)} may lack the latest spans.`);
  if (of.isExhausted) {
    const reason = of.reason === "" ? "" : ` (${of.reason})`;
    sentences.push(`The search reached its work limit${reason}; narrow it to see more.`);
  }
  if (of.limit !== undefined) sentences.push(`One search returns at most ${of.limit} traces.`);
  if (of.cutAt !== undefined) sentences.push(`The answer was cut off at ${of.cutAt}.`);
  return sentences.length > 0 ? sentences : ["The answer is not complete."];
}
