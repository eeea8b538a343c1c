// What the node that served the page wants of it, from the page itself.

import { readUiConfig, type UiConfig } from "../model/ui-config";

let known: UiConfig | undefined;

export function uiConfig(): UiConfig {
  known ??= readUiConfig(
    document.querySelector('meta[name="ui-config"]')?.getAttribute("content") ?? "{}",
  );
  return known;
}

/** The part of an id that people compare. */
export function shortId(id: string): string {
  return id.slice(0, uiConfig().idLength);
}
