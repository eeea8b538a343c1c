// What was said last, for a moment, over every page. The place is always there: screen readers
// follow only what they know.

import { notice } from "../state/notice";
import { useStore } from "../state/store";

export function Notice() {
  const text = useStore(notice);
  return (
    <div className="notice" aria-live="polite">
      {text !== "" && <span>{text}</span>}
    </div>
  );
}
