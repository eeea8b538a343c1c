// Two traces compared: what the one did that the other did not, and where the time differs.

import { useEffect, useMemo } from "react";
import { Link } from "wouter";
import type { TraceSource } from "../../api/trace-source";
import { assignColors, type ServiceColors } from "../../base/color";
import { count, duration, plural, shortId } from "../../base/format";
import { micros } from "../../base/time";
import { Service } from "../../components/service";
import { Failure, Loading, Message, PartialBanner } from "../../components/states";
import { compareTraces, type Difference } from "../../model/compare";
import { countFlag, Flag, operationOf, serviceOf, spansByService } from "../../model/trace";
import { type TraceState, useTrace } from "../../state/use-trace";
import "./compare.css";

/** `ids` as in Jaeger's address: two ids with three dots between; either may be missing. */
export function ComparePage(props: { readonly ids: string }) {
  const [left = "", right = ""] = props.ids.split("...");
  useEffect(() => {
    document.title = "Compare · Skua";
  }, []);
  if (left === "" || right === "") {
    return (
      <Message title="Choose another trace" isPage>
        <p>
          A comparison needs two traces: tick them among the{" "}
          <Link href="/search">traces found</Link>.
        </p>
      </Message>
    );
  }
  return <Pair key={props.ids} left={left} right={right} />;
}

function Pair(props: { readonly left: string; readonly right: string }) {
  const left = useStored(props.left);
  const right = useStored(props.right);
  return (
    <div className="page compare-page">
      <h1>Compare</h1>
      {[left, right].map((state, index) =>
        state.is === "failed" ? (
          <Failure
            // biome-ignore lint/suspicious/noArrayIndexKey: two sides, always the same.
            key={index}
            title={`Trace ${shortId(index === 0 ? props.left : props.right)} could not be opened`}
            error={state.error}
          />
        ) : null,
      )}
      {(left.is === "loading" || right.is === "loading") && <Loading what="both traces" />}
      {left.is === "open" && right.is === "open" && (
        <Comparison left={left.source} right={right.source} />
      )}
    </div>
  );
}

function useStored(traceId: string): TraceState {
  const origin = useMemo(() => ({ kind: "stored", traceId }) as const, [traceId]);
  return useTrace(origin, 0);
}

function Comparison(props: { readonly left: TraceSource; readonly right: TraceSource }) {
  const left = props.left.columns;
  const right = props.right.columns;
  const differences = useMemo(() => compareTraces(left, right), [left, right]);
  const colors = useMemo(
    () => assignColors([...spansByService(left), ...spansByService(right)]),
    [left, right],
  );
  const most = Math.max(1, ...differences.map((each) => Math.abs(each.self)));
  const only = (where: Difference["where"]) =>
    differences.filter((each) => each.where === where).length;
  return (
    <>
      <PartialBanner completeness={props.left.completeness} />
      <PartialBanner completeness={props.right.completeness} />
      <div className="sides">
        <SideCard name="A" source={props.left} only={only("left")} />
        <SideCard name="B" source={props.right} only={only("right")} />
      </div>
      <div className="panel scrolled">
        <table className="table compare">
          <thead>
            <tr>
              <th scope="col">Service and operation</th>
              <th scope="col" className="num">
                Spans A
              </th>
              <th scope="col" className="num">
                Spans B
              </th>
              <th scope="col" className="num">
                p50 A
              </th>
              <th scope="col" className="num">
                p50 B
              </th>
              <th scope="col" className="num">
                Self A
              </th>
              <th scope="col" className="num">
                Self B
              </th>
              <th scope="col">B against A, self time</th>
            </tr>
          </thead>
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
    </>
  );
}

function SideCard(props: {
  readonly name: "A" | "B";
  readonly source: TraceSource;
  readonly only: number;
}) {
  const trace = props.source.columns;
  const errors = countFlag(trace, Flag.error);
  return (
    <section className={`panel side-card side-${props.name.toLowerCase()}`}>
      <h2>
        <span className="letter">{props.name}</span> {serviceOf(trace, 0)}{" "}
        <span className="faint">{operationOf(trace, 0)}</span>
      </h2>
      <p>
        <strong>{duration(trace.duration)}</strong> · {plural(trace.count, "span")}
        {errors > 0 ? ` · ${plural(errors, "error")}` : ""} · {plural(props.only, "operation")} only
        here ·{" "}
        <Link className="mono" href={`/trace/${trace.traceId}`}>
          {shortId(trace.traceId)}
        </Link>
      </p>
    </section>
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
      <td className="num">{shown(left.count > 0, count(left.count))}</td>
      <td className="num">{shown(right.count > 0, count(right.count))}</td>
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
