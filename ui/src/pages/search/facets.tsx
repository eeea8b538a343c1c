// What the spans of a search have in common: counts of services, operations and attributes, each a
// condition to switch on or to rule out.

import { useMemo, useState } from "react";
import type { ServiceColors } from "../../base/color";
import { count, plural, shortCount } from "../../base/format";
import { Icon } from "../../components/icon";
import { IconButton } from "../../components/icon-button";
import { swatchOf } from "../../components/service";
import { FIND_FROM, valuesLike, withKept } from "../../model/facet";
import type { RedSeries, ValueCount } from "../../model/figures";
import { COUNTED_FIELDS } from "../../model/filter";
import { isExactOnSpans, spanPredicate } from "../../model/predicate";
import { chosenValues, excludedValues, toggleExcluded, toggleValue } from "../../model/refine";
import type { SearchQuery, TimeSpan } from "../../model/search-query";
import { useKeys, useRed, useTopValues, useValues } from "../../state/figures";
import "./facets.css";

/** Values that a facet shows before it is asked for all. */
const VALUES_SHORT = 6;
const VALUES_MAX = 50;
/** Facets beside those of every trace. */
const KEYS_SHOWN_MAX = 5;
/** Attributes that say most about what a span did, best first. */
export const KEYS_LIKED: readonly string[] = [
  "http.status_code",
  "http.response.status_code",
  "http.method",
  "http.request.method",
  "http.route",
  "rpc.grpc.status_code",
  "rpc.method",
  "exception.type",
  "error.type",
  "db.system",
  "messaging.system",
  "deployment.environment",
  "service.version",
  "k8s.namespace.name",
  "host.name",
  "net.peer.name",
];

interface FacetProps {
  readonly query: SearchQuery;
  readonly window: TimeSpan;
  readonly isEnabled: boolean;
  readonly onChange: (query: SearchQuery) => void;
  /** Facets of which all values are listed, from the URL. */
  readonly long: readonly string[];
  readonly onLong: (names: readonly string[]) => void;
}

export function Facets(
  props: FacetProps & {
    readonly colors: ServiceColors;
    /** Keys that were asked for, from the URL. */
    readonly added: readonly string[];
    readonly onAdded: (keys: readonly string[]) => void;
    /** Where there is little room they are folded away otherwise. */
    readonly isOpen: boolean;
    readonly onOpen: (isOpen: boolean) => void;
  },
) {
  const { query, window, isEnabled, added } = props;
  const where = useMemo(() => spanPredicate(query), [query]);
  const step = Math.max(1, window.end - window.start + 1);
  const asked = { window, where, isEnabled };
  const red = useRed(asked, { step, groupBy: "operation", quantiles: [] });
  const keys = useKeys("", isEnabled).data?.value.items ?? [];
  const known = new Set(keys.map((each) => each.key));
  const liked = KEYS_LIKED.filter((key) => known.has(key) && !added.includes(key));
  const shown = [...added, ...liked.slice(0, KEYS_SHOWN_MAX)];
  const groups = red.data?.value;
  const isPartial = red.data?.completeness.isComplete === false;
  if (red.error !== undefined && groups === undefined) {
    return (
      <aside className="facets panel" aria-label="Narrow down" data-open="true">
        <p className="facets-head faint">What the spans have in common could not be counted.</p>
        <button
          type="button"
          className="button small"
          title={red.error.message}
          onClick={red.refetch}
        >
          Count again
        </button>
      </aside>
    );
  }
  return (
    <aside className="facets panel" aria-label="Narrow down" data-open={props.isOpen}>
      <button
        type="button"
        className="button quiet small facets-toggle"
        aria-expanded={props.isOpen}
        onClick={() => props.onOpen(!props.isOpen)}
      >
        <Icon name="filter" />
        Narrow down
      </button>
      <p className="facets-head faint">
        {groups === undefined
          ? "counting …"
          : `${isPartial ? "at least " : ""}${count(groups.spans)} spans`}
        {isExactOnSpans(query) ? "" : ", before conditions on whole traces"}
      </p>
      {groups !== undefined ? (
        <OwnFacets {...props} groups={groups} isPartial={isPartial} />
      ) : (
        // Who looks for what failed need not wait until everything is counted.
        <ValueList
          {...props}
          name="status"
          title="Status"
          values={[{ value: "error", spans: Number.NaN, errors: Number.NaN }]}
          isPartial={false}
        />
      )}
      {shown.map((key) => (
        <KeyFacet
          key={key}
          {...props}
          name={key}
          onRemove={
            added.includes(key)
              ? () => props.onAdded(added.filter((each) => each !== key))
              : undefined
          }
        />
      ))}
      <AddFacet
        keys={[...COUNTED_FIELDS, ...known].filter((key) => !shown.includes(key)).sort()}
        onAdd={(key) => props.onAdded([...added, key])}
      />
    </aside>
  );
}

/** What every span has: service, operation, kind and status. */
function OwnFacets(
  props: FacetProps & {
    readonly colors: ServiceColors;
    readonly groups: RedSeries;
    readonly isPartial: boolean;
  },
) {
  const { groups } = props.groups;
  const sums = useMemo(() => {
    const by = (name: "service" | "operation" | "kind"): ValueCount[] => {
      const found = new Map<string, { value: string; spans: number; errors: number }>();
      for (const group of groups) {
        const value = group[name];
        const sum = found.get(value) ?? { value, spans: 0, errors: 0 };
        for (const bin of group.bins) {
          sum.spans += bin.spans;
          sum.errors += bin.errors;
        }
        found.set(value, sum);
      }
      return [...found.values()].sort((left, right) => right.spans - left.spans);
    };
    return { service: by("service"), operation: by("operation"), kind: by("kind") };
  }, [groups]);
  const { spans, errors } = props.groups;
  const status = [
    { value: "error", spans: errors, errors },
    { value: "not error", spans: spans - errors, errors: 0 },
  ].filter((each) => each.spans > 0 && each.value === "error");
  return (
    <>
      <ValueList {...props} name="status" title="Status" values={status} />
      <ValueList {...props} name="service" title="Service" values={sums.service} />
      <ValueList {...props} name="operation" title="Operation" values={sums.operation} />
      <ValueList
        {...props}
        name="kind"
        title="Kind"
        values={sums.kind.filter((each) => each.value !== "" && each.value !== "unspecified")}
      />
    </>
  );
}

function KeyFacet(
  props: FacetProps & { readonly name: string; readonly onRemove: (() => void) | undefined },
) {
  const { query, window, isEnabled, name } = props;
  const where = useMemo(() => spanPredicate(query), [query]);
  const top = useTopValues({ window, where, isEnabled }, name, VALUES_MAX);
  const values = top.data?.value.values ?? [];
  const isPartial = top.data?.completeness.isComplete === false;
  if (values.length === 0 && props.onRemove === undefined) return null;
  return (
    <ValueList {...props} title={name} values={values} isPartial={isPartial} isMono isOfServer />
  );
}

function ValueList(
  props: FacetProps & {
    readonly name: string;
    readonly title: string;
    readonly values: readonly ValueCount[];
    readonly colors?: ServiceColors;
    readonly isMono?: boolean;
    /** Not all spans were counted. */
    readonly isPartial: boolean;
    /** There may be more values than these. */
    readonly isOfServer?: boolean;
    readonly onRemove?: (() => void) | undefined;
  },
) {
  const { name, query, values, long } = props;
  const isLong = long.includes(name);
  const [find, setFind] = useState("");
  const chosen = chosenValues(query, name);
  const excluded = excludedValues(query, name);
  const all = withKept(values, [...chosen, ...excluded]);
  // Only the most frequent values are counted; the server knows the others by how they begin.
  const isCut = props.isOfServer === true && values.length >= VALUES_MAX;
  const suggested = useValues(name, find, isCut && find !== "").data?.value.items ?? [];
  if (all.length === 0 && props.onRemove === undefined) return null;
  const shown = isLong
    ? valuesLike(all, find, find === "" ? [] : suggested)
    : all.slice(0, VALUES_SHORT);
  const most = Math.max(1, ...values.map((each) => each.spans));
  return (
    <section className="facet">
      <h2 className={props.isMono ? "mono" : undefined} title={name}>
        {props.title}
        {props.onRemove && (
          <IconButton icon="close" label={`Remove the facet ${name}`} onClick={props.onRemove} />
        )}
      </h2>
      {all.length === 0 && <p className="faint">no span has it</p>}
      {isLong && all.length >= FIND_FROM && (
        <input
          className="input"
          aria-label={`Find a value of ${name}`}
          placeholder={`Find in ${all.length}${isCut ? " and more" : ""}`}
          // biome-ignore lint/a11y/noAutofocus: who asked for all values looks for one of them.
          autoFocus
          value={find}
          onChange={(event) => setFind(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== "Escape" || find === "") return;
            event.stopPropagation();
            setFind("");
          }}
        />
      )}
      {isLong && shown.length === 0 && find !== "" && <p className="faint">no value has this</p>}
      <ul data-long={isLong && shown.length >= FIND_FROM}>
        {shown.map((each) => (
          <li key={each.value} data-excluded={excluded.includes(each.value)}>
            <button
              type="button"
              className="facet-value"
              aria-pressed={chosen.includes(each.value)}
              title={
                isCounted(each)
                  ? `${each.value}\n${plural(each.spans, "span")}, ${count(each.errors)} failed`
                  : each.value
              }
              onClick={() => props.onChange(toggleValue(query, name, each.value))}
            >
              {props.colors && name === "service" && (
                <span className="swatch" style={swatchOf(props.colors, each.value)} />
              )}
              {name === "status" && (
                <span className="failed">
                  <Icon name="error" />
                </span>
              )}
              <span className="facet-name">{each.value === "" ? "(empty)" : each.value}</span>
              <span className="facet-count">
                {props.isPartial ? "≥ " : ""}
                {isCounted(each) ? shortCount(each.spans) : find === "" ? "…" : "rare"}
              </span>
              {isCounted(each) && (
                <span className="facet-bar" style={{ width: `${(100 * each.spans) / most}%` }} />
              )}
            </button>
            <IconButton
              icon="minus"
              label={
                excluded.includes(each.value)
                  ? `Let traces with ${name} ${each.value} in again`
                  : `Without traces with ${name} ${each.value}`
              }
              title={excluded.includes(each.value) ? "Let in again" : "Rule out"}
              isPressed={excluded.includes(each.value)}
              look="facet-out"
              onClick={() => props.onChange(toggleExcluded(query, name, each.value))}
            />
          </li>
        ))}
      </ul>
      {all.length > VALUES_SHORT && (
        <button
          type="button"
          className="button quiet small"
          onClick={() => {
            props.onLong(isLong ? long.filter((each) => each !== name) : [...long, name]);
            setFind("");
          }}
        >
          {isLong ? "Fewer" : `${all.length - VALUES_SHORT} more`}
        </button>
      )}
    </section>
  );
}

/** Not a number of spans until they are counted. */
function isCounted({ spans }: ValueCount): boolean {
  return !Number.isNaN(spans);
}

function AddFacet(props: {
  readonly keys: readonly string[];
  readonly onAdd: (key: string) => void;
}) {
  if (props.keys.length === 0) return null;
  return (
    <select
      className="input"
      aria-label="Add a facet"
      value=""
      onChange={(event) => props.onAdd(event.target.value)}
    >
      <option value="">Another attribute …</option>
      {props.keys.map((key) => (
        <option key={key} value={key}>
          {key}
        </option>
      ))}
    </select>
  );
}
