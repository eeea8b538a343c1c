// The links to elsewhere that the node's configuration asks for: of an attribute, and of a trace.

import { useEffect, useMemo, useState } from "react";
import { Icon } from "../../components/icon";
import type { Attribute, SpanDetails } from "../../model/details";
import {
  areFilled,
  type LookUp,
  linksOf,
  type PatternLink,
  type Place,
  patternsFor,
  readPatterns,
  valueIn,
} from "../../model/link-patterns";
import { ancestorsOf, operationOf, serviceOf } from "../../model/trace";
import type { TraceView } from "../../state/trace-view";
import { uiConfig } from "../../state/ui-config";

/** Further up nothing is looked for. */
const ANCESTORS_MAX = 32;

const PATTERNS = readPatterns(uiConfig().linkPatterns);

export function AttributeLinks(props: {
  readonly view: TraceView;
  readonly row: number;
  readonly span: SpanDetails;
  readonly place: Place;
  /** Those among which the attribute stands. */
  readonly attributes: readonly Attribute[];
  readonly attribute: Attribute;
}) {
  const { view, row, span, place, attributes, attribute } = props;
  const patterns = useMemo(() => patternsFor(PATTERNS, place, attribute), [place, attribute]);
  const own = [attributes, span.attributes, span.resource];
  const lookUpIn =
    (lists: readonly (readonly Attribute[])[]): LookUp =>
    (name) =>
      valueIn(lists, name) ?? ofSpan(span, name) ?? ofTrace(view, name);
  // The resource is the same for spans with different ancestors.
  const needsMore = place !== "process" && !areFilled(patterns, lookUpIn(own));
  const above = useAbove(view, row, needsMore);
  const links = linksOf(patterns, lookUpIn([...own, ...above]));
  return <Links links={links} />;
}

/** What the spans above say, the nearest first; asked for only where it is needed. */
function useAbove(view: TraceView, row: number, isNeeded: boolean) {
  const [above, setAbove] = useState<readonly (readonly Attribute[])[]>([]);
  useEffect(() => {
    if (!isNeeded) return;
    let isCurrent = true;
    const rows = ancestorsOf(view.trace, row).slice(-ANCESTORS_MAX).reverse();
    view.source.details(rows).then(
      (spans) => {
        if (isCurrent) setAbove(spans.flatMap((each) => [each.resource, each.attributes]));
      },
      // Then there is no link; the panel tells what could not be read.
      () => undefined,
    );
    return () => {
      isCurrent = false;
    };
  }, [view, row, isNeeded]);
  return above;
}

/** Those of the trace as a whole. */
export function TraceLinks(props: { readonly view: TraceView }) {
  const { view } = props;
  const patterns = PATTERNS.filter((pattern) => pattern.isFor("traces"));
  return (
    <Links
      links={linksOf(patterns, (name) => ofTrace(view, `trace.${name}`) ?? ofTrace(view, name))}
    />
  );
}

function ofSpan(span: SpanDetails, name: string) {
  const values: Readonly<Record<string, string | number>> = {
    spanID: span.spanId,
    operationName: span.operation,
    duration: span.length,
    startTime: span.start,
  };
  return values[name];
}

function ofTrace({ trace }: TraceView, name: string) {
  const values: Readonly<Record<string, string | number>> = {
    "trace.traceID": trace.traceId,
    "trace.traceName": `${serviceOf(trace, 0)}: ${operationOf(trace, 0)}`,
    "trace.duration": trace.duration,
    "trace.startTime": trace.origin,
    "trace.endTime": trace.origin + trace.duration,
    traceID: trace.traceId,
  };
  return values[name];
}

function Links(props: { readonly links: readonly PatternLink[] }) {
  return props.links.map(({ url, text }) => (
    <a
      key={`${url} ${text}`}
      className="button quiet small pattern-link"
      href={url}
      title={url}
      target="_blank"
      rel="noopener noreferrer"
    >
      <Icon name="external" />
      {text}
    </a>
  ));
}
