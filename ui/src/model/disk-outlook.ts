// For how long the disk of a node takes what comes in, by what it took so far.

import { type EpochMicros, type Micros, micros } from "../base/time";
import type { ClusterNode } from "./cluster";

export type DiskOutlook =
  /** There is room for everything that is to be kept. */
  | { readonly kind: "enough" }
  /** Full then; from there on the oldest hours go before their time. */
  | { readonly kind: "full"; readonly after: Micros }
  /** It holds too little to tell. */
  | { readonly kind: "unknown" };

const HOUR = 3_600_000_000;
/** Data that came within less time says nothing of a day. */
const KNOWN_FROM = 2 * HOUR;
/** The oldest hour is told by its beginning. */
const HALF_AN_HOUR = HOUR / 2;

export function diskOutlook(
  node: ClusterNode,
  retention: Micros | undefined,
  now: EpochMicros,
): DiskOutlook {
  if (node.oldest === undefined || node.diskUsedBytes === 0) return { kind: "unknown" };
  const age = now - node.oldest - HALF_AN_HOUR;
  if (age < KNOWN_FROM) return { kind: "unknown" };
  const rate = node.diskUsedBytes / age;
  const allowed = node.dataBytesMax ?? Number.POSITIVE_INFINITY;
  const room = Math.min(node.diskFreeBytes, Math.max(0, allowed - node.diskUsedBytes));
  const after = room / rate;
  // What is as old as it may get is replaced, not added to.
  if (retention !== undefined && age + after >= retention) return { kind: "enough" };
  return { kind: "full", after: micros(after) };
}

/** The disk that is full first; enough only if all are. */
export function worstOutlook(
  nodes: readonly ClusterNode[],
  retention: Micros | undefined,
  now: EpochMicros,
): DiskOutlook {
  let worst: DiskOutlook = { kind: "unknown" };
  for (const node of nodes) {
    const outlook = diskOutlook(node, retention, now);
    const isWorse =
      outlook.kind === "full"
        ? worst.kind !== "full" || outlook.after < worst.after
        : outlook.kind === "enough" && worst.kind === "unknown";
    if (isWorse) worst = outlook;
  }
  return worst;
}
