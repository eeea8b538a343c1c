// A search that failed before it found anything: what was asked, and what else can be done.

import { Link } from "wouter";
import { timestamp } from "../../base/format";
import { Message } from "../../components/states";
import { printConditions } from "../../model/filter";
import { ORDERS } from "../../model/orders";
import { shorterLookbacks } from "../../model/refine";
import type { SearchQuery, TimeSpan } from "../../model/search-query";
import { useSearchHistory } from "../../state/search-history";
import { useSettings } from "../../state/settings";
import { describe } from "./history";
import { ShareMenu } from "./share";

/** Earlier searches that are offered. */
const RECENT_MAX = 5;

export function Failed(props: {
  readonly query: SearchQuery;
  readonly window: TimeSpan;
  /** The query part of the address. */
  readonly current: string;
  /** How results are shown, as parameters of the address. */
  readonly look: readonly (readonly [name: string, value: string])[];
  readonly onChange: (query: SearchQuery) => void;
}) {
  const { query, window, current } = props;
  const { recent } = useSearchHistory();
  const others = recent.filter((each) => each !== current).slice(0, RECENT_MAX);
  return (
    <Message title="What was asked">
      <Asked query={query} window={window} />
      <div className="row">
        {shorterLookbacks(query).map((lookback) => (
          <button
            key={lookback}
            type="button"
            className="button small"
            onClick={() => props.onChange({ ...query, window: { kind: "lookback", lookback } })}
          >
            Only the last {lookback}
          </button>
        ))}
        <ShareMenu query={query} window={window} traces={[]} look={props.look} />
        <Link className="button quiet small" href="/cluster">
          Look at the cluster
        </Link>
      </div>
      {others.length > 0 && (
        <section>
          <h3>Searches before</h3>
          <ul className="searches-before">
            {others.map((search) => (
              <li key={search}>
                <Link href={`/search?${search}`}>{describe(search)}</Link>
              </li>
            ))}
          </ul>
        </section>
      )}
    </Message>
  );
}

/** The search in words, a line each; nothing of what it leaves open but the service. */
function Asked(props: { readonly query: SearchQuery; readonly window: TimeSpan }) {
  const { query, window } = props;
  const { zone } = useSettings();
  const { minDuration, maxDuration } = query;
  const length = [
    minDuration && `at least ${minDuration}`,
    maxDuration && `at most ${maxDuration}`,
  ];
  const moment = (time: TimeSpan["start"]) => timestamp(time, zone).slice(0, 19);
  const lines =
    query.traceIds.length > 0
      ? [["Traces", query.traceIds.join(", ")]]
      : [
          ["Service", query.service || "all"],
          ["Operation", query.operation],
          ["Conditions", printConditions(query)],
          ["Duration", length.filter(Boolean).join(", ")],
          ["Time", `${moment(window.start)} to ${moment(window.end)}`],
          ["Order", `${ORDERS[query.order]}, ${query.limit} at a time`],
        ];
  return (
    <dl className="asked">
      {lines
        .filter(([, value]) => value !== "")
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}
