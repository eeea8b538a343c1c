// Two traces, or several on a side, merged by the way down to each span: what service and operation
// called what, how often in the one and how often in the other. Figures are means of a trace.

import { type Micros, micros } from "../base/time";
import { Flag, type TraceColumns } from "./trace";

export interface PathSide {
  /** A trace, as all figures are. */
  readonly spans: number;
  readonly errors: number;
  readonly total: Micros;
  readonly self: Micros;
}

/** Spans with the same way down, in both traces. */
export interface PathPair {
  /** Its place in the list of all, and that of the path above; -1 at the top. */
  readonly index: number;
  readonly parent: number;
  readonly depth: number;
  readonly service: string;
  readonly operation: string;
  readonly left: PathSide;
  readonly right: PathSide;
}

export interface ComparedPaths {
  /** Depth first, in the order of their first spans. */
  readonly paths: readonly PathPair[];
  /** There were more than are listed. */
  readonly isCut: boolean;
}

/** More than anyone reads. */
export const COMPARED_PATHS_MAX = 1_000;

interface Node {
  readonly service: string;
  readonly operation: string;
  readonly children: Node[];
  /** By the number of the name. */
  readonly byName: Map<number, Node>;
  readonly sides: [Mutable, Mutable];
}
interface Mutable {
  spans: number;
  errors: number;
  total: number;
  self: number;
}

export function comparePaths(
  left: readonly TraceColumns[],
  right: readonly TraceColumns[],
): ComparedPaths {
  const names = new Names();
  const root = nodeOf("", "");
  const room = { left: COMPARED_PATHS_MAX, isCut: false };
  for (const trace of left) add(root, trace, 0, names, room);
  for (const trace of right) add(root, trace, 1, names, room);
  const paths: PathPair[] = [];
  list(root, [Math.max(left.length, 1), Math.max(right.length, 1)], paths);
  return { paths, isCut: room.isCut };
}

function nodeOf(service: string, operation: string): Node {
  const none = (): Mutable => ({ spans: 0, errors: 0, total: 0, self: 0 });
  return { service, operation, children: [], byName: new Map(), sides: [none(), none()] };
}

/** Rows are in depth-first order, so what is above a row has been placed before it. */
function add(
  root: Node,
  trace: TraceColumns,
  side: 0 | 1,
  names: Names,
  room: { left: number; isCut: boolean },
): void {
  const nameOf = names.of(trace);
  const placed: (Node | undefined)[] = new Array(trace.count);
  for (let row = 0; row < trace.count; row += 1) {
    const above = trace.parent[row] ?? -1;
    const parent = above < 0 ? root : placed[above];
    // What hangs below a path that found no room has none either.
    if (parent === undefined) continue;
    const name = nameOf(row);
    let node = parent.byName.get(name);
    if (node === undefined) {
      if (room.left === 0) {
        room.isCut = true;
        continue;
      }
      room.left -= 1;
      node = nodeOf(
        trace.services[trace.service[row] ?? 0] ?? "",
        trace.operations[trace.operation[row] ?? 0] ?? "",
      );
      parent.byName.set(name, node);
      parent.children.push(node);
    }
    placed[row] = node;
    const sum = node.sides[side];
    sum.spans += 1;
    sum.errors += ((trace.flags[row] ?? 0) & Flag.error) !== 0 ? 1 : 0;
    sum.total += trace.length[row] ?? 0;
    sum.self += trace.self[row] ?? 0;
  }
}

/** Numbers for pairs of service and operation that hold across traces. */
class Names {
  readonly #services = new Map<string, number>();
  readonly #operations = new Map<string, number>();

  of(trace: TraceColumns): (row: number) => number {
    const services = trace.services.map((name) => numberOf(this.#services, name));
    const operations = trace.operations.map((name) => numberOf(this.#operations, name));
    // Beyond the names of any two traces, and exact in a double for as many services.
    const wide = 2 ** 26;
    return (row) =>
      (services[trace.service[row] ?? 0] ?? 0) * wide +
      (operations[trace.operation[row] ?? 0] ?? 0);
  }
}

function numberOf(known: Map<string, number>, name: string): number {
  const number = known.get(name) ?? known.size;
  known.set(name, number);
  return number;
}

/** Without calls of itself: a chain can be as long as the list. */
function list(root: Node, traces: readonly [number, number], paths: PathPair[]): void {
  const stack = [...root.children].reverse().map((child) => ({ child, parent: -1, depth: 0 }));
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { child } = next;
    const index = paths.length;
    const side = ({ spans, errors, total, self }: Mutable, of: number): PathSide => ({
      spans: spans / of,
      errors: errors / of,
      total: micros(total / of),
      self: micros(self / of),
    });
    paths.push({
      index,
      parent: next.parent,
      depth: next.depth,
      service: child.service,
      operation: child.operation,
      left: side(child.sides[0], traces[0]),
      right: side(child.sides[1], traces[1]),
    });
    for (const each of [...child.children].reverse()) {
      stack.push({ child: each, parent: index, depth: next.depth + 1 });
    }
  }
}
