// The cluster as one of its nodes sees it, and what to think of it.

export type NodeState = "starting" | "ready" | "draining" | "unknown";

export interface ClusterNode {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly state: NodeState;
  readonly version: string;
  readonly diskUsedBytes: number;
  readonly diskFreeBytes: number;
}

export interface Replica {
  readonly node: string;
  readonly applied: number;
  readonly lag: number;
  readonly spans: number;
  readonly bytes: number;
}

export interface Shard {
  readonly id: number;
  readonly epoch: number;
  readonly leader: string | undefined;
  readonly replicas: readonly Replica[];
}

export interface Cluster {
  readonly nodes: readonly ClusterNode[];
  readonly shards: readonly Shard[];
}

export type Health = "ok" | "degraded" | "failing";

export interface Summary {
  readonly health: Health;
  readonly nodesReady: number;
  readonly shardsLed: number;
  readonly spans: number;
  /** On all replicas. */
  readonly bytes: number;
  /** Of one copy. */
  readonly bytesPerSpan: number | undefined;
  readonly lagMax: number;
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
    shard.replicas.some((replica) => !ready.has(replica.node)),
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
    if (node.state !== "ready") findings.push(`Node ${node.name} is ${node.state}.`);
  }
  if (thin.length > 0) findings.push(`A replica is not ready: ${named(thin)}.`);
  if (lagMax >= LAG_NOTABLE) findings.push("A replica lags behind its leader.");
  return {
    health: leaderless.length > 0 ? "failing" : findings.length > 0 ? "degraded" : "ok",
    nodesReady: ready.size,
    shardsLed: cluster.shards.length - leaderless.length,
    spans: sumOfShards(cluster, (replica) => replica.spans),
    bytes,
    bytesPerSpan: copies > 0 ? bytes / copies : undefined,
    lagMax,
    findings,
  };
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
