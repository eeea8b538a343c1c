// The cluster as one of its nodes sees it, and what to think of it.

import { type EpochMicros, earlier, MICROS_PER_SECOND, type Micros, micros } from "../base/time";

/** `down` does not answer; `unknown` is a word that this page does not know. */
export type NodeState = "ready" | "draining" | "down" | "unknown";

export interface ClusterNode {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  /** Where it serves this page, with a slash at the end; undefined if it has not said. */
  readonly ui: string | undefined;
  readonly state: NodeState;
  /** Since when it has not answered, as far as the asked node knows; undefined while it does. */
  readonly down: Down | undefined;
  readonly version: string;
  readonly diskUsedBytes: number;
  readonly diskFreeBytes: number;
  /** What may fail together with it, such as a rack; empty if nobody said. */
  readonly zone: string;
  /** What its process takes; undefined if it does not answer, or does not say. */
  readonly process: Process | undefined;
  /** By how much its clock is ahead of that of the asked node; undefined if that is not known. */
  readonly clockAhead: Micros | undefined;
  /** What it was asked; undefined if it does not answer, or does not say. */
  readonly queries: Queries | undefined;
  /** Acknowledged to those who sent them here, since its start; undefined if that is not known. */
  readonly spansTaken: number | undefined;
  /** When the oldest hour began of which it holds spans; undefined if it holds none. */
  readonly oldest: EpochMicros | undefined;
  /** How much of its disk data may take; undefined if it does not say. */
  readonly dataBytesMax: number | undefined;
}

export interface Queries {
  /** Since its start. */
  readonly answered: number;
  /** How long all but the slowest hundredth of the last ones took. */
  readonly p99: Micros | undefined;
}

export interface Process {
  readonly uptimeSeconds: number;
  /** Of processors, since its start. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}

/** Clocks that differ by so much make traces look wrong, and are worth a look. */
export const CLOCK_NOTABLE = micros(500_000);
/** Less than this is the way of a message. */
export const CLOCK_SAME = micros(20_000);

/** How many processors a node keeps busy: between two looks, or since its start. */
export function busyOf(
  process: Process,
  before: Process | undefined,
  seconds: number,
): number | undefined {
  // What has used less than before has been started anew.
  const isSame = before !== undefined && process.cpuSeconds >= before.cpuSeconds;
  if (isSame && seconds > 0) return (process.cpuSeconds - before.cpuSeconds) / seconds;
  return process.uptimeSeconds > 0 ? process.cpuSeconds / process.uptimeSeconds : undefined;
}

export interface Down {
  readonly since: EpochMicros;
  readonly seconds: number;
}

/**
 * `unreachable` is meant to be on a node that does not answer, `absent` on one that answers and
 * does not have it (yet). Of both nothing else is known: their figures are 0 and not shown.
 */
export type ReplicaState = "present" | "unreachable" | "absent";

export interface Replica {
  readonly node: string;
  readonly state: ReplicaState;
  readonly applied: number;
  readonly lag: number;
  readonly spans: number;
  readonly bytes: number;
  /** Of all it holds, if that was asked for: equal where copies are. */
  readonly digest?: string | undefined;
}

export interface Shard {
  readonly id: number;
  readonly epoch: number;
  readonly leader: string | undefined;
  readonly replicas: readonly Replica[];
}

/** What the cluster itself says is wrong. */
export interface Alarm {
  readonly kind: string;
  readonly text: string;
  readonly shard: number | undefined;
  /** For how long, as far as the node knows that watches. */
  readonly seconds: number;
}

/** Something that a node saw happen. */
export interface Told {
  readonly time: EpochMicros;
  readonly text: string;
  readonly shard: number | undefined;
  /** A node's id. */
  readonly node: string | undefined;
}

export type EpochState = "preparing" | "fencing" | "active" | "unknown";

/** A version of the ring that leads traces to shards. */
export interface Epoch {
  readonly id: number;
  /** On its ring, those of earlier epochs included. */
  readonly shards: number;
  readonly state: EpochState;
}

/** The latest that is active; undefined if nobody says. */
export function routingEpoch(epochs: readonly Epoch[]): Epoch | undefined {
  return epochs.findLast(({ state }) => state === "active");
}

/** Which strategies clients are told to sample by. */
export interface Sampling {
  /** A name for the content. */
  readonly digest: string;
  readonly bytes: number;
  /** The change of the cluster that put it in force; 0 on a node that is alone. */
  readonly revision: number;
}

export interface Cluster {
  readonly nodes: readonly ClusterNode[];
  readonly shards: readonly Shard[];
  /** What stands longest first. */
  readonly alarms: readonly Alarm[];
  /** What nodes saw since they were started, the latest first; empty if none keeps it. */
  readonly events: readonly Told[];
  /** For how long spans are kept; undefined if nobody says. */
  readonly retention: Micros | undefined;
  /** Ascending; empty if nobody says. */
  readonly epochs: readonly Epoch[];
  /** Undefined if none were set. */
  readonly sampling: Sampling | undefined;
}

export type Health = "ok" | "degraded" | "failing";

export interface Summary {
  readonly health: Health;
  readonly nodesReady: number;
  readonly shardsLed: number;
  /** Of which not all copies are there and answer. */
  readonly shardsThin: number;
  readonly spans: number;
  /** On all replicas. */
  readonly bytes: number;
  /** Of one copy. */
  readonly bytesPerSpan: number | undefined;
  readonly lagMax: number;
  /** Of the node where it is longest; undefined while nobody asked anything. */
  readonly queryP99: Micros | undefined;
  /** When the oldest hour began of which anybody holds spans. */
  readonly oldest: EpochMicros | undefined;
  /** What is wrong, a sentence each. */
  readonly findings: readonly string[];
}

/** Entries behind its leader from which a replica counts as lagging. */
export const LAG_NOTABLE = 1_000;

export function summarize(cluster: Cluster): Summary {
  const ready = new Set(
    cluster.nodes.filter((node) => node.state === "ready").map((node) => node.id),
  );
  const leaderless = cluster.shards.filter((shard) => shard.leader === undefined);
  const thin = cluster.shards.filter((shard) =>
    shard.replicas.some((each) => each.state !== "present" || !ready.has(each.node)),
  );
  const lagMax = Math.max(
    0,
    ...cluster.shards.flatMap((shard) => shard.replicas.map((replica) => replica.lag)),
  );
  const bytes = sumOfReplicas(cluster, (replica) => replica.bytes);
  const copies = sumOfReplicas(cluster, (replica) => replica.spans);
  const findings: string[] = [];
  const named = (shards: readonly Shard[]) =>
    `shard${shards.length === 1 ? "" : "s"} ${shards.map((shard) => shard.id).join(", ")}`;
  if (leaderless.length > 0) findings.push(`No leader: ${named(leaderless)}.`);
  for (const node of cluster.nodes) {
    if (node.state !== "ready") findings.push(`Node ${node.name} ${nowOf(node.state)}.`);
  }
  const silent = cluster.nodes.filter((node) => node.state === "down").length;
  const isMajorityLost = silent > 0 && 2 * silent >= cluster.nodes.length;
  if (isMajorityLost) {
    findings.push(
      `${silent} of ${cluster.nodes.length} nodes do not answer: writes wait, and what is read may lack the latest spans.`,
    );
  }
  const isTold = cluster.alarms.some(({ kind }) => kind === "under-replicated");
  if (thin.length > 0 && !isTold) findings.push(`Copies are missing: ${named(thin)}.`);
  if (lagMax >= LAG_NOTABLE) findings.push("A replica lags behind its leader.");
  return {
    health:
      leaderless.length > 0 || isMajorityLost
        ? "failing"
        : findings.length > 0 || cluster.alarms.length > 0
          ? "degraded"
          : "ok",
    nodesReady: ready.size,
    shardsLed: cluster.shards.length - leaderless.length,
    shardsThin: thin.length,
    spans: sumOfShards(cluster, (replica) => replica.spans),
    bytes,
    bytesPerSpan: copies > 0 ? bytes / copies : undefined,
    lagMax,
    queryP99: extreme(Math.max, cluster, ({ queries }) => queries?.p99),
    oldest: extreme(Math.min, cluster, ({ oldest }) => oldest),
    findings,
  };
}

/** The largest or the smallest of what nodes say; undefined if none does. */
function extreme<T extends number>(
  choose: (...values: number[]) => number,
  { nodes }: Cluster,
  of: (node: ClusterNode) => T | undefined,
): T | undefined {
  const known = nodes.flatMap((node) => of(node) ?? []);
  return known.length === 0 ? undefined : (choose(...known) as T);
}

function nowOf(state: NodeState): string {
  if (state === "down") return "does not answer";
  return state === "unknown" ? "is in a state that this page does not know" : `is ${state}`;
}

/** Each shard counted once, by the replica that has most. */
function sumOfShards(cluster: Cluster, of: (replica: Replica) => number): number {
  return cluster.shards.reduce((sum, shard) => sum + Math.max(0, ...shard.replicas.map(of)), 0);
}

function sumOfReplicas(cluster: Cluster, of: (replica: Replica) => number): number {
  const replicas = cluster.shards.flatMap((shard) => shard.replicas);
  return replicas.reduce((sum, replica) => sum + of(replica), 0);
}

export function leaderCount(cluster: Cluster, node: string): number {
  return cluster.shards.filter((shard) => shard.leader === node).length;
}

export function replicaCount(cluster: Cluster, node: string): number {
  return cluster.shards.filter((shard) => shard.replicas.some((each) => each.node === node)).length;
}

/** How many entries a node is behind, where it is most; undefined if nobody knows. */
export function lagOf(cluster: Cluster, node: string): number | undefined {
  const replicas = cluster.shards.flatMap((shard) => shard.replicas);
  const known = replicas.filter((each) => each.node === node && each.state === "present");
  return known.length === 0 ? undefined : Math.max(...known.map((each) => each.lag));
}

/** Spans a second between two looks, repeats included; undefined where spans went away. */
export function growthOf(before: Cluster, after: Cluster, seconds: number): number | undefined {
  const of = (cluster: Cluster) => sumOfShards(cluster, (replica) => replica.spans);
  const more = of(after) - of(before);
  return seconds > 0 && more >= 0 ? more / seconds : undefined;
}

/** What copies are to each other: `unread` says nothing, for not every one was compared. */
export type Agreement = "alike" | "different" | "unread";

export function agreementOf({ replicas }: Shard): Agreement {
  const digests = replicas.flatMap(({ digest }) => digest ?? []);
  if (new Set(digests).size > 1) return "different";
  return digests.length > 0 && digests.length === replicas.length ? "alike" : "unread";
}

/** Entries a second that a shard's leader applied between two looks; undefined if nobody knows. */
export function entriesOf(
  before: Shard | undefined,
  after: Shard,
  seconds: number,
): number | undefined {
  const of = (shard: Shard | undefined) =>
    shard?.replicas.find(({ node, state }) => node === shard.leader && state === "present")
      ?.applied;
  const [then, now] = [of(before), of(after)];
  if (then === undefined || now === undefined || seconds <= 0 || now < then) return undefined;
  return (now - then) / seconds;
}

/** Queries a second that a node answered between two looks; undefined if that is not known. */
export function askedOf(
  node: ClusterNode,
  before: ClusterNode | undefined,
  seconds: number,
): number | undefined {
  return rateOf(node.queries?.answered, before?.queries?.answered, seconds);
}

/** Spans a second that clients sent to a node between two looks; undefined if that is not known. */
export function takenOf(
  node: ClusterNode,
  before: ClusterNode | undefined,
  seconds: number,
): number | undefined {
  return rateOf(node.spansTaken, before?.spansTaken, seconds);
}

/** Of what is counted since a node's start: what is less than before has been started anew. */
function rateOf(
  now: number | undefined,
  before: number | undefined,
  seconds: number,
): number | undefined {
  if (now === undefined || before === undefined || seconds <= 0 || now < before) return undefined;
  return (now - before) / seconds;
}

/**
 * The root of this page on a node, with a slash at the end; undefined if there is none known. A
 * node that has not said is taken to use the `protocol` of the one that answers, as in `http:`.
 */
export function uiOf(cluster: Cluster, node: ClusterNode, protocol: string): string | undefined {
  if (node.ui !== undefined) return node.ui;
  const guessed = guessedUi(cluster, node);
  return guessed && `${protocol}//${guessed}/`;
}

/**
 * Where a node serves this page if it has not said: by its address. A node tells its own address of
 * the UI, and of the others the one for nodes; all listen on the same ports unless somebody set them singly, so the port of the one
 * that differs is taken for all. Undefined for what is not an address.
 */
function guessedUi(cluster: Cluster, node: ClusterNode): string | undefined {
  const parts = cluster.nodes.map(({ address }) => ADDRESS.exec(address));
  const ports = parts.map((match) => match?.[2]);
  const lone = ports.filter((port) => ports.filter((other) => other === port).length === 1);
  const match = ADDRESS.exec(node.address);
  if (match === null) return undefined;
  const isMixed = cluster.nodes.length > 2 && lone.length === 1;
  return isMixed ? `${match[1]}:${lone[0]}` : node.address;
}

const ADDRESS = /^(\[[0-9a-f:.]+\]|[\w.-]+):(\d{1,5})$/i;

/** Share of a node's disk that is taken, by whatever; undefined if it does not say. */
export function diskShare({ diskUsedBytes, diskFreeBytes }: ClusterNode): number | undefined {
  const all = diskUsedBytes + diskFreeBytes;
  return diskFreeBytes > 0 ? diskUsedBytes / all : undefined;
}

/** Something that happened, as a sentence, and what it was about. */
export interface Change {
  readonly text: string;
  readonly shard?: number;
  /** A node's id. */
  readonly node?: string;
}

/** What happened to a shard: to itself, and to the nodes that have a copy of it. */
export function changesOf<T extends Change>(shard: Shard, changes: readonly T[]): readonly T[] {
  const holders = new Set(shard.replicas.map(({ node }) => node));
  return changes.filter((change) =>
    change.shard === undefined
      ? change.node !== undefined && holders.has(change.node)
      : change.shard === shard.id,
  );
}

/** What had happened before the first look, as far as the cluster says when. */
export function knownBefore(
  cluster: Cluster,
  now: EpochMicros,
): readonly (Change & { readonly time: EpochMicros })[] {
  const ago = (seconds: number) => earlier(now, micros(seconds * MICROS_PER_SECOND));
  return [
    ...cluster.nodes.flatMap(({ id, name, down }) =>
      down === undefined
        ? []
        : [{ time: down.since, text: `Node ${name} stopped answering.`, node: id }],
    ),
    ...cluster.alarms.map(({ text, seconds, shard }) => ({
      time: ago(seconds),
      text: `Alarm: ${text}.`,
      ...(shard === undefined ? {} : { shard }),
    })),
  ].sort((left, right) => right.time - left.time);
}

/**
 * What happened between two looks that no node tells: a node that is alone keeps no list, and of some
 * alarms no node has a book.
 */
export function changesBetween(before: Cluster, after: Cluster): readonly Change[] {
  const changes: Change[] = [];
  const nameOf = (id: string) => after.nodes.find((node) => node.id === id)?.name ?? id;
  for (const node of after.nodes) {
    const say = (text: string) => changes.push({ text, node: node.id });
    const known = before.nodes.find((each) => each.id === node.id);
    if (known === undefined) continue;
    if (known.state !== node.state && node.state === "draining") {
      say(`Node ${node.name} is draining.`);
    }
    if (node.version !== "" && known.version !== "" && known.version !== node.version) {
      say(`Node ${node.name} now runs ${node.version}.`);
    }
  }
  for (const shard of after.shards) {
    const say = (text: string) => changes.push({ text, shard: shard.id });
    const known = before.shards.find((each) => each.id === shard.id);
    if (known !== undefined && known.leader !== undefined && shard.leader === undefined) {
      say(`Shard ${shard.id} lost its leader ${nameOf(known.leader)}.`);
    }
    for (const replica of shard.replicas) {
      const was = known?.replicas.find((each) => each.node === replica.node);
      const lagged = (was?.lag ?? 0) >= LAG_NOTABLE;
      const lags = replica.lag >= LAG_NOTABLE;
      if (lags && !lagged) {
        say(`${nameOf(replica.node)} lags behind in shard ${shard.id}.`);
      } else if (lagged && !lags) {
        say(`${nameOf(replica.node)} caught up in shard ${shard.id}.`);
      }
    }
  }
  const keyOf = ({ kind, shard, text }: Alarm) => `${kind} ${shard ?? text}`;
  const stood = new Map(before.alarms.map((alarm) => [keyOf(alarm), alarm]));
  const stands = new Set(after.alarms.map(keyOf));
  const about = ({ shard }: Alarm) => (shard === undefined ? {} : { shard });
  for (const alarm of after.alarms) {
    if (!stood.has(keyOf(alarm))) changes.push({ text: `Alarm: ${alarm.text}.`, ...about(alarm) });
  }
  for (const [key, alarm] of stood) {
    if (!stands.has(key)) changes.push({ text: `Over: ${alarm.text}.`, ...about(alarm) });
  }
  return changes;
}
