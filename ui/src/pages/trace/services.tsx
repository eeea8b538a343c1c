// Which services of the trace are shown: a list to tick, and one click for one of them alone.

import { count } from "../../base/format";
import { Menu } from "../../components/menu";
import { swatchOf } from "../../components/service";
import { useStore } from "../../state/store";
import type { TraceView } from "../../state/trace-view";

export function ServiceMenu(props: { readonly view: TraceView }) {
  const { view } = props;
  const { hidden } = useStore(view.store);
  const { services } = view.trace;
  const shown = services.length - (hidden?.reduce((sum, each) => sum + each, 0) ?? 0);
  return (
    <Menu
      icon="filter"
      label={hidden === null ? "Services" : `${shown} of ${services.length} services`}
      title="Which services are shown"
    >
      {() => <ServiceList view={view} />}
    </Menu>
  );
}

function ServiceList(props: { readonly view: TraceView }) {
  const { view } = props;
  const { hidden } = useStore(view.store);
  const { services } = view.trace;
  const { spansByService } = view.source.facts;
  const places = services
    .map((_, place) => place)
    .sort((left, right) => (spansByService[right] ?? 0) - (spansByService[left] ?? 0));
  const toggle = (place: number) => {
    const next = Uint8Array.from(hidden ?? new Uint8Array(services.length));
    next[place] = next[place] === 1 ? 0 : 1;
    // Nothing at all is not a view of a trace.
    if (next.includes(0)) view.setHidden(next);
  };
  const only = (place: number) =>
    view.setHidden(Uint8Array.from(services, (_, each) => (each === place ? 0 : 1)));
  return (
    <>
      <ul className="service-ticks">
        {places.map((place) => (
          <li key={place}>
            <label>
              <input
                type="checkbox"
                checked={hidden?.[place] !== 1}
                onChange={() => toggle(place)}
              />
              <span className="swatch" style={swatchOf(view.colors, services[place] ?? "")} />
              <span className="name">{services[place]}</span>
              <span className="num faint">{count(spansByService[place] ?? 0)}</span>
            </label>
            <button
              type="button"
              className="button quiet small"
              aria-label={`Only ${services[place]}`}
              onClick={() => only(place)}
            >
              only
            </button>
          </li>
        ))}
      </ul>
      <button
        type="button"
        className="button small"
        disabled={hidden === null}
        onClick={() => view.setHidden(null)}
      >
        Show all
      </button>
    </>
  );
}
