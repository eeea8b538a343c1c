// Which theme the page has, set before anything is drawn. Knows no React, so that it costs nothing
// to load first.

export const SETTINGS_KEY = "skua.settings";

/** `uiTheme` of an embedding page wins over the setting. */
export function applyTheme(setting: string): void {
  const wanted = new URLSearchParams(location.search).get("uiTheme");
  const theme = wanted === "light" || wanted === "dark" ? wanted : setting;
  document.documentElement.dataset["theme"] = theme;
}

/** The theme that was chosen in this browser. */
export function storedTheme(): string {
  try {
    const stored = JSON.parse(localStorage.getItem(SETTINGS_KEY) ?? "{}") as { theme?: unknown };
    return typeof stored.theme === "string" ? stored.theme : "system";
  } catch {
    return "system";
  }
}
