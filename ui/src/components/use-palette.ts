// The palette of the theme that is on, read once for all who draw and again when it changes.

import { type RefObject, useLayoutEffect, useState } from "react";
import { onSettings } from "../state/settings";
import { type Palette, readPalette } from "../timeline/palette";
import { resetText } from "../timeline/renderer";

let known: { readonly theme: string; readonly palette: Palette } | undefined;

/** Reading it costs a computed style for each colour. */
function paletteFor(element: HTMLElement, isDark: boolean): Palette {
  const theme = `${document.documentElement.dataset["theme"]} ${isDark}`;
  if (known?.theme !== theme) {
    resetText();
    known = { theme, palette: readPalette(element) };
  }
  return known.palette;
}

export function usePalette(element: RefObject<HTMLElement | null>): Palette | undefined {
  const [palette, setPalette] = useState<Palette | undefined>();
  useLayoutEffect(() => {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const read = () => {
      if (element.current) setPalette(paletteFor(element.current, system.matches));
    };
    read();
    system.addEventListener("change", read);
    const stop = onSettings(read);
    return () => {
      system.removeEventListener("change", read);
      stop();
    };
  }, [element]);
  return palette;
}
