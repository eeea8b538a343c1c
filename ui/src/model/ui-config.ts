// What whoever runs the node wants of these pages: the configuration file of Jaeger's UI, as far as
// it means something here.

export interface UiConfig {
  /** As they are written; read where links are made. */
  readonly linkPatterns: readonly unknown[];
  readonly menu: readonly MenuLink[];
  /** Attributes whose keys begin so come first. */
  readonly topPrefixes: readonly string[];
  readonly idLength: number;
  readonly lookback: string | undefined;
  readonly maxLookback: string | undefined;
  readonly maxLimit: number | undefined;
  /** What is taken away. */
  readonly without: {
    readonly archive: boolean;
    readonly upload: boolean;
    readonly json: boolean;
    readonly map: boolean;
    readonly services: boolean;
    readonly criticalPath: boolean;
    readonly themes: boolean;
  };
  /** Keys that change nothing here. */
  readonly ignored: readonly string[];
}

export interface MenuLink {
  readonly label: string;
  readonly url: string;
}

const ID_LENGTH = 7;
const ID_LENGTH_MAX = 32;
/** More do not fit beside the field that goes anywhere. */
const MENU_MAX = 12;
/** What is looked at, by its path. A group counts by what is in it. */
const KNOWN = new Set([
  "archiveEnabled",
  "criticalPathEnabled",
  "dependencies.menuEnabled",
  "dependenciesMenuEnabled",
  "disableFileUploadControl",
  "disableJsonView",
  "linkPatterns",
  "menu",
  "monitor.menuEnabled",
  "search.defaultLookback",
  "search.maxLimit",
  "search.maxLookback",
  "themes.enabled",
  "topTagPrefixes",
  "traceIdDisplayLength",
]);

type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What is not as expected counts for nothing. */
export function readUiConfig(text: string): UiConfig {
  const json = parsed(text);
  const at = (path: string) =>
    path.split(".").reduce<unknown>((of, name) => (isObject(of) ? of[name] : undefined), json);
  const list = (path: string) => {
    const value = at(path);
    return Array.isArray(value) ? (value as unknown[]) : [];
  };
  const number = (path: string) => {
    const value = at(path);
    return typeof value === "number" && Number.isInteger(value) && value > 0 ? value : undefined;
  };
  return {
    linkPatterns: list("linkPatterns"),
    menu: list("menu").flatMap(linksOf).slice(0, MENU_MAX),
    topPrefixes: list("topTagPrefixes").filter((each) => typeof each === "string"),
    idLength: Math.min(number("traceIdDisplayLength") ?? ID_LENGTH, ID_LENGTH_MAX),
    lookback: lookbackOf(at("search.defaultLookback")),
    maxLookback: lookbackOf(at("search.maxLookback")),
    maxLimit: number("search.maxLimit"),
    without: {
      archive: at("archiveEnabled") === false,
      upload: at("disableFileUploadControl") === true,
      json: at("disableJsonView") === true,
      map: at("dependencies.menuEnabled") === false || at("dependenciesMenuEnabled") === false,
      services: at("monitor.menuEnabled") === false,
      criticalPath: at("criticalPathEnabled") === false,
      themes: at("themes.enabled") === false,
    },
    ignored: Object.entries(json).flatMap(([name, value]) => unknownIn(name, value)),
  };
}

function parsed(text: string): Json {
  try {
    const json: unknown = JSON.parse(text);
    return isObject(json) ? json : {};
  } catch {
    return {};
  }
}

/** `{"label": "Last 2 days", "value": "2d"}`, of which the value counts. */
function lookbackOf(value: unknown): string | undefined {
  const text = isObject(value) ? value["value"] : undefined;
  return typeof text === "string" && /^\d+[smhdw]$/.test(text) ? text : undefined;
}

/** A link, or a group of them under a label. */
function linksOf(entry: unknown): readonly MenuLink[] {
  if (!isObject(entry)) return [];
  const { label, url, items } = entry;
  if (Array.isArray(items)) return items.flatMap(linksOf);
  const isLink = typeof label === "string" && typeof url === "string" && isWebLink(url);
  return isLink ? [{ label, url }] : [];
}

/** No script, and nothing that is not an address. */
export function isWebLink(url: string): boolean {
  if (!URL.canParse(url, "http://here/")) return false;
  return /^https?:$/.test(new URL(url, "http://here/").protocol);
}

function unknownIn(name: string, value: unknown): readonly string[] {
  if (KNOWN.has(name)) return [];
  const isGroup = [...KNOWN].some((known) => known.startsWith(`${name}.`));
  if (!isGroup || !isObject(value)) return [name];
  return Object.keys(value)
    .map((inner) => `${name}.${inner}`)
    .filter((path) => !KNOWN.has(path));
}
