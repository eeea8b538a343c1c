// The services that have sent spans: how much they do, how much of it fails, how long it takes.

import { useEffect, useMemo } from "react";
import { Link, useLocation, useSearch } from "wouter";
import { assignColors, type ServiceColors } from "../../base/color";
import { duration } from "../../base/format";
import { wallClock } from "../../base/time";
import { Sparkline } from "../../components/chart";
import { FirstSteps } from "../../components/first-steps";
import { swatchOf } from "../../components/service";
import { Failure, Loading, PartialBanner } from "../../components/states";
import type { RedSeries } from "../../model/figures";
import { stepFor } from "../../model/heat";
import { linesOf, QUANTILES, rowsOf } from "../../model/red";
import type { TimeSpan } from "../../model/search-query";
import { useRed } from "../../state/figures";
import { useServices } from "../../state/queries";
import { ChangeCell } from "./change";
import { ServiceDetail } from "./detail";
import { FRAMES, type Frame, frameOf, KINDS, printFrame } from "./frame";
import { Figures, NameFilter, RedHead, useListed, useRowsBefore } from "./table";
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

function ServiceTable(props: {
  readonly names: readonly string[];
  readonly colors: ServiceColors;
  readonly window: TimeSpan;
  readonly frame: Frame;
}) {
  const { names, window, frame } = props;
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
  const shown = useListed(names, rows, earlier);
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
      <NameFilter label="Filter services" />
      <div className="panel scrolled" data-stale={totals.isPrevious}>
        <table className="table red-table">
          <RedHead name="Service" hasFigures={hasFigures}>
            {hasFigures && <th scope="col">Rate over time</th>}
          </RedHead>
          <tbody>
            {shown.map(({ name, row, changes }) => (
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
                {hasFigures && <Figures row={row} />}
                {hasFigures && <ChangeCell changes={changes} before={earlier?.get(name)} />}
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
