// Which part of the map is looked at, and what of it is new or gone against the time before.

import type { DependencyEdge } from "./operation";

/** What a service calls and what calls it, over so many calls at most, each way. */
export function around(
  edges: readonly DependencyEdge[],
  service: string,
  hops: number,
): readonly DependencyEdge[] {
  const called = reached(edges, service, hops, "parent", "child");
  const callers = reached(edges, service, hops, "child", "parent");
  return edges.filter(
    ({ parent, child }) =>
      (called.has(parent) && called.has(child)) || (callers.has(parent) && callers.has(child)),
  );
}

function reached(
  edges: readonly DependencyEdge[],
  service: string,
  hops: number,
  from: "parent" | "child",
  to: "parent" | "child",
): ReadonlySet<string> {
  const found = new Set([service]);
  let last = [service];
  for (let hop = 0; hop < hops && last.length > 0; hop += 1) {
    const at = new Set(last);
    last = [];
    for (const edge of edges) {
      if (!at.has(edge[from]) || found.has(edge[to])) continue;
      found.add(edge[to]);
      last.push(edge[to]);
    }
  }
  return found;
}

/** Without services that call nobody; what only they are left of stays. */
export function withoutLeaves(edges: readonly DependencyEdge[]): readonly DependencyEdge[] {
  const callers = new Set(
    edges.filter(({ parent, child }) => parent !== child).map(({ parent }) => parent),
  );
  const kept = edges.filter(({ child }) => callers.has(child));
  return kept.length === 0 ? edges : kept;
}

export type EdgeLook = "new" | "gone" | "more" | "less" | "same";

export interface ComparedEdge extends DependencyEdge {
  readonly before: number;
  readonly look: EdgeLook;
}

/** By less than this a number of calls varies. */
const NOTABLE = 0.25;

/** All calls of either time. */
export function compareEdges(
  now: readonly DependencyEdge[],
  before: readonly DependencyEdge[],
): readonly ComparedEdge[] {
  const keyOf = ({ parent, child }: DependencyEdge) => `${parent}\n${child}`;
  const earlier = new Map(before.map((edge) => [keyOf(edge), edge.calls]));
  const known = new Set(now.map(keyOf));
  return [
    ...now.map((edge) => {
      const was = earlier.get(keyOf(edge)) ?? 0;
      return { ...edge, before: was, look: lookOf(was, edge.calls) };
    }),
    ...before
      .filter((edge) => !known.has(keyOf(edge)))
      .map((edge) => ({ ...edge, calls: 0, before: edge.calls, look: "gone" as const })),
  ];
}

function lookOf(before: number, now: number): EdgeLook {
  if (before === 0) return "new";
  if (now > before * (1 + NOTABLE)) return "more";
  return now < before * (1 - NOTABLE) ? "less" : "same";
}

/** In words: `new`, `gone`, `×3`, `−40%`. */
export function edgeChange({ calls, before, look }: ComparedEdge): string {
  if (look === "new" || look === "gone") return look;
  if (look === "same" || before === 0) return "";
  const share = calls / before - 1;
  if (share >= 2) return `×${Number((1 + share).toPrecision(2))}`;
  return `${share > 0 ? "+" : "−"}${Math.round(100 * Math.abs(share))}%`;
}
