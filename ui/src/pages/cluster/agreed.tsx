// What all nodes of the cluster have agreed on: the ring that leads traces to shards, and the
// sampling strategies that clients get.

import { bytes, plural } from "../../base/format";
import { type Cluster, type EpochState, routingEpoch } from "../../model/cluster";

const EPOCH_STATES: Readonly<Record<EpochState, string>> = {
  preparing: "Its new shards are being made",
  fencing: "Older shards are being told to refuse what was routed before it",
  active: "New spans are routed by the latest that is active",
  unknown: "A state that this page does not know",
};

export function Agreed(props: { readonly cluster: Cluster }) {
  const { epochs, sampling } = props.cluster;
  // A node of another version says nothing of it.
  if (epochs.length === 0 && sampling === undefined) return null;
  const routing = routingEpoch(epochs);
  return (
    <section>
      <h2>Ring and sampling</h2>
      <dl className="panel agreed">
        <dt>Ring</dt>
        <dd>
          <ol>
            {epochs.map((epoch) => (
              <li key={epoch.id}>
                <strong>epoch {epoch.id}</strong> {plural(epoch.shards, "shard")}{" "}
                <span
                  className={epoch.state === "active" ? "faint" : "badge warn"}
                  title={EPOCH_STATES[epoch.state]}
                >
                  {epoch === routing
                    ? "routes new spans"
                    : epoch.state === "active"
                      ? "before"
                      : epoch.state}
                </span>
              </li>
            ))}
          </ol>
        </dd>
        <dt>Sampling</dt>
        <dd>
          {sampling === undefined ? (
            <span className="faint">No strategies are set: clients keep to their own</span>
          ) : (
            <span title={`Digest ${sampling.digest}`}>
              <span className="mono">{sampling.digest.slice(0, 12)}</span> {bytes(sampling.bytes)}
              {sampling.revision > 0 && (
                <span className="faint"> since change {sampling.revision} of the cluster</span>
              )}
            </span>
          )}
        </dd>
      </dl>
    </section>
  );
}
