// What one can set up in this browser.

import { useEffect } from "react";
import { useCluster } from "../state/queries";
import { changeSettings, type Settings, useSettings } from "../state/settings";
import { uiConfig } from "../state/ui-config";
import "./settings.css";

const THEMES = { system: "As the system", light: "Light", dark: "Dark" } as const;
const ZONES = { local: "Local time", utc: "UTC" } as const;
const DENSITIES = { compact: "Compact", cosy: "Cosy", roomy: "Roomy" } as const;

export function SettingsPage() {
  const settings = useSettings();
  useEffect(() => {
    document.title = "Settings · Skua";
  }, []);
  return (
    <div className="page settings-page">
      <h1>Settings</h1>
      <p className="faint">
        Kept in this browser. They change how things look, never what a link shows.
      </p>
      <div className="panel">
        <Choice name="theme" title="Theme" options={THEMES} settings={settings} />
        <Choice name="zone" title="Times in" options={ZONES} settings={settings} />
        <Choice
          name="density"
          title="Rows of the timeline"
          options={DENSITIES}
          settings={settings}
        />
        <div className="setting">
          <span id="single-keys">Keys without Ctrl or Cmd</span>
          <fieldset className="segmented" aria-labelledby="single-keys">
            {[true, false].map((value) => (
              <button
                key={String(value)}
                type="button"
                aria-pressed={settings.singleKeys === value}
                onClick={() => changeSettings({ singleKeys: value })}
              >
                {value ? "On" : "Off"}
              </button>
            ))}
          </fieldset>
        </div>
      </div>
      <About />
    </div>
  );
}

/** Which versions are at work. */
function About() {
  const nodes = useCluster().data?.value.nodes ?? [];
  const versions = [...new Set(nodes.map((node) => node.version))].filter((each) => each !== "");
  return (
    <section>
      <h2>About</h2>
      <p className="faint">
        Skua {versions.length === 0 ? "" : versions.join(" and ")}
        {versions.length > 1 ? ": the nodes run different versions" : ""}. This page is part of the
        node that serves it and loads nothing from elsewhere. <kbd>?</kbd> lists the keys.
      </p>
      <Ignored />
    </section>
  );
}

/** What of the node's configuration of these pages does nothing. */
function Ignored() {
  const { ignored } = uiConfig();
  if (ignored.length === 0) return null;
  return (
    <p className="faint">
      The node's configuration of this page also has{" "}
      {ignored.map((name, index) => (
        <span key={name}>
          {index > 0 && ", "}
          <code>{name}</code>
        </span>
      ))}
      , which changes nothing here.
    </p>
  );
}

function Choice<Name extends "theme" | "zone" | "density">(props: {
  readonly name: Name;
  readonly title: string;
  readonly options: Readonly<Record<Settings[Name], string>>;
  readonly settings: Settings;
}) {
  const { name, settings } = props;
  const entries = Object.entries(props.options) as [Settings[Name], string][];
  return (
    <div className="setting">
      <span id={`setting-${name}`}>{props.title}</span>
      <fieldset className="segmented" aria-labelledby={`setting-${name}`}>
        {entries.map(([value, label]) => (
          <button
            key={value}
            type="button"
            aria-pressed={settings[name] === value}
            onClick={() => changeSettings({ [name]: value } as Partial<Settings>)}
          >
            {label}
          </button>
        ))}
      </fieldset>
    </div>
  );
}
