// The scene of a trace's state and the settings.

import { useMemo } from "react";
import { ROW_HEIGHTS, useSettings } from "../state/settings";
import { useStore } from "../state/store";
import type { TraceView } from "../state/trace-view";
import type { Scene } from "../timeline/scene";

export function useScene(view: TraceView): Scene {
  const state = useStore(view.store);
  const settings = useSettings();
  return useMemo<Scene>(
    () => ({
      trace: view.trace,
      rows: state.rows,
      collapsed: state.collapsed,
      runs: state.onlyMatches || state.hidden !== null ? null : state.runs,
      colorOfService: view.colorOfService,
      window: state.window,
      criticalPath: settings.showCriticalPath ? state.criticalPath : null,
      events: state.events,
      // With nothing found there is nothing to stand out from.
      matches: state.matchCount > 0 ? state.matches : null,
      selected: state.selected,
      rowHeight: ROW_HEIGHTS[settings.density],
      gap: null,
      namesShare: settings.namesShare,
    }),
    [view, state, settings],
  );
}
