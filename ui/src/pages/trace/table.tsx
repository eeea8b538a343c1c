// The spans of a trace as a table in any order, of which only the rows on the screen exist.

import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { duration, exactDuration, plural } from "../../base/format";
import { micros } from "../../base/time";
import { Icon } from "../../components/icon";
import { Service } from "../../components/service";
import { SortButton } from "../../components/sort-button";
import { Loading } from "../../components/states";
import { sortedByValue } from "../../model/attribute-column";
import { orderAfter, parseOrder, printOrder, type RowOrder, type SortBy } from "../../model/order";
import { Flag, hasFlag, KINDS, lengthOf, operationOf, serviceOf } from "../../model/trace";
import { useStore } from "../../state/store";
import type { TraceView } from "../../state/trace-view";
import { useUrlState } from "../../state/url-state";
import { AttributeChoice, useAttribute } from "./attribute-choice";

const ROW_HEIGHT = 28;
/** Browsers cannot show elements of any height; a find shows the others. */
const ROWS_MAX = 250_000;

const COLUMNS: readonly (readonly [SortBy, string])[] = [
  ["start", "Start"],
  ["service", "Service"],
  ["operation", "Operation"],
  ["duration", "Duration"],
  ["self", "Self"],
  ["errors", "Status"],
];

export function SpanTable(props: { readonly view: TraceView }) {
  const { view } = props;
  const { trace } = view;
  const { matches, onlyMatches, selected } = useStore(view.store);
  const [params, put] = useUrlState();
  const key = params.get("column") ?? "";
  const order = parseOrder(params.get("order"));
  const { by, isDescending } = order;
  const column = useAttribute(view, key);
  // Without a value, or with the same, spans stay in order of their length.
  const rows = useOrder(
    view,
    by === "value" ? "duration" : by,
    by === "value" ? true : isDescending,
  );
  const shown = useMemo(() => {
    const ordered = rows ?? new Int32Array(0);
    const isByValue = column !== undefined && by === "value";
    const all = isByValue ? sortedByValue(ordered, column, isDescending) : ordered;
    const kept = onlyMatches && matches !== null ? all.filter((row) => matches[row] === 1) : all;
    return kept.subarray(0, ROWS_MAX);
  }, [rows, matches, onlyMatches, column, by, isDescending]);
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: shown.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 10,
  });
  if (rows === undefined) return <Loading what="spans" />;
  const orderBy = (clicked: RowOrder["by"]) =>
    put({ order: printOrder(orderAfter(order, clicked)) });
  const choose = (chosen: string) => {
    const isGone = chosen === "" && by === "value";
    put({ column: chosen, ...(isGone ? { order: undefined } : {}) });
  };
  const isExtra = key !== "";
  const sortOf = (each: RowOrder["by"]) =>
    by !== each ? undefined : isDescending ? "descending" : "ascending";
  return (
    <section className="span-table" aria-label="Spans as a table">
      <div className="row">
        <p className="faint">
          {plural(shown.length, "span")}
          {shown.length === ROWS_MAX ? ", the first in this order" : ""}
        </p>
        <AttributeChoice view={view} label="Another column" value={key} onChoose={choose} />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolled region needs the keyboard. */}
      <section ref={scroller} className="panel span-rows" tabIndex={0} aria-label="Spans">
        <div role="table" aria-label="Spans" aria-rowcount={shown.length + 1}>
          <div className="span-row head" role="row" data-extra={isExtra}>
            {COLUMNS.map(([column, name]) => (
              <span key={column} role="columnheader" aria-sort={sortOf(column)}>
                <SortButton name={name} sorted={sortOf(column)} onClick={() => orderBy(column)} />
              </span>
            ))}
            {isExtra && (
              <span role="columnheader" aria-sort={sortOf("value")}>
                <SortButton name={key} sorted={sortOf("value")} onClick={() => orderBy("value")} />
              </span>
            )}
          </div>
          <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: "relative" }}>
            {virtual.getVirtualItems().map((item) => {
              const row = shown[item.index] ?? 0;
              const self = micros(trace.self[row] ?? 0);
              return (
                <div
                  key={item.key}
                  className="span-row"
                  role="row"
                  data-extra={isExtra}
                  aria-rowindex={item.index + 2}
                  aria-selected={row === selected}
                  data-match={matches?.[row] === 1}
                  style={{ transform: `translateY(${item.start}px)` }}
                >
                  <span role="cell" className="mono">
                    +{duration(micros(trace.start[row] ?? 0))}
                  </span>
                  <span role="cell">
                    <Service name={serviceOf(trace, row)} colors={view.colors} />
                  </span>
                  <span role="cell">
                    <button
                      type="button"
                      className="button quiet small link"
                      onClick={() => view.select(row)}
                    >
                      {operationOf(trace, row) || "(no name)"}
                    </button>
                  </span>
                  <span role="cell" title={exactDuration(lengthOf(trace, row))}>
                    {duration(lengthOf(trace, row))}
                  </span>
                  <span role="cell" title={exactDuration(self)}>
                    {duration(self)}
                  </span>
                  <span role="cell">
                    {hasFlag(trace, row, Flag.error) ? (
                      <span className="badge error">
                        <Icon name="error" />
                        error
                      </span>
                    ) : (
                      <span className="faint">{KINDS[trace.kind[row] ?? 0]}</span>
                    )}
                  </span>
                  {isExtra && (
                    <span role="cell" className="mono">
                      {column?.values[column.ofRow[row] ?? -1] ?? ""}
                    </span>
                  )}
                </div>
              );
            })}
          </div>
        </div>
      </section>
    </section>
  );
}

/** Sorted by the worker; the last order stays until the next is there. */
function useOrder(view: TraceView, by: SortBy, isDescending: boolean): Int32Array | undefined {
  const [rows, setRows] = useState<Int32Array | undefined>();
  useEffect(() => {
    let isCurrent = true;
    view.source.order(by, isDescending).then(
      (sorted) => {
        if (isCurrent) setRows(sorted);
      },
      () => undefined,
    );
    return () => {
      isCurrent = false;
    };
  }, [view, by, isDescending]);
  return rows;
}
