// The search form: Jaeger's fields, a service being optional.

import { type FormEvent, useEffect, useId, useMemo, useState } from "react";
import { editableTime } from "../../base/format";
import { earlier, micros, parseDuration, parseTime, wallClock } from "../../base/time";
import { Combobox } from "../../components/combobox";
import { Icon } from "../../components/icon";
import {
  type DraftErrors,
  draftOf,
  LIMIT_MAX,
  LOOKBACKS,
  queryOf,
  type SearchDraft,
  type SearchQuery,
  type Window,
} from "../../model/search-query";
import { useOperations, useServices } from "../../state/queries";
import { useSettings } from "../../state/settings";
import { uiConfig } from "../../state/ui-config";
import { ConditionField } from "./condition-field";
import { SearchHistoryMenu } from "./history";

const LOOKBACK_NAMES: Readonly<Record<string, string>> = { m: "min", h: "h", d: "d", w: "wk" };

/** As far back as whoever runs the node wants searches to go; a link may say more. */
const LOOKBACKS_SHOWN: readonly string[] = LOOKBACKS.filter((each) => {
  const length = (text: string) => {
    const parsed = parseDuration(text);
    return parsed.ok ? parsed.value : Number.POSITIVE_INFINITY;
  };
  return length(each) <= length(uiConfig().maxLookback ?? "");
});

function nameOfLookback(lookback: string): string {
  const unit = lookback.slice(-1);
  return `Last ${lookback.slice(0, -1)} ${LOOKBACK_NAMES[unit] ?? unit}`;
}

export function SearchForm(props: {
  readonly query: SearchQuery;
  /** The query part of the address. */
  readonly current: string;
  readonly isRunning: boolean;
  readonly onRun: (query: SearchQuery) => void;
}) {
  const [draft, setDraft] = useState<SearchDraft>(() => draftOf(props.query));
  const [errors, setErrors] = useState<DraftErrors>({});
  useEffect(() => {
    setDraft(draftOf(props.query));
    setErrors({});
  }, [props.query]);
  const change = (part: Partial<SearchDraft>) => setDraft((before) => ({ ...before, ...part }));
  const run = (event?: FormEvent) => {
    event?.preventDefault();
    const query = queryOf(draft, Math.min(uiConfig().maxLimit ?? LIMIT_MAX, LIMIT_MAX));
    setErrors(query.ok ? {} : query.error);
    if (query.ok) props.onRun(query.value);
  };
  return (
    <form className="search-form" onSubmit={run} aria-label="Search traces">
      <ServiceFields draft={draft} onChange={change} />
      <ConditionField
        value={draft.tags}
        service={draft.service}
        problem={errors.tags}
        onChange={(tags) => change({ tags })}
      />
      <TextField
        label="Min duration"
        placeholder="100ms"
        value={draft.minDuration}
        problem={errors.minDuration}
        onChange={(minDuration) => change({ minDuration })}
      />
      <TextField
        label="Max duration"
        placeholder="1.2s"
        value={draft.maxDuration}
        problem={errors.maxDuration}
        onChange={(maxDuration) => change({ maxDuration })}
      />
      <WindowFields
        window={draft.window}
        problem={errors.window}
        onChange={(window) => change({ window })}
      />
      <TextField
        className="short"
        label="Limit"
        value={draft.limit}
        problem={errors.limit}
        onChange={(limit) => change({ limit })}
      />
      <button type="submit" className="button primary run" aria-busy={props.isRunning}>
        <Icon name="play" />
        Find traces
      </button>
      <SearchHistoryMenu current={props.current} />
    </form>
  );
}

function ServiceFields(props: {
  readonly draft: SearchDraft;
  readonly onChange: (part: Partial<SearchDraft>) => void;
}) {
  const { draft, onChange } = props;
  // Only who is about to choose one needs their names.
  const [isUsed, setUsed] = useState(false);
  const known = useServices(isUsed);
  const services = known.data?.value;
  const isKnown = isUsed && services?.includes(draft.service) === true;
  const operations = useOperations(isKnown ? draft.service : "");
  const serviceOptions = useMemo(() => (services ?? []).map((value) => ({ value })), [services]);
  const operationOptions = useMemo(() => {
    const kinds = new Map<string, string>();
    for (const { name, kind } of operations.data?.value ?? []) {
      const known = kinds.get(name);
      kinds.set(name, known === undefined ? kind : `${known}, ${kind}`);
    }
    return [...kinds].map(([value, hint]) => ({ value, hint }));
  }, [operations.data]);
  return (
    <>
      <Combobox
        label="Service"
        placeholder="All services"
        value={draft.service}
        options={serviceOptions}
        isLoading={known.isFetching}
        problem={known.error && "The services could not be read"}
        onFocus={() => setUsed(true)}
        onChange={(service) => onChange({ service, operation: "" })}
      />
      <Combobox
        label="Operation"
        placeholder="All operations"
        value={draft.operation}
        options={operationOptions}
        isLoading={operations.isFetching}
        problem={operations.error && "The operations could not be read"}
        onFocus={() => setUsed(true)}
        onChange={(operation) => onChange({ operation })}
      />
    </>
  );
}

function WindowFields(props: {
  readonly window: Window;
  readonly problem: string | undefined;
  readonly onChange: (window: Window) => void;
}) {
  const { window, onChange } = props;
  const id = useId();
  const known = LOOKBACKS_SHOWN;
  const choose = (lookback: string) => {
    if (lookback !== "custom") return onChange({ kind: "lookback", lookback });
    const end = wallClock();
    return onChange({ kind: "range", start: earlier(end, micros(3_600_000_000)), end });
  };
  const lookbacks =
    window.kind === "lookback" && !known.includes(window.lookback)
      ? [...known, window.lookback]
      : known;
  return (
    <>
      <div className="field">
        <label className="label" htmlFor={id}>
          Time
        </label>
        <select
          id={id}
          className="input"
          value={window.kind === "lookback" ? window.lookback : "custom"}
          onChange={(event) => choose(event.target.value)}
        >
          {lookbacks.map((each) => (
            <option key={each} value={each}>
              {nameOfLookback(each)}
            </option>
          ))}
          <option value="custom">From … to …</option>
        </select>
        {props.problem && <span className="problem">{props.problem}</span>}
      </div>
      {window.kind === "range" && (
        <>
          <TimeField
            label="From"
            value={window.start}
            onChange={(start) => onChange({ ...window, start })}
          />
          <TimeField
            label="To"
            value={window.end}
            onChange={(end) => onChange({ ...window, end })}
          />
        </>
      )}
    </>
  );
}

/** Takes ISO times and epoch numbers of any unit; shows what it understood when left. */
function TimeField(props: {
  readonly label: string;
  readonly value: ReturnType<typeof wallClock>;
  readonly onChange: (value: ReturnType<typeof wallClock>) => void;
}) {
  const { zone } = useSettings();
  const [typed, setTyped] = useState<string | undefined>();
  const parsed = typed === undefined ? undefined : parseTime(typed, zone);
  return (
    <TextField
      className="time"
      label={`${props.label}${zone === "utc" ? " (UTC)" : ""}`}
      value={typed ?? editableTime(props.value, zone)}
      problem={parsed !== undefined && !parsed.ok ? parsed.error : undefined}
      onChange={(text) => {
        setTyped(text);
        const time = parseTime(text, zone);
        if (time.ok) props.onChange(time.value);
      }}
      onBlur={() => {
        if (parsed?.ok) setTyped(undefined);
      }}
    />
  );
}

function TextField(props: {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly onBlur?: () => void;
  readonly placeholder?: string;
  readonly problem: string | undefined;
  readonly className?: string;
}) {
  const id = useId();
  return (
    <div className={`field ${props.className ?? ""}`}>
      <label className="label" htmlFor={id}>
        {props.label}
      </label>
      <input
        id={id}
        className="input"
        autoComplete="off"
        spellCheck={false}
        placeholder={props.placeholder}
        value={props.value}
        aria-invalid={props.problem !== undefined}
        onChange={(event) => props.onChange(event.target.value)}
        onBlur={props.onBlur}
      />
      {props.problem && <span className="problem">{props.problem}</span>}
    </div>
  );
}
