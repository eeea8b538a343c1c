// What a page says when it has no content to show, or not all of it.

import { type ReactNode, useEffect, useState } from "react";
import { ApiError } from "../api/http";
import { NOTHING_TOLD } from "../api/told";
import { type EpochMicros, MICROS_PER_MILLI, MICROS_PER_SECOND, wallClock } from "../base/time";
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
  const { status, path, told } =
    error instanceof ApiError ? error : { status: 0, path: "", told: NOTHING_TOLD };
  const url = path === "" ? undefined : new URL(path, document.baseURI);
  const answer = status > 0 ? `HTTP ${status}` : "";
  const request = told.requestId && `request ${told.requestId}`;
  const report = () =>
    [props.title, error.message, answer, url?.href, request, new Date().toISOString()]
      .filter(Boolean)
      .join("\n");
  return (
    <div className="banner error">
      <Icon name="error" />
      <div className="body" role="alert">
        <strong>{props.title}</strong>
        <div>{error.message}</div>
        <div className="faint mono">
          {[answer, url?.host, path, request].filter(Boolean).join(" · ")}
        </div>
      </div>
      <Copy label="Copy details" text={report} />
      {props.onRetry && (
        // Another failure is another wait.
        <Retry key={told.notBefore} notBefore={told.notBefore} onRetry={props.onRetry} />
      )}
    </div>
  );
}

const SECOND_MILLIS = 1_000;

/** Asks again, but not before the server wants to be asked: who clicks earlier is next in time. */
function Retry(props: {
  readonly notBefore: EpochMicros | undefined;
  readonly onRetry: () => void;
}) {
  const { notBefore = 0, onRetry } = props;
  const [now, setNow] = useState(wallClock);
  const [isAsked, setAsked] = useState(false);
  const left = Math.ceil(Math.max(0, notBefore - now) / MICROS_PER_SECOND);
  useEffect(() => {
    if (left === 0) return;
    const more = ((notBefore - now) / MICROS_PER_MILLI) % SECOND_MILLIS;
    const timer = setTimeout(() => setNow(wallClock()), more || SECOND_MILLIS);
    return () => clearTimeout(timer);
  });
  const isDue = isAsked && left === 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: once.
  useEffect(() => {
    if (isDue) onRetry();
  }, [isDue]);
  const click = () => (left > 0 ? setAsked(!isAsked) : onRetry());
  return (
    <button
      type="button"
      className="button small"
      aria-pressed={isAsked || undefined}
      onClick={click}
    >
      {isAsked ? "Asking again" : "Try again"}
      {left > 0 && ` in ${left} s`}
    </button>
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
