// What sets the selected spans apart from the others of the search, most telling first. A click on
// a value narrows the search to it, or rules it out.

import { useMemo } from "react";
import { percent, plural } from "../../base/format";
import { IconButton } from "../../components/icon-button";
import { Failure, Loading } from "../../components/states";
import type { KeyDifference, Selection } from "../../model/difference";
import { ROOT_SPANS, spanPredicate } from "../../model/predicate";
import { toggleExcluded, toggleValue } from "../../model/refine";
import type { SearchQuery, TimeSpan } from "../../model/search-query";
import { useDifference } from "../../state/difference";
import { useKeys } from "../../state/figures";
import { KEYS_LIKED } from "./facets";
import "./difference.css";

/** Keys and values that are shown. */
const KEYS_SHOWN_MAX = 8;
const VALUES_SHOWN_MAX = 3;
/** Their values name single spans, so each of them differs. */
const UNTELLING = /(^|[._])(id|uuid|trace_?id|span_?id|timestamp|message)$|^thread\./i;

export function Difference(props: {
  readonly selection: Selection;
  readonly query: SearchQuery;
  readonly window: TimeSpan;
  readonly onChange: (query: SearchQuery) => void;
  readonly onClose: () => void;
}) {
  const { selection, query, window } = props;
  const ofSpan = useMemo(() => spanPredicate(query), [query]);
  // The heatmap of a search without conditions is of root spans.
  const where = ofSpan === true && selection.kind === "box" ? ROOT_SPANS : ofSpan;
  const known = useKeys("", true);
  const keys = useMemo(() => {
    const all = (known.data?.value.items ?? []).map(nameOf).filter((key) => !UNTELLING.test(key));
    const liked = KEYS_LIKED.filter((key) => all.includes(key));
    return [...new Set([...liked, ...all])];
  }, [known.data]);
  const found = useDifference(selection, { window, where }, keys, known.data !== undefined);
  const { data } = found;
  const what = selection.kind === "errors" ? "failed span" : "selected span";
  return (
    <section className="panel difference" aria-label="What differs">
      <div className="plot-head">
        <h2>
          {data === undefined
            ? "What differs"
            : `What sets ${plural(data.selected, what)} apart from the other ${plural(data.whole - data.selected, "span")}`}
        </h2>
        <span className="spacer" />
        {data?.isDone === false && <span className="faint">looking at further attributes …</span>}
        {data?.isPartial === true && (
          <span className="badge warn" title="Some counts stopped early or lack shards">
            over a part of the spans
          </span>
        )}
        <span className="faint difference-legend">
          <span className="one" /> these <span className="other" /> the others
        </span>
        <IconButton icon="close" label="Close what differs" onClick={props.onClose} />
      </div>
      {found.error !== undefined && (
        <Failure title="The comparison failed" error={found.error} onRetry={found.again} />
      )}
      {data === undefined && found.error === undefined && <Loading what="what differs" />}
      {data?.keys.length === 0 && data.isDone && (
        <p className="faint">
          {data.selected === 0
            ? "No span is in this selection."
            : "Nothing: services, operations and attributes are spread as among the others."}
        </p>
      )}
      <div className="difference-keys">
        {data?.keys.slice(0, KEYS_SHOWN_MAX).map((each) => (
          <KeyCard key={each.key} difference={each} query={query} onChange={props.onChange} />
        ))}
      </div>
    </section>
  );
}

function nameOf(item: { readonly scope: string; readonly key: string }): string {
  return item.scope === "span" || item.scope === "resource"
    ? item.key
    : `${item.scope}.${item.key}`;
}

function KeyCard(props: {
  readonly difference: KeyDifference;
  readonly query: SearchQuery;
  readonly onChange: (query: SearchQuery) => void;
}) {
  const { difference, query } = props;
  const { key } = difference;
  return (
    <div className="difference-key">
      <h3 className="mono" title={key}>
        {key}
      </h3>
      <ul>
        {difference.values.slice(0, VALUES_SHOWN_MAX).map(({ value, selected, rest }) => (
          <li key={value}>
            <button
              type="button"
              className="difference-value"
              title={`${value}\n${percent(selected)} of these, ${percent(rest)} of the others`}
              onClick={() => props.onChange(toggleValue(query, key, value))}
            >
              <span className="name">{value === "" ? "(empty)" : value}</span>
              <span className="num">{percent(selected)}</span>
              <span className="num faint">{percent(rest)}</span>
              <span className="bars" aria-hidden="true">
                <span className="one" style={{ width: `${selected * 100}%` }} />
                <span className="other" style={{ width: `${rest * 100}%` }} />
              </span>
            </button>
            <IconButton
              icon="minus"
              label={`Without traces with ${key} ${value}`}
              title="Rule out"
              onClick={() => props.onChange(toggleExcluded(query, key, value))}
            />
          </li>
        ))}
      </ul>
    </div>
  );
}
