// The traces that a search found, as rows of which only those on the screen exist.

import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef } from "react";
import { Link } from "wouter";
import type { ServiceColors } from "../../base/color";
import {
  ago,
  clock,
  count,
  day,
  duration,
  exactDuration,
  plural,
  timestamp,
} from "../../base/format";
import { type EpochMicros, type Micros, wallClock, type Zone } from "../../base/time";
import { Icon } from "../../components/icon";
import { SegmentBar } from "../../components/segment-bar";
import { swatchOf } from "../../components/service";
import type { TraceSummary } from "../../model/summary";
import { shortId } from "../../state/ui-config";
import "./results.css";

const ROW_HEIGHT = 46;

export function ResultList(props: {
  readonly traces: readonly TraceSummary[];
  readonly colors: ServiceColors;
  readonly zone: Zone;
  /** Where a trace is shown, with what it was found for. */
  readonly hrefOf: (trace: TraceSummary) => string;
  readonly hovered: string | undefined;
  readonly onHover: (traceId: string | undefined) => void;
  /** Ticked for a comparison. */
  readonly ticked: readonly string[];
  readonly onTick: (traceId: string) => void;
  readonly hasMore: boolean;
  readonly isRunning: boolean;
  readonly onMore: () => void;
  /** The list is looked at, and must not move. */
  readonly onHold?: (isHeld: boolean) => void;
}) {
  const scroller = useRef<HTMLDivElement>(null);
  const longest = props.traces.reduce((most, trace) => Math.max(most, trace.duration), 1) as Micros;
  const now = wallClock();
  const virtual = useVirtualizer({
    count: props.traces.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
  });
  return (
    <div
      className="results panel"
      onPointerEnter={() => props.onHold?.(true)}
      onPointerLeave={() => props.onHold?.((scroller.current?.scrollTop ?? 0) > 0)}
    >
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolled region needs the keyboard. */}
      <section ref={scroller} className="result-rows" tabIndex={0} aria-label="Traces found">
        <div className="result-head" aria-hidden="true">
          <span>Trace</span>
          <span>Services</span>
          <span className="num">Spans</span>
          <span className="num">Errors</span>
          <span>Duration</span>
          <span className="num">Start</span>
        </div>
        <ul style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const trace = props.traces[item.index];
            if (!trace) return null;
            return (
              <li
                key={trace.traceId}
                style={{ transform: `translateY(${item.start}px)` }}
                data-hovered={props.hovered === trace.traceId}
                onMouseEnter={() => props.onHover(trace.traceId)}
                onMouseLeave={() => props.onHover(undefined)}
              >
                <input
                  type="checkbox"
                  aria-label={`Compare trace ${shortId(trace.traceId)}`}
                  title="Compare"
                  checked={props.ticked.includes(trace.traceId)}
                  onChange={() => props.onTick(trace.traceId)}
                />
                <ResultRow
                  trace={trace}
                  href={props.hrefOf(trace)}
                  colors={props.colors}
                  zone={props.zone}
                  longest={longest}
                  now={now}
                />
              </li>
            );
          })}
        </ul>
        {props.hasMore && (
          <div className="load-more">
            <button
              type="button"
              className="button"
              disabled={props.isRunning}
              onClick={props.onMore}
            >
              {props.isRunning ? "Loading …" : "Load more"}
            </button>
          </div>
        )}
      </section>
    </div>
  );
}

function ResultRow(props: {
  readonly trace: TraceSummary;
  readonly href: string;
  readonly colors: ServiceColors;
  readonly zone: Zone;
  readonly longest: Micros;
  readonly now: EpochMicros;
}) {
  const { trace, colors, zone } = props;
  const hasRoot = trace.rootService !== "";
  const largest = [...trace.services].sort((left, right) => right.spans - left.spans)[0]?.name;
  const serviceShown = hasRoot ? trace.rootService : (largest ?? "unknown service");
  const isToday = day(trace.start, zone) === day(props.now, zone);
  return (
    <Link href={props.href} className="result">
      <span className="name">
        <span className="swatch" style={swatchOf(colors, serviceShown)} />
        <span className="texts">
          <span className="first">
            <strong>{serviceShown}</strong>{" "}
            {hasRoot ? (
              <span>{trace.rootOperation}</span>
            ) : (
              <span className="faint">root span not received</span>
            )}
          </span>
          <span className="second mono">{shortId(trace.traceId)}</span>
        </span>
      </span>
      <span className="who">
        <SegmentBar services={trace.services} colors={colors} />
        <span className="second">{whoOf(trace)}</span>
      </span>
      <span className="num">{count(trace.spans)}</span>
      <span className="num">
        {trace.errors > 0 ? (
          <span className="badge error" title={plural(trace.errors, "failed span")}>
            <Icon name="error" />
            {count(trace.errors)}
          </span>
        ) : (
          <span className="faint">–</span>
        )}
      </span>
      <span className="length" title={exactDuration(trace.duration)}>
        <span>{duration(trace.duration)}</span>
        <span className="meter">
          <span style={{ width: `${Math.max((100 * trace.duration) / props.longest, 0.7)}%` }} />
        </span>
      </span>
      <span className="num start" title={timestamp(trace.start, zone)}>
        <span>
          {isToday
            ? clock(trace.start, zone)
            : `${day(trace.start, zone).slice(5)} ${clock(trace.start, zone).slice(0, 8)}`}
        </span>
        <span className="second">{ago(trace.start, props.now)}</span>
      </span>
    </Link>
  );
}

function whoOf({ services }: TraceSummary): string {
  const names = [...services].sort((left, right) => right.spans - left.spans);
  if (names.length === 1) return names[0]?.name ?? "";
  return plural(services.length, "service");
}
