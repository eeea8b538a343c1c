// Who calls whom: a picture and, for readers and large systems, the same as a table.

import { useEffect, useMemo } from "react";
import { useLocation, useSearch } from "wouter";
import { count, percent, plural, shortCount } from "../../base/format";
import { wallClock } from "../../base/time";
import { FirstSteps } from "../../components/first-steps";
import { callsText, GRAPH_ROOM, GRAPH_SPACING, GraphPicture } from "../../components/graph-picture";
import { Segmented } from "../../components/segmented";
import { Failure, Loading, Message, PartialBanner } from "../../components/states";
import { TableHead } from "../../components/table-head";
import { layoutForce } from "../../model/force";
import { layoutGraph, type PlacedNode } from "../../model/graph";
import {
  around,
  type ComparedEdge,
  compareEdges,
  edgeChange,
  withoutLeaves,
} from "../../model/map-view";
import type { DependencyEdge } from "../../model/operation";
import { type RedRow, rateText, rowsOf } from "../../model/red";
import type { TimeSpan } from "../../model/search-query";
import { useRed } from "../../state/figures";
import { useDependencies, useServices } from "../../state/queries";
import { useUrlState } from "../../state/url-state";
import "./map.css";

const KINDS = { picture: "Picture", table: "Table" } as const;
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
  const [shown, look] = useLook();
  const { lookback, asTable } = shown;
  const dependencies = useDependencies(lookback);
  const before = useDependencies(lookback, shown.compares ? "before" : "never");
  useEffect(() => {
    document.title = "Map · Skua";
  }, []);
  return (
    <div className="page map-page">
      <div className="page-head">
        <h1>Map</h1>
        <span className="spacer" />
        <button
          type="button"
          className="button small"
          aria-pressed={shown.compares}
          title="What is new and what is gone against as long a time before"
          onClick={() => look({ compares: !shown.compares })}
        >
          Changes
        </button>
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
        <Segmented
          label="Show as"
          names={KINDS}
          value={asTable ? "table" : "picture"}
          onChoose={(kind) => look({ asTable: kind === "table" })}
        />
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
          {shown.compares && before.error && (
            <Failure
              title="The calls of the time before could not be read"
              error={before.error}
              onRetry={() => before.refetch()}
            />
          )}
          {shown.compares && before.data && (
            <PartialBanner
              completeness={before.data.completeness}
              onRetry={() => before.refetch()}
            />
          )}
          <Content
            edges={dependencies.data.value}
            before={shown.compares ? before.data?.value : undefined}
            look={shown}
            onLook={look}
            isComplete={dependencies.data.completeness.isComplete}
          />
        </>
      )}
    </div>
  );
}

function Content(props: {
  readonly edges: readonly DependencyEdge[];
  /** Of as long a time before; undefined if nobody compares, or while it is not known. */
  readonly before: readonly DependencyEdge[] | undefined;
  readonly look: Look;
  readonly isComplete: boolean;
  readonly onLook: (change: Partial<Look>) => void;
}) {
  const { look, onLook, before } = props;
  const { focus, lookback } = look;
  const [params, put] = useUrlState();
  const find = params.get("find") ?? "";
  const [, navigate] = useLocation();
  const services = useServices().data;
  const compared = useMemo(
    () => compareEdges(props.edges, before ?? props.edges),
    [props.edges, before],
  );
  const names = useMemo(
    () => [...new Set(compared.flatMap((edge) => [edge.parent, edge.child]))].sort(),
    [compared],
  );
  const isAround = names.includes(focus);
  const edges = useMemo(() => {
    const near = isAround ? around(compared, focus, look.hops) : compared;
    return (look.hidesLeaves ? withoutLeaves(near) : near) as readonly ComparedEdge[];
  }, [compared, isAround, focus, look.hops, look.hidesLeaves]);
  const nodes = useMemo(
    () => new Set(edges.flatMap((edge) => [edge.parent, edge.child])).size,
    [edges],
  );
  const isTooLarge = nodes > NODES_MAX || edges.length > EDGES_MAX;
  const isDrawn = !look.asTable && !isTooLarge;
  const layout = useMemo(() => {
    const drawn = isDrawn ? edges : [];
    return look.isFree ? layoutForce(drawn, GRAPH_ROOM) : layoutGraph(drawn, GRAPH_SPACING);
  }, [edges, isDrawn, look.isFree]);
  const marked = useMemo(() => {
    const wanted = find.trim().toLowerCase();
    if (wanted === "") return undefined;
    return new Set(names.filter((name) => name.toLowerCase().includes(wanted)));
  }, [names, find]);
  const lines = useMemo(
    () => new Map(edges.map((edge) => [`${edge.parent}\n${edge.child}`, edge])),
    [edges],
  );
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
          value={isAround ? focus : ""}
          onChange={(event) => onLook({ focus: event.target.value })}
        >
          <option value="">All services</option>
          {names.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
        {isAround && (
          <select
            className="input narrow"
            aria-label="How far"
            value={look.hops}
            onChange={(event) => onLook({ hops: Number(event.target.value) })}
          >
            {HOPS.map((hops) => (
              <option key={hops} value={hops}>
                {hops === HOPS_ALL ? "all the way" : plural(hops, "call")}
              </option>
            ))}
          </select>
        )}
        <input
          className="input map-find"
          aria-label="Find a service"
          placeholder="Find a service"
          value={find}
          onChange={(event) => put({ find: event.target.value })}
        />
        <label className="check">
          <input
            type="checkbox"
            checked={look.hidesLeaves}
            onChange={(event) => onLook({ hidesLeaves: event.target.checked })}
          />
          Hide what calls nobody
        </label>
        {isDrawn && (
          <label className="check">
            <input
              type="checkbox"
              checked={look.isFree}
              onChange={(event) => onLook({ isFree: event.target.checked })}
            />
            Without layers
          </label>
        )}
        <span className="faint">
          {plural(nodes, "service")}, {plural(edges.length, "connection")}
          {isTooLarge && !look.asTable ? "; too many for a picture, choose one to look around" : ""}
          {isDrawn && figures.size > 0
            ? "; the bar at the foot of a box is the share of failed spans"
            : ""}
          {before !== undefined && `; ${changesText(edges)}`}
          {marked !== undefined && `; ${plural(marked.size, "service")} found`}
        </span>
      </div>
      {!isDrawn ? (
        <CallTable
          edges={marked === undefined ? edges : edges.filter((edge) => isMarked(marked, edge))}
          seconds={seconds}
          figures={figures}
          compares={before !== undefined}
        />
      ) : (
        <GraphPicture
          layout={layout}
          label={`${plural(nodes, "service")} and the calls between them`}
          textOf={textOf}
          titleOf={(edge) => `${callsText(edge)}, ${rateText(edge.calls / seconds)}`}
          marked={marked}
          {...(before === undefined
            ? {}
            : {
                lookOf: (edge) => {
                  const line = lines.get(`${edge.parent}\n${edge.child}`);
                  const change = line === undefined ? "" : edgeChange(line);
                  return { look: line?.look ?? "", label: change || shortCount(edge.calls) };
                },
              })}
          onChoose={(node) => navigate(`/services/${encodeURIComponent(node.name)}`)}
        />
      )}
    </>
  );
}

function isMarked(marked: ReadonlySet<string>, edge: DependencyEdge): boolean {
  return marked.has(edge.parent) || marked.has(edge.child);
}

function changesText(edges: readonly ComparedEdge[]): string {
  const of = (looks: readonly string[]) => edges.filter(({ look }) => looks.includes(look)).length;
  return `against the time before ${count(of(["new"]))} new, ${count(of(["gone"]))} gone, ${count(of(["more", "less"]))} changed`;
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
  /** The service that is looked at; empty for all. */
  readonly focus: string;
  /** How many calls up and down from there. */
  readonly hops: number;
  readonly hidesLeaves: boolean;
  /** Drawn without layers. */
  readonly isFree: boolean;
  /** Held against as long a time before. */
  readonly compares: boolean;
}

const HOPS_ALL = 99;
const HOPS: readonly number[] = [1, 2, 3, HOPS_ALL];

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
      hops: HOPS.find((hops) => String(hops) === params.get("hops")) ?? 1,
      hidesLeaves: params.get("leaves") === "0",
      isFree: params.get("layout") === "sfdp",
      compares: params.get("vs") === "before",
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
    put("hops", next.hops === 1 ? "" : String(next.hops));
    put("leaves", next.hidesLeaves ? "0" : "");
    put("layout", next.isFree ? "sfdp" : "");
    put("vs", next.compares ? "before" : "");
    navigate(params.size === 0 ? path : `${path}?${params}`, { replace: true });
  };
  return [look, change];
}

function CallTable(props: {
  readonly edges: readonly ComparedEdge[];
  readonly compares: boolean;
  readonly seconds: number;
  readonly figures: ReadonlyMap<string, RedRow>;
}) {
  const sorted = [...props.edges].sort((left, right) => right.calls - left.calls);
  const most = sorted[0]?.calls ?? 1;
  return (
    <div className="panel scrolled">
      <table className="table">
        <TableHead
          columns={[
            "Caller",
            "Called",
            ["Calls", "num"],
            props.compares ? ["Before", "num"] : undefined,
            ["Rate", "num"],
            ["Called fails", "num"],
            ["Share", "hidden"],
          ]}
        />
        <tbody>
          {sorted.map((edge) => (
            <tr key={`${edge.parent}\n${edge.child}`}>
              <td>{edge.parent}</td>
              <td>
                {edge.child === edge.parent ? <span className="faint">itself</span> : edge.child}
              </td>
              <td className="num">{count(edge.calls)}</td>
              {props.compares && (
                <td className="num">
                  {count(edge.before)} <span className="faint">{edgeChange(edge)}</span>
                </td>
              )}
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
