// The trace as a graph: what called what, how often, and where the time went.

import { useMemo } from "react";
import { duration, plural } from "../../base/format";
import { GRAPH_SPACING, GraphPicture } from "../../components/graph-picture";
import { Segmented } from "../../components/segmented";
import { Message } from "../../components/states";
import { layoutGraph, type PlacedNode } from "../../model/graph";
import { heatOf, matchingPaths, PATHS_MAX, pathGraph, type Shade } from "../../model/trace-graph";
import { useStore } from "../../state/store";
import type { TraceView } from "../../state/trace-view";
import { useUrlChoice } from "../../state/url-state";

const SHADE_NAMES: Readonly<Record<Shade, string>> = {
  service: "Service",
  time: "Time",
  self: "Self time",
};
const SHADE_TITLES: Readonly<Record<Shade, string>> = {
  service: "Each box has the colour of its service",
  time: "The darker a box, the larger its share of the trace",
  self: "The darker a box, the longer it did something itself",
};

export function TraceGraph(props: { readonly view: TraceView }) {
  const { view } = props;
  const [shade, setShade] = useUrlChoice("shade", SHADE_NAMES);
  const { matches } = useStore(view.store);
  const graph = useMemo(() => pathGraph(view.trace), [view]);
  const marked = useMemo(() => matchingPaths(graph, matches), [graph, matches]);
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
      heat: heatOf(node, shade, view.trace.duration),
      ...(color === undefined ? {} : { color: `var(--svc-${color})` }),
    };
  };
  const nameOf = (key: string) => graph.nodes.get(key)?.operation ?? "";
  return (
    <section className="trace-graph" aria-label="Graph">
      <Segmented
        label="Colour by"
        names={SHADE_NAMES}
        titles={SHADE_TITLES}
        value={shade}
        onChoose={setShade}
      />
      {graph.isCut && (
        <p className="faint">
          The first {PATHS_MAX} paths of this trace; the statistics have all of it.
        </p>
      )}
      <GraphPicture
        layout={layout}
        label={plural(layout.nodes.length, "path")}
        textOf={textOf}
        marked={marked}
        titleOf={(edge) =>
          `${nameOf(edge.parent)} → ${nameOf(edge.child)}: ${plural(edge.calls, "call")}`
        }
        onChoose={(placed) => view.select(graph.nodes.get(placed.name)?.row ?? -1)}
      />
    </section>
  );
}
