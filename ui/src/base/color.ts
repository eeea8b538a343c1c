// Which colour a service has. The colours themselves are tokens in `styles/tokens.css`
// (`--svc-1` and so on); here is only the choice, which must be the same for everyone who looks
// at the same data.

import { fnv1a } from "./hash";

/** How many service colours the tokens define. */
export const SERVICE_COLORS = 20;

/** How many shades of the heatmap the tokens define. */
export const HEAT_SHADES = 8;

/** Service name to colour, 1 to `SERVICE_COLORS`. */
export type ServiceColors = ReadonlyMap<string, number>;

/**
 * The largest services get the first colours, which differ most; equal sizes are ordered by a
 * stable hash. The same trace looks the same to everybody.
 */
export function assignColors(
  services: Iterable<{ readonly name: string; readonly spans: number }>,
): ServiceColors {
  const ordered = [...services].sort(
    (left, right) =>
      right.spans - left.spans ||
      fnv1a(left.name) - fnv1a(right.name) ||
      (left.name < right.name ? -1 : 1),
  );
  const colors = new Map<string, number>();
  for (const { name } of ordered) {
    if (!colors.has(name)) colors.set(name, (colors.size % SERVICE_COLORS) + 1);
  }
  return colors;
}
