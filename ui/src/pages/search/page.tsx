// Explore: ask for traces, see them by time and duration, open one.

import { useCallback, useEffect, useMemo, useState } from "react";
import { useLocation, useSearch } from "wouter";
import { assignColors } from "../../base/color";
import { count, duration, plural } from "../../base/format";
import { Icon } from "../../components/icon";
import { Scatter } from "../../components/scatter";
import { swatchOf } from "../../components/service";
import { Failure, FirstSteps, Loading, Message, PartialBanner } from "../../components/states";
import { parseSearch, printSearch, type SearchQuery } from "../../model/search-query";
import {
  isSort,
  SORTS,
  type Sort,
  servicesOf,
  sortSummaries,
  type TraceSummary,
} from "../../model/summary";
import { embedOf } from "../../state/embed";
import { rememberSearch } from "../../state/last-search";
import { useSearchResults, useServices } from "../../state/queries";
import { changeSettings, useSettings } from "../../state/settings";
import { SearchForm } from "./form";
import { ResultList } from "./results";

/** Service chips beyond these are left to the form. */
const CHIPS_MAX = 14;

export function SearchPage() {
  const search = useSearch();
  const [, navigate] = useLocation();
  const { query } = useMemo(() => parseSearch(new URLSearchParams(search)), [search]);
  // Facets and order change the URL too and must not ask the server again.
  const asked = printSearch(query).toString();
  // biome-ignore lint/correctness/useExhaustiveDependencies: equal by its text.
  const stable = useMemo(() => query, [asked]);
  const [run, setRun] = useState(0);
  const results = useSearchResults(stable, run);
  const embed = embedOf(search);
  useEffect(() => rememberSearch(search), [search]);
  useEffect(() => {
    document.title = query.service === "" ? "Traces · Skua" : `${query.service} · Skua`;
  }, [query.service]);
  const start = (next: SearchQuery) => {
    const params = printSearch(next);
    if (params.toString() === asked) setRun(run + 1);
    navigate(`/search?${params}`);
  };
  const again = () => setRun(run + 1);
  return (
    <div className="page search-page">
      <h1 className="visually-hidden">Find traces</h1>
      {!embed.isEmbedded && (
        <SearchForm query={stable} isRunning={results.isFetching} onRun={start} />
      )}
      {results.isError ? (
        <Failure title="The search failed" error={results.error} onRetry={again} />
      ) : results.data === undefined ? (
        <Loading what="traces" />
      ) : (
        <div className="outcome" data-stale={results.isPlaceholderData}>
          <PartialBanner completeness={results.data.completeness} onRetry={again} />
          <Outcome
            query={stable}
            traces={results.data.value}
            elapsed={duration(results.data.elapsed)}
            isComplete={results.data.completeness.isComplete}
            hideGraph={embed.hideGraph}
            onFindFailed={() =>
              start({
                ...stable,
                tags: [...stable.tags.filter(([key]) => key !== "error"), ["error", "true"]],
              })
            }
            onWiden={(lookback) => start({ ...stable, window: { kind: "lookback", lookback } })}
          />
        </div>
      )}
    </div>
  );
}

function Outcome(props: {
  readonly query: SearchQuery;
  readonly traces: readonly TraceSummary[];
  readonly elapsed: string;
  readonly isComplete: boolean;
  readonly hideGraph: boolean;
  readonly onWiden: (lookback: string) => void;
  readonly onFindFailed: () => void;
}) {
  const { traces, query } = props;
  const { zone } = useSettings();
  const [, navigate] = useLocation();
  const [hovered, setHovered] = useState<string | undefined>();
  const facets = useFacets();
  const [ticked, setTicked] = useState<readonly string[]>([]);
  const tick = (id: string) =>
    // A comparison is of two: the oldest tick gives way.
    setTicked(
      ticked.includes(id) ? ticked.filter((each) => each !== id) : [...ticked, id].slice(-2),
    );
  const services = useMemo(() => servicesOf(traces), [traces]);
  const colors = useMemo(() => assignColors(services), [services]);
  const kept = useMemo(
    () => sortSummaries(traces.filter(facets.keeps), facets.sort),
    [traces, facets.keeps, facets.sort],
  );
  const open = useCallback((id: string) => navigate(`/trace/${id}`), [navigate]);
  if (traces.length === 0) return <Nothing {...props} />;
  const failed = traces.filter((trace) => trace.errors > 0).length;
  return (
    <>
      <div className="result-bar">
        <p role="status">
          <strong>
            {kept.length === traces.length
              ? plural(traces.length, "trace")
              : `${count(kept.length)} of ${plural(traces.length, "trace")}`}
          </strong>
          <span className="faint">
            {traces.length >= query.limit ? ` · the newest that match, limit ${query.limit}` : ""}
            {props.isComplete ? " · complete" : " · partial"} · {props.elapsed}
          </span>
        </p>
        <div className="chips">
          <button
            type="button"
            className="chip"
            aria-pressed={facets.onlyErrors}
            onClick={facets.toggleErrors}
          >
            <span className="failed">
              <Icon name="error" />
            </span>
            With errors <span className="faint">{failed}</span>
          </button>
          {services.slice(0, CHIPS_MAX).map(({ name }) => (
            <button
              key={name}
              type="button"
              className="chip"
              aria-pressed={facets.services.has(name)}
              onClick={() => facets.toggleService(name)}
            >
              <span className="swatch" style={swatchOf(colors, name)} />
              {name}{" "}
              <span className="faint">
                {traces.filter((trace) => trace.services.some((each) => each.name === name)).length}
              </span>
            </button>
          ))}
        </div>
        {ticked.length > 0 && (
          <button
            type="button"
            className="button"
            disabled={ticked.length < 2}
            onClick={() => navigate(`/trace/${ticked.join("...")}`)}
          >
            {ticked.length < 2 ? "Tick another to compare" : "Compare"}
          </button>
        )}
        <select
          className="input sort"
          aria-label="Order"
          value={facets.sort}
          onChange={(event) => facets.setSort(event.target.value)}
        >
          {Object.entries(SORTS).map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </div>
      {kept.length === 0 && (
        <Message title="None of these passes the filter">
          <p>
            The filter above looks at the {plural(traces.length, "trace")} that the search returned.
            The cluster may hold more.
          </p>
          <div className="row">
            {facets.onlyErrors && (
              <button type="button" className="button primary" onClick={props.onFindFailed}>
                Search for failed traces
              </button>
            )}
            <button type="button" className="button" onClick={facets.clear}>
              Show all {count(traces.length)}
            </button>
          </div>
        </Message>
      )}
      {kept.length > 0 && !props.hideGraph && (
        <div className="panel">
          <Scatter traces={kept} zone={zone} hovered={hovered} onHover={setHovered} onOpen={open} />
        </div>
      )}
      {kept.length > 0 && (
        <ResultList
          traces={kept}
          colors={colors}
          zone={zone}
          hovered={hovered}
          onHover={setHovered}
          ticked={ticked}
          onTick={tick}
        />
      )}
    </>
  );
}

/** What of the results is shown, and in which order; kept in the URL beside the query. */
function useFacets() {
  const search = useSearch();
  const [, navigate] = useLocation();
  const preferred = useSettings().sort;
  return useMemo(() => {
    const params = new URLSearchParams(search);
    const asked = params.get("sort") ?? "";
    const sort: Sort = isSort(asked) ? asked : preferred;
    const onlyErrors = params.get("f") === "err";
    const services = new Set(params.getAll("fs"));
    const go = (change: (params: URLSearchParams) => void) => {
      const next = new URLSearchParams(search);
      change(next);
      navigate(`/search?${next}`, { replace: true });
    };
    return {
      sort,
      onlyErrors,
      services,
      keeps: (trace: TraceSummary) =>
        (!onlyErrors || trace.errors > 0) &&
        [...services].every((name) => trace.services.some((each) => each.name === name)),
      clear: () =>
        go((next) => {
          next.delete("f");
          next.delete("fs");
        }),
      toggleErrors: () => go((next) => (onlyErrors ? next.delete("f") : next.set("f", "err"))),
      toggleService: (name: string) =>
        go((next) => (services.has(name) ? next.delete("fs", name) : next.append("fs", name))),
      setSort: (value: string) => {
        if (isSort(value)) changeSettings({ sort: value });
        go((next) => next.set("sort", value));
      },
    };
  }, [search, navigate, preferred]);
}

/** Nothing was found: because there is nothing, because too little was asked, or in part. */
function Nothing(props: {
  readonly query: SearchQuery;
  readonly isComplete: boolean;
  readonly elapsed: string;
  readonly onWiden: (lookback: string) => void;
}) {
  const services = useServices().data;
  if (!props.isComplete) {
    return (
      <Message title="Nothing found so far">
        <p>Part of the cluster did not answer, so there may be traces that match.</p>
      </Message>
    );
  }
  if (services?.value.length === 0 && services.completeness.isComplete) return <FirstSteps />;
  const { window } = props.query;
  const wider = ["24h", "7d", "4w"];
  return (
    <Message title="No trace matches">
      <p>
        The whole cluster answered in {props.elapsed}: no trace{" "}
        {window.kind === "lookback" ? `of the last ${window.lookback}` : "of this time"} matches
        {props.query.service === "" ? "." : ` in ${props.query.service}.`} Look further back, or ask
        for less.
      </p>
      <div className="row">
        {wider.map((lookback) => (
          <button
            key={lookback}
            type="button"
            className="button"
            onClick={() => props.onWiden(lookback)}
          >
            Last {lookback}
          </button>
        ))}
      </div>
    </Message>
  );
}
