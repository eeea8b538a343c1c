// Where rows are: which are on the screen, which are pinned, and what is under the pointer. Pure.

import { type Micros, micros } from "../base/time";
import { pinnedAncestors } from "../model/rows";
import { PINNED_MAX, type Scene } from "./scene";

/** Rows of the list on the screen. */
export interface ListLayout {
  /** Index into the visible rows of the topmost. */
  readonly first: number;
  /** Index after the last. */
  readonly end: number;
  /** Where the first row begins, in pixels; zero or less. */
  readonly top: number;
  /** Rows of the trace pinned at the top, outermost first. */
  readonly pinned: readonly number[];
}

export function layoutList(scene: Scene, scrollTop: number, height: number): ListLayout {
  const { rowHeight, rows } = scene;
  const first = Math.min(indexAt(scene, scrollTop), Math.max(rows.length - 1, 0));
  const end = Math.min(rows.length, indexAt(scene, scrollTop + height - EDGE) + 1);
  // A row of which less than half is left does not decide what is pinned.
  const whole = indexAt(scene, scrollTop + rowHeight / 2);
  const pinned =
    scrollTop <= 0 ? [] : pinnedAncestors(scene.trace, rows, whole, pinnedMax(rowHeight, height));
  return { first, end, top: topOf(scene, first) - scrollTop, pinned };
}

/** Less than a pixel: a row that only touches the edge is not on the screen. */
const EDGE = 0.01;

/** Where a row of the list begins, in pixels below the beginning of the first. */
export function topOf({ gap, rowHeight }: Scene, index: number): number {
  return index * rowHeight + (gap !== null && index > gap.after ? gap.height : 0);
}

/** The row of the list at so many pixels below the beginning of the first; a gap is of its row. */
function indexAt({ gap, rowHeight }: Scene, at: number): number {
  const begins = gap === null ? Number.POSITIVE_INFINITY : (gap.after + 1) * rowHeight;
  if (gap === null || at < begins) return Math.floor(at / rowHeight);
  return at < begins + gap.height ? gap.after : Math.floor((at - gap.height) / rowHeight);
}

/** Where a row of the list begins on the screen. */
export function rowTop(scene: Scene, list: ListLayout, index: number): number {
  return list.top + topOf(scene, index) - topOf(scene, list.first);
}

/** Pinned rows never take more than a third of the height. */
function pinnedMax(rowHeight: number, height: number): number {
  return Math.min(PINNED_MAX, Math.floor(height / rowHeight / 3));
}

/** Browsers cannot show elements of any height; above this the scroll bar is scaled. */
const SCROLL_HEIGHT_MAX = 8_000_000;

/** The height of the scrolled element. */
export function scrollHeight(scene: Scene): number {
  return Math.min(topOf(scene, scene.rows.length), SCROLL_HEIGHT_MAX);
}

/** Pixels of rows for each pixel of the scroll bar. */
export function scrollScale(scene: Scene, height: number): number {
  const real = topOf(scene, scene.rows.length) - height;
  const shown = scrollHeight(scene) - height;
  return shown > 0 && real > shown ? real / shown : 1;
}

/** Distances within the names. */
export const NAMES = { left: 10, step: 14, caret: 12, indentShareMax: 0.45 } as const;

/** How far in a row's caret is, and how many levels found no room. */
export function indentOf(depth: number, namesWidth: number): { x: number; surplus: number } {
  const levels = Math.max(2, Math.floor((namesWidth * NAMES.indentShareMax) / NAMES.step));
  const shown = Math.min(depth, levels);
  return { x: NAMES.left + shown * NAMES.step, surplus: depth - shown };
}

export type HitPart = "caret" | "name" | "bar";

export interface Hit {
  /** Row of the trace. */
  readonly row: number;
  readonly part: HitPart;
  readonly isPinned: boolean;
}

/** What is at a point of the canvas. */
export function hitTest(
  scene: Scene,
  list: ListLayout,
  point: { readonly x: number; readonly y: number },
  width: number,
): Hit | undefined {
  const isPinned = point.y < list.pinned.length * scene.rowHeight;
  const index = indexAt(scene, topOf(scene, list.first) + point.y - list.top);
  const row = isPinned ? list.pinned[Math.floor(point.y / scene.rowHeight)] : scene.rows[index];
  if (row === undefined || point.y < 0) return undefined;
  if (!isPinned && point.y >= rowTop(scene, list, index) + scene.rowHeight) return undefined;
  const namesWidth = width * scene.namesShare;
  if (point.x >= namesWidth) return { row, part: "bar", isPinned };
  const { x } = indentOf(scene.trace.depth[row] ?? 0, namesWidth);
  const canOpen = (scene.trace.descendants[row] ?? 0) > 0 || (scene.runs?.[row] ?? 0) > 0;
  const isOnCaret = canOpen && Math.abs(point.x - (x + NAMES.caret / 2)) <= NAMES.caret;
  return { row, part: isOnCaret ? "caret" : "name", isPinned };
}

/** The moment at `x` pixels. */
export function timeAt(scene: Scene, x: number, width: number): Micros {
  const left = width * scene.namesShare;
  const share = (x - left) / Math.max(width - left, 1);
  return micros(scene.window.start + share * (scene.window.end - scene.window.start));
}
