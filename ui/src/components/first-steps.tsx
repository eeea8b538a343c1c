// What to do before an empty node.

import { Copy } from "./copy";
import { Message } from "./states";

function Command(props: { readonly text: string }) {
  return (
    <div className="command">
      <code>{props.text}</code>
      <Copy label="Copy the command" text={props.text} />
    </div>
  );
}

const OTLP_PORT = 4317;

/** The line that fills the node at a host; without an address it goes to this machine's. */
function loadCommand(host: string): string {
  const isHere = host === "127.0.0.1" || host === "localhost";
  const to = isHere ? "" : ` --to ${host}:${OTLP_PORT}`;
  return `target/release/skua load bench/data/hipster-20k.pb.zst --shift-to-now${to}`;
}

/** How to get first traces into an empty node. */
export function FirstSteps() {
  return (
    <Message title="No traces yet">
      <p>
        This node has not received a span. Load the recorded traces that come with the source, in
        its folder, where <code>make run</code> built this; they are moved in time so that they end
        now:
      </p>
      <Command text={loadCommand(location.hostname)} />
      <p>Or let your own services send OpenTelemetry traces to this node:</p>
      <Command text={`OTEL_EXPORTER_OTLP_ENDPOINT=http://${location.hostname}:${OTLP_PORT}`} />
    </Message>
  );
}
