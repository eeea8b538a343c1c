// What to look at and what to look for.

import { type RefObject, useEffect, useRef, useState } from "react";
import { count } from "../../base/format";
import { Icon } from "../../components/icon";
import { IconButton } from "../../components/icon-button";
import { later } from "../../components/later";
import { Segmented } from "../../components/segmented";
import { changeSettings, useSettings } from "../../state/settings";
import { useStore } from "../../state/store";
import type { TraceView } from "../../state/trace-view";
import { uiConfig } from "../../state/ui-config";
import { isWhole } from "../../timeline/viewport";

const ServiceMenu = later(async () => (await import("./services")).ServiceMenu);

export const VIEWS = [
  "timeline",
  "flame",
  "path",
  "table",
  "statistics",
  "events",
  "graph",
  "raw",
] as const;
export type ViewName = (typeof VIEWS)[number];

const NAMES: Record<ViewName, string> = {
  timeline: "Timeline",
  flame: "Flame",
  path: "Path",
  table: "Table",
  statistics: "Statistics",
  events: "Events",
  graph: "Graph",
  raw: "Raw",
};

/** Whoever runs the node may not want the last of them. */
const { raw: _, ...WITHOUT_RAW } = NAMES;
const SHOWN = uiConfig().without.json ? WITHOUT_RAW : NAMES;

/** Does the view keep to the stretch of time that is zoomed to? */
function isTimed(view: ViewName): boolean {
  return view === "timeline" || view === "flame" || view === "events";
}

export const FIND_ID = "find-in-trace";
const TYPING_MILLIS = 120;

export function Toolbar(props: {
  readonly view: TraceView;
  readonly shown: ViewName;
  readonly onShow: (name: ViewName) => void;
  readonly onHelp: () => void;
}) {
  const { view } = props;
  const { window } = useStore(view.store);
  const settings = useSettings();
  return (
    <div className="toolbar" role="toolbar" aria-label="Trace">
      <Segmented label="View" names={SHOWN} value={props.shown} onChoose={props.onShow} />
      <Find view={view} />
      <span className="spacer" />
      {isTimed(props.shown) && !isWhole(window, view.trace.duration) && (
        <button type="button" className="button quiet small" onClick={() => view.resetWindow()}>
          <Icon name="reset" />
          Whole trace
        </button>
      )}
      {props.shown === "timeline" && (
        <>
          {view.trace.services.length > 1 && <ServiceMenu view={view} />}
          <button
            type="button"
            className="button small"
            aria-pressed={settings.showCriticalPath}
            title="Mark what the trace was waiting for (c)"
            onClick={() => changeSettings({ showCriticalPath: !settings.showCriticalPath })}
          >
            <Icon name="path" />
            Critical path
          </button>
          <button
            type="button"
            className="button small"
            aria-pressed={settings.foldsRuns}
            title="One row for many like spans in a row (r)"
            onClick={() => changeSettings({ foldsRuns: !settings.foldsRuns })}
          >
            <Icon name="fold" />
            Fold runs
          </button>
          <IconButton icon="collapse" label="Collapse all (])" onClick={() => view.collapseAll()} />
          <IconButton icon="expand" label="Expand all ([)" onClick={() => view.expandAll()} />
        </>
      )}
      <IconButton icon="question" label="Keys (?)" onClick={props.onHelp} />
    </div>
  );
}

const NOT_SEARCHED =
  "Attributes were not searched: the node could not do it, or the trace has changed since";

function Find(props: { readonly view: TraceView }) {
  const { view } = props;
  const { findText, matches, matchCount, onlyMatches, isFinding, lacksAttributes } = useStore(
    view.store,
  );
  const [typed, setTyped] = useState(findText);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const input: RefObject<HTMLInputElement | null> = useRef(null);
  useEffect(() => setTyped(findText), [findText]);
  const find = (text: string) => {
    setTyped(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => void view.find(text), TYPING_MILLIS);
  };
  const place = view.matchPlace;
  const none = matches !== null && matchCount === 0;
  const found = `${place > 0 ? `${count(place)} of ` : ""}${count(matchCount)}`;
  return (
    <search className="find" data-none={none && !isFinding}>
      <Icon name="search" />
      <input
        ref={input}
        id={FIND_ID}
        className="input"
        aria-label="Find in trace"
        placeholder="Find: text, key=value, dur>10ms, err"
        autoComplete="off"
        spellCheck={false}
        value={typed}
        onChange={(event) => find(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") view.nextMatch(event.shiftKey ? -1 : 1);
          if (event.key === "Escape") {
            find("");
            input.current?.blur();
          }
        }}
      />
      {matches !== null && (
        <>
          <output className="faint" title={lacksAttributes ? NOT_SEARCHED : undefined}>
            {none && !isFinding ? "no match" : found}
            {isFinding && " so far"}
            {lacksAttributes && " by name"}
          </output>
          <IconButton
            icon="up"
            label="Previous match (N)"
            isDisabled={none}
            onClick={() => view.nextMatch(-1)}
          />
          <IconButton
            icon="down"
            label="Next match (n)"
            isDisabled={none}
            onClick={() => view.nextMatch(1)}
          />
          <IconButton
            icon="filter"
            label="Show matches only"
            isPressed={onlyMatches}
            isDisabled={none}
            onClick={() => view.setOnlyMatches(!onlyMatches)}
          />
        </>
      )}
    </search>
  );
}
