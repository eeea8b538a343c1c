// Ids and links that every page needs, apart from the searches that they lead to.

export function isTraceId(text: string): boolean {
  return /^[0-9a-f]{1,32}$/i.test(text);
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
