// The flame graph by what called what: equal ways down are one bar, as wide as the time spent in it
// or as it has spans. A click shows it alone.

import { useMemo } from "react";
import { count, duration, percent } from "../../base/format";
import { swatchOf } from "../../components/service";
import { comparePaths } from "../../model/compare-paths";
import { type IcicleMeasure, layoutIcicle } from "../../model/icicle";
import type { TraceView } from "../../state/trace-view";
import { useUrlState } from "../../state/url-state";

const BAR_HEIGHT = 22;

export function Icicle(props: { readonly view: TraceView; readonly measure: IcicleMeasure }) {
  const { view, measure } = props;
  const { paths, isCut } = useMemo(() => comparePaths([view.trace], []), [view]);
  const [params, put] = useUrlState();
  const asked = params.get("bar") ?? "";
  const focus = /^\d+$/.test(asked) && Number(asked) < paths.length ? Number(asked) : -1;
  const setFocus = (bar: number) => put({ bar: bar < 0 ? undefined : String(bar) });
  const bars = useMemo(() => layoutIcicle(paths, measure, focus), [paths, measure, focus]);
  const depth = bars.reduce((most, bar) => Math.max(most, bar.depth), 0);
  return (
    <div className="icicle-box">
      <div className="icicle-head">
        <span className="faint">
          {measure === "self"
            ? "As wide as the time spent in it and below it"
            : "As wide as there are spans in it and below it"}
          {isCut ? `; the first ${count(paths.length)} ways down` : ""}
        </span>
        {focus >= 0 && (
          <button type="button" className="button quiet small" onClick={() => setFocus(-1)}>
            Show all
          </button>
        )}
      </div>
      <ul className="icicle" style={{ height: (depth + 1) * BAR_HEIGHT }}>
        {bars.map((bar) => {
          const path = paths[bar.index];
          if (path === undefined) return null;
          const { spans, self, total, errors } = path.left;
          const figure = measure === "self" ? percent(bar.share) : `× ${count(spans)}`;
          const style = {
            left: `${100 * bar.left}%`,
            width: `${100 * bar.width}%`,
            top: bar.depth * BAR_HEIGHT,
            ...swatchOf(view.colors, path.service),
          };
          const title = [
            `${path.service}: ${path.operation}`,
            `${percent(bar.share)} of the trace`,
            `${count(spans)} spans, ${count(errors)} failed`,
            `self ${duration(self)}, total ${duration(total)}`,
          ];
          return (
            <li key={bar.index} style={style}>
              <button
                type="button"
                title={title.join("\n")}
                aria-pressed={bar.index === focus}
                data-failed={errors > 0}
                data-narrow={bar.width <= 0.03}
                onClick={() => setFocus(bar.index === focus ? -1 : bar.index)}
              >
                <span className={bar.width > 0.03 ? "name" : "visually-hidden"}>
                  {path.operation || path.service}
                </span>
                {bar.width > 0.12 && <span className="faint">{figure}</span>}
                <span className="visually-hidden">{title.slice(1).join(", ")}</span>
              </button>
            </li>
          );
        })}
      </ul>
    </div>
  );
}
