// One look says whether the cluster is well: beside every page.

import { Link } from "wouter";
import { summarize } from "../../model/cluster";
import { useCluster } from "../../state/queries";

export function ClusterDot() {
  const cluster = useCluster();
  const health = cluster.error
    ? "failing"
    : cluster.data
      ? summarize(cluster.data.value).health
      : undefined;
  const nodes = cluster.data?.value.nodes.length ?? 0;
  const texts = {
    ok: nodes === 1 ? "1 node" : `${nodes} nodes`,
    degraded: "degraded",
    failing: cluster.error ? "no answer" : "failing",
  };
  return (
    <Link href="/cluster" className="cluster-dot" title="Cluster">
      <span className={`dot ${health ?? ""}`} />
      {health === undefined ? "…" : texts[health]}
    </Link>
  );
}
