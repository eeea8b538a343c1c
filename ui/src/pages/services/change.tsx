// How a row of figures stands against the window before.

import { duration, percent } from "../../base/format";
import { type RedRow, rateText } from "../../model/red";
import { changesOf, changeText } from "../../model/red-change";

export function ChangeCell(props: {
  readonly row: RedRow | undefined;
  readonly before: RedRow | undefined;
  /** The window before has been looked at. */
  readonly isKnown: boolean;
}) {
  const { row, before } = props;
  if (row === undefined || !props.isKnown) return <td className="faint">–</td>;
  const changes = changesOf(row, before);
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
