// What part of the map is looked at, and where its services are placed.

import { describe, expect, it } from "vitest";
import { layoutForce } from "./force";
import { around, compareEdges, edgeChange, withoutLeaves } from "./map-view";

const call = (parent: string, child: string, calls = 10) => ({ parent, child, calls });
const CHAIN = [call("a", "b"), call("b", "c"), call("c", "d"), call("x", "c"), call("c", "c")];
const named = (edges: readonly { parent: string; child: string }[]) =>
  edges.map(({ parent, child }) => parent + child);

describe("the map", () => {
  it("is looked at around a service, up and down so many calls", () => {
    expect(named(around(CHAIN, "b", 1))).toEqual(["ab", "bc", "cc"]);
    expect(named(around(CHAIN, "b", 2))).toEqual(["ab", "bc", "cd", "cc"]);
    // A caller of what b calls is neither above nor below b.
    expect(named(around(CHAIN, "b", 99))).not.toContain("xc");
    expect(named(around(CHAIN, "nobody", 3))).toEqual([]);
  });

  it("can go without the services that call nobody", () => {
    expect(named(withoutLeaves(CHAIN))).toEqual(["ab", "bc", "xc", "cc"]);
    expect(named(withoutLeaves([call("a", "b")]))).toEqual(["ab"]);
  });

  it("says what is new and what is gone", () => {
    const now = [call("a", "b", 40), call("b", "c", 11), call("n", "b", 1), call("b", "d", 5)];
    const before = [call("a", "b", 10), call("b", "c", 10), call("o", "b", 3), call("b", "d", 10)];
    const said = compareEdges(now, before).map((edge) => [edge.look, edgeChange(edge)]);
    expect(said).toEqual([
      ["more", "×4"],
      ["same", ""],
      ["new", "new"],
      ["less", "−50%"],
      ["gone", "gone"],
    ]);
  });
});

describe("a layout without layers", () => {
  const room = { width: 220, height: 70 };
  const edges = Array.from({ length: 40 }, (_, index) =>
    call(`s${index % 7}`, `s${(index * 5 + 3) % 31}`),
  );

  it("keeps boxes off each other and within the picture", () => {
    const { nodes, width, height } = layoutForce(edges, room);
    for (const [index, one] of nodes.entries()) {
      expect(one.x).toBeGreaterThanOrEqual(room.width / 2 - 1);
      expect(one.x).toBeLessThanOrEqual(width - room.width / 2 + 1);
      expect(one.y).toBeLessThanOrEqual(height - room.height / 2 + 1);
      for (const other of nodes.slice(index + 1)) {
        const isApart =
          Math.abs(one.x - other.x) > room.width * 0.9 ||
          Math.abs(one.y - other.y) > room.height * 0.9;
        expect(isApart, `${one.name} and ${other.name}`).toBe(true);
      }
    }
  });

  it("does not jump when it is asked for again, in whatever order", () => {
    const once = layoutForce(edges, room).nodes.map(({ name, x, y }) => [name, x, y]);
    expect(layoutForce([...edges], room).nodes.map(({ name, x, y }) => [name, x, y])).toEqual(once);
    expect(layoutForce([], room).nodes).toEqual([]);
  });
});
