// What the cluster says is wrong, and for how long: of everything, and of one shard.

import { lasting } from "../../base/format";
import type { Alarm } from "../../model/cluster";

/** Nothing while all is well. */
export function AlarmList(props: {
  readonly alarms: readonly Alarm[];
  /** It stands on the page, not in something that has a border. */
  readonly isPanel?: boolean;
}) {
  if (props.alarms.length === 0) return null;
  return (
    <ul className={props.isPanel ? "panel alarms" : "alarms"}>
      {props.alarms.map((alarm) => (
        <li key={`${alarm.kind} ${alarm.shard ?? alarm.text}`}>
          <span className="badge warn mono">{alarm.kind}</span>
          <span className="text">{alarm.text}</span>
          <span className="faint num">
            {alarm.seconds > 0 ? `for ${lasting(alarm.seconds)}` : "now"}
          </span>
        </li>
      ))}
    </ul>
  );
}
