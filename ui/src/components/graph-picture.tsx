// A picture of a graph: boxes in layers, lines between them that keep out of each other's way. What
// is near the box under the pointer stands out.

import { type RefObject, useLayoutEffect, useMemo, useRef, useState } from "react";
import { fitText } from "../base/fit";
import { plural, shortCount } from "../base/format";
import type { GraphLayout, PlacedEdge, PlacedNode, Point } from "../model/graph";

/** What a box takes where there are no layers. */
export const GRAPH_ROOM = { width: 236, height: 74 };
/** Sizes of the boxes, and how far apart they are laid out. */
export const GRAPH_SPACING = { layer: 260, node: 62, waypoint: 26 };
const NODE = { width: 182, height: 42 };
/** As in the styles. */
const NAME_SIZE = 12;
/** So much colour leaves the text readable. */
const HEAT_MAX = 0.24;
/** A larger picture is scrolled: smaller it could not be read. */
const SCALE_MIN = 0.85;

/** What a box says. */
export interface NodeText {
  readonly first: string;
  readonly second: string;
  readonly title: string;
  /** 0 to 1; drawn as a bar at the foot of the box. */
  readonly errorShare: number;
  /** The colour at its edge, if it has one of its own. */
  readonly color?: string;
  /** 0 to 1; how warm the box is. */
  readonly heat?: number | undefined;
}

export function GraphPicture(props: {
  readonly layout: GraphLayout;
  readonly label: string;
  readonly textOf: (node: PlacedNode) => NodeText;
  readonly titleOf: (edge: PlacedEdge) => string;
  readonly onChoose: (node: PlacedNode) => void;
  /** What a line is drawn as, and what stands on it instead of the number of calls. */
  readonly lookOf?: (edge: PlacedEdge) => { readonly look: string; readonly label: string };
  /** These stand out. */
  readonly marked?: ReadonlySet<string> | undefined;
}) {
  const { layout, marked } = props;
  const [focus, setFocus] = useState<string | undefined>();
  const most = Math.max(1, ...layout.edges.map((edge) => edge.calls));
  const byName = useMemo(() => new Map(layout.nodes.map((node) => [node.name, node])), [layout]);
  const near = useMemo(() => {
    if (focus === undefined) return marked;
    const touching = layout.edges.filter((edge) => edge.parent === focus || edge.child === focus);
    return new Set([focus, ...touching.flatMap((edge) => [edge.parent, edge.child])]);
  }, [layout, focus, marked]);
  const touches = (edge: PlacedEdge) => edge.parent === focus || edge.child === focus;
  const box = useRef<HTMLDivElement>(null);
  useBeginning(box, layout);
  return (
    <div className="panel map" ref={box}>
      <svg
        viewBox={`0 0 ${layout.width} ${layout.height}`}
        style={{ maxWidth: layout.width * 1.25, minWidth: layout.width * SCALE_MIN }}
        role="group"
        aria-label={props.label}
      >
        {layout.edges.map((edge) => (
          <Edge
            key={`${edge.parent}\n${edge.child}`}
            edge={edge}
            from={byName.get(edge.parent)}
            to={byName.get(edge.child)}
            width={1 + (3.5 * Math.log1p(edge.calls)) / Math.log1p(most)}
            isStraight={layout.isStraight}
            isOnlyOne={layout.edges.filter((each) => each.parent === edge.parent).length === 1}
            title={props.titleOf(edge)}
            look={`${focus === undefined ? "" : touches(edge) ? "near" : "far"} ${props.lookOf?.(edge).look ?? ""}`}
            label={props.lookOf?.(edge).label ?? shortCount(edge.calls)}
          />
        ))}
        {layout.nodes.map((node) => (
          <Node
            key={node.name}
            node={node}
            text={props.textOf(node)}
            onChoose={() => props.onChoose(node)}
            isFar={near !== undefined && !near.has(node.name)}
            onFocus={setFocus}
          />
        ))}
      </svg>
    </div>
  );
}

/** Where a picture is larger than its box, the box shows where it begins. */
function useBeginning(box: RefObject<HTMLDivElement | null>, layout: GraphLayout): void {
  useLayoutEffect(() => {
    const first = layout.nodes.filter(({ layer }) => layer === 0);
    if (!box.current || first.length === 0 || layout.height === 0) return;
    const middle = first.reduce((sum, { y }) => sum + y, 0) / first.length / layout.height;
    const { scrollHeight, clientHeight } = box.current;
    box.current.scrollTop = middle * scrollHeight - clientHeight / 2;
    box.current.scrollLeft = 0;
  }, [box, layout]);
}

function Edge(props: {
  readonly edge: PlacedEdge;
  readonly from: PlacedNode | undefined;
  readonly to: PlacedNode | undefined;
  readonly width: number;
  readonly look: string;
  readonly label: string;
  readonly title: string;
  readonly isOnlyOne: boolean;
  readonly isStraight: boolean;
}) {
  const { edge, from, to } = props;
  if (!from || !to) return null;
  if (props.isStraight) return <StraightEdge {...props} from={from} to={to} />;
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
      <title>{props.title}</title>
      <path d={lineThrough(points, direction)} strokeWidth={props.width} />
      <polygon
        points={`${last.x + 7 * direction},${last.y} ${last.x},${last.y - 4} ${last.x},${last.y + 4}`}
      />
      <text x={label.x} y={label.y - 4} textAnchor="middle">
        {props.label}
      </text>
    </g>
  );
}

/** From the middle of a box, which covers its beginning, to the edge of the other one. */
function StraightEdge(props: {
  readonly from: PlacedNode;
  readonly to: PlacedNode;
  readonly width: number;
  readonly look: string;
  readonly label: string;
  readonly title: string;
}) {
  const { from, to } = props;
  const [x, y] = [to.x - from.x, to.y - from.y];
  const within = Math.min(
    (NODE.width / 2 + 2) / Math.max(Math.abs(x), 1),
    (NODE.height / 2 + 2) / Math.max(Math.abs(y), 1),
  );
  const share = Math.max(0, 1 - within);
  const end = { x: from.x + x * share, y: from.y + y * share };
  const turn = (Math.atan2(y, x) * 180) / Math.PI;
  const middle = { x: from.x + x * 0.5, y: from.y + y * 0.5 };
  return (
    <g className={`edge ${props.look}`}>
      <title>{props.title}</title>
      <path d={`M${from.x} ${from.y}L${end.x} ${end.y}`} strokeWidth={props.width} />
      <polygon points="0,0 -8,-4 -8,4" transform={`translate(${end.x} ${end.y}) rotate(${turn})`} />
      <text x={middle.x} y={middle.y - 4} textAnchor="middle">
        {props.label}
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
  readonly text: NodeText;
  readonly isFar: boolean;
  readonly onChoose: () => void;
  readonly onFocus: (name: string | undefined) => void;
}) {
  const { node, text } = props;
  const { width, height } = NODE;
  const room = width - 20;
  const [left, top] = [node.x - width / 2, node.y - height / 2];
  const failed = Math.max(text.errorShare > 0 ? 4 : 0, (width - 4) * text.errorShare);
  return (
    <g
      className={props.isFar ? "node far" : "node"}
      role="button"
      tabIndex={0}
      onClick={props.onChoose}
      onKeyDown={(event) => {
        if (event.key === "Enter" || event.key === " ") props.onChoose();
      }}
      onMouseEnter={() => props.onFocus(node.name)}
      onMouseLeave={() => props.onFocus(undefined)}
      onFocus={() => props.onFocus(node.name)}
      onBlur={() => props.onFocus(undefined)}
    >
      <title>{text.title}</title>
      <rect className="box" x={left} y={top} width={width} height={height} rx="6" />
      {text.heat !== undefined && (
        <rect
          className="node-heat"
          x={left + 1}
          y={top + 1}
          width={width - 2}
          height={height - 2}
          rx="5"
          style={{ opacity: HEAT_MAX * text.heat }}
        />
      )}
      {text.color !== undefined && (
        <rect
          x={left + 1}
          y={top + 8}
          width="3"
          height={height - 16}
          style={{ fill: text.color }}
        />
      )}
      {failed > 0 && (
        <rect className="node-failed" x={left + 2} y={top + height - 4} width={failed} height="3" />
      )}
      <text className="node-name" x={left + 12} y={node.y - 3}>
        {fitText(text.first, room, NAME_SIZE)}
      </text>
      <text className="node-calls" x={left + 12} y={node.y + 12}>
        {text.second}
      </text>
    </g>
  );
}

/** In words: how often, out of what. */
export function callsText(edge: PlacedEdge): string {
  return `${edge.parent} → ${edge.child}: ${plural(edge.calls, "call")}`;
}
