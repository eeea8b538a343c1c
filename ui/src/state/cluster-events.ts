// What happened in the cluster: what its nodes tell, and what this browser tab has seen beside it,
// which outlives a reload of the page.

import { type EpochMicros, epochMicros, MICROS_PER_SECOND, wallClock } from "../base/time";
import {
  askedOf,
  busyOf,
  type Change,
  type Cluster,
  changesBetween,
  entriesOf,
  growthOf,
  knownBefore,
  lagOf,
  type Told,
  takenOf,
} from "../model/cluster";
import { Store, useStore } from "./store";

/** More than the nodes tell at once. */
const EVENTS_MAX = 512;
/** Five minutes of looks. */
const LOOKS_MAX = 60;
const KEY = "skua.cluster-events";
/** The same words within so long are the same event: nodes tell times to the second. */
const SAME_MICROS = 30 * MICROS_PER_SECOND;

export interface ClusterEvent extends Change {
  readonly time: EpochMicros;
}

/** What numbers of a shard were at each look. */
export interface ShardLooks {
  /** Entries a second that its leader applied. */
  readonly entries: readonly (number | undefined)[];
  /** By node id, entries that its copy was behind; undefined while that was not known. */
  readonly lag: ReadonlyMap<string, readonly (number | undefined)[]>;
}

/** What numbers were at each look. */
export interface ClusterHistory {
  /** Spans a second; undefined where that cannot be said. */
  readonly growth: readonly (number | undefined)[];
  /** By node id, entries behind; undefined while it did not answer. */
  readonly lag: ReadonlyMap<string, readonly (number | undefined)[]>;
  /** By node id, processors that it keeps busy. */
  readonly busy: ReadonlyMap<string, readonly (number | undefined)[]>;
  /** By node id, spans a second that clients sent to it. */
  readonly taken: ReadonlyMap<string, readonly (number | undefined)[]>;
  /** By node id, queries a second. */
  readonly asked: ReadonlyMap<string, readonly (number | undefined)[]>;
  /** By number. */
  readonly shards: ReadonlyMap<number, ShardLooks>;
}

const events = new Store<readonly ClusterEvent[]>(load());
const history = new Store<ClusterHistory>({
  growth: [],
  lag: new Map(),
  busy: new Map(),
  taken: new Map(),
  asked: new Map(),
  shards: new Map(),
});
let last: { readonly cluster: Cluster; readonly time: EpochMicros } | undefined;

/** Compares with what was seen before. */
export function noteCluster(cluster: Cluster): void {
  const time = wallClock();
  const seen =
    last === undefined
      ? knownBefore(cluster, time)
      : changesBetween(last.cluster, cluster).map((change) => ({ ...change, time }));
  noteNumbers(cluster, time);
  last = { cluster, time };
  const known = [...events.get()];
  for (const event of [...cluster.events.map(eventOf), ...seen]) {
    if (!known.some((other) => isSame(event, other))) known.push(event);
  }
  if (known.length > events.get().length) keep(known);
}

function eventOf({ time, text, shard, node }: Told): ClusterEvent {
  return {
    time,
    text,
    ...(shard === undefined ? {} : { shard }),
    ...(node === undefined ? {} : { node }),
  };
}

function isSame(event: ClusterEvent, other: ClusterEvent): boolean {
  return event.text === other.text && Math.abs(event.time - other.time) < SAME_MICROS;
}

function noteNumbers(cluster: Cluster, time: EpochMicros): void {
  const { growth, lag, busy, taken, asked, shards } = history.get();
  const seconds = last === undefined ? 0 : (time - last.time) / MICROS_PER_SECOND;
  const grown = last === undefined ? undefined : growthOf(last.cluster, cluster, seconds);
  const next = <T>(values: readonly T[], value: T) => [...values, value].slice(-LOOKS_MAX);
  const known = (id: string) => last?.cluster.nodes.find((node) => node.id === id);
  history.set({
    growth: last === undefined ? growth : next(growth, grown),
    lag: new Map(cluster.nodes.map(({ id }) => [id, next(lag.get(id) ?? [], lagOf(cluster, id))])),
    busy: new Map(
      cluster.nodes.map(({ id, process }) => {
        const before = known(id)?.process;
        return [id, next(busy.get(id) ?? [], process && busyOf(process, before, seconds))];
      }),
    ),
    // One look alone says nothing.
    taken: new Map(
      (last === undefined ? [] : cluster.nodes).map((node) => [
        node.id,
        next(taken.get(node.id) ?? [], takenOf(node, known(node.id), seconds)),
      ]),
    ),
    asked: new Map(
      (last === undefined ? [] : cluster.nodes).map((node) => [
        node.id,
        next(asked.get(node.id) ?? [], askedOf(node, known(node.id), seconds)),
      ]),
    ),
    shards: new Map(
      cluster.shards.map((shard) => {
        const looks = shards.get(shard.id);
        const before = last?.cluster.shards.find(({ id }) => id === shard.id);
        const entries = last === undefined ? [] : [entriesOf(before, shard, seconds)];
        return [
          shard.id,
          {
            entries: [...(looks?.entries ?? []), ...entries].slice(-LOOKS_MAX),
            lag: new Map(
              shard.replicas.map(({ node, state, lag: behind }) => [
                node,
                next(looks?.lag.get(node) ?? [], state === "present" ? behind : undefined),
              ]),
            ),
          },
        ];
      }),
    ),
  });
}

function keep(all: readonly ClusterEvent[]): void {
  events.set([...all].sort((left, right) => right.time - left.time).slice(0, EVENTS_MAX));
  try {
    sessionStorage.setItem(KEY, JSON.stringify(events.get()));
  } catch {
    // A browser that keeps nothing shows them until the page is reloaded.
  }
}

function load(): readonly ClusterEvent[] {
  try {
    const stored: unknown = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
    if (!Array.isArray(stored)) return [];
    return stored.slice(0, EVENTS_MAX).flatMap((each: Partial<ClusterEvent> | null) =>
      typeof each?.time === "number" && typeof each.text === "string"
        ? [
            {
              time: epochMicros(each.time),
              text: each.text,
              ...(typeof each.shard === "number" ? { shard: each.shard } : {}),
              ...(typeof each.node === "string" ? { node: each.node } : {}),
            },
          ]
        : [],
    );
  } catch {
    return [];
  }
}

/** Latest first. */
export function useClusterEvents(): readonly ClusterEvent[] {
  return useStore(events);
}

export function useClusterHistory(): ClusterHistory {
  return useStore(history);
}
