// What the pages ask the server, by way of one cache.

import { fetchDependencies, fetchOperations, fetchServices } from "../api/jaeger";
import { fetchCluster, fetchDigests } from "../api/skua";
import { MICROS_PER_MILLI, wallClock } from "../base/time";
import { noteCluster } from "./cluster-events";
import { useQuery } from "./query";

const CATALOG_FRESH_MILLIS = 30_000;
const CLUSTER_POLL_MILLIS = 5_000;

/** False asks nothing: the names are looked up in everything that is stored. */
export function useServices(isEnabled = true) {
  const freshMillis = CATALOG_FRESH_MILLIS;
  return useQuery({ key: "services", ask: fetchServices, freshMillis, isEnabled });
}

/** Nothing is asked while no service is chosen. */
export function useOperations(service: string) {
  return useQuery({
    key: `operations ${service}`,
    ask: (signal) => fetchOperations(service, signal),
    isEnabled: service !== "",
    freshMillis: CATALOG_FRESH_MILLIS,
  });
}

/** Of the last `lookbackMillis`, or of as long a time up to then. */
export function useDependencies(lookbackMillis: number, when: "now" | "before" | "never" = "now") {
  const ago = when === "before" ? lookbackMillis : 0;
  return useQuery({
    key: `dependencies ${lookbackMillis} ${ago}`,
    isEnabled: when !== "never",
    ask: (signal) =>
      fetchDependencies(Math.round(wallClock() / MICROS_PER_MILLI) - ago, lookbackMillis, signal),
    freshMillis: CATALOG_FRESH_MILLIS,
    keepsPrevious: true,
  });
}

export function useCluster(isEnabled = true) {
  return useQuery({
    key: "cluster",
    isEnabled,
    ask: async (signal) => {
      const answer = await fetchCluster(signal);
      noteCluster(answer.value);
      return answer;
    },
    pollMillis: CLUSTER_POLL_MILLIS,
  });
}

/** Reads everything that is stored, so only when somebody asks; `attempt` asks anew. */
export function useDigests(attempt: number, onShard: (done: number, of: number) => void) {
  return useQuery({
    key: `digests ${attempt}`,
    isEnabled: attempt > 0,
    ask: (signal) => fetchDigests(onShard, signal),
    keepsPrevious: true,
  });
}
