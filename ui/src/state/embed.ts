// How an embedding page asks for less around the content (`uiEmbed=v0` and its flags).

export interface Embed {
  readonly isEmbedded: boolean;
  readonly hideGraph: boolean;
  readonly hideMinimap: boolean;
  readonly hideSummary: boolean;
}

export function embedOf(search: string): Embed {
  const params = new URLSearchParams(search);
  const isEmbedded = params.get("uiEmbed") === "v0";
  const flag = (name: string) => isEmbedded && params.get(name) === "1";
  return {
    isEmbedded,
    hideGraph: flag("uiSearchHideGraph"),
    hideMinimap: flag("uiTimelineHideMinimap"),
    hideSummary: flag("uiTimelineHideSummary") || flag("uiTimelineCollapseTitle"),
  };
}
