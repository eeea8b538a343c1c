// A trace in numbers: its spans by service, or by service and operation.

import { type Micros, micros } from "../base/time";
import type { AttributeColumn } from "./attribute-column";
import type { CriticalPath } from "./critical-path";
import { Flag, type TraceColumns } from "./trace";

export interface Group {
  /** Empty when grouped by an attribute. */
  readonly service: string;
  /** Empty when grouped by service; the value when grouped by an attribute. */
  readonly operation: string;
  /** The value of the attribute that groups second; empty if none does. */
  readonly second: string;
  readonly count: number;
  readonly errors: number;
  readonly total: Micros;
  readonly self: Micros;
  /** Of what all its spans took. */
  readonly selfShare: number;
  readonly selfMean: Micros;
  readonly selfMin: Micros;
  readonly selfMax: Micros;
  /** Time on the critical path. */
  readonly critical: Micros;
  readonly mean: Micros;
  readonly min: Micros;
  readonly p50: Micros;
  readonly p95: Micros;
  readonly p99: Micros;
  readonly max: Micros;
}

/** An attribute puts spans with one value together, whatever their services. */
export type GroupBy = "service" | "operation" | AttributeColumn;

/** What groups first, as the address has it: `service`, or `@` and the key of an attribute. */
export interface Grouping {
  readonly by: "service" | "operation";
  /** Of an attribute, in the place of both; empty for none. */
  readonly key: string;
}

export function parseGrouping(text: string | null): Grouping {
  const key = text?.startsWith("@") === true ? text.slice(1) : "";
  return { by: text === "service" ? text : "operation", key };
}

/** Undefined for the grouping that comes first. */
export function printGrouping({ by, key }: Grouping): string | undefined {
  if (key !== "") return `@${key}`;
  return by === "service" ? by : undefined;
}

/** What a table of groups can be ordered by: a figure, or the names. */
export const RANKS = [
  "name",
  "count",
  "errors",
  "critical",
  "self",
  "selfShare",
  "selfMean",
  "selfMin",
  "selfMax",
  "total",
  "mean",
  "min",
  "p50",
  "p95",
  "p99",
  "max",
] as const satisfies readonly (keyof Group | "name")[];

export interface Rank {
  readonly by: (typeof RANKS)[number];
  /** Figures come with the largest first, names with A, unless it is so. */
  readonly isReversed: boolean;
}

const FIRST_RANK: Rank = { by: "critical", isReversed: false };

/** What is nothing to order by is the order that comes first. */
export function parseRank(text: string | null): Rank {
  const isReversed = text?.startsWith("-") === true;
  const by = RANKS.find((each) => each === text?.slice(isReversed ? 1 : 0));
  return by === undefined ? FIRST_RANK : { by, isReversed };
}

/** Undefined for the order that comes first. */
export function printRank({ by, isReversed }: Rank): string | undefined {
  if (by === FIRST_RANK.by && !isReversed) return undefined;
  return `${isReversed ? "-" : ""}${by}`;
}

/** A second click on the same head turns the order round. */
export function rankAfter(rank: Rank, by: Rank["by"]): Rank {
  return { by, isReversed: rank.by === by && !rank.isReversed };
}

export function ranked(groups: readonly Group[], { by, isReversed }: Rank): readonly Group[] {
  const sign = isReversed ? -1 : 1;
  const byName = (left: Group, right: Group) =>
    left.service.localeCompare(right.service) ||
    left.operation.localeCompare(right.operation) ||
    left.second.localeCompare(right.second);
  return [...groups].sort((left, right) =>
    by === "name"
      ? sign * byName(left, right)
      : sign * (right[by] - left[by]) || right.self - left.self || byName(left, right),
  );
}

/** Each group is cut further by the values of a second attribute, if there is one. */
export function groupSpans(
  trace: TraceColumns,
  path: CriticalPath,
  by: GroupBy,
  second?: AttributeColumn,
): readonly Group[] {
  const rowsOf = new Map<number, number[]>();
  const operations = trace.operations.length;
  const parts = second === undefined ? 1 : second.values.length + 1;
  for (let row = 0; row < trace.count; row += 1) {
    const service = trace.service[row] ?? 0;
    const first =
      typeof by === "object"
        ? (by.ofRow[row] ?? -1)
        : by === "service"
          ? service
          : service * operations + (trace.operation[row] ?? 0);
    const key = first * parts + (second === undefined ? 0 : (second.ofRow[row] ?? -1) + 1);
    const rows = rowsOf.get(key);
    if (rows) rows.push(row);
    else rowsOf.set(key, [row]);
  }
  return [...rowsOf.values()].map((rows) => group(trace, path, [by, second], rows));
}

/** What all spans of the group have in common, by one of them. */
function namesOf(
  trace: TraceColumns,
  by: GroupBy,
  row: number,
): Pick<Group, "service" | "operation"> {
  if (typeof by === "object") {
    return { service: "", operation: by.values[by.ofRow[row] ?? -1] ?? "(none)" };
  }
  return {
    service: trace.services[trace.service[row] ?? 0] ?? "",
    operation: by === "service" ? "" : (trace.operations[trace.operation[row] ?? 0] ?? ""),
  };
}

function group(
  trace: TraceColumns,
  path: CriticalPath,
  [by, second]: readonly [GroupBy, AttributeColumn | undefined],
  rows: readonly number[],
): Group {
  const first = rows[0] ?? 0;
  const lengths = Float64Array.from(rows, (row) => trace.length[row] ?? 0).sort();
  const sum = (of: (row: number) => number) =>
    micros(rows.reduce((total, row) => total + of(row), 0));
  const at = (share: number) => micros(lengths[Math.ceil(share * lengths.length) - 1] ?? 0);
  const total = sum((row) => trace.length[row] ?? 0);
  const selfs = Float64Array.from(rows, (row) => trace.self[row] ?? 0).sort();
  const self = sum((row) => trace.self[row] ?? 0);
  return {
    ...namesOf(trace, by, first),
    second: second === undefined ? "" : (second.values[second.ofRow[first] ?? -1] ?? "(none)"),
    count: rows.length,
    errors: rows.filter((row) => ((trace.flags[row] ?? 0) & Flag.error) !== 0).length,
    total,
    self,
    selfShare: total > 0 ? self / total : 0,
    selfMean: micros(self / rows.length),
    selfMin: micros(selfs[0] ?? 0),
    selfMax: micros(selfs[selfs.length - 1] ?? 0),
    critical: sum((row) => criticalTime(path, row)),
    mean: micros(total / rows.length),
    min: micros(lengths[0] ?? 0),
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    max: micros(lengths[lengths.length - 1] ?? 0),
  };
}

/** How long one span is on the critical path. */
export function criticalTime(path: CriticalPath, row: number): Micros {
  let total = 0;
  for (let at = path.offset[row] ?? 0; at < (path.offset[row + 1] ?? 0); at += 1) {
    total += (path.end[at] ?? 0) - (path.start[at] ?? 0);
  }
  return micros(total);
}
