// Two traces as one tree of calls, and as one graph: what only one of them did, and what it did more
// or less often.

import { useMemo } from "react";
import type { ServiceColors } from "../../base/color";
import { count, duration, meanCount, meanPlural, plural } from "../../base/format";
import { micros } from "../../base/time";
import { GRAPH_SPACING, GraphPicture } from "../../components/graph-picture";
import { Service } from "../../components/service";
import { TableHead } from "../../components/table-head";
import type { ComparedPaths, PathPair } from "../../model/compare-paths";
import { layoutGraph, type PlacedNode } from "../../model/graph";

/** Pixels a level, and how many levels are told apart. */
const INDENT = 14;
const INDENT_LEVELS_MAX = 24;
/** A larger picture says nothing any more. */
const GRAPH_PATHS_MAX = 300;

/** What the two sides have, in a word; empty if both have the same. */
function verdict({ left, right }: PathPair): string {
  if (left.spans === 0) return "only B";
  if (right.spans === 0) return "only A";
  if (left.spans === right.spans) return "";
  const more = right.spans - left.spans;
  return `${more > 0 ? "+" : "−"}${meanCount(Math.abs(more))}`;
}

function lookOf({ left, right }: PathPair): "more" | "less" | "same" {
  if (left.spans === right.spans) return "same";
  return right.spans > left.spans ? "more" : "less";
}

export function PathTree(props: {
  readonly compared: ComparedPaths;
  readonly colors: ServiceColors;
}) {
  const { paths, isCut } = props.compared;
  return (
    <>
      <Summary compared={props.compared} />
      <div className="panel scrolled">
        <table className="table compare-paths">
          <TableHead
            columns={[
              "Service and operation, as they were called",
              "B against A",
              ["Spans A", "num"],
              ["Spans B", "num"],
              ["Total A", "num"],
              ["Total B", "num"],
              ["Difference", "num"],
            ]}
          />
          <tbody>
            {paths.map((path) => (
              <PathRow key={path.index} path={path} colors={props.colors} />
            ))}
          </tbody>
        </table>
      </div>
      {isCut && <p className="faint">The first {count(paths.length)} paths.</p>}
    </>
  );
}

function PathRow(props: { readonly path: PathPair; readonly colors: ServiceColors }) {
  const { path } = props;
  const { left, right } = path;
  const said = verdict(path);
  const more = right.total - left.total;
  const shown = (spans: number, text: string) => (spans === 0 ? "–" : text);
  const level = Math.min(path.depth, INDENT_LEVELS_MAX);
  return (
    <tr data-look={lookOf(path)}>
      <td style={{ paddingLeft: 12 + level * INDENT }}>
        <Service name={path.service} colors={props.colors} />{" "}
        <span className="faint">{path.operation}</span>
      </td>
      <td>{said !== "" && <span className={`badge ${lookOf(path)}`}>{said}</span>}</td>
      <td className="num">{shown(left.spans, meanCount(left.spans))}</td>
      <td className="num">{shown(right.spans, meanCount(right.spans))}</td>
      <td className="num">{shown(left.spans, duration(left.total))}</td>
      <td className="num">{shown(right.spans, duration(right.total))}</td>
      <td className="num">
        {more === 0 ? "same" : `${more > 0 ? "+" : "−"}${duration(micros(Math.abs(more)))}`}
      </td>
    </tr>
  );
}

/** How much of the two is alike. */
function Summary(props: { readonly compared: ComparedPaths }) {
  const { paths } = props.compared;
  const of = (test: (path: PathPair) => boolean) => paths.filter(test).length;
  const onlyA = of(({ right }) => right.spans === 0);
  const onlyB = of(({ left }) => left.spans === 0);
  const changed = of(
    ({ left, right }) => left.spans > 0 && right.spans > 0 && left.spans !== right.spans,
  );
  const same = paths.length - onlyA - onlyB - changed;
  return (
    <p className="faint" role="status">
      {plural(paths.length, "path")}: {count(same)} alike, {count(changed)} with another number of
      spans, {count(onlyA)} only in A, {count(onlyB)} only in B
    </p>
  );
}

export function PathPicture(props: { readonly compared: ComparedPaths }) {
  const paths = useMemo(() => props.compared.paths.slice(0, GRAPH_PATHS_MAX), [props.compared]);
  const layout = useMemo(() => {
    const edges = paths
      .filter(({ parent }) => parent >= 0)
      .map(({ index, parent, left, right }) => ({
        parent: String(parent),
        child: String(index),
        calls: Math.max(left.spans, right.spans),
      }));
    return layoutGraph(edges, GRAPH_SPACING);
  }, [paths]);
  const textOf = (node: PlacedNode) => {
    const path = paths[Number(node.name)];
    if (path === undefined) return { first: "", second: "", title: "", errorShare: 0 };
    const { left, right } = path;
    const said = verdict(path);
    const spans = `${meanCount(left.spans)} → ${meanPlural(right.spans, "span")}`;
    const look = lookOf(path);
    return {
      first: path.operation || "(no name)",
      second: said === "" ? meanPlural(left.spans, "span") : `${said} · ${spans}`,
      title: `${path.service}: ${path.operation}, ${spans}${said === "" ? "" : `, ${said}`}`,
      errorShare: 0,
      color: look === "same" ? "var(--line-strong)" : `var(--${look})`,
    };
  };
  const nameOf = (key: string) => paths[Number(key)]?.operation ?? "";
  return (
    <>
      <Summary compared={props.compared} />
      {props.compared.paths.length > paths.length && (
        <p className="faint">The first {count(paths.length)} paths.</p>
      )}
      <GraphPicture
        layout={layout}
        label={plural(layout.nodes.length, "path")}
        textOf={textOf}
        titleOf={(edge) => `${nameOf(edge.parent)} → ${nameOf(edge.child)}`}
        onChoose={() => undefined}
      />
    </>
  );
}
