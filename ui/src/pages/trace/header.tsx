// The head of a trace: what it is, when it was, how long it took, what is wrong with it.

import { useState } from "react";
import { Link } from "wouter";
import { archiveTrace, traceJsonUrl, traceOtlpUrl } from "../../api/trace-urls";
import { count, duration, exactDuration, plural, timestamp } from "../../base/format";
import { Copy } from "../../components/copy";
import { Icon } from "../../components/icon";
import { later } from "../../components/later";
import { operationOf, serviceOf } from "../../model/trace";
import { useSearchHref } from "../../state/last-search";
import { useSettings } from "../../state/settings";
import type { TraceView } from "../../state/trace-view";
import { shortId, uiConfig } from "../../state/ui-config";
import { useNewer } from "../../state/use-newer";
import { LEADS_BACK } from "../../state/way-back";

const TraceLinks = later(async () => (await import("./pattern-links")).TraceLinks);

export function TraceHeader(props: {
  readonly view: TraceView;
  /** It is in a file and nowhere else, so there is nothing to link to. */
  readonly isFile: boolean;
  readonly onReload: () => void;
}) {
  const { view } = props;
  const { trace } = view;
  const { zone } = useSettings();
  const { facts } = view.source;
  const newer = useNewer(view.source);
  const { cause } = facts;
  return (
    <header className="trace-head">
      <div className="trace-title">
        {!props.isFile && <Back />}
        <h1>
          <span>{serviceOf(trace, 0)}</span>{" "}
          <span className="operation">{operationOf(trace, 0)}</span>
        </h1>
        <span className="mono faint" title={trace.traceId}>
          {shortId(trace.traceId)}
        </span>
        <Copy label="Copy the trace id" text={trace.traceId} />
        <span className="spacer" />
        {uiConfig().linkPatterns.length > 0 && <TraceLinks view={view} />}
        {!props.isFile && <Sources traceId={trace.traceId} onReload={props.onReload} />}
      </div>
      <div className="facts">
        <dl>
          <Fact
            name="Duration"
            value={duration(trace.duration)}
            title={exactDuration(trace.duration)}
            strong
          />
          <Fact name="Start" value={timestamp(trace.origin, zone)} />
          <Fact name="Spans" value={count(trace.count)} />
          <Fact name="Services" value={count(trace.services.length)} />
          <Fact name="Depth" value={count(facts.depth)} />
        </dl>
        {facts.errors > 0 && (
          <button type="button" className="fact-error" onClick={() => view.select(cause)}>
            <Icon name="error" />
            {plural(facts.errors, "error")}
            <span className="cause">{`${serviceOf(trace, cause)} ${operationOf(trace, cause)}`}</span>
            <span className="go">show</span>
          </button>
        )}
        {newer > 0 && (
          <button type="button" className="button small" onClick={props.onReload}>
            <Icon name="reset" />
            {plural(newer, "new span")}: show
          </button>
        )}
        {facts.orphans > 0 && (
          <span className="badge warn" title="Spans whose parent is not in the trace">
            {plural(facts.orphans, "orphan")}
          </span>
        )}
        {facts.warnings > 0 && (
          <span className="badge warn">{plural(facts.warnings, "span")} with warnings</span>
        )}
      </div>
    </header>
  );
}

/** To the traces among which this one was found. */
function Back() {
  const href = useSearchHref();
  return (
    <Link
      href={href}
      className="button quiet square small"
      aria-label="Back to the traces found"
      {...{ [LEADS_BACK]: "" }}
    >
      <Icon name="left" />
    </Link>
  );
}

/** The same trace in other forms. */
function Sources(props: { readonly traceId: string; readonly onReload: () => void }) {
  const { without } = uiConfig();
  return (
    <>
      <button type="button" className="button quiet small" onClick={props.onReload}>
        <Icon name="reset" />
        Reload
      </button>
      {!without.archive && <Archive traceId={props.traceId} />}
      {!without.json && <Forms traceId={props.traceId} />}
    </>
  );
}

function Forms(props: { readonly traceId: string }) {
  return (
    <>
      <a
        className="button quiet small"
        href={traceJsonUrl(props.traceId)}
        target="_blank"
        rel="noreferrer"
      >
        <Icon name="external" />
        JSON
      </a>
      <a
        className="button quiet small"
        href={traceJsonUrl(props.traceId, { raw: true })}
        target="_blank"
        rel="noreferrer"
        title="Without clock repairs and other adjustments"
      >
        Unadjusted
      </a>
      <a
        className="button quiet small"
        href={traceOtlpUrl(props.traceId)}
        download={`${props.traceId}.otlp.pb`}
      >
        OTLP
      </a>
    </>
  );
}

/** Keeps the trace when others of its age go. */
function Archive(props: { readonly traceId: string }) {
  const [state, setState] = useState<"not" | "asking" | "kept" | Error>("not");
  const archive = () => {
    setState("asking");
    archiveTrace(props.traceId).then(
      () => setState("kept"),
      (error: unknown) => setState(error instanceof Error ? error : new Error(String(error))),
    );
  };
  const isFailed = state instanceof Error;
  const title = isFailed ? state.message : "Keep this trace beyond its retention";
  return (
    <button
      type="button"
      className="button quiet small"
      title={title}
      disabled={state === "asking" || state === "kept"}
      onClick={archive}
    >
      <Icon name={state === "kept" ? "check" : isFailed ? "error" : "star"} />
      <span aria-live="polite">
        {state === "kept" ? "Archived" : isFailed ? "Not archived" : "Archive"}
      </span>
    </button>
  );
}

function Fact(props: {
  readonly name: string;
  readonly value: string;
  readonly title?: string;
  readonly strong?: boolean;
}) {
  return (
    <div className={props.strong ? "fact strong" : "fact"} title={props.title}>
      <dt>{props.name}</dt>
      <dd>{props.value}</dd>
    </div>
  );
}
