// Traces to look at beside a chart: the longest of a service, or those that failed.

import { search } from "../api/search";
import { type Exemplar, thinned } from "../model/red-change";
import type { SearchQuery, TimeSpan } from "../model/search-query";
import { useQuery } from "./query";

const EXEMPLARS_MAX = 60;

export function useExemplars(
  query: SearchQuery,
  window: TimeSpan,
  step: number,
  isEnabled: boolean,
): readonly Exemplar[] {
  const asked = { ...query, limit: EXEMPLARS_MAX };
  const { data } = useQuery({
    key: `exemplars ${window.start} ${window.end} ${step} ${JSON.stringify(asked)}`,
    isEnabled,
    keepsPrevious: true,
    ask: async (signal) => {
      const found: Exemplar[] = [];
      await search(asked, window, undefined, (traces) => found.push(...traces), signal);
      return thinned(found, window.start, step);
    },
  });
  return data ?? [];
}
