// A layered picture of who calls whom: callers left, called right, few crossings.
//
// Layers are the longest paths from the services that nobody calls, with calls that close a
// circle left out of account. A call across several layers gets a waypoint in each of those
// between, so that its line runs around services and not behind them. The order within a layer
// follows the middle of the neighbours, and so do the heights.

import type { DependencyEdge } from "./operation";

export interface PlacedNode {
  readonly name: string;
  readonly layer: number;
  /** Centre. */
  readonly x: number;
  readonly y: number;
  readonly callsIn: number;
  readonly callsOut: number;
  /** Calls to itself. */
  readonly callsOwn: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface PlacedEdge extends DependencyEdge {
  /** Closes a circle, so it runs against the direction of the picture. */
  readonly isBack: boolean;
  /** Where the line passes between caller and called. */
  readonly waypoints: readonly Point[];
}

export interface GraphLayout {
  readonly nodes: readonly PlacedNode[];
  readonly edges: readonly PlacedEdge[];
  /** Lines go straight from box to box; otherwise by their waypoints. */
  readonly isStraight: boolean;
  readonly width: number;
  readonly height: number;
}

export interface Spacing {
  /** From layer to layer. */
  readonly layer: number;
  /** From service to service within a layer. */
  readonly node: number;
  /** The room of a waypoint. */
  readonly waypoint: number;
}

const SWEEPS = 12;

/** A service, or a waypoint of a call that passes its layer. */
interface Vertex {
  readonly name: string;
  readonly layer: number;
  readonly size: number;
  readonly before: Vertex[];
  readonly after: Vertex[];
  place: number;
  y: number;
}

export function layoutGraph(all: readonly DependencyEdge[], spacing: Spacing): GraphLayout {
  const edges = all.filter((edge) => edge.parent !== edge.child);
  const names = [...new Set(all.flatMap((edge) => [edge.parent, edge.child]))].sort();
  const back = backEdges(names, edges);
  const forward = edges.filter((edge) => !back.has(edge));
  const layerOf = assignLayers(names, forward);
  const services = new Map(
    names.map((name) => [name, vertex(name, layerOf.get(name) ?? 0, spacing.node)]),
  );
  const paths = new Map(forward.map((edge) => [edge, connect(edge, services, spacing)]));
  const layers = layersOf([...services.values(), ...[...paths.values()].flat()]);
  orderLayers(layers);
  const height = assignHeights(layers);
  const x = (of: Vertex) => (of.layer + 0.5) * spacing.layer;
  return {
    nodes: [...services.values()].map((of) => ({
      name: of.name,
      layer: of.layer,
      x: x(of),
      y: of.y,
      callsIn: sum(edges, (edge) => edge.child === of.name),
      callsOut: sum(edges, (edge) => edge.parent === of.name),
      callsOwn: sum(all, (edge) => edge.parent === of.name && edge.child === of.name),
    })),
    edges: edges.map((edge) => ({
      ...edge,
      isBack: back.has(edge),
      waypoints: (paths.get(edge) ?? []).map((of) => ({ x: x(of), y: of.y })),
    })),
    isStraight: false,
    width: layers.length * spacing.layer,
    height,
  };
}

function sum(edges: readonly DependencyEdge[], of: (edge: DependencyEdge) => boolean): number {
  return edges.reduce((total, edge) => total + (of(edge) ? edge.calls : 0), 0);
}

function vertex(name: string, layer: number, size: number): Vertex {
  return { name, layer, size, before: [], after: [], place: 0, y: 0 };
}

/** Edges to a service that is already on the way, found depth first. */
function backEdges(
  names: readonly string[],
  edges: readonly DependencyEdge[],
): Set<DependencyEdge> {
  const out = groupBy(edges, (edge) => edge.parent);
  const called = new Set(edges.map((edge) => edge.child));
  const back = new Set<DependencyEdge>();
  const done = new Set<string>();
  const onTheWay = new Set<string>();
  const roots = [...names.filter((name) => !called.has(name)), ...names];
  for (const root of roots) {
    if (done.has(root)) continue;
    const stack = [{ name: root, next: 0 }];
    onTheWay.add(root);
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      if (!top) break;
      const edge = out.get(top.name)?.[top.next];
      top.next += 1;
      if (edge === undefined) {
        onTheWay.delete(top.name);
        done.add(top.name);
        stack.pop();
      } else if (onTheWay.has(edge.child)) {
        back.add(edge);
      } else if (!done.has(edge.child)) {
        onTheWay.add(edge.child);
        stack.push({ name: edge.child, next: 0 });
      }
    }
  }
  return back;
}

function assignLayers(
  names: readonly string[],
  forward: readonly DependencyEdge[],
): Map<string, number> {
  const incoming = new Map(names.map((name) => [name, 0]));
  for (const { child } of forward) incoming.set(child, (incoming.get(child) ?? 0) + 1);
  const out = groupBy(forward, (edge) => edge.parent);
  const layerOf = new Map(names.map((name) => [name, 0]));
  const ready = names.filter((name) => incoming.get(name) === 0);
  for (let name = ready.pop(); name !== undefined; name = ready.pop()) {
    for (const { child } of out.get(name) ?? []) {
      layerOf.set(child, Math.max(layerOf.get(child) ?? 0, (layerOf.get(name) ?? 0) + 1));
      const left = (incoming.get(child) ?? 0) - 1;
      incoming.set(child, left);
      if (left === 0) ready.push(child);
    }
  }
  return layerOf;
}

/** Joins caller and called, by way of the waypoints that it returns. */
function connect(
  edge: DependencyEdge,
  services: ReadonlyMap<string, Vertex>,
  spacing: Spacing,
): Vertex[] {
  const from = services.get(edge.parent);
  const to = services.get(edge.child);
  const waypoints: Vertex[] = [];
  if (!from || !to) return waypoints;
  let last = from;
  for (let layer = from.layer + 1; layer <= to.layer; layer += 1) {
    const next: Vertex = layer === to.layer ? to : vertex("", layer, spacing.waypoint);
    if (next !== to) waypoints.push(next);
    last.after.push(next);
    next.before.push(last);
    last = next;
  }
  return waypoints;
}

function layersOf(vertices: readonly Vertex[]): Vertex[][] {
  const layers: Vertex[][] = [];
  for (const each of vertices) {
    while (layers.length <= each.layer) layers.push([]);
    layers[each.layer]?.push(each);
  }
  return layers;
}

function orderLayers(layers: readonly Vertex[][]): void {
  const settle = (layer: readonly Vertex[]) => {
    layer.forEach((each, index) => {
      each.place = (index + 0.5) / layer.length;
    });
  };
  layers.forEach(settle);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const isDown = sweep % 2 === 0;
    for (const layer of isDown ? layers : [...layers].reverse()) {
      const wanted = new Map(
        layer.map((each) => {
          const near = isDown ? each.before : each.after;
          return [each, mean(near, (other) => other.place) ?? each.place];
        }),
      );
      layer.sort((left, right) => (wanted.get(left) ?? 0) - (wanted.get(right) ?? 0));
      settle(layer);
    }
  }
}

function mean(of: readonly Vertex[], value: (each: Vertex) => number): number | undefined {
  if (of.length === 0) return undefined;
  return of.reduce((total, each) => total + value(each), 0) / of.length;
}

/** Every vertex as near to its neighbours as the order and its room allow. */
function assignHeights(layers: readonly Vertex[][]): number {
  for (const layer of layers) {
    spread(
      layer,
      layer.map(() => 0),
    );
  }
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const layer of sweep % 2 === 0 ? layers : [...layers].reverse()) {
      spread(
        layer,
        layer.map((each) => mean([...each.before, ...each.after], (other) => other.y) ?? each.y),
      );
    }
  }
  const all = layers.flat();
  const top = Math.min(0, ...all.map((each) => each.y - each.size / 2));
  for (const each of all) each.y -= top;
  return Math.max(0, ...all.map((each) => each.y + each.size / 2));
}

/** Places a layer at the wanted heights, pushed apart evenly where they are too close. */
function spread(layer: readonly Vertex[], wanted: readonly number[]): void {
  interface Block {
    readonly members: Vertex[];
    /** Sum over the members of the wanted top of the block. */
    total: number;
    size: number;
  }
  const blocks: Block[] = [];
  const topOf = (block: Block) => block.total / block.members.length;
  layer.forEach((each, index) => {
    let block: Block = {
      members: [each],
      total: (wanted[index] ?? 0) - each.size / 2,
      size: each.size,
    };
    for (let above = blocks.at(-1); above; above = blocks.at(-1)) {
      if (topOf(above) + above.size <= topOf(block)) break;
      blocks.pop();
      block = {
        members: [...above.members, ...block.members],
        total: above.total + block.total - above.size * block.members.length,
        size: above.size + block.size,
      };
    }
    blocks.push(block);
  });
  for (const block of blocks) {
    let y = topOf(block);
    for (const each of block.members) {
      each.y = y + each.size / 2;
      y += each.size;
    }
  }
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}
