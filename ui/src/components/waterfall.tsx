// The waterfall: a canvas that is drawn when something changed, inside a scrolled box, with a
// tree grid of the rows on the screen for readers and tests.

import {
  type ReactNode,
  type RefObject,
  useCallback,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { duration, plural, rulerTime } from "../base/format";
import { micros } from "../base/time";
import { indexOfRow } from "../model/rows";
import { Flag, hasFlag, lengthOf, operationOf, serviceOf } from "../model/trace";
import { changeSettings } from "../state/settings";
import { useStore } from "../state/store";
import type { TraceView } from "../state/trace-view";
import type { Arrows } from "../timeline/arrows";
import { fitCanvas } from "../timeline/canvas";
import { cancelDraw, requestDraw } from "../timeline/frames";
import {
  type Hit,
  hitTest,
  type ListLayout,
  layoutList,
  rowTop,
  scrollHeight,
  scrollScale,
  timeAt,
  topOf,
} from "../timeline/layout";
import type { Palette } from "../timeline/palette";
import { drawTimeline, type Size, tickCount } from "../timeline/renderer";
import { runAt, type Scene } from "../timeline/scene";
import { ticks } from "../timeline/viewport";
import { useBoxSize } from "./box";
import { later } from "./later";
import { useArrows } from "./use-arrows";
import { usePalette } from "./use-palette";
import { useScene } from "./use-scene";

// The rows come first.
const RowStrip = later(async () => (await import("./strip")).RowStrip);

/** The tree grid follows the scrolled rows once they rest for this long. */
const MIRROR_MILLIS = 60;
/** Pixels. */
const NAMES_WIDTH_MIN = 240;

/** Pixels of the details below a row, where there is room. */
const GAP_HEIGHT = 320;

/** `detail` is shown below the selected row. */
export function Waterfall(props: { readonly view: TraceView; readonly detail?: ReactNode }) {
  const { view } = props;
  const state = useStore(view.store);
  const hasDetail = props.detail !== undefined;
  const below = useRef<HTMLDivElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const palette = usePalette(scroller);
  const size = useBoxSize(scroller);
  const shared = useScene(view);
  const scene = useMemo<Scene>(() => {
    // Names need room to be read, however narrow the page is.
    const least = Math.min(NAMES_WIDTH_MIN / Math.max(size.width, 1), 0.5);
    const after = hasDetail ? indexOfRow(shared.rows, shared.selected) : -1;
    const height = Math.min(GAP_HEIGHT, Math.round(size.height * 0.6));
    const gap = after < 0 ? null : { after, height };
    return { ...shared, gap, namesShare: Math.max(shared.namesShare, least) };
  }, [shared, size, hasDetail]);
  const surface = useSurface(scroller, canvas, below, scene, palette, size);
  useRevealed(scroller, scene, state.revealed, size);
  useWheel(scroller, view, scene, size);
  const links = useArrows(view, surface.point);
  const pointer = usePointer(view, scene, surface, links, size);
  const gridId = useId();
  return (
    <div className="waterfall">
      <Ruler scene={scene} view={view} width={size.width} />
      <div
        ref={scroller}
        className="waterfall-scroll"
        role="treegrid"
        aria-label="Spans"
        aria-rowcount={state.rows.length}
        aria-activedescendant={state.selected >= 0 ? `${gridId}-${state.selected}` : undefined}
        tabIndex={0}
        onScroll={surface.redraw}
        onPointerMove={pointer.move}
        onPointerLeave={pointer.leave}
        onPointerDown={pointer.down}
        onPointerUp={pointer.up}
        onDoubleClick={pointer.doubleClick}
      >
        <div className="waterfall-space" style={{ height: scrollHeight(scene) }} aria-hidden="true">
          <canvas ref={canvas} style={{ width: size.width, height: size.height }} />
        </div>
        <Mirror id={gridId} scene={scene} list={surface.mirrored} />
      </div>
      <RowStrip scene={scene} height={size.height} scroller={scroller} />
      {scene.gap !== null && (
        <div ref={below} className="below-row" style={{ height: scene.gap.height }}>
          {props.detail}
        </div>
      )}
    </div>
  );
}

/** The rows on the screen as elements: what a reader speaks and a test looks for. */
function Mirror(props: {
  readonly id: string;
  readonly scene: Scene;
  readonly list: ListLayout | undefined;
}) {
  const { scene, list } = props;
  if (list === undefined) return null;
  const rows = [...scene.rows.subarray(list.first, list.end)];
  const shown = new Set([...rows, ...(scene.selected >= 0 ? [scene.selected] : [])]);
  return (
    <div className="visually-hidden" role="rowgroup">
      {[...shown].map((row) => {
        const hasChildren = (scene.trace.descendants[row] ?? 0) > 0;
        const run = runAt(scene, row);
        return (
          <div
            key={row}
            id={`${props.id}-${row}`}
            role="row"
            tabIndex={-1}
            aria-level={(scene.trace.depth[row] ?? 0) + 1}
            aria-rowindex={indexOfRow(scene.rows, row) + 1}
            aria-selected={row === scene.selected}
            aria-expanded={
              run !== undefined ? false : hasChildren ? scene.collapsed[row] !== 1 : undefined
            }
          >
            <span role="gridcell">{serviceOf(scene.trace, row)}</span>
            <span role="gridcell">{operationOf(scene.trace, row)}</span>
            <span role="gridcell">
              {run === undefined
                ? duration(lengthOf(scene.trace, row))
                : `${run.members} times, p95 ${duration(micros(run.p95))}`}
              {run?.hasErrors || hasFlag(scene.trace, row, Flag.error) ? ", failed" : ""}
            </span>
          </div>
        );
      })}
    </div>
  );
}

interface Surface {
  /** What the last frame drew. */
  readonly list: () => ListLayout | undefined;
  /** The same for the tree grid, once it rests. */
  readonly mirrored: ListLayout | undefined;
  readonly hover: (row: number) => void;
  readonly point: (arrows: Arrows | null) => void;
  readonly redraw: () => void;
}

/** Draws the scene whenever it, the size, the scroll position or the hovered row changes. */
function useSurface(
  scroller: RefObject<HTMLDivElement | null>,
  canvas: RefObject<HTMLCanvasElement | null>,
  below: RefObject<HTMLDivElement | null>,
  scene: Scene,
  palette: Palette | undefined,
  size: Size,
): Surface {
  const [mirrored, setMirrored] = useState<ListLayout | undefined>();
  const drawn = useRef<ListLayout | undefined>(undefined);
  const hovered = useRef(-1);
  const arrows = useRef<Arrows | null>(null);
  const latest = useRef({ scene, palette, size });
  latest.current = { scene, palette, size };
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const draw = useCallback(() => {
    const { scene, palette, size } = latest.current;
    const context = canvas.current?.getContext("2d", { alpha: false });
    if (!context || !canvas.current || !scroller.current || palette === undefined) return;
    fitCanvas(canvas.current, size);
    const scrollTop = scroller.current.scrollTop * scrollScale(scene, size.height);
    const list = layoutList(scene, scrollTop, size.height);
    drawTimeline(context, {
      ...{ scene, list, palette, size },
      hovered: hovered.current,
      arrows: arrows.current,
    });
    if (below.current !== null) placeBelow(below.current, scene, list, size);
    const isFirst = drawn.current === undefined;
    drawn.current = list;
    clearTimeout(timer.current);
    if (isFirst) {
      performance.clearMarks("trace drawn");
      performance.mark("trace drawn");
      setMirrored(list);
    } else timer.current = setTimeout(() => setMirrored(list), MIRROR_MILLIS);
  }, [canvas, below, scroller]);
  const redraw = useCallback(() => requestDraw(draw), [draw]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each of these changes the picture.
  useLayoutEffect(() => {
    // The first picture does not wait for another frame.
    if (drawn.current === undefined && size.height > 0) draw();
    else redraw();
  }, [draw, redraw, scene, palette, size]);
  useEffect(
    () => () => {
      cancelDraw(draw);
      clearTimeout(timer.current);
    },
    [draw],
  );
  const hover = useCallback(
    (row: number) => {
      if (hovered.current === row) return;
      hovered.current = row;
      redraw();
    },
    [redraw],
  );
  const point = useCallback(
    (next: Arrows | null) => {
      if (arrows.current === next) return;
      arrows.current = next;
      redraw();
    },
    [redraw],
  );
  return { list: () => drawn.current, mirrored, hover, point, redraw };
}

/** Moves the details with their row; under the pinned rows and beyond the edges they are hidden. */
function placeBelow(box: HTMLElement, scene: Scene, list: ListLayout, size: Size): void {
  const { gap, rowHeight } = scene;
  if (gap === null) return;
  const top = rowTop(scene, list, gap.after) + rowHeight;
  const pinned = list.pinned.length * rowHeight;
  const isShown = top < size.height && top + gap.height > pinned;
  box.style.visibility = isShown ? "visible" : "hidden";
  box.style.transform = `translateY(${top}px)`;
  const [over, under] = [pinned - top, top + gap.height - size.height];
  box.style.clipPath = `inset(${Math.max(over, 0)}px 0 ${Math.max(under, 0)}px 0)`;
}

/** Scrolls as little as brings the selected row into view, clear of the pinned rows. */
function useRevealed(
  scroller: RefObject<HTMLDivElement | null>,
  scene: Scene,
  revealed: number,
  size: Size,
): void {
  const latest = useRef({ scene, size });
  latest.current = { scene, size };
  // biome-ignore lint/correctness/useExhaustiveDependencies: only a new selection scrolls.
  useEffect(() => {
    const { scene, size } = latest.current;
    const box = scroller.current;
    const index = indexOfRow(scene.rows, scene.selected);
    if (!box || index < 0 || size.height === 0) return;
    const scale = scrollScale(scene, size.height);
    const top = box.scrollTop * scale;
    const at = topOf(scene, index);
    const margin = scene.rowHeight * 6;
    const needed = margin / 2 + (scene.gap?.height ?? 0);
    if (at < top + margin) box.scrollTop = Math.max(0, at - margin) / scale;
    else if (at + needed > top + size.height) {
      box.scrollTop = (at + needed - size.height) / scale;
    }
  }, [scroller, revealed, size.height === 0]);
}

/** Wheel: with Ctrl or Cmd zooms at the pointer, sideways or with Shift pans; else it scrolls. */
function useWheel(
  scroller: RefObject<HTMLDivElement | null>,
  view: TraceView,
  scene: Scene,
  size: Size,
): void {
  const latest = useRef({ scene, size });
  latest.current = { scene, size };
  useEffect(() => {
    const box = scroller.current;
    if (!box) return;
    const onWheel = (event: WheelEvent) => {
      const { scene, size } = latest.current;
      const left = size.width * scene.namesShare;
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        const x = event.clientX - box.getBoundingClientRect().left;
        const share = Math.min(Math.max((x - left) / (size.width - left), 0), 1);
        return view.zoom(Math.exp(event.deltaY * 0.004), share);
      }
      const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
      if (Math.abs(sideways) > (event.shiftKey ? 0 : Math.abs(event.deltaY))) {
        event.preventDefault();
        return view.pan(sideways / (size.width - left));
      }
      const scale = scrollScale(scene, size.height);
      if (scale > 1) {
        event.preventDefault();
        box.scrollTop += event.deltaY / scale;
      }
    };
    box.addEventListener("wheel", onWheel, { passive: false });
    return () => box.removeEventListener("wheel", onWheel);
  }, [scroller, view]);
}

/** Clicks select and collapse; dragging the bars pans; the divider moves. */
function usePointer(
  view: TraceView,
  scene: Scene,
  surface: Surface,
  links: (row: number) => void,
  size: Size,
) {
  const hover = (row: number) => {
    surface.hover(row);
    links(row);
  };
  const drag = useRef<{ x: number; y: number; moved: boolean; divider: boolean } | null>(null);
  const pointOf = (event: React.PointerEvent | React.MouseEvent) => {
    const box = event.currentTarget.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const hitOf = (event: React.PointerEvent | React.MouseEvent): Hit | undefined => {
    const list = surface.list();
    return list && hitTest(scene, list, pointOf(event), size.width);
  };
  const isOnDivider = (x: number) => Math.abs(x - size.width * scene.namesShare) <= 4;
  return {
    move: (event: React.PointerEvent<HTMLDivElement>) => {
      const point = pointOf(event);
      const held = drag.current;
      if (held === null) {
        const hit = hitOf(event);
        hover(hit?.row ?? -1);
        const cursor = isOnDivider(point.x) ? "col-resize" : hit ? "pointer" : "default";
        event.currentTarget.style.cursor = cursor;
        return;
      }
      if (held.divider) {
        changeSettings({ namesShare: Math.min(Math.max(point.x / size.width, 0.12), 0.75) });
        return;
      }
      if (!held.moved && Math.abs(point.x - held.x) < 4) return;
      if (held.x > size.width * scene.namesShare) {
        view.pan((held.x - point.x) / (size.width * (1 - scene.namesShare)));
        drag.current = { ...held, x: point.x, moved: true };
      }
    },
    leave: () => hover(-1),
    down: (event: React.PointerEvent<HTMLDivElement>) => {
      if (event.button !== 0) return;
      const point = pointOf(event);
      // The scroll bar belongs to the browser.
      if (point.x > event.currentTarget.clientWidth) return;
      drag.current = { ...point, moved: false, divider: isOnDivider(point.x) };
      event.currentTarget.setPointerCapture(event.pointerId);
    },
    up: (event: React.PointerEvent<HTMLDivElement>) => {
      const held = drag.current;
      drag.current = null;
      if (held === null || held.moved || held.divider) return;
      const hit = hitOf(event);
      if (hit === undefined) return;
      if (hit.part === "caret") view.toggle(hit.row);
      else view.select(hit.row);
    },
    doubleClick: (event: React.MouseEvent<HTMLDivElement>) => {
      const hit = hitOf(event);
      if (hit?.part === "bar") view.zoomToSelected();
      else if (hit?.part === "name") view.toggle(hit.row);
    },
  };
}

/** The heads of the two columns: what is listed, and a ruler on which a drag zooms. */
function Ruler(props: { readonly scene: Scene; readonly view: TraceView; readonly width: number }) {
  const { scene, view, width } = props;
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  const left = width * scene.namesShare;
  const room = Math.max(width - left, 1);
  const marks = ticks(scene.window, tickCount(width, scene.namesShare));
  const step = micros((marks[1] ?? scene.window.end) - (marks[0] ?? 0));
  const share = (time: number) =>
    (time - scene.window.start) / (scene.window.end - scene.window.start);
  const xOf = (event: React.PointerEvent) =>
    Math.min(Math.max(event.clientX - event.currentTarget.getBoundingClientRect().left, 0), room);
  const finish = () => {
    if (drag !== null && Math.abs(drag.to - drag.from) > 4) {
      const [low, high] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
      view.setWindow({
        start: timeAt(scene, left + low, width),
        end: timeAt(scene, left + high, width),
      });
    }
    setDrag(null);
  };
  return (
    <div className="ruler">
      <div className="ruler-names" style={{ width: left }}>
        <span>Service and operation</span>
        <span className="faint">{plural(scene.rows.length, "row")}</span>
      </div>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: keys zoom too. */}
      <div
        className="ruler-times"
        title="Drag to zoom"
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          setDrag({ from: xOf(event), to: xOf(event) });
        }}
        onPointerMove={(event) => drag && setDrag({ ...drag, to: xOf(event) })}
        onPointerUp={finish}
        onDoubleClick={() => view.resetWindow()}
      >
        {marks.map((tick) => {
          const at = share(tick);
          return at > 0.94 ? null : (
            <span key={tick} style={{ left: `${at * 100}%` }}>
              {rulerTime(tick, step)}
            </span>
          );
        })}
        {drag && (
          <div
            className="ruler-drag"
            style={{ left: Math.min(drag.from, drag.to), width: Math.abs(drag.to - drag.from) }}
          />
        )}
      </div>
    </div>
  );
}
