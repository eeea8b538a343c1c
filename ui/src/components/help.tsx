// The list of keys: those of every page, and before them those of the page that is shown.

import { Fragment, useEffect, useRef } from "react";

export type KeyList = readonly (readonly [keys: readonly string[], does: string])[];

const EVERYWHERE: KeyList = [
  [["Ctrl+K"], "go to a trace, service, operation, condition or page"],
  [["g", "s"], "explore"],
  [["g", "v"], "services"],
  [["g", "d"], "map of dependencies"],
  [["g", "c"], "cluster"],
  [["g", "t"], "the trace that was open last"],
  [["/"], "the conditions, on the explore page"],
  [["."], "live traces on and off, on the explore page"],
  [["1", "2", "3"], "results as a list, a table or spans, on the explore page"],
  [["j", "k"], "next, previous row of the results; x ticks it for a comparison"],
  [["?"], "this list"],
];

export function HelpDialog(props: {
  /** What the keys of this page do. */
  readonly own: KeyList;
  readonly onClose: () => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={props.onClose} aria-labelledby="keys-title">
      <h2 id="keys-title">Keys</h2>
      {[props.own, EVERYWHERE].map((list) =>
        list.length === 0 ? null : (
          <dl className="keys" key={list === EVERYWHERE ? "all" : "own"}>
            {list.map(([keys, does]) => (
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
        ),
      )}
      <form method="dialog">
        <button type="submit" className="button">
          Close
        </button>
      </form>
    </dialog>
  );
}
