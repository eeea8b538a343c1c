// Where the code of each page is, for those who want it early and those who show it.

export const pages = {
  search: () => import("./search/page"),
  trace: () => import("./trace/page"),
  compare: () => import("./compare/page"),
  services: () => import("./services/page"),
  map: () => import("./map/page"),
  cluster: () => import("./cluster/page"),
  file: () => import("./file/page"),
  settings: () => import("./settings"),
} as const;

/** The page at a path of which people open links most; undefined for the others. */
export function pageAt(path: string): keyof typeof pages | undefined {
  if (path === "/" || path.startsWith("/search")) return "search";
  if (path.startsWith("/trace/")) return path.includes("...") ? "compare" : "trace";
  return undefined;
}
