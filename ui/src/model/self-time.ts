// How long each span worked itself: its length without the time in which some child was at work.

/** Needs rows in depth-first order with children in order of start. */
export function selfTimes(
  parent: Int32Array,
  start: Float64Array,
  length: Float64Array,
): Float64Array {
  const self = Float64Array.from(length);
  // How far each span's time is already given away to children.
  const coveredTo = Float64Array.from(start);
  for (let row = 0; row < parent.length; row += 1) {
    const above = parent[row] ?? -1;
    if (above < 0) continue;
    const end = (start[row] ?? 0) + (length[row] ?? 0);
    const endAbove = (start[above] ?? 0) + (length[above] ?? 0);
    const from = Math.max(start[row] ?? 0, coveredTo[above] ?? 0);
    const to = Math.min(end, endAbove);
    if (to > from) {
      self[above] = (self[above] ?? 0) - (to - from);
      coveredTo[above] = to;
    }
  }
  return self;
}
