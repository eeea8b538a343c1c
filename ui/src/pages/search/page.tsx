// Explore: ask for traces, see what matches by time, duration and attribute, open one.

import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useLocation, useSearch } from "wouter";
import { assignColors } from "../../base/color";
import { count, duration, plural, timestamp } from "../../base/format";
import type { Zone } from "../../base/time";
import { Icon } from "../../components/icon";
import { Segmented } from "../../components/segmented";
import { Failure, Loading, PartialBanner } from "../../components/states";
import { parseSelection, printSelection, type Selection } from "../../model/difference";
import type { SearchProgress } from "../../model/early";
import { FORMS, type Form, isForm } from "../../model/forms";
import { compareHref, isTraceId, SIDE_TRACES_MAX } from "../../model/links";
import { withLive } from "../../model/live";
import { traceHref } from "../../model/matched";
import { isOrder, ORDERS } from "../../model/orders";
import { isExactOnSpans, spanPredicate } from "../../model/predicate";
import {
  parseSearch,
  printSearch,
  type SearchQuery,
  type TimeSpan,
} from "../../model/search-query";
import { servicesOf, sortSummaries, type TraceSummary } from "../../model/summary";
import { embedOf } from "../../state/embed";
import { useTotals } from "../../state/figures";
import { useIdle } from "../../state/idle";
import { usePlainKeys } from "../../state/keys";
import { rememberSearch } from "../../state/last-search";
import { useLive } from "../../state/live";
import { useCluster, useServices } from "../../state/queries";
import { noteSearch } from "../../state/search-history";
import { type SearchView, useSearchRun } from "../../state/search-run";
import { useSettings } from "../../state/settings";
import { useSteady } from "../../state/steady";
import { uiConfig } from "../../state/ui-config";
import { Difference } from "./difference";
import { Facets } from "./facets";
import { Failed } from "./failed";
import { SearchForm } from "./form";
import { Nothing } from "./nothing";
import { Plot, type PlotKind } from "./plot";
import { ResultList } from "./results";
import { ShareMenu } from "./share";
import { ResultSpans } from "./spans";
import { ResultTable } from "./table";
import "./search.css";

export function SearchPage() {
  const search = useSearch();
  const [, navigate] = useLocation();
  const { query } = useMemo(
    () => parseSearch(new URLSearchParams(search), uiConfig().lookback),
    [search],
  );
  // What of the results is shown is in the URL too and must not ask the server again.
  const asked = printSearch(query).toString();
  // biome-ignore lint/correctness/useExhaustiveDependencies: equal by its text.
  const stable = useMemo(() => query, [asked]);
  const [attempt, setAttempt] = useState(0);
  const results = useSearchRun(stable, attempt);
  const look = useLook();
  const embed = embedOf(search);
  useEffect(() => rememberSearch(search), [search]);
  useEffect(() => noteSearch(asked), [asked]);
  useEffect(() => {
    document.title = query.service === "" ? "Traces · Skua" : `${query.service} · Skua`;
  }, [query.service]);
  const start = (next: SearchQuery) => {
    const params = printSearch(next);
    if (params.toString() === asked) setAttempt(attempt + 1);
    for (const [name, value] of look.kept) params.append(name, value);
    navigate(`/search?${params}`);
  };
  const again = () => setAttempt(attempt + 1);
  const isEmpty = results.traces.length === 0;
  return (
    <div className="page search-page">
      <h1 className="visually-hidden">Find traces</h1>
      {!embed.isEmbedded && (
        <SearchForm query={stable} current={asked} isRunning={results.isRunning} onRun={start} />
      )}
      {results.error !== undefined && (
        <Failure
          title={
            results.isPrevious
              ? "The search failed: below is what the one before it found"
              : isEmpty
                ? "The search failed"
                : "The search stopped before its end"
          }
          error={results.error}
          onRetry={again}
        />
      )}
      {isEmpty && results.end === undefined ? (
        results.error === undefined ? (
          <Loading what="traces" />
        ) : (
          <Failed
            query={stable}
            window={results.window}
            current={asked}
            look={look.kept}
            onChange={start}
          />
        )
      ) : (
        <div data-stale={results.isPrevious}>
          {results.end && <PartialBanner completeness={results.end.completeness} onRetry={again} />}
          <Outcome
            query={stable}
            results={results}
            hideGraph={embed.hideGraph}
            look={look}
            onChange={start}
            onAgain={again}
          />
        </div>
      )}
    </div>
  );
}

/** More would not fit on the two sides of a comparison. */
const TICKED_MAX = 2 * SIDE_TRACES_MAX;

const FORM_NAMES: Record<Form, string> = { list: "List", table: "Table", spans: "Spans" };
const FORM_TITLES: Record<Form, string> = {
  list: "Traces, two lines each (1)",
  table: "Traces, a line each, sorted by a click on a column (2)",
  spans: "Below each trace the spans that match (3)",
};
/** A server with Jaeger's search only does not tell which spans matched. */
const { spans: _, ...LIMITED_FORMS } = FORM_NAMES;

function Outcome(props: {
  readonly query: SearchQuery;
  readonly results: SearchView;
  readonly hideGraph: boolean;
  readonly look: Look;
  readonly onChange: (query: SearchQuery) => void;
  readonly onAgain: () => void;
}) {
  const { query, results, look } = props;
  const { end, window } = results;
  const { zone } = useSettings();
  const [, navigate] = useLocation();
  const [hovered, setHovered] = useState<string | undefined>();
  const isLimited = end?.isLimited === true;
  // Jaeger's search knows one order; the others are made of what it found.
  const traces = useMemo(
    () => (isLimited ? sortSummaries(results.traces, query.order) : results.traces),
    [results.traces, isLimited, query.order],
  );
  const services = useMemo(() => servicesOf(traces), [traces]);
  // Their names are looked up in everything that is stored: after the traces, not beside them.
  const known = useServices(useIdle() && end !== undefined).data?.value;
  const colors = useMemo(
    () => assignColors([...services, ...(known ?? []).map((name) => ({ name, spans: 0 }))]),
    [services, known],
  );
  const live = useLive(query, printSearch(query).toString(), look.isLive, window);
  const names: Readonly<Partial<typeof FORM_NAMES>> = isLimited ? LIMITED_FORMS : FORM_NAMES;
  const forms = FORMS.filter((each) => each in names);
  const form = forms.find((each) => each === look.form) ?? "list";
  usePlainKeys({
    ...Object.fromEntries(
      forms.map((each, index) => [String(index + 1), () => look.setForm(each)]),
    ),
    ".": () => look.setLive(!look.isLive),
    "/": () => document.querySelector<HTMLElement>(".search-form .tags input")?.focus(),
  });
  const steady = useSteady(traces, window);
  const listed = useMemo(() => withLive(live.traces, steady.traces), [live.traces, steady.traces]);
  const waiting = live.waiting + steady.waiting;
  const apply = (isHeld: boolean) => {
    live.hold(isHeld);
    steady.hold(isHeld);
  };
  const wantsHold = useRef(false);
  const hold = (isHeld: boolean) => {
    wantsHold.current = isHeld;
    // On the way from the list to the button that shows what waits, neither must move.
    if (isHeld || waiting === 0) apply(isHeld);
  };
  const release = () => {
    live.release();
    steady.release();
    apply(wantsHold.current);
  };
  const hrefOf = useCallback((trace: TraceSummary) => traceHref(query, trace), [query]);
  const open = useCallback(
    (id: string) => {
      const trace = traces.find(({ traceId }) => traceId === id);
      if (trace !== undefined) navigate(hrefOf(trace));
    },
    [navigate, hrefOf, traces],
  );
  const { ticked } = look;
  const tick = (id: string) =>
    // The first two are compared; the others are there to be added to a side.
    look.setTicked(
      ticked.includes(id)
        ? ticked.filter((each) => each !== id)
        : [...ticked, id].slice(-TICKED_MAX),
    );
  const isByIds = query.traceIds.length > 0;
  // An empty node has nothing to count.
  const hasFigures = !isLimited && !isByIds && !(known?.length === 0 && traces.length === 0);
  // Figures come after the results, which people wait for.
  const isThere = end !== undefined || (traces.length > 0 && results.progress === undefined);
  const isReady = hasFigures && !results.isPrevious && isThere;
  const list = {
    traces: listed,
    colors,
    zone,
    hrefOf,
    hovered,
    onHover: setHovered,
    ticked,
    onTick: tick,
    hasMore: end?.cursor !== undefined,
    isRunning: results.isRunning,
    onMore: results.more,
    onHold: hold,
  };
  const isNothing = listed.length === 0 && !look.isLive && end !== undefined && !results.isRunning;
  return (
    <div className={hasFigures ? "explore" : "explore plain"}>
      {hasFigures && (
        <Facets
          query={query}
          window={window}
          isEnabled={isReady}
          colors={colors}
          added={look.facets}
          onAdded={look.setFacets}
          long={look.long}
          onLong={look.setLong}
          isOpen={look.narrows}
          onOpen={look.setNarrows}
          onChange={props.onChange}
        />
      )}
      <div className="outcome" onPointerLeave={() => apply(wantsHold.current)}>
        <div className="result-bar">
          <Status query={query} results={results} isReady={isReady} />
          <span className="spacer" />
          {waiting > 0 && (
            <button type="button" className="button small" onClick={release}>
              <Icon name="up" />
              {count(waiting)} {steady.waiting > 0 ? "more found" : "newer"}
            </button>
          )}
          {hasFigures && query.window.kind === "lookback" && (
            <button
              type="button"
              className="button small live"
              aria-pressed={look.isLive}
              title="Show new traces as they arrive (.)"
              onClick={() => look.setLive(!look.isLive)}
            >
              <span className="dot" data-on={look.isLive} />
              Live
            </button>
          )}
          <ShareMenu query={query} window={window} traces={listed} look={look.kept} />
          {results.isRunning && (
            <button type="button" className="button small" onClick={results.stop}>
              Stop
            </button>
          )}
          {end?.hasMoved && (
            <button type="button" className="button small" onClick={props.onAgain}>
              <Icon name="reset" />
              New spans arrived: search again
            </button>
          )}
          {ticked.length > 0 && (
            <button
              type="button"
              className="button"
              disabled={ticked.length < 2}
              onClick={() => navigate(compareHref(ticked))}
            >
              {ticked.length < 2
                ? "Tick another to compare"
                : ticked.length === 2
                  ? "Compare"
                  : `Compare ${ticked.length}`}
            </button>
          )}
          <Segmented
            label="Show as"
            names={names}
            titles={FORM_TITLES}
            value={form}
            onChoose={look.setForm}
            isSmall
          />
          <select
            className="input sort"
            aria-label="Order"
            value={query.order}
            onChange={({ target }) =>
              isOrder(target.value) && props.onChange({ ...query, order: target.value })
            }
          >
            {Object.entries(ORDERS).map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </div>
        {!props.hideGraph && !isByIds && (
          <Plot
            kind={look.plot}
            onKind={look.setPlot}
            query={query}
            window={window}
            traces={traces}
            hasFigures={hasFigures}
            isReady={isReady}
            zone={zone}
            hovered={hovered}
            onHover={setHovered}
            onOpen={open}
            selection={look.selection}
            onSelect={look.setSelection}
            onChange={props.onChange}
          />
        )}
        {look.selection !== undefined && hasFigures && !isLimited && (
          <Difference
            selection={look.selection}
            query={query}
            window={window}
            onChange={props.onChange}
            onClose={() => look.setSelection(undefined)}
          />
        )}
        {look.isLive && (live.error !== undefined || live.isTooFast) && (
          <p className="banner" role="status">
            <Icon name="warning" />
            {live.error !== undefined
              ? `No new traces: ${live.error.message}`
              : "More traces arrive than are shown here; a narrower search shows all."}
          </p>
        )}
        {isNothing ? (
          <Nothing query={query} results={results} onChange={props.onChange} />
        ) : (
          <>
            {form === "list" && <ResultList {...list} />}
            {form === "table" && (
              <ResultTable
                {...list}
                order={query.order}
                onOrder={(order) => props.onChange({ ...query, order })}
              />
            )}
            {form === "spans" && <ResultSpans {...list} query={query} window={window} />}
          </>
        )}
      </div>
    </div>
  );
}

/** What ran, over what, how complete, how long. */
function Status(props: {
  readonly query: SearchQuery;
  readonly results: SearchView;
  readonly isReady: boolean;
}) {
  const { query, results } = props;
  const { end, window, progress } = results;
  const { zone } = useSettings();
  const where = useMemo(() => spanPredicate(query), [query]);
  const shards = useCluster().data?.value.shards.length ?? 0;
  const hasMore = end?.cursor !== undefined;
  const isEnabled = props.isReady && hasMore && isExactOnSpans(query);
  const total = useTotals({ window, where, isEnabled }).data?.value.traces;
  const found = results.traces.length;
  const parts = [
    end === undefined
      ? results.isRunning
        ? "searching"
        : "stopped"
      : end.completeness.isComplete
        ? "complete"
        : "partial",
    ...(progress === undefined ? [] : progressParts(progress)),
    ...(end !== undefined && shards > 0 && !end.isLimited
      ? [`${shards - end.completeness.missing.length} of ${plural(shards, "shard")}`]
      : []),
    ...(query.traceIds.length > 0 ? [] : [windowText(query, window, zone)]),
    ...(end === undefined ? [] : [duration(end.elapsed)]),
    ...(end !== undefined && end.spansScanned > 0
      ? [`${count(end.spansScanned)} spans looked at`]
      : []),
    ...(end?.isLimited && found >= query.limit ? [`the newest, limit ${query.limit}`] : []),
  ];
  return (
    <p role="status">
      <strong>
        {hasMore && total !== undefined && total > found
          ? `${count(found)} of ${plural(total, "trace")}`
          : `${plural(found, "trace")}${hasMore ? " so far" : ""}`}
      </strong>
      <span className="faint"> · {parts.join(" · ")}</span>
      {progress !== undefined && (
        <progress
          className="search-progress"
          aria-label="Shards that have answered"
          max={progress.shards}
          value={progress.answered + progress.missing}
        />
      )}
    </p>
  );
}

/** How far a search has come. */
function progressParts({ shards, answered, missing, spansScanned }: SearchProgress): string[] {
  return [
    `${answered} of ${plural(shards, "shard")} answered`,
    ...(missing > 0 ? [`${missing} failed`] : []),
    ...(spansScanned > 0 ? [`${count(spansScanned)} spans looked at`] : []),
    "others may come before these",
  ];
}

/** Over what time. */
function windowText({ window: asked }: SearchQuery, window: TimeSpan, zone: Zone): string {
  if (asked.kind === "lookback") return `last ${asked.lookback}`;
  const [from, to] = [timestamp(window.start, zone), timestamp(window.end, zone)];
  return `${from.slice(0, 19)} to ${to.slice(0, 10) === from.slice(0, 10) ? to.slice(11, 19) : to.slice(0, 19)}`;
}

interface Look {
  readonly plot: PlotKind;
  readonly setPlot: (kind: PlotKind) => void;
  readonly form: Form;
  readonly setForm: (form: Form) => void;
  readonly isLive: boolean;
  readonly setLive: (isLive: boolean) => void;
  /** Which spans are compared with the others. */
  readonly selection: Selection | undefined;
  readonly setSelection: (selection: Selection | undefined) => void;
  /** Traces chosen for a comparison. */
  readonly ticked: readonly string[];
  readonly setTicked: (traceIds: readonly string[]) => void;
  readonly facets: readonly string[];
  readonly setFacets: (keys: readonly string[]) => void;
  /** Facets of which all values are listed. */
  readonly long: readonly string[];
  readonly setLong: (keys: readonly string[]) => void;
  /** Facets are unfolded where there is little room. */
  readonly narrows: boolean;
  readonly setNarrows: (narrows: boolean) => void;
  /** What of the URL stays when another search is made. */
  readonly kept: readonly (readonly [name: string, value: string])[];
}

/** How the results are shown, kept in the URL beside the query. */
function useLook(): Look {
  const search = useSearch();
  const [, navigate] = useLocation();
  return useMemo(() => {
    const params = new URLSearchParams(search);
    const go = (change: (params: URLSearchParams) => void) => {
      const next = new URLSearchParams(search);
      change(next);
      navigate(`/search?${next}`, { replace: true });
    };
    const putAll = (name: string, values: readonly string[]) =>
      go((next) => {
        next.delete(name);
        for (const value of values) next.append(name, value);
      });
    const facets = [...new Set(params.getAll("facet"))];
    const ticked = [...new Set(params.getAll("tick"))].filter(isTraceId).slice(0, TICKED_MAX);
    const form = params.get("v");
    const kept = [
      "v",
      "plot",
      "facet",
      "long",
      "narrow",
      "tick",
      "tail",
      "uiEmbed",
      "uiSearchHideGraph",
      "uiTheme",
    ];
    return {
      plot: params.get("plot") === "dots" ? "dots" : "heat",
      setPlot: (kind) =>
        go((next) => (kind === "dots" ? next.set("plot", "dots") : next.delete("plot"))),
      form: isForm(form) ? form : "list",
      setForm: (next) =>
        go((params) => (next === "list" ? params.delete("v") : params.set("v", next))),
      isLive: params.get("tail") === "1",
      setLive: (isLive) => go((next) => (isLive ? next.set("tail", "1") : next.delete("tail"))),
      selection: parseSelection(params.get("sel")),
      setSelection: (selection) =>
        go((next) =>
          selection === undefined ? next.delete("sel") : next.set("sel", printSelection(selection)),
        ),
      facets,
      setFacets: (keys) => putAll("facet", keys),
      long: params.getAll("long"),
      setLong: (keys) => putAll("long", keys),
      narrows: params.get("narrow") === "1",
      setNarrows: (narrows) => putAll("narrow", narrows ? ["1"] : []),
      ticked,
      setTicked: (ids) => putAll("tick", ids),
      kept: [...params].filter(([name]) => kept.includes(name)),
    };
  }, [search, navigate]);
}
