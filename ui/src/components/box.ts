// The sizes of elements as they change.

import { type RefObject, useEffect, useState } from "react";
import type { Size } from "../timeline/renderer";

/** The room within an element, without its scroll bar. */
export function useBoxSize(element: RefObject<HTMLElement | null>): Size {
  const [size, setSize] = useState<Size>({ width: 0, height: 0 });
  useEffect(() => {
    const box = element.current;
    if (!box) return;
    const observer = new ResizeObserver(() => {
      setSize({ width: box.clientWidth, height: box.clientHeight });
    });
    observer.observe(box);
    return () => observer.disconnect();
  }, [element]);
  return size;
}
