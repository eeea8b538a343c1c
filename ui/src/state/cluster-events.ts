// What changed in the cluster while this page was open. The cluster keeps no such list.

import { type EpochMicros, wallClock } from "../base/time";
import { type Cluster, changesBetween } from "../model/cluster";
import { Store, useStore } from "./store";

const EVENTS_MAX = 200;

export interface ClusterEvent {
  readonly time: EpochMicros;
  readonly text: string;
}

const events = new Store<readonly ClusterEvent[]>([]);
let last: Cluster | undefined;

/** Compares with what was seen before. */
export function noteCluster(cluster: Cluster): void {
  const changes = last === undefined ? [] : changesBetween(last, cluster);
  last = cluster;
  if (changes.length === 0) return;
  const time = wallClock();
  const fresh = changes.map((text) => ({ time, text }));
  events.set([...fresh, ...events.get()].slice(0, EVENTS_MAX));
}

/** Latest first. */
export function useClusterEvents(): readonly ClusterEvent[] {
  return useStore(events);
}
