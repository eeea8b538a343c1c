// Which rows of a trace are collapsed, and how a link says so: how many spans the trace has, from
// which depth on everything is collapsed (`-` for nowhere), and the rows that are the other way
// round, numbers to the base 36 with dots between. A trace that has got more spans since has other
// rows, so such a link is out of date and shows all of them.

import { collapseFrom } from "./rows";
import type { TraceColumns } from "./trace";

/** More would make a link too long to send; it then says nothing of them. */
const EXCEPTIONS_MAX = 100;

type Rows = Pick<TraceColumns, "count" | "depth" | "descendants">;

/** What goes into a link; undefined if nothing is collapsed, or too much here and there. */
export function printFolded(trace: Rows, collapsed: Uint8Array): string | undefined {
  let least = Number.POSITIVE_INFINITY;
  let count = 0;
  for (let row = 0; row < trace.count; row += 1) {
    if (collapsed[row] !== 1) continue;
    count += 1;
    least = Math.min(least, trace.depth[row] ?? 0);
  }
  if (count === 0) return undefined;
  const alone = count <= EXCEPTIONS_MAX ? rowsWhere(trace, (row) => collapsed[row] === 1) : [];
  const from = rowsWhere(trace, (row) => (collapsed[row] === 1) !== isFrom(trace, row, least));
  const isAlone = alone.length > 0 && alone.length <= from.length;
  const exceptions = isAlone ? alone : from;
  if (exceptions.length > EXCEPTIONS_MAX) return undefined;
  return [trace.count, isAlone ? "-" : least, ...exceptions]
    .map((each) => each.toString(36))
    .join(".");
}

function isFrom(trace: Rows, row: number, depth: number): boolean {
  return (trace.depth[row] ?? 0) >= depth && (trace.descendants[row] ?? 0) > 0;
}

/** The first of them, one more than fit a link. */
function rowsWhere(trace: Rows, is: (row: number) => boolean): readonly number[] {
  const found: number[] = [];
  for (let row = 0; row < trace.count && found.length <= EXCEPTIONS_MAX; row += 1) {
    if (is(row)) found.push(row);
  }
  return found;
}

/** What a link says; undefined if that is nothing, or of another state of the trace. */
export function parseFolded(trace: TraceColumns, text: string): Uint8Array | undefined {
  const [count, from = "", ...exceptions] = text.split(".");
  if (!/^[0-9a-z]+\.([0-9a-z]+|-)(\.[0-9a-z]+){0,100}$/.test(text)) return undefined;
  if (Number.parseInt(count ?? "", 36) !== trace.count) return undefined;
  const collapsed =
    from === "-" ? new Uint8Array(trace.count) : collapseFrom(trace, Number.parseInt(from, 36));
  for (const each of exceptions) {
    const row = Number.parseInt(each, 36);
    // Only what has something below it can be collapsed.
    if ((trace.descendants[row] ?? 0) > 0) collapsed[row] = collapsed[row] === 1 ? 0 : 1;
  }
  return collapsed;
}
