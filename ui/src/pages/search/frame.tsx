// What every form of the results has around its rows: a place that scrolls and holds the list still
// while it is looked at, the names of the columns, and what loads more.

import type { ReactNode } from "react";
import { SortButton, type Sorted } from "../../components/sort-button";
import type { useRows } from "../../components/use-rows";
import type { ResultsProps } from "./results";

export function ResultFrame(props: {
  readonly of: ResultsProps;
  readonly rows: ReturnType<typeof useRows>;
  readonly label: string;
  /** Above the rows, and does not scroll. */
  readonly note?: ReactNode;
  readonly children: ReactNode;
}) {
  const { onHold } = props.of;
  const { scroller, onKeyDown } = props.rows;
  return (
    <div
      className="results panel"
      // While the list is pointed at, or scrolled, it must not move.
      onPointerEnter={() => onHold?.(true)}
      onPointerLeave={() => onHold?.((scroller.current?.scrollTop ?? 0) > 0)}
    >
      {props.note}
      <section
        ref={scroller}
        className="result-rows"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolled region needs the keyboard.
        tabIndex={0}
        aria-label={props.label}
        onKeyDown={onKeyDown}
      >
        {props.children}
        <LoadMore of={props.of} />
      </section>
    </div>
  );
}

export interface ResultColumn {
  readonly name: string;
  readonly isNumber?: boolean;
  /** Its name is for those who do not see the rows. */
  readonly isPlain?: boolean;
  readonly sorted?: Sorted;
  /** Only columns with one can be sorted by. */
  readonly onSort?: () => void;
}

/** The names of the columns: of a table, or above a list, whose rows say it themselves. */
export function ResultHead(props: {
  /** The grid that it shares with the rows. */
  readonly look: string;
  readonly isTable: boolean;
  readonly columns: readonly ResultColumn[];
}) {
  const { isTable } = props;
  return (
    <div
      className={`${props.look} head`}
      {...(isTable ? { role: "row" } : { "aria-hidden": true })}
    >
      {props.columns.map(({ name, isNumber, isPlain, sorted, onSort }) => (
        <span
          key={name}
          className={isNumber ? "num" : undefined}
          {...(isTable ? { role: "columnheader", "aria-sort": sorted } : {})}
        >
          {onSort ? (
            <SortButton name={name} sorted={sorted} onClick={onSort} />
          ) : (
            <span className={isPlain ? "visually-hidden" : undefined}>{name}</span>
          )}
        </span>
      ))}
    </div>
  );
}

function LoadMore(props: { readonly of: ResultsProps }) {
  const { hasMore, isRunning, onMore } = props.of;
  if (!hasMore) return null;
  return (
    <div className="load-more">
      <button type="button" className="button" disabled={isRunning} onClick={onMore}>
        {isRunning ? "Loading …" : "Load more"}
      </button>
    </div>
  );
}
