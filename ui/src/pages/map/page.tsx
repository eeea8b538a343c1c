// Who calls whom: a picture and, for readers and large systems, the same as a table.

import { useEffect, useMemo, useState } from "react";
import { Link } from "wouter";
import { count, plural, shortCount } from "../../base/format";
import { Failure, FirstSteps, Loading, Message, PartialBanner } from "../../components/states";
import {
  type GraphLayout,
  layoutGraph,
  type PlacedEdge,
  type PlacedNode,
  type Point,
} from "../../model/graph";
import type { DependencyEdge } from "../../model/operation";
import { useDependencies, useServices } from "../../state/queries";

const HOUR_MILLIS = 3_600_000;
const LOOKBACKS: readonly (readonly [millis: number, name: string])[] = [
  [HOUR_MILLIS, "Last hour"],
  [24 * HOUR_MILLIS, "Last 24 h"],
  [7 * 24 * HOUR_MILLIS, "Last 7 days"],
];
const SPACING = { layer: 260, node: 62, waypoint: 26 };
const NODE = { width: 182, height: 42 };
/** A larger picture says nothing any more. */
const NODES_MAX = 300;

export function MapPage() {
  const [lookback, setLookback] = useState(24 * HOUR_MILLIS);
  const [asTable, setAsTable] = useState(false);
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
          onChange={(event) => setLookback(Number(event.target.value))}
        >
          {LOOKBACKS.map(([millis, name]) => (
            <option key={millis} value={millis}>
              {name}
            </option>
          ))}
        </select>
        <fieldset className="segmented">
          <legend className="visually-hidden">Show as</legend>
          <button type="button" aria-pressed={!asTable} onClick={() => setAsTable(false)}>
            Picture
          </button>
          <button type="button" aria-pressed={asTable} onClick={() => setAsTable(true)}>
            Table
          </button>
        </fieldset>
      </div>
      {dependencies.isError ? (
        <Failure
          title="The calls between services could not be read"
          error={dependencies.error}
          onRetry={() => void dependencies.refetch()}
        />
      ) : dependencies.data === undefined ? (
        <Loading what="the map" />
      ) : (
        <>
          <PartialBanner
            completeness={dependencies.data.completeness}
            onRetry={() => void dependencies.refetch()}
          />
          <Content
            edges={dependencies.data.value}
            asTable={asTable}
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
  readonly isComplete: boolean;
}) {
  const { edges } = props;
  const services = useServices().data;
  const layout = useMemo(() => layoutGraph(edges, SPACING), [edges]);
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
  if (props.asTable || layout.nodes.length > NODES_MAX) return <CallTable edges={edges} />;
  return <Picture layout={layout} />;
}

function Picture(props: { readonly layout: GraphLayout }) {
  const { layout } = props;
  const [focus, setFocus] = useState<string | undefined>();
  const most = Math.max(1, ...layout.edges.map((edge) => edge.calls));
  const byName = useMemo(() => new Map(layout.nodes.map((node) => [node.name, node])), [layout]);
  const near = useMemo(() => {
    if (focus === undefined) return undefined;
    const touching = layout.edges.filter((edge) => edge.parent === focus || edge.child === focus);
    return new Set([focus, ...touching.flatMap((edge) => [edge.parent, edge.child])]);
  }, [layout, focus]);
  const touches = (edge: PlacedEdge) => edge.parent === focus || edge.child === focus;
  return (
    <div className="panel map">
      <svg
        viewBox={`0 0 ${layout.width} ${layout.height}`}
        style={{ maxWidth: layout.width * 1.25 }}
        role="group"
        aria-label={`${plural(layout.nodes.length, "service")} and the calls between them`}
      >
        {layout.edges.map((edge) => (
          <Edge
            key={`${edge.parent}\n${edge.child}`}
            edge={edge}
            from={byName.get(edge.parent)}
            to={byName.get(edge.child)}
            width={1 + (3.5 * Math.log1p(edge.calls)) / Math.log1p(most)}
            isOnlyOne={layout.edges.filter((each) => each.parent === edge.parent).length === 1}
            look={focus === undefined ? "" : touches(edge) ? "near" : "far"}
          />
        ))}
        {layout.nodes.map((node) => (
          <Node
            key={node.name}
            node={node}
            isFar={near !== undefined && !near.has(node.name)}
            onFocus={setFocus}
          />
        ))}
      </svg>
    </div>
  );
}

function Edge(props: {
  readonly edge: PlacedEdge;
  readonly from: PlacedNode | undefined;
  readonly to: PlacedNode | undefined;
  readonly width: number;
  readonly look: string;
  readonly isOnlyOne: boolean;
}) {
  const { edge, from, to } = props;
  if (!from || !to) return null;
  const direction = edge.isBack ? -1 : 1;
  const points = [
    { x: from.x + direction * (NODE.width / 2), y: from.y },
    // A line passes a layer level, for as far as services are wide there.
    ...edge.waypoints.flatMap(({ x, y }) => [
      { x: x - NODE.width / 2, y },
      { x: x + NODE.width / 2, y },
    ]),
    { x: to.x - direction * (NODE.width / 2 + 7), y: to.y },
  ];
  const last = points[points.length - 1] ?? to;
  const label = labelAt(points, props.isOnlyOne);
  return (
    <g className={`edge ${props.look}`}>
      <title>{`${edge.parent} → ${edge.child}: ${plural(edge.calls, "call")}`}</title>
      <path d={lineThrough(points, direction)} strokeWidth={props.width} />
      <polygon
        points={`${last.x + 7 * direction},${last.y} ${last.x},${last.y - 4} ${last.x},${last.y + 4}`}
      />
      <text x={label.x} y={label.y - 4} textAnchor="middle">
        {shortCount(edge.calls)}
      </text>
    </g>
  );
}

/** A smooth line that is level at every point. */
function lineThrough(points: readonly Point[], direction: number): string {
  return points
    .map(({ x, y }, index) => {
      const before = points[index - 1];
      if (before === undefined) return `M${x} ${y}`;
      const bend = Math.max(30, Math.abs(x - before.x) * 0.45) * direction;
      return `C${before.x + bend} ${before.y} ${x - bend} ${y} ${x} ${y}`;
    })
    .join(" ");
}

/**
 * Where the line is alone: half way through the layers it passes; else near its start if it is
 * the only one there, and near its end if not.
 */
function labelAt(points: readonly Point[], isOnlyOne: boolean): Point {
  const middle = Math.floor((points.length - 1) / 2);
  const [from, to] = points.slice(middle, middle + 2);
  if (!from || !to) return { x: 0, y: 0 };
  const share = points.length > 2 ? 0.5 : isOnlyOne ? 0.24 : 0.76;
  // The height of a curve that is level at both ends.
  const eased = share < 0.5 ? 0.13 : share > 0.5 ? 0.87 : 0.5;
  return { x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * eased };
}

function Node(props: {
  readonly node: PlacedNode;
  readonly isFar: boolean;
  readonly onFocus: (name: string | undefined) => void;
}) {
  const { node } = props;
  const { width, height } = NODE;
  const fits = 22;
  const name = node.name.length > fits ? `${node.name.slice(0, fits - 1)}…` : node.name;
  const own = node.callsOwn > 0 ? `, ${plural(node.callsOwn, "call")} to itself` : "";
  return (
    <Link
      href={`/services/${encodeURIComponent(node.name)}`}
      className={props.isFar ? "node far" : "node"}
      onMouseEnter={() => props.onFocus(node.name)}
      onMouseLeave={() => props.onFocus(undefined)}
      onFocus={() => props.onFocus(node.name)}
      onBlur={() => props.onFocus(undefined)}
    >
      <title>{node.name + own}</title>
      <rect x={node.x - width / 2} y={node.y - height / 2} width={width} height={height} rx="6" />
      <text className="node-name" x={node.x - width / 2 + 12} y={node.y - 3}>
        {name}
      </text>
      <text className="node-calls" x={node.x - width / 2 + 12} y={node.y + 13}>
        {node.callsIn > 0 ? `${shortCount(node.callsIn)} in` : "entry"}
        {node.callsOut > 0 ? ` · ${shortCount(node.callsOut)} out` : ""}
      </text>
    </Link>
  );
}

function CallTable(props: { readonly edges: readonly DependencyEdge[] }) {
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
