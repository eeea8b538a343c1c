// Traces out of files: Jaeger's JSON, which needs no server, or OTLP. Nothing is stored.

import { type DragEvent, type ReactNode, useEffect, useMemo, useState } from "react";
import { Failure, Loading } from "../../components/states";
import { useTrace } from "../../state/use-trace";
import { OpenTrace } from "../trace/page";
import "./file.css";

export function FilePage() {
  const [files, setFiles] = useState<readonly File[]>([]);
  const [at, setAt] = useState(0);
  const file = files[at];
  const open = (chosen: FileList | null) => {
    if (chosen === null || chosen.length === 0) return;
    setFiles([...chosen]);
    setAt(0);
  };
  const [isOver, setOver] = useState(false);
  useEffect(() => {
    document.title = `${file?.name ?? "Open a file"} · Skua`;
  }, [file]);
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    open(event.dataTransfer.files);
  };
  const zone = {
    onDragOver: (event: DragEvent) => {
      event.preventDefault();
      setOver(true);
    },
    onDragLeave: () => setOver(false),
    onDrop: drop,
  };
  return (
    <section className="file-page" data-over={isOver} aria-label="Traces of a file" {...zone}>
      {file === undefined ? (
        <Invitation onFiles={open} />
      ) : (
        <FileTrace
          key={at}
          file={file}
          choice={files.length > 1 && <FileChoice files={files} at={at} onChoose={setAt} />}
          onClose={() => setFiles([])}
        />
      )}
    </section>
  );
}

/** Which of several files is shown. */
function FileChoice(props: {
  readonly files: readonly File[];
  readonly at: number;
  readonly onChoose: (at: number) => void;
}) {
  return (
    <select
      className="input narrow"
      aria-label="File"
      value={props.at}
      onChange={(event) => props.onChoose(Number(event.target.value))}
    >
      {props.files.map((file, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: two files may have one name.
        <option key={index} value={index}>
          {file.name}
        </option>
      ))}
    </select>
  );
}

function Invitation(props: { readonly onFiles: (files: FileList | null) => void }) {
  return (
    <section className="state">
      <h1>Open a file</h1>
      <p>
        Drop files here, or choose some: JSON that Jaeger's UI or this one saved, or OTLP in JSON,
        one document or one a line. Nothing is stored.
      </p>
      <label className="button">
        Choose files
        <input
          type="file"
          multiple
          className="visually-hidden"
          accept=".json,.jsonl,.ndjson,application/json"
          onChange={(event) => props.onFiles(event.target.files)}
        />
      </label>
    </section>
  );
}

function FileTrace(props: {
  readonly file: File;
  /** A way to the other files. */
  readonly choice: ReactNode;
  readonly onClose: () => void;
}) {
  const { file } = props;
  const [index, setIndex] = useState(0);
  const [attempt, setAttempt] = useState(0);
  const origin = useMemo(() => ({ kind: "file", file, index }) as const, [file, index]);
  const state = useTrace(origin, attempt);
  const traces = state.is === "open" ? state.source.traces : 1;
  return (
    <>
      <div className="file-bar">
        {props.choice || <strong>{file.name}</strong>}
        {traces > 1 && (
          <>
            <span className="faint">
              trace {index + 1} of {traces}
            </span>
            <button
              type="button"
              className="button small"
              disabled={index === 0}
              onClick={() => setIndex(index - 1)}
            >
              Previous
            </button>
            <button
              type="button"
              className="button small"
              disabled={index + 1 >= traces}
              onClick={() => setIndex(index + 1)}
            >
              Next
            </button>
          </>
        )}
        <span className="spacer" />
        <button type="button" className="button small" onClick={props.onClose}>
          Another file
        </button>
      </div>
      {state.is === "loading" && <Loading what="the file" />}
      {state.is === "failed" && (
        <div className="page">
          <h1 className="visually-hidden">Open a file</h1>
          <Failure title="The file could not be read" error={state.error} />
        </div>
      )}
      {state.is === "open" && (
        <OpenTrace
          key={`${state.source.columns.traceId}.${index}`}
          source={state.source}
          onReload={() => setAttempt(attempt + 1)}
          isFile
        />
      )}
    </>
  );
}
