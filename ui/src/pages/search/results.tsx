// The traces that a search found, as a list with a colour and two lines for each.

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
import { useRows } from "../../components/use-rows";
import type { TraceSummary } from "../../model/summary";
import { shortId } from "../../state/ui-config";
import { type ResultColumn, ResultFrame, ResultHead } from "./frame";
import "./results.css";

const ROW_HEIGHT = 46;

/** What every form of the results shows and does. */
export interface ResultsProps {
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
}

const COLUMNS: readonly ResultColumn[] = [
  { name: "Trace" },
  { name: "Services" },
  { name: "Spans", isNumber: true },
  { name: "Errors", isNumber: true },
  { name: "Duration" },
  { name: "Start", isNumber: true },
];

export function ResultList(props: ResultsProps) {
  const rows = useRows(props.traces.length, ROW_HEIGHT);
  const { virtual } = rows;
  const longest = longestOf(props.traces);
  const now = wallClock();
  return (
    <ResultFrame of={props} rows={rows} label="Traces found">
      <ResultHead look="result" isTable={false} columns={COLUMNS} />
      <ul style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const trace = props.traces[item.index];
          if (!trace) return null;
          return (
            <li
              key={trace.traceId}
              data-row={item.index}
              style={{ transform: `translateY(${item.start}px)` }}
              data-hovered={props.hovered === trace.traceId}
              onMouseEnter={() => props.onHover(trace.traceId)}
              onMouseLeave={() => props.onHover(undefined)}
            >
              <Tick trace={trace} of={props} />
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
    </ResultFrame>
  );
}

export function longestOf(traces: readonly TraceSummary[]): Micros {
  return traces.reduce((most, trace) => Math.max(most, trace.duration), 1) as Micros;
}

/** Chooses a trace for a comparison. */
export function Tick(props: { readonly trace: TraceSummary; readonly of: ResultsProps }) {
  const { traceId } = props.trace;
  return (
    <input
      type="checkbox"
      aria-label={`Compare trace ${shortId(traceId)}`}
      title="Compare (x)"
      checked={props.of.ticked.includes(traceId)}
      onChange={() => props.of.onTick(traceId)}
    />
  );
}

/** Whose trace it is: the service of its root, or the one with most of its spans. */
export function serviceShown({ rootService, services }: TraceSummary): string {
  if (rootService !== "") return rootService;
  return bySpans(services)[0]?.name ?? "unknown service";
}

export function bySpans(services: TraceSummary["services"]) {
  return [...services].sort((left, right) => right.spans - left.spans);
}

/** What the root does, or that it is not there. */
export function RootOperation(props: { readonly trace: TraceSummary }) {
  const { rootService, rootOperation } = props.trace;
  if (rootService !== "") return <span>{rootOperation}</span>;
  return <span className="faint">root span not received</span>;
}

export function ErrorCount(props: { readonly trace: TraceSummary }) {
  const { errors } = props.trace;
  if (errors === 0) return <span className="faint">–</span>;
  return (
    <span className="badge error" title={plural(errors, "failed span")}>
      <Icon name="error" />
      {count(errors)}
    </span>
  );
}

/** The time of day, with the day before it if that is another one. */
export function startText({ start }: TraceSummary, now: EpochMicros, zone: Zone): string {
  const isToday = day(start, zone) === day(now, zone);
  if (isToday) return clock(start, zone);
  return `${day(start, zone).slice(5)} ${clock(start, zone).slice(0, 8)}`;
}

/** How long it took, against the longest. */
export function LengthMeter(props: { readonly length: Micros; readonly longest: Micros }) {
  const share = Math.max((100 * props.length) / props.longest, 0.7);
  return (
    <span className="meter">
      <span style={{ width: `${share}%` }} />
    </span>
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
  const service = serviceShown(trace);
  return (
    <Link href={props.href} className="result">
      <span className="name">
        <span className="swatch" style={swatchOf(colors, service)} />
        <span className="texts">
          <span className="first">
            <strong>{service}</strong> <RootOperation trace={trace} />
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
        <ErrorCount trace={trace} />
      </span>
      <span className="length" title={exactDuration(trace.duration)}>
        <span>{duration(trace.duration)}</span>
        <LengthMeter length={trace.duration} longest={props.longest} />
      </span>
      <span className="num start" title={timestamp(trace.start, zone)}>
        <span>{startText(trace, props.now, zone)}</span>
        <span className="second">{ago(trace.start, props.now)}</span>
      </span>
    </Link>
  );
}

function whoOf({ services }: TraceSummary): string {
  if (services.length === 1) return services[0]?.name ?? "";
  return plural(services.length, "service");
}
