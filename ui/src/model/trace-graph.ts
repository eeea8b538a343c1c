// The trace as a graph of paths: spans with the same way down, by service and operation, are one
// box. What a box counts is theirs together.

import { type Micros, micros } from "../base/time";
import type { DependencyEdge } from "./operation";
import { Flag, operationOf, serviceOf, type TraceColumns } from "./trace";

export interface PathNode {
  readonly key: string;
  readonly service: string;
  readonly operation: string;
  readonly spans: number;
  readonly errors: number;
  readonly total: Micros;
  readonly self: Micros;
  /** One of the spans. */
  readonly row: number;
}

export interface PathGraph {
  readonly nodes: ReadonlyMap<string, PathNode>;
  readonly edges: readonly DependencyEdge[];
  /** There were more paths than a picture can show. */
  readonly isCut: boolean;
  /** The path of each span; -1 for one that found no room. */
  readonly keyOfRow: Int32Array;
}

/** What the boxes are coloured by, as in Jaeger's graph. */
export type Shade = "service" | "time" | "self";

/** How warm a box is, from 0 to 1; undefined where it has the colour of its service. */
export function heatOf(node: PathNode, shade: Shade, whole: Micros): number | undefined {
  if (shade === "service") return undefined;
  // Spans side by side take more than the trace.
  return Math.min(1, (shade === "time" ? node.total : node.self) / Math.max(whole, 1));
}

/** Paths with spans that were found; undefined while nothing is looked for. */
export function matchingPaths(
  { keyOfRow }: PathGraph,
  matches: Uint8Array | null,
): ReadonlySet<string> | undefined {
  if (matches === null) return undefined;
  const found = new Set<string>();
  for (let row = 0; row < keyOfRow.length; row += 1) {
    const key = keyOfRow[row] ?? -1;
    if (matches[row] === 1 && key >= 0) found.add(String(key));
  }
  return found;
}

/** More boxes than anyone follows. */
export const PATHS_MAX = 400;

export function pathGraph(trace: TraceColumns): PathGraph {
  const nodes = new Map<string, { -readonly [K in keyof PathNode]: PathNode[K] }>();
  const edges = new Map<string, { parent: string; child: string; calls: number }>();
  const keyOfRow = new Int32Array(trace.count).fill(-1);
  const keys: string[] = [];
  const numbers = new Map<string, number>();
  let isCut = false;
  for (let row = 0; row < trace.count; row += 1) {
    const above = trace.parent[row] ?? -1;
    const parent = above < 0 ? -1 : (keyOfRow[above] ?? -1);
    // What hangs below a path that found no room has none either.
    if (above >= 0 && parent < 0) continue;
    const key = `${parent} ${trace.service[row]} ${trace.operation[row]}`;
    let number = numbers.get(key);
    if (number === undefined) {
      if (keys.length >= PATHS_MAX) {
        isCut = true;
        continue;
      }
      number = keys.length;
      keys.push(key);
      numbers.set(key, number);
      nodes.set(String(number), {
        key: String(number),
        service: serviceOf(trace, row),
        operation: operationOf(trace, row),
        spans: 0,
        errors: 0,
        total: micros(0),
        self: micros(0),
        row,
      });
    }
    keyOfRow[row] = number;
    const node = nodes.get(String(number));
    if (node === undefined) continue;
    node.spans += 1;
    node.errors += ((trace.flags[row] ?? 0) & Flag.error) !== 0 ? 1 : 0;
    node.total = micros(node.total + (trace.length[row] ?? 0));
    node.self = micros(node.self + (trace.self[row] ?? 0));
    if (parent >= 0) {
      const between = `${parent} ${number}`;
      const edge = edges.get(between);
      if (edge) edge.calls += 1;
      else edges.set(between, { parent: String(parent), child: String(number), calls: 1 });
    }
  }
  return { nodes, edges: [...edges.values()], isCut, keyOfRow };
}
