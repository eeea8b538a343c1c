// One attribute out of all that the trace has, and its values.

import { useEffect, useState } from "react";
import type { AttributeColumn } from "../../model/attribute-column";
import type { TraceView } from "../../state/trace-view";

/** The keys are asked for once somebody is about to choose one. */
export function AttributeChoice(props: {
  readonly view: TraceView;
  readonly label: string;
  readonly value: string;
  readonly onChoose: (key: string) => void;
}) {
  const { view, value } = props;
  const [isWanted, setWanted] = useState(false);
  const [keys, setKeys] = useState<readonly string[]>([]);
  useEffect(() => {
    if (!isWanted || !view.source.hasDetails) return;
    let isCurrent = true;
    view.source.keys().then(
      (found) => {
        if (isCurrent) setKeys(found ?? []);
      },
      () => undefined,
    );
    return () => {
      isCurrent = false;
    };
  }, [view, isWanted]);
  // Of a trace too large for its JSON the attributes of all spans cannot be had.
  if (!view.source.hasDetails) return null;
  const shown = value === "" || keys.includes(value) ? keys : [value, ...keys];
  return (
    <select
      className="input narrow attribute-choice"
      aria-label={props.label}
      value={value}
      onFocus={() => setWanted(true)}
      onPointerDown={() => setWanted(true)}
      onChange={(event) => props.onChoose(event.target.value)}
    >
      <option value="">{isWanted && keys.length === 0 ? "Looking …" : `${props.label} …`}</option>
      {shown.map((key) => (
        <option key={key} value={key}>
          {key}
        </option>
      ))}
    </select>
  );
}

/** The values of a key; undefined without one and until they are there. */
export function useAttribute(view: TraceView, key: string): AttributeColumn | undefined {
  const [found, setFound] = useState<{ key: string; column: AttributeColumn } | undefined>();
  useEffect(() => {
    if (key === "") return;
    let isCurrent = true;
    view.source.attribute(key).then(
      (column) => {
        if (isCurrent && column !== undefined) setFound({ key, column });
      },
      () => undefined,
    );
    return () => {
      isCurrent = false;
    };
  }, [view, key]);
  return found?.key === key ? found.column : undefined;
}
