// The services that have sent spans, and what each of them does.

import { useEffect, useMemo, useState } from "react";
import { Link, useLocation } from "wouter";
import { assignColors } from "../../base/color";
import { plural, shortCount } from "../../base/format";
import { swatchOf } from "../../components/service";
import { Failure, FirstSteps, Loading, Message, PartialBanner } from "../../components/states";
import type { Operation } from "../../model/operation";
import { EMPTY_QUERY, printSearch } from "../../model/search-query";
import { useDependencies, useOperations, useServices } from "../../state/queries";

const DAY_MILLIS = 86_400_000;

export function ServicesPage(props: { readonly service: string }) {
  const services = useServices();
  const [filter, setFilter] = useState("");
  useEffect(() => {
    document.title = `${props.service || "Services"} · Skua`;
  }, [props.service]);
  const names = services.data?.value;
  const colors = useMemo(
    () => assignColors((names ?? []).map((name) => ({ name, spans: 0 }))),
    [names],
  );
  if (services.isError) {
    return (
      <div className="page">
        <Failure
          title="The services could not be listed"
          error={services.error}
          onRetry={() => void services.refetch()}
        />
      </div>
    );
  }
  if (services.data === undefined || names === undefined) return <Loading what="services" />;
  if (names.length === 0 && services.data.completeness.isComplete) return <FirstSteps />;
  const shown = names.filter((name) => name.toLowerCase().includes(filter.toLowerCase()));
  const chosen = props.service || (names[0] ?? "");
  return (
    <div className="page services-page">
      <h1>
        Services <span className="faint">{names.length}</span>
      </h1>
      <PartialBanner
        completeness={services.data.completeness}
        onRetry={() => void services.refetch()}
      />
      <div className="split">
        <nav className="panel side" aria-label="Services">
          <input
            className="input"
            aria-label="Filter services"
            placeholder="Filter"
            value={filter}
            onChange={(event) => setFilter(event.target.value)}
          />
          <ul>
            {shown.map((name) => (
              <li key={name}>
                <Link
                  href={`/services/${encodeURIComponent(name)}`}
                  aria-current={name === chosen ? "page" : undefined}
                >
                  <span className="swatch" style={swatchOf(colors, name)} />
                  {name}
                </Link>
              </li>
            ))}
          </ul>
          {shown.length === 0 && <p className="faint">No service has this in its name.</p>}
        </nav>
        <ServiceDetail key={chosen} service={chosen} />
      </div>
    </div>
  );
}

function ServiceDetail(props: { readonly service: string }) {
  const { service } = props;
  const operations = useOperations(service);
  const [, navigate] = useLocation();
  const search = (operation: string, tags: readonly (readonly [string, string])[] = []) =>
    `/search?${printSearch({ ...EMPTY_QUERY, service, operation, tags })}`;
  return (
    <div className="service-detail">
      <div className="service-head">
        <h2>{service}</h2>
        <span className="spacer" />
        <button type="button" className="button" onClick={() => navigate(search(""))}>
          Traces
        </button>
        <button
          type="button"
          className="button"
          onClick={() => navigate(search("", [["error", "true"]]))}
        >
          Failed traces
        </button>
      </div>
      <Neighbours service={service} />
      {operations.isError ? (
        <Failure
          title="The operations could not be listed"
          error={operations.error}
          onRetry={() => void operations.refetch()}
        />
      ) : operations.data === undefined ? (
        <Loading what="operations" />
      ) : operations.data.value.length === 0 ? (
        <Message title="No operations">
          <p>No span of this service is kept.</p>
        </Message>
      ) : (
        <Operations operations={operations.data.value} linkOf={search} />
      )}
    </div>
  );
}

function Operations(props: {
  readonly operations: readonly Operation[];
  readonly linkOf: (operation: string) => string;
}) {
  return (
    <div className="panel scrolled">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">
              Operation <span className="faint">{props.operations.length}</span>
            </th>
            <th scope="col">Kind</th>
          </tr>
        </thead>
        <tbody>
          {props.operations.map(({ name, kind }) => (
            <tr key={`${name}\n${kind}`}>
              <td>
                <Link href={props.linkOf(name)}>{name}</Link>
              </td>
              <td>
                <span className="badge">{kind || "unspecified"}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Who calls the service, and whom it calls, within the last day. */
function Neighbours(props: { readonly service: string }) {
  const { service } = props;
  const edges = useDependencies(DAY_MILLIS).data?.value ?? [];
  const others = edges.filter((edge) => edge.parent !== edge.child);
  const callers = others.filter((edge) => edge.child === service);
  const called = others.filter((edge) => edge.parent === service);
  if (callers.length + called.length === 0) return null;
  const list = (title: string, entries: readonly { name: string; calls: number }[]) => (
    <div>
      <h3>{title}</h3>
      {entries.length === 0 && <p className="faint">none seen</p>}
      <ul>
        {entries.map(({ name, calls }) => (
          <li key={name}>
            <Link href={`/services/${encodeURIComponent(name)}`}>{name}</Link>
            <span className="faint" title={plural(calls, "call")}>
              {shortCount(calls)}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
  return (
    <div className="panel neighbours">
      {list(
        "Called by",
        callers.map((edge) => ({ name: edge.parent, calls: edge.calls })),
      )}
      {list(
        "Calls",
        called.map((edge) => ({ name: edge.child, calls: edge.calls })),
      )}
    </div>
  );
}
