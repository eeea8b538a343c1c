// Traces by time and duration; a click opens one. The list below it says the same in words.

import { memo, useRef } from "react";
import { clock, duration } from "../base/format";
import { epochMicros, micros, type Zone } from "../base/time";
import { decades, extentOf, lengthShare, radiusOf, timeShare } from "../model/plot";
import { nameOf, type TraceSummary } from "../model/summary";
import { useWidth } from "./use-width";

const HEIGHT = 148;
const PAD = { left: 62, right: 16, top: 10, bottom: 22 };

export const Scatter = memo(function Scatter(props: {
  readonly traces: readonly TraceSummary[];
  readonly zone: Zone;
  readonly hovered: string | undefined;
  readonly onHover: (traceId: string | undefined) => void;
  readonly onOpen: (traceId: string) => void;
}) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  return (
    <div ref={box} className="scatter" aria-hidden="true">
      {width > 0 && props.traces.length > 0 && <Plot {...props} width={width} />}
    </div>
  );
});

function Plot(props: Parameters<typeof Scatter>[0] & { readonly width: number }) {
  const { traces, width, zone } = props;
  const extent = extentOf(traces);
  const room = { x: width - PAD.left - PAD.right, y: HEIGHT - PAD.top - PAD.bottom };
  const x = (time: number) => PAD.left + timeShare(extent, time) * room.x;
  const y = (length: number) => PAD.top + (1 - lengthShare(extent, length)) * room.y;
  const labels = Math.max(2, Math.min(7, Math.floor(room.x / 150)));
  const isShort = extent.timeMax - extent.timeMin < labels * 1_500_000;
  const times = Array.from({ length: labels }, (_, index) => {
    const share = (index + 0.5) / labels;
    return extent.timeMin + share * (extent.timeMax - extent.timeMin);
  });
  return (
    <svg width={width} height={HEIGHT} aria-hidden="true">
      {decades(extent).map((each) => (
        <g key={each}>
          <line className="grid" x1={PAD.left} x2={width - PAD.right} y1={y(each)} y2={y(each)} />
          <text className="axis" x={PAD.left - 8} y={y(each) + 3.5} textAnchor="end">
            {duration(micros(each))}
          </text>
        </g>
      ))}
      {times.map((time) => (
        <text key={time} className="axis" x={x(time)} y={HEIGHT - 5} textAnchor="middle">
          {clock(epochMicros(time), zone).slice(0, isShort ? 12 : 8)}
        </text>
      ))}
      {traces.map((trace) => (
        // biome-ignore lint/a11y/noStaticElementInteractions: the list below has the same links.
        <circle
          key={trace.traceId}
          className={trace.errors > 0 ? "dot failed" : "dot"}
          data-hovered={props.hovered === trace.traceId}
          cx={x(trace.start)}
          cy={y(trace.duration)}
          r={radiusOf(trace)}
          onMouseEnter={() => props.onHover(trace.traceId)}
          onMouseLeave={() => props.onHover(undefined)}
          onClick={() => props.onOpen(trace.traceId)}
        >
          <title>{`${nameOf(trace)}\n${duration(trace.duration)}, ${trace.spans} spans`}</title>
        </circle>
      ))}
    </svg>
  );
}
