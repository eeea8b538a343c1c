// A chart of lines over time. What it shows is said in words too, and a click leads to the spans.

import { useRef, useState } from "react";
import { Link } from "wouter";
import { clock, dayAndClock, isOverDays } from "../base/format";
import { epochMicros, micros, type Zone } from "../base/time";
import type { Line } from "../model/red";
import { useWidth } from "./use-width";

const HEIGHT = 150;
const PAD = { left: 58, right: 12, top: 12, bottom: 20 };

export interface ChartLine {
  readonly name: string;
  /** A class that gives the colour. */
  readonly look: string;
  readonly values: Line;
}

/** Something that was at a certain time, and where a click on it leads. */
export interface ChartMark {
  readonly at: number;
  readonly href: string;
  readonly title: string;
}

export function Chart(props: {
  readonly title: string;
  readonly lines: readonly ChartLine[];
  /** Microseconds since the epoch, and of one step. */
  readonly start: number;
  readonly step: number;
  readonly zone: Zone;
  readonly format: (value: number) => string;
  /** The scale reaches at least so far. */
  readonly least: number;
  readonly onPick: (from: number, to: number) => void;
  /** A row of marks along the upper edge. */
  readonly marks?: { readonly name: string; readonly entries: readonly ChartMark[] };
}) {
  const { lines, format, title, marks } = props;
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const [at, setAt] = useState<number | undefined>();
  const steps = Math.max(1, ...lines.map((line) => line.values.length));
  const values = lines.flatMap((line) => line.values.filter((value) => value !== undefined));
  const top = niceTop(Math.max(props.least, ...values));
  const room = { x: Math.max(width - PAD.left - PAD.right, 1), y: HEIGHT - PAD.top - PAD.bottom };
  const x = (index: number) => PAD.left + ((index + 0.5) / steps) * room.x;
  const y = (value: number) => PAD.top + (1 - value / top) * room.y;
  const timeOf = (index: number) => epochMicros(props.start + index * props.step);
  const labels = Math.max(2, Math.floor(room.x / 110));
  const isLong = isOverDays(micros(steps * props.step));
  const told = (index: number, digits: number) =>
    isLong
      ? dayAndClock(timeOf(index), props.zone)
      : clock(timeOf(index), props.zone).slice(0, digits);
  const most = values.length === 0 ? "no spans" : `at most ${format(Math.max(...values))}`;
  return (
    <figure className="chart panel">
      <figcaption>
        <strong>{title}</strong>
        {lines.length > 1 &&
          lines.map((line) => (
            <span key={line.name} className={`key ${line.look}`}>
              {line.name}
            </span>
          ))}
        <span className="spacer" />
        <span className="faint">
          {at === undefined
            ? most
            : `${told(at, 8)} · ${lines
                .map((line) => {
                  const value = line.values[at];
                  const shown = value === undefined ? "–" : format(value);
                  return lines.length > 1 ? `${line.name} ${shown}` : shown;
                })
                .join(", ")}`}
        </span>
      </figcaption>
      <div ref={box} className="chart-body">
        {width > 0 && marks !== undefined && marks.entries.length > 0 && (
          <ul className="chart-marks" aria-label={marks.name}>
            {marks.entries.map(({ at: time, href, title: text }) => {
              const share = (time - props.start) / props.step / steps;
              if (share < 0 || share > 1) return null;
              return (
                <li key={href} style={{ left: PAD.left + share * room.x }}>
                  <Link href={href} title={text} aria-label={text} />
                </li>
              );
            })}
          </ul>
        )}
        {width > 0 && (
          <svg
            width={width}
            height={HEIGHT}
            role="img"
            aria-label={`${title} over time, ${most}`}
            onPointerMove={(event) => {
              const left = event.currentTarget.getBoundingClientRect().left + PAD.left;
              const index = Math.floor(((event.clientX - left) / room.x) * steps);
              setAt(index >= 0 && index < steps ? index : undefined);
            }}
            onPointerLeave={() => setAt(undefined)}
            onPointerUp={() => {
              if (at !== undefined) props.onPick(timeOf(at), timeOf(at + 1));
            }}
          >
            {[0, 0.5, 1].map((share) => (
              <g key={share}>
                <line
                  className="grid"
                  x1={PAD.left}
                  x2={PAD.left + room.x}
                  y1={y(top * share)}
                  y2={y(top * share)}
                />
                <text className="axis" x={PAD.left - 8} y={y(top * share) + 3.5} textAnchor="end">
                  {format(top * share)}
                </text>
              </g>
            ))}
            {Array.from({ length: labels }, (_, index) => {
              const share = (index + 0.5) / labels;
              return (
                <text
                  key={share}
                  className="axis"
                  x={PAD.left + share * room.x}
                  y={HEIGHT - 4}
                  textAnchor="middle"
                >
                  {told(share * steps, 5)}
                </text>
              );
            })}
            {lines.map((line) => (
              <g key={line.name} className={`line ${line.look}`}>
                <path d={pathOf(line.values, x, y)} />
                {lonely(line.values).map((index) => (
                  <circle key={index} cx={x(index)} cy={y(line.values[index] ?? 0)} r={1.6} />
                ))}
              </g>
            ))}
            {at !== undefined && (
              <line className="cursor" x1={x(at)} x2={x(at)} y1={PAD.top} y2={PAD.top + room.y} />
            )}
          </svg>
        )}
      </div>
    </figure>
  );
}

/** A line for a table cell. */
export function Sparkline(props: {
  readonly values: Line;
  readonly look: string;
  /** Among many cells. */
  readonly isShort?: boolean;
}) {
  const [width, height] = [props.isShort ? 40 : 96, 20];
  const top = Math.max(1e-9, ...props.values.map((value) => value ?? 0));
  const steps = Math.max(1, props.values.length - 1);
  const path = pathOf(
    props.values,
    (index) => 1 + (index / steps) * (width - 2),
    (value) => height - 2 - (value / top) * (height - 4),
  );
  return (
    <svg
      className={`sparkline line ${props.look}`}
      width={width}
      height={height}
      aria-hidden="true"
    >
      <path d={path} />
    </svg>
  );
}

/** The line, broken where there is no value. */
function pathOf(values: Line, x: (index: number) => number, y: (value: number) => number): string {
  let isBroken = true;
  const parts: string[] = [];
  values.forEach((value, index) => {
    if (value !== undefined) {
      parts.push(`${isBroken ? "M" : "L"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`);
    }
    isBroken = value === undefined;
  });
  return parts.join("");
}

/** Values with none beside them, which a line would not show. */
function lonely(values: Line): number[] {
  return [...values.keys()].filter(
    (index) =>
      values[index] !== undefined &&
      values[index - 1] === undefined &&
      values[index + 1] === undefined,
  );
}

/** The next of 1, 2 and 5 times a power of ten. */
function niceTop(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const found = [1, 2, 5, 10].find((each) => each * power >= value * 0.999) ?? 10;
  return found * power;
}
