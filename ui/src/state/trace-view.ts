// What the trace page shows of a trace: collapsed rows, the window of time, the selection, what
// was found. The canvases read it every frame, so it lives outside React; every change makes a
// new state and tells those who listen.

import type { TraceSource } from "../api/trace-source";
import { assignColors, type ServiceColors } from "../base/color";
import type { Micros } from "../base/time";
import type { CriticalPath } from "../model/critical-path";
import {
  collapseFrom,
  indexOfRow,
  insertionPoint,
  openDepth,
  reveal,
  type VisibleRows,
  visibleRows,
  wantedRows,
  withAncestors,
} from "../model/rows";
import { type Runs, runsOf, withoutRunsOver } from "../model/runs";
import type { HiddenServices } from "../model/service-filter";
import {
  type EventColumns,
  Flag,
  hasFlag,
  lengthOf,
  rowOfSpanId,
  startOf,
  type TraceColumns,
} from "../model/trace";
import { around, clamp, pan, type TimeWindow, whole, zoom } from "../timeline/viewport";
import { whenIdle } from "./idle";
import { Store } from "./store";

/** Of a larger trace the details are fetched only when they are asked for. */
const EVENTS_SPANS_MAX = 20_000;

export interface TraceViewState {
  readonly rows: VisibleRows;
  readonly collapsed: Uint8Array;
  /** Runs of like siblings that one row stands for; null while none are folded. */
  readonly runs: Runs | null;
  readonly window: TimeWindow;
  /** Row, -1 for none. */
  readonly selected: number;
  readonly findText: string;
  /** Null while nothing is looked for. */
  readonly matches: Uint8Array | null;
  readonly matchCount: number;
  /** Attributes are still to be looked into. */
  readonly isFinding: boolean;
  /** They cannot be: what was found is in names, ids and what else stands in columns. */
  readonly lacksAttributes: boolean;
  /** Show only what was found, and the way to it. */
  readonly onlyMatches: boolean;
  /** Null while the spans of all services are shown. */
  readonly hidden: HiddenServices | null;
  /** Null until the worker has found it. */
  readonly criticalPath: CriticalPath | null;
  /** Null until they are known. */
  readonly events: EventColumns | null;
  /** Raised when the selected row should come into view. */
  readonly revealed: number;
}

export class TraceView {
  readonly trace: TraceColumns;
  readonly source: TraceSource;
  readonly colors: ServiceColors;
  readonly colorOfService: Uint8Array;
  readonly store: Store<TraceViewState>;
  #findRequest = 0;

  constructor(source: TraceSource) {
    const trace = source.columns;
    this.trace = trace;
    this.source = source;
    const { spansByService } = source.facts;
    this.colors = assignColors(
      trace.services.map((name, index) => ({ name, spans: spansByService[index] ?? 0 })),
    );
    this.colorOfService = Uint8Array.from(trace.services, (name) => this.colors.get(name) ?? 0);
    const collapsed = new Uint8Array(trace.count);
    this.store = new Store<TraceViewState>({
      rows: visibleRows(trace, collapsed, null),
      collapsed,
      runs: null,
      window: whole(trace.duration),
      selected: -1,
      findText: "",
      matches: null,
      matchCount: 0,
      isFinding: false,
      lacksAttributes: false,
      onlyMatches: false,
      hidden: null,
      criticalPath: null,
      events: null,
      revealed: 0,
    });
    // The rows come first.
    whenIdle(() => this.#askMore());
  }

  /** Both fail only if the trace is closed or its details cannot be had; then nothing is shown. */
  #askMore(): void {
    this.source.criticalPath().then(
      (criticalPath) => this.#change({ criticalPath }),
      () => undefined,
    );
    if (this.trace.count > EVENTS_SPANS_MAX) return;
    this.source.events().then(
      (events) => this.#change({ events: events ?? null }),
      () => undefined,
    );
  }

  get state(): TraceViewState {
    return this.store.get();
  }

  #change(change: Partial<TraceViewState>): void {
    const before = this.state;
    const after = { ...before, ...change };
    const needsRows =
      after.collapsed !== before.collapsed ||
      after.runs !== before.runs ||
      after.onlyMatches !== before.onlyMatches ||
      after.hidden !== before.hidden ||
      (after.onlyMatches && after.matches !== before.matches);
    this.store.set(needsRows ? { ...after, rows: this.#rowsOf(after) } : after);
  }

  /** What leads to a wanted row is shown with it. */
  #rowsOf({ collapsed, runs, onlyMatches, matches, hidden }: TraceViewState): VisibleRows {
    const marked = onlyMatches ? matches : null;
    if (marked === null && hidden === null) return visibleRows(this.trace, collapsed, null, runs);
    const keep = withAncestors(this.trace, wantedRows(this.trace, marked, hidden));
    return visibleRows(this.trace, collapsed, keep);
  }

  /** Selects a row and opens whatever hides it. */
  select(row: number): void {
    if (row < 0) {
      this.#change({ selected: -1 });
      return;
    }
    const isHidden = indexOfRow(this.state.rows, row) < 0;
    this.#change({
      selected: row,
      revealed: this.state.revealed + 1,
      ...(isHidden
        ? {
            collapsed: reveal(this.trace, this.state.collapsed, row),
            runs: this.state.runs && withoutRunsOver(this.state.runs, row),
            onlyMatches: false,
            hidden: null,
          }
        : {}),
    });
  }

  selectSpan(spanId: string): boolean {
    const row = rowOfSpanId(this.trace, spanId);
    if (row >= 0) this.select(row);
    return row >= 0;
  }

  /** Selects the row `by` places further down the list. */
  step(by: number): void {
    const { rows, selected } = this.state;
    if (rows.length === 0) return;
    const from = selected < 0 ? (by > 0 ? -1 : 0) : insertionPoint(rows, selected);
    const index = Math.min(Math.max(from + by, 0), rows.length - 1);
    this.select(rows[index] ?? -1);
  }

  /** Shows runs of like siblings as one row each, or every span. */
  setFolded(isFolded: boolean): void {
    if (isFolded !== (this.state.runs !== null)) {
      this.#change({ runs: isFolded ? runsOf(this.trace) : null });
    }
  }

  /** Does this row stand for a run? Not while something else decides which rows are shown. */
  isFolded(row: number): boolean {
    const { runs, onlyMatches, hidden } = this.state;
    return !onlyMatches && hidden === null && (runs?.[row] ?? 0) > 0;
  }

  toggle(row: number): void {
    if (this.isFolded(row)) {
      this.#change({ runs: this.state.runs?.with(row, 0) ?? null });
      return;
    }
    if ((this.trace.descendants[row] ?? 0) === 0) return;
    const collapsed = Uint8Array.from(this.state.collapsed);
    collapsed[row] = collapsed[row] === 1 ? 0 : 1;
    this.#change({ collapsed });
  }

  setCollapsed(row: number, isCollapsed: boolean): void {
    if (this.isFolded(row) ? !isCollapsed : (this.state.collapsed[row] === 1) !== isCollapsed)
      this.toggle(row);
  }

  /** As a link says. */
  setCollapsedRows(collapsed: Uint8Array): void {
    this.#change({ collapsed });
  }

  expandAll(): void {
    this.#change({ collapsed: new Uint8Array(this.trace.count) });
  }

  collapseAll(): void {
    this.#change({ collapsed: collapseFrom(this.trace, 0) });
  }

  /** Hides the deepest level that is shown. */
  collapseOne(): void {
    const depth = openDepth(this.trace, this.state.collapsed);
    if (depth >= 0) this.#change({ collapsed: collapseFrom(this.trace, depth) });
  }

  /** Shows one level more. */
  expandOne(): void {
    const depth = openDepth(this.trace, this.state.collapsed);
    this.#change({ collapsed: collapseFrom(this.trace, depth + 2) });
  }

  setWindow(window: TimeWindow): void {
    this.#change({ window: clamp(window, this.trace.duration) });
  }

  zoom(factor: number, share: number): void {
    this.#change({ window: zoom(this.state.window, factor, share, this.trace.duration) });
  }

  pan(share: number): void {
    this.#change({ window: pan(this.state.window, share, this.trace.duration) });
  }

  resetWindow(): void {
    this.#change({ window: whole(this.trace.duration) });
  }

  zoomToSelected(): void {
    const { selected } = this.state;
    if (selected < 0) return;
    const start: Micros = startOf(this.trace, selected);
    const length = lengthOf(this.trace, selected);
    this.#change({ window: around(start, length, this.trace.duration) });
  }

  /**
   * Looks for `text`: first in what is at hand, then, if that is not all, in the attributes. An
   * answer that a later question overtook is dropped.
   */
  async find(text: string): Promise<void> {
    this.#findRequest += 1;
    const request = this.#findRequest;
    if (text.trim() === "") {
      const nothing = { matches: null, matchCount: 0, onlyMatches: false, isFinding: false };
      this.#change({ findText: text, lacksAttributes: false, ...nothing });
      return;
    }
    this.#change({ findText: text });
    for (const isWhole of [false, true]) {
      // The only failure is that the trace was closed, or its attributes cannot be had.
      const found = await this.source.find(text, isWhole).catch(() => undefined);
      if (request !== this.#findRequest) return;
      if (found === undefined) return this.#change({ isFinding: false, lacksAttributes: true });
      let matchCount = 0;
      for (const match of found.rows) matchCount += match;
      const { rows: matches, lacksAttributes } = found;
      this.#change({ matches, matchCount, isFinding: !found.isWhole, lacksAttributes });
      if (found.isWhole) return;
    }
  }

  setOnlyMatches(onlyMatches: boolean): void {
    this.#change({ onlyMatches });
  }

  /** Hides the spans of some services; null shows those of all. */
  setHidden(hidden: HiddenServices | null): void {
    this.#change({ hidden: hidden?.includes(1) === true ? hidden : null });
  }

  /** Selects the next match after the selection, or before it; round and round. */
  nextMatch(direction: 1 | -1): void {
    const { matches } = this.state;
    if (matches !== null) this.#selectNext(direction, (row) => matches[row] === 1);
  }

  nextError(direction: 1 | -1): void {
    this.#selectNext(direction, (row) => hasFlag(this.trace, row, Flag.error));
  }

  #selectNext(direction: 1 | -1, isWanted: (row: number) => boolean): void {
    const { count } = this.trace;
    const from = this.state.selected < 0 && direction < 0 ? 0 : this.state.selected;
    for (let step = 1; step <= count; step += 1) {
      const row = (((from + direction * step) % count) + count) % count;
      if (isWanted(row)) {
        this.select(row);
        return;
      }
    }
  }

  /** Which of the matches is selected, from 1; 0 if none is. */
  get matchPlace(): number {
    const { matches, selected } = this.state;
    if (matches === null || selected < 0 || matches[selected] !== 1) return 0;
    let place = 0;
    for (let row = 0; row <= selected; row += 1) place += matches[row] ?? 0;
    return place;
  }
}
