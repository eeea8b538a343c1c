// Two traces compared, or several on a side: what the one did that the other did not, and where the
// time differs.

import { type FormEvent, useEffect, useMemo, useState } from "react";
import { Link, useLocation, useSearch } from "wouter";
import type { TraceSource } from "../../api/trace-source";
import { assignColors, type ServiceColors } from "../../base/color";
import { duration, meanCount } from "../../base/format";
import { micros } from "../../base/time";
import { Combobox } from "../../components/combobox";
import { Segmented } from "../../components/segmented";
import { Service } from "../../components/service";
import { Failure, Loading, Message, PartialBanner } from "../../components/states";
import { TableHead } from "../../components/table-head";
import { compareTraces, type Difference } from "../../model/compare";
import { comparePaths } from "../../model/compare-paths";
import { isTraceId } from "../../model/links";
import { spansByService, type TraceColumns } from "../../model/trace";
import { useSearchHref } from "../../state/last-search";
import { shortId } from "../../state/ui-config";
import { useUrlChoice } from "../../state/url-state";
import { type TraceState, useTrace } from "../../state/use-trace";
import { useTraces } from "../../state/use-traces";
import { PathPicture, PathTree } from "./paths";
import { columnsOf, SideCard, useOthers } from "./sides";
import { AlignedTimelines } from "./timeline";
import "./compare.css";

/** `ids` as in Jaeger's address: two ids with three dots between; either may be missing. */
export function ComparePage(props: { readonly ids: string }) {
  const [left = "", right = ""] = props.ids.split("...");
  useEffect(() => {
    document.title = "Compare · Skua";
  }, []);
  return (
    <div className="page compare-page">
      <div className="page-head">
        <h1>Compare</h1>
        <span className="spacer" />
        <Picker key={props.ids} left={left} right={right} />
      </div>
      {left === "" || right === "" ? (
        <Incomplete known={left || right} isLeft={left !== ""} />
      ) : (
        <Pair key={props.ids} left={left} right={right} />
      )}
    </div>
  );
}

/** The ids of Jaeger's cohort: the traces among which two are chosen. */
function useCohort(): readonly string[] {
  const search = useSearch();
  return useMemo(
    () => [...new Set(new URLSearchParams(search).getAll("cohort"))].filter(isTraceId),
    [search],
  );
}

/** Which two: typed, pasted, or one of the cohort. */
function Picker(props: { readonly left: string; readonly right: string }) {
  const [left, setLeft] = useState(props.left);
  const [right, setRight] = useState(props.right);
  const [, navigate] = useLocation();
  const search = useSearch();
  const cohort = useCohort();
  const options = useMemo(() => cohort.map((value) => ({ value })), [cohort]);
  const go = (first: string, second: string) =>
    navigate(`/trace/${first.trim()}...${second.trim()}${search === "" ? "" : `?${search}`}`);
  const isReady = isTraceId(left.trim()) && isTraceId(right.trim());
  const isNew = left.trim() !== props.left || right.trim() !== props.right;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isReady) go(left, right);
  };
  const field = (name: string, value: string, change: (value: string) => void) => (
    <Combobox
      label={`Trace ${name}`}
      hideLabel
      placeholder={`Trace ${name}`}
      value={value}
      options={options}
      onChange={change}
    />
  );
  return (
    <form className="picker" onSubmit={submit} aria-label="Traces to compare">
      {field("A", left, setLeft)}
      <button
        type="button"
        className="button quiet small"
        title="A becomes B and B becomes A"
        onClick={() => go(props.right, props.left)}
      >
        Swap
      </button>
      {field("B", right, setRight)}
      <button type="submit" className="button" disabled={!isReady || !isNew}>
        Compare
      </button>
    </form>
  );
}

/** One of the two is known, or none. */
function Incomplete(props: { readonly known: string; readonly isLeft: boolean }) {
  const { known } = props;
  const href = useSearchHref();
  const search = useSearch();
  const others = useCohort().filter((id) => known !== "" && id !== known);
  const pair = (other: string) => (props.isLeft ? `${known}...${other}` : `${other}...${known}`);
  return (
    <Message title="Choose another trace">
      <p>
        A comparison needs two traces: tick them among the <Link href={href}>traces found</Link>, or
        give the id of the other one above.
      </p>
      {others.length > 0 && (
        <>
          <p>Of the traces that came with this link:</p>
          <ul className="row">
            {others.map((other) => (
              <li key={other}>
                <Link className="button mono" href={`/trace/${pair(other)}?${search}`}>
                  {shortId(other)}
                </Link>
              </li>
            ))}
          </ul>
        </>
      )}
    </Message>
  );
}

function Pair(props: { readonly left: string; readonly right: string }) {
  const sides = [useStored(props.left), useStored(props.right)] as const;
  const [[left], [right]] = sides;
  return (
    <>
      {sides.map(([state, again], index) =>
        state.is === "failed" ? (
          <Failure
            // biome-ignore lint/suspicious/noArrayIndexKey: two sides, always the same.
            key={index}
            title={`Trace ${shortId(index === 0 ? props.left : props.right)} could not be opened`}
            error={state.error}
            onRetry={again}
          />
        ) : null,
      )}
      {(left.is === "loading" || right.is === "loading") && <Loading what="both traces" />}
      {left.is === "open" && right.is === "open" && (
        <Comparison left={left.source} right={right.source} />
      )}
    </>
  );
}

const VIEWS = {
  operations: "Operations",
  timeline: "Timelines",
  structure: "Structure",
  graph: "Graph",
} as const;

function useStored(traceId: string): readonly [TraceState, again: () => void] {
  const origin = useMemo(() => ({ kind: "stored", traceId }) as const, [traceId]);
  const [attempt, setAttempt] = useState(0);
  return [useTrace(origin, attempt), () => setAttempt(attempt + 1)];
}

function Comparison(props: { readonly left: TraceSource; readonly right: TraceSource }) {
  const cohort = useCohort();
  const others = useOthers(props.left.columns.traceId, props.right.columns.traceId);
  const known = useTraces([...others.a, ...others.b]);
  const { left, right } = useMemo(() => {
    const all = (first: TraceSource, ids: readonly string[]) => [
      first.columns,
      ...ids.flatMap((id) => columnsOf(known.get(id)) ?? []),
    ];
    return { left: all(props.left, others.a), right: all(props.right, others.b) };
  }, [props.left, props.right, others, known]);
  const differences = useMemo(() => compareTraces(left, right), [left, right]);
  const colors = useMemo(
    () => assignColors([...left, ...right].flatMap(spansByService)),
    [left, right],
  );
  const isOfMany = left.length > 1 || right.length > 1;
  const [view, show] = useUrlChoice("v", VIEWS);
  const only = (where: Difference["where"]) =>
    differences.filter((each) => each.where === where).length;
  return (
    <>
      <PartialBanner completeness={props.left.completeness} />
      <PartialBanner completeness={props.right.completeness} />
      {[...known.values()].map((each, index) =>
        each.is === "open" ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: traces come one after another and stay.
          <PartialBanner key={index} completeness={each.completeness} />
        ) : null,
      )}
      <div className="sides">
        <SideCard
          side="a"
          trace={props.left.columns}
          only={only("left")}
          others={others}
          known={known}
          cohort={cohort}
        />
        <SideCard
          side="b"
          trace={props.right.columns}
          only={only("right")}
          others={others}
          known={known}
          cohort={cohort}
        />
      </div>
      <Segmented label="View" names={VIEWS} value={view} onChoose={show} />
      {view === "timeline" && isOfMany && (
        <p className="faint">Of each side the first trace: {firstIds(props.left, props.right)}.</p>
      )}
      {isOfMany && view !== "timeline" && (
        <p className="faint">Figures are means of a trace, p50 is of all spans of a side.</p>
      )}
      {view === "timeline" && (
        <AlignedTimelines left={props.left} right={props.right} colors={colors} />
      )}
      {view === "structure" && <Tree left={left} right={right} colors={colors} />}
      {view === "graph" && <Picture left={left} right={right} />}
      {view === "operations" && <Operations differences={differences} colors={colors} />}
    </>
  );
}

function firstIds(left: TraceSource, right: TraceSource): string {
  return [left, right].map(({ columns }) => shortId(columns.traceId)).join(" and ");
}

interface Both {
  readonly left: readonly TraceColumns[];
  readonly right: readonly TraceColumns[];
}

function Tree(props: Both & { readonly colors: ServiceColors }) {
  const { left, right } = props;
  const compared = useMemo(() => comparePaths(left, right), [left, right]);
  return <PathTree compared={compared} colors={props.colors} />;
}

function Picture({ left, right }: Both) {
  const compared = useMemo(() => comparePaths(left, right), [left, right]);
  return <PathPicture compared={compared} />;
}

function Operations(props: {
  readonly differences: readonly Difference[];
  readonly colors: ServiceColors;
}) {
  const { differences, colors } = props;
  const most = Math.max(1, ...differences.map((each) => Math.abs(each.self)));
  return (
    <div className="panel scrolled">
      <table className="table compare">
        <TableHead
          columns={[
            "Service and operation",
            ["Spans A", "num"],
            ["Spans B", "num"],
            ["p50 A", "num"],
            ["p50 B", "num"],
            ["Self A", "num"],
            ["Self B", "num"],
            "B against A, self time",
          ]}
        />
        <tbody>
          {differences.map((each) => (
            <Row
              key={`${each.service}\n${each.operation}`}
              difference={each}
              colors={colors}
              most={most}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row(props: {
  readonly difference: Difference;
  readonly colors: ServiceColors;
  readonly most: number;
}) {
  const { difference, most } = props;
  const { left, right, where } = difference;
  const shown = (present: boolean, text: string) => (present ? text : "–");
  const width = `${(50 * Math.abs(difference.self)) / most}%`;
  const isMore = difference.self > 0;
  return (
    <tr>
      <td>
        <Service name={difference.service} colors={props.colors} />{" "}
        <span className="faint">{difference.operation}</span>{" "}
        {where !== "both" && <span className="badge">only {where === "left" ? "A" : "B"}</span>}
      </td>
      <td className="num">{shown(left.count > 0, meanCount(left.count))}</td>
      <td className="num">{shown(right.count > 0, meanCount(right.count))}</td>
      <td className="num">{shown(left.count > 0, duration(left.p50))}</td>
      <td className="num">{shown(right.count > 0, duration(right.p50))}</td>
      <td className="num">{shown(left.count > 0, duration(left.self))}</td>
      <td className="num">{shown(right.count > 0, duration(right.self))}</td>
      <td>
        <span className="delta">
          <span className={isMore ? "more" : "less"} style={{ width }} />
          <span className={isMore ? "text left" : "text right"}>
            {difference.self === 0
              ? "same"
              : `${isMore ? "+" : "−"}${duration(micros(Math.abs(difference.self)))}`}
          </span>
        </span>
      </td>
    </tr>
  );
}
