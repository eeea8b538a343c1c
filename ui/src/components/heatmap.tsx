// Spans by start and duration: how many in each cell, where some failed, and a rectangle to draw
// around what matters. The fields of the form say the same in text.

import { type PointerEvent, useLayoutEffect, useRef, useState } from "react";
import { HEAT_SHADES } from "../base/color";
import { clock, count, dayAndClock, duration, isOverDays, plural } from "../base/format";
import { epochMicros, micros, type Zone } from "../base/time";
import { bucketStart, type HeatCell, type Heatmap } from "../model/figures";
import { type Brush, brushOf, cellsOf, gridOf, type HeatGrid, shadeOf } from "../model/heat";
import type { TimeSpan } from "../model/search-query";
import { fitCanvas } from "../timeline/canvas";
import { usePalette } from "./use-palette";
import { useWidth } from "./use-width";

const HEIGHT = 148;
const PAD = { left: 62, right: 16, top: 8, bottom: 22 };
const ROOM_Y = HEIGHT - PAD.top - PAD.bottom;

interface Cell {
  readonly column: number;
  /** From the lowest. */
  readonly row: number;
}

export function HeatmapPlot(props: {
  readonly heatmap: Heatmap;
  readonly window: TimeSpan;
  readonly zone: Zone;
  readonly label: string;
  /** A rectangle that stays marked. */
  readonly marked: Brush | undefined;
  /** With Shift, the rectangle is to be compared with the rest. */
  readonly onBrush: (brush: Brush, isCompared: boolean) => void;
}) {
  const { heatmap, zone } = props;
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(box);
  const palette = usePalette(box);
  const grid = gridOf(heatmap, props.window);
  const room = Math.max(width - PAD.left - PAD.right, 1);
  const cellWidth = room / grid.columns;
  const cellHeight = ROOM_Y / grid.rows;
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || !canvas.current || palette === undefined || width === 0) return;
    fitCanvas(canvas.current, { width: room, height: ROOM_Y });
    context.clearRect(0, 0, room, ROOM_Y);
    for (const cell of heatmap.cells) {
      const x = cell.bin * cellWidth;
      const y = (grid.rows - 1 - (cell.bucket - grid.bucketMin)) * cellHeight;
      const [w, h] = [Math.max(cellWidth - 0.5, 1), Math.max(cellHeight - 1, 1)];
      context.fillStyle = palette.heat[shadeOf(cell, grid.most)] ?? palette.accent;
      context.fillRect(x, y, w, h);
      if (cell.errors === 0) continue;
      // A mark of its own beside the colour, as high as the share that failed.
      context.fillStyle = palette.error;
      const failed = Math.max(2, h * Math.min(1, cell.errors / cell.spans) * 0.5);
      context.fillRect(x, y + h - failed, w, failed);
    }
  }, [heatmap, grid.rows, grid.bucketMin, grid.most, room, cellWidth, cellHeight, palette, width]);
  const [hovered, setHovered] = useState<Cell | undefined>();
  const [from, setFrom] = useState<Cell | undefined>();
  const cellAt = (event: PointerEvent<HTMLElement>): Cell => {
    const area = event.currentTarget.getBoundingClientRect();
    const column = Math.floor((event.clientX - area.left) / cellWidth);
    const row = grid.rows - 1 - Math.floor((event.clientY - area.top) / cellHeight);
    return {
      column: Math.min(Math.max(column, 0), grid.columns - 1),
      row: Math.min(Math.max(row, 0), grid.rows - 1),
    };
  };
  const finish = (event: PointerEvent<HTMLElement>) => {
    if (from !== undefined && hovered !== undefined) {
      props.onBrush(brushOf(heatmap, grid, from, hovered), event.shiftKey);
    }
    setFrom(undefined);
  };
  const marked = props.marked && cellsOf(heatmap, grid, props.marked);
  const rectangle = hovered && boxOf(from ?? hovered, hovered, grid, cellWidth, cellHeight);
  return (
    <div
      ref={box}
      className="heatmap"
      style={{ height: HEIGHT }}
      role="img"
      aria-label={props.label}
    >
      {width > 0 && (
        <>
          <Axes {...props} grid={grid} room={room} width={width} />
          <div
            className="heatmap-cells"
            style={{ left: PAD.left, top: PAD.top, width: room, height: ROOM_Y }}
            onPointerDown={(event) => {
              event.currentTarget.setPointerCapture(event.pointerId);
              setFrom(cellAt(event));
            }}
            onPointerMove={(event) => setHovered(cellAt(event))}
            onPointerUp={finish}
            onPointerCancel={() => setFrom(undefined)}
            onPointerLeave={() => setHovered(undefined)}
          >
            <canvas ref={canvas} style={{ width: room, height: ROOM_Y }} />
            {marked && (
              <span
                className="heatmap-brush marked"
                style={boxOf(marked.from, marked.to, grid, cellWidth, cellHeight)}
              />
            )}
            {rectangle && <span className="heatmap-brush" style={rectangle} />}
            {hovered && (
              <Tip heatmap={heatmap} grid={grid} cell={hovered} cellWidth={cellWidth} zone={zone} />
            )}
          </div>
        </>
      )}
    </div>
  );
}

function boxOf(from: Cell, to: Cell, grid: HeatGrid, cellWidth: number, cellHeight: number) {
  const [left, right] = [Math.min(from.column, to.column), Math.max(from.column, to.column)];
  const [low, high] = [Math.min(from.row, to.row), Math.max(from.row, to.row)];
  return {
    left: left * cellWidth,
    width: (right - left + 1) * cellWidth,
    top: (grid.rows - 1 - high) * cellHeight,
    height: (high - low + 1) * cellHeight,
  };
}

function Axes(props: {
  readonly heatmap: Heatmap;
  readonly window: TimeSpan;
  readonly zone: Zone;
  readonly grid: HeatGrid;
  readonly room: number;
  readonly width: number;
}) {
  const { grid, room, window } = props;
  const rowHeight = ROOM_Y / grid.rows;
  // A label for each row that is not closer than a line of text to the one before.
  const every = Math.max(1, Math.ceil(22 / rowHeight));
  const rows = Array.from({ length: Math.ceil(grid.rows / every) }, (_, index) => index * every);
  const labels = Math.max(2, Math.min(7, Math.floor(room / 150)));
  const length = window.end - window.start;
  const digits = length < labels * 1_500_000 ? 12 : 8;
  return (
    <svg className="heatmap-axes" width={props.width} height={HEIGHT} aria-hidden="true">
      {rows.map((row) => {
        const y = PAD.top + ROOM_Y - row * rowHeight;
        return (
          <g key={row}>
            <line className="grid" x1={PAD.left} x2={PAD.left + room} y1={y} y2={y} />
            <text className="axis" x={PAD.left - 8} y={y + 3.5} textAnchor="end">
              {duration(micros(bucketStart(grid.bucketMin + row)))}
            </text>
          </g>
        );
      })}
      {Array.from({ length: labels }, (_, index) => {
        const share = (index + 0.5) / labels;
        const time = epochMicros(window.start + share * length);
        return (
          <text
            key={share}
            className="axis"
            x={PAD.left + share * room}
            y={HEIGHT - 5}
            textAnchor="middle"
          >
            {isOverDays(micros(length))
              ? dayAndClock(time, props.zone)
              : clock(time, props.zone).slice(0, digits)}
          </text>
        );
      })}
    </svg>
  );
}

function Tip(props: {
  readonly heatmap: Heatmap;
  readonly grid: HeatGrid;
  readonly cell: Cell;
  readonly cellWidth: number;
  readonly zone: Zone;
}) {
  const { heatmap, grid, cell, zone } = props;
  const found: HeatCell | undefined = heatmap.cells.find(
    (each) => each.bin === cell.column && each.bucket === grid.bucketMin + cell.row,
  );
  const low = bucketStart(grid.bucketMin + cell.row);
  const high = bucketStart(grid.bucketMin + cell.row + 1);
  const time = epochMicros(heatmap.start + cell.column * heatmap.step);
  const isRight = cell.column > grid.columns / 2;
  const at = (cell.column + (isRight ? 0 : 1)) * props.cellWidth;
  return (
    <span className="heatmap-tip" data-right={isRight} style={{ left: at }}>
      <strong>{plural(found?.spans ?? 0, "span")}</strong>
      {found !== undefined && found.errors > 0 && (
        <span className="failed">, {count(found.errors)} failed</span>
      )}
      <br />
      {clock(time, zone).slice(0, 8)}, {duration(micros(low))} – {duration(micros(high))}
    </span>
  );
}

const SHADES = Array.from({ length: HEAT_SHADES }, (_, shade) => shade);

/** What the shades mean, from few to many. */
export function HeatLegend(props: { readonly most: number }) {
  return (
    <span className="heat-legend faint">
      1
      <span className="shades" aria-hidden="true">
        {SHADES.map((shade) => (
          <span key={shade} className={`shade-${shade}`} />
        ))}
      </span>
      {plural(props.most, "span")} <span className="failed-mark" aria-hidden="true" /> failed
    </span>
  );
}
