// The strip above the waterfall: the whole trace, and which part of its time is below.

import { type PointerEvent, useEffect, useMemo, useRef, useState } from "react";
import { rulerTime } from "../base/format";
import { micros } from "../base/time";
import { useStore } from "../state/store";
import type { TraceView } from "../state/trace-view";
import { fitCanvas } from "../timeline/canvas";
import { cancelDraw, requestDraw } from "../timeline/frames";
import { drawMinimap } from "../timeline/minimap";
import type { Scene } from "../timeline/scene";
import { isWhole, ticks, whole } from "../timeline/viewport";
import { usePalette } from "./use-palette";
import { useWidth } from "./use-width";

const HEIGHT = 72;
/** Pixels around an edge of the window in which it can be taken. */
const GRIP = 6;

type Grab = "start" | "end" | "middle" | "new";

export function Minimap(props: { readonly view: TraceView }) {
  const { view } = props;
  const { window: shown, matches } = useStore(view.store);
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(box);
  const palette = usePalette(box);
  const scene = useMemo<Scene>(() => ({ ...sceneOf(view), matches }), [view, matches]);
  useEffect(() => {
    const draw = () => {
      const context = canvas.current?.getContext("2d");
      if (!context || !canvas.current || palette === undefined || width === 0) return;
      fitCanvas(canvas.current, { width, height: HEIGHT });
      drawMinimap(context, scene, palette, { width, height: HEIGHT });
    };
    requestDraw(draw);
    return () => cancelDraw(draw);
  }, [scene, palette, width]);
  const drag = useWindowDrag(view, width);
  const total = Math.max(view.trace.duration, 1);
  const marks = ticks(whole(view.trace.duration), 6);
  const step = micros((marks[1] ?? total) - (marks[0] ?? 0));
  const left = (shown.start / total) * 100;
  const right = (shown.end / total) * 100;
  const full = isWhole(shown, view.trace.duration);
  return (
    <div className="minimap" aria-hidden="true">
      <div className="minimap-times">
        {marks.map((tick) =>
          tick / total > 0.95 ? null : (
            <span key={tick} style={{ left: `${(tick / total) * 100}%` }}>
              {rulerTime(tick, step)}
            </span>
          ),
        )}
      </div>
      <div ref={box} className="minimap-box" style={{ height: HEIGHT }} {...drag}>
        <canvas ref={canvas} style={{ width, height: HEIGHT }} />
        {!full && (
          <>
            <div className="veil" style={{ left: 0, width: `${left}%` }} />
            <div className="veil" style={{ left: `${right}%`, right: 0 }} />
            <div className="grip" style={{ left: `${left}%` }} />
            <div className="grip" style={{ left: `${right}%` }} />
          </>
        )}
      </div>
    </div>
  );
}

function sceneOf(view: TraceView): Scene {
  const { rows, collapsed, window } = view.state;
  return {
    trace: view.trace,
    rows,
    collapsed,
    runs: null,
    colorOfService: view.colorOfService,
    window,
    criticalPath: null,
    events: null,
    matches: null,
    selected: -1,
    rowHeight: 1,
    gap: null,
    namesShare: 0,
  };
}

/** Edges resize the window, its middle moves it, and a drag elsewhere makes a new one. */
function useWindowDrag(view: TraceView, width: number) {
  const [grab, setGrab] = useState<{ what: Grab; from: number } | null>(null);
  const total = view.trace.duration;
  const timeOf = (event: PointerEvent<HTMLElement>) => {
    const x = event.clientX - event.currentTarget.getBoundingClientRect().left;
    return (Math.min(Math.max(x, 0), width) / Math.max(width, 1)) * total;
  };
  return {
    onPointerDown: (event: PointerEvent<HTMLElement>) => {
      event.currentTarget.setPointerCapture(event.pointerId);
      const time = timeOf(event);
      const { start, end } = view.state.window;
      const grip = (GRIP / Math.max(width, 1)) * total;
      const full = isWhole(view.state.window, total);
      const what: Grab = full
        ? "new"
        : Math.abs(time - start) < grip
          ? "start"
          : Math.abs(time - end) < grip
            ? "end"
            : time > start && time < end
              ? "middle"
              : "new";
      setGrab({ what, from: time });
    },
    onPointerMove: (event: PointerEvent<HTMLElement>) => {
      if (grab === null) return;
      const time = timeOf(event);
      const { start, end } = view.state.window;
      if (grab.what === "middle") {
        view.pan((time - grab.from) / (end - start));
        setGrab({ ...grab, from: time });
      } else if (grab.what === "start") {
        view.setWindow({ start: micros(Math.min(time, end)), end });
      } else if (grab.what === "end") {
        view.setWindow({ start, end: micros(Math.max(time, start)) });
      } else if (Math.abs(time - grab.from) > total / Math.max(width, 1)) {
        const [low, high] = [Math.min(time, grab.from), Math.max(time, grab.from)];
        view.setWindow({ start: micros(low), end: micros(high) });
      }
    },
    onPointerUp: () => setGrab(null),
    onDoubleClick: () => view.resetWindow(),
  };
}
