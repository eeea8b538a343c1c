// What the keys of the trace page do, as the list of keys shows it.

import type { KeyList } from "../../components/help";

export const TRACE_KEYS: KeyList = [
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
  [["r"], "one row for many like spans, or every span"],
  [["Enter"], "to the details of the span, while the list or nothing has the focus"],
  [["1", "…", "8"], "timeline, flame graph, critical path, table, statistics, events, graph, raw"],
  [["y"], "copy a link to what is shown"],
  [["Esc"], "close the panel, clear the find"],
];
