// What happened in the cluster as far as this browser tab has seen it, and what the cluster says of
// before. The cluster keeps no such list. It outlives a reload of the page.

import { type EpochMicros, epochMicros, MICROS_PER_SECOND, wallClock } from "../base/time";
import {
  askedOf,
  busyOf,
  type Cluster,
  changesBetween,
  growthOf,
  knownBefore,
  lagOf,
} from "../model/cluster";
import { Store, useStore } from "./store";

const EVENTS_MAX = 200;
/** Five minutes of looks. */
const LOOKS_MAX = 60;
const KEY = "skua.cluster-events";
/** The same words within so long are the same event: nodes tell times to the second. */
const SAME_MICROS = 30 * MICROS_PER_SECOND;

export interface ClusterEvent {
  readonly time: EpochMicros;
  readonly text: string;
}

/** What numbers were at each look. */
export interface ClusterHistory {
  /** Spans a second; undefined where that cannot be said. */
  readonly growth: readonly (number | undefined)[];
  /** By node id, entries behind; undefined while it did not answer. */
  readonly lag: ReadonlyMap<string, readonly (number | undefined)[]>;
  /** By node id, processors that it keeps busy. */
  readonly busy: ReadonlyMap<string, readonly (number | undefined)[]>;
  /** By node id, queries a second. */
  readonly asked: ReadonlyMap<string, readonly (number | undefined)[]>;
}

const events = new Store<readonly ClusterEvent[]>(load());
const history = new Store<ClusterHistory>({
  growth: [],
  lag: new Map(),
  busy: new Map(),
  asked: new Map(),
});
let last: { readonly cluster: Cluster; readonly time: EpochMicros } | undefined;

/** Compares with what was seen before. */
export function noteCluster(cluster: Cluster): void {
  const time = wallClock();
  const changes =
    last === undefined
      ? knownBefore(cluster, time).filter((event) => !isKnown(event))
      : changesBetween(last.cluster, cluster).map((text) => ({ time, text }));
  noteNumbers(cluster, time);
  last = { cluster, time };
  if (changes.length > 0) keep([...changes, ...events.get()]);
}

function noteNumbers(cluster: Cluster, time: EpochMicros): void {
  const { growth, lag, busy, asked } = history.get();
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
    asked: new Map(
      (last === undefined ? [] : cluster.nodes).map((node) => [
        node.id,
        next(asked.get(node.id) ?? [], askedOf(node, known(node.id), seconds)),
      ]),
    ),
  });
}

function isKnown({ time, text }: ClusterEvent): boolean {
  return events
    .get()
    .some((event) => event.text === text && Math.abs(event.time - time) < SAME_MICROS);
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
    return stored
      .slice(0, EVENTS_MAX)
      .flatMap((each: Partial<ClusterEvent> | null) =>
        typeof each?.time === "number" && typeof each.text === "string"
          ? [{ time: epochMicros(each.time), text: each.text }]
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
