// A strip beside the scroll bar: all rows at once, with the time that they take, errors, matches and
// the selected span. A click leads there.

import { type RefObject, useEffect, useMemo, useRef } from "react";
import { fitCanvas } from "../timeline/canvas";
import { cancelDraw, requestDraw } from "../timeline/frames";
import { scrollScale, topOf } from "../timeline/layout";
import type { Scene } from "../timeline/scene";
import { drawStrip, indexInStrip, stripOf } from "../timeline/strip";
import { usePalette } from "./use-palette";

const WIDTH = 10;

export function RowStrip(props: {
  readonly scene: Scene;
  readonly height: number;
  readonly scroller: RefObject<HTMLDivElement | null>;
}) {
  const { scene, height, scroller } = props;
  const { trace, rows, collapsed, matches, selected, rowHeight } = scene;
  const canvas = useRef<HTMLCanvasElement>(null);
  const palette = usePalette(canvas);
  // biome-ignore lint/correctness/useExhaustiveDependencies: of the scene, no more than these.
  const strip = useMemo(
    () => stripOf(scene, height),
    [trace, rows, collapsed, matches, selected, rowHeight, height],
  );
  useEffect(() => {
    const draw = () => {
      const context = canvas.current?.getContext("2d");
      if (!context || !canvas.current || palette === undefined || height === 0) return;
      fitCanvas(canvas.current, { width: WIDTH, height });
      drawStrip(context, strip, palette, { width: WIDTH, height });
    };
    requestDraw(draw);
    return () => cancelDraw(draw);
  }, [strip, palette, height]);
  return (
    <div
      className="row-strip"
      aria-hidden="true"
      title="Time in rows, errors (right), matches (left)"
      onPointerDown={(event) => {
        const box = scroller.current;
        if (box === null) return;
        const y = event.clientY - event.currentTarget.getBoundingClientRect().top;
        const top = topOf(scene, indexInStrip(scene, y, height)) - height / 2;
        box.scrollTop = Math.max(0, top) / scrollScale(scene, height);
      }}
    >
      <canvas ref={canvas} style={{ width: WIDTH, height }} />
    </div>
  );
}
