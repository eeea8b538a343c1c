// The trace as a program gets it: Jaeger's JSON, with and without repairs, and OTLP.

import { useEffect, useState } from "react";
import { getText } from "../../api/http";
import { traceJsonUrl, traceOtlpJsonUrl, traceOtlpUrl } from "../../api/trace-urls";
import { bytes, count } from "../../base/format";
import { Copy } from "../../components/copy";
import { Icon } from "../../components/icon";
import { Segmented } from "../../components/segmented";
import { Failure, Loading, Message } from "../../components/states";
import type { TraceView } from "../../state/trace-view";
import { useUrlChoice } from "../../state/url-state";

/** How many spans a node puts into one file. */
const JSON_SPANS_MAX = 100_000;
const PROTOBUF_SPANS_MAX = 250_000;
/** The text of a larger trace is for a program, not for a page. */
const SPANS_MAX = 20_000;
/** Characters of it that are shown. */
const SHOWN_MAX = 400_000;

const FORMS = { jaeger: "Jaeger", unadjusted: "Unadjusted", otlp: "OTLP" } as const;
type Form = keyof typeof FORMS;

const URLS: Readonly<Record<Form, (traceId: string) => string>> = {
  jaeger: traceJsonUrl,
  unadjusted: (traceId) => traceJsonUrl(traceId, { raw: true }),
  otlp: traceOtlpJsonUrl,
};

export function RawTrace(props: { readonly view: TraceView; readonly isFile: boolean }) {
  const { trace } = props.view;
  const [form, setForm] = useUrlChoice("form", FORMS);
  if (props.isFile) {
    return (
      <Message title="The file has it">
        <p>This trace is in the file that was opened, and nowhere else.</p>
      </Message>
    );
  }
  const url = URLS[form](trace.traceId);
  return (
    <section className="raw" aria-label="Raw">
      <div className="raw-bar">
        <Segmented label="Form" names={FORMS} value={form} onChoose={setForm} />
        <a className="button small" href={url} download={`${trace.traceId}.${form}.json`}>
          Save as JSON
        </a>
        <a
          className="button small"
          href={traceOtlpUrl(trace.traceId)}
          download={`${trace.traceId}.otlp.pb`}
        >
          Save as OTLP protobuf
        </a>
        <a className="button quiet small" href={url} target="_blank" rel="noreferrer">
          <Icon name="external" />
          Open
        </a>
      </div>
      {trace.count > SPANS_MAX ? (
        <p className="faint">
          The text of {count(trace.count)} spans is too long for a page; it can be saved.
          {trace.count > JSON_SPANS_MAX &&
            ` Of a trace this large JSON has the first ${count(JSON_SPANS_MAX)} spans, protobuf the
              first ${count(PROTOBUF_SPANS_MAX)}.`}
        </p>
      ) : (
        <RawText key={url} url={url} />
      )}
    </section>
  );
}

function RawText(props: { readonly url: string }) {
  const [answer, setAnswer] = useState<string | Error | undefined>();
  useEffect(() => {
    const controller = new AbortController();
    getText(props.url, controller.signal).then(
      ({ value }) => setAnswer(indented(value)),
      (error: unknown) => {
        if (!controller.signal.aborted) {
          setAnswer(error instanceof Error ? error : new Error(String(error)));
        }
      },
    );
    return () => controller.abort();
  }, [props.url]);
  if (answer === undefined) return <Loading what="the text" />;
  if (answer instanceof Error) return <Failure title="The text could not be read" error={answer} />;
  return (
    <div className="raw-text panel">
      <Copy label="Copy the text" text={answer} />
      {answer.length > SHOWN_MAX && (
        <p className="faint">
          The first {bytes(SHOWN_MAX)} of {bytes(answer.length)}; copied and saved is all of it.
        </p>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolled region needs the keyboard. */}
      <pre tabIndex={0}>{answer.slice(0, SHOWN_MAX)}</pre>
    </div>
  );
}

function indented(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
