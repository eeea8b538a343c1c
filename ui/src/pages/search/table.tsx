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
import { type ResultColumn, ResultFrame, ResultHead } from "./frame";
import {
  bySpans,
  ErrorCount,
  LengthMeter,
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
  const rows = useRows(traces.length, ROW_HEIGHT);
  const { virtual } = rows;
  const longest = longestOf(traces);
  const now = wallClock();
  return (
    <ResultFrame of={props} rows={rows} label="Traces found">
      <div
        className="trace-table"
        role="table"
        aria-label="Traces found"
        aria-rowcount={props.hasMore ? -1 : traces.length + 1}
      >
        <ResultHead look="trace-row" isTable columns={columnsOf(order, props.onOrder)} />
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
    </ResultFrame>
  );
}

function columnsOf(order: Order, onOrder: (order: Order) => void): readonly ResultColumn[] {
  const columns = COLUMNS.map(([column, name]): ResultColumn => {
    if (!isSortColumn(column)) return { name };
    const onSort = () => onOrder(orderAfterClick(column, order));
    return { name, sorted: sortOf(column, order), onSort };
  });
  return [{ name: "Compare", isPlain: true }, ...columns];
}

function servicesText({ services }: TraceSummary): string {
  return bySpans(services)
    .map(({ name, spans }) => `${name}: ${plural(spans, "span")}`)
    .join("\n");
}
