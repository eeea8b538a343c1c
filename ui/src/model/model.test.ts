// Finding, completeness, summaries, the map and the cluster.

import { describe, expect, it } from "vitest";
import { readCluster } from "../api/skua";
import { epochMicros, micros } from "../base/time";
import { buildColumns } from "./build";
import {
  type Alarm,
  askedOf,
  busyOf,
  type Cluster,
  changesBetween,
  changesOf,
  entriesOf,
  growthOf,
  knownBefore,
  lagOf,
  type NodeState,
  routingEpoch,
  summarize,
  uiOf,
} from "./cluster";
import { COMPLETE, explain, parseCompleteness } from "./completeness";
import { detailsOf } from "./details";
import { findRows, needsAttributes, parseFind } from "./find";
import { layoutGraph } from "./graph";
import type { JaegerTrace } from "./jaeger-json";
import { indexPairs } from "./pair-index";
import { decades, extentOf, lengthShare } from "./plot";
import { sortSummaries, summaryFrom, summaryOf, type TraceSummary } from "./summary";
import { sketchTrace } from "./testing";

const TRACE: JaegerTrace = {
  traceID: "1",
  spans: [
    {
      traceID: "1",
      spanID: "00ab",
      operationName: "POST /pay",
      startTime: 0,
      duration: 12_000,
      processID: "p1",
      tags: [
        { key: "span.kind", value: "server" },
        { key: "otel.status_code", value: "ERROR" },
        { key: "otel.status_description", value: "card declined" },
        { key: "http.status_code", value: 500 },
        { key: "db.statement", value: "SELECT 1" },
      ],
      logs: [
        {
          timestamp: 1,
          fields: [
            { key: "event", value: "exception" },
            { key: "x", value: "cache miss" },
          ],
        },
      ],
    },
  ],
  processes: { p1: { serviceName: "checkout", tags: [{ key: "host", value: "node-1" }] } },
};
const BUILT = buildColumns(TRACE);
const PAIRS = indexPairs(TRACE, BUILT.spanOfRow);

describe("find", () => {
  it.each([
    "pay",
    "CHECKOUT",
    "nothing pay",
    "00ab",
    "ab",
    '"select 1"',
    "declined",
    "exception",
    "cache",
    "http.status_code=500",
    "http.status_code>=500",
    "http.status_code!=200",
    "missing!=1",
    "service:checkout",
    'op:"POST /pay"',
    "kind=server",
    "dur>10ms",
    "dur<=12ms",
    "err",
    "err dur>1ms http.status_code<600 pay",
    "-redis",
    "host=NODE-1",
    'db.statement="select 1"',
  ])("%s matches", (text) => {
    expect([...findRows(parseFind(text), BUILT.columns, PAIRS)]).toEqual([1]);
  });

  it.each([
    "",
    "  ",
    "nothing",
    "http.status_code=200",
    "http.status_code>500",
    "service:cart",
    "dur>1s",
    "err -cache",
    "pay dur<1ms",
    "db.statement>5",
    "span.kind",
  ])("“%s” does not match", (text) => {
    expect([...findRows(parseFind(text), BUILT.columns, PAIRS)]).toEqual([0]);
  });

  it.each(["pay", "ab", "service:checkout", "dur>10ms", "err", "kind=server", "status=error"])(
    "%s is found in columns alone",
    (text) => {
      expect([...findRows(parseFind(text), BUILT.columns, undefined)]).toEqual([1]);
    },
  );

  it("knows what only attributes can answer", () => {
    const asks = (text: string) => needsAttributes(parseFind(text));
    expect(["pay", "host=node-1", "-redis", "status=ok"].every(asks)).toBe(true);
    expect(["dur>1s", "err", "service:a", "op=b kind=client", "status=error"].some(asks)).toBe(
      false,
    );
  });
});

describe("completeness", () => {
  it("believes a server that says nothing", () => {
    expect(parseCompleteness(null)).toEqual(COMPLETE);
    expect(parseCompleteness("complete")).toEqual(COMPLETE);
  });

  it("reads what is missing", () => {
    const partial = parseCompleteness(
      "partial; missing=1,2; stale=3; exhausted; limit=100; bytes=9",
    );
    expect(partial).toEqual({
      isComplete: false,
      missing: ["1", "2"],
      stale: ["3"],
      isExhausted: true,
      reason: "",
      limit: 100,
      cutAt: "9 bytes",
    });
    expect(explain(partial)).toHaveLength(5);
    expect(explain(parseCompleteness("partial; truncated=7"))).toEqual([
      "The answer was cut off at 7 spans.",
    ]);
    expect(explain(parseCompleteness("partial"))).toHaveLength(1);
  });
});

describe("details", () => {
  it("sort Jaeger's tags into what OpenTelemetry calls them", () => {
    const trace = sketchTrace([{ id: "a", start: 0, length: 1 }]);
    const span = trace.spans[0];
    if (!span) throw new Error("no span");
    const details = detailsOf(
      {
        ...span,
        tags: [
          { key: "span.kind", value: "client" },
          { key: "otel.status_code", value: "ERROR" },
          { key: "otel.status_description", value: "no" },
          { key: "otel.scope.name", value: "lib" },
          { key: "list", value: [1] },
        ],
        logs: [
          {
            timestamp: 5,
            fields: [
              { key: "event", value: "retry" },
              { key: "n", value: 2 },
            ],
          },
        ],
        references: [
          { refType: "CHILD_OF", traceID: span.traceID, spanID: "p" },
          { refType: "FOLLOWS_FROM", traceID: "ff", spanID: "q" },
        ],
      },
      undefined,
    );
    expect(details).toMatchObject({
      kind: "client",
      status: "ERROR",
      statusMessage: "no",
      attributes: [{ key: "list", value: "[1]" }],
      scope: [{ key: "otel.scope.name", value: "lib" }],
      events: [{ name: "retry", attributes: [{ key: "n", value: 2 }] }],
      links: [{ traceId: "ff", spanId: "q", type: "FOLLOWS_FROM" }],
    });
  });
});

describe("summaries", () => {
  const summary = (traceId: string, start: number, duration: number, errors = 0): TraceSummary => ({
    ...summaryFrom({ traceId }),
    start: epochMicros(start),
    duration: micros(duration),
    errors,
  });

  it("take nanoseconds that no number holds", () => {
    const { start, duration } = summaryFrom({
      traceId: "a",
      startNanos: "1795175439489342001",
      endNanos: "1795175439490208001",
    });
    expect(start).toBeCloseTo(1_795_175_439_489_342, 0);
    expect(duration).toBe(866);
  });

  it("sort in every order, ties by id", () => {
    const traces = [summary("b", 1, 5), summary("a", 1, 9, 2), summary("c", 3, 1)];
    const order = (sort: Parameters<typeof sortSummaries>[1]) =>
      sortSummaries(traces, sort)
        .map((each) => each.traceId)
        .join("");
    expect(order("newest")).toBe("cab");
    expect(order("oldest")).toBe("abc");
    expect(order("longest")).toBe("abc");
    expect(order("shortest")).toBe("cba");
    expect(order("mostErrors")).toBe("abc");
  });

  it("come from whole traces too", () => {
    const whole = summaryOf(
      sketchTrace([
        { id: "a", start: 0, length: 10, service: "x" },
        { id: "b", parent: "a", start: 1, length: 2, service: "y", failed: true },
      ]),
    );
    expect(whole).toMatchObject({ rootService: "x", spans: 2, errors: 1, duration: 10 });
    expect(whole.services).toEqual([
      { name: "x", spans: 1, errors: 0 },
      { name: "y", spans: 1, errors: 1 },
    ]);
  });

  it("have a place in the plot", () => {
    const extent = extentOf([summary("a", 10, 150), summary("b", 20, 90_000)]);
    expect(decades(extent)).toEqual([100, 1_000, 10_000, 100_000]);
    expect(lengthShare(extent, 100)).toBe(0);
    expect(lengthShare(extent, 100_000)).toBe(1);
  });
});

describe("the map", () => {
  const spacing = { layer: 100, node: 50, waypoint: 20 };
  const edge = (parent: string, child: string, calls = 1) => ({ parent, child, calls });

  it("puts callers before the called", () => {
    const { nodes } = layoutGraph([edge("a", "b"), edge("b", "c"), edge("a", "c")], spacing);
    const layer = (name: string) => nodes.find((node) => node.name === name)?.layer;
    expect([layer("a"), layer("b"), layer("c")]).toEqual([0, 1, 2]);
  });

  it("leads long lines around the layers between", () => {
    const { edges } = layoutGraph([edge("a", "b"), edge("b", "c"), edge("a", "c")], spacing);
    expect(edges.map((each) => each.waypoints.length)).toEqual([0, 0, 1]);
  });

  it("cuts circles and counts own calls apart", () => {
    const { nodes, edges } = layoutGraph(
      [edge("a", "b", 3), edge("b", "a", 2), edge("b", "b", 7)],
      spacing,
    );
    expect(edges.filter((each) => each.isBack)).toHaveLength(1);
    expect(nodes.find((node) => node.name === "b")).toMatchObject({
      callsIn: 3,
      callsOut: 2,
      callsOwn: 7,
    });
  });

  it("keeps services of a layer apart", () => {
    const { nodes, height } = layoutGraph(
      ["b", "c", "d", "e"].map((child) => edge("a", child)),
      spacing,
    );
    const ys = nodes
      .filter((node) => node.layer === 1)
      .map((node) => node.y)
      .sort((left, right) => left - right);
    for (const [index, y] of ys.entries()) {
      if (index > 0) expect(y - (ys[index - 1] ?? 0)).toBeGreaterThanOrEqual(49.999);
    }
    expect(height).toBeGreaterThanOrEqual(200);
  });

  it("takes nothing", () => {
    expect(layoutGraph([], spacing).nodes).toEqual([]);
  });
});

describe("the address of another node's UI", () => {
  const clusterOf = (...addresses: string[]) => {
    const nodes = addresses.map((address, index) => ({
      id: String(index),
      name: `n${index}`,
      address,
      ui: undefined,
      state: "ready" as const,
      down: undefined,
      version: "1",
      diskUsedBytes: 0,
      diskFreeBytes: 0,
      zone: "",
      process: undefined,
      clockAhead: undefined,
      queries: undefined,
      oldest: undefined,
      spansTaken: undefined,
      dataBytesMax: undefined,
    }));
    return {
      nodes,
      shards: [],
      alarms: [],
      events: [],
      retention: undefined,
      epochs: [],
      sampling: undefined,
    };
  };
  const addressesOf = (...addresses: string[]) => {
    const cluster = clusterOf(...addresses);
    return cluster.nodes.map((node) => uiOf(cluster, node, "https:"));
  };

  it("is what the node says, if it says something", () => {
    const { nodes } = readCluster({
      nodes: [
        { id: "1", name: "a", address: "10.0.0.1:7947", ui: "http://10.0.0.1:8080/skua/" },
        { id: "2", name: "b", address: "10.0.0.2:7947", ui: "https://b" },
        { id: "3", name: "c", address: "10.0.0.3:7947", ui: "javascript:alert(1)" },
        { id: "4", name: "d", address: "10.0.0.4:7947" },
      ],
    });
    expect(nodes.map((node) => node.ui)).toEqual([
      "http://10.0.0.1:8080/skua/",
      "https://b/",
      undefined,
      undefined,
    ]);
    const said = nodes.map((node) =>
      uiOf(
        {
          nodes,
          shards: [],
          alarms: [],
          events: [],
          retention: undefined,
          epochs: [],
          sampling: undefined,
        },
        node,
        "http:",
      ),
    );
    expect(said.slice(0, 2)).toEqual(["http://10.0.0.1:8080/skua/", "https://b/"]);
  });

  it("has the port that the node which answers has", () => {
    expect(addressesOf("10.0.0.1:16686", "10.0.0.2:7947", "[::1]:7947")).toEqual([
      "https://10.0.0.1:16686/",
      "https://10.0.0.2:16686/",
      "https://[::1]:16686/",
    ]);
  });

  it("is what is said where all say the same, or each something else", () => {
    const same = ["a:1", "b:1", "c:1"];
    expect(addressesOf(...same)).toEqual(same.map((each) => `https://${each}/`));
    const singly = ["a:1", "b:2", "c:3"];
    expect(addressesOf(...singly)).toEqual(singly.map((each) => `https://${each}/`));
  });

  it("is nothing where there is none", () => {
    for (const odd of ["", "node", "x/y:1", "a@b:80", "a:b:1", "a:80/x", "a:123456"]) {
      expect(addressesOf(odd)).toEqual([undefined]);
    }
  });
});

describe("the cluster", () => {
  const node = (id: string, state: NodeState = "ready") => ({
    id,
    name: id,
    address: "",
    ui: undefined,
    state,
    down: undefined,
    version: "",
    diskUsedBytes: 0,
    diskFreeBytes: 0,
    zone: "",
    process: undefined,
    clockAhead: undefined,
    queries: undefined,
    oldest: undefined,
    spansTaken: undefined,
    dataBytesMax: undefined,
  });
  const replica = (of: string, lag = 0) => ({
    node: of,
    state: "present" as const,
    applied: 1,
    lag,
    spans: 5,
    bytes: 10,
  });
  const alarms: readonly Alarm[] = [];
  const rest = { alarms, events: [], retention: undefined, epochs: [], sampling: undefined };

  it("is well when every shard is led and every node ready", () => {
    const summary = summarize({
      nodes: [node("a"), node("b")],
      shards: [{ id: 0, epoch: 1, leader: "a", replicas: [replica("a"), replica("b")] }],
      ...rest,
    });
    expect(summary).toMatchObject({ health: "ok", spans: 5, bytes: 20, findings: [] });
  });

  it("is degraded with a node missing and failing without a leader", () => {
    const shard = { id: 3, epoch: 1, leader: "a", replicas: [replica("a"), replica("b")] };
    const nodes = [node("a"), node("b", "draining")];
    expect(summarize({ nodes, shards: [shard], ...rest }).health).toBe("degraded");
    const leaderless = { ...shard, leader: undefined };
    expect(summarize({ nodes, shards: [leaderless], ...rest }).health).toBe("failing");
    const lagging = { ...shard, replicas: [replica("a"), replica("a", 5_000)] };
    const summary = summarize({ nodes: [node("a")], shards: [lagging], ...rest });
    expect(summary.findings).toHaveLength(1);
  });

  it("is read as nodes tell it: down, unreachable, absent, alarms", () => {
    const cluster = readCluster({
      nodes: [
        {
          id: "a",
          name: "a",
          state: "ready",
          version: "1",
          zone: "rack-1",
          process: { uptime_seconds: 100, cpu_seconds: 25, resident_bytes: 9 },
          clock_ahead_ns: -2_500_000,
          queries: { answered: 9, p99_seconds: 0.25 },
          oldest_ns: 7_000_000,
          disk: { used_bytes: 1, free_bytes: 2, data_bytes_max: 3 },
        },
        { id: "b", name: "b", state: "down", down: { since_ns: 5_000_000, seconds: 61 } },
        { id: "c", name: "c", state: "asleep", version: "" },
      ],
      shards: [
        {
          id: 4,
          epoch: 1,
          leader: null,
          replicas: [
            { node: "a", state: "present", applied: 7, lag: 1, spans: 2, bytes: 3 },
            { node: "b", state: "unreachable" },
            { node: "c", state: "absent" },
          ],
        },
      ],
      alarms: [{ kind: "under-replicated", text: "shard 4 is thin", shard: 4, seconds: 61 }],
      retention_seconds: 3_600,
      epochs: [
        { id: 1, shards: 2, state: "active" },
        { id: 2, shards: 4, state: "dreaming" },
      ],
      sampling: { digest: "1f", bytes: 9, revision: 3 },
    });
    expect(cluster.epochs.map(({ shards, state }) => [shards, state])).toEqual([
      [2, "active"],
      [4, "unknown"],
    ]);
    expect(routingEpoch(cluster.epochs)?.id).toBe(1);
    expect(cluster.sampling).toEqual({ digest: "1f", bytes: 9, revision: 3 });
    expect(readCluster({}).sampling).toBeUndefined();
    expect(cluster.nodes.map(({ state }) => state)).toEqual(["ready", "down", "unknown"]);
    expect(cluster.nodes[1]?.down).toEqual({ since: 5_000, seconds: 61 });
    const [first, second] = cluster.nodes;
    expect([first?.zone, first?.clockAhead, first?.process?.residentBytes]).toEqual([
      "rack-1",
      -2_500,
      9,
    ]);
    expect([first?.queries, first?.oldest, first?.dataBytesMax, cluster.retention]).toEqual([
      { answered: 9, p99: 250_000 },
      7_000,
      3,
      3_600_000_000,
    ]);
    expect([second?.queries, second?.oldest, second?.dataBytesMax]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(summarize(cluster)).toMatchObject({ queryP99: 250_000, oldest: 7_000 });
    expect([second?.zone, second?.clockAhead, second?.process]).toEqual(["", undefined, undefined]);
    const replicas = cluster.shards[0]?.replicas.map(({ state }) => state);
    expect(replicas).toEqual(["present", "unreachable", "absent"]);
    expect(cluster.alarms).toEqual([
      { kind: "under-replicated", text: "shard 4 is thin", shard: 4, seconds: 61 },
    ]);
    expect(["a", "b", "c"].map((id) => lagOf(cluster, id))).toEqual([1, undefined, undefined]);
    // The alarm says which shard is thin, so the page does not say it twice.
    expect(summarize(cluster).findings.join(" ")).not.toContain("Copies are missing");
    expect(summarize({ ...cluster, alarms }).findings).toContain("Copies are missing: shard 4.");
    const now = epochMicros(100_000_000);
    expect(knownBefore(cluster, now)).toEqual([
      { time: 39_000_000, text: "Alarm: shard 4 is thin.", shard: 4 },
      { time: 5_000, text: "Node b stopped answering.", node: "b" },
    ]);
  });

  it("tells how busy a node is between two looks, and since its start before that", () => {
    const process = (cpuSeconds: number, uptimeSeconds = 100) => ({
      uptimeSeconds,
      cpuSeconds,
      residentBytes: 0,
    });
    expect(busyOf(process(25), undefined, 0)).toBe(0.25);
    expect(busyOf(process(35), process(25), 5)).toBe(2);
    expect(busyOf(process(1, 2), process(25), 5)).toBe(0.5);
    expect(busyOf(process(0, 0), undefined, 0)).toBeUndefined();
  });

  it("tells how much a node is asked between two looks", () => {
    const asked = (answered: number) => ({ ...node("a"), queries: { answered, p99: undefined } });
    expect(askedOf(asked(30), asked(10), 5)).toBe(4);
    expect(askedOf(asked(3), asked(10), 5)).toBeUndefined();
    expect(askedOf(asked(3), node("a"), 5)).toBeUndefined();
    expect(askedOf(asked(3), undefined, 0)).toBeUndefined();
  });

  it("is degraded while an alarm stands", () => {
    const alarm = { kind: "name-clash", text: "two nodes", shard: undefined, seconds: 0 };
    expect(summarize({ nodes: [node("a")], shards: [], ...rest, alarms: [alarm] }).health).toBe(
      "degraded",
    );
  });

  it("tells what changed between two looks", () => {
    const shard = { id: 3, epoch: 1, leader: "a", replicas: [replica("a"), replica("b")] };
    const alarm = { kind: "under-replicated", text: "shard 3 is thin", shard: 3, seconds: 1 };
    const before = { nodes: [node("a"), node("b")], shards: [shard], ...rest };
    const after = {
      nodes: [node("a", "draining"), node("c")],
      shards: [{ ...shard, leader: undefined, replicas: [{ ...replica("a"), lag: 5_000 }] }],
      ...rest,
      alarms: [alarm],
    };
    const texts = (from: Cluster, to: Cluster) => changesBetween(from, to).map(({ text }) => text);
    expect(texts(before, after)).toEqual([
      "Node a is draining.",
      "Shard 3 lost its leader a.",
      "a lags behind in shard 3.",
      "Alarm: shard 3 is thin.",
    ]);
    expect(texts(before, before)).toEqual([]);
    expect(texts(after, before)).toEqual(["a caught up in shard 3.", "Over: shard 3 is thin."]);
  });

  it("tells of a shard what happened to it, and to the nodes that have a copy of it", () => {
    const changes = [
      { text: "Node c joined.", node: "c" },
      { text: "Node b left.", node: "b" },
      { text: "Shard 3 is led by a.", shard: 3, node: "a" },
      { text: "Alarm: shard 3 is thin.", shard: 3 },
    ];
    const shard = { id: 3, epoch: 1, leader: "a", replicas: [replica("a"), replica("b")] };
    const other = { id: 4, epoch: 1, leader: "c", replicas: [replica("c")] };
    expect(changesOf(other, changes).map(({ text }) => text)).toEqual(["Node c joined."]);
    expect(changesOf(shard, changes).map(({ text }) => text)).toEqual([
      "Node b left.",
      "Shard 3 is led by a.",
      "Alarm: shard 3 is thin.",
    ]);
  });

  it("counts the entries of a shard by its leader", () => {
    const at = (applied: number, leader: string | undefined = "a") => ({
      ...{ id: 3, epoch: 1, leader },
      replicas: [{ ...replica("a"), applied }, replica("b")],
    });
    expect(entriesOf(at(10), at(40), 5)).toBe(6);
    expect(entriesOf(at(40), at(10), 5)).toBeUndefined();
    expect(entriesOf(undefined, at(10), 5)).toBeUndefined();
    expect(entriesOf(at(10), { ...at(40), leader: undefined }, 5)).toBeUndefined();
  });

  it("grows by the spans of each shard, once", () => {
    const of = (spans: number) => ({
      nodes: [node("a"), node("b")],
      shards: [
        {
          id: 3,
          epoch: 1,
          leader: "a",
          replicas: [
            { ...replica("a"), spans },
            { ...replica("b"), spans: 2 },
          ],
        },
      ],
      ...rest,
    });
    expect(growthOf(of(100), of(400), 5)).toBe(60);
    expect(growthOf(of(400), of(100), 5)).toBeUndefined();
  });
});
