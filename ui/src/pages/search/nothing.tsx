// Nothing was found: because there is nothing, because too much was asked for, or in part.

import { count, duration, lasting, timestamp } from "../../base/format";
import { MICROS_PER_SECOND, wallClock } from "../../base/time";
import { FirstSteps } from "../../components/first-steps";
import { Message } from "../../components/states";
import { summarize } from "../../model/cluster";
import { isExactOnSpans, spanPredicate } from "../../model/predicate";
import { type Wider, widened } from "../../model/refine";
import type { SearchQuery, TimeSpan } from "../../model/search-query";
import { useTotals } from "../../state/figures";
import { useCluster, useServices } from "../../state/queries";
import type { SearchView } from "../../state/search-run";
import { useSettings } from "../../state/settings";

const WIDER = ["24h", "7d", "4w"];
/** Searches that are tried without one of their conditions. */
const TRIED_MAX = 6;

export function Nothing(props: {
  readonly query: SearchQuery;
  readonly results: SearchView;
  readonly onChange: (query: SearchQuery) => void;
}) {
  const { query, results } = props;
  const services = useServices().data;
  if (results.end?.completeness.isComplete === false) {
    return (
      <Message title="Nothing found so far">
        <p>Part of the cluster did not answer, so there may be traces that match.</p>
      </Message>
    );
  }
  if (services?.value.length === 0 && services.completeness.isComplete) return <FirstSteps />;
  const { window } = query;
  const elapsed = results.end === undefined ? "" : ` in ${duration(results.end.elapsed)}`;
  const tries = widened(query).slice(0, TRIED_MAX);
  return (
    <Message title="No trace matches">
      <p>
        The whole cluster answered{elapsed}: no trace{" "}
        {window.kind === "lookback" ? `of the last ${window.lookback}` : "of this time"} matches
        {query.service === "" ? "." : ` in ${query.service}.`} Look further back, or ask for less.
      </p>
      <Gone
        window={results.window}
        onChoose={(from) => props.onChange({ ...query, window: from })}
      />
      {tries.length > 0 && !results.end?.isLimited && (
        <ul className="tries">
          {tries.map((wider) => (
            <Try
              key={wider.without}
              wider={wider}
              window={results.window}
              onChoose={() => props.onChange(wider.query)}
            />
          ))}
        </ul>
      )}
      <div className="row">
        {WIDER.filter((each) => window.kind !== "lookback" || each !== window.lookback).map(
          (lookback) => (
            <button
              key={lookback}
              type="button"
              className="button"
              onClick={() => props.onChange({ ...query, window: { kind: "lookback", lookback } })}
            >
              Last {lookback}
            </button>
          ),
        )}
      </div>
    </Message>
  );
}

/** Was it asked for what is no longer kept? */
function Gone(props: {
  readonly window: TimeSpan;
  readonly onChoose: (window: SearchQuery["window"]) => void;
}) {
  const { zone } = useSettings();
  const cluster = useCluster().data?.value;
  const oldest = cluster && summarize(cluster).oldest;
  if (oldest === undefined || props.window.end >= oldest) return null;
  const kept = cluster?.retention;
  return (
    <>
      <p>
        {kept !== undefined && `Spans are kept for ${lasting(kept / MICROS_PER_SECOND)}. `}
        What is here came since {timestamp(oldest, zone).slice(0, 16)}.
      </p>
      <button
        type="button"
        className="button"
        onClick={() => props.onChoose({ kind: "range", start: oldest, end: wallClock() })}
      >
        Search from there
      </button>
    </>
  );
}

/** What one condition costs. */
function Try(props: {
  readonly wider: Wider;
  readonly window: TimeSpan;
  readonly onChoose: () => void;
}) {
  const { wider, window } = props;
  const isEnabled = isExactOnSpans(wider.query);
  const totals = useTotals({ window, where: spanPredicate(wider.query), isEnabled }).data?.value;
  return (
    <li>
      <button type="button" className="button quiet small" onClick={props.onChoose}>
        Without <code>{wider.without}</code>
      </button>
      {totals !== undefined && (
        <span className="faint">
          {totals.traces === 0 ? "still none" : `${count(totals.traces)} traces`}
        </span>
      )}
    </li>
  );
}
