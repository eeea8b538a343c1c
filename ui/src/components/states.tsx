// What a page says when it has no content to show, or not all of it.

import type { ReactNode } from "react";
import { ApiError } from "../api/http";
import { type Completeness, explain } from "../model/completeness";
import { Copy } from "./copy";
import { Icon } from "./icon";

export function Loading(props: { readonly what: string }) {
  return (
    <div className="skeleton" role="status" aria-label={`Loading ${props.what}`}>
      {[72, 48, 86, 60, 78, 40].map((share) => (
        <span key={share} style={{ width: `${share}%` }} />
      ))}
    </div>
  );
}

/** An amber band: what the answer lacks. Never shown as if nothing had been found. */
export function PartialBanner(props: {
  readonly completeness: Completeness;
  readonly onRetry?: () => void;
}) {
  if (props.completeness.isComplete) return null;
  return (
    <div className="banner" role="status">
      <Icon name="warning" />
      <div className="body">
        <strong>Partial answer.</strong> {explain(props.completeness).join(" ")}
      </div>
      {props.onRetry && (
        <button type="button" className="button small" onClick={props.onRetry}>
          Ask again
        </button>
      )}
    </div>
  );
}

/** What went wrong, where, and what to do. */
export function Failure(props: {
  readonly title: string;
  readonly error: Error;
  readonly onRetry?: () => void;
}) {
  const { error } = props;
  const path = error instanceof ApiError ? error.path : "";
  const status = error instanceof ApiError && error.status > 0 ? `HTTP ${error.status}` : "";
  const report = [props.title, error.message, status, path, new Date().toISOString()];
  return (
    <div className="banner error" role="alert">
      <Icon name="error" />
      <div className="body">
        <strong>{props.title}</strong>
        <div>{error.message}</div>
        <div className="faint mono">{[status, path].filter(Boolean).join(" · ")}</div>
      </div>
      <Copy label="Copy details" text={report.filter(Boolean).join("\n")} />
      {props.onRetry && (
        <button type="button" className="button small" onClick={props.onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** In place of content; `isPage` if there is no other heading. */
export function Message(props: {
  readonly title: string;
  readonly isPage?: boolean;
  readonly children?: ReactNode;
}) {
  return (
    <section className="state">
      {props.isPage ? <h1>{props.title}</h1> : <h2>{props.title}</h2>}
      {props.children}
    </section>
  );
}
