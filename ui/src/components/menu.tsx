// A button that opens a panel below itself. A click elsewhere and Escape close it.

import { type ReactNode, useEffect, useRef, useState } from "react";
import { Icon, type IconName } from "./icon";

export function Menu(props: {
  readonly icon: IconName;
  /** What stands on the button, or names it if nothing does. */
  readonly label: string;
  readonly isSquare?: boolean;
  readonly title: string;
  /** What is in the panel; it may ask to be closed. */
  readonly children: (close: () => void) => ReactNode;
}) {
  const [isOpen, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!isOpen) return;
    const onDown = (event: Event) => {
      if (event.target instanceof Node && !box.current?.contains(event.target)) setOpen(false);
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      setOpen(false);
      box.current?.querySelector("button")?.focus();
    };
    document.addEventListener("pointerdown", onDown);
    // Before the page, to which the same key means something else.
    document.addEventListener("keydown", onKey, { capture: true });
    return () => {
      document.removeEventListener("pointerdown", onDown);
      document.removeEventListener("keydown", onKey, { capture: true });
    };
  }, [isOpen]);
  return (
    <div className="menu" ref={box}>
      <button
        type="button"
        className={props.isSquare ? "button square" : "button small"}
        aria-label={props.isSquare ? props.label : undefined}
        aria-expanded={isOpen}
        title={props.title}
        onClick={() => setOpen(!isOpen)}
      >
        <Icon name={props.icon} />
        {!props.isSquare && props.label}
      </button>
      {isOpen && <div className="menu-panel panel">{props.children(() => setOpen(false))}</div>}
    </div>
  );
}
