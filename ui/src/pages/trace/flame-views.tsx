// The flame graph by time, or by what called what.

import { Flame } from "../../components/flame";
import { Minimap } from "../../components/minimap";
import type { TraceView } from "../../state/trace-view";
import { useUrlState } from "../../state/url-state";
import { Icicle } from "./icicle";

const MODES = { time: "By time", self: "By self time", count: "By count" } as const;
type Mode = keyof typeof MODES;

export function FlameViews(props: { readonly view: TraceView; readonly hideMinimap: boolean }) {
  const { view } = props;
  const [params, put] = useUrlState();
  const modes = Object.keys(MODES) as Mode[];
  const mode = modes.find((each) => each === params.get("flame")) ?? "time";
  return (
    <>
      {mode === "time" && !props.hideMinimap && <Minimap view={view} />}
      <div className="flame-modes">
        <fieldset className="segmented">
          <legend className="visually-hidden">Flame graph</legend>
          {modes.map((each) => (
            <button
              key={each}
              type="button"
              aria-pressed={mode === each}
              onClick={() => put({ flame: each === "time" ? undefined : each })}
            >
              {MODES[each]}
            </button>
          ))}
        </fieldset>
      </div>
      {mode === "time" ? <Flame view={view} /> : <Icicle view={view} measure={mode} />}
    </>
  );
}
