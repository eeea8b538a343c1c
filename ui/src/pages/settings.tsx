// What one can set up in this browser.

import { useEffect } from "react";
import { Segmented } from "../components/segmented";
import { useCluster } from "../state/queries";
import { changeSettings, useSettings } from "../state/settings";
import { uiConfig } from "../state/ui-config";
import "./settings.css";

const THEMES = { system: "As the system", light: "Light", dark: "Dark" } as const;
const ZONES = { local: "Local time", utc: "UTC" } as const;
const DENSITIES = { compact: "Compact", cosy: "Cosy", roomy: "Roomy" } as const;
const SWITCH = { on: "On", off: "Off" } as const;

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
        <Setting
          title="Theme"
          options={THEMES}
          value={settings.theme}
          onChoose={(theme) => changeSettings({ theme })}
        />
        <Setting
          title="Times in"
          options={ZONES}
          value={settings.zone}
          onChoose={(zone) => changeSettings({ zone })}
        />
        <Setting
          title="Rows of the timeline"
          options={DENSITIES}
          value={settings.density}
          onChoose={(density) => changeSettings({ density })}
        />
        <Setting
          title="Keys without Ctrl or Cmd"
          options={SWITCH}
          value={settings.singleKeys ? "on" : "off"}
          onChoose={(value) => changeSettings({ singleKeys: value === "on" })}
        />
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
        {["Skua", versions.join(" and ")].join(" ").trim()}
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

function Setting<T extends string>(props: {
  readonly title: string;
  readonly options: Readonly<Record<T, string>>;
  readonly value: T;
  readonly onChoose: (value: T) => void;
}) {
  const { title } = props;
  return (
    <div className="setting">
      <span aria-hidden="true">{title}</span>
      <Segmented
        label={title}
        names={props.options}
        value={props.value}
        onChoose={props.onChoose}
      />
    </div>
  );
}
