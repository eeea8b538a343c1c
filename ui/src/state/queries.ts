// What the pages ask the server, by way of one cache.

import { QueryClient, useQuery } from "@tanstack/react-query";
import { ApiError } from "../api/http";
import { fetchDependencies, fetchOperations, fetchServices, searchTraces } from "../api/jaeger";
import { fetchCluster } from "../api/skua";
import { MICROS_PER_MILLI, wallClock } from "../base/time";
import { printSearch, type SearchQuery } from "../model/search-query";

const RETRIES_MAX = 1;
const RETRY_MILLIS = 400;
const CATALOG_FRESH_MILLIS = 30_000;
const CLUSTER_POLL_MILLIS = 5_000;

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // Only what may be over in a moment is worth another try.
      retry: (failures, error) =>
        failures < RETRIES_MAX &&
        error instanceof ApiError &&
        (error.kind === "network" || error.kind === "unavailable"),
      retryDelay: RETRY_MILLIS,
      refetchOnWindowFocus: false,
    },
  },
});

export function useServices() {
  return useQuery({
    queryKey: ["services"],
    queryFn: ({ signal }) => fetchServices(signal),
    staleTime: CATALOG_FRESH_MILLIS,
  });
}

/** Nothing is asked while no service is chosen. */
export function useOperations(service: string) {
  return useQuery({
    queryKey: ["operations", service],
    queryFn: ({ signal }) => fetchOperations(service, signal),
    enabled: service !== "",
    staleTime: CATALOG_FRESH_MILLIS,
  });
}

/** `run` counts how often the same search was asked for: a window may move with the clock. */
export function useSearchResults(query: SearchQuery, run: number) {
  return useQuery({
    queryKey: ["search", printSearch(query).toString(), run],
    queryFn: ({ signal }) => searchTraces(query, signal),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
    placeholderData: (previous) => previous,
  });
}

export function useDependencies(lookbackMillis: number) {
  return useQuery({
    queryKey: ["dependencies", lookbackMillis],
    queryFn: ({ signal }) =>
      fetchDependencies(Math.round(wallClock() / MICROS_PER_MILLI), lookbackMillis, signal),
    staleTime: CATALOG_FRESH_MILLIS,
    placeholderData: (previous) => previous,
  });
}

export function useCluster() {
  return useQuery({
    queryKey: ["cluster"],
    queryFn: ({ signal }) => fetchCluster(signal),
    refetchInterval: CLUSTER_POLL_MILLIS,
  });
}
