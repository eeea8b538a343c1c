// The services of a trace as one thin bar: how many of its spans are whose.

import type { ServiceColors } from "../base/color";
import { plural } from "../base/format";
import type { ServiceShare } from "../model/summary";
import { swatchOf } from "./service";

/** Narrower pieces are not told apart; they share the last one. */
const PIECES_MAX = 12;

export function SegmentBar(props: {
  readonly services: readonly ServiceShare[];
  readonly colors: ServiceColors;
}) {
  const ordered = [...props.services].sort((left, right) => right.spans - left.spans);
  const total = ordered.reduce((sum, each) => sum + each.spans, 0);
  const title = ordered.map((each) => `${each.name}: ${plural(each.spans, "span")}`).join("\n");
  return (
    <span className="segments" title={title}>
      {ordered.slice(0, PIECES_MAX).map((each) => (
        <span
          key={each.name}
          style={{
            ...swatchOf(props.colors, each.name),
            width: `${(100 * each.spans) / Math.max(total, 1)}%`,
          }}
        />
      ))}
    </span>
  );
}
