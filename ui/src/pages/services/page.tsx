// The services that have sent spans: how much they do, how much of it fails, how long it takes.

import { useEffect, useMemo } from "react";
import { Link, useLocation, useSearch } from "wouter";
import { assignColors, type ServiceColors } from "../../base/color";
import { duration, exactDuration, percent, plural } from "../../base/format";
import { wallClock } from "../../base/time";
import { Sparkline } from "../../components/chart";
import { FirstSteps } from "../../components/first-steps";
import { swatchOf } from "../../components/service";
import { SortButton } from "../../components/sort-button";
import { Failure, Loading, PartialBanner } from "../../components/states";
import type { RedSeries } from "../../model/figures";
import { stepFor } from "../../model/heat";
import type { Predicate } from "../../model/predicate";
import { linesOf, QUANTILES, type RedRow, rateText, rowsOf } from "../../model/red";
import { windowBefore } from "../../model/red-change";
import type { TimeSpan } from "../../model/search-query";
import { useRed } from "../../state/figures";
import { useIdle } from "../../state/idle";
import { useServices } from "../../state/queries";
import { useUrlState } from "../../state/url-state";
import { ChangeCell } from "./change";
import { ServiceDetail } from "./detail";
import { FRAMES, type Frame, frameOf, KINDS, printFrame } from "./frame";
import "./services.css";

const SPARK_STEPS = 32;

export function ServicesPage(props: { readonly service: string }) {
  const { service } = props;
  const services = useServices();
  const [frame, setFrame] = useFrame(service);
  useEffect(() => {
    document.title = `${service || "Services"} · Skua`;
  }, [service]);
  // The window stands still until it is chosen anew.
  const window = useMemo<TimeSpan>(() => {
    const end = wallClock();
    return { start: (end - frame.millis * 1_000) as TimeSpan["start"], end };
  }, [frame.millis]);
  const names = services.data?.value;
  const colors = useMemo(
    () => assignColors((names ?? []).map((name) => ({ name, spans: 0 }))),
    [names],
  );
  if (names?.length === 0 && services.data?.completeness.isComplete) return <FirstSteps />;
  return (
    <div className="page services-page">
      <div className="page-head">
        <h1>
          {service === "" ? (
            <>
              Services <span className="faint">{names?.length}</span>
            </>
          ) : (
            <>
              <Link href={`/services?${printFrame(frame)}`}>Services</Link>{" "}
              <span className="faint">/</span> {service}
            </>
          )}
        </h1>
        <span className="spacer" />
        <FrameFields frame={frame} onChange={setFrame} />
      </div>
      {services.data && (
        <PartialBanner
          completeness={services.data.completeness}
          onRetry={() => services.refetch()}
        />
      )}
      {service !== "" ? (
        <ServiceDetail
          key={service}
          service={service}
          window={window}
          frame={frame}
          onFrame={setFrame}
        />
      ) : names !== undefined ? (
        <ServiceTable names={names} colors={colors} window={window} frame={frame} />
      ) : services.error ? (
        <Failure
          title="The services could not be listed"
          error={services.error}
          onRetry={() => services.refetch()}
        />
      ) : (
        <Loading what="services" />
      )}
    </div>
  );
}

/** The stretch of time and the kind of spans, in the URL under Jaeger's names. */
function useFrame(service: string): [Frame, (frame: Frame) => void] {
  const search = useSearch();
  const [, navigate] = useLocation();
  const frame = useMemo(() => frameOf(new URLSearchParams(search)), [search]);
  const path = service === "" ? "/services" : `/services/${encodeURIComponent(service)}`;
  const change = (next: Frame) => {
    // What else is shown stays; a service of Jaeger's link is in the path by now.
    const params = new URLSearchParams(search);
    for (const name of ["spanKind", "timeframe", "service"]) params.delete(name);
    for (const [name, value] of new URLSearchParams(printFrame(next))) params.set(name, value);
    navigate(`${path}?${params}`, { replace: true });
  };
  return [frame, change];
}

function FrameFields(props: { readonly frame: Frame; readonly onChange: (frame: Frame) => void }) {
  const { frame, onChange } = props;
  const known = FRAMES.some(([millis]) => millis === frame.millis);
  return (
    <>
      <select
        className="input narrow"
        aria-label="Kind of spans"
        value={frame.kind}
        onChange={(event) => onChange({ ...frame, kind: event.target.value })}
      >
        {KINDS.map((kind) => (
          <option key={kind} value={kind}>
            {`${kind} spans`}
          </option>
        ))}
      </select>
      <select
        className="input narrow"
        aria-label="Time"
        value={frame.millis}
        onChange={(event) => onChange({ ...frame, millis: Number(event.target.value) })}
      >
        {!known && (
          <option value={frame.millis}>{duration((frame.millis * 1_000) as never)}</option>
        )}
        {FRAMES.map(([millis, name]) => (
          <option key={millis} value={millis}>
            {name}
          </option>
        ))}
      </select>
    </>
  );
}

type Column = "rate" | "errorShare" | "p50" | "p95" | "p99" | "impact";
/** A name falls, a figure rises from bottom to top, until it is chosen again. */
interface Order {
  readonly by: Column | "name";
  readonly isReversed: boolean;
}

const COLUMNS: readonly (readonly [Column, string])[] = [
  ["rate", "Rate"],
  ["errorShare", "Errors"],
  ["p50", "p50"],
  ["p95", "p95"],
  ["p99", "p99"],
  ["impact", "Impact"],
];

const FIRST_ORDER: Order["by"] = "impact";

/** As the address has it: a column, with a minus in front if it is turned round. */
function orderOf(text: string | null): Order {
  const isReversed = text?.startsWith("-") === true;
  const name = text?.slice(isReversed ? 1 : 0);
  const by = name === "name" ? name : COLUMNS.find(([column]) => column === name)?.[0];
  return by === undefined ? { by: FIRST_ORDER, isReversed: false } : { by, isReversed };
}

function ServiceTable(props: {
  readonly names: readonly string[];
  readonly colors: ServiceColors;
  readonly window: TimeSpan;
  readonly frame: Frame;
}) {
  const { names, window, frame } = props;
  const [params, put] = useUrlState();
  const filter = params.get("find") ?? "";
  const order = orderOf(params.get("sort"));
  const sortBy = (by: Order["by"]) => {
    const isReversed = order.by === by && !order.isReversed;
    const isFirst = by === FIRST_ORDER && !isReversed;
    put({ sort: isFirst ? undefined : `${isReversed ? "-" : ""}${by}` });
  };
  const sortOf = (by: Order["by"]) => {
    if (order.by !== by) return undefined;
    return (by === "name") === order.isReversed ? "descending" : "ascending";
  };
  const where = { field: "kind", op: "=", value: frame.kind };
  const asked = { window, where, isEnabled: true };
  const whole = Math.max(1, window.end - window.start + 1);
  const totals = useRed(asked, { step: whole, groupBy: "service", quantiles: QUANTILES });
  const series = useRed(asked, {
    step: stepFor(window, SPARK_STEPS),
    groupBy: "service",
    quantiles: [],
  });
  const rows = useMemo(() => {
    const found = totals.data === undefined ? [] : rowsOf(totals.data.value, window);
    return new Map(found.map((row) => [row.service, row]));
  }, [totals.data, window]);
  const earlier = useRowsBefore(window, where, "service");
  const shown = names
    .filter((name) => name.toLowerCase().includes(filter.toLowerCase()))
    .sort((left, right) => {
      const { by } = order;
      const figure = (name: string) => (by === "name" ? 0 : (rows.get(name)?.[by] ?? -1));
      const first = figure(right) - figure(left) || left.localeCompare(right);
      return order.isReversed ? -first : first;
    });
  const hasFigures = totals.error === undefined || totals.data !== undefined;
  return (
    <>
      {totals.data && (
        <PartialBanner completeness={totals.data.completeness} onRetry={() => totals.refetch()} />
      )}
      {!hasFigures && totals.error !== undefined && (
        <Failure
          title="Rates and durations could not be read"
          error={totals.error}
          onRetry={() => totals.refetch()}
        />
      )}
      {totals.data !== undefined && rows.size === 0 && (
        <p className="faint">
          No service has sent {frame.kind} spans within this time. Choose another kind or a longer
          time.
        </p>
      )}
      <input
        className="input service-filter"
        aria-label="Filter services"
        placeholder="Filter"
        value={filter}
        onChange={(event) => put({ find: event.target.value })}
      />
      <div className="panel scrolled" data-stale={totals.isPrevious}>
        <table className="table red-table">
          <thead>
            <tr>
              <th scope="col" aria-sort={sortOf("name")}>
                <SortButton name="Service" sorted={sortOf("name")} onClick={() => sortBy("name")} />
              </th>
              {hasFigures &&
                COLUMNS.map(([column, name]) => (
                  <th key={column} scope="col" className="num" aria-sort={sortOf(column)}>
                    <SortButton
                      name={name}
                      sorted={sortOf(column)}
                      onClick={() => sortBy(column)}
                    />
                  </th>
                ))}
              {hasFigures && <th scope="col">Against the window before</th>}
              {hasFigures && <th scope="col">Rate over time</th>}
            </tr>
          </thead>
          <tbody>
            {shown.map((name) => (
              <tr key={name}>
                <td>
                  <Link
                    href={`/services/${encodeURIComponent(name)}?${printFrame(frame)}`}
                    className="service-link"
                  >
                    <span className="swatch" style={swatchOf(props.colors, name)} />
                    <span>{name}</span>
                  </Link>
                </td>
                {hasFigures && <Figures row={rows.get(name)} />}
                {hasFigures && (
                  <ChangeCell
                    row={rows.get(name)}
                    before={earlier?.get(name)}
                    isKnown={earlier !== undefined}
                  />
                )}
                {hasFigures && (
                  <td>
                    <Spark series={series.data?.value} service={name} window={window} />
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
        {shown.length === 0 && <p className="faint none">No service has this in its name.</p>}
      </div>
    </>
  );
}

/** The same figures of the window before, by name, once the page rests. */
export function useRowsBefore(
  window: TimeSpan,
  where: Predicate,
  groupBy: "service" | "operation",
): ReadonlyMap<string, RedRow> | undefined {
  const before = useMemo(() => windowBefore(window), [window]);
  const step = Math.max(1, before.end - before.start + 1);
  const asked = { window: before, where, isEnabled: useIdle() };
  const { data, isPrevious } = useRed(asked, { step, groupBy, quantiles: QUANTILES });
  return useMemo(() => {
    // Half of the spans would look like a change.
    if (data === undefined || isPrevious || !data.completeness.isComplete) return undefined;
    return new Map(rowsOf(data.value, before).map((row) => [row[groupBy], row]));
  }, [data, isPrevious, before, groupBy]);
}

/** The cells of a row of figures. */
export function Figures(props: { readonly row: RedRow | undefined }) {
  const { row } = props;
  if (row === undefined) {
    return COLUMNS.map(([column]) => (
      <td key={column} className="num faint">
        –
      </td>
    ));
  }
  return (
    <>
      <td className="num" title={plural(row.spans, "span")}>
        {rateText(row.rate)}
      </td>
      <td className="num" title={plural(row.errors, "failed span")}>
        {row.errors === 0 ? (
          <span className="faint">0%</span>
        ) : (
          <span className="badge error">{percent(row.errorShare)}</span>
        )}
      </td>
      {([row.p50, row.p95, row.p99] as const).map((each, index) => (
        <td key={QUANTILES[index]} className="num" title={exactDuration(each)}>
          {duration(each)}
        </td>
      ))}
      <td className="meter-cell">
        <span className="meter" title={`${percent(row.impact)} of the time of all`}>
          <span style={{ width: `${100 * row.impact}%` }} />
        </span>
      </td>
    </>
  );
}

function Spark(props: {
  readonly series: RedSeries | undefined;
  readonly service: string;
  readonly window: TimeSpan;
}) {
  const { series, service, window } = props;
  const lines = useMemo(
    () => series && linesOf(series, service, window),
    [series, service, window],
  );
  return lines === undefined ? null : <Sparkline values={lines.rate} look="look-rate" />;
}
