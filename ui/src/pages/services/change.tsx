// How a row of figures stands against the window before.

import { duration, percent } from "../../base/format";
import { type RedRow, rateText } from "../../model/red";
import { changeText } from "../../model/red-change";
import type { RedEntry } from "../../model/red-order";

export function ChangeCell(props: {
  /** Undefined if they are not known. */
  readonly changes: RedEntry["changes"];
  readonly before: RedRow | undefined;
}) {
  const { changes, before } = props;
  if (changes === undefined) return <td className="faint">–</td>;
  if (changes === "new") {
    return (
      <td>
        <span className="badge">new</span>
      </td>
    );
  }
  const was =
    before === undefined
      ? ""
      : `Before: ${rateText(before.rate)}, ${percent(before.errorShare)} failed, p95 ${duration(before.p95)}`;
  return (
    <td title={was}>
      {changes.length === 0 ? (
        <span className="faint">steady</span>
      ) : (
        <span className="changes">
          {changes.map((change) => (
            <span key={change.name} className={change.isWorse ? "worse" : undefined}>
              {change.name} {changeText(change)}
            </span>
          ))}
        </span>
      )}
    </td>
  );
}
