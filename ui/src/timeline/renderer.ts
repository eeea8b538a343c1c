// Draws the waterfall: names at the left, bars at the right, one canvas for both.
//
// A frame costs what is on the screen, whatever the size of the trace.

import { duration } from "../base/format";
import { micros } from "../base/time";
import { Flag, hasFlag, lengthOf, operationOf, serviceOf } from "../model/trace";
import { type Arrows, drawArrows, linesOf } from "./arrows";
import { indentOf, type ListLayout, NAMES, rowTop } from "./layout";
import type { Palette } from "./palette";
import { runAt, type Scene } from "./scene";
import { TextCutter } from "./text";
import { ticks } from "./viewport";

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Frame {
  readonly scene: Scene;
  readonly list: ListLayout;
  /** Row under the pointer, -1 for none. */
  readonly hovered: number;
  /** Links of that row; null while none are known. */
  readonly arrows: Arrows | null;
  readonly palette: Palette;
  readonly size: Size;
}

/** Children looked at to tell a span's own work from waiting. */
const CHILDREN_MAX = 256;
const BAR_RADIUS = 2;
const DIMMED = 0.3;

const cutter = new TextCutter();

/** Forget measured texts: the theme or the fonts changed. */
export function resetText(): void {
  cutter.clear();
}

export function drawTimeline(context: CanvasRenderingContext2D, frame: Frame): void {
  const { scene, list, palette, size } = frame;
  context.fillStyle = palette.background;
  context.fillRect(0, 0, size.width, size.height);
  drawRuler(context, frame);
  for (let index = list.first; index < list.end; index += 1) {
    const row = scene.rows[index];
    if (row === undefined) continue;
    drawRow(context, frame, row, rowTop(scene, list, index));
  }
  drawPinned(context, frame);
  if (frame.arrows !== null) {
    drawArrows(context, linesOf(scene, list, frame.arrows, size), palette);
  }
  const divider = Math.round(size.width * scene.namesShare);
  context.fillStyle = palette.line;
  context.fillRect(divider, 0, 1, size.height);
}

function drawRuler(context: CanvasRenderingContext2D, { scene, palette, size }: Frame): void {
  context.fillStyle = palette.line;
  context.globalAlpha = 0.55;
  for (const tick of ticks(scene.window, tickCount(size.width, scene.namesShare))) {
    context.fillRect(Math.round(toX(scene, size, tick)), 0, 1, size.height);
  }
  context.globalAlpha = 1;
}

/** About one tick for each hundred pixels. */
export function tickCount(width: number, namesShare: number): number {
  return Math.max(2, Math.floor((width * (1 - namesShare)) / 110));
}

function drawPinned(context: CanvasRenderingContext2D, frame: Frame): void {
  const { scene, list, palette, size } = frame;
  if (list.pinned.length === 0) return;
  const height = list.pinned.length * scene.rowHeight;
  context.fillStyle = palette.raised;
  context.fillRect(0, 0, size.width, height);
  list.pinned.forEach((row, place) => {
    drawRow(context, frame, row, place * scene.rowHeight);
  });
  context.fillStyle = palette.line;
  context.fillRect(0, height, size.width, 1);
}

function toX(scene: Scene, { width }: Size, time: number): number {
  const left = width * scene.namesShare;
  const length = scene.window.end - scene.window.start;
  return left + ((time - scene.window.start) / length) * (width - left);
}

function drawRow(context: CanvasRenderingContext2D, frame: Frame, row: number, top: number): void {
  const { scene, palette, size } = frame;
  const isMatch = scene.matches?.[row] === 1;
  const background =
    row === scene.selected ? palette.selection : row === frame.hovered ? palette.hover : "";
  if (background !== "") {
    context.fillStyle = background;
    context.fillRect(0, top, size.width, scene.rowHeight);
  }
  if (isMatch) {
    context.fillStyle = palette.match;
    context.fillRect(0, top, 3, scene.rowHeight);
  }
  if (row === scene.selected) {
    context.fillStyle = palette.accent;
    context.fillRect(0, top, 3, scene.rowHeight);
  }
  context.globalAlpha = scene.matches !== null && !isMatch ? DIMMED + 0.25 : 1;
  drawName(context, frame, row, top);
  context.globalAlpha = scene.matches !== null && !isMatch ? DIMMED : 1;
  if ((scene.runs?.[row] ?? 0) > 0) drawRun(context, frame, row, top);
  else drawBar(context, frame, row, top);
  context.globalAlpha = 1;
}

function drawName(context: CanvasRenderingContext2D, frame: Frame, row: number, top: number): void {
  const { scene, palette, size } = frame;
  const { trace, rowHeight } = scene;
  const right = size.width * scene.namesShare - 8;
  const middle = top + rowHeight / 2;
  const { x: indent, surplus } = indentOf(trace.depth[row] ?? 0, size.width * scene.namesShare);
  drawGuides(context, frame, indent, top);
  let x = indent;
  const run = runAt(scene, row);
  const isClosed = run !== undefined || scene.collapsed[row] === 1;
  if (run !== undefined || (trace.descendants[row] ?? 0) > 0) {
    drawCaret(context, x + NAMES.caret / 2, middle, isClosed, palette.faint);
  }
  x += NAMES.caret + 4;
  context.fillStyle = colorOf(frame, row);
  context.fillRect(x, top + 5, 3, rowHeight - 10);
  x += 9;
  if (surplus > 0) x = drawChip(context, frame, `+${surplus}`, x, middle);
  if (run !== undefined) x = drawChip(context, frame, `× ${run.members}`, x, middle);
  x = drawErrorGlyph(context, frame, row, x, middle);
  context.textBaseline = "middle";
  const parent = trace.parent[row] ?? -1;
  const isSameService = parent >= 0 && trace.service[parent] === trace.service[row];
  context.font = `${isSameService ? 400 : 600} 12px ${palette.font}`;
  context.fillStyle = isSameService ? palette.faint : palette.text;
  const service = cutter.cut(context, serviceOf(trace, row), (right - x) * 0.6);
  context.fillText(service, x, middle + 0.5);
  x += cutter.width(context, service) + 7;
  context.font = `400 12px ${palette.font}`;
  const hidden = scene.collapsed[row] === 1 ? String(trace.descendants[row] ?? 0) : "";
  const chip = run === undefined ? hidden : `p95 ${duration(micros(run.p95))}`;
  const room = right - x - (chip === "" ? 0 : chip.length * 7 + 14);
  context.fillStyle = isSameService ? palette.text : palette.faint;
  const operation = cutter.cut(context, operationOf(trace, row), room);
  context.fillText(operation, x, middle + 0.5);
  if (chip !== "") drawChip(context, frame, chip, x + cutter.width(context, operation) + 6, middle);
}

function drawGuides(
  context: CanvasRenderingContext2D,
  { scene, palette }: Frame,
  indent: number,
  top: number,
): void {
  context.fillStyle = palette.line;
  for (let x = NAMES.left; x < indent; x += NAMES.step) {
    context.fillRect(Math.round(x + NAMES.caret / 2), top, 1, scene.rowHeight);
  }
}

function drawCaret(
  context: CanvasRenderingContext2D,
  x: number,
  y: number,
  isCollapsed: boolean,
  color: string,
): void {
  context.strokeStyle = color;
  context.lineWidth = 1.5;
  context.lineCap = "round";
  context.lineJoin = "round";
  context.beginPath();
  if (isCollapsed) {
    context.moveTo(x - 1.5, y - 3.5);
    context.lineTo(x + 2, y);
    context.lineTo(x - 1.5, y + 3.5);
  } else {
    context.moveTo(x - 3.5, y - 1.5);
    context.lineTo(x, y + 2);
    context.lineTo(x + 3.5, y - 1.5);
  }
  context.stroke();
}

/** A small count; returns where the next thing goes. */
function drawChip(
  context: CanvasRenderingContext2D,
  { palette }: Frame,
  text: string,
  x: number,
  middle: number,
): number {
  context.font = `500 10px ${palette.font}`;
  const width = cutter.width(context, text) + 8;
  context.fillStyle = palette.line;
  context.beginPath();
  context.roundRect(x, middle - 7, width, 14, 7);
  context.fill();
  context.fillStyle = palette.faint;
  context.textBaseline = "middle";
  context.fillText(text, x + 4, middle + 0.5);
  return x + width + 5;
}

/** Filled where the span failed, hollow where it hides one that did. */
function drawErrorGlyph(
  context: CanvasRenderingContext2D,
  { scene, palette }: Frame,
  row: number,
  x: number,
  middle: number,
): number {
  const failed = hasFlag(scene.trace, row, Flag.error);
  const hides =
    runAt(scene, row)?.hasErrors ||
    (scene.collapsed[row] === 1 && hasFlag(scene.trace, row, Flag.errorBelow));
  if (!failed && !hides) return x;
  context.beginPath();
  context.arc(x + 6, middle, 5.5, 0, Math.PI * 2);
  if (failed) {
    context.fillStyle = palette.error;
    context.fill();
  } else {
    context.strokeStyle = palette.error;
    context.lineWidth = 1.5;
    context.stroke();
  }
  context.fillStyle = failed ? palette.errorText : palette.error;
  context.fillRect(x + 5.25, middle - 3, 1.5, 3.5);
  context.fillRect(x + 5.25, middle + 1.5, 1.5, 1.5);
  return x + 17;
}

function colorOf({ scene, palette }: Frame, row: number): string {
  const color = scene.colorOfService[scene.trace.service[row] ?? 0] ?? 0;
  return palette.services[color] ?? palette.faintest;
}

function drawBar(context: CanvasRenderingContext2D, frame: Frame, row: number, top: number): void {
  const { scene, palette, size } = frame;
  const { trace, rowHeight } = scene;
  const left = size.width * scene.namesShare + 1;
  const start = trace.start[row] ?? 0;
  const end = start + (trace.length[row] ?? 0);
  const from = toX(scene, size, start);
  const to = toX(scene, size, end);
  const isBefore = to < left - 1.5;
  if (isBefore || from > size.width) {
    drawOutside(context, frame, isBefore ? left + 6 : size.width - 8, top, isBefore ? -1 : 1);
    return;
  }
  const barLeft = Math.max(from, left);
  const barRight = Math.max(Math.min(to, size.width), barLeft + 2);
  const barTop = top + Math.round(rowHeight * 0.27);
  const barHeight = Math.round(rowHeight * 0.46);
  const alpha = context.globalAlpha;
  context.fillStyle = colorOf(frame, row);
  context.globalAlpha = alpha * 0.42;
  context.beginPath();
  context.roundRect(barLeft, barTop, barRight - barLeft, barHeight, BAR_RADIUS);
  context.fill();
  context.globalAlpha = alpha;
  drawOwnWork(context, frame, row, { left: barLeft, right: barRight, top: barTop, barHeight });
  drawEvents(context, frame, row, barTop, barHeight);
  drawCritical(context, frame, row, barTop + barHeight + 1);
  if (hasFlag(trace, row, Flag.error)) {
    context.fillStyle = palette.error;
    context.fillRect(barLeft, barTop, 3, barHeight);
  }
  drawLength(context, frame, row, { barLeft, barRight, left, middle: top + rowHeight / 2 });
}

/** Every span of a run in one row; those that failed show. */
function drawRun(context: CanvasRenderingContext2D, frame: Frame, row: number, top: number): void {
  const { scene, palette, size } = frame;
  const { trace, rowHeight } = scene;
  const left = size.width * scene.namesShare + 1;
  const barTop = top + Math.round(rowHeight * 0.27);
  const barHeight = Math.round(rowHeight * 0.46);
  const end = scene.runs?.[row] ?? 0;
  const color = colorOf(frame, row);
  let drawn = left;
  for (let at = row; at < end; at += 1 + (trace.descendants[at] ?? 0)) {
    const start = trace.start[at] ?? 0;
    const from = Math.max(toX(scene, size, start), left);
    const to = Math.min(toX(scene, size, start + (trace.length[at] ?? 0)), size.width);
    const failed = hasFlag(trace, at, Flag.error);
    // What would be drawn on what is drawn already costs nothing.
    if (to < left || from > size.width || (to <= drawn && !failed)) continue;
    context.fillStyle = failed ? palette.error : color;
    context.fillRect(
      failed ? from : Math.max(from, drawn),
      barTop,
      Math.max(to - from, 1),
      barHeight,
    );
    drawn = Math.max(drawn, from + Math.max(to - from, 1) + 0.5);
  }
}

interface Bar {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly barHeight: number;
}

/** Full colour where no child is at work. */
function drawOwnWork(
  context: CanvasRenderingContext2D,
  { scene, size }: Frame,
  row: number,
  bar: Bar,
): void {
  const { trace } = scene;
  let covered = bar.left;
  const fill = (from: number, to: number) => {
    const left = Math.max(from, bar.left);
    const right = Math.min(to, bar.right);
    if (right - left > 0.4) {
      context.beginPath();
      context.roundRect(left, bar.top, Math.max(right - left, 1), bar.barHeight, BAR_RADIUS);
      context.fill();
    }
  };
  const last = row + (trace.descendants[row] ?? 0);
  let seen = 0;
  for (let child = row + 1; child <= last && seen < CHILDREN_MAX; seen += 1) {
    const start = trace.start[child] ?? 0;
    const from = toX(scene, size, start);
    fill(covered, from);
    covered = Math.max(covered, toX(scene, size, start + (trace.length[child] ?? 0)));
    child += 1 + (trace.descendants[child] ?? 0);
  }
  if (seen < CHILDREN_MAX) fill(covered, bar.right);
}

function drawEvents(
  context: CanvasRenderingContext2D,
  { scene, size, palette }: Frame,
  row: number,
  top: number,
  height: number,
): void {
  const { events } = scene;
  if (events === null) return;
  const from = events.offset[row] ?? 0;
  const to = events.offset[row + 1] ?? 0;
  if (from === to) return;
  context.fillStyle = palette.text;
  let drawn = Number.NEGATIVE_INFINITY;
  for (let at = from; at < to; at += 1) {
    const x = Math.round(toX(scene, size, events.time[at] ?? 0));
    if (x - drawn < 2 || x < size.width * scene.namesShare || x > size.width) continue;
    context.fillRect(x, top - 2, 1, height + 4);
    drawn = x;
  }
}

function drawCritical(
  context: CanvasRenderingContext2D,
  { scene, size, palette }: Frame,
  row: number,
  top: number,
): void {
  const path = scene.criticalPath;
  if (path === null) return;
  context.fillStyle = palette.critical;
  const left = size.width * scene.namesShare + 1;
  for (let at = path.offset[row] ?? 0; at < (path.offset[row + 1] ?? 0); at += 1) {
    const from = Math.max(toX(scene, size, path.start[at] ?? 0), left);
    const to = Math.min(toX(scene, size, path.end[at] ?? 0), size.width);
    if (to > from) context.fillRect(from, top, Math.max(to - from, 1), 2);
  }
}

function drawLength(
  context: CanvasRenderingContext2D,
  { scene, size, palette }: Frame,
  row: number,
  at: { barLeft: number; barRight: number; left: number; middle: number },
): void {
  context.font = `400 11px ${palette.font}`;
  context.textBaseline = "middle";
  context.fillStyle = palette.faint;
  const text = duration(lengthOf(scene.trace, row));
  const width = cutter.width(context, text);
  if (at.barRight + width + 10 < size.width) {
    context.fillText(text, at.barRight + 5, at.middle + 0.5);
  } else if (at.barLeft - width - 6 > at.left) {
    context.fillText(text, at.barLeft - width - 5, at.middle + 0.5);
  } else {
    const x = Math.min(at.barRight, size.width) - width - 9;
    context.fillStyle = palette.background;
    context.beginPath();
    context.roundRect(x - 4, at.middle - 7.5, width + 8, 15, 3);
    context.fill();
    context.fillStyle = palette.text;
    context.fillText(text, x, at.middle + 0.5);
  }
}

/** A hint that the span is before or after the window. */
function drawOutside(
  context: CanvasRenderingContext2D,
  { scene, palette }: Frame,
  x: number,
  top: number,
  direction: number,
): void {
  const middle = top + scene.rowHeight / 2;
  context.strokeStyle = palette.faintest;
  context.lineWidth = 1.25;
  context.beginPath();
  context.moveTo(x - direction * 1.5, middle - 3);
  context.lineTo(x + direction * 1.5, middle);
  context.lineTo(x - direction * 1.5, middle + 3);
  context.stroke();
}
