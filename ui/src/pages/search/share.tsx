// A search in other forms: a link that moves with the clock or stands still, a command, a file.

import { searchCommand } from "../../api/search";
import { Copy } from "../../components/copy";
import { Menu } from "../../components/menu";
import { printSearch, type SearchQuery, type TimeSpan } from "../../model/search-query";
import type { TraceSummary } from "../../model/summary";
import { useDownload } from "../../state/download";
import { SAVED_MAX, SaveTraces } from "./save";

export function ShareMenu(props: {
  readonly query: SearchQuery;
  readonly window: TimeSpan;
  readonly traces: readonly TraceSummary[];
  /** How the results are shown, as parameters of the address. */
  readonly look: readonly (readonly [name: string, value: string])[];
}) {
  const { query, window, traces } = props;
  const isMoving = query.window.kind === "lookback" && query.traceIds.length === 0;
  const linkTo = (of: SearchQuery) => {
    const params = printSearch(of);
    for (const [name, value] of props.look) params.append(name, value);
    return new URL(`search?${params}`, document.baseURI).href;
  };
  const fixed: SearchQuery = { ...query, window: { kind: "range", ...window } };
  const ids = traces.slice(0, SAVED_MAX).map(({ traceId }) => traceId);
  const [state, download] = useDownload();
  return (
    <Menu icon="link" label="Share" title="Links, commands and files of this search">
      {() => (
        <ul className="share">
          <li>
            <span>{isMoving ? "Link to this search, moving with the clock" : "Link"}</span>
            <Copy label="Copy the link" text={() => linkTo(query)} />
          </li>
          {isMoving && (
            <li>
              <span>Link to exactly this time</span>
              <Copy label="Copy the link to this time" text={() => linkTo(fixed)} />
            </li>
          )}
          {query.traceIds.length === 0 && (
            <li>
              <span>Command for a terminal (curl)</span>
              <Copy label="Copy the command" text={() => searchCommand(query, window)} />
            </li>
          )}
          {ids.length > 0 && (
            <SaveTraces traceIds={ids} listed={traces.length} download={download} state={state} />
          )}
        </ul>
      )}
    </Menu>
  );
}
