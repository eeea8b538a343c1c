// The flame graph by time, or by what called what.

import { useLocation, useSearch } from "wouter";
import { Flame } from "../../components/flame";
import { Minimap } from "../../components/minimap";
import type { TraceView } from "../../state/trace-view";
import { Icicle } from "./icicle";

const MODES = { time: "By time", self: "By self time", count: "By count" } as const;
type Mode = keyof typeof MODES;

export function FlameViews(props: { readonly view: TraceView; readonly hideMinimap: boolean }) {
  const { view } = props;
  const [mode, show] = useMode();
  return (
    <>
      {mode === "time" && !props.hideMinimap && <Minimap view={view} />}
      <div className="flame-modes">
        <fieldset className="segmented">
          <legend className="visually-hidden">Flame graph</legend>
          {(Object.keys(MODES) as Mode[]).map((each) => (
            <button
              key={each}
              type="button"
              aria-pressed={mode === each}
              onClick={() => show(each)}
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

/** Which one, in the URL. */
function useMode(): [Mode, (mode: Mode) => void] {
  const search = useSearch();
  const [path, navigate] = useLocation();
  const asked = new URLSearchParams(search).get("flame");
  const mode = (Object.keys(MODES) as Mode[]).find((each) => each === asked) ?? "time";
  const show = (next: Mode) => {
    const params = new URLSearchParams(window.location.search);
    if (next === "time") params.delete("flame");
    else params.set("flame", next);
    navigate(params.size === 0 ? path : `${path}?${params}`, { replace: true });
  };
  return [mode, show];
}
