// One trace: when what happened, what took the time, what failed.

import { useEffect, useMemo, useState } from "react";
import { useLocation, useSearch } from "wouter";
import type { TraceSource } from "../../api/trace-source";
import { later } from "../../components/later";
import { Minimap } from "../../components/minimap";
import { Failure, Loading, Message, PartialBanner } from "../../components/states";
import { Waterfall } from "../../components/waterfall";
import { parseFolded, printFolded } from "../../model/folded";
import { parseServiceFilter, printServiceFilter } from "../../model/service-filter";
import { operationOf, rowOfSpanId, serviceOf, spanIdOf } from "../../model/trace";
import { embedOf } from "../../state/embed";
import { whenIdle } from "../../state/idle";
import { rememberTrace } from "../../state/last-trace";
import { useSettings } from "../../state/settings";
import { useStore } from "../../state/store";
import { TraceView } from "../../state/trace-view";
import { isNotFound, useTrace } from "../../state/use-trace";
import { TraceHeader } from "./header";
import { TRACE_KEYS } from "./key-list";
import { useTraceKeys } from "./keys";
import { Toolbar, VIEWS, type ViewName } from "./toolbar";
import "./detail.css";
import "./timeline.css";
import "./trace.css";
import "./views.css";

// The timeline comes first; details are fetched once it rests, other views when they are wanted.
const DetailPanel = later(async () => (await import("./detail")).DetailPanel);
const loading = <Loading what="the view" />;
const FlameViews = later(async () => (await import("./flame-views")).FlameViews, loading);
const Statistics = later(async () => (await import("./statistics")).Statistics, loading);
const EventList = later(async () => (await import("./events")).EventList, loading);
const SpanTable = later(async () => (await import("./table")).SpanTable, loading);
const TraceGraph = later(async () => (await import("./graph")).TraceGraph, loading);
const RawTrace = later(async () => (await import("./raw")).RawTrace, loading);
const PathList = later(async () => (await import("./path")).PathList, loading);
const HelpDialog = later(
  async () => (await import("../../components/help")).HelpDialog,
  null,
  null,
);

const URL_MILLIS = 250;

export function TracePage(props: { readonly traceId: string }) {
  const [attempt, setAttempt] = useState(0);
  // The address is replaced by the one with the id in full, and that is the same trace.
  const [known, setKnown] = useState({ asked: props.traceId, full: props.traceId });
  const asked = props.traceId === known.full ? known.asked : props.traceId;
  const origin = useMemo(() => ({ kind: "stored", traceId: asked }) as const, [asked]);
  const state = useTrace(origin, attempt);
  const full = state.is === "open" ? state.source.columns.traceId : asked;
  if (asked !== known.asked || full !== known.full) setKnown({ asked, full });
  const again = () => setAttempt(attempt + 1);
  if (state.is === "loading") return <Loading what="the trace" />;
  if (state.is === "failed") {
    if (isNotFound(state.error)) return <NotFound traceId={props.traceId} onRetry={again} />;
    return (
      <div className="page">
        <h1 className="visually-hidden">Trace</h1>
        <Failure title="The trace could not be opened" error={state.error} onRetry={again} />
      </div>
    );
  }
  return <OpenTrace key={state.source.columns.traceId} source={state.source} onReload={again} />;
}

/** A trace that is there. Where it has no address of its own, its URL stays as it is. */
export function OpenTrace(props: {
  readonly source: TraceSource;
  readonly onReload: () => void;
  readonly isFile?: boolean;
}) {
  const { source } = props;
  const view = useMemo(() => new TraceView(source), [source]);
  const path = props.isFile ? "/file" : `/trace/${source.columns.traceId}`;
  const [shown, show] = useTraceUrl(view, path);
  const [helps, setHelps] = useState(false);
  const embed = embedOf(useSearch());
  useTraceKeys(view, { show, help: () => setHelps(true) });
  const { selected } = useStore(view.store);
  const { foldsRuns, detailsBelow } = useSettings();
  const detail = selected < 0 ? undefined : <DetailPanel view={view} row={selected} />;
  const isBelow = detailsBelow && shown === "timeline";
  useEffect(() => view.setFolded(foldsRuns), [view, foldsRuns]);
  useEffect(() => whenIdle(() => void DetailPanel.fetched()), []);
  useEffect(() => {
    if (!props.isFile) rememberTrace(view.trace.traceId);
  }, [view, props.isFile]);
  useEffect(() => {
    document.title = `${serviceOf(view.trace, 0)} ${operationOf(view.trace, 0)} · Skua`;
  }, [view]);
  return (
    <div className="trace-page">
      {!embed.hideSummary && (
        <TraceHeader view={view} isFile={props.isFile === true} onReload={props.onReload} />
      )}
      <PartialBanner completeness={source.completeness} onRetry={props.onReload} />
      <Toolbar view={view} shown={shown} onShow={show} onHelp={() => setHelps(true)} />
      <div className="trace-body">
        <div className="trace-main">
          {shown === "timeline" && (
            <>
              {!embed.hideMinimap && <Minimap view={view} />}
              <Waterfall view={view} detail={isBelow ? detail : undefined} />
            </>
          )}
          {shown === "flame" && <FlameViews view={view} hideMinimap={embed.hideMinimap} />}
          {shown === "path" && <PathList view={view} />}
          {shown === "table" && <SpanTable view={view} />}
          {shown === "graph" && <TraceGraph view={view} />}
          {shown === "statistics" && <Statistics view={view} />}
          {shown === "events" && <EventList view={view} />}
          {shown === "raw" && <RawTrace view={view} isFile={props.isFile === true} />}
        </div>
        {!isBelow && detail}
      </div>
      {helps && <HelpDialog own={TRACE_KEYS} onClose={() => setHelps(false)} />}
    </div>
  );
}

/**
 * Everything the page shows is in its URL: `uiFind` and `svcFilter` as in Jaeger; `span`, `t0`,
 * `t1`, `fold` and `v` are our own. Changes replace the URL, so that "back" leaves the trace.
 */
function useTraceUrl(view: TraceView, path: string): [ViewName, (name: ViewName) => void] {
  const [, navigate] = useLocation();
  const search = useSearch();
  const asked = new URLSearchParams(search).get("v");
  const shown = VIEWS.find((name) => name === asked) ?? "timeline";
  useEffect(() => {
    restore(view, new URLSearchParams(window.location.search));
    let timer: ReturnType<typeof setTimeout>;
    const write = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        const params = paramsOf(view, new URLSearchParams(window.location.search));
        navigate(withQuery(path, params), { replace: true });
      }, URL_MILLIS);
    };
    const stop = view.store.subscribe(write);
    // The server knows the id in full; links should have it so.
    write();
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [view, path, navigate]);
  const show = (name: ViewName) => {
    const params = paramsOf(view, new URLSearchParams(window.location.search));
    if (name === "timeline") params.delete("v");
    else params.set("v", name);
    navigate(withQuery(path, params), { replace: true });
  };
  return [shown, show];
}

function withQuery(path: string, params: URLSearchParams): string {
  const query = params.toString();
  return query === "" ? path : `${path}?${query}`;
}

function restore(view: TraceView, params: URLSearchParams): void {
  const start = Number(params.get("t0") ?? Number.NaN);
  const end = Number(params.get("t1") ?? Number.NaN);
  if (start < end) {
    view.setWindow({ start: start as never, end: end as never });
  }
  view.setHidden(parseServiceFilter(view.trace.services, params.get("svcFilter") ?? ""));
  const folded = parseFolded(view.trace, params.get("fold") ?? "");
  if (folded !== undefined) view.setCollapsedRows(folded);
  const find = params.get("uiFind") ?? "";
  if (find !== "") {
    // Jaeger links to a span by finding its id.
    const row = rowOfSpanId(view.trace, find.trim());
    if (row >= 0) view.select(row);
    void view.find(find);
    if (params.get("only") === "1") view.setOnlyMatches(true);
  }
  const span = params.get("span");
  if (span !== null) view.selectSpan(span);
}

function paramsOf(view: TraceView, before: URLSearchParams): URLSearchParams {
  const { window, selected, findText, onlyMatches, hidden, collapsed } = view.state;
  const params = new URLSearchParams(before);
  const put = (name: string, value: string | undefined) => {
    if (value === undefined || value === "") params.delete(name);
    else params.set(name, value);
  };
  const isZoomed = window.start > 0 || window.end < view.trace.duration;
  put("t0", isZoomed ? String(Math.round(window.start)) : undefined);
  put("t1", isZoomed ? String(Math.round(window.end)) : undefined);
  put("uiFind", findText);
  put("only", onlyMatches ? "1" : undefined);
  put("fold", printFolded(view.trace, collapsed));
  put("svcFilter", printServiceFilter(view.trace.services, hidden));
  put("span", selected >= 0 ? spanIdOf(view.trace, selected) : undefined);
  return params;
}

function NotFound(props: { readonly traceId: string; readonly onRetry: () => void }) {
  return (
    <Message title="No such trace" isPage>
      <p>
        Every shard answered, and none has a trace with the id{" "}
        <code className="mono">{props.traceId}</code>. It may not have arrived yet, or be older than
        what is kept.
      </p>
      <button type="button" className="button" onClick={props.onRetry}>
        Look again
      </button>
    </Message>
  );
}
