// The list of keys.

import { Fragment, useEffect, useRef } from "react";

const KEYS: readonly (readonly [keys: readonly string[], does: string])[] = [
  [["/", "Ctrl+B"], "find in the trace"],
  [["n", "N"], "next, previous match"],
  [["e", "E"], "next, previous error"],
  [["j", "k"], "next, previous span"],
  [["s", "w"], "scroll down, up"],
  [["a", "d"], "move left, right in time (Shift: faster)"],
  [["↑", "↓"], "zoom in, out; rows while the list has the focus"],
  [["z"], "zoom to the selected span"],
  [["0"], "the whole trace"],
  [["[", "]"], "expand all, collapse all"],
  [["o", "p"], "expand, collapse one level"],
  [["c"], "critical path"],
  [["1", "…", "6"], "timeline, flame graph, table, statistics, events, graph"],
  [["y"], "copy a link to what is shown"],
  [["Esc"], "close the panel, clear the find"],
];

export function HelpDialog(props: { readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={props.onClose} aria-labelledby="keys-title">
      <h2 id="keys-title">Keys</h2>
      <dl className="keys">
        {KEYS.map(([keys, does]) => (
          <Fragment key={does}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </Fragment>
        ))}
      </dl>
      <form method="dialog">
        <button type="submit" className="button">
          Close
        </button>
      </form>
    </dialog>
  );
}
