// How a span stands among its like. Apart, since it needs the code of figures, and a trace does not.

import { duration, plural } from "../../base/format";
import type { SpanDetails } from "../../model/details";
import { standingOf, useAlike } from "../../state/alike";

export function AlikeFigure(props: { readonly span: SpanDetails }) {
  const { span } = props;
  const alike = useAlike(span);
  if (alike === undefined) return null;
  const of = `${plural(alike.spans, "span")} of this operation in the hour before`;
  const usual = `p50 ${duration(alike.p50)}, p95 ${duration(alike.p95)}, p99 ${duration(alike.p99)}`;
  return (
    <div title={`${of}: ${usual}`}>
      <dt>Among its like</dt>
      <dd>{standingOf(span.length, alike)}</dd>
    </div>
  );
}
