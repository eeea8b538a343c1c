// What a person has set up in this browser. Nothing here changes what a link shows.

import type { Zone } from "../base/time";
import { Store, useStore } from "./store";
import { applyTheme, SETTINGS_KEY } from "./theme";
import { uiConfig } from "./ui-config";

export type Theme = "system" | "light" | "dark";
export type Density = "compact" | "cosy" | "roomy";

export interface Settings {
  readonly theme: Theme;
  readonly zone: Zone;
  readonly density: Density;
  /** Keys without a modifier do something. */
  readonly singleKeys: boolean;
  /** Share of the width that the names of spans take. */
  readonly namesShare: number;
  /** Pixels. */
  readonly panelWidth: number;
  readonly showCriticalPath: boolean;
  /** Runs of like siblings are one row. */
  readonly foldsRuns: boolean;
  /** Details of a span stand below its row, not at the side. */
  readonly detailsBelow: boolean;
}

const DEFAULTS: Settings = {
  theme: "system",
  zone: "local",
  density: "cosy",
  singleKeys: true,
  namesShare: 0.36,
  panelWidth: 420,
  showCriticalPath: !uiConfig().without.criticalPath,
  foldsRuns: false,
  detailsBelow: false,
};

export const ROW_HEIGHTS: Record<Density, number> = { compact: 22, cosy: 26, roomy: 30 };

const settings = new Store<Settings>(load());

function load(): Settings {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(SETTINGS_KEY) ?? "{}");
    return typeof stored === "object" && stored !== null ? checked(stored) : DEFAULTS;
  } catch {
    return DEFAULTS;
  }
}

/** Settings of another version, or of a hand, must not break the page. */
function checked(stored: Partial<Record<keyof Settings, unknown>>): Settings {
  const one = <T extends string>(name: keyof Settings, of: readonly T[], or: T): T =>
    of.find((each) => each === stored[name]) ?? or;
  const within = (name: "namesShare" | "panelWidth", low: number, high: number) => {
    const value = stored[name];
    const isGood = typeof value === "number" && value >= low && value <= high;
    return isGood ? value : DEFAULTS[name];
  };
  return {
    theme: one<Theme>("theme", ["system", "light", "dark"], DEFAULTS.theme),
    zone: one<Zone>("zone", ["local", "utc"], DEFAULTS.zone),
    density: one<Density>("density", ["compact", "cosy", "roomy"], DEFAULTS.density),
    singleKeys: stored.singleKeys !== false,
    namesShare: within("namesShare", 0.1, 0.8),
    panelWidth: within("panelWidth", 260, 1_200),
    showCriticalPath: stored.showCriticalPath !== false && DEFAULTS.showCriticalPath,
    foldsRuns: stored.foldsRuns === true,
    detailsBelow: stored.detailsBelow === true,
  };
}

export function currentSettings(): Settings {
  return settings.get();
}

export function useSettings(): Settings {
  return useStore(settings);
}

export function changeSettings(change: Partial<Settings>): void {
  settings.set({ ...settings.get(), ...change });
  try {
    localStorage.setItem(SETTINGS_KEY, JSON.stringify(settings.get()));
  } catch {
    // A browser that keeps nothing still works until it is closed.
  }
  applyTheme(settings.get().theme);
}

export function onSettings(listener: () => void): () => void {
  return settings.subscribe(listener);
}
