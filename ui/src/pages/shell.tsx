// What is around every page: the ways to the others, and the field that goes anywhere.

import { type ReactNode, useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { Icon, type IconName } from "../components/icon";
import { later } from "../components/later";
import { whenIdle } from "../state/idle";
import { usePlainKeys } from "../state/keys";
import { useSearchHref } from "../state/last-search";
import { lastTrace } from "../state/last-trace";
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

// The page must stand even if the node goes away before it has these.
const HelpDialog = later(async () => (await import("../components/help")).HelpDialog, null, null);

/** Holds its place until it is there. */
const omniboxPlace = <div className="input" />;
const Omnibox = later(async () => (await import("./omnibox")).Omnibox, omniboxPlace, omniboxPlace);

const ClusterDot = later(
  async () => {
    await new Promise<void>(whenIdle);
    return (await import("./cluster/dot")).ClusterDot;
  },
  <DotPlace text="…" />,
  <DotPlace text="no answer" />,
);

const GOALS: readonly (readonly [href: string, name: string])[] = [
  ...PAGES.map(([href, name]) => [href, name] as const),
  ["/settings", "Settings"],
  ...(uiConfig().without.upload ? [] : [["/file", "Open a file"] as const]),
];

export function Shell(props: { readonly children: ReactNode }) {
  const [location] = useLocation();
  const searchHref = useSearchHref();
  const isOnSearch = location === "/search";
  const [helps, setHelps] = useState(false);
  const [, navigate] = useLocation();
  useOmniboxKey();
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
        <div className="omnibox">
          <Omnibox pages={GOALS} />
        </div>
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

/** Ctrl or Cmd with K goes to the field that goes anywhere. */
function useOmniboxKey(): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        document.getElementById("go-to")?.focus();
      }
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}

/** Where one look will say whether the cluster is well. */
function DotPlace(props: { readonly text: string }) {
  return (
    <Link href="/cluster" className="cluster-dot" title="Cluster">
      <span className={props.text === "…" ? "dot" : "dot failing"} />
      {props.text}
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
