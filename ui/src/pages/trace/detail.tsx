// Everything about the selected span, at the right of whatever view is on.

import {
  type CSSProperties,
  type PointerEvent,
  type ReactNode,
  useEffect,
  useId,
  useState,
} from "react";
import { Link } from "wouter";
import { duration, exactDuration, percent, timestamp } from "../../base/format";
import { between, micros } from "../../base/time";
import { AttributeTable } from "../../components/attributes";
import { Copy } from "../../components/copy";
import { Icon } from "../../components/icon";
import { IconButton } from "../../components/icon-button";
import { later } from "../../components/later";
import { Service } from "../../components/service";
import { Failure } from "../../components/states";
import { type Attribute, bareDetails, type SpanDetails, type SpanEvent } from "../../model/details";
import type { Place } from "../../model/link-patterns";
import { searchHref, searchWithoutHref } from "../../model/links";
import { criticalTime } from "../../model/statistics";
import { operationOf, rowOfSpanId, serviceOf, spanIdOf } from "../../model/trace";
import { changeSettings, useSettings } from "../../state/settings";
import { useStore } from "../../state/store";
import type { TraceView } from "../../state/trace-view";
import { uiConfig } from "../../state/ui-config";

const AttributeLinks = later(async () => (await import("./pattern-links")).AttributeLinks);
const AlikeFigure = later(async () => (await import("./alike")).AlikeFigure);

export function DetailPanel(props: { readonly view: TraceView; readonly row: number }) {
  const { view, row } = props;
  const { panelWidth } = useSettings();
  const { details, isComing, error, retry } = useDetails(view, row);
  const resize = usePanelResize(panelWidth);
  return (
    <aside
      className="detail"
      style={{ "--panel": `${panelWidth}px` } as CSSProperties}
      aria-label="Selected span"
      tabIndex={-1}
    >
      <div className="detail-resize" aria-hidden="true" {...resize} />
      {details !== undefined && (
        <Details view={view} row={details.row} span={details.span} isComing={isComing} />
      )}
      {error !== undefined && (
        <Failure title="Its attributes could not be read" error={error} onRetry={retry} />
      )}
    </aside>
  );
}

/** For so long the last span stays, so that nothing flickers where the next comes at once. */
const STAY_MILLIS = 120;

interface Shown {
  readonly row: number;
  readonly span: SpanDetails;
}

/** What the columns say is at hand; what does not come at once is waited for with it on show. */
function useDetails(view: TraceView, row: number) {
  const [details, setDetails] = useState<Shown | undefined>();
  const [error, setError] = useState<Error | undefined>();
  const [isComing, setComing] = useState(false);
  const [attempt, setAttempt] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: an attempt asks again.
  useEffect(() => {
    let isCurrent = true;
    const showBare = () => {
      setDetails({ row, span: bareDetails(view.trace, row) });
      setComing(true);
    };
    const timer = setTimeout(showBare, STAY_MILLIS);
    setError(undefined);
    view.source.details([row]).then(
      ([span]) => {
        clearTimeout(timer);
        if (!isCurrent || span === undefined) return;
        setDetails({ row, span });
        setComing(false);
      },
      (thrown: unknown) => {
        clearTimeout(timer);
        if (!isCurrent) return;
        showBare();
        setComing(false);
        setError(thrown instanceof Error ? thrown : new Error(String(thrown)));
      },
    );
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [view, row, attempt]);
  return { details, isComing, error, retry: () => setAttempt(attempt + 1) };
}

function usePanelResize(width: number) {
  const [from, setFrom] = useState<{ x: number; width: number } | null>(null);
  return {
    onPointerDown: (event: PointerEvent<HTMLElement>) => {
      event.currentTarget.setPointerCapture(event.pointerId);
      setFrom({ x: event.clientX, width });
    },
    onPointerMove: (event: PointerEvent<HTMLElement>) => {
      if (from === null) return;
      const wanted = from.width + from.x - event.clientX;
      changeSettings({ panelWidth: Math.min(Math.max(wanted, 280), 1_000) });
    },
    onPointerUp: () => setFrom(null),
  };
}

function Details(props: {
  readonly view: TraceView;
  readonly row: number;
  readonly span: SpanDetails;
  /** Attributes are on their way. */
  readonly isComing: boolean;
}) {
  const { view, row, span } = props;
  const { zone } = useSettings();
  const { trace } = view;
  const { criticalPath } = useStore(view.store);
  const critical = criticalPath === null ? 0 : criticalTime(criticalPath, row);
  const self = micros(trace.self[row] ?? 0);
  const offset = between(trace.origin, span.start);
  const links = linksAt(view, row, span);
  return (
    <div className="detail-body">
      <div className="detail-title">
        <h2>{span.operation}</h2>
        <Copy icon="link" label="Copy a link to this span" text={() => linkTo(view, span.spanId)} />
        <Copy label="Copy the span as JSON" text={() => JSON.stringify(span.raw, null, 2)} />
        <DetailPlace />
        <IconButton icon="close" label="Close" onClick={() => view.select(-1)} />
      </div>
      <div className="detail-sub">
        <Service name={span.service} colors={view.colors} />
        {span.kind !== "" && <span className="badge">{span.kind}</span>}
        {span.status === "ERROR" && (
          <span className="badge error">
            <Icon name="error" />
            error
          </span>
        )}
      </div>
      {span.statusMessage !== "" && <p className="status-message">{span.statusMessage}</p>}
      <dl className="figures">
        <Figure name="Duration" value={duration(span.length)} title={exactDuration(span.length)} />
        <Figure name="Self" value={duration(self)} title={exactDuration(self)} />
        <Figure
          name="Critical path"
          value={critical > 0 ? duration(micros(critical)) : "–"}
          title={trace.duration > 0 ? `${percent(critical / trace.duration)} of the trace` : ""}
        />
        <Figure
          name="Starts at"
          value={`+${duration(offset)}`}
          title={timestamp(span.start, zone)}
        />
        {view.source.revision !== "" && <AlikeFigure span={span} />}
      </dl>
      {span.warnings.length > 0 && (
        <div className="banner">
          <Icon name="warning" />
          <ul className="body">
            {span.warnings.map((warning) => (
              <li key={warning}>{warning}</li>
            ))}
          </ul>
        </div>
      )}
      {!span.isWhole && (
        <p className="faint" role="status">
          {props.isComing ? "Reading its attributes …" : "Nothing else is known of this span."}
        </p>
      )}
      <Section title="Attributes" count={span.attributes.length} isOpen>
        <AttributeTable
          attributes={topFirst(span.attributes)}
          linksOf={links("tags", span.attributes)}
          onFind={(text) => void view.find(text)}
          hrefOf={(key, value) => searchHref(span.service, key, value)}
          withoutHrefOf={(pair) => searchWithoutHref(span.service, pair)}
        />
      </Section>
      <Events view={view} span={span} links={links} />
      <Links view={view} row={row} span={span} />
      <Section title="Resource" count={span.resource.length} isOpen>
        <AttributeTable
          attributes={topFirst(span.resource)}
          linksOf={links("process", span.resource)}
          onFind={(text) => void view.find(text)}
          hrefOf={(key, value) => searchHref(span.service, key, value)}
          withoutHrefOf={(pair) => searchWithoutHref(span.service, pair)}
        />
      </Section>
      {span.scope.length > 0 && (
        <Section title="Scope" count={span.scope.length}>
          <AttributeTable attributes={span.scope} onFind={(text) => void view.find(text)} />
        </Section>
      )}
      <p className="span-id mono">
        span {span.spanId}
        <Copy label="Copy the span id" text={span.spanId} />
      </p>
    </div>
  );
}

/** Where in the timeline the details stand. */
function DetailPlace() {
  const { detailsBelow } = useSettings();
  const label = detailsBelow ? "Details at the side" : "Details below the row";
  return (
    <IconButton
      icon={detailsBelow ? "side" : "below"}
      label={label}
      onClick={() => changeSettings({ detailsBelow: !detailsBelow })}
    />
  );
}

/** The links to elsewhere of one attribute among others; none unless the node is told of some. */
type LinksAt = (
  place: Place,
  attributes: readonly Attribute[],
) => ((attribute: Attribute) => ReactNode) | undefined;

function linksAt(view: TraceView, row: number, span: SpanDetails): LinksAt {
  if (uiConfig().linkPatterns.length === 0) return () => undefined;
  const of = { view, row, span };
  return (place, attributes) => (attribute) => (
    <AttributeLinks {...of} place={place} attributes={attributes} attribute={attribute} />
  );
}

/** Those first whose keys begin as whoever runs the node wants it. */
function topFirst(attributes: readonly Attribute[]): readonly Attribute[] {
  const { topPrefixes } = uiConfig();
  if (topPrefixes.length === 0) return attributes;
  const isTop = ({ key }: Attribute) => topPrefixes.some((prefix) => key.startsWith(prefix));
  return [...attributes.filter(isTop), ...attributes.filter((each) => !isTop(each))];
}

function linkTo(view: TraceView, spanId: string): string {
  const url = new URL(`trace/${view.trace.traceId}`, document.baseURI);
  url.searchParams.set("uiFind", spanId);
  return url.href;
}

function Figure(props: { readonly name: string; readonly value: string; readonly title: string }) {
  return (
    <div title={props.title}>
      <dt>{props.name}</dt>
      <dd>{props.value}</dd>
    </div>
  );
}

function Section(props: {
  readonly title: string;
  readonly count: number;
  readonly isOpen?: boolean;
  readonly children: React.ReactNode;
}) {
  const [isOpen, setOpen] = useState(props.isOpen ?? false);
  const id = useId();
  if (props.count === 0) return null;
  return (
    <section className="section">
      <h3>
        <button
          type="button"
          aria-expanded={isOpen}
          aria-controls={id}
          onClick={() => setOpen(!isOpen)}
        >
          <Icon name={isOpen ? "down" : "right"} />
          {props.title} <span className="faint">{props.count}</span>
        </button>
      </h3>
      <div id={id} hidden={!isOpen}>
        {props.children}
      </div>
    </section>
  );
}

function Events(props: {
  readonly view: TraceView;
  readonly span: SpanDetails;
  readonly links: LinksAt;
}) {
  const { span, view, links } = props;
  return (
    <Section title="Events" count={span.events.length} isOpen>
      <ol className="events">
        {span.events.map((event, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: events have no other identity.
          <li key={index}>
            <EventEntry view={view} event={event} links={links} />
          </li>
        ))}
      </ol>
    </Section>
  );
}

function EventEntry(props: {
  readonly view: TraceView;
  readonly event: SpanEvent;
  readonly links: LinksAt;
}) {
  const { event, view } = props;
  const { zone } = useSettings();
  const isStack = (key: string) => key === "exception.stacktrace" || key === "stack";
  const stacks = event.attributes.filter(({ key }) => isStack(key));
  const others = event.attributes.filter(({ key }) => !isStack(key));
  return (
    <>
      <div className="event-head">
        <strong>{event.name}</strong>
        <span className="faint" title={timestamp(event.time, zone)}>
          +{duration(between(view.trace.origin, event.time))}
        </span>
      </div>
      {others.length > 0 && (
        <AttributeTable
          attributes={others}
          linksOf={props.links("logs", event.attributes)}
          onFind={(text) => void view.find(text)}
        />
      )}
      {stacks.map(({ key, value }) => (
        <div key={key} className="stack">
          <Copy label="Copy the stack trace" text={String(value)} />
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolled region needs the keyboard. */}
          <pre tabIndex={0}>{String(value)}</pre>
        </div>
      ))}
    </>
  );
}

function Links(props: {
  readonly view: TraceView;
  readonly row: number;
  readonly span: SpanDetails;
}) {
  const { view, row, span } = props;
  const [linkedFrom, setLinkedFrom] = useState<readonly number[]>([]);
  useEffect(() => {
    let isCurrent = true;
    view.source.linkedFrom(row).then(
      (rows) => {
        if (isCurrent) setLinkedFrom(rows);
      },
      () => undefined,
    );
    return () => {
      isCurrent = false;
    };
  }, [view, row]);
  return (
    <Section title="Links" count={span.links.length + linkedFrom.length} isOpen>
      <ul className="links">
        {span.links.map((link) => (
          <li key={link.traceId + link.spanId}>
            <span className="badge">to</span>
            <SpanLinkTarget view={view} traceId={link.traceId} spanId={link.spanId} />
            <span className="faint">{link.type.toLowerCase().replace("_", " ")}</span>
          </li>
        ))}
        {linkedFrom.map((from) => (
          <li key={from}>
            <span className="badge">from</span>
            <SpanButton view={view} row={from} />
          </li>
        ))}
      </ul>
    </Section>
  );
}

function SpanLinkTarget(props: {
  readonly view: TraceView;
  readonly traceId: string;
  readonly spanId: string;
}) {
  const { view, traceId, spanId } = props;
  const row = traceId === view.trace.traceId ? rowOfSpanId(view.trace, spanId) : -1;
  if (row >= 0) return <SpanButton view={view} row={row} />;
  return (
    <Link className="mono" href={`/trace/${traceId}?uiFind=${spanId}`}>
      {traceId.slice(0, 12)}… / {spanId}
    </Link>
  );
}

function SpanButton(props: { readonly view: TraceView; readonly row: number }) {
  const { view, row } = props;
  return (
    <button
      type="button"
      className="button quiet small"
      title={spanIdOf(view.trace, row)}
      onClick={() => view.select(row)}
    >
      {serviceOf(view.trace, row)}: {operationOf(view.trace, row)}
    </button>
  );
}

/** For the list of events: when an event was, from the start of the trace. */
export function eventOffset(view: TraceView, event: SpanEvent): string {
  return `+${duration(between(view.trace.origin, event.time))}`;
}

export function eventSummary(event: SpanEvent): string {
  const texts = event.attributes
    .filter(({ key }) => key !== "exception.stacktrace")
    .map(({ key, value }) => `${key}=${String(value)}`);
  return texts.join("  ");
}
