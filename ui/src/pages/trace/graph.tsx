// The trace as a graph: what called what, how often, and where the time went.

import { useMemo } from "react";
import { duration, plural } from "../../base/format";
import { GRAPH_SPACING, GraphPicture } from "../../components/graph-picture";
import { Message } from "../../components/states";
import { layoutGraph, type PlacedNode } from "../../model/graph";
import { PATHS_MAX, pathGraph } from "../../model/trace-graph";
import type { TraceView } from "../../state/trace-view";

export function TraceGraph(props: { readonly view: TraceView }) {
  const { view } = props;
  const graph = useMemo(() => pathGraph(view.trace), [view]);
  const layout = useMemo(() => layoutGraph(graph.edges, GRAPH_SPACING), [graph]);
  if (graph.edges.length === 0) {
    return (
      <Message title="Nothing called anything">
        <p>No span of this trace has its parent in it.</p>
      </Message>
    );
  }
  const textOf = (placed: PlacedNode) => {
    const node = graph.nodes.get(placed.name);
    if (node === undefined) return { first: "", second: "", title: "", errorShare: 0 };
    const times = `${duration(node.total)}, self ${duration(node.self)}`;
    const often = node.spans > 1 ? `${node.spans} × · ` : "";
    const failed = node.errors > 0 ? `, ${plural(node.errors, "error")}` : "";
    const color = view.colors.get(node.service);
    return {
      first: node.operation || "(no name)",
      second: `${often}${times}`,
      title: `${node.service}: ${node.operation}, ${plural(node.spans, "span")}, ${times}${failed}`,
      errorShare: node.errors / node.spans,
      ...(color === undefined ? {} : { color: `var(--svc-${color})` }),
    };
  };
  const nameOf = (key: string) => graph.nodes.get(key)?.operation ?? "";
  return (
    <section className="trace-graph" aria-label="Graph">
      {graph.isCut && (
        <p className="faint">
          The first {PATHS_MAX} paths of this trace; the statistics have all of it.
        </p>
      )}
      <GraphPicture
        layout={layout}
        label={plural(layout.nodes.length, "path")}
        textOf={textOf}
        titleOf={(edge) =>
          `${nameOf(edge.parent)} → ${nameOf(edge.child)}: ${plural(edge.calls, "call")}`
        }
        onChoose={(placed) => view.select(graph.nodes.get(placed.name)?.row ?? -1)}
      />
    </section>
  );
}
