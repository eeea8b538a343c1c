// Ids and links that every page needs, apart from the searches that they lead to.

export function isTraceId(text: string): boolean {
  return /^[0-9a-f]{1,32}$/i.test(text);
}

/** A trace id in hexadecimal digits: as links have it, or out of the base64 of Jaeger's own JSON. */
export function hexTraceId(text: string): string {
  const isBase64 = !isTraceId(text) && /^([\w+/-]{11}=?|[\w+/-]{22}(==)?)$/.test(text);
  if (!isBase64) return text;
  try {
    const bytes = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return [...bytes].map((each) => each.charCodeAt(0).toString(16).padStart(2, "0")).join("");
  } catch {
    return text;
  }
}

/** The last hour of a service without the traces that have a span with this attribute; `pair` as one types it. */
export function searchWithoutHref(service: string, pair: string): string {
  const params = new URLSearchParams({ lookback: "1h", q: `-${pair}` });
  if (service !== "") params.set("service", service);
  return `/search?${params}`;
}

/** The last hour of a service, or of its spans with a certain attribute. */
export function searchHref(service: string, key?: string, value?: string): string {
  const params = new URLSearchParams({ lookback: "1h" });
  if (service !== "") params.set("service", service);
  if (key !== undefined) params.set("tags", JSON.stringify({ [key]: value ?? "" }));
  return `/search?${params}`;
}

/** Traces on a side of a comparison. Figures over more of them are the search's. */
export const SIDE_TRACES_MAX = 10;

/** The first two traces held against each other; the link offers the others, as Jaeger's does. */
export function compareHref(traceIds: readonly string[]): string {
  const path = `/trace/${traceIds.slice(0, 2).join("...")}`;
  if (traceIds.length <= 2) return path;
  return `${path}?${new URLSearchParams(traceIds.map((id) => ["cohort", id]))}`;
}

/** The last hour of an operation, of whatever service. */
export function operationHref(operation: string): string {
  return `/search?${new URLSearchParams({ lookback: "1h", operation })}`;
}

/** The last hour under conditions as one types them. */
export function conditionsHref(conditions: string): string {
  return `/search?${new URLSearchParams({ lookback: "1h", q: conditions })}`;
}
