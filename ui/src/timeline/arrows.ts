// Links of a span as arrows over the waterfall: from where the span begins to what it links to, and
// from what links to it. What a list does not show is pointed at where it would be.

import { insertionPoint } from "../model/rows";
import { type ListLayout, rowTop } from "./layout";
import type { Palette } from "./palette";
import type { Scene } from "./scene";

/** A span and the rows that it links to, and those that link to it. */
export interface Arrows {
  readonly row: number;
  readonly to: readonly number[];
  readonly from: readonly number[];
}

/** More would be a thicket. */
const ARROWS_MAX = 24;
const HEAD = 5;
/** How far an arrow swings out to the left, in pixels. */
const SWING = 26;

export interface ArrowLine {
  readonly from: { readonly x: number; readonly y: number };
  readonly to: { readonly x: number; readonly y: number };
}

/** The lines to draw. Pure. */
export function linesOf(
  scene: Scene,
  list: ListLayout,
  arrows: Arrows,
  size: { readonly width: number; readonly height: number },
): ArrowLine[] {
  const left = size.width * scene.namesShare + 4;
  const length = scene.window.end - scene.window.start;
  const pointOf = (row: number) => {
    const share = ((scene.trace.start[row] ?? 0) - scene.window.start) / length;
    // The row itself, or the one that hides it.
    const index = insertionPoint(scene.rows, row + 1) - 1;
    const y = rowTop(scene, list, index) + scene.rowHeight / 2;
    return {
      x: Math.min(Math.max(left + share * (size.width - left), left), size.width - 4),
      y: Math.min(Math.max(y, list.pinned.length * scene.rowHeight + 2), size.height - 2),
    };
  };
  const own = pointOf(arrows.row);
  return [
    ...arrows.to.map((row) => ({ from: own, to: pointOf(row) })),
    ...arrows.from.map((row) => ({ from: pointOf(row), to: own })),
  ].slice(0, ARROWS_MAX);
}

export function drawArrows(
  context: CanvasRenderingContext2D,
  lines: readonly ArrowLine[],
  palette: Palette,
): void {
  context.strokeStyle = palette.accent;
  context.fillStyle = palette.accent;
  context.lineWidth = 1.5;
  for (const { from, to } of lines) {
    const bend = Math.min(from.x, to.x) - SWING;
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.bezierCurveTo(bend, from.y, bend, to.y, to.x - HEAD, to.y);
    context.stroke();
    context.beginPath();
    context.moveTo(to.x, to.y);
    context.lineTo(to.x - HEAD - 1, to.y - HEAD + 1);
    context.lineTo(to.x - HEAD - 1, to.y + HEAD - 1);
    context.fill();
  }
}
