// All rows of the list in a strip as high as the screen: where time is spent, where errors and
// matches are, and where the selected span is.

import { Flag } from "../model/trace";
import type { Palette } from "./palette";
import type { Size } from "./renderer";
import type { Scene } from "./scene";

/** What is among the rows of a line of the strip. */
export const Mark = { error: 1, match: 2, selected: 4 } as const;

/** Pixels of a line. */
export const LINE_HEIGHT = 2;

export interface Strip {
  /** Of each line, the time spent in its rows, as a share of the largest. */
  readonly time: Float64Array;
  readonly marks: Uint8Array;
}

/** `height` in pixels. What a collapsed row hides counts as its own. */
export function stripOf(scene: Scene, height: number): Strip {
  const { trace, rows, collapsed, matches, selected } = scene;
  const lines = Math.max(1, Math.floor(height / LINE_HEIGHT));
  const time = new Float64Array(lines);
  const marks = new Uint8Array(lines);
  const scale = linesPerRow(scene, height);
  for (let index = 0; index < rows.length; index += 1) {
    const row = rows[index] ?? 0;
    const line = Math.min(lines - 1, Math.floor((index + 0.5) * scale));
    const hides = collapsed[row] === 1;
    const flags = trace.flags[row] ?? 0;
    const spent = (hides ? trace.length[row] : trace.self[row]) ?? 0;
    // A row that is higher than a line fills all of its lines.
    const from = Math.min(line, Math.floor(index * scale));
    const to = Math.min(lines, Math.max(line + 1, Math.floor((index + 1) * scale)));
    for (let each = from; each < to; each += 1) time[each] = (time[each] ?? 0) + spent;
    let mark = 0;
    if ((flags & (hides ? Flag.error | Flag.errorBelow : Flag.error)) !== 0) mark |= Mark.error;
    if (matches?.[row] === 1) mark |= Mark.match;
    if (row === selected) mark |= Mark.selected;
    if (mark !== 0) marks[line] = (marks[line] ?? 0) | mark;
  }
  const most = time.reduce((max, each) => Math.max(max, each), 0);
  return { time: most > 0 ? time.map((each) => each / most) : time, marks };
}

/** Rows that do not fill the screen stand beside themselves. */
function linesPerRow({ rows, rowHeight }: Scene, height: number): number {
  const all = Math.max(rows.length * rowHeight, height, 1);
  return (rowHeight / all) * (height / LINE_HEIGHT);
}

/** The row of the list at a height of the strip. */
export function indexInStrip(scene: Scene, y: number, height: number): number {
  const index = Math.floor(y / LINE_HEIGHT / linesPerRow(scene, height));
  return Math.min(Math.max(index, 0), scene.rows.length - 1);
}

/** Errors are on the right, matches on the left, so that neither hides the other. */
export function drawStrip(
  context: CanvasRenderingContext2D,
  { time, marks }: Strip,
  palette: Palette,
  { width, height }: Size,
): void {
  context.clearRect(0, 0, width, height);
  context.fillStyle = palette.faintest;
  time.forEach((share, line) => {
    if (share === 0) return;
    // Little is told apart from nothing, and half from all.
    context.globalAlpha = 0.12 + 0.55 * Math.sqrt(share);
    context.fillRect(0, line * LINE_HEIGHT, width, LINE_HEIGHT);
  });
  context.globalAlpha = 1;
  const put = (mark: number, color: string, from: number, to: number) => {
    context.fillStyle = color;
    marks.forEach((each, line) => {
      if ((each & mark) !== 0) context.fillRect(from, line * LINE_HEIGHT - 1, to - from, 4);
    });
  };
  put(Mark.selected, palette.accent, 0, width);
  put(Mark.error, palette.error, width / 2, width);
  put(Mark.match, palette.match, 0, width / 2);
}
