// Which address shows which page; Jaeger's addresses keep their meaning.

import { Component, type ReactNode, startTransition } from "react";
import { createRoot } from "react-dom/client";
import { Link, Redirect, Route, Router, Switch, useSearch } from "wouter";
import { later } from "../components/later";
import { Notice } from "../components/notice";
import { Failure, Loading, Message } from "../components/states";
import { hexTraceId } from "../model/links";
import { embedOf } from "../state/embed";
import { watchWays } from "../state/way-back";
import { pageAt, pages } from "./chunks";
import { Shell } from "./shell";

const loading = <Loading what="the page" />;
const SearchPage = later(async () => (await pages.search()).SearchPage, loading);
const TracePage = later(async () => (await pages.trace()).TracePage, loading);
const ComparePage = later(async () => (await pages.compare()).ComparePage, loading);
const ServicesPage = later(async () => (await pages.services()).ServicesPage, loading);
const MapPage = later(async () => (await pages.map()).MapPage, loading);
const ClusterPage = later(async () => (await pages.cluster()).ClusterPage, loading);
const FilePage = later(async () => (await pages.file()).FilePage, loading);
const SettingsPage = later(async () => (await pages.settings()).SettingsPage, loading);

const FIRST = new Map<string | undefined, { readonly fetched: () => Promise<unknown> }>([
  ["search", SearchPage],
  ["trace", TracePage],
  ["compare", ComparePage],
]);

/** Shows the UI, with the page at `path` in its first picture. */
export async function start(container: Element, base: string, path: string): Promise<void> {
  // Before the router listens: it puts away what had the focus.
  watchWays();
  const root = createRoot(container);
  const first = FIRST.get(pageAt(path));
  // A page that cannot be fetched says so itself.
  await first?.fetched().catch(() => undefined);
  // In slices: what arrives meanwhile is taken in between.
  startTransition(() => root.render(<App base={base} />));
}

/** `base` is the path prefix below which the UI is served, without a slash at its end. */
function App(props: { readonly base: string }) {
  return (
    <Router base={props.base}>
      <Frame>
        <Guard>
          <Pages />
        </Guard>
      </Frame>
      <Notice />
    </Router>
  );
}

/** An embedding page gets the content alone. */
function Frame(props: { readonly children: ReactNode }) {
  const { isEmbedded } = embedOf(useSearch());
  if (isEmbedded) return <main className="embedded">{props.children}</main>;
  return <Shell>{props.children}</Shell>;
}

function Pages() {
  const params = new URLSearchParams(useSearch());
  return (
    <Switch>
      <Route path="/">
        <Redirect to="/search" replace />
      </Route>
      <Route path="/search">
        <SearchPage />
      </Route>
      <Route path="/trace/:id">
        {({ id }) =>
          id.includes("...") ? <ComparePage ids={id} /> : <TracePage traceId={hexTraceId(id)} />
        }
      </Route>
      <Route path="/services/:name">{({ name }) => <ServicesPage service={name} />}</Route>
      <Route path="/services">
        <ServicesPage service="" />
      </Route>
      <Route path="/monitor">
        <ServicesPage service={params.get("service") ?? ""} />
      </Route>
      <Route path="/dependencies">
        <MapPage />
      </Route>
      <Route path="/deep-dependencies">
        <MapPage />
      </Route>
      <Route path="/cluster">
        <ClusterPage />
      </Route>
      <Route path="/file">
        <FilePage />
      </Route>
      <Route path="/settings">
        <SettingsPage />
      </Route>
      <Route path="/quality-metrics">
        <Message title="Trace quality is not measured here" isPage>
          <p>This page needs a service of its own beside the trace store.</p>
        </Message>
      </Route>
      <Route>
        <Message title="No such page" isPage>
          <p>
            Nothing is at this address. <Link href="/search">Find traces</Link> instead.
          </p>
        </Message>
      </Route>
    </Switch>
  );
}

/** A page that breaks says so and leaves the others alone. */
class Guard extends Component<{ readonly children: ReactNode }, { error: Error | undefined }> {
  override state = { error: undefined as Error | undefined };

  static getDerivedStateFromError(error: unknown) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render() {
    const { error } = this.state;
    if (error === undefined) return this.props.children;
    return (
      <div className="page">
        <Failure
          title="This page stopped working"
          error={error}
          onRetry={() => this.setState({ error: undefined })}
        />
      </div>
    );
  }
}
