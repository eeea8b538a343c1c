// The field that goes anywhere: a trace by its id, a service, an operation, conditions, a page, or
// what is often wanted. Its code comes after that of the page, which does not wait for it.

import { useEffect, useMemo, useState } from "react";
import { useLocation } from "wouter";
import { suggestOperations } from "../api/suggest";
import { Combobox, type Option } from "../components/combobox";
import { conditionsHref, isTraceId, operationHref, searchHref } from "../model/links";
import { useServices } from "../state/queries";
import { useQuery } from "../state/query";
import { changeSettings, useSettings } from "../state/settings";
import { uiConfig } from "../state/ui-config";

const OMNIBOX_ID = "go-to";
const OMNIBOX_HINT = "Trace id, service, condition …   Ctrl K";

/** Fewer letters begin too many names. */
const LETTERS_MIN = 2;
const OPERATIONS_MAX = 8;
const TYPING_MILLIS = 150;
const NAMES_FRESH_MILLIS = 30_000;

const OFTEN: readonly (readonly [label: string, href: string])[] = [
  ["Traces with errors", conditionsHref("trace.errors>=1")],
  ["Slowest traces", "/search?lookback=1h&sort=longest"],
  ["Live traces", "/search?lookback=15m&tail=1"],
];

export function Omnibox(props: {
  /** Where one can go, by the names that the rail shows. */
  readonly pages: readonly (readonly [href: string, name: string])[];
}) {
  const [text, setText] = useState("");
  const [, navigate] = useLocation();
  const { zone } = useSettings();
  // Only who is about to choose one needs their names.
  const [isUsed, setUsed] = useState(false);
  const services = useServices(isUsed).data?.value;
  const operations = useOperationsLike(text.trim());
  const commands = useMemo(() => commandsOf(zone), [zone]);
  const options = useMemo<Option[]>(() => {
    const wanted = text.trim();
    const looksLikeId = isTraceId(wanted) && wanted.length >= 6;
    return [
      ...(looksLikeId ? [{ value: `/trace/${wanted}`, label: wanted, hint: "trace" }] : []),
      ...(isCondition(wanted)
        ? [{ value: conditionsHref(wanted), label: wanted, hint: "traces with this" }]
        : []),
      ...(services ?? []).map((name) => ({
        value: searchHref(name),
        label: name,
        hint: "service",
      })),
      ...operations.map((name) => ({
        value: operationHref(name),
        label: name,
        hint: "operation",
      })),
      ...props.pages.map(([value, label]) => ({ value, label, hint: "page" })),
      ...OFTEN.map(([label, value]) => ({ value, label, hint: "search" })),
      ...commands.map(({ label }) => ({ value: label, label, hint: "command" })),
    ];
  }, [text, services, operations, commands, props.pages]);
  const go = (value: string) => {
    const wanted = value.trim();
    const command = commands.find(({ label }) => label.toLowerCase() === wanted.toLowerCase());
    if (command !== undefined) command.run();
    const target = wanted.startsWith("/")
      ? wanted
      : isTraceId(wanted)
        ? `/trace/${wanted}`
        : isCondition(wanted)
          ? conditionsHref(wanted)
          : options.find((option) => option.label?.toLowerCase() === wanted.toLowerCase())?.value;
    if (target?.startsWith("/")) navigate(target);
    setText("");
  };
  return (
    <Combobox
      inputId={OMNIBOX_ID}
      label="Go to a trace, service or page"
      hideLabel
      placeholder={OMNIBOX_HINT}
      value={text}
      options={options}
      onChange={setText}
      onCommit={go}
      onFocus={() => setUsed(true)}
    />
  );
}

/** Something with an operator between: what else it may be, it is no name. */
function isCondition(text: string): boolean {
  return /^-?(?:"[^"]+"|[^\s"=!<>~|/]+)(?:!=|=~|!~|>=|<=|=|<|>|~)\S/.test(text);
}

interface Command {
  readonly label: string;
  readonly run: () => void;
}

function commandsOf(zone: "local" | "utc"): readonly Command[] {
  const themes: readonly Command[] = [
    { label: "Dark theme", run: () => changeSettings({ theme: "dark" }) },
    { label: "Light theme", run: () => changeSettings({ theme: "light" }) },
  ];
  return [
    ...(uiConfig().without.themes ? [] : themes),
    zone === "utc"
      ? { label: "Times in local time", run: () => changeSettings({ zone: "local" }) }
      : { label: "Times in UTC", run: () => changeSettings({ zone: "utc" }) },
  ];
}

/** The operations of any service whose names begin so. */
function useOperationsLike(text: string): readonly string[] {
  const [prefix, setPrefix] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setPrefix(text), TYPING_MILLIS);
    return () => clearTimeout(timer);
  }, [text]);
  const { data } = useQuery({
    key: `operations like ${prefix}`,
    ask: (signal) => suggestOperations({ service: "", prefix, limit: 2 * OPERATIONS_MAX }, signal),
    isEnabled: prefix.length >= LETTERS_MIN && !isCondition(prefix),
    freshMillis: NAMES_FRESH_MILLIS,
  });
  const items = data?.value.items;
  return useMemo(
    () => [...new Set((items ?? []).map(({ name }) => name))].slice(0, OPERATIONS_MAX),
    [items],
  );
}
