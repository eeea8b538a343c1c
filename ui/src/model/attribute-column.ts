// One attribute of all spans of a trace, as a column: what a table shows and statistics group by.

import type { JaegerTag, JaegerTrace } from "./jaeger-json";

export interface AttributeColumn {
  /** The distinct values, by first appearance. */
  readonly values: readonly string[];
  /** Place in `values`, -1 where the span has none. */
  readonly ofRow: Int32Array<ArrayBuffer>;
}

/** The keys of spans and their resources, those first that most spans carry. */
export function attributeKeys(trace: JaegerTrace): readonly string[] {
  const counts = new Map<string, number>();
  const add = (tags: readonly JaegerTag[] | null | undefined, by: number) => {
    for (const { key } of tags ?? []) counts.set(key, (counts.get(key) ?? 0) + by);
  };
  const spansOf = new Map<string, number>();
  for (const span of trace.spans) {
    add(span.tags, 1);
    spansOf.set(span.processID, (spansOf.get(span.processID) ?? 0) + 1);
  }
  for (const [id, process] of Object.entries(trace.processes)) {
    add(process.tags, spansOf.get(id) ?? 0);
  }
  return [...counts]
    .sort(([key, count], [other, more]) => more - count || key.localeCompare(other))
    .map(([key]) => key);
}

/** A span's own attribute wins over its resource's. */
export function attributeColumn(
  trace: JaegerTrace,
  spanOfRow: Int32Array,
  key: string,
): AttributeColumn {
  const values: string[] = [];
  const places = new Map<string, number>();
  const place = (tags: readonly JaegerTag[] | null | undefined): number => {
    const tag = tags?.find((each) => each.key === key);
    if (tag === undefined) return -1;
    const { value } = tag;
    const text = typeof value === "object" ? JSON.stringify(value) : String(value);
    let known = places.get(text);
    if (known === undefined) {
      known = values.length;
      places.set(text, known);
      values.push(text);
    }
    return known;
  };
  const ofRow = new Int32Array(spanOfRow.length).fill(-1);
  const ofProcess = new Map<string, number>();
  spanOfRow.forEach((index, row) => {
    const span = trace.spans[index];
    if (span === undefined) return;
    let found = place(span.tags);
    if (found < 0) {
      const known = ofProcess.get(span.processID);
      found = known ?? place(trace.processes[span.processID]?.tags);
      ofProcess.set(span.processID, found);
    }
    ofRow[row] = found;
  });
  return { values, ofRow };
}

/** `rows` by the text of their values, those without last; equal ones keep their order. */
export function sortedByValue(
  rows: Int32Array,
  column: AttributeColumn,
  isDescending: boolean,
): Int32Array {
  const order = column.values
    .map((value, index) => [value, index] as const)
    .sort(([one], [other]) => one.localeCompare(other, "en", { numeric: true }));
  if (isDescending) order.reverse();
  const bucketOf = new Int32Array(column.values.length);
  order.forEach(([, index], bucket) => {
    bucketOf[index] = bucket;
  });
  const buckets: number[][] = [];
  const none: number[] = [];
  for (const row of rows) {
    const value = column.ofRow[row] ?? -1;
    if (value < 0) none.push(row);
    else {
      const bucket = bucketOf[value] ?? 0;
      buckets[bucket] ??= [];
      buckets[bucket].push(row);
    }
  }
  return Int32Array.from([...buckets, none].flat());
}
