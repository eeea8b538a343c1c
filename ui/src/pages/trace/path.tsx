// The critical path as a list: what the trace was waiting for, one stretch of time after another.

import { useMemo } from "react";
import { duration, percent, plural } from "../../base/format";
import { micros } from "../../base/time";
import { Icon } from "../../components/icon";
import { Service } from "../../components/service";
import { Loading, Message } from "../../components/states";
import { TableHead } from "../../components/table-head";
import { stretchesOf } from "../../model/path-list";
import { Flag, hasFlag, operationOf, serviceOf } from "../../model/trace";
import { useStore } from "../../state/store";
import type { TraceView } from "../../state/trace-view";

/** More rows than anyone reads; the longest are kept. */
const STRETCHES_MAX = 1_000;

export function PathList(props: { readonly view: TraceView }) {
  const { view } = props;
  const { trace } = view;
  const { criticalPath } = useStore(view.store);
  const all = useMemo(
    () => (criticalPath === null ? [] : stretchesOf(criticalPath)),
    [criticalPath],
  );
  const shown = useMemo(() => {
    if (all.length <= STRETCHES_MAX) return all;
    const least = [...all].sort((left, right) => right.length - left.length)[STRETCHES_MAX - 1];
    return all.filter((each) => each.length >= (least?.length ?? 0)).slice(0, STRETCHES_MAX);
  }, [all]);
  if (criticalPath === null) return <Loading what="the critical path" />;
  if (all.length === 0) {
    return (
      <Message title="No critical path">
        <p>No span of this trace lasted.</p>
      </Message>
    );
  }
  const most = shown.reduce((longest, each) => Math.max(longest, each.length), 1);
  return (
    <section className="statistics" aria-label="Critical path">
      <p className="faint">
        {plural(all.length, "stretch", "stretches")} of{" "}
        {plural(new Set(all.map(({ row }) => row)).size, "span")}
        {shown.length < all.length ? `, the longest ${shown.length} shown` : ""}
      </p>
      <div className="panel scrolled">
        <table className="table">
          <TableHead
            columns={[
              ["From", "num"],
              "Service and operation",
              ["Waited", "num"],
              ["Share", "num"],
            ]}
          />
          <tbody>
            {shown.map(({ row, start, length }) => (
              <tr key={`${row} ${start}`}>
                <td className="num mono">+{duration(start)}</td>
                <td>
                  <Service name={serviceOf(trace, row)} colors={view.colors} />{" "}
                  <button
                    type="button"
                    className="button quiet small link"
                    onClick={() => view.select(row)}
                  >
                    {hasFlag(trace, row, Flag.error) && <Icon name="error" />}
                    {operationOf(trace, row) || "(no name)"}
                  </button>
                </td>
                <td className="num">{duration(length)}</td>
                <td className="num with-meter">
                  {percent(trace.duration > 0 ? length / trace.duration : 0)}
                  <span className="meter">
                    <span style={{ width: `${micros((100 * length) / most)}%` }} />
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
