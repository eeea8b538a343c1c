// The colours of the tokens as a canvas can use them, resolved for the theme that is on.

import { HEAT_SHADES, SERVICE_COLORS } from "../base/color";

export interface Palette {
  readonly background: string;
  readonly raised: string;
  readonly text: string;
  readonly faint: string;
  readonly faintest: string;
  readonly line: string;
  readonly accent: string;
  readonly selection: string;
  readonly hover: string;
  readonly match: string;
  readonly error: string;
  readonly errorText: string;
  readonly critical: string;
  readonly veil: string;
  /** Index 1 is `--svc-1`; 0 stands in for an unknown service. */
  readonly services: readonly string[];
  /** From few to many. */
  readonly heat: readonly string[];
  readonly font: string;
  readonly mono: string;
}

/** Reads the tokens as they apply to `element`. */
export function readPalette(element: HTMLElement): Palette {
  const probe = document.createElement("span");
  probe.hidden = true;
  element.append(probe);
  const color = (token: string) => {
    probe.style.color = `var(${token})`;
    return getComputedStyle(probe).color;
  };
  const family = (token: string) => {
    probe.style.fontFamily = `var(${token})`;
    return getComputedStyle(probe).fontFamily;
  };
  const services = Array.from({ length: SERVICE_COLORS + 1 }, (_, index) =>
    color(index === 0 ? "--fg-2" : `--svc-${index}`),
  );
  const palette: Palette = {
    background: color("--bg-1"),
    raised: color("--bg-2"),
    text: color("--fg-0"),
    faint: color("--fg-1"),
    faintest: color("--fg-2"),
    line: color("--line"),
    accent: color("--accent"),
    selection: color("--sel"),
    hover: color("--hover"),
    match: color("--match"),
    error: color("--err"),
    errorText: color("--on-err"),
    critical: color("--critical"),
    veil: color("--veil"),
    services,
    heat: Array.from({ length: HEAT_SHADES }, (_, shade) => color(`--heat-${shade}`)),
    font: family("--font"),
    mono: family("--mono"),
  };
  probe.remove();
  return palette;
}
