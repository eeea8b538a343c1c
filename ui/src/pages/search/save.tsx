// The traces of a search as a file: which form, how far it is, what the file lacks.

import { plural } from "../../base/format";
import { Icon } from "../../components/icon";
import { type FileForm, gapsOf } from "../../model/trace-file";
import { type Download, type DownloadState, saveFile } from "../../state/download";

/** More take a browser long; a narrower search, or the next page of it, has the others. */
export const SAVED_MAX = 200;

const FORMS: readonly (readonly [FileForm, string])[] = [
  ["jaeger", "Jaeger JSON"],
  ["otlp", "OTLP JSON"],
];

export function SaveTraces(props: {
  readonly traceIds: readonly string[];
  /** How many are listed, of which the first can be saved. */
  readonly listed: number;
  readonly download: Download;
  readonly state: DownloadState;
}) {
  const { traceIds, listed, download } = props;
  const { progress, saved } = props.state;
  const what = traceIds.length === 1 ? "the trace" : `${traceIds.length} traces`;
  return (
    <li className="save">
      <span>
        Save {traceIds.length < listed ? `the first ${what}` : what}
        {progress === undefined ? " as" : ""}
      </span>
      {progress === undefined ? (
        <span className="row">
          {FORMS.map(([form, name]) => (
            <button
              key={form}
              type="button"
              className="button small"
              onClick={() =>
                void download.start(form, traceIds, (parts) =>
                  saveFile(`traces.${form}.json`, parts),
                )
              }
            >
              {name}
            </button>
          ))}
        </span>
      ) : (
        <span className="row">
          <progress
            className="search-progress"
            aria-label="Traces that are read"
            max={progress.all}
            value={progress.done}
          />
          <span className="num">
            {progress.done} of {progress.all}
          </span>
          <button type="button" className="button small" onClick={() => download.stop()}>
            Stop
          </button>
        </span>
      )}
      {saved !== undefined && (
        <p className={gapsOf(saved).length > 0 ? "gaps" : "faint"} role="status">
          {gapsOf(saved).length > 0 && <Icon name="warning" />}
          <span>
            {saved.written === 0
              ? "Nothing to save. "
              : `Saved ${saved.written} of ${plural(saved.asked, "trace")}. `}
            {gapsOf(saved).join(" ")}
          </span>
        </p>
      )}
    </li>
  );
}
