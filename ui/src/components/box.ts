// The sizes of elements as they change.

import { type RefObject, useLayoutEffect, useState } from "react";
import type { Size } from "../timeline/renderer";

/** The room within an element, without its scroll bar. */
export function useBoxSize(element: RefObject<HTMLElement | null>): Size {
  const [size, setSize] = useState<Size>({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const box = element.current;
    if (!box) return;
    const measure = () => {
      const [width, height] = [box.clientWidth, box.clientHeight];
      setSize((before) =>
        before.width === width && before.height === height ? before : { width, height },
      );
    };
    // At once, so that the first picture is drawn with the first frame.
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(box);
    return () => observer.disconnect();
  }, [element]);
  return size;
}
