// Two traces side by side: what each service and operation did in the one and in the other.

import { type Micros, micros } from "../base/time";
import { criticalPath } from "./critical-path";
import { type Group, groupSpans } from "./statistics";
import type { TraceColumns } from "./trace";

/** One operation in both traces; a side without it has zeros. */
export interface Difference {
  readonly service: string;
  readonly operation: string;
  readonly left: Side;
  readonly right: Side;
  /** How much more of the operation's own time the right trace has; negative if less. */
  readonly self: Micros;
  readonly where: "both" | "left" | "right";
}

export interface Side {
  readonly count: number;
  readonly errors: number;
  readonly self: Micros;
  readonly p50: Micros;
}

const ABSENT: Side = { count: 0, errors: 0, self: micros(0), p50: micros(0) };

/** All operations of both, those first that account for most of the difference. */
export function compareTraces(left: TraceColumns, right: TraceColumns): readonly Difference[] {
  const pairs = new Map<string, { left?: Group; right?: Group }>();
  const keyOf = (group: Group) => `${group.service}\n${group.operation}`;
  for (const group of groupSpans(left, criticalPath(left), "operation")) {
    pairs.set(keyOf(group), { left: group });
  }
  for (const group of groupSpans(right, criticalPath(right), "operation")) {
    pairs.set(keyOf(group), { ...pairs.get(keyOf(group)), right: group });
  }
  return [...pairs.values()]
    .flatMap((pair) => difference(pair) ?? [])
    .sort((one, other) => Math.abs(other.self) - Math.abs(one.self));
}

function difference(pair: { left?: Group; right?: Group }): Difference | undefined {
  const named = pair.left ?? pair.right;
  if (named === undefined) return undefined;
  const left = pair.left ?? ABSENT;
  const right = pair.right ?? ABSENT;
  return {
    service: named.service,
    operation: named.operation,
    left,
    right,
    self: micros(right.self - left.self),
    where: pair.left === undefined ? "right" : pair.right === undefined ? "left" : "both",
  };
}
