// The spans of a trace by service or operation: where the time goes.

import { useMemo } from "react";
import { count, duration, percent } from "../../base/format";
import { Service } from "../../components/service";
import { NO_PATH } from "../../model/critical-path";
import {
  type Group,
  type GroupBy,
  groupSpans,
  parseGrouping,
  printGrouping,
} from "../../model/statistics";
import { useStore } from "../../state/store";
import type { TraceView } from "../../state/trace-view";
import { useUrlState } from "../../state/url-state";
import { AttributeChoice, useAttribute } from "./attribute-choice";

type Column = Exclude<keyof Group, "service" | "operation" | "second">;

const COLUMNS: readonly (readonly [Column, string])[] = [
  ["count", "Spans"],
  ["errors", "Errors"],
  ["critical", "Critical path"],
  ["self", "Self"],
  ["total", "Total"],
  ["mean", "Mean"],
  ["min", "Min"],
  ["p50", "p50"],
  ["p95", "p95"],
  ["p99", "p99"],
  ["max", "Max"],
];

const FIRST_ORDER: Column = "critical";

export function Statistics(props: { readonly view: TraceView }) {
  const { view } = props;
  const [params, put] = useUrlState();
  const { by, key } = parseGrouping(params.get("by"));
  const column = useAttribute(view, key);
  const thenKey = params.get("second") ?? "";
  const second = useAttribute(view, thenKey);
  const grouped: GroupBy = column ?? by;
  const order = COLUMNS.find(([name]) => name === params.get("rank"))?.[0] ?? FIRST_ORDER;
  const { criticalPath } = useStore(view.store);
  const groups = useMemo(
    () => groupSpans(view.trace, criticalPath ?? NO_PATH, grouped, second),
    [view, criticalPath, grouped, second],
  );
  const sorted = useMemo(
    () => [...groups].sort((left, right) => right[order] - left[order] || right.self - left.self),
    [groups, order],
  );
  return (
    <section className="statistics" aria-label="Statistics">
      <div className="row">
        <fieldset className="segmented">
          <legend className="visually-hidden">Group by</legend>
          {(["operation", "service"] as const).map((each) => (
            <button
              key={each}
              type="button"
              aria-pressed={key === "" && by === each}
              onClick={() => put({ by: printGrouping({ by: each, key: "" }) })}
            >
              By {each}
            </button>
          ))}
        </fieldset>
        <AttributeChoice
          view={view}
          label="By attribute"
          value={key}
          onChoose={(chosen) => put({ by: printGrouping({ by: "operation", key: chosen }) })}
        />
        <AttributeChoice
          view={view}
          label="Then by"
          value={thenKey}
          onChoose={(chosen) => put({ second: chosen })}
        />
      </div>
      <div className="panel scrolled">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">
                {column !== undefined
                  ? key
                  : by === "service"
                    ? "Service"
                    : "Service and operation"}
              </th>
              {second !== undefined && <th scope="col">{thenKey}</th>}
              {COLUMNS.map(([column, name]) => (
                <th
                  key={column}
                  scope="col"
                  className="num"
                  aria-sort={order === column ? "descending" : undefined}
                >
                  <button
                    type="button"
                    onClick={() => put({ rank: column === FIRST_ORDER ? undefined : column })}
                  >
                    {name}
                    {order === column ? " ↓" : ""}
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {sorted.map((group) => (
              <Row
                key={`${group.service}\n${group.operation}\n${group.second}`}
                group={group}
                view={view}
                hasSecond={second !== undefined}
              />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Row(props: {
  readonly group: Group;
  readonly view: TraceView;
  readonly hasSecond: boolean;
}) {
  const { group, view } = props;
  const share = view.trace.duration > 0 ? group.critical / view.trace.duration : 0;
  return (
    <tr>
      <td>
        {group.service === "" ? (
          <span className="mono">{group.operation}</span>
        ) : (
          <>
            <Service name={group.service} colors={view.colors} />{" "}
            <span className="faint">{group.operation}</span>
          </>
        )}
      </td>
      {props.hasSecond && <td className="mono">{group.second}</td>}
      <td className="num">{count(group.count)}</td>
      <td className="num">
        {group.errors > 0 ? <span className="badge error">{count(group.errors)}</span> : "–"}
      </td>
      <td className="num with-meter">
        {group.critical > 0 ? `${duration(group.critical)} · ${percent(share)}` : "–"}
        <span className="meter">
          <span style={{ width: `${Math.min(share * 100, 100)}%` }} />
        </span>
      </td>
      <td className="num">{duration(group.self)}</td>
      <td className="num">{duration(group.total)}</td>
      <td className="num">{duration(group.mean)}</td>
      <td className="num">{duration(group.min)}</td>
      <td className="num">{duration(group.p50)}</td>
      <td className="num">{duration(group.p95)}</td>
      <td className="num">{duration(group.p99)}</td>
      <td className="num">{duration(group.max)}</td>
    </tr>
  );
}
