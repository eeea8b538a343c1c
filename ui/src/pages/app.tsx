// Which address shows which page; Jaeger's addresses keep their meaning.

import { QueryClientProvider } from "@tanstack/react-query";
import { Component, lazy, type ReactNode, Suspense } from "react";
import { Link, Redirect, Route, Router, Switch, useSearch } from "wouter";
import { Failure, Loading, Message } from "../components/states";
import { embedOf } from "../state/embed";
import { queryClient } from "../state/queries";
import { Shell } from "./shell";

const SearchPage = lazy(async () => ({ default: (await import("./search/page")).SearchPage }));
const TracePage = lazy(async () => ({ default: (await import("./trace/page")).TracePage }));
const ComparePage = lazy(async () => ({ default: (await import("./compare/page")).ComparePage }));
const ServicesPage = lazy(async () => ({
  default: (await import("./services/page")).ServicesPage,
}));
const MapPage = lazy(async () => ({ default: (await import("./map/page")).MapPage }));
const ClusterPage = lazy(async () => ({ default: (await import("./cluster/page")).ClusterPage }));
const FilePage = lazy(async () => ({ default: (await import("./file/page")).FilePage }));
const SettingsPage = lazy(async () => ({ default: (await import("./settings")).SettingsPage }));

/** `base` is the path prefix below which the UI is served, without a slash at its end. */
export function App(props: { readonly base: string }) {
  return (
    <QueryClientProvider client={queryClient}>
      <Router base={props.base}>
        <Frame>
          <Guard>
            <Suspense fallback={<Loading what="the page" />}>
              <Pages />
            </Suspense>
          </Guard>
        </Frame>
      </Router>
    </QueryClientProvider>
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
        {({ id }) => (id.includes("...") ? <ComparePage ids={id} /> : <TracePage traceId={id} />)}
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
