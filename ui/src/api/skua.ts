// Skua's own API, below `api/skua/v1/`.

import {
  type EpochMicros,
  epochMicros,
  MICROS_PER_SECOND,
  type Micros,
  micros,
} from "../base/time";
import type {
  Cluster,
  Down,
  NodeState,
  Process,
  Queries,
  ReplicaState,
  Sampling,
  Shard,
} from "../model/cluster";
import { type Json, list, number, record, text } from "./guards";
import { type Answered, apiUrl, getJson } from "./http";

const NODE_STATES = ["ready", "draining", "down"] as const;
const REPLICA_STATES = ["present", "unreachable", "absent"] as const;
const EPOCH_STATES = ["preparing", "fencing", "active"] as const;
const NANOS_PER_MICRO = 1_000;

export function fetchCluster(signal?: AbortSignal): Promise<Answered<Cluster>> {
  return getJson(apiUrl("api/skua/v1/cluster"), readCluster, signal);
}

/**
 * The shards, once every copy has been read and has told what it holds. For that a shard may take
 * minutes, so one is asked for after the other; `onShard` is told how many are done.
 */
export async function fetchDigests(
  onShard: (done: number, of: number) => void,
  signal?: AbortSignal,
): Promise<readonly Shard[]> {
  const { shards } = (await fetchCluster(signal)).value;
  const told: Shard[] = [];
  for (const [index, { id }] of shards.entries()) {
    onShard(index, shards.length);
    const params = new URLSearchParams({ digest: "true", shard: String(id) });
    const answer = await getJson(apiUrl("api/skua/v1/cluster", params), readCluster, signal);
    told.push(...answer.value.shards.filter((each) => each.id === id));
  }
  return told;
}

export function readCluster(json: unknown): Cluster {
  const cluster = record(json, "answer");
  return {
    nodes: list(cluster["nodes"], "nodes").map((each) => {
      const node = record(each, "node");
      const disk = record(node["disk"] ?? {}, "disk");
      return {
        id: text(node["id"], "id"),
        name: text(node["name"], "name"),
        address: text(node["address"], "address"),
        ui: webAddress(text(node["ui"], "ui")),
        state: stateOf(node),
        down: downOf(node),
        version: text(node["version"], "version"),
        diskUsedBytes: number(disk["used_bytes"], "used_bytes"),
        diskFreeBytes: number(disk["free_bytes"], "free_bytes"),
        zone: text(node["zone"], "zone"),
        process: processOf(node),
        clockAhead: clockOf(node),
        queries: queriesOf(node),
        spansTaken:
          node["spans_taken"] === undefined
            ? undefined
            : number(node["spans_taken"], "spans_taken"),
        oldest: node["oldest_ns"] === undefined ? undefined : pointOf(node, "oldest_ns"),
        dataBytesMax:
          disk["data_bytes_max"] === undefined
            ? undefined
            : number(disk["data_bytes_max"], "data_bytes_max"),
      };
    }),
    shards: list(cluster["shards"], "shards").map((each) => {
      const shard = record(each, "shard");
      return {
        id: number(shard["id"], "id"),
        epoch: number(shard["epoch"], "epoch"),
        leader: text(shard["leader"], "leader") || undefined,
        replicas: list(shard["replicas"], "replicas").map((entry) => {
          const replica = record(entry, "replica");
          return {
            node: text(replica["node"], "node"),
            state: replicaState(replica),
            applied: number(replica["applied"], "applied"),
            lag: number(replica["lag"], "lag"),
            spans: number(replica["spans"], "spans"),
            bytes: number(replica["bytes"], "bytes"),
            digest: text(replica["digest"], "digest") || undefined,
          };
        }),
      };
    }),
    alarms: list(cluster["alarms"], "alarms").map((each) => {
      const alarm = record(each, "alarm");
      return {
        kind: text(alarm["kind"], "kind"),
        text: text(alarm["text"], "text"),
        shard: alarm["shard"] === undefined ? undefined : number(alarm["shard"], "shard"),
        seconds: number(alarm["seconds"], "seconds"),
      };
    }),
    events: list(cluster["events"], "events").map((each) => {
      const event = record(each, "event");
      return {
        time: pointOf(event, "at_ns"),
        text: text(event["text"], "text"),
        shard: event["shard"] === undefined ? undefined : number(event["shard"], "shard"),
        node: text(event["node"], "node") || undefined,
      };
    }),
    retention: secondsOf(cluster, "retention_seconds"),
    epochs: list(cluster["epochs"], "epochs").map((each) => {
      const epoch = record(each, "epoch");
      return {
        id: number(epoch["id"], "id"),
        shards: number(epoch["shards"], "shards"),
        state: EPOCH_STATES.find((state) => state === epoch["state"]) ?? "unknown",
      };
    }),
    sampling: samplingOf(cluster),
  };
}

function samplingOf(cluster: Json): Sampling | undefined {
  if (cluster["sampling"] === undefined) return undefined;
  const sampling = record(cluster["sampling"], "sampling");
  return {
    digest: text(sampling["digest"], "digest"),
    bytes: number(sampling["bytes"], "bytes"),
    revision: number(sampling["revision"], "revision"),
  };
}

/** What a link may lead to: no script, and nothing that is not an address. */
function webAddress(text: string): string | undefined {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
  return text.endsWith("/") ? text : `${text}/`;
}

function stateOf(node: Json): NodeState {
  return NODE_STATES.find((state) => state === node["state"]) ?? "unknown";
}

function downOf(node: Json): Down | undefined {
  if (node["down"] === undefined) return undefined;
  const down = record(node["down"], "down");
  return {
    since: pointOf(down, "since_ns"),
    seconds: number(down["seconds"], "seconds"),
  };
}

function processOf(node: Json): Process | undefined {
  if (node["process"] === undefined) return undefined;
  const process = record(node["process"], "process");
  return {
    uptimeSeconds: number(process["uptime_seconds"], "uptime_seconds"),
    cpuSeconds: number(process["cpu_seconds"], "cpu_seconds"),
    residentBytes: number(process["resident_bytes"], "resident_bytes"),
  };
}

function queriesOf(node: Json): Queries | undefined {
  if (node["queries"] === undefined) return undefined;
  const queries = record(node["queries"], "queries");
  return {
    answered: number(queries["answered"], "answered"),
    p99: secondsOf(queries, "p99_seconds"),
  };
}

/** A point in time, told in nanoseconds. */
function pointOf(json: Json, name: string): EpochMicros {
  return epochMicros(Math.floor(number(json[name], name) / NANOS_PER_MICRO));
}

function secondsOf(json: Json, name: string): Micros | undefined {
  const seconds = json[name];
  return seconds === undefined ? undefined : micros(number(seconds, name) * MICROS_PER_SECOND);
}

function clockOf(node: Json): Micros | undefined {
  const ahead = node["clock_ahead_ns"];
  return ahead === undefined
    ? undefined
    : micros(number(ahead, "clock_ahead_ns") / NANOS_PER_MICRO);
}

/** A node of another version may say nothing of it where the replica is there. */
function replicaState(replica: Json): ReplicaState {
  return REPLICA_STATES.find((state) => state === replica["state"]) ?? "present";
}
