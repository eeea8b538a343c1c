// A canvas as large as its box and as fine as the screen.

import type { Size } from "./renderer";

/** Fits the canvas to its box; true if that changed its size, which also clears it. */
export function fitCanvas(canvas: HTMLCanvasElement, size: Size): boolean {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(size.width * ratio));
  const height = Math.max(1, Math.round(size.height * ratio));
  const changed = canvas.width !== width || canvas.height !== height;
  if (changed) {
    canvas.width = width;
    canvas.height = height;
  }
  canvas.getContext("2d")?.setTransform(ratio, 0, 0, ratio, 0, 0);
  return changed;
}
