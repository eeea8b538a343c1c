// One service: its rate, errors and durations by time, its operations by what they cost, and who
// calls whom.

import { useMemo } from "react";
import { Link, useLocation } from "wouter";
import { duration, percent, plural, shortCount } from "../../base/format";
import { micros } from "../../base/time";
import { Chart } from "../../components/chart";
import { Failure, Loading, Message, PartialBanner } from "../../components/states";
import type { RedSeries } from "../../model/figures";
import type { Filter } from "../../model/filter";
import { stepFor } from "../../model/heat";
import type { Operation } from "../../model/operation";
import type { Predicate } from "../../model/predicate";
import { linesOf, QUANTILES, rateText, rowsOf } from "../../model/red";
import {
  EMPTY_QUERY,
  printSearch,
  type SearchQuery,
  type TimeSpan,
} from "../../model/search-query";
import { useExemplars } from "../../state/exemplars";
import { useRed } from "../../state/figures";
import { useIdle } from "../../state/idle";
import { useDependencies, useOperations } from "../../state/queries";
import { useSettings } from "../../state/settings";
import { Breakdown } from "./breakdown";
import { ChangeCell } from "./change";
import { type Frame, KINDS } from "./frame";
import { Figures, NameFilter, RedHead, useListed, useRowsBefore } from "./table";

const DAY_MILLIS = 86_400_000;
const CHART_STEPS = 90;
const LOOKS = ["look-p50", "look-p95", "look-p99"];
/** Where a failure says what it was, the most telling first. */
const FAILURE_KEYS = [
  "event.exception.message",
  "status_message",
  "event.exception.type",
  "error.message",
  "error.type",
  "rpc.grpc.status_code",
  "http.response.status_code",
  "http.status_code",
];
/** What tells one process of a service from another. */
const INSTANCE_KEYS = [
  "resource.service.instance.id",
  "resource.k8s.pod.name",
  "resource.host.name",
  "resource.container.id",
  "resource.service.version",
];
const FAILED: Filter = { key: "status", operator: "=", values: ["error"], isExcluded: false };

export function ServiceDetail(props: {
  readonly service: string;
  readonly window: TimeSpan;
  readonly frame: Frame;
  readonly onFrame: (frame: Frame) => void;
}) {
  const { service, window, frame } = props;
  const [, navigate] = useLocation();
  const where = {
    all: [
      { field: "service", op: "=", value: service },
      { field: "kind", op: "=", value: frame.kind },
    ],
  };
  const asked = { window, where, isEnabled: true };
  const step = stepFor(window, CHART_STEPS);
  const series = useRed(asked, { step, groupBy: "service", quantiles: QUANTILES });
  const whole = Math.max(1, window.end - window.start + 1);
  const totals = useRed(asked, { step: whole, groupBy: "operation", quantiles: QUANTILES });
  const search = (change: Partial<SearchQuery>) =>
    `/search?${printSearch({
      ...EMPTY_QUERY,
      window: { kind: "range", ...window },
      service,
      ...change,
    })}`;
  const isEmpty = series.data !== undefined && series.data.value.spans === 0;
  const isMissing = series.error !== undefined && series.data === undefined;
  return (
    <div className="service-detail">
      <div className="service-head">
        <Link className="button" href={search({})}>
          Traces
        </Link>
        <Link className="button" href={search({ filters: [FAILED] })}>
          Failed traces
        </Link>
        <Link className="button" href={search({ order: "longest" })}>
          Longest traces
        </Link>
      </div>
      {series.data && (
        <PartialBanner completeness={series.data.completeness} onRetry={() => series.refetch()} />
      )}
      {isMissing && series.error !== undefined && (
        <Failure
          title="Rates and durations could not be read"
          error={series.error}
          onRetry={() => {
            series.refetch();
            totals.refetch();
          }}
        />
      )}
      {isEmpty ? (
        <Message title={`No ${frame.kind} spans`}>
          <p>
            This service has sent none within this time. It may have sent spans of another kind:
          </p>
          <div className="row">
            {KINDS.filter((kind) => kind !== frame.kind).map((kind) => (
              <button
                key={kind}
                type="button"
                className="button"
                onClick={() => props.onFrame({ ...frame, kind })}
              >
                {kind}
              </button>
            ))}
          </div>
        </Message>
      ) : (
        series.data && (
          <Charts
            series={series.data.value}
            service={service}
            window={window}
            isStale={series.isPrevious}
            onPick={(from, to, change) =>
              navigate(
                search({
                  window: { kind: "range", start: from as never, end: to as never },
                  ...change,
                }),
              )
            }
          />
        )
      )}
      {series.data === undefined && !isMissing && <Loading what="figures" />}
      <Neighbours service={service} />
      {!isMissing && !isEmpty && (
        <div className="breakdowns">
          <Breakdown
            title="What failed"
            name="failed"
            window={window}
            where={{
              all: [
                { field: "service", op: "=", value: service },
                { field: "status", op: "=", value: "error" },
              ],
            }}
            keys={FAILURE_KEYS}
            none="No failed span of any kind says what it was."
            linkOf={(key, value) => search({ filters: [FAILED, equals(key, value)] })}
          />
          <Breakdown
            title="By attribute"
            name="attribute"
            window={window}
            where={where}
            keys={INSTANCE_KEYS}
            none="Its spans do not say which instance sent them: choose an attribute."
            linkOf={(key, value) => search({ filters: [equals(key, value)] })}
          />
        </div>
      )}
      {totals.data !== undefined && totals.data.value.groups.length > 0 ? (
        <Costs series={totals.data.value} window={window} where={where} linkOf={search} />
      ) : (
        <OperationList service={service} linkOf={(operation) => search({ operation })} />
      )}
    </div>
  );
}

function equals(key: string, value: string): Filter {
  return { key, operator: "=", values: [value], isExcluded: false };
}

function Charts(props: {
  readonly series: RedSeries;
  readonly service: string;
  readonly window: TimeSpan;
  readonly isStale: boolean;
  readonly onPick: (from: number, to: number, change: Partial<SearchQuery>) => void;
}) {
  const { series, service, window, onPick } = props;
  const { zone } = useSettings();
  const lines = useMemo(() => linesOf(series, service, window), [series, service, window]);
  const common = { start: series.start, step: series.step, zone };
  const isIdle = useIdle();
  const own = { ...EMPTY_QUERY, service };
  const failed = useExemplars({ ...own, filters: [FAILED] }, window, series.step, isIdle);
  const longest = useExemplars({ ...own, order: "longest" }, window, series.step, isIdle);
  const marksOf = (exemplars: typeof failed) =>
    exemplars.map(({ traceId, start, duration: took, errors }) => ({
      at: start,
      href: `/trace/${traceId}`,
      title: `Trace of ${duration(took)}${errors > 0 ? `, ${plural(errors, "error")}` : ""}`,
    }));
  return (
    <div className="charts" data-stale={props.isStale}>
      <Chart
        {...common}
        title="Rate"
        lines={[{ name: "rate", look: "look-rate", values: lines.rate }]}
        format={rateText}
        least={0}
        onPick={(from, to) => onPick(from, to, {})}
      />
      <Chart
        {...common}
        title="Errors"
        lines={[{ name: "errors", look: "look-error", values: lines.errorShare }]}
        format={(value) => (value === 0 ? "0%" : percent(value))}
        least={0.01}
        marks={{ name: "Failed traces", entries: marksOf(failed) }}
        onPick={(from, to) => onPick(from, to, { filters: [FAILED] })}
      />
      <Chart
        {...common}
        title="Duration"
        lines={lines.quantiles.map((values, index) => ({
          name: `p${Math.round((QUANTILES[index] ?? 0) * 100)}`,
          look: LOOKS[index] ?? "",
          values,
        }))}
        format={(value) => duration(micros(value))}
        least={0}
        marks={{ name: "Longest traces", entries: marksOf(longest) }}
        onPick={(from, to) => onPick(from, to, { order: "longest" })}
      />
    </div>
  );
}

/** Operations by the share of time they take. */
function Costs(props: {
  readonly series: RedSeries;
  readonly window: TimeSpan;
  readonly where: Predicate;
  readonly linkOf: (change: Partial<SearchQuery>) => string;
}) {
  const { series, window, linkOf } = props;
  const rows = useMemo(
    () => new Map(rowsOf(series, window).map((row) => [row.operation, row])),
    [series, window],
  );
  const names = useMemo(() => [...rows.keys()], [rows]);
  const earlier = useRowsBefore(window, props.where, "operation");
  const shown = useListed(names, rows, earlier);
  const beside = (
    <span className="faint">
      {" "}
      {shown.length < names.length && `${shown.length} of `}
      {names.length}
    </span>
  );
  return (
    <>
      <NameFilter label="Filter operations" />
      <div className="panel scrolled operations">
        <table className="table red-table">
          <RedHead name="Operation" beside={beside} hasFigures />
          <tbody>
            {shown.map(({ name, row, changes }) => (
              <tr key={name}>
                <td>
                  <Link href={linkOf({ operation: name })}>{name || "(no name)"}</Link>
                </td>
                <Figures row={row} />
                <ChangeCell changes={changes} before={earlier?.get(name)} />
              </tr>
            ))}
          </tbody>
        </table>
        {shown.length === 0 && <p className="faint none">No operation has this in its name.</p>}
      </div>
    </>
  );
}

/** Names alone, where there are no figures. */
function OperationList(props: {
  readonly service: string;
  readonly linkOf: (operation: string) => string;
}) {
  const operations = useOperations(props.service);
  if (operations.error && operations.data === undefined) {
    return (
      <Failure
        title="The operations could not be listed"
        error={operations.error}
        onRetry={() => operations.refetch()}
      />
    );
  }
  if (operations.data === undefined) return <Loading what="operations" />;
  const found: readonly Operation[] = operations.data.value;
  if (found.length === 0) {
    return (
      <Message title="No operations">
        <p>No span of this service is kept.</p>
      </Message>
    );
  }
  return (
    <div className="panel scrolled operations">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">
              Operation <span className="faint">{found.length}</span>
            </th>
            <th scope="col">Kind</th>
          </tr>
        </thead>
        <tbody>
          {found.map(({ name, kind }) => (
            <tr key={`${name}\n${kind}`}>
              <td>
                <Link href={props.linkOf(name)}>{name}</Link>
              </td>
              <td>
                <span className="badge">{kind || "unspecified"}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Who calls the service, and whom it calls, within the last day. */
function Neighbours(props: { readonly service: string }) {
  const { service } = props;
  const { data, error } = useDependencies(DAY_MILLIS);
  if (error && data === undefined) {
    return <p className="faint">Who calls it, and whom it calls, could not be read.</p>;
  }
  const edges = data?.value ?? [];
  const others = edges.filter((edge) => edge.parent !== edge.child);
  const callers = others.filter((edge) => edge.child === service);
  const called = others.filter((edge) => edge.parent === service);
  if (callers.length + called.length === 0) return null;
  const list = (title: string, entries: readonly { name: string; calls: number }[]) => (
    <div>
      <h2>{title}</h2>
      {entries.length === 0 && <p className="faint">none seen</p>}
      <ul>
        {entries.map(({ name, calls }) => (
          <li key={name}>
            <Link href={`/services/${encodeURIComponent(name)}`}>{name}</Link>
            <span className="faint" title={plural(calls, "call")}>
              {shortCount(calls)}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
  return (
    <div className="panel neighbours">
      {list(
        "Called by",
        callers.map((edge) => ({ name: edge.parent, calls: edge.calls })),
      )}
      {list(
        "Calls",
        called.map((edge) => ({ name: edge.child, calls: edge.calls })),
      )}
    </div>
  );
}
