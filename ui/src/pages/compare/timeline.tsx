// Two traces on one axis of time, span beside span: where the one waits and the other does not.
// The chosen pair is held against each other, attribute by attribute.

import { useVirtualizer } from "@tanstack/react-virtual";
import {
  type CSSProperties,
  type KeyboardEvent,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { Link } from "wouter";
import type { TraceSource } from "../../api/trace-source";
import type { ServiceColors } from "../../base/color";
import { count, duration, exactDuration } from "../../base/format";
import { type Micros, micros } from "../../base/time";
import { Icon } from "../../components/icon";
import { IconButton } from "../../components/icon-button";
import { Service } from "../../components/service";
import { Failure } from "../../components/states";
import { TableHead } from "../../components/table-head";
import {
  type AttributePair,
  attributePairs,
  ownAttributes,
} from "../../model/attribute-difference";
import { notableLines, PAIRS_MAX, pairSpans, type SpanPairs } from "../../model/compare-rows";
import type { SpanDetails } from "../../model/details";
import {
  Flag,
  hasFlag,
  operationOf,
  rowOfSpanId,
  serviceOf,
  spanIdOf,
  type TraceColumns,
} from "../../model/trace";
import { useUrlState } from "../../state/url-state";

const ROW_HEIGHT = 30;
const INDENT = 8;
const INDENT_LEVELS_MAX = 20;
const TICKS = [0, 0.2, 0.4, 0.6, 0.8];
/** Changes of less than this share are not worth a badge. */
const SAME_SHARE = 0.01;

interface Sides {
  readonly left: TraceSource;
  readonly right: TraceSource;
}

/** A line of the two, with what both sides say of it. */
interface Line {
  readonly at: number;
  readonly a: number;
  readonly b: number;
  readonly service: string;
  readonly operation: string;
}

export function AlignedTimelines(props: Sides & { readonly colors: ServiceColors }) {
  const [left, right] = [props.left.columns, props.right.columns];
  const pairs = useMemo(() => pairSpans(left, right), [left, right]);
  const [params, put] = useUrlState();
  const isNotable = params.get("only") === "1";
  const notable = useMemo(() => notableLines(left, right, pairs), [left, right, pairs]);
  const lines = useMemo(
    () => (isNotable ? notable : Array.from({ length: pairs.count }, (_, at) => at)),
    [isNotable, notable, pairs],
  );
  const [chosen, choose] = useChosen(left, right, pairs);
  const line = chosen < 0 ? undefined : lineAt(left, right, pairs, chosen);
  return (
    <>
      <div className="row aligned-bar">
        <label className="check">
          <input
            type="checkbox"
            checked={isNotable}
            onChange={(event) => put({ only: event.target.checked ? "1" : undefined })}
          />
          Differences only
        </label>
        <span className="faint" role="status">
          {isNotable
            ? `${count(lines.length)} of ${count(pairs.count)} lines`
            : `${count(pairs.count)} lines, spans paired by the way they were called`}
          {pairs.isCut ? `; the first ${count(PAIRS_MAX)}` : ""}
        </span>
      </div>
      <div className="aligned-split">
        {lines.length === 0 ? (
          <p className="panel aligned-none">
            Every span has its counterpart, and none takes notably longer on one side.
          </p>
        ) : (
          <Lines {...props} pairs={pairs} lines={lines} chosen={chosen} onChoose={choose} />
        )}
        {line !== undefined && (
          <PairPanel
            key={line.at}
            left={props.left}
            right={props.right}
            line={line}
            colors={props.colors}
            onClose={() => choose(-1)}
          />
        )}
      </div>
    </>
  );
}

function lineAt(left: TraceColumns, right: TraceColumns, pairs: SpanPairs, at: number): Line {
  const [a, b] = [pairs.left[at] ?? -1, pairs.right[at] ?? -1];
  const [trace, row] = a >= 0 ? [left, a] : [right, b];
  return { at, a, b, service: serviceOf(trace, row), operation: operationOf(trace, row) };
}

/** The chosen pair by the ids of its spans, in the URL. */
function useChosen(
  left: TraceColumns,
  right: TraceColumns,
  pairs: SpanPairs,
): [number, (line: number) => void] {
  const [params, put] = useUrlState();
  const asked = params.get("pair") ?? "";
  const chosen = useMemo(() => {
    const [a = "", b = ""] = asked.split("...");
    const rowA = a === "" ? -1 : rowOfSpanId(left, a);
    const rowB = b === "" ? -1 : rowOfSpanId(right, b);
    if (rowA >= 0) return pairs.left.indexOf(rowA);
    return rowB >= 0 ? pairs.right.indexOf(rowB) : -1;
  }, [asked, left, right, pairs]);
  const choose = (line: number) => {
    const [a, b] = [pairs.left[line] ?? -1, pairs.right[line] ?? -1];
    const id = (trace: TraceColumns, row: number) => (row < 0 ? "" : spanIdOf(trace, row));
    put({ pair: line < 0 ? undefined : `${id(left, a)}...${id(right, b)}` });
  };
  return [chosen, choose];
}

function Lines(
  props: Sides & {
    readonly colors: ServiceColors;
    readonly pairs: SpanPairs;
    readonly lines: readonly number[];
    readonly chosen: number;
    readonly onChoose: (line: number) => void;
  },
) {
  const { pairs, lines, chosen } = props;
  const [left, right] = [props.left.columns, props.right.columns];
  const scroller = useRef<HTMLDivElement>(null);
  const longest = Math.max(left.duration, right.duration, 1);
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 10,
  });
  const place = lines.indexOf(chosen);
  // A line that a link names is brought on the screen, once.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only at the beginning.
  useEffect(() => {
    if (place >= 0) virtual.scrollToIndex(place, { align: "center" });
  }, []);
  const step = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const next = Math.min(Math.max(place + by, 0), lines.length - 1);
    const line = lines[next];
    if (line === undefined) return;
    props.onChoose(line);
    virtual.scrollToIndex(next);
    // Its own button takes the focus over when it is there; until then nothing loses it.
    scroller.current?.focus({ preventScroll: true });
    isStepped.current = true;
  };
  const isStepped = useRef(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: after every step.
  useEffect(() => {
    if (!isStepped.current) return;
    isStepped.current = false;
    const button = scroller.current?.querySelector<HTMLElement>('[aria-pressed="true"]');
    button?.focus({ preventScroll: true });
  }, [chosen]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: arrow keys walk through its buttons.
    <div className="panel aligned" onKeyDown={step}>
      <div className="aligned-head" aria-hidden="true">
        <span>Service and operation</span>
        <span className="num">B against A</span>
        <span className="aligned-axis">
          {TICKS.map((share) => (
            <span key={share} style={{ left: `${100 * share}%` }}>
              {duration(micros(longest * share))}
            </span>
          ))}
        </span>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolled region needs the keyboard. */}
      <section ref={scroller} className="aligned-rows" tabIndex={0} aria-label="Spans side by side">
        <ul style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const at = lines[item.index] ?? 0;
            return (
              <li
                key={at}
                aria-setsize={lines.length}
                aria-posinset={item.index + 1}
                style={{ transform: `translateY(${item.start}px)` }}
              >
                <LineButton
                  line={lineAt(left, right, pairs, at)}
                  depth={pairs.depth[at] ?? 0}
                  left={left}
                  right={right}
                  longest={longest}
                  colors={props.colors}
                  isChosen={at === chosen}
                  onChoose={() => props.onChoose(at === chosen ? -1 : at)}
                />
              </li>
            );
          })}
        </ul>
      </section>
    </div>
  );
}

function LineButton(props: {
  readonly line: Line;
  readonly depth: number;
  readonly left: TraceColumns;
  readonly right: TraceColumns;
  readonly longest: number;
  readonly colors: ServiceColors;
  readonly isChosen: boolean;
  readonly onChoose: () => void;
}) {
  const { line, left, right, longest } = props;
  const { a, b } = line;
  const isFailed =
    (a >= 0 && hasFlag(left, a, Flag.error)) || (b >= 0 && hasFlag(right, b, Flag.error));
  const of = (trace: TraceColumns, row: number) =>
    row < 0 ? "not there" : duration(micros(trace.length[row] ?? 0));
  const indent = INDENT * Math.min(props.depth, INDENT_LEVELS_MAX);
  return (
    <button
      type="button"
      aria-pressed={props.isChosen}
      title={`A ${of(left, a)}, B ${of(right, b)}`}
      onClick={props.onChoose}
    >
      <span className="aligned-name" style={{ paddingLeft: indent }}>
        {isFailed && <Icon name="error" />}
        <Service name={line.service} colors={props.colors} />
        <span className="faint">{line.operation}</span>
      </span>
      <span className="num">
        <Change a={a < 0 ? undefined : left.length[a]} b={b < 0 ? undefined : right.length[b]} />
      </span>
      <span className="aligned-bars">
        <span className="visually-hidden">
          {`, A ${of(left, a)}, B ${of(right, b)}${isFailed ? ", failed" : ""}`}
        </span>
        {a >= 0 && <Bar trace={left} row={a} longest={longest} side="a" />}
        {b >= 0 && <Bar trace={right} row={b} longest={longest} side="b" />}
      </span>
    </button>
  );
}

function Bar(props: {
  readonly trace: TraceColumns;
  readonly row: number;
  readonly longest: number;
  readonly side: "a" | "b";
}) {
  const { trace, row, longest } = props;
  const style: CSSProperties = {
    left: `${(100 * (trace.start[row] ?? 0)) / longest}%`,
    width: `max(2px, ${(100 * (trace.length[row] ?? 0)) / longest}%)`,
  };
  const isFailed = hasFlag(trace, row, Flag.error);
  return <span className={`bar side-${props.side}`} data-failed={isFailed} style={style} />;
}

/** How much longer the one on the right takes, or which side alone has it. */
function Change(props: { readonly a: number | undefined; readonly b: number | undefined }) {
  const { a, b } = props;
  if (a === undefined) return <span className="badge more">only B</span>;
  if (b === undefined) return <span className="badge less">only A</span>;
  const by = b - a;
  if (Math.abs(by) <= SAME_SHARE * Math.max(a, b)) return <span className="faint">same</span>;
  const text = `${by > 0 ? "+" : "−"}${duration(micros(Math.abs(by)))}`;
  return <span className={by > 0 ? "more-text" : "less-text"}>{text}</span>;
}

interface Read {
  readonly a: SpanDetails | undefined;
  readonly b: SpanDetails | undefined;
}

/** Everything that the two spans say of themselves. */
function usePair({ left, right }: Sides, { a, b }: Line) {
  const [read, setRead] = useState<Read | undefined>();
  const [error, setError] = useState<Error | undefined>();
  const [attempt, setAttempt] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: an attempt asks again.
  useEffect(() => {
    let isCurrent = true;
    setError(undefined);
    const one = async (source: TraceSource, row: number) =>
      row < 0 ? undefined : (await source.details([row]))[0];
    Promise.all([one(left, a), one(right, b)]).then(
      ([first, second]) => {
        if (isCurrent) setRead({ a: first, b: second });
      },
      (thrown: unknown) => {
        if (isCurrent) setError(thrown instanceof Error ? thrown : new Error(String(thrown)));
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [left, right, a, b, attempt]);
  return { read, error, retry: () => setAttempt(attempt + 1) };
}

function PairPanel(
  props: Sides & {
    readonly line: Line;
    readonly colors: ServiceColors;
    readonly onClose: () => void;
  },
) {
  const { left, right, line } = props;
  const { read, error, retry } = usePair(props, line);
  return (
    <aside className="panel pair" aria-label="The chosen pair of spans">
      <div className="detail-title">
        <h2>{line.operation || "(no name)"}</h2>
        <IconButton icon="close" label="Close" onClick={props.onClose} />
      </div>
      <Service name={line.service} colors={props.colors} />
      <table className="table pair-figures">
        <TableHead
          columns={[
            ["Figure", "hidden"],
            ["A", "num"],
            ["B", "num"],
          ]}
        />
        <tbody>
          {FIGURES.map(([name, of]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <FigureCell time={line.a < 0 ? undefined : of(left.columns, line.a)} />
              <FigureCell time={line.b < 0 ? undefined : of(right.columns, line.b)} />
            </tr>
          ))}
          <tr>
            <th scope="row">In its trace</th>
            <SpanCell trace={left.columns} row={line.a} />
            <SpanCell trace={right.columns} row={line.b} />
          </tr>
        </tbody>
      </table>
      {error !== undefined && (
        <Failure title="The attributes could not be read" error={error} onRetry={retry} />
      )}
      {read === undefined && error === undefined && (
        <p className="faint" role="status">
          Reading the attributes …
        </p>
      )}
      {read !== undefined && <Attributes read={read} />}
    </aside>
  );
}

const FIGURES: readonly (readonly [string, (trace: TraceColumns, row: number) => Micros])[] = [
  ["Starts after", (trace, row) => micros(trace.start[row] ?? 0)],
  ["Duration", (trace, row) => micros(trace.length[row] ?? 0)],
  ["Self", (trace, row) => micros(trace.self[row] ?? 0)],
];

function FigureCell(props: { readonly time: Micros | undefined }) {
  const { time } = props;
  if (time === undefined) return <td className="num faint">–</td>;
  return (
    <td className="num" title={exactDuration(time)}>
      {duration(time)}
    </td>
  );
}

function SpanCell(props: { readonly trace: TraceColumns; readonly row: number }) {
  const { trace, row } = props;
  if (row < 0) return <td className="num faint">–</td>;
  const id = spanIdOf(trace, row);
  return (
    <td className="num">
      <Link className="mono" href={`/trace/${trace.traceId}?uiFind=${id}`}>
        {id.slice(0, 7)}
      </Link>
    </td>
  );
}

function Attributes(props: { readonly read: Read }) {
  const { a, b } = props.read;
  const own = useMemo(
    () => attributePairs(a ? ownAttributes(a) : [], b ? ownAttributes(b) : []),
    [a, b],
  );
  const resource = useMemo(() => attributePairs(a?.resource ?? [], b?.resource ?? []), [a, b]);
  return (
    <>
      <PairTable title="Attributes" pairs={own} />
      <PairTable title="Resource" pairs={resource} />
    </>
  );
}

/** What differs, and what is the same folded below it. */
function PairTable(props: { readonly title: string; readonly pairs: readonly AttributePair[] }) {
  const { title, pairs } = props;
  const [params, put] = useUrlState();
  const isWhole = params.get("same") === "1";
  const different = pairs.filter((pair) => !pair.isSame);
  const shown = isWhole ? pairs : different;
  const same = pairs.length - different.length;
  if (pairs.length === 0) return null;
  return (
    <section className="pair-attributes">
      <h3>
        {title}{" "}
        <span className="faint">
          {different.length === 0 ? "all the same" : `${count(different.length)} differ`}
        </span>
      </h3>
      {shown.length > 0 && (
        <table className="table">
          <TableHead columns={["Key", "A", "B"]} />
          <tbody>
            {shown.map(({ key, left, right, isSame }) => (
              <tr key={key} data-same={isSame}>
                <th scope="row">{key}</th>
                <td>{left ?? <span className="faint">–</span>}</td>
                <td>{right ?? <span className="faint">–</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {same > 0 && (
        <button
          type="button"
          className="button quiet small"
          aria-expanded={isWhole}
          onClick={() => put({ same: isWhole ? undefined : "1" })}
        >
          {isWhole ? "Differences only" : `Show ${count(same)} that are the same`}
        </button>
      )}
    </section>
  );
}
