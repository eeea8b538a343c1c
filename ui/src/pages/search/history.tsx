// Searches to come back to: those kept, and the last ones.

import { Link } from "wouter";
import { Icon } from "../../components/icon";
import { IconButton } from "../../components/icon-button";
import { Menu } from "../../components/menu";
import { printConditions } from "../../model/filter";
import { parseSearch } from "../../model/search-query";
import { toggleSaved, useSearchHistory } from "../../state/search-history";
import "./history.css";

export function SearchHistoryMenu(props: { readonly current: string }) {
  const { recent, saved } = useSearchHistory();
  const isSaved = saved.includes(props.current);
  const others = recent.filter((each) => !saved.includes(each));
  const list = (title: string, searches: readonly string[], close: () => void) =>
    searches.length > 0 && (
      <section>
        <h2>{title}</h2>
        <ul>
          {searches.map((search) => (
            <li key={search}>
              <Link href={`/search?${search}`} onClick={close}>
                {describe(search)}
              </Link>
              <IconButton
                icon="star"
                label={saved.includes(search) ? "Do not keep" : "Keep"}
                isPressed={saved.includes(search)}
                onClick={() => toggleSaved(search)}
              />
            </li>
          ))}
        </ul>
      </section>
    );
  return (
    <div className="history">
      <Menu icon="clock" label="Searches" isSquare title="Kept and recent searches">
        {(close) => (
          <div className="history-list">
            <button
              type="button"
              className="button small"
              onClick={() => toggleSaved(props.current)}
            >
              <Icon name="star" />
              {isSaved ? "Do not keep this search" : "Keep this search"}
            </button>
            {list("Kept", saved, close)}
            {list("Recent", others, close)}
          </div>
        )}
      </Menu>
    </div>
  );
}

/** The query part of an address in a line. */
export function describe(search: string): string {
  const { query } = parseSearch(new URLSearchParams(search));
  const { window } = query;
  const parts = [
    query.traceIds.length > 0 ? `${query.traceIds.length} traces by id` : "",
    query.service || "all services",
    query.operation,
    printConditions(query),
    query.minDuration === "" ? "" : `≥ ${query.minDuration}`,
    query.maxDuration === "" ? "" : `≤ ${query.maxDuration}`,
    window.kind === "lookback" ? `last ${window.lookback}` : "fixed time",
  ];
  return parts.filter((part) => part !== "").join(" · ");
}
