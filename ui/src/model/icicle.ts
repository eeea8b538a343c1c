// A trace as what called what, each way down once: how wide a bar is says how much time was spent
// in it and below it, or how many spans there were, whenever that was.

import type { PathPair } from "./compare-paths";

export type IcicleMeasure = "self" | "count";

/** Shares of the whole width; the place of the path in the list of all. */
export interface IcicleBar {
  readonly index: number;
  readonly depth: number;
  readonly left: number;
  readonly width: number;
  /** Of all that is shown. */
  readonly share: number;
}

/** Narrower bars cannot be seen, nor hit. */
const WIDTH_MIN = 0.0012;

/** The bars of all paths, or those of one, of what is above it and of what is below it. */
export function layoutIcicle(
  paths: readonly PathPair[],
  measure: IcicleMeasure,
  focus = -1,
): readonly IcicleBar[] {
  const weights = weightsOf(paths, measure);
  const whole = paths.reduce(
    (sum, { parent }, index) => (parent < 0 ? sum + (weights[index] ?? 0) : sum),
    0,
  );
  if (whole === 0) return [];
  const above = new Set(waysUp(paths, focus));
  const bars: IcicleBar[] = [];
  // Where the next child of a path begins; the first place is that of what has no parent.
  const next = new Float64Array(paths.length + 1);
  const scale = 1 / (focus < 0 ? whole : (weights[focus] ?? whole));
  const isShown = new Uint8Array(paths.length);
  paths.forEach(({ index, parent, depth }) => {
    const weight = weights[index] ?? 0;
    const share = weight / whole;
    if (above.has(index)) {
      bars.push({ index, depth, left: 0, width: 1, share });
      return;
    }
    if (focus >= 0 && index !== focus && isShown[parent] !== 1) return;
    isShown[index] = 1;
    const left = index === focus ? 0 : (next[parent + 1] ?? 0);
    const width = weight * scale;
    next[parent + 1] = left + width;
    next[index + 1] = left;
    if (width >= WIDTH_MIN) bars.push({ index, depth, left, width, share });
  });
  return bars;
}

/** Of each path and all below it. What is below stands after it. */
function weightsOf(paths: readonly PathPair[], measure: IcicleMeasure): Float64Array {
  const weights = Float64Array.from(paths, ({ left }) =>
    measure === "self" ? left.self : left.spans,
  );
  for (let index = paths.length - 1; index >= 0; index -= 1) {
    const parent = paths[index]?.parent ?? -1;
    if (parent >= 0) weights[parent] = (weights[parent] ?? 0) + (weights[index] ?? 0);
  }
  return weights;
}

function waysUp(paths: readonly PathPair[], from: number): number[] {
  const above: number[] = [];
  for (let at = paths[from]?.parent ?? -1; at >= 0; at = paths[at]?.parent ?? -1) above.push(at);
  return above;
}
