// Windows of time and places of rows.

import { describe, expect, it } from "vitest";
import { micros } from "../base/time";
import { linesOf } from "./arrows";
import { hitTest, layoutList, rowTop, scrollHeight, scrollScale, timeAt } from "./layout";
import type { Scene } from "./scene";
import { sceneOf } from "./testing";
import { around, clamp, isWhole, pan, ticks, whole, zoom } from "./viewport";

const DURATION = micros(1_000);
const span = (start: number, end: number) => ({ start: micros(start), end: micros(end) });

describe("the window of time", () => {
  it("stays within the trace", () => {
    expect(clamp(span(-50, 50), DURATION)).toEqual(span(0, 100));
    expect(clamp(span(950, 1_050), DURATION)).toEqual(span(900, 1_000));
    expect(clamp(span(-50, 5_000), DURATION)).toEqual(whole(DURATION));
    expect(clamp(span(5, 5), DURATION)).toEqual(span(5, 7));
  });

  it("zooms around a moment", () => {
    expect(zoom(whole(DURATION), 0.5, 0.5, DURATION)).toEqual(span(250, 750));
    expect(zoom(span(250, 750), 4, 0.5, DURATION)).toEqual(whole(DURATION));
  });

  it("pans and stops at the ends", () => {
    expect(pan(span(100, 200), 0.5, DURATION)).toEqual(span(150, 250));
    expect(pan(span(100, 200), -5, DURATION)).toEqual(span(0, 100));
  });

  it("frames a span", () => {
    expect(around(micros(400), micros(100), DURATION)).toEqual(span(385, 515));
    expect(isWhole(whole(DURATION), DURATION)).toBe(true);
  });

  it("has round ticks", () => {
    expect(ticks(whole(DURATION), 5)).toEqual([0, 200, 400, 600, 800, 1_000]);
    expect(ticks(span(801, 804), 4)).toEqual([801, 802, 803, 804]);
  });
});

describe("the list", () => {
  const scene = sceneOf(51);

  it("shows the rows that fit", () => {
    expect(layoutList(scene, 0, 200)).toEqual({ first: 0, end: 10, top: 0, pinned: [] });
    expect(layoutList(scene, 210, 200)).toEqual({ first: 10, end: 21, top: -10, pinned: [0] });
  });

  it("makes room below a row", () => {
    const gapped: Scene = { ...scene, gap: { after: 2, height: 100 } };
    const list = layoutList(gapped, 0, 200);
    expect(list).toEqual({ first: 0, end: 5, top: 0, pinned: [] });
    expect(rowTop(gapped, list, 2)).toBe(40);
    expect(rowTop(gapped, list, 3)).toBe(160);
    expect(hitTest(gapped, list, { x: 200, y: 165 }, 400)?.row).toBe(3);
    expect(hitTest(gapped, list, { x: 200, y: 100 }, 400)).toBeUndefined();
    expect(scrollHeight(gapped)).toBe(scrollHeight(scene) + 100);
    // Scrolled into the gap, and past it.
    expect(layoutList(gapped, 90, 100)).toMatchObject({ first: 2, end: 5, top: -50 });
    expect(layoutList(gapped, 180, 100)).toMatchObject({ first: 4, end: 9, top: 0 });
  });

  it("draws links from span to span, hidden ones to what hides them", () => {
    const size = { width: 400, height: 200 };
    const list = layoutList(scene, 0, size.height);
    const arrows = { row: 2, to: [4], from: [40] };
    const [out, back] = linesOf(scene, list, arrows, size);
    expect(out?.from.y).toBe(50);
    expect(out?.to.y).toBe(90);
    expect(back?.to).toEqual(out?.from);
    // Row 40 is below what is shown.
    expect(back?.from.y).toBe(198);
    const folded = { ...scene, rows: Int32Array.of(0, 1) };
    const [hidden] = linesOf(folded, layoutList(folded, 0, 200), arrows, size);
    expect(hidden?.to.y).toBe(30);
  });

  it("knows what is under the pointer", () => {
    const top = layoutList(scene, 0, 200);
    expect(hitTest(scene, top, { x: 16, y: 5 }, 400)).toEqual({
      row: 0,
      part: "caret",
      isPinned: false,
    });
    expect(hitTest(scene, top, { x: 60, y: 25 }, 400)).toEqual({
      row: 1,
      part: "name",
      isPinned: false,
    });
    expect(hitTest(scene, top, { x: 300, y: 45 }, 400)).toEqual({
      row: 2,
      part: "bar",
      isPinned: false,
    });
    const scrolled = layoutList(scene, 200, 200);
    expect(hitTest(scene, scrolled, { x: 60, y: 5 }, 400)).toMatchObject({
      row: 0,
      isPinned: true,
    });
    expect(hitTest(scene, scrolled, { x: 60, y: 25 }, 400)).toMatchObject({ row: 11 });
    expect(hitTest(scene, top, { x: 60, y: 5_000 }, 400)).toBeUndefined();
  });

  it("turns places into moments", () => {
    expect(timeAt(scene, 100, 400)).toBe(0);
    expect(timeAt(scene, 250, 400)).toBe(50);
  });

  it("scales the scroll bar only when it must", () => {
    expect(scrollScale(scene, 200)).toBe(1);
    const huge = { ...scene, rows: new Int32Array(1_000_000) };
    expect(scrollHeight(huge)).toBe(8_000_000);
    expect(scrollScale(huge, 200)).toBeGreaterThan(2);
  });
});
