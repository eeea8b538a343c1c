// The palette of the theme that is on, read again when the theme changes.

import { type RefObject, useEffect, useState } from "react";
import { onSettings } from "../state/settings";
import { type Palette, readPalette } from "../timeline/palette";
import { resetText } from "../timeline/renderer";

export function usePalette(element: RefObject<HTMLElement | null>): Palette | undefined {
  const [palette, setPalette] = useState<Palette | undefined>();
  useEffect(() => {
    const read = () => {
      resetText();
      if (element.current) setPalette(readPalette(element.current));
    };
    read();
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", read);
    const stop = onSettings(read);
    return () => {
      system.removeEventListener("change", read);
      stop();
    };
  }, [element]);
  return palette;
}
