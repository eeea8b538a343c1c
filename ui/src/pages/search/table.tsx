// The traces that a search found, as a table with a line for each. A click on a head asks for the
// server's order, so that the first row is the first of all.

import { Link } from "wouter";
import { ago, count, duration, exactDuration, plural, timestamp } from "../../base/format";
import { wallClock } from "../../base/time";
import { Service, swatchOf } from "../../components/service";
import { useRows } from "../../components/use-rows";
import { isSortColumn, orderAfterClick, sortOf } from "../../model/forms";
import type { Order } from "../../model/orders";
import type { TraceSummary } from "../../model/summary";
import { shortId } from "../../state/ui-config";
import {
  bySpans,
  ErrorCount,
  holding,
  LengthMeter,
  LoadMore,
  longestOf,
  type ResultsProps,
  RootOperation,
  serviceShown,
  startText,
  Tick,
} from "./results";
import "./table.css";

const ROW_HEIGHT = 28;
/** The others are counted. */
const SERVICES_SHOWN = 3;

const COLUMNS: readonly (readonly [column: string, name: string])[] = [
  ["trace", "Trace"],
  ["services", "Services"],
  ["spans", "Spans"],
  ["errors", "Errors"],
  ["duration", "Duration"],
  ["start", "Start"],
  ["id", "Id"],
];

export function ResultTable(
  props: ResultsProps & {
    readonly order: Order;
    readonly onOrder: (order: Order) => void;
  },
) {
  const { traces, colors, zone, order } = props;
  const { scroller, virtual, onKeyDown } = useRows(traces.length, ROW_HEIGHT);
  const longest = longestOf(traces);
  const now = wallClock();
  return (
    <div className="results panel" {...holding(props, scroller)}>
      <section
        ref={scroller}
        className="result-rows"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolled region needs the keyboard.
        tabIndex={0}
        aria-label="Traces found"
        onKeyDown={onKeyDown}
      >
        <div
          className="trace-table"
          role="table"
          aria-label="Traces found"
          aria-rowcount={props.hasMore ? -1 : traces.length + 1}
        >
          <div className="trace-row head" role="row">
            <span role="columnheader">
              <span className="visually-hidden">Compare</span>
            </span>
            {COLUMNS.map(([column, name]) => (
              <Head key={column} column={column} name={name} order={order} of={props.onOrder} />
            ))}
          </div>
          <div role="rowgroup" style={{ height: virtual.getTotalSize() }}>
            {virtual.getVirtualItems().map((item) => {
              const trace = traces[item.index];
              if (!trace) return null;
              return (
                <div
                  key={trace.traceId}
                  className="trace-row"
                  role="row"
                  data-row={item.index}
                  aria-rowindex={item.index + 2}
                  style={{ transform: `translateY(${item.start}px)` }}
                  data-hovered={props.hovered === trace.traceId}
                  onMouseEnter={() => props.onHover(trace.traceId)}
                  onMouseLeave={() => props.onHover(undefined)}
                >
                  <span role="cell">
                    <Tick trace={trace} of={props} />
                  </span>
                  <span role="cell">
                    <Link href={props.hrefOf(trace)} className="whole-row">
                      <span className="swatch" style={swatchOf(colors, serviceShown(trace))} />{" "}
                      <strong>{serviceShown(trace)}</strong> <RootOperation trace={trace} />
                    </Link>
                  </span>
                  <span role="cell" className="pills" title={servicesText(trace)}>
                    {bySpans(trace.services)
                      .slice(0, SERVICES_SHOWN)
                      .map(({ name }) => (
                        <Service key={name} name={name} colors={colors} />
                      ))}
                    {trace.services.length > SERVICES_SHOWN && (
                      <span className="faint">+{trace.services.length - SERVICES_SHOWN}</span>
                    )}
                  </span>
                  <span role="cell" className="num">
                    {count(trace.spans)}
                  </span>
                  <span role="cell" className="num">
                    <ErrorCount trace={trace} />
                  </span>
                  <span role="cell" className="took" title={exactDuration(trace.duration)}>
                    <LengthMeter length={trace.duration} longest={longest} />
                    <span className="num">{duration(trace.duration)}</span>
                  </span>
                  <span
                    role="cell"
                    className="num"
                    title={`${timestamp(trace.start, zone)}, ${ago(trace.start, now)}`}
                  >
                    {startText(trace, now, zone)}
                  </span>
                  <span role="cell" className="mono faint" title={trace.traceId}>
                    {shortId(trace.traceId)}
                  </span>
                </div>
              );
            })}
          </div>
        </div>
        <LoadMore of={props} />
      </section>
    </div>
  );
}

function Head(props: {
  readonly column: string;
  readonly name: string;
  readonly order: Order;
  readonly of: (order: Order) => void;
}) {
  const { column, name, order } = props;
  if (!isSortColumn(column)) return <span role="columnheader">{name}</span>;
  const sorted = sortOf(column, order);
  return (
    <span role="columnheader" aria-sort={sorted}>
      <button type="button" onClick={() => props.of(orderAfterClick(column, order))}>
        {name}
        {sorted === undefined ? "" : sorted === "descending" ? " ↓" : " ↑"}
      </button>
    </span>
  );
}

function servicesText({ services }: TraceSummary): string {
  return bySpans(services)
    .map(({ name, spans }) => `${name}: ${plural(spans, "span")}`)
    .join("\n");
}
