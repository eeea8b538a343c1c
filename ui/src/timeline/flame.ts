// Draws the flame graph, and says which span is under the pointer.

import { duration } from "../base/format";
import type { FlameLayout } from "../model/flame";
import { Flag, hasFlag, lengthOf, operationOf, serviceOf } from "../model/trace";
import type { Palette } from "./palette";
import type { Size } from "./renderer";
import type { Scene } from "./scene";
import { TextCutter } from "./text";

/** Height of a lane in pixels. */
export const LANE_HEIGHT = 21;
/** Narrower bars carry no text. */
const TEXT_WIDTH_MIN = 34;
/** Narrower bars name the operation only; the colour is the service. */
const SERVICE_WIDTH_MIN = 240;
const DIMMED = 0.22;

const cutter = new TextCutter();

export interface FlameFrame {
  readonly scene: Scene;
  readonly flame: FlameLayout;
  readonly scrollTop: number;
  readonly hovered: number;
  readonly palette: Palette;
  readonly size: Size;
}

export function drawFlame(context: CanvasRenderingContext2D, frame: FlameFrame): void {
  const { flame, palette, size, scrollTop } = frame;
  context.fillStyle = palette.background;
  context.fillRect(0, 0, size.width, size.height);
  const first = Math.max(0, Math.floor(scrollTop / LANE_HEIGHT));
  const last = Math.min(flame.lanes, Math.ceil((scrollTop + size.height) / LANE_HEIGHT));
  for (let lane = first; lane < last; lane += 1) drawLane(context, frame, lane);
}

function drawLane(context: CanvasRenderingContext2D, frame: FlameFrame, lane: number): void {
  const { flame, scene, size } = frame;
  const top = lane * LANE_HEIGHT - frame.scrollTop;
  // Bars that would fall on pixels that are drawn already are left out.
  let drawnTo = Number.NEGATIVE_INFINITY;
  for (let at = flame.offset[lane] ?? 0; at < (flame.offset[lane + 1] ?? 0); at += 1) {
    const row = flame.rows[at] ?? 0;
    const left = toX(scene, size, scene.trace.start[row] ?? 0);
    if (left > size.width) break;
    const right = toX(scene, size, (scene.trace.start[row] ?? 0) + (scene.trace.length[row] ?? 0));
    if (right < 0 || right < drawnTo + 0.5) continue;
    drawSpan(context, frame, row, {
      left: Math.max(left, 0),
      right: Math.min(right, size.width),
      top,
    });
    drawnTo = right;
  }
}

function toX(scene: Scene, { width }: Size, time: number): number {
  return ((time - scene.window.start) / (scene.window.end - scene.window.start)) * width;
}

function drawSpan(
  context: CanvasRenderingContext2D,
  { scene, palette, hovered }: FlameFrame,
  row: number,
  box: { readonly left: number; readonly right: number; readonly top: number },
): void {
  const { trace, matches, selected } = scene;
  const width = Math.max(box.right - box.left - 1, 1);
  const height = LANE_HEIGHT - 2;
  const color = scene.colorOfService[trace.service[row] ?? 0] ?? 0;
  const isDimmed = matches !== null && matches[row] !== 1;
  context.globalAlpha = isDimmed ? DIMMED : row === hovered ? 0.62 : 0.42;
  context.fillStyle = palette.services[color] ?? palette.faintest;
  context.fillRect(box.left, box.top, width, height);
  context.globalAlpha = isDimmed ? DIMMED : 1;
  context.fillRect(box.left, box.top, Math.min(3, width), height);
  if (hasFlag(trace, row, Flag.error)) {
    context.fillStyle = palette.error;
    context.fillRect(box.left, box.top + height - 3, width, 3);
  }
  if (row === selected) {
    context.strokeStyle = palette.text;
    context.lineWidth = 2;
    context.strokeRect(box.left + 1, box.top + 1, Math.max(width - 2, 1), height - 2);
  }
  if (width >= TEXT_WIDTH_MIN) drawLabel(context, palette, scene, row, box.left, width, box.top);
  context.globalAlpha = 1;
}

function drawLabel(
  context: CanvasRenderingContext2D,
  palette: Palette,
  scene: Scene,
  row: number,
  left: number,
  width: number,
  top: number,
): void {
  const { trace } = scene;
  const middle = top + LANE_HEIGHT / 2 - 0.5;
  context.font = `400 11px ${palette.font}`;
  context.textBaseline = "middle";
  context.fillStyle = palette.text;
  const length = duration(lengthOf(trace, row));
  const operation = operationOf(trace, row);
  const name = width < SERVICE_WIDTH_MIN ? operation : `${serviceOf(trace, row)}  ${operation}`;
  const lengthWidth = cutter.width(context, length);
  const hasRoom = width > lengthWidth + 110;
  const text = cutter.cut(context, name, width - 12 - (hasRoom ? lengthWidth + 14 : 0));
  context.fillText(text, left + 8, middle);
  if (hasRoom) {
    context.fillStyle = palette.faint;
    context.fillText(length, left + width - lengthWidth - 6, middle);
  }
}

/** The row of the trace at a point, -1 if there is none; short spans may be two pixels off. */
export function flameHit(
  frame: FlameFrame,
  point: { readonly x: number; readonly y: number },
): number {
  const { flame, scene, size } = frame;
  const lane = Math.floor((point.y + frame.scrollTop) / LANE_HEIGHT);
  if (lane < 0 || lane >= flame.lanes) return -1;
  let near = -1;
  for (let at = flame.offset[lane] ?? 0; at < (flame.offset[lane + 1] ?? 0); at += 1) {
    const row = flame.rows[at] ?? 0;
    const left = toX(scene, size, scene.trace.start[row] ?? 0);
    if (left > point.x + 2) break;
    const right = toX(scene, size, (scene.trace.start[row] ?? 0) + (scene.trace.length[row] ?? 0));
    if (point.x >= left && point.x <= right) return row;
    if (point.x - right <= 2) near = row;
  }
  return near;
}
