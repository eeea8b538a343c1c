// The spans of a service by one attribute: which errors, which instances, or whatever is chosen.

import { useState } from "react";
import { Link } from "wouter";
import { count, percent, plural } from "../../base/format";
import { Combobox } from "../../components/combobox";
import { PartialBanner } from "../../components/states";
import { COUNTED_FIELDS } from "../../model/filter";
import type { Predicate } from "../../model/predicate";
import type { TimeSpan } from "../../model/search-query";
import { useKeys, useTopValues } from "../../state/figures";
import { useUrlState } from "../../state/url-state";

const VALUES_MAX = 10;

export function Breakdown(props: {
  readonly title: string;
  /** The parameter of the address that holds the chosen attribute. */
  readonly name: string;
  readonly window: TimeSpan;
  readonly where: Predicate;
  /** Of these the first that the spans have, until another one is chosen. */
  readonly keys: readonly string[];
  /** What is said where they have none. */
  readonly none: string;
  readonly linkOf: (key: string, value: string) => string;
}) {
  const { title, window, where, keys } = props;
  const [params, put] = useUrlState();
  const chosen = params.get(props.name) ?? undefined;
  const [typed, setTyped] = useState<string | undefined>();
  const [isUsed, setUsed] = useState(false);
  const first = useFirst(keys, { window, where });
  const key = chosen ?? first;
  const isEnabled = key !== "";
  const top = useTopValues({ window, where, isEnabled }, key, VALUES_MAX);
  const known = useKeys("", isUsed).data?.value.items ?? [];
  const named = known.map((each) =>
    each.scope === "span" ? each.key : `${each.scope}.${each.key}`,
  );
  const options = [...COUNTED_FIELDS, ...named].map((value) => ({ value }));
  const values = top.data?.value.values ?? [];
  const all = top.data?.value.spans ?? 0;
  // Where everything failed, a column that says so is noise.
  const hasErrors = values.some(({ spans, errors }) => errors > 0 && errors < spans);
  const most = Math.max(1, ...values.map(({ spans }) => spans));
  const choose = (text: string) => {
    put({ [props.name]: text.trim() });
    setTyped(undefined);
  };
  return (
    <section className="panel breakdown" aria-label={title}>
      <div className="breakdown-head">
        <h2>{title}</h2>
        <Combobox
          label={`${title}: attribute`}
          hideLabel
          placeholder="attribute"
          value={typed ?? key}
          options={options}
          onFocus={() => setUsed(true)}
          onChange={setTyped}
          onCommit={choose}
        />
      </div>
      {top.data && (
        <PartialBanner completeness={top.data.completeness} onRetry={() => top.refetch()} />
      )}
      {top.error !== undefined ? (
        <p className="faint">These could not be counted: {top.error.message}</p>
      ) : values.length === 0 ? (
        <p className="faint" role="status">
          {isEnabled && top.data === undefined
            ? "counting …"
            : chosen === undefined
              ? props.none
              : `None of ${plural(all, "span")} has this attribute.`}
        </p>
      ) : (
        <table className="table" data-stale={top.isPrevious}>
          <tbody>
            {values.map(({ value, spans, errors }) => (
              <tr key={value}>
                <td>
                  <Link href={props.linkOf(key, value)} title={value}>
                    {value === "" ? "(empty)" : value}
                  </Link>
                </td>
                <td className="num" title={`${percent(spans / Math.max(all, 1))} of all`}>
                  {count(spans)}
                </td>
                {hasErrors && (
                  <td className="num">
                    {errors === 0 ? (
                      <span className="faint">0%</span>
                    ) : (
                      <span className="badge error">{percent(errors / spans)}</span>
                    )}
                  </td>
                )}
                <td className="meter-cell">
                  <span className="meter">
                    <span style={{ width: `${(100 * spans) / most}%` }} />
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

/** The first of the keys that some span has; empty while that is not known, or if none has. */
function useFirst(
  keys: readonly string[],
  asked: { readonly window: TimeSpan; readonly where: Predicate },
): string {
  const [at, setAt] = useState(0);
  const key = keys[at] ?? "";
  const top = useTopValues({ ...asked, isEnabled: key !== "" }, key, VALUES_MAX);
  const isEmpty = top.data !== undefined && top.data.value.values.length === 0;
  // A node of an earlier version does not know of every key: the next one may do.
  const isNone = !top.isPrevious && (isEmpty || (top.error !== undefined && at + 1 < keys.length));
  if (isNone && at < keys.length) setAt(at + 1);
  return key;
}
