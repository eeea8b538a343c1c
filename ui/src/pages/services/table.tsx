// Rows of figures, one a service or an operation: heads that sort them, a filter, cells.

import { type ReactNode, useMemo } from "react";
import { duration, exactDuration, percent, plural } from "../../base/format";
import { SortButton } from "../../components/sort-button";
import type { Predicate } from "../../model/predicate";
import { QUANTILES, type RedRow, rateText, rowsOf } from "../../model/red";
import { changesOf, windowBefore } from "../../model/red-change";
import {
  listed,
  parseRedOrder,
  printRedOrder,
  type RedColumn,
  type RedEntry,
  redOrderAfter,
  sortedBy,
} from "../../model/red-order";
import type { TimeSpan } from "../../model/search-query";
import { useRed } from "../../state/figures";
import { useIdle } from "../../state/idle";
import { useUrlState } from "../../state/url-state";

const FIGURES: readonly (readonly [RedColumn, string])[] = [
  ["rate", "Rate"],
  ["errorShare", "Errors"],
  ["p50", "p50"],
  ["p95", "p95"],
  ["p99", "p99"],
  ["impact", "Impact"],
];

/** In the order and with the text in their name that the address has. */
export function useListed(
  names: readonly string[],
  rows: ReadonlyMap<string, RedRow>,
  before: ReadonlyMap<string, RedRow> | undefined,
): readonly RedEntry[] {
  const [params] = useUrlState();
  const find = params.get("find") ?? "";
  const sort = params.get("sort");
  return useMemo(() => {
    const entries = names.map((name) => {
      const row = rows.get(name);
      const isKnown = row !== undefined && before !== undefined;
      return { name, row, changes: isKnown ? changesOf(row, before.get(name)) : undefined };
    });
    return listed(entries, find, parseRedOrder(sort));
  }, [names, rows, before, find, sort]);
}

/** Leaves the rows that have a text in their name. */
export function NameFilter(props: { readonly label: string }) {
  const [params, put] = useUrlState();
  return (
    <input
      className="input service-filter"
      aria-label={props.label}
      placeholder="Filter"
      value={params.get("find") ?? ""}
      onChange={(event) => put({ find: event.target.value })}
    />
  );
}

export function RedHead(props: {
  /** What the rows are. */
  readonly name: string;
  /** Beside it. */
  readonly beside?: ReactNode;
  readonly hasFigures: boolean;
  /** The heads of further columns. */
  readonly children?: ReactNode;
}) {
  const [params, put] = useUrlState();
  const order = parseRedOrder(params.get("sort"));
  const head = (column: RedColumn, name: string, beside?: ReactNode) => {
    const sorted = sortedBy(order, column);
    const isNumber = column !== "name" && column !== "change";
    return (
      <th key={column} scope="col" className={isNumber ? "num" : undefined} aria-sort={sorted}>
        <SortButton
          name={name}
          sorted={sorted}
          onClick={() => put({ sort: printRedOrder(redOrderAfter(order, column)) })}
        />
        {beside}
      </th>
    );
  };
  return (
    <thead>
      <tr>
        {head("name", props.name, props.beside)}
        {props.hasFigures && FIGURES.map(([column, name]) => head(column, name))}
        {props.hasFigures && head("change", "Against the window before")}
        {props.children}
      </tr>
    </thead>
  );
}

/** The same figures of the window before, by name, once the page rests. */
export function useRowsBefore(
  window: TimeSpan,
  where: Predicate,
  groupBy: "service" | "operation",
): ReadonlyMap<string, RedRow> | undefined {
  const before = useMemo(() => windowBefore(window), [window]);
  const step = Math.max(1, before.end - before.start + 1);
  const asked = { window: before, where, isEnabled: useIdle() };
  const { data, isPrevious } = useRed(asked, { step, groupBy, quantiles: QUANTILES });
  return useMemo(() => {
    // Half of the spans would look like a change.
    if (data === undefined || isPrevious || !data.completeness.isComplete) return undefined;
    return new Map(rowsOf(data.value, before).map((row) => [row[groupBy], row]));
  }, [data, isPrevious, before, groupBy]);
}

/** The cells of a row of figures. */
export function Figures(props: { readonly row: RedRow | undefined }) {
  const { row } = props;
  if (row === undefined) {
    return FIGURES.map(([column]) => (
      <td key={column} className="num faint">
        –
      </td>
    ));
  }
  return (
    <>
      <td className="num" title={plural(row.spans, "span")}>
        {rateText(row.rate)}
      </td>
      <td className="num" title={plural(row.errors, "failed span")}>
        {row.errors === 0 ? (
          <span className="faint">0%</span>
        ) : (
          <span className="badge error">{percent(row.errorShare)}</span>
        )}
      </td>
      {([row.p50, row.p95, row.p99] as const).map((each, index) => (
        <td key={QUANTILES[index]} className="num" title={exactDuration(each)}>
          {duration(each)}
        </td>
      ))}
      <td className="meter-cell">
        <span className="meter" title={`${percent(row.impact)} of the time of all`}>
          <span style={{ width: `${100 * row.impact}%` }} />
        </span>
      </td>
    </>
  );
}
