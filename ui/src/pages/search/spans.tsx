// What a search found, as spans: below each trace those that made it match.

import { type ReactNode, useEffect, useMemo } from "react";
import { Link } from "wouter";
import { clock, count, duration, exactDuration, plural, timestamp } from "../../base/format";
import { wallClock } from "../../base/time";
import { Icon } from "../../components/icon";
import { Service, swatchOf } from "../../components/service";
import { useRows } from "../../components/use-rows";
import { spanHref } from "../../model/matched";
import type { SearchQuery, TimeSpan } from "../../model/search-query";
import {
  isOfRoots,
  namedKeys,
  offsetOf,
  type SpanRow,
  spanRowsOf,
  valuesOf,
} from "../../model/span-rows";
import { useMatchedSpans } from "../../state/matched-spans";
import { shortId } from "../../state/ui-config";
import { type ResultColumn, ResultFrame, ResultHead } from "./frame";
import { type ResultsProps, RootOperation, serviceShown, startText, Tick } from "./results";
import "./table.css";

const ROW_HEIGHT = 28;
const COLUMNS: readonly ResultColumn[] = [
  { name: "Start" },
  { name: "Service" },
  { name: "Operation" },
  { name: "Duration" },
  { name: "Status" },
  { name: "Attributes" },
];

export function ResultSpans(
  props: ResultsProps & { readonly query: SearchQuery; readonly window: TimeSpan },
) {
  const { traces, query } = props;
  const { found, want, again } = useMatchedSpans(query, props.window);
  const rows = useMemo(() => spanRowsOf(traces, found), [traces, found]);
  const keys = useMemo(() => namedKeys(query), [query]);
  const inFrame = useRows(rows.length, ROW_HEIGHT);
  const { virtual } = inFrame;
  const items = virtual.getVirtualItems();
  useEffect(() => {
    const inView = items.flatMap(({ index }) => rows[index]?.trace ?? []);
    want([...new Set(inView)]);
  }, [items, rows, want]);
  const isWhole = traces.every(({ traceId }) => found.has(traceId)) && !props.hasMore;
  return (
    <ResultFrame
      of={props}
      rows={inFrame}
      label="Spans found"
      note={
        <p className="span-note faint">
          {isOfRoots(query)
            ? "Root spans: the search has no condition on spans"
            : query.spans.length > 0
              ? "Spans that the link names"
              : "Spans that match"}
        </p>
      }
    >
      <div
        className="trace-table"
        role="table"
        aria-label="Spans found"
        aria-rowcount={isWhole ? rows.length + 1 : -1}
      >
        <ResultHead look="match-row" isTable columns={COLUMNS} />
        <div role="rowgroup" style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const row = rows[item.index];
            if (row === undefined) return null;
            return (
              <div
                key={item.index}
                className={row.is === "span" ? "match-row" : "match-row wide"}
                role="row"
                data-row={item.index}
                data-is={row.is}
                aria-rowindex={item.index + 2}
                style={{ transform: `translateY(${item.start}px)` }}
                data-hovered={props.hovered === row.trace.traceId}
                onMouseEnter={() => props.onHover(row.trace.traceId)}
                onMouseLeave={() => props.onHover(undefined)}
              >
                {row.is === "span" ? (
                  <SpanCells row={row} of={props} keys={keys} />
                ) : (
                  <WideCell>
                    {row.is === "trace" ? (
                      <TraceHead row={row} of={props} onRetry={() => again(row.trace)} />
                    ) : row.is === "more" ? (
                      <Link href={props.hrefOf(row.trace)}>
                        {plural(row.more, "more span")} in the trace
                      </Link>
                    ) : (
                      <span className="faint">Looking for its spans …</span>
                    )}
                  </WideCell>
                )}
              </div>
            );
          })}
        </div>
      </div>
    </ResultFrame>
  );
}

function WideCell(props: { readonly children: ReactNode }) {
  return (
    <span role="cell" aria-colspan={COLUMNS.length}>
      {props.children}
    </span>
  );
}

function TraceHead(props: {
  readonly row: Extract<SpanRow, { is: "trace" }>;
  readonly of: ResultsProps;
  readonly onRetry: () => void;
}) {
  const { trace, found } = props.row;
  const { colors, zone, hrefOf } = props.of;
  const service = serviceShown(trace);
  return (
    <>
      <Tick trace={trace} of={props.of} />
      <Link href={hrefOf(trace)}>
        <span className="swatch" style={swatchOf(colors, service)} /> <strong>{service}</strong>{" "}
        <RootOperation trace={trace} />
      </Link>
      <span className="mono faint" title={trace.traceId}>
        {shortId(trace.traceId)}
      </span>
      {found?.is === "known" && (
        <span className="faint">
          {count(found.total)} of {plural(trace.spans, "span")}
        </span>
      )}
      {found?.is === "known" && !found.isComplete && <span className="badge warn">partial</span>}
      {found?.is === "failed" && (
        <>
          <span className="badge error" title={found.error.message}>
            <Icon name="error" />
            its spans could not be read
          </span>
          <button type="button" className="button quiet small" onClick={props.onRetry}>
            Try again
          </button>
        </>
      )}
      <span className="spacer" />
      <span className="num" title={exactDuration(trace.duration)}>
        {duration(trace.duration)}
      </span>
      <span className="num faint" title={timestamp(trace.start, zone)}>
        {startText(trace, wallClock(), zone)}
      </span>
    </>
  );
}

function SpanCells(props: {
  readonly row: Extract<SpanRow, { is: "span" }>;
  readonly of: ResultsProps & { readonly query: SearchQuery };
  readonly keys: readonly string[];
}) {
  const { trace, span } = props.row;
  const { colors, zone, query } = props.of;
  return (
    <>
      <span
        role="cell"
        className="num mono"
        title={`${clock(span.start, zone)}, from the start of the trace`}
      >
        +{duration(offsetOf(trace, span))}
      </span>
      <span role="cell">
        <Service name={span.service} colors={colors} />
      </span>
      <span role="cell">
        <Link href={spanHref(query, trace, span.spanId)} className="whole-row">
          {span.operation || "(no name)"}
        </Link>
      </span>
      <span role="cell" className="num" title={exactDuration(span.length)}>
        {duration(span.length)}
      </span>
      <span role="cell">
        {span.status === "ERROR" ? (
          <span className="badge error" title={span.statusMessage}>
            <Icon name="error" />
            error
          </span>
        ) : (
          <span className="faint">{span.kind || "–"}</span>
        )}
      </span>
      <span role="cell" className="mono">
        {attributesText(span, props.keys)}
      </span>
    </>
  );
}

function attributesText(span: Parameters<typeof valuesOf>[0], keys: readonly string[]): string {
  const named = valuesOf(span, keys).map(({ key, value }) => `${key}=${value}`);
  return [...named, ...(span.statusMessage === "" ? [] : [span.statusMessage])].join(" ");
}
