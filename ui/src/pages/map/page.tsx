// Who calls whom: a picture and, for readers and large systems, the same as a table.

import { useEffect, useMemo } from "react";
import { useLocation, useSearch } from "wouter";
import { count, percent, plural } from "../../base/format";
import { wallClock } from "../../base/time";
import { callsText, GRAPH_SPACING, GraphPicture } from "../../components/graph-picture";
import { Failure, FirstSteps, Loading, Message, PartialBanner } from "../../components/states";
import { layoutGraph, type PlacedNode } from "../../model/graph";
import type { DependencyEdge } from "../../model/operation";
import { type RedRow, rateText, rowsOf } from "../../model/red";
import type { TimeSpan } from "../../model/search-query";
import { useRed } from "../../state/figures";
import { useDependencies, useServices } from "../../state/queries";
import "./map.css";

const HOUR_MILLIS = 3_600_000;
const LOOKBACKS: readonly (readonly [millis: number, name: string])[] = [
  [HOUR_MILLIS, "Last hour"],
  [24 * HOUR_MILLIS, "Last 24 h"],
  [7 * 24 * HOUR_MILLIS, "Last 7 days"],
];
/** A larger picture says nothing any more. */
const NODES_MAX = 300;
const EDGES_MAX = 500;

export function MapPage() {
  const [{ lookback, asTable, focus }, look] = useLook();
  const dependencies = useDependencies(lookback);
  useEffect(() => {
    document.title = "Map · Skua";
  }, []);
  return (
    <div className="page map-page">
      <div className="page-head">
        <h1>Map</h1>
        <span className="spacer" />
        <select
          className="input narrow"
          aria-label="Time"
          value={lookback}
          onChange={(event) => look({ lookback: Number(event.target.value) })}
        >
          {LOOKBACKS.map(([millis, name]) => (
            <option key={millis} value={millis}>
              {name}
            </option>
          ))}
        </select>
        <fieldset className="segmented">
          <legend className="visually-hidden">Show as</legend>
          <button type="button" aria-pressed={!asTable} onClick={() => look({ asTable: false })}>
            Picture
          </button>
          <button type="button" aria-pressed={asTable} onClick={() => look({ asTable: true })}>
            Table
          </button>
        </fieldset>
      </div>
      {dependencies.error ? (
        <Failure
          title="The calls between services could not be read"
          error={dependencies.error}
          onRetry={() => dependencies.refetch()}
        />
      ) : dependencies.data === undefined ? (
        <Loading what="the map" />
      ) : (
        <>
          <PartialBanner
            completeness={dependencies.data.completeness}
            onRetry={() => dependencies.refetch()}
          />
          <Content
            edges={dependencies.data.value}
            asTable={asTable}
            focus={focus}
            lookback={lookback}
            onFocus={(next) => look({ focus: next })}
            isComplete={dependencies.data.completeness.isComplete}
          />
        </>
      )}
    </div>
  );
}

function Content(props: {
  readonly edges: readonly DependencyEdge[];
  readonly asTable: boolean;
  /** The service that is looked at; empty for all. */
  readonly focus: string;
  readonly lookback: number;
  readonly isComplete: boolean;
  readonly onFocus: (service: string) => void;
}) {
  const { focus, lookback } = props;
  const [, navigate] = useLocation();
  const services = useServices().data;
  const names = useMemo(
    () => [...new Set(props.edges.flatMap((edge) => [edge.parent, edge.child]))].sort(),
    [props.edges],
  );
  const edges = useMemo(
    () =>
      names.includes(focus)
        ? props.edges.filter((edge) => edge.parent === focus || edge.child === focus)
        : props.edges,
    [props.edges, names, focus],
  );
  const nodes = useMemo(
    () => new Set(edges.flatMap((edge) => [edge.parent, edge.child])).size,
    [edges],
  );
  const isTooLarge = nodes > NODES_MAX || edges.length > EDGES_MAX;
  const isDrawn = !props.asTable && !isTooLarge;
  const layout = useMemo(() => layoutGraph(isDrawn ? edges : [], GRAPH_SPACING), [edges, isDrawn]);
  const figures = useFigures(lookback, edges.length > 0);
  if (edges.length === 0) {
    if (services?.value.length === 0 && services.completeness.isComplete) return <FirstSteps />;
    return (
      <Message title="No calls seen">
        <p>
          {props.isComplete
            ? "No span within this time has a parent in another service. Look further back."
            : "Part of the cluster did not answer, so there may be some."}
        </p>
      </Message>
    );
  }
  const seconds = lookback / 1_000;
  const textOf = (node: PlacedNode) => {
    const row = figures.get(node.name);
    const calls = node.callsIn > 0 ? `${rateText(node.callsIn / seconds)} in` : "entry";
    const failed =
      row !== undefined && row.errors > 0 ? ` · ${percent(row.errorShare)} failed` : "";
    const out = node.callsOut > 0 ? ` · ${rateText(node.callsOut / seconds)} out` : "";
    const own = node.callsOwn > 0 ? `, ${plural(node.callsOwn, "call")} to itself` : "";
    return {
      first: node.name,
      second: failed === "" ? calls + out : calls + failed,
      title: `${node.name}: ${calls}${out}${failed}${own}`,
      errorShare: row?.errorShare ?? 0,
    };
  };
  return (
    <>
      <div className="map-bar">
        <select
          className="input narrow"
          aria-label="Around"
          value={names.includes(focus) ? focus : ""}
          onChange={(event) => props.onFocus(event.target.value)}
        >
          <option value="">All services</option>
          {names.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
        <span className="faint">
          {plural(nodes, "service")}, {plural(edges.length, "connection")}
          {isTooLarge && !props.asTable
            ? "; too many for a picture, choose one to look around"
            : ""}
          {isDrawn && figures.size > 0
            ? "; the bar at the foot of a box is the share of failed spans"
            : ""}
        </span>
      </div>
      {!isDrawn ? (
        <CallTable edges={edges} seconds={seconds} figures={figures} />
      ) : (
        <GraphPicture
          layout={layout}
          label={`${plural(nodes, "service")} and the calls between them`}
          textOf={textOf}
          titleOf={(edge) => `${callsText(edge)}, ${rateText(edge.calls / seconds)}`}
          onChoose={(node) => navigate(`/services/${encodeURIComponent(node.name)}`)}
        />
      )}
    </>
  );
}

/** How much of what each service received failed; empty where that cannot be had. */
function useFigures(lookback: number, isEnabled: boolean): ReadonlyMap<string, RedRow> {
  const window = useMemo<TimeSpan>(() => {
    const end = wallClock();
    return { start: (end - lookback * 1_000) as TimeSpan["start"], end };
  }, [lookback]);
  const step = Math.max(1, window.end - window.start + 1);
  const where = { field: "kind", op: "=", value: "server" };
  const red = useRed({ window, where, isEnabled }, { step, groupBy: "service", quantiles: [0.95] });
  return useMemo(() => {
    const rows = red.data === undefined ? [] : rowsOf(red.data.value, window);
    return new Map(rows.map((row) => [row.service, row]));
  }, [red.data, window]);
}

interface Look {
  readonly lookback: number;
  readonly asTable: boolean;
  readonly focus: string;
}

/** What is shown, in the URL; `service` is what Jaeger's deep links call it. */
function useLook(): [Look, (change: Partial<Look>) => void] {
  const search = useSearch();
  const [path, navigate] = useLocation();
  const look = useMemo<Look>(() => {
    const params = new URLSearchParams(search);
    const millis = Number(params.get("lookback") ?? Number.NaN);
    return {
      lookback: LOOKBACKS.some(([known]) => known === millis) ? millis : 24 * HOUR_MILLIS,
      asTable: params.get("as") === "table",
      focus: params.get("service") ?? "",
    };
  }, [search]);
  const change = (part: Partial<Look>) => {
    const next = { ...look, ...part };
    const params = new URLSearchParams(search);
    const put = (name: string, value: string) =>
      value === "" ? params.delete(name) : params.set(name, value);
    put("lookback", next.lookback === 24 * HOUR_MILLIS ? "" : String(next.lookback));
    put("as", next.asTable ? "table" : "");
    put("service", next.focus);
    navigate(params.size === 0 ? path : `${path}?${params}`, { replace: true });
  };
  return [look, change];
}

function CallTable(props: {
  readonly edges: readonly DependencyEdge[];
  readonly seconds: number;
  readonly figures: ReadonlyMap<string, RedRow>;
}) {
  const sorted = [...props.edges].sort((left, right) => right.calls - left.calls);
  const most = sorted[0]?.calls ?? 1;
  return (
    <div className="panel scrolled">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Caller</th>
            <th scope="col">Called</th>
            <th scope="col" className="num">
              Calls
            </th>
            <th scope="col" className="num">
              Rate
            </th>
            <th scope="col" className="num">
              Called fails
            </th>
            <th scope="col">
              <span className="visually-hidden">Share</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {sorted.map((edge) => (
            <tr key={`${edge.parent}\n${edge.child}`}>
              <td>{edge.parent}</td>
              <td>
                {edge.child === edge.parent ? <span className="faint">itself</span> : edge.child}
              </td>
              <td className="num">{count(edge.calls)}</td>
              <td className="num">{rateText(edge.calls / props.seconds)}</td>
              <td className="num">{failedText(props.figures.get(edge.child))}</td>
              <td className="meter-cell">
                <span className="meter">
                  <span style={{ width: `${(100 * edge.calls) / most}%` }} />
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function failedText(row: RedRow | undefined): string {
  return row === undefined ? "–" : percent(row.errorShare);
}
