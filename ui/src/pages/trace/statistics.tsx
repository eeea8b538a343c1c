// The spans of a trace by service, operation or attribute: where the time goes.

import { useMemo } from "react";
import { count, duration, exactDuration, percent } from "../../base/format";
import type { Micros } from "../../base/time";
import { Icon } from "../../components/icon";
import { Segmented } from "../../components/segmented";
import { Service } from "../../components/service";
import { SortButton, type Sorted } from "../../components/sort-button";
import { NO_PATH } from "../../model/critical-path";
import {
  type Group,
  type GroupBy,
  groupSpans,
  parseGrouping,
  parseRank,
  printGrouping,
  printRank,
  type Rank,
  rankAfter,
  ranked,
} from "../../model/statistics";
import { useStore } from "../../state/store";
import type { TraceView } from "../../state/trace-view";
import { useUrlState } from "../../state/url-state";
import { AttributeChoice, useAttribute } from "./attribute-choice";

type Figure = Exclude<Rank["by"], "name">;

/** Figures that belong together, and what they are of where their names do not say it. */
const COLUMNS: readonly (readonly [of: string, figures: readonly (readonly [Figure, string])[]])[] =
  [
    [
      "",
      [
        ["count", "Spans"],
        ["errors", "Errors"],
        ["critical", "Critical path"],
      ],
    ],
    [
      "Self time",
      [
        ["self", "Total"],
        ["selfShare", "Share"],
        ["selfMean", "Mean"],
        ["selfMin", "Min"],
        ["selfMax", "Max"],
      ],
    ],
    [
      "Duration",
      [
        ["total", "Total"],
        ["mean", "Mean"],
        ["min", "Min"],
        ["p50", "p50"],
        ["p95", "p95"],
        ["p99", "p99"],
        ["max", "Max"],
      ],
    ],
  ];
const FIGURES = COLUMNS.flatMap(([of, figures], part) =>
  figures.map(([figure, name], index) => ({
    figure,
    name,
    label: of === "" ? undefined : `${of}: ${name}`,
    isFirst: part > 0 && index === 0,
  })),
);

const GROUPINGS = { operation: "By operation", service: "By service" } as const;

export function Statistics(props: { readonly view: TraceView }) {
  const { view } = props;
  const [params, put] = useUrlState();
  const { by, key } = parseGrouping(params.get("by"));
  const column = useAttribute(view, key);
  const thenKey = params.get("second") ?? "";
  const second = useAttribute(view, thenKey);
  const grouped: GroupBy = column ?? by;
  const rank = parseRank(params.get("rank"));
  const { criticalPath } = useStore(view.store);
  const groups = useMemo(
    () => groupSpans(view.trace, criticalPath ?? NO_PATH, grouped, second),
    [view, criticalPath, grouped, second],
  );
  const { by: rankedBy, isReversed } = rank;
  const sorted = useMemo(
    () => ranked(groups, { by: rankedBy, isReversed }),
    [groups, rankedBy, isReversed],
  );
  const most = rankedBy === "name" ? 0 : Math.max(...groups.map((group) => group[rankedBy]));
  const sortedBy = (each: Rank["by"]): Sorted => {
    if (each !== rankedBy) return undefined;
    return (each === "name") === isReversed ? "descending" : "ascending";
  };
  const sortBy = (each: Rank["by"]) => put({ rank: printRank(rankAfter(rank, each)) });
  const isChanged = ["by", "second", "rank"].some((name) => params.has(name));
  return (
    <section className="statistics" aria-label="Statistics">
      <div className="row">
        <Segmented
          label="Group by"
          names={GROUPINGS}
          value={key === "" ? by : undefined}
          onChoose={(each) => put({ by: printGrouping({ by: each, key: "" }) })}
        />
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
        {isChanged && (
          <button
            type="button"
            className="button quiet small"
            onClick={() => put({ by: undefined, second: undefined, rank: undefined })}
          >
            <Icon name="reset" />
            Reset
          </button>
        )}
      </div>
      <div className="panel scrolled">
        <table className="table">
          <thead>
            <tr className="over">
              <td colSpan={second === undefined ? 1 : 2} />
              {COLUMNS.map(([of, figures]) =>
                of === "" ? (
                  <td key={of} colSpan={figures.length} />
                ) : (
                  <th key={of} scope="colgroup" colSpan={figures.length}>
                    {of}
                  </th>
                ),
              )}
            </tr>
            <tr>
              <th scope="col" aria-sort={sortedBy("name")}>
                <SortButton
                  name={
                    column !== undefined
                      ? key
                      : by === "service"
                        ? "Service"
                        : "Service and operation"
                  }
                  sorted={sortedBy("name")}
                  onClick={() => sortBy("name")}
                />
              </th>
              {second !== undefined && <th scope="col">{thenKey}</th>}
              {FIGURES.map(({ figure, name, label, isFirst }) => (
                <th
                  key={figure}
                  scope="col"
                  className="num"
                  data-first={isFirst}
                  aria-sort={sortedBy(figure)}
                >
                  <SortButton
                    name={name}
                    label={label}
                    sorted={sortedBy(figure)}
                    onClick={() => sortBy(figure)}
                  />
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
                heated={rankedBy}
                most={most}
              />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** A tint this strong leaves the text readable. */
const TINT_PERCENT_MAX = 30;

function Row(props: {
  readonly group: Group;
  readonly view: TraceView;
  readonly hasSecond: boolean;
  /** The column by which the groups are ordered is tinted, up to the largest of it. */
  readonly heated: Rank["by"];
  readonly most: number;
}) {
  const { group, view, heated, most } = props;
  const tintOf = (figure: Figure) => {
    // A share of the trace has a bar of its own.
    if (figure !== heated || figure === "critical" || most <= 0) return undefined;
    const strength = Math.round((TINT_PERCENT_MAX * group[figure]) / most);
    return { background: `color-mix(in oklch, var(--accent) ${strength}%, transparent)` };
  };
  return (
    <tr>
      <td className="named" title={[group.service, group.operation].filter(Boolean).join(" ")}>
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
      {FIGURES.map(({ figure, isFirst }) => (
        <td
          key={figure}
          className={figure === "critical" ? "num with-meter" : "num"}
          data-first={isFirst}
          style={tintOf(figure)}
        >
          <Value group={group} figure={figure} whole={view.trace.duration} />
        </td>
      ))}
    </tr>
  );
}

function Value(props: {
  readonly group: Group;
  readonly figure: Figure;
  /** What the trace took. */
  readonly whole: Micros;
}) {
  const { group, figure, whole } = props;
  switch (figure) {
    case "count":
      return count(group.count);
    case "errors":
      if (group.errors === 0) return "–";
      return <span className="badge error">{count(group.errors)}</span>;
    case "selfShare":
      return percent(group.selfShare);
    case "critical": {
      const share = whole > 0 ? group.critical / whole : 0;
      return (
        <>
          {group.critical > 0 ? `${duration(group.critical)} · ${percent(share)}` : "–"}
          <span className="meter">
            <span style={{ width: `${Math.min(share * 100, 100)}%` }} />
          </span>
        </>
      );
    }
    default:
      return <span title={exactDuration(group[figure])}>{duration(group[figure])}</span>;
  }
}
