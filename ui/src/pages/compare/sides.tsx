// The two sides of a comparison: the trace of each, and others that its figures are the means of.

import { type FormEvent, useMemo, useState } from "react";
import { Link, useLocation, useSearch } from "wouter";
import { duration, meanPlural, plural } from "../../base/format";
import { Icon } from "../../components/icon";
import { IconButton } from "../../components/icon-button";
import { Menu } from "../../components/menu";
import { meanDuration } from "../../model/compare";
import { isTraceId, SIDE_TRACES_MAX } from "../../model/links";
import { countFlag, Flag, operationOf, serviceOf, type TraceColumns } from "../../model/trace";
import { shortId } from "../../state/ui-config";
import type { KnownTrace } from "../../state/use-traces";

export type SideName = "a" | "b";

/** The traces beside the first one of each side, in the URL. */
export interface Others {
  readonly a: readonly string[];
  readonly b: readonly string[];
  readonly change: (side: SideName, ids: readonly string[]) => void;
}

export function useOthers(left: string, right: string): Others {
  const search = useSearch();
  const [path, navigate] = useLocation();
  return useMemo(() => {
    const params = new URLSearchParams(search);
    const others = (side: SideName, first: string) =>
      [...new Set(params.getAll(side).map((id) => id.toLowerCase()))]
        .filter((id) => isTraceId(id) && id !== first.toLowerCase())
        .slice(0, SIDE_TRACES_MAX - 1);
    const change = (side: SideName, ids: readonly string[]) => {
      params.delete(side);
      for (const id of ids) params.append(side, id);
      navigate(params.size === 0 ? path : `${path}?${params}`, { replace: true });
    };
    return { a: others("a", left), b: others("b", right), change };
  }, [search, path, navigate, left, right]);
}

export function SideCard(props: {
  readonly side: SideName;
  /** The first trace of the side. */
  readonly trace: TraceColumns;
  /** How many operations only this side has. */
  readonly only: number;
  readonly others: Others;
  readonly known: ReadonlyMap<string, KnownTrace>;
  /** Traces that the link offers. */
  readonly cohort: readonly string[];
}) {
  const { side, trace, known } = props;
  const ids = props.others[side];
  const letter = side.toUpperCase();
  const columns = [trace, ...ids.flatMap((id) => columnsOf(known.get(id)) ?? [])];
  const errors = columns.reduce((sum, each) => sum + countFlag(each, Flag.error), 0);
  const spans = columns.reduce((sum, each) => sum + each.count, 0);
  const without = (id: string) =>
    props.others.change(
      side,
      ids.filter((each) => each !== id),
    );
  const taken = new Set([trace.traceId, ...props.others.a, ...props.others.b]);
  const offered = props.cohort.filter((id) => !taken.has(id));
  return (
    <section className={`panel side-card side-${side}`} aria-label={`Side ${letter}`}>
      <div className="side-head">
        <h2>
          <span className="letter">{letter}</span> {serviceOf(trace, 0)}{" "}
          <span className="faint">{operationOf(trace, 0)}</span>
        </h2>
        {columns.length < SIDE_TRACES_MAX && (
          <AddTrace
            side={side}
            offered={offered}
            onAdd={(more) => props.others.change(side, [...ids, ...more])}
          />
        )}
      </div>
      <p>
        <strong>{duration(meanDuration(columns))}</strong>
        {columns.length > 1 ? ` mean of ${columns.length} traces` : ""} ·{" "}
        {meanPlural(spans / columns.length, "span")}
        {errors > 0 ? ` · ${meanPlural(errors / columns.length, "error")}` : ""}
        {columns.length > 1 ? " a trace" : ""} · {plural(props.only, "operation")} only here
      </p>
      <ul className="side-traces">
        <li>
          <Link className="mono" href={`/trace/${trace.traceId}`}>
            {shortId(trace.traceId)}
          </Link>
        </li>
        {ids.map((id) => (
          <li key={id}>
            <Link className="mono" href={`/trace/${id}`}>
              {shortId(id)}
            </Link>
            <OtherState trace={known.get(id)} />
            <IconButton
              icon="close"
              label={`Leave trace ${shortId(id)} out of side ${letter}`}
              title="Leave out"
              onClick={() => without(id)}
            />
          </li>
        ))}
      </ul>
    </section>
  );
}

export function columnsOf(trace: KnownTrace | undefined): TraceColumns | undefined {
  return trace?.is === "open" ? trace.columns : undefined;
}

/** What stands beside the id of a further trace. */
function OtherState(props: { readonly trace: KnownTrace | undefined }) {
  const { trace } = props;
  if (trace === undefined) return <span className="faint">loading …</span>;
  if (trace.is === "open") return <span className="faint">{duration(trace.columns.duration)}</span>;
  return (
    <span className="badge error" title={trace.error.message}>
      <Icon name="error" />
      not opened
    </span>
  );
}

/** A menu with the traces of the link, and a field for any other. */
function AddTrace(props: {
  readonly side: SideName;
  readonly offered: readonly string[];
  readonly onAdd: (ids: readonly string[]) => void;
}) {
  const { offered } = props;
  const [typed, setTyped] = useState("");
  const letter = props.side.toUpperCase();
  const id = typed.trim().toLowerCase();
  return (
    <Menu
      icon="plus"
      label="Add a trace"
      title={`Figures of side ${letter} become the means of its traces`}
    >
      {(close) => {
        const add = (ids: readonly string[]) => {
          props.onAdd(ids);
          setTyped("");
          close();
        };
        const submit = (event: FormEvent) => {
          event.preventDefault();
          if (isTraceId(id)) add([id]);
        };
        return (
          <form className="add-trace" onSubmit={submit}>
            <div className="row">
              <input
                className="input mono"
                aria-label={`Trace for side ${letter}`}
                placeholder="Trace id"
                autoComplete="off"
                spellCheck={false}
                value={typed}
                onChange={(event) => setTyped(event.target.value)}
              />
              <button type="submit" className="button" disabled={!isTraceId(id)}>
                Add
              </button>
            </div>
            {offered.length > 0 && (
              <>
                <p className="faint">Ticked among the traces found:</p>
                <ul className="row">
                  {offered.map((each) => (
                    <li key={each}>
                      <button
                        type="button"
                        className="button small mono"
                        onClick={() => add([each])}
                      >
                        {shortId(each)}
                      </button>
                    </li>
                  ))}
                  {offered.length > 1 && (
                    <li>
                      <button type="button" className="button small" onClick={() => add(offered)}>
                        All {offered.length}
                      </button>
                    </li>
                  )}
                </ul>
              </>
            )}
          </form>
        );
      }}
    </Menu>
  );
}
