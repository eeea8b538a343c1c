// What is around every page: the ways to the others, and the field that goes anywhere.

import { type ReactNode, useEffect, useMemo, useState } from "react";
import { Link, useLocation } from "wouter";
import { Combobox, type Option } from "../components/combobox";
import { Icon, type IconName } from "../components/icon";
import { later } from "../components/later";
import { summarize } from "../model/cluster";
import { isTraceId, searchHref } from "../model/links";
import { useIdle } from "../state/idle";
import { usePlainKeys } from "../state/keys";
import { useSearchHref } from "../state/last-search";
import { lastTrace } from "../state/last-trace";
import { useCluster, useServices } from "../state/queries";
import { changeSettings, useSettings } from "../state/settings";
import { uiConfig } from "../state/ui-config";
import "./shell.css";

type Page = readonly [href: string, name: string, icon: IconName, also: RegExp];
const ALL_PAGES: readonly Page[] = [
  ["/search", "Explore", "search", /^\/(search|trace|file)(\/|$)/],
  ["/services", "Services", "services", /^\/(services|monitor)(\/|$)/],
  ["/dependencies", "Map", "map", /^\/(deep-)?dependencies/],
  ["/cluster", "Cluster", "cluster", /^\/cluster/],
];

/** Whoever runs the node may want some of them out of the way; their addresses stay. */
const PAGES = ALL_PAGES.filter(([href]) => {
  const { without } = uiConfig();
  return !(href === "/services" ? without.services : href === "/dependencies" && without.map);
});

const HelpDialog = later(async () => (await import("../components/help")).HelpDialog);

const OMNIBOX_ID = "go-to";

export function Shell(props: { readonly children: ReactNode }) {
  const [location] = useLocation();
  const searchHref = useSearchHref();
  const isOnSearch = location === "/search";
  const [helps, setHelps] = useState(false);
  const [, navigate] = useLocation();
  usePlainKeys({
    "g s": () => navigate(isOnSearch ? "/search" : searchHref),
    "g v": () => navigate("/services"),
    "g d": () => navigate("/dependencies"),
    "g c": () => navigate("/cluster"),
    "g t": () => lastTrace() !== "" && navigate(`/trace/${lastTrace()}`),
    // A trace has keys of its own, and a list of them.
    ...(/^\/(trace|file)/.test(location) ? {} : { "?": () => setHelps(true) }),
  });
  return (
    <div className="shell">
      <button type="button" className="button skip" onClick={skip}>
        Skip to the content
      </button>
      <nav className="rail" aria-label="Pages">
        <Link href="/search" className="mark" aria-label="Skua">
          <Mark />
        </Link>
        {PAGES.map(([href, name, icon, also]) => (
          <Link
            key={href}
            href={href === "/search" && !isOnSearch ? searchHref : href}
            aria-current={also.test(location) ? "page" : undefined}
          >
            <Icon name={icon} />
            <span>{name}</span>
          </Link>
        ))}
        <span className="spacer" />
        <Link href="/settings" aria-current={location === "/settings" ? "page" : undefined}>
          <Icon name="settings" />
          <span>Settings</span>
        </Link>
      </nav>
      <header className="strip">
        <Omnibox />
        <span className="spacer" />
        {uiConfig().menu.map(({ label, url }) => (
          <a
            key={`${label} ${url}`}
            className="button quiet small file-link"
            href={url}
            target="_blank"
            rel="noopener noreferrer"
          >
            {label}
          </a>
        ))}
        {!uiConfig().without.upload && (
          <Link href="/file" className="button quiet small file-link">
            Open a file
          </Link>
        )}
        <ClusterDot />
        {!uiConfig().without.themes && <ThemeButton />}
      </header>
      <main id="content" tabIndex={-1}>
        {props.children}
      </main>
      {helps && <HelpDialog own={[]} onClose={() => setHelps(false)} />}
    </div>
  );
}

/** Not a link: with a base address, `#content` would be another page. */
function skip(): void {
  document.getElementById("content")?.focus();
}

function Mark() {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true">
      <path className="one" d="M5 9.500h13" />
      <path className="two" d="M11 16h11" />
      <path className="three" d="M17 22.500h10" />
    </svg>
  );
}

/** Takes a trace id, a service or the name of a page. */
function Omnibox() {
  const [text, setText] = useState("");
  const [, navigate] = useLocation();
  // Only who is about to choose one needs their names.
  const [isUsed, setUsed] = useState(false);
  const services = useServices(isUsed).data?.value;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        document.getElementById(OMNIBOX_ID)?.focus();
      }
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  const options = useMemo<Option[]>(() => {
    const id = text.trim();
    const looksLikeId = isTraceId(id) && id.length >= 6;
    return [
      ...(looksLikeId ? [{ value: `/trace/${id}`, label: id, hint: "trace" }] : []),
      ...(services ?? []).map((name) => ({
        value: searchHref(name),
        label: name,
        hint: "service",
      })),
      ...PAGES.map(([value, label]) => ({ value, label, hint: "page" })),
      ...(uiConfig().without.upload
        ? []
        : [{ value: "/file", label: "Open a file", hint: "page" }]),
    ];
  }, [text, services]);
  const go = (value: string) => {
    const wanted = value.trim();
    const target = wanted.startsWith("/")
      ? wanted
      : isTraceId(wanted)
        ? `/trace/${wanted}`
        : options.find((option) => option.label?.toLowerCase() === wanted.toLowerCase())?.value;
    if (target !== undefined) navigate(target);
    setText("");
  };
  return (
    <div className="omnibox">
      <Combobox
        inputId={OMNIBOX_ID}
        label="Go to a trace, service or page"
        hideLabel
        placeholder="Trace id, service or page   Ctrl K"
        value={text}
        options={options}
        onChange={setText}
        onCommit={go}
        onFocus={() => setUsed(true)}
      />
    </div>
  );
}

/** One look says whether the cluster is well. */
function ClusterDot() {
  const cluster = useCluster(useIdle());
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

function ThemeButton() {
  const { theme } = useSettings();
  const isDark =
    theme === "dark" || (theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  return (
    <button
      type="button"
      className="button quiet square"
      aria-label={isDark ? "Light theme" : "Dark theme"}
      title={isDark ? "Light theme" : "Dark theme"}
      onClick={() => changeSettings({ theme: isDark ? "light" : "dark" })}
    >
      <Icon name={isDark ? "sun" : "moon"} />
    </button>
  );
}
