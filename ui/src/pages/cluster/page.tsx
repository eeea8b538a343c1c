// The cluster: which nodes there are, where each shard is, what is behind. Read-only.

import { useEffect } from "react";
import {
  ago,
  bytes,
  count,
  duration,
  lasting,
  plural,
  shortCount,
  timestamp,
} from "../../base/format";
import { MICROS_PER_SECOND, micros, wallClock } from "../../base/time";
import { Sparkline } from "../../components/chart";
import { Icon } from "../../components/icon";
import { Failure, Loading } from "../../components/states";
import { TableHead } from "../../components/table-head";
import {
  type Alarm,
  CLOCK_NOTABLE,
  CLOCK_SAME,
  type Cluster,
  type ClusterNode,
  diskShare,
  LAG_NOTABLE,
  lagOf,
  leaderCount,
  replicaCount,
  type Summary,
  summarize,
  uiOf,
} from "../../model/cluster";
import { type DiskOutlook, diskOutlook, worstOutlook } from "../../model/disk-outlook";
import { useClusterEvents, useClusterHistory } from "../../state/cluster-events";
import { useCluster } from "../../state/queries";
import { useSettings } from "../../state/settings";
import { Agreed } from "./agreed";
import { AlarmList } from "./alarms";
import { EventList, Shards } from "./shards";
import "./cluster.css";

/** A disk as full as this is worth a look. */
const DISK_NOTABLE = 0.85;

export function ClusterPage() {
  const cluster = useCluster();
  useEffect(() => {
    document.title = "Cluster · Skua";
  }, []);
  const data = cluster.data?.value;
  return (
    <div className="page cluster-page">
      <div className="page-head">
        <h1>Cluster</h1>
        {data && <HealthBadge summary={summarize(data)} />}
      </div>
      {cluster.error && (
        <Failure
          title={data ? "What is below is no longer fresh" : "The cluster could not be read"}
          error={cluster.error}
          onRetry={() => cluster.refetch()}
        />
      )}
      {data ? <Content cluster={data} /> : !cluster.error && <Loading what="the cluster" />}
    </div>
  );
}

const HEALTH_NAMES = { ok: "All well", degraded: "Degraded", failing: "Failing" } as const;

function HealthBadge(props: { readonly summary: Summary }) {
  const { health } = props.summary;
  const look = health === "ok" ? "ok" : health === "degraded" ? "warn" : "error";
  return (
    <span className={`badge ${look}`}>
      <Icon name={health === "ok" ? "check" : "warning"} />
      {HEALTH_NAMES[health]}
    </span>
  );
}

function Content(props: { readonly cluster: Cluster }) {
  const { cluster } = props;
  const summary = summarize(cluster);
  return (
    <>
      {summary.findings.length > 0 && (
        <div className={summary.health === "failing" ? "banner error" : "banner"} role="status">
          <Icon name="warning" />
          <ul className="body">
            {summary.findings.map((finding) => (
              <li key={finding}>{finding}</li>
            ))}
          </ul>
        </div>
      )}
      <dl className="tiles">
        <Tile name="Nodes ready" value={`${summary.nodesReady} / ${cluster.nodes.length}`} />
        <Tile
          name="Shards with a leader"
          value={`${summary.shardsLed} / ${cluster.shards.length}`}
          beside={summary.shardsThin === 0 ? undefined : `${summary.shardsThin} lack a copy`}
        />
        <Tile
          name="Largest lag"
          value={count(summary.lagMax)}
          beside={summary.lagMax === 1 ? "entry" : "entries"}
        />
        <Room cluster={cluster} />
        <Kept cluster={cluster} oldest={summary.oldest} />
        <Incoming />
        <Asked cluster={cluster} />
        <Tile
          name="Query p99"
          value={summary.queryP99 === undefined ? "–" : duration(summary.queryP99)}
          title="Of the last queries that each node answered, where they take longest"
        />
        <Tile name="Spans" value={shortCount(summary.spans)} title={count(summary.spans)} />
        <Tile
          name="On disk, all replicas"
          value={bytes(summary.bytes)}
          beside={
            summary.bytesPerSpan === undefined
              ? undefined
              : `${Math.round(summary.bytesPerSpan)} B a span`
          }
        />
      </dl>
      <Alarms alarms={cluster.alarms} />
      <Nodes cluster={cluster} />
      <Shards cluster={cluster} />
      <Agreed cluster={cluster} />
      <Events />
    </>
  );
}

function Tile(props: {
  readonly name: string;
  readonly value: string;
  readonly beside?: string | undefined;
  readonly title?: string;
}) {
  return (
    <div className="panel" title={props.title}>
      <dt>{props.name}</dt>
      <dd>
        {props.value}
        {props.beside !== undefined && <span className="beside">{props.beside}</span>}
      </dd>
    </div>
  );
}

/** The mean of so many looks, or the number jumps with every batch. */
const RATE_LOOKS = 6;

/** What comes in, as far as the growth of the shards tells. */
function Incoming() {
  const { growth } = useClusterHistory();
  const mean = meanOf(growth);
  return (
    <div className="panel" title="From how the number of spans grows while this page looks">
      <dt>Spans a second</dt>
      <dd className="with-line">
        {mean === undefined ? "…" : shortCount(Math.round(mean))}
        {growth.length > 1 && <Sparkline values={growth} look="look-rate" />}
      </dd>
    </div>
  );
}

/** What is asked of all nodes, as far as they say. */
function Asked(props: { readonly cluster: Cluster }) {
  const { asked } = useClusterHistory();
  const looks = props.cluster.nodes.map(({ id }) => asked.get(id) ?? []);
  const length = Math.max(0, ...looks.map((each) => each.length));
  // Nodes are looked at together, so the last look of one is the last of all.
  const sums = Array.from({ length }, (_, index) => {
    const known = looks.flatMap((each) => each.at(index - length) ?? []);
    return known.length === 0 ? undefined : known.reduce((sum, each) => sum + each, 0);
  });
  const mean = meanOf(sums);
  return (
    <div className="panel" title="Searches, traces, figures and suggestions, on all nodes together">
      <dt>Queries a second</dt>
      <dd className="with-line">
        {mean === undefined ? "…" : rate(mean)}
        {sums.length > 1 && <Sparkline values={sums} look="look-rate" />}
      </dd>
    </div>
  );
}

/** Of the latest looks. */
function meanOf(values: readonly (number | undefined)[]): number | undefined {
  const known = values.slice(-RATE_LOOKS).filter((each) => each !== undefined);
  if (known.length === 0) return undefined;
  return known.reduce((sum, each) => sum + each, 0) / known.length;
}

/** Few queries are told apart from none. */
function rate(value: number): string {
  return value < 10 ? String(Math.round(10 * value) / 10) : shortCount(Math.round(value));
}

/** For how long spans stay, and since when there are some. */
function Kept(props: {
  readonly cluster: Cluster;
  readonly oldest: ReturnType<typeof summarize>["oldest"];
}) {
  const { retention } = props.cluster;
  const { zone } = useSettings();
  const { oldest } = props;
  return (
    <div
      className="panel"
      title={oldest === undefined ? undefined : `Oldest hour: ${timestamp(oldest, zone)}`}
    >
      <dt>Kept for</dt>
      <dd>
        {retention === undefined ? "–" : lasting(retention / MICROS_PER_SECOND)}
        <span className="beside">
          {oldest === undefined ? "nothing yet" : `oldest ${ago(oldest, wallClock())}`}
        </span>
      </dd>
    </div>
  );
}

/** For how long the fullest disk lasts. */
function Room(props: { readonly cluster: Cluster }) {
  const { nodes, retention } = props.cluster;
  const outlook = worstOutlook(nodes, retention, wallClock());
  return (
    <div className="panel" title={OUTLOOKS[outlook.kind]}>
      <dt>Disk lasts</dt>
      <dd data-short={isShort(outlook)}>{outlookText(outlook)}</dd>
    </div>
  );
}

const OUTLOOKS = {
  enough: "At the rate so far, everything fits for as long as it is to be kept",
  full: "At the rate so far, the fullest disk is full by then, and the oldest hours go early",
  unknown: "Told once data of two hours is there",
} as const;

function outlookText(outlook: DiskOutlook): string {
  if (outlook.kind === "full") {
    return outlook.after === 0 ? "full" : lasting(outlook.after / MICROS_PER_SECOND);
  }
  return outlook.kind === "enough" ? "long enough" : "–";
}

/** Full so soon is worth a look. */
const SHORT = 2 * 86_400 * MICROS_PER_SECOND;

function isShort(outlook: DiskOutlook): boolean {
  return outlook.kind === "full" && outlook.after < SHORT;
}

/** What the cluster itself says is wrong; nothing while all is well. */
function Alarms(props: { readonly alarms: readonly Alarm[] }) {
  if (props.alarms.length === 0) return null;
  return (
    <section>
      <h2>
        Alarms <span className="faint">{props.alarms.length}</span>
      </h2>
      <AlarmList alarms={props.alarms} isPanel />
    </section>
  );
}

function Nodes(props: { readonly cluster: Cluster }) {
  const { cluster } = props;
  const hasZones = cluster.nodes.some(({ zone }) => zone !== "");
  return (
    <section>
      <h2>Nodes</h2>
      <div className="panel scrolled">
        <table className="table">
          <TableHead
            columns={[
              "Node",
              "State",
              "Address",
              hasZones ? "Zone" : undefined,
              "Version",
              ["Up for", "num"],
              ["CPU", "num"],
              ["Memory", "num"],
              ["Spans/s", "num"],
              ["Queries/s", "num"],
              ["Clock", "num"],
              ["Leads", "num"],
              ["Behind", "num"],
              ["Disk used", "num"],
              ["Lasts", "num"],
            ]}
          />
          <tbody>
            {cluster.nodes.map((node) => (
              <tr key={node.id}>
                <td title={node.id}>
                  <strong>{node.name}</strong>{" "}
                  <span className="faint mono">{node.id.slice(0, 8)}</span>
                </td>
                <td>
                  <NodeState node={node} />
                </td>
                <td className="mono">
                  <Address cluster={cluster} node={node} />
                </td>
                {hasZones && <td>{node.zone || "–"}</td>}
                <td className="mono">{node.version || "–"}</td>
                <ProcessCells node={node} />
                <td className="num">
                  <TakenBy node={node} />
                </td>
                <td className="num">
                  <AskedOf node={node} />
                </td>
                <td className="num">
                  <ClockAhead node={node} />
                </td>
                <td className="num" title="Of the shards that it has a copy of">
                  {leaderCount(cluster, node.id)} of {replicaCount(cluster, node.id)}
                </td>
                <td className="num">
                  <Behind node={node} entries={lagOf(cluster, node.id)} />
                </td>
                <td className="num">{node.state === "down" ? "–" : <Disk node={node} />}</td>
                <td className="num">
                  <Lasts node={node} retention={cluster.retention} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** Each node serves this page, and each has its own view of the others. */
function Address(props: { readonly cluster: Cluster; readonly node: ClusterNode }) {
  const { cluster, node } = props;
  const ui = uiOf(cluster, node, window.location.protocol);
  if (ui === undefined) return node.address;
  const { host } = new URL(ui);
  if (host === window.location.host) {
    return (
      <>
        {host} <span className="badge">this page</span>
      </>
    );
  }
  return (
    <a href={`${ui}cluster`} title={`As ${node.name} sees it`}>
      {host}
    </a>
  );
}

/** What the node's process takes of its machine. */
function ProcessCells(props: { readonly node: ClusterNode }) {
  const { id, process } = props.node;
  const looks = useClusterHistory().busy.get(id) ?? [];
  if (process === undefined) {
    return ["up", "cpu", "memory"].map((each) => (
      <td key={each} className="num faint">
        –
      </td>
    ));
  }
  const busy = looks.at(-1);
  return (
    <>
      <td className="num">{lasting(process.uptimeSeconds)}</td>
      <td className="num" title="Of one processor; 200% are two">
        <span className="with-line">
          {looks.length > 2 && <Sparkline values={looks} look="look-rate" isShort />}
          {busy === undefined ? "–" : `${Math.round(100 * busy)}%`}
        </span>
      </td>
      <td className="num">{bytes(process.residentBytes)}</td>
    </>
  );
}

/** What clients sent to this node. */
function TakenBy(props: { readonly node: ClusterNode }) {
  const { id, spansTaken } = props.node;
  const looks = useClusterHistory().taken.get(id) ?? [];
  const mean = meanOf(looks);
  if (spansTaken === undefined || mean === undefined) return <span className="faint">–</span>;
  return (
    <span className="with-line" title="What clients sent to this node">
      {looks.length > 2 && <Sparkline values={looks} look="look-rate" isShort />}
      {rate(mean)}
    </span>
  );
}

/** What this node is asked. */
function AskedOf(props: { readonly node: ClusterNode }) {
  const { id, queries } = props.node;
  const looks = useClusterHistory().asked.get(id) ?? [];
  const mean = meanOf(looks);
  if (queries === undefined || mean === undefined) return <span className="faint">–</span>;
  const title = queries.p99 === undefined ? undefined : `p99 ${duration(queries.p99)}`;
  return (
    <span className="with-line" title={title}>
      {looks.length > 2 && <Sparkline values={looks} look="look-rate" isShort />}
      {rate(mean)}
    </span>
  );
}

/** For how long its disk takes what comes. */
function Lasts(props: { readonly node: ClusterNode; readonly retention: Cluster["retention"] }) {
  const outlook = diskOutlook(props.node, props.retention, wallClock());
  const text = outlookText(outlook);
  if (isShort(outlook)) {
    return (
      <span className="badge warn" title={OUTLOOKS.full}>
        {text}
      </span>
    );
  }
  return (
    <span className={outlook.kind === "full" ? "" : "faint"} title={OUTLOOKS[outlook.kind]}>
      {text}
    </span>
  );
}

/** By how much its clock differs from that of the node that serves this page. */
function ClockAhead(props: { readonly node: ClusterNode }) {
  const { clockAhead: ahead } = props.node;
  if (ahead === undefined) return <span className="faint">–</span>;
  const by = Math.abs(ahead);
  if (by < CLOCK_SAME) return <span title={`${duration(micros(by))} apart`}>same</span>;
  const text = `${ahead > 0 ? "+" : "−"}${duration(micros(by))}`;
  return by < CLOCK_NOTABLE ? text : <span className="badge warn">{text}</span>;
}

/** How far behind now, and how that went while the page was looking. */
function Behind(props: { readonly node: ClusterNode; readonly entries: number | undefined }) {
  const { node, entries } = props;
  const looks = useClusterHistory().lag.get(node.id) ?? [];
  const hasLagged = looks.some((each) => each !== undefined && each > 0);
  if (entries === undefined) return <span className="faint">not known</span>;
  const text = count(entries);
  return (
    <span className="with-line" title={plural(entries, "entry", "entries")}>
      {hasLagged && looks.length > 1 && <Sparkline values={looks} look="look-error" isShort />}
      {entries === 0 ? (
        <span className="faint">–</span>
      ) : entries >= LAG_NOTABLE ? (
        <span className="badge warn">{text}</span>
      ) : (
        text
      )}
    </span>
  );
}

/** The bar is of the whole disk. */
function Disk(props: { readonly node: ClusterNode }) {
  const { node } = props;
  const share = diskShare(node);
  if (share === undefined) return bytes(node.diskUsedBytes);
  return (
    <span
      className="disk"
      title={`${bytes(node.diskUsedBytes)} of ${bytes(node.diskUsedBytes + node.diskFreeBytes)}, ${bytes(node.diskFreeBytes)} free${
        node.dataBytesMax === undefined ? "" : `; data may take ${bytes(node.dataBytesMax)}`
      }`}
    >
      <span className="meter" data-full={share >= DISK_NOTABLE}>
        <span style={{ width: `${Math.max(100 * share, 1)}%` }} />
      </span>
      <span>{bytes(node.diskUsedBytes)}</span>
    </span>
  );
}

/** What the nodes say happened, and what this browser saw beside it. */
function Events() {
  const events = useClusterEvents();
  return (
    <section>
      <h2>Events</h2>
      {events.length === 0 ? (
        <p className="faint">
          Nothing has happened that a node which answers saw since it was started.
        </p>
      ) : (
        <EventList events={events} />
      )}
    </section>
  );
}

function NodeState(props: { readonly node: ClusterNode }) {
  const { state, down } = props.node;
  const { zone } = useSettings();
  const look = state === "ready" ? "ok" : state === "down" ? "error" : "warn";
  const title = down === undefined ? undefined : `Since ${timestamp(down.since, zone)}`;
  return (
    <span className={`badge ${look}`} title={title}>
      {state === "down"
        ? `no answer${down === undefined ? "" : ` for ${lasting(down.seconds)}`}`
        : state}
    </span>
  );
}
