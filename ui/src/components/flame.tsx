// The flame graph: the same window of time, selection and colours as the waterfall.

import {
  type MouseEvent,
  type PointerEvent,
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { duration, plural } from "../base/format";
import { layoutFlame } from "../model/flame";
import { lengthOf, operationOf, serviceOf } from "../model/trace";
import type { TraceView } from "../state/trace-view";
import { fitCanvas } from "../timeline/canvas";
import { drawFlame, type FlameFrame, flameHit, LANE_HEIGHT } from "../timeline/flame";
import { cancelDraw, requestDraw } from "../timeline/frames";
import { useBoxSize } from "./box";
import { usePalette } from "./use-palette";
import { useScene } from "./use-scene";

export function Flame(props: { readonly view: TraceView }) {
  const { view } = props;
  const scene = useScene(view);
  const flame = useMemo(() => layoutFlame(view.trace), [view]);
  const scroller = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const palette = usePalette(scroller);
  const size = useBoxSize(scroller);
  const [hovered, setHovered] = useState(-1);
  const latest = useRef<FlameFrame | undefined>(undefined);
  latest.current = palette && {
    scene,
    flame,
    hovered,
    palette,
    size,
    scrollTop: scroller.current?.scrollTop ?? 0,
  };
  const draw = useCallback(() => {
    const context = canvas.current?.getContext("2d", { alpha: false });
    const frame = latest.current;
    if (!context || !canvas.current || frame === undefined) return;
    fitCanvas(canvas.current, frame.size);
    drawFlame(context, { ...frame, scrollTop: scroller.current?.scrollTop ?? 0 });
  }, []);
  useEffect(() => {
    requestDraw(draw);
  });
  useEffect(() => () => cancelDraw(draw), [draw]);
  useFlameWheel(scroller, view);
  const pointer = useFlamePointer(view, latest, setHovered);
  return (
    <div className="flame">
      <section
        ref={scroller}
        className="flame-scroll"
        aria-label={`Flame graph of ${plural(view.trace.count, "span")}; the timeline lists them`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolled region needs the keyboard.
        tabIndex={0}
        onScroll={() => requestDraw(draw)}
        {...pointer}
      >
        <div style={{ height: flame.lanes * LANE_HEIGHT }} className="flame-space">
          <canvas ref={canvas} style={{ width: size.width, height: size.height }} />
        </div>
      </section>
      <p className="flame-foot" aria-hidden="true">
        {hovered >= 0 && (
          <>
            <strong>{serviceOf(view.trace, hovered)}</strong> {operationOf(view.trace, hovered)}
            <span className="faint"> {duration(lengthOf(view.trace, hovered))}</span>
          </>
        )}
        {hovered < 0 && (
          <span className="faint">
            Click selects, double click zooms, Ctrl with the wheel zooms
          </span>
        )}
      </p>
    </div>
  );
}

function useFlameWheel(scroller: React.RefObject<HTMLElement | null>, view: TraceView): void {
  useEffect(() => {
    const box = scroller.current;
    if (!box) return;
    const onWheel = (event: WheelEvent) => {
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        const { left, width } = box.getBoundingClientRect();
        view.zoom(Math.exp(event.deltaY * 0.004), (event.clientX - left) / width);
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        view.pan((event.deltaX || event.deltaY) / box.clientWidth);
      }
    };
    box.addEventListener("wheel", onWheel, { passive: false });
    return () => box.removeEventListener("wheel", onWheel);
  }, [scroller, view]);
}

function useFlamePointer(
  view: TraceView,
  latest: React.RefObject<FlameFrame | undefined>,
  setHovered: (row: number) => void,
) {
  const drag = useRef<{ x: number; moved: boolean } | null>(null);
  const rowAt = (event: MouseEvent<HTMLElement>) => {
    const { left, top } = event.currentTarget.getBoundingClientRect();
    const frame = latest.current;
    if (frame === undefined) return -1;
    const scrollTop = event.currentTarget.scrollTop;
    return flameHit({ ...frame, scrollTop }, { x: event.clientX - left, y: event.clientY - top });
  };
  return {
    onPointerMove: (event: PointerEvent<HTMLElement>) => {
      const held = drag.current;
      if (held === null) {
        setHovered(rowAt(event));
      } else if (held.moved || Math.abs(event.clientX - held.x) > 4) {
        view.pan((held.x - event.clientX) / event.currentTarget.clientWidth);
        drag.current = { x: event.clientX, moved: true };
      }
    },
    onPointerLeave: () => setHovered(-1),
    onPointerDown: (event: PointerEvent<HTMLElement>) => {
      if (event.button !== 0 || event.nativeEvent.offsetX > event.currentTarget.clientWidth) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      drag.current = { x: event.clientX, moved: false };
    },
    onPointerUp: (event: PointerEvent<HTMLElement>) => {
      const held = drag.current;
      drag.current = null;
      if (held === null || held.moved) return;
      view.select(rowAt(event));
    },
    onDoubleClick: () => view.zoomToSelected(),
  };
}
