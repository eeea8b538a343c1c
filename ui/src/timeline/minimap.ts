// The whole trace in a strip: when what happens, where the errors and the matches are.

import { Flag, type TraceColumns } from "../model/trace";
import type { Palette } from "./palette";
import type { Size } from "./renderer";
import type { Scene } from "./scene";

/** Spans looked at for each line of pixels; more would not be seen. */
const SPANS_PER_LINE = 48;

/** Draws all spans; what is outside the window is veiled by the page. */
export function drawMinimap(
  context: CanvasRenderingContext2D,
  scene: Scene,
  palette: Palette,
  size: Size,
): void {
  context.clearRect(0, 0, size.width, size.height);
  drawSpans(context, scene, palette, size);
  drawMarks(context, scene, palette, size);
}

function drawSpans(
  context: CanvasRenderingContext2D,
  scene: Scene,
  palette: Palette,
  { width, height }: Size,
): void {
  const { trace } = scene;
  const margin = 4;
  const room = height - 2 * margin;
  const lines = Math.max(1, Math.min(trace.count, Math.floor(room)));
  const lineHeight = Math.min(3, Math.max(1.5, (room / trace.count) * 0.75));
  const scale = width / Math.max(trace.duration, 1);
  for (let line = 0; line < lines; line += 1) {
    const from = Math.floor((line / lines) * trace.count);
    const to = Math.floor(((line + 1) / lines) * trace.count);
    const step = Math.max(1, Math.ceil((to - from) / SPANS_PER_LINE));
    const y = margin + (line / lines) * room;
    for (let row = from; row < to; row += step) {
      const color = scene.colorOfService[trace.service[row] ?? 0] ?? 0;
      context.fillStyle = palette.services[color] ?? palette.faintest;
      const x = (trace.start[row] ?? 0) * scale;
      context.fillRect(x, y, Math.max((trace.length[row] ?? 0) * scale, 1), lineHeight);
    }
  }
}

/** Errors, and above them matches, are drawn whatever else is there; once for each pixel. */
function drawMarks(
  context: CanvasRenderingContext2D,
  { trace, matches }: Scene,
  palette: Palette,
  size: Size,
): void {
  context.fillStyle = palette.error;
  drawMarked(context, trace, size, 2, (row) => ((trace.flags[row] ?? 0) & Flag.error) !== 0);
  if (matches === null) return;
  context.fillStyle = palette.match;
  drawMarked(context, trace, size, 3, (row) => matches[row] === 1);
}

/** Where spans share lines, marks are short, or they would hide the trace. */
const MARK_MAX = 5;
/** So are those of which there are more than pixels side by side. */
const CROWDED_MARK_MAX = 1.5;

function drawMarked(
  context: CanvasRenderingContext2D,
  trace: TraceColumns,
  { width, height }: Size,
  thickness: number,
  isMarked: (row: number) => boolean,
): void {
  const columns = Math.ceil(width) + 1;
  const drawn = new Uint8Array(columns * (Math.ceil(height) + 1));
  const scale = width / Math.max(trace.duration, 1);
  const marked: number[] = [];
  for (let row = 0; row < trace.count; row += 1) {
    if (!isMarked(row)) continue;
    const pixel =
      Math.floor(yOf(trace, row, height)) * columns + Math.floor(xOf(trace, row, scale));
    if (drawn[pixel] === 1) continue;
    drawn[pixel] = 1;
    marked.push(row);
  }
  const isCrowded = marked.length > columns;
  const many = isCrowded ? CROWDED_MARK_MAX : MARK_MAX;
  const longest = trace.count > height ? many : Number.POSITIVE_INFINITY;
  const shortest = Math.min(3, longest);
  const thick = isCrowded ? CROWDED_MARK_MAX : thickness;
  for (const row of marked) {
    const length = Math.min(Math.max((trace.length[row] ?? 0) * scale, shortest), longest);
    context.fillRect(xOf(trace, row, scale), yOf(trace, row, height) - 0.5, length, thick);
  }
}

function xOf(trace: TraceColumns, row: number, scale: number): number {
  return (trace.start[row] ?? 0) * scale;
}

function yOf(trace: TraceColumns, row: number, height: number): number {
  return 4 + (row / trace.count) * (height - 8);
}
