// A service: its colour, never without its name.

import type { CSSProperties } from "react";
import type { ServiceColors } from "../base/color";

/** The style that gives `--swatch` the colour of a service. */
export function swatchOf(colors: ServiceColors, name: string): CSSProperties {
  const color = colors.get(name);
  return {
    "--swatch": color === undefined ? "var(--fg-2)" : `var(--svc-${color})`,
  } as CSSProperties;
}

export function Service(props: { readonly name: string; readonly colors: ServiceColors }) {
  return (
    <span className="service">
      <span className="swatch" style={swatchOf(props.colors, props.name)} />
      <span>{props.name || "unknown service"}</span>
    </span>
  );
}
