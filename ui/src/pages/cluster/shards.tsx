// Where every shard has its copies, and what happened to one of them: as far as this browser saw it,
// and as the nodes and alarms tell of before. The cluster keeps no record of elections and moves.

import { Fragment, useState } from "react";
import { bytes, clock, count, day, plural, shortCount, timestamp } from "../../base/format";
import { wallClock } from "../../base/time";
import { Sparkline } from "../../components/chart";
import { TableHead } from "../../components/table-head";
import {
  type Agreement,
  agreementOf,
  type Cluster,
  changesOf,
  LAG_NOTABLE,
  type Replica,
  type Shard,
} from "../../model/cluster";
import { type ClusterEvent, useClusterEvents, useClusterHistory } from "../../state/cluster-events";
import { useDigests } from "../../state/queries";
import { useSettings } from "../../state/settings";
import { useUrlState } from "../../state/url-state";
import { AlarmList } from "./alarms";

/** Rows are shards and columns nodes: where every replica is, at a glance. */
export function Shards(props: { readonly cluster: Cluster }) {
  const { cluster } = props;
  const { nodes, shards } = cluster;
  const [params, put] = useUrlState();
  const open = shards.find(({ id }) => String(id) === params.get("shard"));
  const toggle = ({ id }: Shard) => put({ shard: open?.id === id ? undefined : String(id) });
  const [attempt, setAttempt] = useState(0);
  const isReplicated = shards.some(({ replicas }) => replicas.length > 1);
  const largest = Math.max(
    1,
    ...shards.flatMap((shard) => shard.replicas.map((each) => each.bytes)),
  );
  return (
    <section>
      <h2>Shards</h2>
      <div className="panel scrolled">
        <table className="table shards">
          <thead>
            <tr>
              <th scope="col" className="num">
                Shard
              </th>
              <th scope="col" className="num">
                Epoch
              </th>
              {nodes.map((node) => (
                <th scope="col" key={node.id}>
                  {node.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shards.map((shard) => (
              <Fragment key={shard.id}>
                <tr className="shard" data-open={open === shard} onClick={() => toggle(shard)}>
                  <td className="num mono">
                    <button
                      type="button"
                      className="button quiet small"
                      aria-expanded={open === shard}
                      aria-label={`History of shard ${shard.id}`}
                      title="What happened to it"
                    >
                      <span aria-hidden="true">{open === shard ? "▾" : "▸"}</span> {shard.id}
                    </button>
                  </td>
                  <td className="num mono">{shard.epoch}</td>
                  {nodes.map((node) => (
                    <ReplicaCell
                      key={node.id}
                      shard={shard}
                      replica={shard.replicas.find((each) => each.node === node.id)}
                      largest={largest}
                    />
                  ))}
                </tr>
                {open === shard && (
                  <tr>
                    <td className="shard-history" colSpan={nodes.length + 2}>
                      <ShardHistory cluster={cluster} shard={shard} />
                    </td>
                  </tr>
                )}
              </Fragment>
            ))}
          </tbody>
        </table>
      </div>
      <p className="legend faint">
        <span className="role leader" /> leader <span className="role follower" /> follower{" "}
        <span className="role lagging" /> lagging <span className="role missing" /> not there or no
        answer
      </p>
      {isReplicated && <Copies attempt={attempt} onAsk={() => setAttempt(attempt + 1)} />}
    </section>
  );
}

/** Do the copies of each shard hold the same? Told when somebody asks. */
function Copies(props: { readonly attempt: number; readonly onAsk: () => void }) {
  const [done, setDone] = useState("");
  const { data, error, isFetching } = useDigests(props.attempt, (shards, of) =>
    setDone(`${shards} of ${plural(of, "shard")} compared`),
  );
  return (
    <div className="row copies-alike">
      <button
        type="button"
        className="button small"
        disabled={isFetching}
        title="Reads everything that is stored, on all nodes"
        onClick={props.onAsk}
      >
        {isFetching ? "Comparing …" : "Compare the copies"}
      </button>
      <span role="status">
        {error !== undefined ? (
          `They could not be compared: ${error.message}`
        ) : isFetching ? (
          <span className="faint">{done}</span>
        ) : data === undefined ? (
          <span className="faint">Whether all copies of a shard hold the same spans</span>
        ) : (
          <Agreements shards={data} />
        )}
      </span>
    </div>
  );
}

function Agreements(props: { readonly shards: readonly Shard[] }) {
  const of = (wanted: Agreement) =>
    props.shards.filter((shard) => agreementOf(shard) === wanted).map(({ id }) => id);
  const [alike, different, unread] = [of("alike"), of("different"), of("unread")];
  const named = (ids: readonly number[]) => `shard${ids.length === 1 ? "" : "s"} ${ids.join(", ")}`;
  return (
    <>
      {different.length > 0 && (
        <>
          <span className="badge error">copies of {named(different)} differ</span>{" "}
        </>
      )}
      {alike.length > 0 && `${plural(alike.length, "shard")}: all copies hold the same spans. `}
      {unread.length > 0 && `Of ${named(unread)} not every copy could be read: ask again.`}
    </>
  );
}

const GONE = {
  unreachable: ["no answer", "Its node does not answer"],
  absent: ["not there yet", "Its node answers and does not have it yet"],
} as const;

function ReplicaCell(props: {
  readonly shard: Shard;
  readonly replica: Replica | undefined;
  readonly largest: number;
}) {
  const { shard, replica } = props;
  if (replica === undefined) return <td className="faint">–</td>;
  if (replica.state !== "present") {
    const [text, title] = GONE[replica.state];
    return (
      <td title={title}>
        <span className="replica">
          <span className="role missing" />
          <span className="badge warn">{text}</span>
        </span>
      </td>
    );
  }
  const isLeader = shard.leader === replica.node;
  const role = replica.lag >= LAG_NOTABLE ? "lagging" : isLeader ? "leader" : "follower";
  return (
    <td title={`applied ${count(replica.applied)}, lag ${count(replica.lag)}`}>
      <span className="replica">
        <span className={`role ${role}`} />
        <span className="visually-hidden">{role}</span>
        <span className="meter">
          <span style={{ width: `${(100 * replica.bytes) / props.largest}%` }} />
        </span>
        <span className="num">{shortCount(replica.spans)} spans</span>
        <span className="num faint">{bytes(replica.bytes)}</span>
        {replica.lag > 0 && <span className="badge warn">{count(replica.lag)} behind</span>}
      </span>
    </td>
  );
}

/** Its copies in figures, what is wrong with it, and what happened. */
function ShardHistory(props: { readonly cluster: Cluster; readonly shard: Shard }) {
  const { cluster, shard } = props;
  const looks = useClusterHistory().shards.get(shard.id);
  const events = changesOf(shard, useClusterEvents());
  const alarms = cluster.alarms.filter((alarm) => alarm.shard === shard.id);
  const nameOf = (id: string) => cluster.nodes.find((node) => node.id === id)?.name ?? id;
  const entries = looks?.entries ?? [];
  const now = entries.at(-1);
  return (
    <section aria-label={`Shard ${shard.id}`}>
      <h3>
        Shard {shard.id}{" "}
        <span className="faint">
          {shard.leader === undefined ? "no leader" : `led by ${nameOf(shard.leader)}`}
        </span>
      </h3>
      <AlarmList alarms={alarms} />
      <table className="table copies">
        <TableHead
          columns={[
            "Copy on",
            "State",
            ["Last entry applied", "num"],
            ["Behind", "num"],
            ["Spans", "num"],
            ["Size", "num"],
          ]}
        />
        <tbody>
          {shard.replicas.map((replica) => (
            <CopyRow
              key={replica.node}
              name={nameOf(replica.node)}
              isLeader={shard.leader === replica.node}
              replica={replica}
              lag={looks?.lag.get(replica.node) ?? []}
            />
          ))}
        </tbody>
      </table>
      {shard.leader !== undefined && (
        <p className="with-line faint" title="From how the leader's last entry moves">
          {now === undefined ? "…" : `${Math.round(10 * now) / 10} entries a second`}
          {entries.length > 1 && <Sparkline values={entries} look="look-rate" />}
        </p>
      )}
      {events.length > 0 && <EventList events={events} />}
      <p className="faint">
        {events.length > 0 ? "Nothing else" : "Nothing"} is known to have happened to it or to the
        nodes that hold it, as far as nodes that answer saw it since they were started.
      </p>
    </section>
  );
}

function CopyRow(props: {
  readonly name: string;
  readonly isLeader: boolean;
  readonly replica: Replica;
  readonly lag: readonly (number | undefined)[];
}) {
  const { replica, lag } = props;
  const hasLagged = lag.some((each) => each !== undefined && each > 0);
  if (replica.state !== "present") {
    const [text, title] = GONE[replica.state];
    return (
      <tr>
        <td>
          <strong>{props.name}</strong>
        </td>
        <td title={title}>
          <span className="badge warn">{text}</span>
        </td>
        {["applied", "behind", "spans", "size"].map((each) => (
          <td key={each} className="num faint">
            –
          </td>
        ))}
      </tr>
    );
  }
  return (
    <tr>
      <td>
        <strong>{props.name}</strong>
      </td>
      <td>{props.isLeader ? "leader" : "follower"}</td>
      <td className="num">{count(replica.applied)}</td>
      <td className="num">
        <span className="with-line">
          {hasLagged && lag.length > 1 && <Sparkline values={lag} look="look-error" isShort />}
          {replica.lag === 0 ? <span className="faint">–</span> : count(replica.lag)}
        </span>
      </td>
      <td className="num">{count(replica.spans)}</td>
      <td className="num">{bytes(replica.bytes)}</td>
    </tr>
  );
}

/** Latest first. */
export function EventList(props: { readonly events: readonly ClusterEvent[] }) {
  const { zone } = useSettings();
  const today = day(wallClock(), zone);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolled region needs the keyboard.
    <ol className="panel cluster-events" tabIndex={0}>
      {props.events.map((event, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: events have no other identity.
        <li key={index}>
          <time className="mono faint" title={timestamp(event.time, zone)}>
            {day(event.time, zone) === today ? "" : `${day(event.time, zone)} `}
            {clock(event.time, zone).slice(0, 8)}
          </time>{" "}
          {event.text}
        </li>
      ))}
    </ol>
  );
}
