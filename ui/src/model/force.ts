// A picture of who calls whom without layers: what calls each other is drawn together, the rest
// apart. The same services always come out at the same places: nothing in it is random.

import type { GraphLayout, PlacedNode } from "./graph";
import type { DependencyEdge } from "./operation";

const ROUNDS = 220;
/** Sweeps that push boxes off each other. */
const PUSHES = 120;
/** Room that all take together, against that of their boxes; and how much of it is height. */
const AIR = 1.1;
const TALL = 1.5;
/** The golden angle spreads the services evenly at the start. */
const ANGLE = Math.PI * (3 - Math.sqrt(5));

interface Body {
  readonly name: string;
  x: number;
  y: number;
  moveX: number;
  moveY: number;
}

/** `room` is what a box takes, the space around it included. */
export function layoutForce(
  all: readonly DependencyEdge[],
  room: { readonly width: number; readonly height: number },
): GraphLayout {
  const edges = all.filter((edge) => edge.parent !== edge.child);
  const names = [...new Set(all.flatMap((edge) => [edge.parent, edge.child]))].sort();
  const bodies = new Map(names.map((name, index) => [name, bodyAt(name, index)]));
  settle([...bodies.values()], edges, bodies);
  const across = Math.sqrt(AIR * names.length);
  stretch([...bodies.values()], "x", across * room.width);
  stretch([...bodies.values()], "y", across * room.height * TALL);
  pushApart([...bodies.values()], room);
  const [left, top] = [least(bodies, "x") - room.width / 2, least(bodies, "y") - room.height / 2];
  for (const body of bodies.values()) {
    body.x -= left;
    body.y -= top;
  }
  const nodes = names.map((name) => nodeOf(bodies.get(name), name, all));
  return {
    nodes,
    edges: edges.map((edge) => ({
      ...edge,
      isBack: false,
      waypoints: [],
    })),
    isStraight: true,
    width: Math.max(0, ...nodes.map(({ x }) => x)) + room.width / 2,
    height: Math.max(0, ...nodes.map(({ y }) => y)) + room.height / 2,
  };
}

function bodyAt(name: string, index: number): Body {
  const radius = Math.sqrt(index + 0.5);
  const angle = index * ANGLE;
  return { name, x: radius * Math.cos(angle), y: radius * Math.sin(angle), moveX: 0, moveY: 0 };
}

/** Distances of about one between neighbours; every body pushes every other one. */
function settle(
  bodies: readonly Body[],
  edges: readonly DependencyEdge[],
  byName: ReadonlyMap<string, Body>,
): void {
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const body of bodies) [body.moveX, body.moveY] = [0, 0];
    bodies.forEach((one, index) => {
      for (const other of bodies.slice(index + 1)) pull(one, other, (far) => -1 / far);
    });
    for (const { parent, child } of edges) {
      const [one, other] = [byName.get(parent), byName.get(child)];
      if (one && other) pull(one, other, (far) => far * far * 0.35);
    }
    const heat = 0.6 * (1 - round / ROUNDS) + 0.01;
    for (const body of bodies) {
      // Towards the middle, or what calls nobody would drift away.
      body.moveX -= body.x * 0.16;
      body.moveY -= body.y * 0.16;
      const far = Math.hypot(body.moveX, body.moveY) || 1;
      body.x += (body.moveX / far) * Math.min(far, heat);
      body.y += (body.moveY / far) * Math.min(far, heat);
    }
  }
}

function pull(one: Body, other: Body, force: (far: number) => number): void {
  const [x, y] = [other.x - one.x, other.y - one.y];
  const far = Math.max(Math.hypot(x, y), 0.01);
  const by = force(far) / far;
  one.moveX += x * by;
  one.moveY += y * by;
  other.moveX -= x * by;
  other.moveY -= y * by;
}

/** What was settled in a square gets the shape of a screen, and no more room than it needs. */
function stretch(bodies: readonly Body[], of: "x" | "y", size: number): void {
  const all = bodies.map((body) => body[of]);
  const extent = Math.max(...all) - Math.min(...all);
  for (const body of bodies) body[of] *= extent > 0 ? size / extent : 0;
}

function pushApart(bodies: readonly Body[], room: { width: number; height: number }): void {
  for (let sweep = 0; sweep < PUSHES; sweep += 1) {
    let isApart = true;
    bodies.forEach((one, index) => {
      for (const other of bodies.slice(index + 1)) {
        const [x, y] = [other.x - one.x, other.y - one.y];
        const [tooX, tooY] = [room.width - Math.abs(x), room.height - Math.abs(y)];
        if (tooX <= 0 || tooY <= 0) continue;
        isApart = false;
        // The shorter way out, half of it for each.
        const isAcross = tooX / room.width < tooY / room.height;
        const way = isAcross ? (x < 0 ? -1 : 1) * (tooX / 2) : (y < 0 ? -1 : 1) * (tooY / 2);
        one[isAcross ? "x" : "y"] -= way;
        other[isAcross ? "x" : "y"] += way;
      }
    });
    if (isApart) return;
  }
}

function least(bodies: ReadonlyMap<string, Body>, of: "x" | "y"): number {
  return Math.min(0, ...[...bodies.values()].map((body) => body[of]));
}

function nodeOf(body: Body | undefined, name: string, all: readonly DependencyEdge[]): PlacedNode {
  const calls = (test: (edge: DependencyEdge) => boolean) =>
    all.filter(test).reduce((sum, edge) => sum + edge.calls, 0);
  return {
    name,
    layer: 0,
    x: body?.x ?? 0,
    y: body?.y ?? 0,
    callsIn: calls((edge) => edge.child === name && edge.parent !== name),
    callsOut: calls((edge) => edge.parent === name && edge.child !== name),
    callsOwn: calls((edge) => edge.parent === name && edge.child === name),
  };
}
