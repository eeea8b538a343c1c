// The picture above the results: all spans that match as a heatmap, or the traces found as dots.

import { useMemo } from "react";
import { plural } from "../../base/format";
import { micros, wallClock, type Zone } from "../../base/time";
import { HeatLegend, HeatmapPlot } from "../../components/heatmap";
import { Icon } from "../../components/icon";
import { Scatter } from "../../components/scatter";
import { Segmented } from "../../components/segmented";
import type { Selection } from "../../model/difference";
import type { Filter } from "../../model/filter";
import { type Brush, gridOf, stepFor, typedDuration } from "../../model/heat";
import { isExactOnSpans, ROOT_SPANS, spanPredicate } from "../../model/predicate";
import type { SearchQuery, TimeSpan } from "../../model/search-query";
import type { TraceSummary } from "../../model/summary";
import { useHeatmap } from "../../state/figures";
import "./plot.css";

const PLOTS = { heat: "Heatmap", dots: "Dots" } as const;
export type PlotKind = keyof typeof PLOTS;

export function Plot(props: {
  readonly kind: PlotKind;
  readonly onKind: (kind: PlotKind) => void;
  readonly query: SearchQuery;
  readonly window: TimeSpan;
  readonly traces: readonly TraceSummary[];
  readonly hasFigures: boolean;
  readonly isReady: boolean;
  readonly zone: Zone;
  readonly hovered: string | undefined;
  readonly onHover: (traceId: string | undefined) => void;
  readonly onOpen: (traceId: string) => void;
  /** What is compared with the rest. */
  readonly selection: Selection | undefined;
  readonly onSelect: (selection: Selection | undefined) => void;
  readonly onChange: (query: SearchQuery) => void;
}) {
  const { query, window, traces } = props;
  const ofSpan = useMemo(() => spanPredicate(query), [query]);
  // Without a condition, all spans would drown what people ask about: whole traces.
  const isOfRoots = ofSpan === true;
  const where = isOfRoots ? ROOT_SPANS : ofSpan;
  const wantsHeat = props.hasFigures && props.kind === "heat";
  const heat = useHeatmap(
    { window, where, isEnabled: wantsHeat && props.isReady },
    stepFor(window),
  );
  const heatmap = heat.data?.value;
  const isHeat = wantsHeat && heat.error === undefined;
  const what = isOfRoots ? "Root spans" : "Matching spans";
  if (!isHeat && traces.length === 0) return null;
  return (
    <section className="panel plot" aria-label="Time and duration">
      <div className="plot-head">
        <h2>{isHeat ? what : "Traces found"} by start and duration</h2>
        {isHeat && heatmap !== undefined && heatmap.spans > 0 && (
          <HeatLegend most={gridOf(heatmap, window).most} />
        )}
        {isHeat && !isExactOnSpans(query) && (
          <span
            className="faint plot-note"
            title="These are counts of spans; conditions on whole traces are left out of them"
          >
            conditions on traces left out
          </span>
        )}
        <span className="spacer" />
        {isHeat && <span className="faint plot-hint">Drag to narrow, with Shift to compare</span>}
        {props.hasFigures && (
          <button
            type="button"
            className="button small"
            title="What sets failed spans apart from the others"
            aria-pressed={props.selection?.kind === "errors"}
            onClick={() =>
              props.onSelect(props.selection?.kind === "errors" ? undefined : { kind: "errors" })
            }
          >
            <Icon name="error" />
            Why do they fail?
          </button>
        )}
        <button
          type="button"
          className="button quiet small"
          onClick={() => props.onChange({ ...query, window: zoomedOut(window) })}
        >
          <Icon name="minus" />
          Zoom out
        </button>
        {props.hasFigures && heat.error === undefined && (
          <Segmented
            label="Show as"
            names={PLOTS}
            value={isHeat ? "heat" : "dots"}
            onChoose={props.onKind}
          />
        )}
      </div>
      {!isHeat ? (
        <Scatter
          traces={traces}
          zone={props.zone}
          hovered={props.hovered}
          onHover={props.onHover}
          onOpen={props.onOpen}
        />
      ) : heatmap === undefined ? (
        <div className="heatmap-wait">{heat.isFetching && <Waiting />}</div>
      ) : (
        <div className="plot-box" data-stale={heat.isPrevious}>
          {heatmap.spans === 0 && <p className="heatmap-none faint">No span matches</p>}
          <HeatmapPlot
            heatmap={heatmap}
            window={window}
            zone={props.zone}
            label={`${what}: ${plural(heatmap.spans, "span")}, ${heatmap.errors} failed`}
            marked={props.selection?.kind === "box" ? props.selection.box : undefined}
            onBrush={(box, isCompared) =>
              isCompared
                ? props.onSelect({ kind: "box", box })
                : props.onChange(brushed(query, box, isOfRoots))
            }
          />
        </div>
      )}
    </section>
  );
}

/** Said only of what does not come at once. */
function Waiting() {
  return (
    <p className="loading faint" role="status">
      Counting …
    </p>
  );
}

/** The search within a rectangle of the heatmap. */
function brushed(query: SearchQuery, brush: Brush, isOfRoots: boolean): SearchQuery {
  const window = { kind: "range", ...brush.window } as const;
  const min = brush.min > 0 ? typedDuration(brush.min) : "";
  const max = brush.max === undefined ? "" : typedDuration(brush.max);
  if (!isOfRoots) return { ...query, window, minDuration: min, maxDuration: max };
  const bound = (operator: ">=" | "<", value: string): Filter[] =>
    value === "" ? [] : [{ key: "trace.duration", operator, values: [value], isExcluded: false }];
  const others = query.filters.filter((filter) => filter.key !== "trace.duration");
  return { ...query, window, filters: [...others, ...bound(">=", min), ...bound("<", max)] };
}

/** Three times as long, around the same middle, but not beyond now. */
function zoomedOut(window: TimeSpan): SearchQuery["window"] {
  const length = micros(window.end - window.start);
  const end = Math.min(window.end + length, Math.max(wallClock(), window.end));
  const at = (time: number) => Math.round(time) as TimeSpan["start"];
  return { kind: "range", start: at(end - 3 * length), end: at(end) };
}
