// Which services of a trace are shown, and how a link says so: `svcFilter` as in Jaeger's UI, a
// checksum of the names and a mask of those that are shown, both in hexadecimal. A link whose
// checksum is of other names is out of date and shows all.

/** One byte a service: 1 where its spans are hidden. Null if all are shown. */
export type HiddenServices = Uint8Array;

const SEED = 0x811c;
const FACTOR = 0x0101;
const MASK = 0xffff;

/** Sixteen bits over the names in order, with a zero character between them. */
function checksumOf(sorted: readonly string[]): string {
  let sum = SEED;
  for (const unit of sorted.join("\0").split("")) {
    sum = Math.imul(sum ^ unit.charCodeAt(0), FACTOR) & MASK;
  }
  return sum.toString(16);
}

/** Places of the names in alphabetical order, as JavaScript sorts. */
function sortedPlaces(services: readonly string[]): readonly number[] {
  const places = services.map((_, place) => place);
  return places.sort((left, right) => {
    const [one = "", other = ""] = [services[left], services[right]];
    return one < other ? -1 : one > other ? 1 : 0;
  });
}

/** What goes into a link; undefined if all are shown. */
export function printServiceFilter(
  services: readonly string[],
  hidden: HiddenServices | null,
): string | undefined {
  if (hidden === null || !hidden.includes(1)) return undefined;
  const places = sortedPlaces(services);
  let shown = 0n;
  places.forEach((place, bit) => {
    if (hidden[place] !== 1) shown |= 1n << BigInt(bit);
  });
  return `${checksumOf(places.map((place) => services[place] ?? ""))}.${shown.toString(16)}`;
}

/** What a link says; null if it shows all, says nothing that can be read, or is out of date. */
export function parseServiceFilter(
  services: readonly string[],
  text: string,
): HiddenServices | null {
  const [, checksum, digits] = /^([0-9a-f]+)\.([0-9a-f]+)$/.exec(text) ?? [];
  const places = sortedPlaces(services);
  if (checksum !== checksumOf(places.map((place) => services[place] ?? ""))) return null;
  const shown = BigInt(`0x${digits}`);
  const hidden = new Uint8Array(services.length);
  places.forEach((place, bit) => {
    hidden[place] = ((shown >> BigInt(bit)) & 1n) === 1n ? 0 : 1;
  });
  const count = hidden.reduce((sum, each) => sum + each, 0);
  return count === 0 || count === services.length ? null : hidden;
}
