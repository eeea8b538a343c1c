// The flame graph by time, or by what called what.

import { Flame } from "../../components/flame";
import { Minimap } from "../../components/minimap";
import { Segmented } from "../../components/segmented";
import type { TraceView } from "../../state/trace-view";
import { useUrlChoice } from "../../state/url-state";
import { Icicle } from "./icicle";

const MODES = { time: "By time", self: "By self time", count: "By count" } as const;

export function FlameViews(props: { readonly view: TraceView; readonly hideMinimap: boolean }) {
  const { view } = props;
  const [mode, setMode] = useUrlChoice("flame", MODES);
  return (
    <>
      {mode === "time" && !props.hideMinimap && <Minimap view={view} />}
      <div className="flame-modes">
        <Segmented label="Flame graph" names={MODES} value={mode} onChoose={setMode} />
      </div>
      {mode === "time" ? <Flame view={view} /> : <Icicle view={view} measure={mode} />}
    </>
  );
}
