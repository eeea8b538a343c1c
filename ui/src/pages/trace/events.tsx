// All events of the trace within the window of time, in order of time.

import { useEffect, useMemo, useState } from "react";
import { plural } from "../../base/format";
import { Service } from "../../components/service";
import { Loading, Message } from "../../components/states";
import { TableHead } from "../../components/table-head";
import type { SpanDetails, SpanEvent } from "../../model/details";
import { Flag, hasFlag } from "../../model/trace";
import { useStore } from "../../state/store";
import type { TraceView } from "../../state/trace-view";
import { eventOffset, eventSummary } from "./detail";

/** More rows than anyone reads; a narrower window shows the others. */
const EVENTS_MAX = 2_000;

interface Entry {
  readonly row: number;
  readonly span: SpanDetails;
  readonly event: SpanEvent;
}

export function EventList(props: { readonly view: TraceView }) {
  const { view } = props;
  const { window } = useStore(view.store);
  const all = useEvents(view);
  const shown = useMemo(() => {
    const { origin } = view.trace;
    return all?.filter(({ event }) => {
      const at = event.time - origin;
      return at >= window.start && at <= window.end;
    });
  }, [all, window, view]);
  if (shown === undefined) return <Loading what="events" />;
  if (shown.length === 0) {
    return (
      <Message title="No events">
        <p>
          {all?.length === 0
            ? "No span of this trace carries an event."
            : "No event happened in the stretch of time that is zoomed to."}
        </p>
      </Message>
    );
  }
  return (
    <section className="event-list" aria-label="Events">
      <p className="faint">
        {plural(shown.length, "event")}
        {shown.length > EVENTS_MAX ? `, the first ${EVENTS_MAX} shown` : ""}
      </p>
      <div className="panel scrolled">
        <table className="table">
          <TableHead columns={[["Time", "num"], "Service", "Event", "Attributes"]} />
          <tbody>
            {shown.slice(0, EVENTS_MAX).map(({ row, span, event }, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: events have no other identity.
              <tr key={index}>
                <td className="num mono">{eventOffset(view, event)}</td>
                <td>
                  <Service name={span.service} colors={view.colors} />
                </td>
                <td>
                  <button
                    type="button"
                    className="button quiet small link"
                    onClick={() => view.select(row)}
                  >
                    {event.name}
                  </button>
                </td>
                <td className="event-attributes mono">{eventSummary(event)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function useEvents(view: TraceView): readonly Entry[] | undefined {
  const [events, setEvents] = useState<readonly Entry[] | undefined>();
  useEffect(() => {
    let isCurrent = true;
    const rows: number[] = [];
    for (let row = 0; row < view.trace.count; row += 1) {
      if (hasFlag(view.trace, row, Flag.events)) rows.push(row);
    }
    view.source.details(rows).then(
      (spans) => {
        if (!isCurrent) return;
        const entries = spans.flatMap((span, index) =>
          span.events.map((event) => ({ row: rows[index] ?? -1, span, event })),
        );
        setEvents(entries.sort((left, right) => left.event.time - right.event.time));
      },
      () => setEvents([]),
    );
    return () => {
      isCurrent = false;
    };
  }, [view]);
  return events;
}
